//! What one remote end can make a peer hold: 192 KiB beyond observations, whatever it sends.

mod common;

use common::{Seen, Solo, get, message, post};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType, Token,
    peer::{Config, Receive, Reply},
    wire::option,
};

const LIMIT: usize = 192 * 1024;

/// Everything at once: answers to remember, a body half received, a snapshot half fetched, exchanges and separate responses open.
#[test]
fn all_that_one_peer_can_cause_at_once_stays_within_192_kib() {
    let mut solo = Solo::new(Config::default());
    // Answers of every size, of both kinds, until nothing more can be remembered.
    for number in 0..6000_u32 {
        let token = number.to_be_bytes();
        let request = match number % 3 {
            0 => get(MessageType::Con, number as u16, &token),
            _ => post(MessageType::Con, number as u16, &token),
        };
        if let Some(Seen::Request { exchange, .. }) = solo.hear(&request) {
            solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&vec![1; number as usize % 1024]));
        }
        solo.say();
    }
    assert!(solo.peer.memory().answers > 36 * 1024);
    assert!(solo.peer.counters().overload > 0);
    solo.pass(248.0);
    // A snapshot of 64 KiB, begun.
    let exchange = solo.hear_request(&get(MessageType::Con, 1, b"snap"));
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&[2; 65_536]));
    solo.say();
    // A body of 64 KiB, all but its last block.
    for number in 0..63 {
        let block = Block { number, more: true, size: BlockSize::B1024 }.encode().to_be_bytes();
        let put =
            message(MessageType::Con, Code::PUT, number as u16, b"up", &[(option::BLOCK1, &block[1..])], &[3; 1024]);
        if let Some(Seen::Upload { exchange, .. }) = solo.hear(&put) {
            solo.peer.receive(solo.now, exchange, Receive::Reassemble);
        }
        let answer = solo.say_one();
        assert_eq!(Message::parse(&answer).unwrap().code, Code::CONTINUE);
    }
    // Slow requests, with large separate responses that are never acknowledged.
    let mut open = Vec::new();
    for number in 0..40 {
        if let Some(Seen::Request { exchange, .. }) = solo.hear(&get(MessageType::Con, 100 + number, b"slow")) {
            open.push(exchange);
        }
    }
    assert!(open.len() >= 10, "{}", open.len());
    solo.pass(1.0);
    for exchange in open {
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&[4; 1024]));
    }
    solo.say();
    let memory = solo.peer.memory();
    assert!(memory.bodies_in > 60_000 && memory.snapshots == 65_536 && memory.exchanges > 10 * 1024, "{memory:?}");
    assert!(memory.bounded() <= LIMIT, "{memory:?}");
    assert_eq!((memory.requests, memory.observations), (0, 0), "{memory:?}");
    // And it goes again.
    for _ in 0..20 {
        solo.pass(100.0);
        solo.say();
    }
    let memory = solo.peer.memory();
    assert_eq!((memory.bodies_in, memory.snapshots), (0, 0));
    assert!(memory.bounded() < 64 * 1024, "{memory:?}");
}

/// In steady state nothing grows: the buffers are used again and again.
#[test]
fn a_hundred_thousand_requests_hold_what_a_thousand_do() {
    let mut solo = Solo::new(Config::default());
    let mut after_a_thousand = None;
    for number in 0..100_000_u32 {
        solo.now += std::time::Duration::from_millis(1);
        let exchange = solo.hear_request(&get(MessageType::Con, number as u16, &number.to_be_bytes()));
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(b"21.5"));
        solo.say_one();
        if number >= 1000 {
            assert_eq!(*after_a_thousand.get_or_insert(solo.peer.memory()), solo.peer.memory(), "{number}");
        }
    }
}

#[test]
fn a_new_peer_holds_nothing() {
    let solo = Solo::new(Config::default());
    assert_eq!(solo.peer.memory().total(), 0);
    assert!(size_of::<lapwing_coap::peer::Peer>() < 2048, "{}", size_of::<lapwing_coap::peer::Peer>());
}

/// Notifications that nobody acknowledges: one each on its way or waiting, and one newer.
#[test]
fn notifications_do_not_pile_up() {
    let mut solo = Solo::new(Config::default());
    for id in 0..20_u16 {
        let request = message(MessageType::Con, Code::GET, id, &id.to_be_bytes(), &[(option::OBSERVE, b"")], b"");
        let exchange = solo.hear_request(&request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).observe(true));
    }
    solo.say();
    for _ in 0..1000 {
        for id in 0..20_u16 {
            let token = Token::new(&id.to_be_bytes()).unwrap();
            solo.peer.notify(solo.now, token, Reply::new(Code::CONTENT).body(&[1; 100]), true);
        }
        solo.say();
        solo.events();
    }
    let memory = solo.peer.memory();
    assert!(memory.observations < 16 * 1024, "{memory:?}");
}
