//! What those cost who have not shown who they are, over DTLS: nothing until the cookie has come back, then a bounded number of handshakes
//! (RFC 6347 section 4.2.1). And which session gives way when there are too many.

mod server_common;

use std::net::{Ipv4Addr, SocketAddr};

use lapwing_coap::wire::Code;
use lapwing_dtls::{self as dtls, ClientConfig};
use lapwing_lwm2m::server::{Channel, Request};
use server_common::{
    Bench, address, seconds,
    secure::{Device, bench_with, psk},
};

fn stranger(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 5683))
}

fn small() -> Bench {
    bench_with(&["a", "b", "c", "d"], |config| {
        let mut dtls = dtls::ServerConfig::default();
        dtls.max_handshakes = 8;
        config.dtls = Some(dtls);
        config.strangers = 2;
    })
}

/// The first flight of a client, which has no cookie.
fn hello(seed: u32) -> Vec<u8> {
    let mut device = Device::new(stranger(seed), ClientConfig::psk(psk("a-id")));
    device.dtls.connect(seconds(0), None);
    let mut buffer = Vec::new();
    device.dtls.poll_transmit(&mut buffer).expect("a ClientHello");
    buffer
}

#[test]
fn whoever_sends_no_cookie_back_costs_nothing_and_gets_no_more_than_it_sent() {
    let mut bench = small();
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    bench.server.handle_datagram(bench.now(), Channel::Secure, stranger(0), &hello(0));
    bench.poll();
    let before = bench.server.secure_memory();
    bench.records.clear();
    for number in 1..2_000 {
        let hello = hello(number);
        bench.server.handle_datagram(bench.now(), Channel::Secure, stranger(number), &hello);
        bench.poll();
        let sent: usize = bench.records.drain(..).map(|(_, record)| record.len()).sum();
        assert!(sent > 0 && sent <= hello.len(), "{sent} bytes for {}", hello.len());
    }
    assert_eq!(bench.server.secure_memory(), before);
    assert_eq!(bench.server.strangers(), 0);
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
}

#[test]
fn half_made_handshakes_are_bounded_and_disturb_nobody() {
    let mut bench = small();
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    let mut most = 0;
    for number in 0..200 {
        // Sends its cookie back, and then no more.
        let mut half = Device::new(stranger(number), ClientConfig::psk(psk("a-id")));
        half.dtls.connect(bench.now, None);
        for _ in 0..2 {
            let mut buffer = Vec::new();
            half.dtls.poll_transmit(&mut buffer).expect("a ClientHello");
            bench.server.handle_datagram(bench.now(), Channel::Secure, half.address, &buffer);
            bench.poll();
            for (_, record) in bench.records.drain(..) {
                half.dtls.handle_datagram(bench.now, &record);
            }
        }
        most = most.max(bench.server.secure_memory());
    }
    let begun = bench.server.secure_memory();
    assert!(most < 128 * 1024, "{most} bytes");
    bench.run(seconds(120));
    assert!(bench.server.secure_memory() < begun, "they are given up in time");
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    assert!(device.closed.is_empty());
}

#[test]
fn a_session_without_a_registration_gives_way_and_one_with_it_does_not() {
    let mut bench = small();
    let mut first = Device::of(&mut bench, address(1), "a");
    let registration = first.register(&mut bench, "a");
    let mut second = Device::of(&mut bench, address(2), "b");
    let mut third = Device::of(&mut bench, address(3), "c");
    assert_eq!(bench.server.strangers(), 2);
    let mut fourth = Device::of(&mut bench, address(4), "d");
    second.pump(&mut bench);
    assert_eq!(second.closed, [dtls::Closed::CloseNotify], "the one not heard of for longest");
    assert_eq!(bench.server.strangers(), 2);
    third.register(&mut bench, "c");
    fourth.register(&mut bench, "d");
    assert_eq!(first.update(&mut bench, registration), Code::CHANGED);
    // Its registration gone, a client is a stranger again.
    assert_eq!(first.deregister(&mut bench, registration), Code::DELETED);
    assert_eq!(bench.server.strangers(), 1);
}

#[test]
fn a_flood_over_plain_coap_pushes_out_no_session() {
    let mut bench = small();
    let mut device = Device::of(&mut bench, address(1), "a");
    for number in 0..500 {
        let request = bench.con(Code::GET, "/.well-known/core");
        bench.deliver(stranger(number), &request);
    }
    assert_eq!(bench.server.strangers(), 2 + 1);
    device.register(&mut bench, "a");
}

#[test]
fn an_identity_has_the_session_of_its_registration_and_one_more_however_often_it_shakes_hands() {
    let mut bench = bench_with(&["a"], |_| ());
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    let one = bench.server.secure_memory();
    let mut newest = Device::of(&mut bench, stranger(0), "a");
    for number in 1..100 {
        let mut newer = Device::of(&mut bench, stranger(number), "a");
        newest.pump(&mut bench);
        assert_eq!(newest.closed, [dtls::Closed::CloseNotify]);
        assert_eq!(bench.server.strangers(), 1);
        std::mem::swap(&mut newest, &mut newer);
    }
    assert!(bench.server.secure_memory() < one + 8 * 1024, "{} bytes", bench.server.secure_memory() - one);
    // A client that fetches something over another session is asked over the one that it has registered with.
    let id = bench.request(registration, Request::Discover { path: "/3".parse().expect("a path") });
    device.pump(&mut bench);
    let [asked] = &device.take()[..] else { panic!("one request was expected") };
    device.send(&mut bench, &asked.answer(Code::NOT_FOUND));
    assert_eq!(bench.answer(id).map(|response| response.code), Ok(Code::NOT_FOUND));
    // Its registration elsewhere, a session is of no more use: by an Update, and by a Register.
    assert_eq!(newest.update(&mut bench, registration), Code::CHANGED);
    device.pump(&mut bench);
    assert_eq!((&device.closed[..], bench.server.strangers()), (&[dtls::Closed::CloseNotify][..], 0));
    let mut last = Device::of(&mut bench, address(2), "a");
    last.register(&mut bench, "a");
    newest.pump(&mut bench);
    assert_eq!((&newest.closed[..], bench.server.strangers()), (&[dtls::Closed::CloseNotify][..], 0));
}

#[test]
fn without_dtls_what_comes_at_the_secure_socket_is_dropped() {
    let mut bench = Bench::new();
    bench.server.handle_datagram(bench.now(), Channel::Secure, stranger(1), &hello(1));
    bench.poll();
    assert!(bench.records.is_empty() && bench.server.strangers() == 0 && bench.server.secure_memory() == 0);
}
