//! Requests in blocks (RFC 7959 section 2.5), both roles.

mod common;

use common::{Head, Pair, Seen, Solo, message, pattern, seconds};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType,
    peer::{Abort, Config, Outgoing, Receive, Reply},
    wire::option,
};
use sim::{Cable, World};

/// `PUT /large` by hand: one block of a body.
fn put(id: u16, number: u32, more: bool, size: BlockSize, size1: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let block = Block { number, more, size }.encode().to_be_bytes();
    let size1 = size1.map(u32::to_be_bytes);
    let mut options: Vec<(u16, &[u8])> = vec![(option::URI_PATH, b"large"), (option::BLOCK1, &block[1..])];
    if let Some(size1) = &size1 {
        options.push((option::SIZE1, size1));
    }
    message(MessageType::Con, Code::PUT, id, &id.to_be_bytes(), &options, payload)
}

fn head(solo: &mut Solo) -> Head {
    Head::of(&Message::parse(&solo.say_one()).unwrap())
}

fn with_block_size(size: BlockSize) -> Config {
    let mut config = Config::default();
    config.block_size = size;
    config
}

/// A server that reassembles, and answers 2.04.
fn reassembling(client: Config, server: Config, world: World) -> Pair {
    let mut pair = Pair::with(client, server, world);
    pair.server.engine(|peer, now, seen| match seen {
        Seen::Upload { exchange, .. } => peer.receive(now, *exchange, Receive::Reassemble),
        Seen::Request { exchange, .. } => peer.respond(now, *exchange, Reply::new(Code::CHANGED)),
        _ => {}
    });
    pair
}

#[track_caller]
fn assert_sent(pair: &Pair, length: usize) {
    let [Seen::Response { head, .. }] = &pair.client.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!(head.code, Code::CHANGED, "{}", pair.ladder());
    let whole: Vec<_> = pair
        .server
        .seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Request { payload, .. } => Some(payload),
            _ => None,
        })
        .collect();
    assert_eq!(whole, [&pattern(length)]);
    assert_eq!(pair.server.peer.memory().bodies_in, 0);
}

#[test]
fn a_body_of_any_length_comes_over_whole() {
    for length in [0, 1, 1024, 1025, 4096, 65_535, 65_536] {
        let mut pair = reassembling(Config::default(), Config::default(), World::seeded(1));
        pair.client.peer.request(pair.now(), Outgoing::new(Code::PUT).path(&["large"]).body(&pattern(length)));
        pair.run(100.0);
        assert_sent(&pair, length);
        assert_eq!(pair.sent_by_client().len(), length.div_ceil(1024).max(1));
    }
}

/// Section 2.5, figure 8: the server's 2.31 has a smaller size, and the client goes on with that.
#[test]
fn the_server_negotiates_a_smaller_size() {
    let mut pair = reassembling(Config::default(), with_block_size(BlockSize::B128), World::seeded(1));
    pair.client.peer.request(pair.now(), Outgoing::new(Code::PUT).path(&["large"]).body(&pattern(3000)));
    pair.run(100.0);
    assert_sent(&pair, 3000);
    let lengths: Vec<_> =
        pair.sent_by_client().iter().map(|(_, datagram)| Message::parse(datagram).unwrap().payload.len()).collect();
    assert_eq!((lengths[0], lengths[1], lengths.len()), (1024, 128, 1 + (3000 - 1024_usize).div_ceil(128)));
}

#[test]
fn a_large_body_comes_over_a_cable_that_loses_doubles_and_reorders() {
    for seed in 0..50 {
        let cable = Cable::new().latency(seconds(0.05)).loss(0.1).duplication(0.1).reordering(0.1, seconds(1.0));
        let mut pair = reassembling(Config::default(), Config::default(), World::seeded(seed).cable(cable));
        pair.client.peer.request(pair.now(), Outgoing::new(Code::PUT).path(&["large"]).body(&pattern(20_000)));
        pair.run(1000.0);
        let [Seen::Response { head, .. }] = &pair.client.seen[..] else { panic!("seed {seed}: {}", pair.ladder()) };
        assert_eq!(head.code, Code::CHANGED, "seed {seed}: {}", pair.ladder());
        let whole = pair
            .server
            .seen
            .iter()
            .filter(|seen| matches!(seen, Seen::Request { payload, .. } if *payload == pattern(20_000)));
        assert_eq!(whole.count(), 1, "seed {seed}: {}", pair.ladder());
    }
}

