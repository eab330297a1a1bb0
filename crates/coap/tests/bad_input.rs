//! Whatever comes in: no panic, bounded memory, and an answer only where RFC 7252 section 4 has one.

mod common;

use std::time::Duration;

use common::{Seen, Solo, get, message, post};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType, Token,
    peer::{Config, Offer, Outgoing, Receive, Reply},
    wire::{describe, option},
};
use sim::Random;

/// An engine that does something with each event, mostly what is right, and sometimes begins something by itself.
struct Engine {
    solo: Solo,
    random: Random,
    /// Replies to what the peer has asked for, as its other end would make them.
    replies: Vec<Vec<u8>>,
    observers: Vec<Token>,
}

impl Engine {
    fn new(seed: u64, block_size: BlockSize) -> Self {
        let mut config = Config::default();
        config.block_size = block_size;
        config.transmission.nstart = 4;
        let mut solo = Solo::new(config);
        solo.peer.offer_q_block2([Offer::Nobody, Offer::Reachable, Offer::Anybody][(seed % 3) as usize]);
        Self { solo, random: Random::seeded(seed), replies: Vec::new(), observers: Vec::new() }
    }

    fn hear(&mut self, datagram: &[u8]) {
        if let Some(seen) = self.solo.hear(datagram) {
            self.act(&seen);
        }
        for seen in self.solo.events() {
            self.act(&seen);
        }
        for said in self.solo.say() {
            self.reply(&said);
        }
    }

    fn act(&mut self, seen: &Seen) {
        let (peer, now, random) = (&mut self.solo.peer, self.solo.now, &mut self.random);
        let body = vec![7; [0, 5, 1024, 3000][random.below(4)]];
        match seen {
            Seen::Request { exchange, head, .. } => match random.below(8) {
                0 => {}
                1 => peer.drop_exchange(*exchange),
                2 => peer.respond_streamed(now, *exchange, Reply::new(Code::CONTENT), None),
                _ => {
                    let reply = Reply::new(Code::CONTENT).body(&body).observe(true);
                    peer.respond(now, *exchange, reply);
                    self.observers.push(head.token);
                }
            },
            Seen::Upload { exchange, .. } => match random.below(4) {
                0 => peer.respond(now, *exchange, Reply::new(Code::NOT_FOUND)),
                1 => {
                    peer.receive(now, *exchange, Receive::Stream);
                    peer.chunk_done(now, *exchange, Ok(()));
                }
                _ => peer.receive(now, *exchange, Receive::Reassemble),
            },
            Seen::Chunk { exchange, last: true, .. } => peer.respond(now, *exchange, Reply::new(Code::CHANGED)),
            Seen::Chunk { exchange, .. } => peer.chunk_done(now, *exchange, Ok(())),
            Seen::Pull { exchange, offset, length } => {
                peer.supply(now, *exchange, *offset, &vec![7; *length], random.below(3) == 0);
            }
            Seen::PullRequest { request, offset, length } => {
                peer.supply_request(now, *request, *offset, &vec![7; *length], random.below(3) == 0);
            }
            Seen::Download { request, .. } => peer.download_done(now, *request),
            _ => {}
        }
    }

    /// What the other end could say to this.
    fn reply(&mut self, said: &[u8]) {
        let said = Message::parse(said).unwrap_or_else(|error| panic!("it has sent {}: {error}", describe(said)));
        if said.kind == MessageType::Con {
            let kind = if self.random.below(4) == 0 { MessageType::Rst } else { MessageType::Ack };
            self.replies.push(message(kind, Code::EMPTY, said.id, b"", &[], b""));
        }
        if said.code.is_request() {
            let number = said.options.block2().unwrap().map_or(0, |block| block.number);
            let block = Block { number, more: self.random.below(4) != 0, size: BlockSize::B64 };
            let block = block.encode().to_be_bytes();
            let observe = [self.random.below(200) as u8];
            let options: [(u16, &[u8]); 2] = [(option::OBSERVE, &observe), (option::BLOCK2, &block[1..])];
            let kinds = [MessageType::Ack, MessageType::Con, MessageType::Non];
            let kind = kinds[self.random.below(3)];
            let code = [Code::CONTENT, Code::CONTINUE, Code::NOT_FOUND][self.random.below(3)];
            let count = self.random.below(3);
            self.replies.push(message(kind, code, said.id, said.token.as_bytes(), &options[..count], &[1; 64]));
        }
        if self.replies.len() > 64 {
            self.replies.drain(..32);
        }
    }

