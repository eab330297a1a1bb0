//! What strangers and a registered client can make the server hold, counted by the allocator: at most 192 KiB a peer, and 1,024
//! peers without a registration, of which the least recently seen goes first.

#[path = "../../coap/tests/common/meter.rs"]
mod meter;
mod server_common;

use std::net::{Ipv4Addr, SocketAddr};

use lapwing_coap::wire::{Code, MessageType, option};
use lapwing_lwm2m::server::{Remote, Request};
use meter::Meter;
use server_common::{Bench, Msg, address, seconds};

const PEER: i64 = 192 * 1024;
const STRANGERS: u32 = 1_024;

/// What one could send to make a server hold something: requests of each kind, answers that nobody asked for, uploads that are
/// begun and never ended, blocks out of order.
fn junk(round: u32) -> Msg {
    let token = round.to_be_bytes();
    let message = |kind, code| Msg::new(kind, code, round as u16, &token);
    let block = |code, uri, number: u32| {
        message(MessageType::Con, code).uri(uri).uint(option::BLOCK1, number << 4 | 0x0e).payload([b'x'; 1_024])
    };
    match round % 10 {
        0 => message(MessageType::Con, Code::GET).uri("/.well-known/core"),
        1 => message(MessageType::Non, Code::GET).uri("/.well-known/core").uint(option::OBSERVE, 0),
        2 => message(MessageType::Con, Code::POST).uri("/rd?ep=x").payload([b'<'; 1_200]),
        3 => message(MessageType::Con, Code::CONTENT).payload([b'y'; 1_200]),
        4 => message(MessageType::Con, Code::EMPTY),
        5 => block(Code::POST, "/rd?ep=x", 0),
        6 => block(Code::POST, "/rd?ep=x", round / 10 % 63 + 1),
        7 => block(Code::PUT, "/3/0/1", 0),
        8 => message(MessageType::Con, Code::GET).uri("/3/0/0").uint(option::OBSERVE, 0),
        _ => message(MessageType::Con, Code::DELETE).uri("/rd/aaaaaaaaaaaaaaaa"),
    }
}

/// An upload that goes on to the limit of what is reassembled.
fn upload(bench: &mut Bench, from: SocketAddr) {
    for number in 0..63u32 {
        let block = number << 4 | 0x0e;
        let request = bench.con(Code::POST, "/rd?ep=x").uint(option::BLOCK1, block).payload([b'x'; 1_024]);
        bench.deliver(from, &Msg { token: vec![1], ..request });
    }
}

/// Counts what the server keeps of all this, and not what it has told this test.
fn count(meter: &mut Meter, bench: &mut Bench, act: impl FnOnce(&mut Bench)) {
    bench.forget();
    meter.of(|| {
        act(bench);
        bench.forget();
    });
}

#[test]
fn a_quiet_client_costs_little_and_one_that_sends_junk_what_a_peer_may() {
    // A first peer makes room in tables that all share.
    let mut bench = Bench::with(|config| config.log = 0);
    bench.registered(address(1), "a");
    let mut meter = Meter::default();
    count(&mut meter, &mut bench, |bench| {
        bench.registered(address(2), "b");
    });
    println!("a registered client: {} bytes", meter.live);
    assert!((1..16 * 1_024).contains(&meter.live), "{meter:?}");
    let mut most = 0;
    for round in 0..20_000 {
        count(&mut meter, &mut bench, |bench| bench.deliver(address(2), &junk(round)));
        most = most.max(meter.live);
    }
    count(&mut meter, &mut bench, |bench| upload(bench, address(2)));
    most = most.max(meter.live);
    println!("one that sends junk: {most} bytes at most");
    assert!((96 * 1_024..PEER).contains(&most), "{most} bytes");
}

