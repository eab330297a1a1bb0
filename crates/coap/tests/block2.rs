//! Responses in blocks (RFC 7959 section 2.4), both roles.

mod common;

use common::{Head, Pair, Seen, Solo, message, pattern, seconds};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType,
    peer::{Abort, Config, Failure, Outgoing, Reply, Timer},
    wire::option,
};
use sim::{Cable, World};

fn block(number: u32, more: bool, size: BlockSize) -> Block {
    Block { number, more, size }
}

/// `GET /large` by hand, for one block.
fn get_block(id: u16, block: Option<Block>) -> Vec<u8> {
    let value = block.map(|block| block.encode().to_be_bytes());
    let mut options: Vec<(u16, &[u8])> = vec![(option::URI_PATH, b"large")];
    if let Some(value) = &value {
        options.push((option::BLOCK2, &value[1..]));
    }
    message(MessageType::Con, Code::GET, id, &id.to_be_bytes(), &options, b"")
}

fn small_blocks(size: BlockSize) -> Config {
    let mut config = Config::default();
    config.block_size = size;
    config
}

fn fetch(client: Config, server: Config, length: usize) -> Pair {
    let mut pair = Pair::with(client, server, World::seeded(1));
    pair.server.answer(Code::CONTENT, &pattern(length));
    pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["large"]));
    pair.run(100.0);
    pair
}

#[track_caller]
fn assert_fetched(pair: &Pair, length: usize, messages: usize) {
    let [Seen::Response { head, payload, .. }] = &pair.client.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!((head.code, payload), (Code::CONTENT, &pattern(length)));
    assert_eq!(pair.sent_by_client().len(), messages, "{}", pair.ladder());
    assert_eq!(pair.server.requests(), 1, "the engine made the body once");
}

#[test]
fn a_body_of_any_length_comes_over_whole() {
    for length in [0, 1, 1023, 1024, 1025, 2048, 2049, 65_535, 65_536] {
        let pair = fetch(Config::default(), Config::default(), length);
        assert_fetched(&pair, length, length.div_ceil(1024).max(1));
    }
}

/// Early negotiation: the client names a block size in its first request (section 2.4, figure 2).
#[test]
fn the_client_negotiates_early() {
    let pair = fetch(small_blocks(BlockSize::B64), Config::default(), 1000);
    assert_fetched(&pair, 1000, 16);
    assert!(pair.sent_by_server().iter().all(|(_, datagram)| Message::parse(datagram).unwrap().payload.len() <= 64));
}

/// Late negotiation: the server begins with its own size (figure 3), and the client may ask for smaller ones then (figure 4).
#[test]
fn the_server_chooses_and_the_client_follows() {
    let pair = fetch(Config::default(), small_blocks(BlockSize::B128), 1000);
    assert_fetched(&pair, 1000, 8);
}

#[test]
fn a_client_negotiates_late() {
    let mut solo = Solo::new(Config::default());
    let exchange = solo.hear_request(&get_block(1, None));
    let body = pattern(3000);
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&body));
    let first = Head::of(&Message::parse(&solo.say_one()).unwrap());
    assert_eq!((first.block2, first.size2), (Some(block(0, true, BlockSize::B1024)), Some(3000)));
    // 1,024 bytes are 16 blocks of 64.
    assert_eq!(solo.hear(&get_block(2, Some(block(16, false, BlockSize::B64)))), None, "not the engine's business");
    let second = solo.say_one();
    let second = Message::parse(&second).unwrap();
    assert_eq!(second.payload, &body[1024..1088]);
    assert_eq!(Head::of(&second).block2, Some(block(16, true, BlockSize::B64)));
    assert_eq!(Head::of(&second).etag, first.etag);
    assert!(first.etag.is_some());
}

#[test]
fn blocks_of_a_snapshot_are_served_in_any_order_until_it_expires() {
    let mut solo = Solo::new(Config::default());
    let body = pattern(5000);
    let exchange = solo.hear_request(&get_block(1, None));
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&body));
    solo.say();
    for (id, number) in [(2, 4), (3, 1), (4, 3), (5, 1)] {
        assert_eq!(solo.hear(&get_block(id, Some(block(number, false, BlockSize::B1024)))), None);
        let answer = solo.say_one();
        let start = number as usize * 1024;
        assert_eq!(Message::parse(&answer).unwrap().payload, &body[start..(start + 1024).min(5000)]);
    }
    assert_eq!(solo.hear(&get_block(6, Some(block(5, false, BlockSize::B1024)))), None);
    assert_eq!(Message::parse(&solo.say_one()).unwrap().code, Code::BAD_REQUEST, "beyond the end");
    assert!((5000..5100).contains(&solo.peer.memory().snapshots));
    assert_eq!(solo.peer.poll_timeout().unwrap().1, Timer::Transfer);
    solo.pass(248.0);
    assert_eq!(solo.peer.memory().snapshots, 0);
    // Now the engine is asked again, and the block is cut from its new answer.
    let exchange = solo.hear_request(&get_block(7, Some(block(2, false, BlockSize::B1024))));
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&body));
    let answer = solo.say_one();
    assert_eq!(Message::parse(&answer).unwrap().payload, &body[2048..3072]);
}