    fn begin_something(&mut self) {
        let (peer, now) = (&mut self.solo.peer, self.solo.now);
        let get = Outgoing::new(Code::GET).path(&["3"]);
        let request = match self.random.below(6) {
            0 => peer.request(now, get),
            1 => peer.request(now, get.observe()),
            2 => peer.request(now, get.streamed_response().non_confirmable()),
            3 => peer.request(now, Outgoing::new(Code::PUT).body(&[3; 5000])),
            4 => peer.request(now, Outgoing::new(Code::PUT).streamed_body(None)),
            _ => peer.ping(now),
        };
        if self.random.below(3) == 0 {
            peer.cancel_observation(now, request, get);
        }
        if let Some(token) = self.observers.pop() {
            let body = vec![1; self.random.below(3000)];
            peer.notify(now, token, Reply::new(Code::CONTENT).body(&body), self.random.below(2) == 0);
        }
        self.observers.truncate(8);
    }
}

/// One of each kind of message that a peer may hear.
fn valid() -> Vec<Vec<u8>> {
    let put = |id: u16, number: u32, more: bool, length: usize| {
        let block = Block { number, more, size: BlockSize::B64 }.encode().to_be_bytes();
        let options: [(u16, &[u8]); 3] =
            [(option::URI_PATH, b"5"), (option::BLOCK1, &block[1..]), (option::SIZE1, &[1, 0])];
        message(MessageType::Con, Code::PUT, id, b"put", &options, &vec![5; length])
    };
    let block2: [(u16, &[u8]); 2] = [(option::URI_PATH, b"3"), (option::BLOCK2, &[0x16])];
    let q_block2: [(u16, &[u8]); 3] =
        [(option::URI_PATH, b"3"), (option::Q_BLOCK2, &[0x02]), (option::Q_BLOCK2, &[0x1a])];
    let observe: [(u16, &[u8]); 2] = [(option::OBSERVE, b""), (option::URI_PATH, b"3")];
    let proxy: [(u16, &[u8]); 1] = [(option::PROXY_URI, b"coap://x/y")];
    vec![
        get(MessageType::Con, 1, b"tok"),
        get(MessageType::Non, 2, b"token678"),
        post(MessageType::Con, 3, b""),
        put(4, 0, true, 64),
        put(5, 1, true, 64),
        put(6, 2, false, 10),
        message(MessageType::Con, Code::GET, 7, b"blk", &block2, b""),
        message(MessageType::Con, Code::GET, 8, b"obs", &observe, b""),
        message(MessageType::Con, Code::GET, 9, b"prx", &proxy, b""),
        message(MessageType::Con, Code::FETCH, 10, b"fet", &block2, b"[\"/3\"]"),
        message(MessageType::Con, Code::CONTENT, 11, b"nobody", &[], b"x"),
        message(MessageType::Ack, Code::EMPTY, 12, b"", &[], b""),
        message(MessageType::Rst, Code::EMPTY, 13, b"", &[], b""),
        message(MessageType::Con, Code::EMPTY, 14, b"", &[], b""),
        message(MessageType::Con, Code::GET, 15, b"set", &q_block2, b""),
        message(MessageType::Non, Code::GET, 16, b"set", &q_block2, b""),
    ]
}

#[test]
fn every_truncation_of_every_kind_of_message() {
    let mut engine = Engine::new(1, BlockSize::B1024);
    for datagram in valid() {
        for length in 0..=datagram.len() {
            engine.hear(&datagram[..length]);
            assert!(engine.solo.peer.memory().bounded() <= 192 * 1024);
        }
    }
    assert!(engine.solo.peer.counters().malformed > 0);
}

