//! What one remote end can make a peer hold: 192 KiB beyond observations, whatever it sends. Counted by the allocator.

mod common;
#[path = "common/meter.rs"]
mod meter;

use std::{sync::Arc, time::Duration};

use common::{get, message, post};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType, Token, Writer,
    peer::{Config, Event, ExchangeId, Peer, Receive, Reply},
    wire::option,
};
use meter::Meter;

const LIMIT: usize = 192 * 1024;
/// A body that is collected moves as it grows: for that moment its old place counts too, half of the longest body.
const MOVING: usize = 32 * 1024;
/// How far [`Peer::memory`] may be from what the allocator counts.
const MARGIN: usize = 1024;

/// A peer whose calls are measured, and which must be within its bound after each.
struct Measured {
    peer: Peer,
    now: Duration,
    meter: Meter,
    buffer: Vec<u8>,
    /// Messages sent.
    said: usize,
    /// Head of the last one.
    last: [u8; 4],
}

impl Measured {
    fn new() -> Self {
        let config = Arc::new(Config::default());
        let mut meter = Meter::default();
        let peer = meter.of(|| Peer::new(config, [3; 32]));
        Self { peer, now: Duration::from_secs(1000), meter, buffer: Vec::with_capacity(4096), said: 0, last: [0; 4] }
    }

    /// One datagram, and the exchange that it opened.
    fn hear(&mut self, datagram: &[u8]) -> Option<ExchangeId> {
        let (peer, now) = (&mut self.peer, self.now);
        let exchange = self.meter.of(|| match peer.handle_datagram(now, datagram)? {
            Event::Request(request) | Event::Upload(request) => Some(request.exchange),
            _ => None,
        });
        self.check();
        exchange
    }

    fn respond(&mut self, exchange: ExchangeId, reply: Reply<'_>) {
        self.meter.of(|| self.peer.respond(self.now, exchange, reply));
        self.check();
    }

    /// Sends all there is to send, and drops all events.
    fn say(&mut self) {
        self.meter.of(|| {
            while self.peer.poll_event().is_some() {}
            self.buffer.clear();
            while let Some(range) = self.peer.poll_transmit(self.now, &mut self.buffer) {
                self.last.copy_from_slice(&self.buffer[range][..4]);
                self.said += 1;
                self.buffer.clear();
            }
        });
        self.check();
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((due, _)) = self.peer.poll_timeout().filter(|(due, _)| *due <= end) {
            self.now = self.now.max(due);
            self.meter.of(|| self.peer.handle_timeout(self.now));
            self.check();
            self.say();
        }
        self.now = end;
    }

    /// Hears a request and answers it at once.
    fn ask(&mut self, request: &[u8], reply: Reply<'_>) {
        if let Some(exchange) = self.hear(request) {
            self.respond(exchange, reply);
        }
        self.say();
    }

    /// Bytes held, the peer itself among them.
    fn live(&self) -> usize {
        size_of::<Peer>() + usize::try_from(self.meter.live).expect("what is freed was allocated")
    }

    #[track_caller]
    fn check(&self) {
        let memory = self.peer.memory();
        let live = self.live() - memory.observations - memory.requests;
        assert!(live <= LIMIT, "{:?} {memory:?}", self.meter);
        assert!(self.meter.peak as usize <= LIMIT + MOVING, "{:?} {memory:?}", self.meter);
        let told = memory.total() + size_of::<Peer>();
        assert!(told.abs_diff(self.live()) <= MARGIN, "{told} told, {} held: {memory:?}", self.live());
    }
}

fn block1(number: u32) -> Vec<u8> {
    let block = Block { number, more: true, size: BlockSize::B1024 }.encode().to_be_bytes();
    message(MessageType::Con, Code::PUT, number as u16, b"up", &[(option::BLOCK1, &block[1..])], &[3; 1024])
}

/// A request for the first block of an answer, in the smallest blocks.
fn small_blocks(number: u32) -> Vec<u8> {
    let (query, block) = (number.to_be_bytes(), Block { number: 0, more: false, size: BlockSize::B16 }.encode());
    let options: [(u16, &[u8]); 2] = [(option::URI_QUERY, &query), (option::BLOCK2, &[block as u8])];
    message(MessageType::Con, Code::GET, number as u16, b"small", &options, b"")
}

