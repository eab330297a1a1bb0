//! Streamed bodies: 300 MB hold one block in memory, in both roles and directions, and wait for who stores them (RFC 7959).

mod common;

use std::{cell::Cell, rc::Rc};

use common::{Pair, Seen, byte_at};
use lapwing_coap::{
    Code,
    peer::{Config, Memory, Outgoing, Peer, Receive, Reply},
};
use sim::World;

/// Not a multiple of the block size.
const LENGTH: u64 = 300_000_123;

/// A block of the body, made when it is wanted.
fn block(offset: u64, length: usize) -> (Vec<u8>, bool) {
    let length = (LENGTH - offset).min(length as u64);
    ((offset..offset + length).map(byte_at).collect(), offset + length == LENGTH)
}

/// Takes a body in, block by block.
#[derive(Clone, Default)]
struct Sink(Rc<Cell<u64>>);

impl Sink {
    fn take(&self, offset: u64, bytes: &[u8]) {
        assert_eq!(offset, self.0.get(), "in order, each once");
        assert!(bytes.iter().zip(offset..).all(|(byte, place)| *byte == byte_at(place)));
        self.0.set(offset + bytes.len() as u64);
    }
}

/// The most that either peer held at any time.
#[derive(Clone, Default)]
struct Peak(Rc<Cell<usize>>);

impl Peak {
    fn note(&self, peer: &Peer) {
        let Memory { bodies_in, snapshots, exchanges, .. } = peer.memory();
        self.0.set(self.0.get().max(bodies_in + snapshots + exchanges));
    }
}

fn run(pair: &mut Pair) {
    // What was seen would be the body once more.
    while pair.client.seen.iter().all(|seen| !matches!(seen, Seen::Response { .. } | Seen::Download { last: true, .. }))
    {
        pair.client.seen.clear();
        pair.server.seen.clear();
        let before = pair.now();
        pair.run(0.01);
        assert!(pair.world.next_at().is_some() || !pair.client.seen.is_empty(), "it stands still at {before:?}");
    }
}

fn pair() -> Pair {
    let cable = sim::Cable::new().latency(std::time::Duration::from_micros(10));
    Pair::with(Config::default(), Config::default(), World::seeded(1).cable(cable).trace_limit(100))
}

#[test]
fn an_upload_of_300_mb_holds_one_block() {
    let (mut pair, sink, peak) = (pair(), Sink::default(), Peak::default());
    let (at_server, high) = (sink.clone(), peak.clone());
    pair.server.engine(move |peer, now, seen| {
        high.note(peer);
        match seen {
            Seen::Upload { exchange, head, payload } => {
                assert_eq!(head.size1, Some(LENGTH as u32));
                peer.receive(now, *exchange, Receive::Stream);
                at_server.take(0, payload);
                peer.chunk_done(now, *exchange, Ok(()));
            }
            Seen::Chunk { exchange, offset, bytes, last } => {
                at_server.take(*offset, bytes);
                peer.chunk_done(now, *exchange, Ok(()));
                if *last {
                    peer.respond(now, *exchange, Reply::new(Code::CHANGED));
                }
            }
            other => panic!("{other:?}"),
        }
    });
    let high = peak.clone();
    pair.client.engine(move |peer, now, seen| {
        high.note(peer);
        if let Seen::PullRequest { request, offset, length } = seen {
            let (bytes, last) = block(*offset, *length);
            peer.supply_request(now, *request, *offset, &bytes, last);
        }
    });
    pair.client.peer.request(pair.now(), Outgoing::new(Code::PUT).path(&["5", "0", "0"]).streamed_body(Some(LENGTH)));
    run(&mut pair);
    assert_eq!(sink.0.get(), LENGTH);
    assert!(peak.0.get() < 16 * 1024, "{} bytes", peak.0.get());
    assert_eq!(pair.server.peer.counters().overload, 0);
}

#[test]
fn a_download_of_300_mb_holds_one_block() {
    let (mut pair, sink, peak) = (pair(), Sink::default(), Peak::default());
    let high = peak.clone();
    pair.server.engine(move |peer, now, seen| {
        high.note(peer);
        match seen {
            Seen::Request { exchange, .. } => {
                peer.respond_streamed(now, *exchange, Reply::new(Code::CONTENT), Some(LENGTH));
            }
            Seen::Pull { exchange, offset, length } => {
                let (bytes, last) = block(*offset, *length);
                peer.supply(now, *exchange, *offset, &bytes, last);
            }
            other => panic!("{other:?}"),
        }
    });
    let (at_client, high) = (sink.clone(), peak.clone());
    pair.client.engine(move |peer, now, seen| {
        high.note(peer);
        if let Seen::Download { request, offset, payload, .. } = seen {
            at_client.take(*offset, payload);
            peer.download_done(now, *request);
        }
    });
    pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["large"]).streamed_response());
    run(&mut pair);
    assert_eq!(sink.0.get(), LENGTH);
    assert!(peak.0.get() < 16 * 1024, "{} bytes", peak.0.get());
}

/// Nothing is asked for while a block is being stored.
#[test]
fn a_download_waits_for_who_stores_it() {
    let mut pair = Pair::new();
    pair.server.answer(Code::CONTENT, &common::pattern(3000));
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["large"]).streamed_response());
    for (number, last) in [(1, false), (2, false), (3, true)] {
        pair.run(200.0);
        assert_eq!(pair.sent_by_client().len(), number);
        let [Seen::Download { offset, last: was_last, .. }] = &pair.client.take()[..] else {
            panic!("{}", pair.ladder())
        };
        assert_eq!((*offset, *was_last), ((number as u64 - 1) * 1024, last));
        let now = pair.now();
        pair.client.peer.download_done(now, request);
    }
}

/// Nothing is sent while the body is being read.
#[test]
fn an_upload_waits_for_its_source() {
    let mut pair = Pair::new();
    pair.server.engine(|peer, now, seen| match seen {
        Seen::Upload { exchange, .. } => peer.receive(now, *exchange, Receive::Reassemble),
        Seen::Request { exchange, .. } => peer.respond(now, *exchange, Reply::new(Code::CHANGED)),
        _ => {}
    });
    pair.client.peer.request(pair.now(), Outgoing::new(Code::PUT).path(&["large"]).streamed_body(None));
    for number in 0..3 {
        pair.run(100.0);
        assert_eq!(pair.sent_by_client().len(), number as usize);
        let [Seen::PullRequest { request, offset, length }] = pair.client.take()[..] else {
            panic!("{}", pair.ladder())
        };
        assert_eq!((offset, length), (number * 1024, 1024));
        let bytes = vec![number as u8; if number == 2 { 5 } else { 1024 }];
        let now = pair.now();
        pair.client.peer.supply_request(now, request, offset, &bytes, number == 2);
    }
    pair.run(100.0);
    assert!(matches!(pair.client.take()[..], [Seen::Response { .. }]));
    let whole = pair.server.seen.iter().find_map(|seen| match seen {
        Seen::Request { payload, .. } => Some(payload.len()),
        _ => None,
    });
    assert_eq!(whole, Some(2053));
}