#[test]
fn a_million_mutations_and_as_many_in_smaller_blocks() {
    for block_size in [BlockSize::B1024, BlockSize::B16] {
        hear_mutations(Engine::new(2, block_size), 1_000_000);
    }
}

fn hear_mutations(mut engine: Engine, count: u32) {
    let corpus = valid();
    for number in 0..count {
        let replies = engine.replies.len();
        let mut datagram = match engine.random.below(3) {
            0 if replies > 0 => engine.replies[engine.random.below(replies)].clone(),
            _ => corpus[engine.random.below(corpus.len())].clone(),
        };
        for _ in 0..engine.random.below(4) {
            mutate(&mut datagram, &mut engine.random);
        }
        engine.hear(&datagram);
        if number.is_multiple_of(16) {
            engine.solo.now += Duration::from_millis(engine.random.below(400) as u64);
            if engine.solo.peer.poll_timeout().is_some_and(|(at, _)| at <= engine.solo.now) {
                engine.solo.pass(0.0);
            }
            engine.begin_something();
        }
        if number.is_multiple_of(64) {
            let memory = engine.solo.peer.memory();
            assert!(memory.bounded() <= 192 * 1024, "{memory:?}");
            assert!(memory.total() <= 1024 * 1024, "{memory:?}");
        }
    }
    let counters = engine.solo.peer.counters();
    assert!(counters.malformed > 10_000 && counters.unmatched > 10_000 && counters.bad_options > 1000, "{counters:?}");
    assert!(counters.gaps > 1000 && counters.stale > 0 && counters.duplicates > 1000, "{counters:?}");
    // In the end everything is given up or done, and nothing is left to wait for.
    for _ in 0..1000 {
        engine.solo.pass(1000.0);
        engine.solo.say();
        for seen in engine.solo.events() {
            if let Seen::PullRequest { request, .. } = seen {
                engine.solo.peer.cancel(request);
            }
        }
    }
    assert_eq!(engine.solo.peer.poll_timeout(), None);
    assert_eq!(engine.solo.peer.memory().bodies_in, 0);
}

fn mutate(datagram: &mut Vec<u8>, random: &mut Random) {
    let length = datagram.len();
    let place = random.below(length.max(1));
    match random.below(6) {
        0 if place < datagram.len() => datagram[place] ^= 1 << random.below(8),
        1 if place < datagram.len() => datagram[place] = random.below(256) as u8,
        2 => datagram.truncate(place),
        3 => datagram.insert(place, random.below(256) as u8),
        // Another message ID: what was mutated otherwise mostly is a new message.
        4 if length >= 4 => datagram[3] = datagram[3].wrapping_add(random.below(64) as u8),
        _ => datagram.extend((0..random.below(20)).map(|byte| byte as u8)),
    }
}

/// RFC 7252 section 4.2: a confirmable message that cannot be processed is reset, any other ignored.
#[test]
fn what_is_no_message_is_reset_only_if_it_is_confirmable() {
    let reserved_class = |first: u8| [first, 0x3f, 0x12, 0x34];
    for (datagram, answer) in [
        (&reserved_class(0x40)[..], Some(vec![0x70, 0, 0x12, 0x34])),
        (&reserved_class(0x50)[..], None),
        (&reserved_class(0x60)[..], None),
        (&reserved_class(0x70)[..], None),
        (&[0x49, 0x01, 0x12, 0x34][..], Some(vec![0x70, 0, 0x12, 0x34])),
        (&[0x80, 0x01, 0x12, 0x34][..], None),
        (&[0x40, 0x01, 0x12][..], None),
        (&[0x40, 0x01, 0x12, 0x34, 0xff][..], Some(vec![0x70, 0, 0x12, 0x34])),
    ] {
        let mut solo = Solo::new(Config::default());
        assert_eq!(solo.hear(datagram), None);
        assert_eq!(solo.say().pop(), answer, "{}", describe(datagram));
        assert_eq!(solo.peer.counters().malformed, 1);
    }
}