#[test]
fn strangers_from_5000_addresses_hold_no_more_than_those_from_1024() {
    let mut bench = Bench::with(|config| config.log = 0);
    let client = address(1);
    let registration = bench.registered(client, "a");
    let mut meter = Meter::default();
    let mut at_the_limit = 0;
    let stranger = |number: u32| SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 5683));
    for number in 0..5_000 {
        count(&mut meter, &mut bench, |bench| {
            (0..40).for_each(|round| bench.deliver(stranger(number), &junk(round)));
            upload(bench, stranger(number));
        });
        if number + 1 == STRANGERS {
            at_the_limit = meter.live;
        }
    }
    println!("{STRANGERS} strangers: {at_the_limit} bytes; 5000: {}", meter.live);
    assert_eq!(bench.server.strangers(), STRANGERS as usize);
    for number in 0..5_000 {
        let remembered = bench.server.peer_memory(Remote::Plain(stranger(number))).is_some();
        assert_eq!(remembered, number >= 5_000 - STRANGERS, "{number}: the least recently seen goes first");
    }
    let limit = i64::from(STRANGERS);
    assert!(at_the_limit > limit * 64 * 1_024, "the uploads are held, so that the bound is tried: {meter:?}");
    assert!(meter.live < limit * PEER, "{meter:?}");
    assert!(meter.live < at_the_limit + 1_024 * 1_024, "{at_the_limit}, then {meter:?}");

    // Who is registered never counted among them.
    assert!(bench.server.peer_memory(Remote::Plain(client)).is_some());
    let (seen, answer) =
        bench.exchange(client, registration, Request::Discover { path: "/3".parse().expect("a path") }, |request| {
            request.answer(Code::NOT_FOUND)
        });
    assert_eq!((seen.path().as_str(), answer.map(|answer| answer.code)), ("/3", Ok(Code::NOT_FOUND)));

    // What was begun and not ended goes in time.
    count(&mut meter, &mut bench, |bench| bench.run(seconds(300)));
    println!("left alone: {} bytes", meter.live);
    assert!(meter.live < limit * 24 * 1_024, "{meter:?}");
}

#[test]
fn the_log_holds_no_more_of_long_datagrams() {
    let mut bench = Bench::new();
    let mut meter = Meter::default();
    let long = vec![b'?'; 60_000];
    for _ in 0..1_000 {
        count(&mut meter, &mut bench, |bench| bench.deliver_bytes(address(9), &long));
    }
    println!("a log of long datagrams: {meter:?}");
    assert!((900 * 1_024..1_200 * 1_024).contains(&meter.live), "{meter:?}");
    assert!(bench.server.log().count() < 20);
    let ping = Msg::new(MessageType::Con, Code::EMPTY, 1, b"").bytes();
    for _ in 0..600 {
        count(&mut meter, &mut bench, |bench| bench.deliver_bytes(address(9), &ping));
    }
    assert_eq!(bench.server.log().count(), 500);
}

/// What an Update names is kept beside what earlier ones named, as far as that is bounded.
#[test]
fn updates_do_not_make_a_registration_grow_without_end() {
    let mut bench = Bench::with(|config| config.log = 0);
    let client = address(1);
    let location = bench.register(client, "ep=a", "</3/0>");
    let mut meter = Meter::default();
    let mut refused = 0;
    for round in 0..1_000 {
        let update = bench.con(Code::POST, &format!("{location}?x{round}={}", "y".repeat(200)));
        let mut code = Code::EMPTY;
        count(&mut meter, &mut bench, |bench| code = bench.ask(client, &update).code);
        refused += usize::from(code == Code::BAD_REQUEST);
        assert!(code == Code::BAD_REQUEST || code == Code::CHANGED, "{code}");
    }
    println!("a registration after 1000 Updates: {} bytes", meter.live);
    assert!((1..999).contains(&refused) && meter.live < 64 * 1_024, "{refused} refused, {meter:?}");
    let update = bench.con(Code::POST, &format!("{location}?x0=z"));
    assert_eq!(bench.ask(client, &update).code, Code::CHANGED, "what is there may change");
}
