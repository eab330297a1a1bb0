//! Two peers and the cable between them; and one peer alone, to which a test speaks bytes.
#![allow(dead_code, unreachable_pub, reason = "a module of each scenario, which uses a part of it")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lapwing_coap::{
    Code, Message, MessageType, Token, Writer,
    peer::{
        Abort, Config, Event, ExchangeId, Failure, NotificationId, Outcome, Peer, Reply, Request, RequestId, Response,
    },
    wire::{describe, option},
};
use sim::{Happening, World};

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// An [`Event`] that a test can keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Request { exchange: ExchangeId, head: Head, payload: Vec<u8> },
    Upload { exchange: ExchangeId, head: Head, payload: Vec<u8> },
    Chunk { exchange: ExchangeId, offset: u64, bytes: Vec<u8>, last: bool },
    Pull { exchange: ExchangeId, offset: u64, length: usize },
    Aborted { exchange: ExchangeId, why: Abort },
    Settled(ExchangeId),
    Response { request: RequestId, head: Head, payload: Vec<u8> },
    Notification { request: RequestId, head: Head, payload: Vec<u8> },
    Download { request: RequestId, offset: u64, head: Head, payload: Vec<u8>, last: bool },
    PullRequest { request: RequestId, offset: u64, length: usize },
    Failed { request: RequestId, why: Failure },
    Notified { notification: NotificationId, token: Token, outcome: Outcome },
}

/// What a test wants to know of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub code: Code,
    pub token: Token,
    pub path: String,
    pub observe: Option<u32>,
    pub etag: Option<Vec<u8>>,
    pub block1: Option<lapwing_coap::Block>,
    pub block2: Option<lapwing_coap::Block>,
    pub size1: Option<u32>,
    pub size2: Option<u32>,
    pub location: String,
}

impl Head {
    pub fn of(message: &Message<'_>) -> Self {
        let options = message.options;
        Self {
            code: message.code,
            token: message.token,
            path: options.uri_path().collect::<Vec<_>>().join("/"),
            observe: options.observe(),
            etag: options.etag().map(<[u8]>::to_vec),
            block1: options.block1().unwrap(),
            block2: options.block2().unwrap(),
            size1: options.size1(),
            size2: options.size2(),
            location: options.location_path().collect::<Vec<_>>().join("/"),
        }
    }
}

impl Seen {
    pub fn of(event: &Event<'_>) -> Self {
        let request =
            |Request { exchange, message, payload, .. }: &Request<'_>| (*exchange, Head::of(message), payload.to_vec());
        let response = |Response { message, payload, observe, .. }: &Response<'_>| {
            (Head { observe: *observe, ..Head::of(message) }, payload.to_vec())
        };
        match event {
            Event::Request(inner) => {
                let (exchange, head, payload) = request(inner);
                Self::Request { exchange, head, payload }
            }
            Event::Upload(inner) => {
                let (exchange, head, payload) = request(inner);
                Self::Upload { exchange, head, payload }
            }
            &Event::Chunk { exchange, offset, bytes, last } => {
                Self::Chunk { exchange, offset, bytes: bytes.into(), last }
            }
            &Event::Pull { exchange, offset, length } => Self::Pull { exchange, offset, length },
            &Event::Aborted { exchange, why } => Self::Aborted { exchange, why },
            &Event::Settled(exchange) => Self::Settled(exchange),
            Event::Response { request, response: inner } => {
                let (head, payload) = response(inner);
                Self::Response { request: *request, head, payload }
            }
            Event::Notification { request, response: inner } => {
                let (head, payload) = response(inner);
                Self::Notification { request: *request, head, payload }
            }
            Event::Download { request, offset, response: inner, last } => {
                let (head, payload) = response(inner);
                Self::Download { request: *request, offset: *offset, head, payload, last: *last }
            }
            &Event::PullRequest { request, offset, length } => Self::PullRequest { request, offset, length },
            &Event::Failed { request, why } => Self::Failed { request, why },
            &Event::Notified { notification, token, outcome } => Self::Notified { notification, token, outcome },
            other => panic!("an event that this harness does not know: {other:?}"),
        }
    }
}

type Engine = Box<dyn FnMut(&mut Peer, Duration, &Seen)>;

/// A peer with what it has seen, and an engine that acts on it.
pub struct End {
    pub peer: Peer,
    pub address: SocketAddr,
    pub seen: Vec<Seen>,
    engine: Engine,
    buffer: Vec<u8>,
}

impl End {
    fn new(config: Config, seed: u8, address: SocketAddr) -> Self {
        let peer = Peer::new(Arc::new(config), [seed; 32]);
        Self { peer, address, seen: Vec::new(), engine: Box::new(|_, _, _| {}), buffer: Vec::new() }
    }

    /// Does `act` with each event from now on.
    pub fn engine(&mut self, act: impl FnMut(&mut Peer, Duration, &Seen) + 'static) {
        self.engine = Box::new(act);
    }

    /// Answers each request with this code and body.
    pub fn answer(&mut self, code: Code, body: &[u8]) {
        let body = body.to_vec();
        self.engine(move |peer, now, seen| {
            if let Seen::Request { exchange, .. } = seen {
                peer.respond(now, *exchange, Reply::new(code).body(&body));
            }
        });
    }

    fn note(&mut self, now: Duration, seen: Seen) {
        (self.engine)(&mut self.peer, now, &seen);
        self.seen.push(seen);
    }

    fn happen(&mut self, now: Duration, what: &Happening) {
        match what {
            Happening::Datagram { bytes, .. } => {
                if let Some(seen) = self.peer.handle_datagram(now, bytes).as_ref().map(Seen::of) {
                    self.note(now, seen);
                }
            }
            _ => self.peer.handle_timeout(now),
        }
    }

