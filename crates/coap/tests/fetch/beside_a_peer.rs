//! A fetch and a peer on one connection, and our own peer as the server: tokens and message IDs do not get in each other's way.

use std::{collections::BTreeSet, ops::Range, sync::Arc, time::Duration};

use lapwing_coap::{
    Code, Message,
    fetch::{self, Fetch, Resource},
    peer::{Config, Event, ExchangeId, Outgoing, Peer, Reply},
};
use sim::{Cable, Happening, World};

use crate::lab::{ms, pattern};

const LENGTH: usize = 500_000;

/// What the server's engine has to do.
enum Task {
    Stream(ExchangeId),
    Answer(ExchangeId),
    Supply(ExchangeId, u64, usize),
}

impl Task {
    fn of(event: &Event<'_>) -> Option<Self> {
        match event {
            Event::Request(request) if request.message.options.uri_path().eq(["firmware"]) => {
                Some(Self::Stream(request.exchange))
            }
            Event::Request(request) => Some(Self::Answer(request.exchange)),
            &Event::Pull { exchange, offset, length } => Some(Self::Supply(exchange, offset, length)),
            _ => None,
        }
    }

    fn perform(self, peer: &mut Peer, now: Duration, body: &[u8]) {
        match self {
            Self::Stream(exchange) => {
                let reply = Reply::new(Code::CONTENT).etag(b"1");
                peer.respond_streamed(now, exchange, reply, Some(body.len() as u64));
            }
            Self::Answer(exchange) => peer.respond(now, exchange, Reply::new(Code::CONTENT).body(b"21.5")),
            Self::Supply(exchange, offset, length) => {
                let rest = &body[offset as usize..];
                let length = length.min(rest.len());
                peer.supply(now, exchange, offset, &rest[..length], length == rest.len());
            }
        }
    }
}

struct Client {
    peer: Peer,
    fetch: Fetch,
    body: Vec<u8>,
    finished: bool,
    asked: usize,
    answered: usize,
}

impl Client {
    fn new() -> Self {
        let resource = Resource { path: &["firmware"], ..Resource::default() };
        let fetch = Fetch::new(Duration::ZERO, fetch::Config::default(), &resource, None, [5; 32]);
        let peer = Peer::new(Arc::new(Config::default()), [1; 32]);
        Self { peer, fetch, body: Vec::new(), finished: false, asked: 0, answered: 0 }
    }

    fn ask(&mut self, now: Duration) {
        self.peer.request(now, Outgoing::new(Code::GET).path(&["3", "0"]));
        self.asked += 1;
    }

    fn handle_datagram(&mut self, now: Duration, bytes: &[u8]) {
        if !self.fetch.handle_datagram(now, bytes) {
            let event = self.peer.handle_datagram(now, bytes);
            self.answered += usize::from(matches!(event, Some(Event::Response { .. })));
        }
    }

    fn events(&mut self, now: Duration) {
        assert!(self.peer.poll_event().is_none(), "each request is answered");
        while let Some(event) = self.fetch.poll_event() {
            match event {
                fetch::Event::Data { bytes, .. } => {
                    self.body.extend_from_slice(bytes);
                    let length = bytes.len();
                    self.fetch.consumed(now, length);
                }
                fetch::Event::Head(head) => {
                    assert_eq!((head.etag(), head.size), (Some(&b"1"[..]), Some(LENGTH as u64)))
                }
                other => {
                    assert_eq!(other, fetch::Event::Finished);
                    self.finished = true;
                }
            }
        }
    }

    fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        let Self { peer, fetch, .. } = self;
        peer.poll_transmit(now, buffer).or_else(|| fetch.poll_transmit(now, || peer.next_message_id(), buffer))
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let (peer, fetch) = (self.peer.poll_timeout(), self.fetch.poll_timeout());
        peer.map(|(at, _)| at).into_iter().chain(fetch.map(|(at, _)| at)).min()
    }
}

/// Fetches, and asks for something else each 120 ms meanwhile.
fn run(loss: f64) {
    let body = pattern(LENGTH);
    let mut world = World::seeded(8).cable(Cable::new().latency(ms(50)).loss(loss)).trace_limit(100_000);
    let (a, b) = (world.node("client"), world.node("server"));
    let (mut client, mut server) = (Client::new(), Peer::new(Arc::new(Config::default()), [2; 32]));
    let mut buffer = Vec::new();
    world.alarm(a, Duration::ZERO, 0);
    while let Some(event) = world.next_until(Duration::from_secs(500)) {
        let now = event.at;
        match event.what {
            Happening::Datagram { bytes, .. } if event.node == b => {
                let task = server.handle_datagram(now, &bytes).as_ref().and_then(Task::of);
                task.into_iter().for_each(|task| task.perform(&mut server, now, &body));
            }
            Happening::Datagram { bytes, .. } => client.handle_datagram(now, &bytes),
            Happening::Alarm(_) if client.finished => {}
            Happening::Alarm(_) => {
                client.ask(now);
                world.alarm(a, now + ms(120), 0);
            }
            Happening::Timer if event.node == b => server.handle_timeout(now),
            Happening::Timer => {
                client.fetch.handle_timeout(now);
                client.peer.handle_timeout(now);
            }
        }
        while let Some(task) = server.poll_event().as_ref().and_then(Task::of) {
            task.perform(&mut server, now, &body);
        }
        client.events(now);
        buffer.clear();
        while let Some(range) = client.poll_transmit(now, &mut buffer) {
            world.send(a, b, &buffer[range]);
        }
        while let Some(range) = server.poll_transmit(now, &mut buffer) {
            world.send(b, a, &buffer[range]);
        }
        world.set_timer(a, client.poll_timeout());
        world.set_timer(b, server.poll_timeout().map(|(at, _)| at));
    }
    assert!(client.finished && client.body == body[..], "loss {loss}: {} bytes", client.body.len());
    assert!(client.asked > 3 && client.answered == client.asked, "{} of {}", client.answered, client.asked);
    assert_eq!(client.fetch.counters().fallbacks, 0);
    let sent: Vec<_> = world.trace().sent(a, b).map(|(_, bytes)| Message::parse(bytes).unwrap()).collect();
    let requests: BTreeSet<_> = sent.iter().map(|message| (message.id, message.token)).collect();
    let ids: BTreeSet<_> = sent.iter().map(|message| message.id).collect();
    assert_eq!(requests.len(), ids.len(), "no two requests with one message ID");
}

#[test]
fn both_get_their_answers() {
    run(0.0);
}

#[test]
fn both_get_their_answers_over_a_bad_link() {
    run(0.1);
}
