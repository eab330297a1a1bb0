//! What one request costs a peer, from datagram to datagram: `cargo bench -p lapwing-coap --bench peer`.
//!
//! The allocation columns are the point of half of these: in steady state there must be none.

use std::{sync::Arc, time::Duration};

use divan::{AllocProfiler, Bencher, black_box};
use lapwing_coap::{
    Code, ContentFormat, Message, MessageType, Token, Writer,
    peer::{Config, Event, Outgoing, Peer, Reply},
    wire::option,
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A server that has answered so many requests that its memory of answers is full, and a client's next requests.
struct Bench {
    peer: Peer,
    now: Duration,
    number: u32,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Bench {
    fn new(code: Code, path: &[&str]) -> Self {
        let mut request = Vec::new();
        let mut writer = Writer::new(&mut request, MessageType::Con, code, 0, Token::from([0; 8]));
        for segment in path {
            writer.option_str(option::URI_PATH, segment);
        }
        writer.option_uint(option::ACCEPT, 11_542).finish();
        let peer = Peer::new(Arc::new(Config::default()), [7; 32]);
        Self { peer, now: Duration::from_secs(1), number: 0, request, buffer: Vec::new() }
    }

    fn warm(mut self, body: &[u8]) -> Self {
        for _ in 0..2000 {
            self.answer_next(body);
        }
        self
    }

    fn next_request(&mut self) {
        self.number += 1;
        self.now += Duration::from_micros(10);
        self.request[2..4].copy_from_slice(&(self.number as u16).to_be_bytes());
        self.request[4..8].copy_from_slice(&self.number.to_le_bytes());
    }

    fn answer_next(&mut self, body: &[u8]) -> usize {
        self.next_request();
        let Some(Event::Request(request)) = self.peer.handle_datagram(self.now, &self.request) else {
            panic!("the request was not handed out");
        };
        let exchange = request.exchange;
        let reply = Reply::new(Code::CONTENT).content_format(ContentFormat::TLV).body(body);
        self.peer.respond(self.now, exchange, reply);
        assert!(self.peer.poll_event().is_none());
        self.buffer.clear();
        let range = self.peer.poll_transmit(self.now, &mut self.buffer).expect("an answer");
        black_box(self.peer.poll_timeout());
        range.len()
    }
}

/// GET /3/0/0: an answer of 7 bytes.
#[divan::bench]
fn get_small(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(Code::GET, &["3", "0", "0"]).warm(b"Lapwing");
    bencher.bench_local(move || bench.answer_next(b"Lapwing"));
}

/// GET /3/0: an answer of 150 bytes.
#[divan::bench]
fn get_medium(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(Code::GET, &["3", "0"]).warm(&[7; 150]);
    bencher.bench_local(move || bench.answer_next(&[7; 150]));
}

/// The codec alone, for what it is of that: one parse and one write.
#[divan::bench]
fn codec_alone(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(Code::GET, &["3", "0", "0"]);
    bencher.bench_local(move || {
        bench.next_request();
        bench.buffer.clear();
        let message = Message::parse(black_box(&bench.request)).expect("a request");
        let path: usize = message.options.uri_path().map(str::len).sum();
        Writer::new(&mut bench.buffer, MessageType::Ack, Code::CONTENT, message.id, message.token)
            .option_uint(option::CONTENT_FORMAT, 11_542)
            .payload(b"Lapwing")
            .finish()
            .len()
            + path
    });
}

/// A duplicate of a GET.
#[divan::bench]
fn duplicate(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(Code::GET, &["3", "0", "0"]).warm(b"Lapwing");
    bencher.bench_local(move || {
        assert!(bench.peer.handle_datagram(bench.now, &bench.request).is_none());
        bench.buffer.clear();
        bench.peer.poll_transmit(bench.now, &mut bench.buffer).expect("the same answer").len()
    });
}

/// An own GET with its piggy-backed response.
#[divan::bench]
fn own_request(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(Code::GET, &[]);
    bencher.bench_local(move || {
        bench.now += Duration::from_micros(10);
        bench.peer.request(bench.now, Outgoing::new(Code::GET).path(&["3", "0", "0"]));
        bench.buffer.clear();
        let range = bench.peer.poll_transmit(bench.now, &mut bench.buffer).expect("a request");
        let sent = Message::parse(&bench.buffer[range]).expect("a message");
        bench.request.clear();
        Writer::new(&mut bench.request, MessageType::Ack, Code::CONTENT, sent.id, sent.token)
            .payload(b"Lapwing")
            .finish();
        assert!(bench.peer.handle_datagram(bench.now, &bench.request).is_some());
    });
}

/// A confirmable notification and its acknowledgement.
#[divan::bench]
fn notification(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(Code::GET, &[]);
    bench.request.clear();
    let token = Token::from([1; 8]);
    Writer::new(&mut bench.request, MessageType::Con, Code::GET, 1, token).option_uint(option::OBSERVE, 0).finish();
    let Some(Event::Request(request)) = bench.peer.handle_datagram(bench.now, &bench.request) else { panic!() };
    let exchange = request.exchange;
    bench.peer.respond(bench.now, exchange, Reply::new(Code::CONTENT).observe(true));
    while bench.peer.poll_transmit(bench.now, &mut bench.buffer).is_some() {}
    bencher.bench_local(move || {
        bench.now += Duration::from_micros(10);
        bench.peer.notify(bench.now, token, Reply::new(Code::CONTENT).body(b"21.5"), true);
        bench.buffer.clear();
        let range = bench.peer.poll_transmit(bench.now, &mut bench.buffer).expect("a notification");
        let sent = Message::parse(&bench.buffer[range]).expect("a message");
        bench.request.clear();
        Writer::empty(&mut bench.request, MessageType::Ack, sent.id);
        assert!(bench.peer.handle_datagram(bench.now, &bench.request).is_none());
        assert!(bench.peer.poll_event().is_some());
    });
}