    fn events(&mut self, now: Duration) {
        while let Some(event) = self.peer.poll_event() {
            self.note(now, Seen::of(&event));
        }
    }

    /// The requests that were handed to the engine.
    pub fn requests(&self) -> usize {
        self.seen.iter().filter(|seen| matches!(seen, Seen::Request { .. })).count()
    }

    /// Takes what was seen so far.
    pub fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }
}

/// A client and a server in a world of their own.
pub struct Pair {
    pub world: World,
    pub client: End,
    pub server: End,
}

impl Pair {
    pub fn new() -> Self {
        Self::with(Config::default(), Config::default(), World::seeded(1))
    }

    pub fn with(client: Config, server: Config, mut world: World) -> Self {
        let (a, b) = (world.node("client"), world.node("server"));
        Self { client: End::new(client, 1, a), server: End::new(server, 2, b), world }
    }

    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// Brings what a test has called on the peers to the cable.
    pub fn pump(&mut self) {
        let (now, a, b) = (self.world.now(), self.client.address, self.server.address);
        for (end, to) in [(&mut self.client, b), (&mut self.server, a)] {
            end.events(now);
            end.buffer.clear();
            while let Some(range) = end.peer.poll_transmit(now, &mut end.buffer) {
                self.world.send(end.address, to, &end.buffer[range]);
            }
            let due = end.peer.poll_timeout().map(|(at, _)| at);
            self.world.set_timer(end.address, due);
        }
    }

    /// Runs until nothing happens any more, or this time has come.
    pub fn run_until(&mut self, limit: Duration) {
        self.pump();
        while let Some(event) = self.world.next_until(limit) {
            let end = if event.node == self.client.address { &mut self.client } else { &mut self.server };
            end.happen(event.at, &event.what);
            self.pump();
        }
    }

    /// Runs for so many seconds more.
    pub fn run(&mut self, time: f64) {
        self.run_until(self.now() + seconds(time));
    }

    /// What the client has sent, with its time.
    pub fn sent_by_client(&self) -> Vec<(Duration, Vec<u8>)> {
        let sent = self.world.trace().sent(self.client.address, self.server.address);
        sent.map(|(at, bytes)| (at, bytes.to_vec())).collect()
    }

    /// What the server has sent, with its time.
    pub fn sent_by_server(&self) -> Vec<(Duration, Vec<u8>)> {
        let sent = self.world.trace().sent(self.server.address, self.client.address);
        sent.map(|(at, bytes)| (at, bytes.to_vec())).collect()
    }

    /// A picture of what went over the cable.
    pub fn ladder(&self) -> String {
        self.world.trace().ladder(|bytes| describe(bytes).to_string())
    }
}

/// One peer to which a test speaks bytes.
pub struct Solo {
    pub peer: Peer,
    pub now: Duration,
}

impl Solo {
    pub fn new(config: Config) -> Self {
        Self { peer: Peer::new(Arc::new(config), [3; 32]), now: Duration::from_secs(1000) }
    }

    pub fn hear(&mut self, datagram: &[u8]) -> Option<Seen> {
        self.peer.handle_datagram(self.now, datagram).as_ref().map(Seen::of)
    }

    /// Hears a datagram that must be a request, and gives its exchange.
    pub fn hear_request(&mut self, datagram: &[u8]) -> ExchangeId {
        match self.hear(datagram) {
            Some(Seen::Request { exchange, .. } | Seen::Upload { exchange, .. }) => exchange,
            other => panic!("no request but {other:?}: {}", describe(datagram)),
        }
    }

    /// What it wants to send now.
    pub fn say(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        let mut buffer = Vec::new();
        while let Some(range) = self.peer.poll_transmit(self.now, &mut buffer) {
            said.push(buffer[range].to_vec());
        }
        said
    }

    /// The one datagram that it wants to send now.
    pub fn say_one(&mut self) -> Vec<u8> {
        let mut said = self.say();
        assert_eq!(said.len(), 1, "{:?}", said.iter().map(|one| describe(one).to_string()).collect::<Vec<_>>());
        said.remove(0)
    }

    pub fn events(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.peer.poll_event().as_ref().map(Seen::of)).collect()
    }

    pub fn pass(&mut self, time: f64) {
        self.now += seconds(time);
        self.peer.handle_timeout(self.now);
    }
}

/// A message made by hand.
pub fn message(
    kind: MessageType,
    code: Code,
    id: u16,
    token: &[u8],
    options: &[(u16, &[u8])],
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, kind, code, id, Token::new(token).unwrap());
    for (number, value) in options {
        writer.option_bytes(*number, value);
    }
    writer.payload(payload).finish();
    bytes
}

/// `GET /3/0` by hand.
pub fn get(kind: MessageType, id: u16, token: &[u8]) -> Vec<u8> {
    message(kind, Code::GET, id, token, &[(option::URI_PATH, b"3"), (option::URI_PATH, b"0")], b"")
}

/// `POST /3/0/4` by hand.
pub fn post(kind: MessageType, id: u16, token: &[u8]) -> Vec<u8> {
    let path: [(u16, &[u8]); 3] = [(option::URI_PATH, b"3"), (option::URI_PATH, b"0"), (option::URI_PATH, b"4")];
    message(kind, Code::POST, id, token, &path, b"")
}

/// So many bytes, none like its neighbours.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| byte_at(place as u64)).collect()
}

/// The byte of [`pattern`] at this place.
pub fn byte_at(place: u64) -> u8 {
    (place ^ place >> 8 ^ place >> 16).wrapping_mul(167) as u8
}