/// Answers of every size, of both kinds, until nothing more can be remembered.
fn fill_answers(peer: &mut Measured) {
    for number in 0..6000_u32 {
        let token = number.to_be_bytes();
        let request = match number % 3 {
            0 => get(MessageType::Con, number as u16, &token),
            _ => post(MessageType::Con, number as u16, &token),
        };
        peer.ask(&request, Reply::new(Code::CONTENT).body(&vec![1; 1 + number as usize % 1024]));
    }
    assert!(peer.peer.memory().answers > 32 * 1024);
    assert!(peer.peer.counters().overload > 0);
    peer.pass(Duration::from_secs(248));
}

/// A snapshot of the longest body, half of it fetched.
fn hold_a_snapshot(peer: &mut Measured) {
    peer.ask(&get(MessageType::Con, 1, b"snap"), Reply::new(Code::CONTENT).body(&[2; 64 * 1024]));
    assert!(peer.peer.memory().snapshots >= 64 * 1024);
}

/// A body of 64 KiB, all but its last block.
fn send_most_of_a_body(peer: &mut Measured) {
    for number in 0..63 {
        if let Some(exchange) = peer.hear(&block1(number)) {
            peer.meter.of(|| peer.peer.receive(peer.now, exchange, Receive::Reassemble));
        }
        peer.say();
    }
    assert!(peer.peer.memory().bodies_in >= 63 * 1024);
}

/// Slow requests, with large separate responses that are never acknowledged.
fn leave_exchanges_open(peer: &mut Measured) {
    let open: Vec<_> = (0..40).filter_map(|id| peer.hear(&get(MessageType::Con, 100 + id, b"slow"))).collect();
    assert!(open.len() >= 10, "{}", open.len());
    peer.pass(Duration::from_secs(1));
    for exchange in open {
        peer.respond(exchange, Reply::new(Code::CONTENT).body(&[4; 1024]));
        peer.say();
    }
}

/// Datagrams that are answered by no more than RST or 4.02, if at all.
fn throw_garbage(peer: &mut Measured) {
    for number in 0..3000_u16 {
        let token = number.to_be_bytes();
        let unknown = message(MessageType::Con, Code::GET, number, &token, &[(0xff01, b"?")], &[5; 900]);
        let ping = message(MessageType::Con, Code::EMPTY, number, b"", &[], b"");
        let stray = message(MessageType::Con, Code::CONTENT, number, &token, &[(option::OBSERVE, b"")], &[6; 900]);
        let torn = &get(MessageType::Con, number, &token)[..5];
        for datagram in [&unknown[..], &ping, &stray, torn, &[number as u8; 1200]] {
            peer.hear(datagram);
        }
    }
}

/// Answers that settle, with the exchanges and their ends.
fn let_answers_settle(peer: &mut Measured) {
    for id in 2000..2050 {
        peer.ask(&post(MessageType::Con, id, b"settle"), Reply::new(Code::CHANGED).settle());
    }
}

/// Everything at once: answers to remember, a body half received, a snapshot half fetched, exchanges and separate responses
/// open, answers that settle, noise that nobody drains.
#[test]
fn all_that_one_peer_can_cause_at_once_stays_within_192_kib() {
    let mut peer = Measured::new();
    fill_answers(&mut peer);
    hold_a_snapshot(&mut peer);
    send_most_of_a_body(&mut peer);
    let_answers_settle(&mut peer);
    leave_exchanges_open(&mut peer);
    throw_garbage(&mut peer);
    let memory = peer.peer.memory();
    assert!(memory.exchanges > 16 * 1024, "{memory:?}");
    assert!(peer.live() > 180 * 1024, "the worst case is one: {} of {LIMIT}", peer.live());
    assert_eq!((memory.requests, memory.observations), (0, 0), "{memory:?}");
    println!("at once: {} bytes of {LIMIT}, {:?}, {memory:?}", peer.live(), peer.meter);
    // Within this time all messages are sent again, at the same moment, and all answers settle; then it goes.
    peer.now += Duration::from_secs(40);
    peer.pass(Duration::ZERO);
    peer.pass(Duration::from_secs(2000));
    let memory = peer.peer.memory();
    assert_eq!((memory.bodies_in, memory.snapshots), (0, 0));
    assert!(peer.live() < 56 * 1024, "{memory:?}");
}

