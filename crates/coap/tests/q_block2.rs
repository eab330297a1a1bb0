//! Several blocks for one request, by Q-Block2 (RFC 9177), from the side of the server.

mod common;

use std::time::Duration;

use common::{Seen, Solo, message, pattern};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType,
    fetch::{Config as FetchConfig, Event, Fetch, MessageIds, Resource},
    peer::{Config, Offer, Reply},
    wire::option,
};

const LENGTH: usize = 100_000;

/// Numbers of blocks, and for each whether those that follow it in its set are meant as well.
type Numbers = &'static [(u32, bool)];

/// What a block option's value is.
fn block(number: u32, more: bool, size: BlockSize) -> Vec<u8> {
    Block { number, more, size }.encode().to_be_bytes()[1..].to_vec()
}

fn request(kind: MessageType, id: u16, numbers: &[(u32, bool)], more: &[(u16, &[u8])]) -> Vec<u8> {
    let values: Vec<_> = numbers.iter().map(|(number, more)| block(*number, *more, BlockSize::B1024)).collect();
    let mut options: Vec<(u16, &[u8])> = vec![(option::URI_PATH, b"file")];
    options.extend(values.iter().map(|value| (option::Q_BLOCK2, value.as_slice())));
    options.extend(more);
    options.sort_by_key(|(number, _)| *number);
    message(kind, Code::GET, id, b"token", &options, b"")
}

/// A server with a file.
struct Server {
    solo: Solo,
    body: Vec<u8>,
    size: u64,
    events: usize,
}

impl Server {
    fn new(offer: Offer) -> Self {
        let mut solo = Solo::new(Config::default());
        solo.peer.offer_q_block2(offer);
        Self { solo, body: pattern(LENGTH), size: LENGTH as u64, events: 0 }
    }

    /// What it answers, each message in one line.
    fn ask(&mut self, datagram: &[u8]) -> Vec<String> {
        self.answer(datagram).iter().map(|bytes| line(bytes, &self.body)).collect()
    }

    fn answer(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        if let Some(Seen::Request { exchange, .. }) = self.solo.hear(datagram) {
            self.events += 1;
            for (offset, length) in self.solo.peer.wanted(exchange) {
                let start = (offset as usize).min(self.body.len());
                let body = &self.body[start..(start + length).min(self.body.len())];
                let reply = Reply::new(Code::CONTENT).etag(b"tag").body(body);
                self.solo.peer.respond_blocks(self.solo.now, exchange, offset, reply, self.size);
            }
            assert_eq!(self.solo.peer.wanted(exchange).count(), 0, "the exchange is over");
        }
        self.solo.say()
    }
}

/// `type code block`, for a block of which all that RFC 9177 demands is there and right.
fn line(bytes: &[u8], body: &[u8]) -> String {
    let message = Message::parse(bytes).unwrap();
    let options = message.options;
    let Some(block) = options.q_block2().next() else { return format!("{:?} {}", message.kind, message.code) };
    let (block, length) = (block.unwrap(), body.len());
    assert_eq!((options.q_block2().count(), options.block2()), (1, Ok(None)), "section 4.1");
    assert_eq!((options.etag(), options.size2()), (Some(&b"tag"[..]), Some(length as u32)), "sections 4.4 and 4.6");
    assert_eq!(message.token.as_bytes(), b"token", "section 6");
    let start = block.offset() as usize;
    assert_eq!(message.payload, &body[start..(start + block.size.bytes()).min(length)]);
    assert_eq!(block.more, start + message.payload.len() < length);
    format!("{:?} {} {block}", message.kind, message.code)
}

fn blocks(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("Non 2.05 {number}/{}/1024", u8::from(number < 97))).collect()
}

#[test]
fn each_block_that_is_asked_for_is_given_once_and_in_order() {
    let mut server = Server::new(Offer::Anybody);
    let asked: [(Numbers, Vec<u32>); 6] = [
        (&[(5, false)], vec![5]),
        (&[(3, false), (4, false), (9, false)], vec![3, 4, 9]),
        (&[(20, true)], (20..30).collect()),
        (&[(26, true), (28, false)], vec![26, 27, 28, 29]),
        (&[(0, true)], (0..10).collect()),
        (&[(7, true), (10, true), (20, true)], (7..17).collect()),
    ];
    for (id, (numbers, given)) in (1..).zip(asked) {
        assert_eq!(server.ask(&request(MessageType::Non, id, numbers, &[])), blocks(given));
    }
}

