//! Peers that are not registered cost a bounded amount, and the least recently seen goes first.

mod server_common;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use lapwing_coap::wire::{Code, MessageType, option};
use lapwing_lwm2m::server::{Remote, Request};
use server_common::{Bench, LINKS, Msg, address, seconds};

const PEER: usize = 192 * 1024;

fn stranger(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 5683))
}

#[test]
fn at_most_so_many_strangers_are_remembered_and_the_least_recently_seen_goes_first() {
    let mut bench = Bench::new();
    for number in 0..1_024 {
        let request = bench.con(Code::GET, "/.well-known/core");
        bench.deliver(stranger(number), &request);
    }
    assert_eq!(bench.server.strangers(), 1_024);
    // The first one is seen again, so that the second one is the oldest.
    let request = bench.con(Code::GET, "/.well-known/core");
    bench.deliver(stranger(0), &request);
    bench.deliver(stranger(5_000), &request);
    assert_eq!(bench.server.strangers(), 1_024);
    assert!(bench.server.peer_memory(Remote::Plain(stranger(0))).is_some());
    assert!(bench.server.peer_memory(Remote::Plain(stranger(1))).is_none());
    assert!(bench.server.peer_memory(Remote::Plain(stranger(5_000))).is_some());
}

#[test]
fn a_flood_of_strangers_leaves_the_registered_alone() {
    let mut bench = Bench::with(|config| config.strangers = 16);
    let registration = bench.registered(address(1), "a");
    let id = bench.request(registration, Request::Discover { path: "/3".parse().expect("a path") });
    let seen = bench.take_one(address(1));
    for number in 0..5_000 {
        let request = bench.con(Code::POST, "/rd?lt=5").payload(LINKS);
        bench.deliver(stranger(number), &request);
    }
    assert_eq!(bench.server.strangers(), 16);
    bench.take(address(1));
    bench.deliver(address(1), &seen.answer(Code::NOT_FOUND));
    assert_eq!(bench.answer(id).map(|response| response.code), Ok(Code::NOT_FOUND));
    // Who was registered becomes a stranger, the most recently seen one.
    assert!(bench.server.forget(bench.now(), registration));
    assert_eq!(bench.server.strangers(), 16);
    assert!(bench.server.peer_memory(Remote::Plain(address(1))).is_some());
}

#[test]
fn a_strangers_memory_is_bounded_whatever_it_sends() {
    let mut bench = Bench::new();
    let mut most = 0;
    for round in 0u32..2_000 {
        let id = round as u16;
        let token = round.to_be_bytes();
        let message = |code| Msg::new(MessageType::Con, code, id, &token);
        let junk = match round % 4 {
            0 => message(Code::GET).uri("/.well-known/core"),
            1 => message(Code::POST).uri("/rd?ep=x").payload([b'x'; 1_100]),
            2 => message(Code::POST).uri("/rd?ep=x").uint(option::BLOCK1, 0x0e).payload([b'x'; 1_024]),
            _ => message(Code::POST)
                .uri("/rd?ep=x")
                .uint(option::BLOCK1, (round % 64) << 4 | 0x0e)
                .payload([b'y'; 1_024]),
        };
        bench.deliver(address(9), &junk);
        bench.take(address(9));
        most = most.max(bench.server.peer_memory(Remote::Plain(address(9))).expect("remembered").total());
    }
    assert!(most <= PEER, "{most} bytes");
    assert_eq!(bench.server.registrations().count(), 0);
    bench.run(seconds(600));
    // Bodies that are not continued are dropped by a timer; what is known of answered messages ages at the next datagram.
    let rest = bench.server.peer_memory(Remote::Plain(address(9))).expect("remembered");
    assert_eq!((rest.bodies_in, rest.snapshots), (0, 0));
}

#[test]
fn the_log_is_bounded_and_tells_whose_a_message_was() {
    let mut bench = Bench::with(|config| config.log = 10);
    bench.registered(address(1), "a");
    for _ in 0..20 {
        let request = bench.con(Code::GET, "/nowhere");
        bench.deliver(address(1), &request);
    }
    let log: Vec<_> = bench.server.log().cloned().collect();
    assert_eq!(log.len(), 10);
    let lines: Vec<String> = log[8..].iter().map(|entry| entry.to_string()).collect();
    assert!(lines[0].starts_with("<- 192.0.2.1:40000 CON ["), "{}", lines[0]);
    assert!(lines[0].contains("GET /nowhere"), "{}", lines[0]);
    assert!(lines[1].starts_with("-> 192.0.2.1:40000 ACK [") && lines[1].contains("4.04"), "{}", lines[1]);
    assert!(log.iter().all(|entry| entry.endpoint.as_deref() == Some("a") && entry.message().is_some()));
    assert!(bench.events().iter().all(|event| !format!("{event:?}").starts_with("Exchanged")));
    bench.server.set_log_events(true);
    bench.deliver_bytes(address(1), b"noise");
    assert!(format!("{:?}", bench.events()).starts_with("[Exchanged"));
}

#[test]
fn addresses_of_both_families_are_told_apart() {
    let mut bench = Bench::new();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 40_000));
    bench.registered(v6, "six");
    bench.registered(address(1), "four");
    let six = bench.server.registration("six").expect("registered").id;
    bench.request(six, Request::Discover { path: "/3".parse().expect("a path") });
    assert_eq!(bench.take_one(v6).path(), "/3");
}