/// Thousands of answers in blocks of 16 bytes, of which the rest is never fetched: each snapshot costs more than its bytes.
#[test]
fn many_small_snapshots_cost_no_more_than_a_large_one() {
    let mut peer = Measured::new();
    fill_answers(&mut peer);
    for number in 0..5000 {
        peer.ask(&small_blocks(number), Reply::new(Code::CONTENT).body(&[7; 17]));
    }
    println!("small snapshots: {} bytes, {:?}", peer.live(), peer.peer.memory());
    assert!(peer.live() < 128 * 1024);
}

/// More answers that settle than there is time for them to do so.
#[test]
fn answers_that_settle_do_not_pile_up() {
    let mut peer = Measured::new();
    for number in 0..1300_u16 {
        let request = post(MessageType::Con, number, &number.to_be_bytes());
        peer.ask(&request, Reply::new(Code::CHANGED).settle());
    }
    let memory = peer.peer.memory();
    println!("settling: {} bytes, {memory:?}", peer.live());
    assert!(memory.exchanges < 8 * 1024, "{memory:?}");
    peer.pass(Duration::from_secs(10));
    assert!(peer.peer.memory().exchanges < 8 * 1024);
}

/// The other end answers our own requests: a body of 64 KiB on its way in, as large as that of a request.
#[test]
fn a_body_in_counts_once_whichever_way_it_comes() {
    let mut peer = Measured::new();
    send_most_of_a_body(&mut peer);
    hold_a_snapshot(&mut peer);
    // A second body finds no room, and takes none.
    let block = Block { number: 0, more: true, size: BlockSize::B1024 }.encode();
    let other = message(MessageType::Con, Code::POST, 7, b"2", &[(option::BLOCK1, &[block as u8])], &[3; 1024]);
    let exchange = peer.hear(&other).expect("the first block");
    peer.meter.of(|| peer.peer.receive(peer.now, exchange, Receive::Reassemble));
    peer.check();
    peer.buffer.clear();
    let range = peer.peer.poll_transmit(peer.now, &mut peer.buffer).expect("an answer");
    assert_eq!(Message::parse(&peer.buffer[range]).map(|message| message.code), Ok(Code::SERVICE_UNAVAILABLE));
}

/// In steady state nothing grows: the buffers are used again and again.
#[test]
fn a_hundred_thousand_requests_hold_what_a_thousand_do() {
    let mut peer = Measured::new();
    let mut after_a_thousand = None;
    for number in 0..100_000_u32 {
        peer.now += Duration::from_millis(1);
        peer.ask(&get(MessageType::Con, number as u16, &number.to_be_bytes()), Reply::new(Code::CONTENT).body(b"21.5"));
        if number >= 1000 {
            assert_eq!(*after_a_thousand.get_or_insert(peer.live()), peer.live(), "{number}");
        }
    }
    assert_eq!(peer.said, 100_000);
}

#[test]
fn a_new_peer_holds_nothing() {
    let peer = Measured::new();
    assert_eq!((peer.peer.memory().total(), peer.meter.allocations), (0, 0));
    assert!(size_of::<Peer>() < 2048, "{}", size_of::<Peer>());
}

/// Notifications that nobody acknowledges: one each on its way or waiting, and one newer.
#[test]
fn notifications_do_not_pile_up() {
    let mut peer = Measured::new();
    for id in 0..20_u16 {
        let request = message(MessageType::Con, Code::GET, id, &id.to_be_bytes(), &[(option::OBSERVE, b"")], b"");
        peer.ask(&request, Reply::new(Code::CONTENT).observe(true));
    }
    for _ in 0..1000 {
        for id in 0..20_u16 {
            let token = Token::new(&id.to_be_bytes()).unwrap();
            let reply = Reply::new(Code::CONTENT).body(&[1; 100]);
            peer.meter.of(|| peer.peer.notify(peer.now, token, reply, true));
        }
        peer.say();
    }
    let memory = peer.peer.memory();
    assert!(memory.observations < 16 * 1024, "{memory:?}");
}