#[test]
fn each_block_is_acknowledged_with_its_number_and_the_last_with_the_answer() {
    let mut solo = Solo::new(Config::default());
    let body = pattern(40);
    let exchange = solo.hear_request(&put(1, 0, true, BlockSize::B16, Some(40), &body[..16]));
    solo.peer.receive(solo.now, exchange, Receive::Reassemble);
    let answer = head(&mut solo);
    assert_eq!(
        (answer.code, answer.block1),
        (Code::CONTINUE, Some(Block { number: 0, more: true, size: BlockSize::B16 }))
    );
    assert_eq!(solo.hear(&put(2, 1, true, BlockSize::B16, None, &body[16..32])), None);
    assert_eq!(head(&mut solo).block1, Some(Block { number: 1, more: true, size: BlockSize::B16 }));
    let Some(Seen::Request { payload, exchange: last, .. }) =
        solo.hear(&put(3, 2, false, BlockSize::B16, None, &body[32..]))
    else {
        panic!()
    };
    assert_eq!((payload, last), (body, exchange));
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CHANGED));
    let answer = head(&mut solo);
    assert_eq!(
        (answer.code, answer.block1),
        (Code::CHANGED, Some(Block { number: 2, more: false, size: BlockSize::B16 }))
    );
}

/// Section 2.9.2: 4.08 for a block whose forerunners are not there; nothing changes by it.
#[test]
fn a_gap_is_4_08_and_the_right_block_still_continues() {
    let mut solo = Solo::new(Config::default());
    assert_eq!(solo.hear(&put(1, 3, true, BlockSize::B16, None, &[0; 16])), None);
    assert_eq!(head(&mut solo).code, Code::REQUEST_ENTITY_INCOMPLETE, "there is no beginning");
    let exchange = solo.hear_request(&put(2, 0, true, BlockSize::B16, None, &[0; 16]));
    solo.peer.receive(solo.now, exchange, Receive::Reassemble);
    solo.say();
    for number in [2, 5, 70_000] {
        assert_eq!(solo.hear(&put(3, number, true, BlockSize::B16, None, &[9; 16])), None);
        assert_eq!(head(&mut solo).code, Code::REQUEST_ENTITY_INCOMPLETE);
    }
    assert_eq!(solo.peer.counters().gaps, 4);
    let Some(Seen::Request { payload, .. }) = solo.hear(&put(4, 1, false, BlockSize::B16, None, &[1; 4])) else {
        panic!()
    };
    assert_eq!(payload, [[0; 16].as_slice(), &[1; 4]].concat());
}

/// Section 2.5: block 0 overwrites what was there; the very same message is only a duplicate.
#[test]
fn block_0_begins_anew_unless_it_is_a_duplicate() {
    let mut solo = Solo::new(Config::default());
    let first = put(1, 0, true, BlockSize::B16, None, &[1; 16]);
    let exchange = solo.hear_request(&first);
    solo.peer.receive(solo.now, exchange, Receive::Reassemble);
    let answer = solo.say_one();
    assert_eq!(solo.hear(&first), None);
    assert_eq!((solo.say_one(), solo.events()), (answer, vec![]));
    let anew = solo.hear_request(&put(2, 0, true, BlockSize::B16, None, &[2; 16]));
    assert_ne!(anew, exchange);
    assert_eq!(solo.events(), [Seen::Aborted { exchange, why: Abort::Restarted }]);
    solo.peer.receive(solo.now, anew, Receive::Reassemble);
    solo.say();
    let Some(Seen::Request { payload, .. }) = solo.hear(&put(3, 1, false, BlockSize::B16, None, &[3; 2])) else {
        panic!()
    };
    assert_eq!(payload, [[2; 16].as_slice(), &[3; 2]].concat());
}