#[test]
fn beyond_the_end_there_are_none() {
    let mut server = Server::new(Offer::Anybody);
    assert_eq!(server.ask(&request(MessageType::Non, 1, &[(96, true)], &[])), blocks([96, 97]));
    assert_eq!(server.ask(&request(MessageType::Non, 2, &[(97, false), (200, false)], &[])), blocks([97]));
    assert_eq!(server.ask(&request(MessageType::Non, 3, &[(98, true)], &[])), ["Non 4.00"]);
}

/// Section 4.1: the request that finds out is confirmable. What comes after its own answer is not.
#[test]
fn a_confirmable_request_is_acknowledged_with_the_first_block() {
    let mut server = Server::new(Offer::Anybody);
    let asked = request(MessageType::Con, 1, &[(5, false), (6, false), (8, false)], &[]);
    assert_eq!(server.ask(&asked), ["Ack 2.05 5/1/1024", "Non 2.05 6/1/1024", "Non 2.05 8/1/1024"]);
    assert_eq!(server.ask(&asked), ["Ack 2.05 5/1/1024"], "a duplicate is answered by what it did not hear");
    assert_eq!(server.events, 1);
}

/// A request that comes again, by accident or because somebody recorded it, brings nothing.
#[test]
fn a_duplicate_brings_nothing() {
    let mut server = Server::new(Offer::Anybody);
    let asked = request(MessageType::Non, 1, &[(20, true)], &[]);
    assert_eq!(server.ask(&asked).len(), 10);
    assert_eq!(server.ask(&asked), Vec::<String>::new());
}

#[test]
fn what_the_standard_does_not_allow_is_refused() {
    let (small, reserved) = (block(9, false, BlockSize::B64), vec![0x97]);
    let mut server = Server::new(Offer::Anybody);
    type Refused<'a> = (Numbers, (u16, &'a [u8]), &'static str);
    let refused: [Refused<'_>; 6] = [
        (&[(5, false), (5, false)], (option::URI_QUERY, b"a"), "Ack 4.00"),
        (&[(6, true), (5, false)], (option::URI_QUERY, b"a"), "Ack 4.00"),
        (&[(5, false)], (option::Q_BLOCK2, &small), "Ack 4.00"),
        (&[(5, false)], (option::Q_BLOCK2, &reserved), "Ack 4.00"),
        (&[(5, false)], (option::BLOCK2, &small), "Ack 4.02"),
        (&[(5, false)], (option::Q_BLOCK1, &small), "Ack 4.02"),
    ];
    for (id, (numbers, option, refusal)) in (1..).zip(refused) {
        assert_eq!(server.ask(&request(MessageType::Con, id, numbers, &[option])), [refusal]);
    }
    let put = message(MessageType::Con, Code::PUT, 100, b"token", &[(option::Q_BLOCK2, &small)], b"");
    assert_eq!(server.ask(&put), ["Ack 4.02"], "only for GET");
    assert_eq!(server.events, 0);
}

#[test]
fn who_was_not_told_that_it_is_offered_is_refused() {
    let mut server = Server::new(Offer::Nobody);
    assert_eq!(server.ask(&request(MessageType::Con, 1, &[(5, false)], &[])), ["Ack 4.02"]);
    assert_eq!(server.ask(&request(MessageType::Non, 2, &[(5, false)], &[])), Vec::<String>::new());
}

/// RFC 9175 section 2.4: who only pretends to be somewhere brings nothing there that is longer than a block.
#[test]
fn several_blocks_are_for_who_sends_the_echo_back() {
    let mut server = Server::new(Offer::Reachable);
    let several = [(5, false), (6, false)];
    let echo = |answers: &[Vec<u8>]| {
        assert_eq!(answers.len(), 1);
        Message::parse(&answers[0]).unwrap().options.echo().map(<[u8]>::to_vec)
    };
    let refused = server.answer(&request(MessageType::Non, 1, &several, &[]));
    assert_eq!(line(&refused[0], &[]), "Non 4.01");
    assert!(refused[0].len() < 30, "{} bytes", refused[0].len());
    let told = echo(&refused).unwrap();
    assert_eq!(told.len(), 8, "64 bits (RFC 9175 section 5)");
    let single = server.answer(&request(MessageType::Con, 2, &[(5, false)], &[]));
    assert_eq!(echo(&single), Some(told.clone()));
    let wrong = [(option::ECHO, &[7; 8][..])];
    assert_eq!(server.ask(&request(MessageType::Non, 3, &several, &wrong)), ["Non 4.01"]);

    let right = [(option::ECHO, &told[..])];
    assert_eq!(server.ask(&request(MessageType::Non, 4, &several, &right)), blocks([5, 6]));
    let later = server.answer(&request(MessageType::Non, 5, &several, &[]));
    assert_eq!(later.len(), 2, "once is enough");
    assert_eq!(Message::parse(&later[0]).unwrap().options.echo(), None);
}