/// The answer to a POST cannot be made again for a lost snapshot.
#[test]
fn a_late_block_of_the_answer_to_a_post_is_4_08() {
    let mut solo = Solo::new(Config::default());
    let options: [(u16, &[u8]); 2] = [(option::URI_PATH, b"3"), (option::BLOCK2, &[0x16])];
    assert_eq!(solo.hear(&message(MessageType::Con, Code::POST, 1, b"t", &options, b"")), None);
    assert_eq!(Message::parse(&solo.say_one()).unwrap().code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn snapshots_are_told_apart_by_their_requests_and_the_oldest_gives_way() {
    let mut solo = Solo::new(Config::default());
    let ask = |id: u16, path: &[u8], number: u8| {
        let options: [(u16, &[u8]); 2] = [(option::URI_PATH, path), (option::BLOCK2, &[number << 4 | 6])];
        message(MessageType::Con, Code::GET, id, b"t", &options, b"")
    };
    for (id, path) in [(1, b"a"), (2, b"b"), (3, b"c")] {
        let exchange = solo.hear_request(&ask(id, path, 0));
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&[path[0]; 30_000]));
        solo.say();
    }
    assert!(solo.peer.memory().snapshots <= 64 * 1024);
    for (id, path) in [(4, b"b"), (5, b"c")] {
        assert_eq!(solo.hear(&ask(id, path, 7)), None);
        assert_eq!(Message::parse(&solo.say_one()).unwrap().payload, [path[0]; 1024]);
    }
    assert!(matches!(solo.hear(&ask(6, b"a", 7)), Some(Seen::Request { .. })), "the first had to go");
}

#[test]
fn a_reserved_block_size_is_a_bad_request() {
    for number in [option::BLOCK1, option::BLOCK2] {
        let mut solo = Solo::new(Config::default());
        assert_eq!(solo.hear(&message(MessageType::Con, Code::PUT, 1, b"t", &[(number, &[7])], b"")), None);
        assert_eq!(Message::parse(&solo.say_one()).unwrap().code, Code::BAD_REQUEST);
    }
}

/// Section 2.4: all blocks must be of one representation; the entity-tag tells.
#[test]
fn a_representation_that_changes_is_fetched_anew() {
    let mut solo = Solo::new(Config::default());
    solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["large"]));
    let mut asked = Vec::new();
    let mut reply = |solo: &mut Solo, etag: &[u8], number: u32, more: bool, byte: u8| {
        let sent = solo.say_one();
        let request = Message::parse(&sent).unwrap();
        asked.push(Head::of(&request).block2.map(|block| block.number));
        let value = block(number, more, BlockSize::B1024).encode() as u8;
        let options: [(u16, &[u8]); 2] = [(option::ETAG, etag), (option::BLOCK2, &[value])];
        let payload = vec![byte; if more { 1024 } else { 10 }];
        solo.hear(&message(MessageType::Ack, Code::CONTENT, request.id, request.token.as_bytes(), &options, &payload))
    };
    assert_eq!(reply(&mut solo, b"old", 0, true, 1), None);
    assert_eq!(reply(&mut solo, b"new", 1, false, 2), None);
    assert_eq!(reply(&mut solo, b"new", 0, true, 2), None);
    let Some(Seen::Response { payload, .. }) = reply(&mut solo, b"new", 1, false, 2) else { panic!() };
    assert_eq!(payload, vec![2; 1034]);
    assert_eq!(asked, [None, Some(1), Some(0), Some(1)]);
}

#[test]
fn blocks_that_do_not_fit_together_fail_the_request() {
    for (number, length) in [(2, 1024), (1, 1000)] {
        let mut solo = Solo::new(Config::default());
        let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["large"]));
        for (number, length) in [(0, 1024), (number, length)] {
            let sent = solo.say_one();
            let asked = Message::parse(&sent).unwrap();
            let value = block(number, true, BlockSize::B1024).encode() as u8;
            let payload = vec![0; length];
            let options: [(u16, &[u8]); 1] = [(option::BLOCK2, &[value])];
            solo.hear(&message(MessageType::Ack, Code::CONTENT, asked.id, asked.token.as_bytes(), &options, &payload));
        }
        assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::BlockWise }]);
        assert_eq!(solo.peer.memory().bodies_in, 0);
    }
}

#[test]
fn a_body_beyond_the_limit_fails_the_request() {
    let mut config = Config::default();
    config.max_body = 4096;
    let pair = fetch(config, Config::default(), 5000);
    assert!(matches!(pair.client.seen[..], [Seen::Failed { why: Failure::TooLarge, .. }]));
    assert_eq!(pair.client.peer.memory().bodies_in, 0);
}

#[test]
fn an_answer_beyond_the_limit_is_5_00() {
    let mut config = Config::default();
    config.max_body = 4096;
    let pair = fetch(Config::default(), config, 5000);
    let [Seen::Response { head, .. }] = &pair.client.seen[..] else { panic!() };
    assert_eq!(head.code, Code::INTERNAL_SERVER_ERROR);
}