/// Section 2.9.3: 4.13 says with Size1 what would be taken: at once if the size is known, otherwise where it grows too large.
#[test]
fn a_body_beyond_the_limit_is_4_13_with_size1() {
    let mut config = Config::default();
    config.max_body = 64;
    for (size1, blocks) in [(Some(65), 1), (None, 5)] {
        let mut solo = Solo::new(config.clone());
        let exchange = solo.hear_request(&put(0, 0, true, BlockSize::B16, size1, &[0; 16]));
        solo.peer.receive(solo.now, exchange, Receive::Reassemble);
        for number in 1..blocks {
            assert_eq!(head(&mut solo).code, Code::CONTINUE);
            assert_eq!(solo.hear(&put(number as u16, number, true, BlockSize::B16, None, &[0; 16])), None);
        }
        let answer = head(&mut solo);
        assert_eq!((answer.code, answer.size1), (Code::REQUEST_ENTITY_TOO_LARGE, Some(64)));
        assert_eq!(solo.events(), [Seen::Aborted { exchange, why: Abort::TooLarge }]);
        assert_eq!(solo.peer.memory().bodies_in, 0);
    }
}

/// One body of 64 KiB a peer: a second one that has no room is told to come later.
#[test]
fn bodies_share_their_room() {
    let mut config = Config::default();
    config.max_body = 64;
    let mut solo = Solo::new(config);
    let upload = |id: u16, path: &[u8], number: u32| {
        let value = Block { number, more: true, size: BlockSize::B32 }.encode() as u8;
        let options: [(u16, &[u8]); 2] = [(option::URI_PATH, path), (option::BLOCK1, &[value])];
        message(MessageType::Con, Code::PUT, id, b"t", &options, &[0; 32])
    };
    for (id, path) in [(1, b"a"), (2, b"b")] {
        let exchange = solo.hear_request(&upload(id, path, 0));
        solo.peer.receive(solo.now, exchange, Receive::Reassemble);
        assert_eq!(head(&mut solo).code, Code::CONTINUE);
    }
    let third = solo.hear_request(&upload(3, b"c", 0));
    solo.peer.receive(solo.now, third, Receive::Reassemble);
    assert_eq!(head(&mut solo).code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(solo.events(), [Seen::Aborted { exchange: third, why: Abort::NoRoom }]);
}

#[test]
fn an_upload_that_stops_is_aborted_and_its_rest_is_4_08() {
    let mut solo = Solo::new(Config::default());
    let exchange = solo.hear_request(&put(1, 0, true, BlockSize::B16, None, &[1; 16]));
    solo.peer.receive(solo.now, exchange, Receive::Stream);
    solo.peer.chunk_done(solo.now, exchange, Ok(()));
    solo.say();
    solo.pass(248.0);
    assert_eq!(solo.events(), [Seen::Aborted { exchange, why: Abort::TimedOut }]);
    assert_eq!(solo.hear(&put(2, 1, false, BlockSize::B16, None, &[1; 16])), None);
    assert_eq!(head(&mut solo).code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn a_streamed_block_is_acknowledged_when_it_is_stored() {
    let mut solo = Solo::new(Config::default());
    let exchange = solo.hear_request(&put(1, 0, true, BlockSize::B16, None, &[1; 16]));
    solo.peer.receive(solo.now, exchange, Receive::Stream);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new(), "the first block is being stored");
    // Another block before its time, with the first one still being stored.
    assert_eq!(solo.hear(&put(2, 1, true, BlockSize::B16, None, &[2; 16])), None);
    assert_eq!(head(&mut solo).code, Code::REQUEST_ENTITY_INCOMPLETE);
    // The disk is slow: an empty ACK, and the 2.31 by itself.
    solo.pass(1.0);
    assert_eq!(head(&mut solo).code, Code::EMPTY);
    solo.peer.chunk_done(solo.now, exchange, Ok(()));
    let answer = solo.say_one();
    assert_eq!(
        (Message::parse(&answer).unwrap().kind, Message::parse(&answer).unwrap().code),
        (MessageType::Con, Code::CONTINUE)
    );
    let Some(Seen::Chunk { offset: 16, bytes, last: true, .. }) =
        solo.hear(&put(3, 1, false, BlockSize::B16, None, &[3; 8]))
    else {
        panic!()
    };
    assert_eq!(bytes, [3; 8]);
    solo.peer.chunk_done(solo.now, exchange, Ok(()));
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new(), "the last one waits for the answer");
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CHANGED));
    assert_eq!(head(&mut solo).code, Code::CHANGED);
}