/// One answer has the blocks of one representation: a wrong length is 5.00, as with Block2.
#[test]
fn an_engine_that_gives_what_was_not_asked_for_is_not_believed() {
    let mut server = Server::new(Offer::Anybody);
    server.size += 10_000;
    assert_eq!(server.ask(&request(MessageType::Con, 1, &[(95, true)], &[])), ["Ack 5.00"]);
}

/// An engine that knows nothing of sets of blocks and has the whole body.
#[test]
fn a_whole_body_is_cut_as_it_was_asked_for() {
    let mut server = Server::new(Offer::Anybody);
    for (numbers, given) in [(&[(1, true)][..], (1..10).collect::<Vec<_>>()), (&[(96, true)], vec![96, 97])] {
        let exchange = server.solo.hear_request(&request(MessageType::Non, given[0] as u16, numbers, &[]));
        let reply = Reply::new(Code::CONTENT).etag(b"tag").body(&server.body);
        server.solo.peer.respond(server.solo.now, exchange, reply);
        let said = server.solo.say();
        assert_eq!(said.iter().map(|bytes| line(bytes, &server.body)).collect::<Vec<_>>(), blocks(given));
    }
    let exchange = server.solo.hear_request(&request(MessageType::Con, 200, &[(5, false)], &[]));
    server.solo.peer.respond(server.solo.now, exchange, Reply::new(Code::NOT_FOUND));
    assert_eq!(line(&server.solo.say_one(), &[]), "Ack 4.04");
}

#[test]
fn blocks_larger_than_its_own_are_given_by_their_first_parts() {
    let mut config = Config::default();
    config.block_size = BlockSize::B256;
    let mut server = Server { solo: Solo::new(config), ..Server::new(Offer::Anybody) };
    server.solo.peer.offer_q_block2(Offer::Anybody);
    let given = server.ask(&request(MessageType::Non, 1, &[(1, false), (2, false), (97, false)], &[]));
    assert_eq!(given, ["Non 2.05 4/1/256", "Non 2.05 8/1/256", "Non 2.05 388/1/256"]);
}

/// The fetch of this crate at this server: who shows where it is by Echo, and who needs not.
#[test]
fn a_fetch_of_our_own_brings_the_file_with_a_tenth_of_the_messages() {
    for (offer, most) in [(Offer::Reachable, 400), (Offer::Anybody, 400), (Offer::Nobody, 2000)] {
        let mut server = Server::new(offer);
        server.body = pattern(2_000_000);
        server.size = 2_000_000;
        let mut config = FetchConfig::default();
        config.q_block2 = true;
        let resource = Resource { path: &["file"], ..Resource::default() };
        let (mut now, mut ids) = (Duration::ZERO, MessageIds::new(1));
        let mut fetch = Fetch::new(now, config, &resource, None, [9; 32]);
        let (mut buffer, mut got, mut finished) = (Vec::new(), Vec::new(), false);
        while !finished {
            let mut answers = Vec::new();
            // A round trip, in which the pacer lets out what the window has room for.
            for _ in 0..100 {
                while let Some(range) = fetch.poll_transmit(now, || ids.next(|_| false), &mut buffer) {
                    answers.extend(server.answer(&buffer[range]));
                    buffer.clear();
                }
                now += Duration::from_micros(100);
            }
            answers.iter().for_each(|answer| assert!(fetch.handle_datagram(now, answer)));
            fetch.handle_timeout(now);
            while let Some(event) = fetch.poll_event() {
                match event {
                    Event::Data { bytes, .. } => {
                        got.extend_from_slice(bytes);
                        let length = bytes.len();
                        fetch.consumed(now, length);
                    }
                    Event::Head(_) => {}
                    other => finished = other == Event::Finished,
                }
            }
        }
        let counters = fetch.counters();
        assert!(got == server.body);
        assert!(counters.messages < most && counters.lost + counters.again == 0, "{offer:?}: {counters:?}");
        assert_eq!(server.events as u64, counters.messages - u64::from(offer == Offer::Nobody));
    }
}