/// Does it many times to warm up, then a thousand times more without an allocation.
#[track_caller]
fn never_allocates(peer: &mut Measured, mut act: impl FnMut(&mut Measured, u32)) {
    for number in 0..3000 {
        act(peer, number);
    }
    let (before, said) = (peer.meter, peer.said);
    for number in 3000..4000 {
        act(peer, number);
    }
    assert_eq!(peer.meter.allocations - before.allocations, 0, "{before:?}, then {:?}", peer.meter);
    assert!(peer.said >= said + 1000, "each is answered");
}

#[test]
fn a_get_and_its_answer_allocate_nothing() {
    never_allocates(&mut Measured::new(), |peer, number| {
        peer.now += Duration::from_millis(5);
        let request = get(MessageType::Con, number as u16, &number.to_be_bytes());
        peer.ask(&request, Reply::new(Code::CONTENT).body(&[8; 200]));
    });
}

#[test]
fn a_post_its_answer_and_its_duplicate_allocate_nothing() {
    never_allocates(&mut Measured::new(), |peer, number| {
        peer.now += Duration::from_millis(250);
        let request = post(MessageType::Con, number as u16, &number.to_be_bytes());
        peer.ask(&request, Reply::new(Code::CHANGED).settle());
        let counted = peer.peer.counters().duplicates;
        assert_eq!(peer.hear(&request), None);
        assert_eq!(peer.peer.counters().duplicates, counted + 1);
        peer.say();
        peer.pass(Duration::ZERO);
    });
}

#[test]
fn a_separate_response_allocates_nothing() {
    never_allocates(&mut Measured::new(), |peer, number| {
        let exchange = peer.hear(&get(MessageType::Con, number as u16, &number.to_be_bytes())).expect("a request");
        peer.pass(Duration::from_secs(1));
        peer.respond(exchange, Reply::new(Code::CONTENT).body(&[8; 200]));
        peer.say();
        acknowledge(peer);
    });
}

#[test]
fn a_confirmable_notification_allocates_nothing() {
    let mut peer = Measured::new();
    let token = Token::new(b"observes").unwrap();
    let request = message(MessageType::Con, Code::GET, 0, token.as_bytes(), &[(option::OBSERVE, b"")], b"");
    peer.ask(&request, Reply::new(Code::CONTENT).observe(true));
    never_allocates(&mut peer, |peer, number| {
        peer.now += Duration::from_secs(1);
        let value = number.to_be_bytes();
        let reply = Reply::new(Code::CONTENT).body(&value);
        peer.meter.of(|| peer.peer.notify(peer.now, token, reply, true));
        peer.say();
        acknowledge(peer);
    });
    assert!(peer.peer.is_observing(token));
}

/// The other side of an observation.
#[test]
fn a_notification_received_allocates_nothing() {
    let mut peer = Measured::new();
    let request = lapwing_coap::peer::Outgoing::new(Code::GET).path(&["3", "0", "13"]).observe();
    peer.meter.of(|| peer.peer.request(peer.now, request));
    peer.buffer.clear();
    let range = peer.peer.poll_transmit(peer.now, &mut peer.buffer).expect("a request");
    let (id, token) = Message::parse(&peer.buffer[range]).map(|sent| (sent.id, sent.token)).unwrap();
    let number = 0_u32.to_be_bytes();
    peer.hear(&message(
        MessageType::Ack,
        Code::CONTENT,
        id,
        token.as_bytes(),
        &[(option::OBSERVE, &number[1..])],
        b"0",
    ));
    never_allocates(&mut peer, |peer, round| {
        peer.now += Duration::from_secs(1);
        let number = (round + 1).to_be_bytes();
        let options: [(u16, &[u8]); 1] = [(option::OBSERVE, &number[1..])];
        let news = message(MessageType::Con, Code::CONTENT, round as u16, token.as_bytes(), &options, &number);
        let (end, now) = (&mut peer.peer, peer.now);
        let came = peer.meter.of(|| matches!(end.handle_datagram(now, &news), Some(Event::Notification { .. })));
        assert!(came, "{round}");
        peer.say();
    });
}

/// Acknowledges what was said last.
fn acknowledge(peer: &mut Measured) {
    let id = u16::from_be_bytes([peer.last[2], peer.last[3]]);
    let mut datagram = Vec::new();
    Writer::empty(&mut datagram, MessageType::Ack, id);
    peer.hear(&datagram);
    peer.meter.of(|| while peer.peer.poll_event().is_some() {});
    assert_eq!(peer.peer.poll_timeout(), None, "it was acknowledged");
}