#[test]
fn a_block_that_cannot_be_stored_ends_the_upload() {
    let mut solo = Solo::new(Config::default());
    let exchange = solo.hear_request(&put(1, 0, true, BlockSize::B16, None, &[1; 16]));
    solo.peer.receive(solo.now, exchange, Receive::Stream);
    solo.peer.chunk_done(solo.now, exchange, Err(Code::INTERNAL_SERVER_ERROR));
    assert_eq!(head(&mut solo).code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(solo.hear(&put(2, 1, true, BlockSize::B16, None, &[2; 16])), None);
    assert_eq!(head(&mut solo).code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn an_upload_may_be_refused_by_its_first_block() {
    let mut pair = Pair::new();
    pair.server.engine(|peer, now, seen| {
        if let Seen::Upload { exchange, .. } = seen {
            peer.respond(now, *exchange, Reply::new(Code::METHOD_NOT_ALLOWED));
        }
    });
    pair.client.peer.request(pair.now(), Outgoing::new(Code::PUT).path(&["large"]).body(&pattern(5000)));
    pair.run(100.0);
    let [Seen::Response { head, .. }] = &pair.client.seen[..] else { panic!() };
    assert_eq!((head.code, pair.sent_by_client().len()), (Code::METHOD_NOT_ALLOWED, 1));
}

/// Section 2.9.3: a 4.13 with a smaller size in Block1 asks for another try with that.
#[test]
fn a_4_13_with_a_smaller_block_size_is_tried_again() {
    let mut solo = Solo::new(Config::default());
    solo.peer.request(solo.now, Outgoing::new(Code::PUT).path(&["large"]).body(&pattern(2000)));
    let sent = solo.say_one();
    let request = Message::parse(&sent).unwrap();
    let options: [(u16, &[u8]); 1] = [(option::BLOCK1, &[0x02])];
    let answer =
        message(MessageType::Ack, Code::REQUEST_ENTITY_TOO_LARGE, request.id, request.token.as_bytes(), &options, b"");
    assert_eq!(solo.hear(&answer), None);
    let again = head(&mut solo);
    assert_eq!(again.block1, Some(Block { number: 0, more: true, size: BlockSize::B64 }));
}

/// Section 3.3, figure 11: a large body each way.
#[test]
fn a_post_may_have_large_bodies_both_ways() {
    let mut pair = Pair::new();
    pair.server.engine(|peer, now, seen| match seen {
        Seen::Upload { exchange, .. } => peer.receive(now, *exchange, Receive::Reassemble),
        Seen::Request { exchange, payload, .. } => {
            let echo: Vec<u8> = payload.iter().rev().copied().collect();
            peer.respond(now, *exchange, Reply::new(Code::CONTENT).body(&echo));
        }
        _ => {}
    });
    pair.client.peer.request(pair.now(), Outgoing::new(Code::POST).path(&["large"]).body(&pattern(5000)));
    pair.run(100.0);
    let [Seen::Response { payload, .. }] = &pair.client.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!(*payload, pattern(5000).into_iter().rev().collect::<Vec<_>>());
    assert_eq!(pair.server.requests(), 1);
}