#[test]
fn an_error_in_the_middle_is_the_response() {
    let mut pair = Pair::new();
    pair.server.answer(Code::CONTENT, &pattern(3000));
    let (mut number, server) = (0, pair.server.address);
    pair.world.lose_when(move |from, _, _| {
        number += u8::from(from != server);
        from != server && number == 2
    });
    pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["large"]));
    pair.run(1.0);
    // The snapshot goes meanwhile, and so does what it was made of.
    pair.server.peer.handle_timeout(seconds(500.0));
    pair.server.answer(Code::NOT_FOUND, b"");
    pair.run(100.0);
    let [Seen::Response { head, payload, .. }] = &pair.client.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!((head.code, payload.len()), (Code::NOT_FOUND, 0));
    assert_eq!(pair.client.peer.memory().bodies_in, 0);
}

#[test]
fn a_large_body_comes_over_a_cable_that_loses_doubles_and_reorders() {
    for seed in 0..50 {
        let cable = Cable::new().latency(seconds(0.05)).loss(0.1).duplication(0.1).reordering(0.1, seconds(1.0));
        let mut pair = Pair::with(Config::default(), Config::default(), World::seeded(seed).cable(cable));
        pair.server.answer(Code::CONTENT, &pattern(20_000));
        pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["large"]));
        pair.run(1000.0);
        let [Seen::Response { payload, .. }] = &pair.client.seen[..] else { panic!("seed {seed}: {}", pair.ladder()) };
        assert_eq!(*payload, pattern(20_000), "seed {seed}");
    }
}

#[test]
fn a_streamed_answer_is_aborted_when_its_client_goes_away_or_begins_anew() {
    let mut solo = Solo::new(Config::default());
    let exchange = solo.hear_request(&get_block(1, None));
    solo.peer.respond_streamed(solo.now, exchange, Reply::new(Code::CONTENT), None);
    assert_eq!(solo.events(), [Seen::Pull { exchange, offset: 0, length: 1024 }]);
    solo.peer.supply(solo.now, exchange, 0, &[1; 1024], false);
    solo.say_one();
    let anew = solo.hear_request(&get_block(2, None));
    assert_eq!(solo.events(), [Seen::Aborted { exchange, why: Abort::Restarted }]);
    solo.peer.respond_streamed(solo.now, anew, Reply::new(Code::CONTENT), None);
    solo.events();
    solo.peer.supply(solo.now, anew, 0, &[1; 1024], false);
    solo.pass(248.0);
    assert_eq!(solo.events(), [Seen::Aborted { exchange: anew, why: Abort::TimedOut }]);
}

/// Block 1,048,575 of 1,024 bytes cannot be named in blocks of 16.
#[test]
fn a_block_that_has_no_number_in_the_size_of_this_end_is_a_bad_request() {
    let mut solo = Solo::new(small_blocks(BlockSize::B16));
    let exchange = solo.hear_request(&get_block(1, None));
    solo.peer.respond_streamed(solo.now, exchange, Reply::new(Code::CONTENT), None);
    solo.peer.supply(solo.now, exchange, 0, &[1; 16], false);
    solo.say();
    assert_eq!(solo.hear(&get_block(2, Some(block(Block::MAX_NUMBER, false, BlockSize::B1024)))), None);
    assert_eq!(Message::parse(&solo.say_one()).unwrap().code, Code::BAD_REQUEST);
    let next = solo.hear(&get_block(3, Some(block(1, false, BlockSize::B16))));
    assert_eq!(next, Some(Seen::Pull { exchange, offset: 16, length: 16 }));
}

/// A body that fits into one block has the option only if it was asked for in blocks.
#[test]
fn a_small_body_is_one_block_where_blocks_were_asked_for() {
    for asked in [None, Some(block(0, false, BlockSize::B64))] {
        let mut solo = Solo::new(Config::default());
        let exchange = solo.hear_request(&get_block(1, asked));
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(b"small"));
        let answer = Head::of(&Message::parse(&solo.say_one()).unwrap());
        assert_eq!((answer.block2, answer.etag, solo.peer.memory().snapshots), (asked, None, 0));
    }
}

/// A response that is told twice while its first block is being stored is not the next block.
#[test]
fn a_block_that_comes_while_the_one_before_is_stored_is_ignored() {
    let mut solo = Solo::new(Config::default());
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["large"]).streamed_response());
    let sent = solo.say_one();
    let token = Message::parse(&sent).unwrap().token;
    let say = |id: u16| {
        let options: [(u16, &[u8]); 1] = [(option::BLOCK2, &[0x08])];
        message(MessageType::Non, Code::CONTENT, id, token.as_bytes(), &options, &[1; 16])
    };
    assert!(matches!(solo.hear(&say(1)), Some(Seen::Download { last: false, .. })));
    assert_eq!(solo.hear(&say(2)), None);
    solo.peer.download_done(solo.now, request);
    let next = Head::of(&Message::parse(&solo.say_one()).unwrap());
    assert_eq!(next.block2, Some(block(1, false, BlockSize::B16)));
}
