//! Fetches, a server made by hand, and the cable between them.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageId, MessageType, Token, Writer,
    fetch::{Config, Event, Failure, Fetch, MessageIds, Resource, Restart, Resume},
    wire::option,
};
use sim::{Cable, Happening, World};

use crate::tcp::Tcp;

pub const MIB: usize = 1024 * 1024;
pub const ETAG: &[u8] = b"one";

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// So many bytes, of which no two blocks are alike.
pub fn pattern(length: usize) -> Arc<[u8]> {
    (0..length as u64).map(|place| (place ^ place >> 8 ^ place >> 16).wrapping_mul(167) as u8).collect()
}

/// An event that a test can keep; data is checked and counted instead.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Head { size: Option<u64>, etag: Option<Vec<u8>> },
    Restarted(Restart),
    Finished,
    Failed(Failure),
}

/// One fetch, and what has come of it.
pub struct Flow {
    pub fetch: Fetch,
    pub told: Vec<Told>,
    /// How far the body is.
    pub offset: u64,
    /// When it ended.
    pub ended: Option<Duration>,
    /// Keeps what comes without consuming it.
    pub holds: bool,
    pub held: usize,
    /// The most memory that was held.
    pub memory: usize,
    /// The widest window.
    pub window: usize,
    ids: MessageIds,
    expected: Arc<[u8]>,
}

impl Flow {
    fn new(now: Duration, config: Config, resume: Option<Resume<'_>>, seed: u8, expected: Arc<[u8]>) -> Self {
        let resource = Resource { path: &["firmware"], ..Resource::default() };
        Self {
            fetch: Fetch::new(now, config, &resource, resume, [seed; 32]),
            told: Vec::new(),
            offset: resume.map_or(0, |resume| resume.offset),
            ended: None,
            holds: false,
            held: 0,
            memory: 0,
            window: 0,
            ids: MessageIds::new(u16::from(seed) << 8),
            expected,
        }
    }

    fn events(&mut self, now: Duration) {
        self.memory = self.memory.max(self.fetch.memory());
        self.window = self.window.max(self.fetch.window());
        while let Some(event) = self.fetch.poll_event() {
            let told = match event {
                Event::Data { offset, bytes } => {
                    assert_eq!(offset, self.offset, "in order and without a gap");
                    let place = offset as usize;
                    assert!(self.expected[place..].starts_with(bytes), "wrong bytes at {offset}");
                    self.offset += bytes.len() as u64;
                    let length = bytes.len();
                    if self.holds {
                        self.held += length;
                    } else {
                        self.fetch.consumed(now, length);
                    }
                    continue;
                }
                Event::Head(head) => Told::Head { size: head.size, etag: head.etag().map(<[u8]>::to_vec) },
                Event::Restarted(why) => {
                    self.offset = 0;
                    Told::Restarted(why)
                }
                Event::Finished => Told::Finished,
                Event::Failed(why) => Told::Failed(why),
                other => panic!("an event that this harness does not know: {other:?}"),
            };
            if matches!(told, Told::Finished | Told::Failed(_)) {
                assert_eq!(self.ended.replace(now), None, "nothing follows the end");
            }
            self.told.push(told);
        }
    }

    pub fn is_finished(&self) -> bool {
        self.told.last() == Some(&Told::Finished) && self.offset == self.expected.len() as u64
    }
}

/// Answers to a request, each with the time it takes.
pub type Answers = Vec<(Duration, Vec<u8>)>;

/// A link that loses, doubles, delays and re-orders, and does so differently for each seed.
pub fn rough(seed: u64) -> Cable {
    Cable::new()
        .latency(ms(seed % 7 * 30))
        .jitter(ms(seed % 5 * 20))
        .loss((seed % 4) as f64 * 0.08)
        .duplication(0.1)
        .reordering(0.2, ms(100))
}

pub fn at_once(answers: Vec<Vec<u8>>) -> Answers {
    answers.into_iter().map(|answer| (Duration::ZERO, answer)).collect()
}

/// What a server does with a request.
pub type Serve = Box<dyn FnMut(Duration, &Message<'_>, &mut Site) -> Answers>;

/// The resource as a server has it.
pub struct Site {
    pub body: Arc<[u8]>,
    pub etag: Option<Vec<u8>>,
    /// Tell the size.
    pub size: bool,
    /// The largest block that it gives.
    pub largest: BlockSize,
    /// The message ID of its next message.
    pub id: MessageId,
    /// The requests for blocks that have come, by offset.
    pub asked: Vec<u64>,
    /// The messages with them.
    pub messages: u64,
    /// It has Q-Block2 (RFC 9177).
    pub q_block2: bool,
}

impl Site {
    pub fn new(body: Arc<[u8]>) -> Self {
        let (etag, largest) = (Some(ETAG.to_vec()), BlockSize::B1024);
        Self { body, etag, size: true, largest, id: 7, asked: Vec::new(), messages: 0, q_block2: false }
    }

    /// An answer without a body, in the form that is due to the request.
    pub fn say(&mut self, request: &Message<'_>, code: Code, max_age: Option<u32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = self.writer(&mut bytes, request, code);
        if let Some(seconds) = max_age {
            writer.option_uint(option::MAX_AGE, seconds);
        }
        writer.finish();
        bytes
    }

    fn writer<'b>(&mut self, bytes: &'b mut Vec<u8>, request: &Message<'_>, code: Code) -> Writer<'b> {
        match request.kind {
            MessageType::Con => Writer::new(bytes, MessageType::Ack, code, request.id, request.token),
            _ => {
                self.id = self.id.wrapping_add(1);
                Writer::new(bytes, MessageType::Non, code, self.id, request.token)
            }
        }
    }

    /// What a request asks for: by Q-Block2 several blocks, each by an option of its own, where this server has that; otherwise it
    /// is refused, as RFC 7252 section 5.4.1 wants it.
    pub fn answers(&mut self, request: &Message<'_>) -> Vec<Vec<u8>> {
        let asked: Vec<_> = request.options.q_block2().map(Result::unwrap).collect();
        match (asked.is_empty(), request.kind) {
            (true, _) => vec![self.block(request)],
            (false, _) if self.q_block2 => asked.into_iter().map(|block| self.give_q(request, block)).collect(),
            (false, MessageType::Con) => vec![self.say(request, Code::BAD_OPTION, None)],
            (false, _) => Vec::new(),
        }
    }

    /// A block by Q-Block2.
    pub fn give_q(&mut self, request: &Message<'_>, asked: Block) -> Vec<u8> {
        assert!(!asked.more && asked.offset() < self.body.len() as u64, "{asked}");
        let by_block2 = self.give(request, asked.number, asked.size);
        let message = Message::parse(&by_block2).unwrap();
        let block = message.options.block2().unwrap().unwrap();
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, message.kind, message.code, message.id, message.token);
        if let Some(etag) = message.options.etag() {
            writer.option_bytes(option::ETAG, etag);
        }
        writer.option_uint(option::SIZE2, self.body.len() as u32).option_block(option::Q_BLOCK2, block);
        writer.payload(message.payload).finish();
        bytes
    }

    /// The block that a request asks for.
    pub fn block(&mut self, request: &Message<'_>) -> Vec<u8> {
        let asked = request.options.block2().unwrap();
        let asked = asked.unwrap_or(Block { number: 0, more: false, size: BlockSize::B1024 });
        let offset = asked.offset();
        if offset > 0 && offset >= self.body.len() as u64 {
            return self.say(request, Code::BAD_REQUEST, None);
        }
        let size = asked.size.min(self.largest);
        let number = (offset / size.bytes() as u64) as u32;
        self.give(request, number, size)
    }

    /// A block, whatever was asked for.
    pub fn give(&mut self, request: &Message<'_>, number: u32, size: BlockSize) -> Vec<u8> {
        let body = Arc::clone(&self.body);
        let start = (number as usize * size.bytes()).min(body.len());
        let end = (start + size.bytes()).min(body.len());
        let (etag, total) = (self.etag.clone(), self.size && request.options.size2().is_some());
        let mut bytes = Vec::new();
        let mut writer = self.writer(&mut bytes, request, Code::CONTENT);
        if let Some(etag) = etag {
            writer.option_bytes(option::ETAG, &etag);
        }
        writer.option_block(option::BLOCK2, Block { number, more: end < body.len(), size });
        if total {
            writer.option_uint(option::SIZE2, body.len() as u32);
        }
        writer.payload(&body[start..end]).finish();
        bytes
    }
}

/// A world with one client, one server, and any number of fetches.
pub struct Lab {
    pub world: World,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub site: Site,
    pub flows: Vec<Flow>,
    /// What else the server sends to the client.
    pub tcp: Option<Tcp>,
    serve: Serve,
    later: BTreeMap<u64, Vec<u8>>,
    tag: u64,
    started: u8,
}

impl Lab {
    pub fn new(mut world: World, body: Arc<[u8]>) -> Self {
        let (client, server) = (world.node("client"), world.node("server"));
        let serve: Serve = Box::new(|_, request, site| at_once(site.answers(request)));
        let site = Site::new(body);
        Self {
            world,
            client,
            server,
            site,
            flows: Vec::new(),
            tcp: None,
            serve,
            later: BTreeMap::new(),
            tag: 0,
            started: 0,
        }
    }

    /// Serves in this way from now on.
    pub fn serve(&mut self, serve: impl FnMut(Duration, &Message<'_>, &mut Site) -> Answers + 'static) {
        self.serve = Box::new(serve);
    }

    pub fn start(&mut self, config: Config, resume: Option<Resume<'_>>) -> usize {
        self.started += 1;
        let (seed, expected) = (self.started, Arc::clone(&self.site.body));
        self.flows.push(Flow::new(self.world.now(), config, resume, seed, expected));
        self.flows.len() - 1
    }

    /// Fetches until the body is whole.
    pub fn persist(&mut self, config: Config, seed: u64) {
        let mut flow = self.start(config.clone(), None);
        self.run(10_000);
        while self.flows[flow].told.last() == Some(&Told::Failed(Failure::TimedOut)) {
            // Five times in a row, a request or its answer was lost: the next fetch goes on.
            let offset = self.flows[flow].offset;
            flow = self.start(config.clone(), Some(Resume { offset, etag: ETAG }));
            assert!(flow < 10, "seed {seed}");
            self.run(10_000);
        }
        let flow = &self.flows[flow];
        assert!(flow.is_finished(), "seed {seed}: {:?} at {}", flow.told, flow.offset);
    }

    /// Fetches with the defaults until the end, or for so many seconds.
    pub fn fetch(&mut self, limit: u64) -> &Flow {
        let flow = self.start(Config::default(), None);
        self.run(limit);
        &self.flows[flow]
    }

    /// Runs until all have ended, or so many seconds more.
    pub fn run(&mut self, limit: u64) {
        let limit = self.world.now() + Duration::from_secs(limit);
        self.run_while(limit, |lab| lab.flows.iter().any(|flow| flow.ended.is_none()));
    }

    /// Runs for so many seconds.
    pub fn run_for(&mut self, seconds: u64) {
        self.run_until(self.world.now() + Duration::from_secs(seconds));
    }

    /// Runs until this time.
    pub fn run_until(&mut self, limit: Duration) {
        self.run_while(limit, |_| true);
    }

    fn run_while(&mut self, limit: Duration, goes_on: impl Fn(&Self) -> bool) {
        self.pump();
        while goes_on(self) {
            let Some(event) = self.world.next_until(limit) else { return };
            match event.what {
                Happening::Datagram { bytes, .. } if Tcp::is_its(&bytes) => self.handle_tcp(event.at, &bytes),
                Happening::Datagram { bytes, .. } if event.node == self.server => self.handle_request(event.at, &bytes),
                Happening::Datagram { bytes, .. } => {
                    self.flows.iter_mut().any(|flow| flow.fetch.handle_datagram(event.at, &bytes));
                }
                Happening::Alarm(tag) => {
                    let bytes = self.later.remove(&tag).unwrap();
                    self.world.send(self.server, self.client, &bytes);
                }
                Happening::Timer if event.node == self.server => {
                    self.tcp.iter_mut().for_each(|tcp| tcp.handle_timeout(event.at));
                }
                Happening::Timer => self.flows.iter_mut().for_each(|flow| flow.fetch.handle_timeout(event.at)),
            }
            self.pump();
        }
    }

    fn handle_tcp(&mut self, now: Duration, bytes: &[u8]) {
        match (Tcp::acknowledge(bytes), &mut self.tcp) {
            (Some(acknowledgement), _) => self.world.send(self.client, self.server, &acknowledgement),
            (None, Some(tcp)) => tcp.handle_ack(now, bytes),
            (None, None) => unreachable!("nobody sent a segment"),
        }
    }

    fn handle_request(&mut self, now: Duration, bytes: &[u8]) {
        let message = Message::parse(bytes).unwrap();
        if !message.code.is_request() {
            return;
        }
        assert_eq!(message.options.uri_path().collect::<Vec<_>>(), ["firmware"]);
        self.site.messages += 1;
        match message.options.q_block2().next() {
            None => self.site.asked.push(message.options.block2().unwrap().map_or(0, Block::offset)),
            Some(_) => {
                assert_eq!(message.options.block2(), Ok(None), "they must not be mixed (RFC 9177 section 4.1)");
                let asked: Vec<u64> = message.options.q_block2().map(|block| block.unwrap().offset()).collect();
                assert!(asked.is_sorted_by(|a, b| a < b) && asked.len() <= 10, "{asked:?}");
                self.site.asked.extend(asked);
            }
        }
        for (delay, answer) in (self.serve)(now, &message, &mut self.site) {
            self.tag += 1;
            if delay.is_zero() {
                self.world.send(self.server, self.client, &answer);
            } else {
                self.later.insert(self.tag, answer);
                self.world.alarm(self.server, now + delay, self.tag);
            }
        }
    }

    pub fn pump(&mut self) {
        let now = self.world.now();
        let mut buffer = Vec::new();
        for flow in &mut self.flows {
            flow.events(now);
            let Flow { fetch, ids, .. } = flow;
            while let Some(range) = fetch.poll_transmit(now, || ids.next(|_| false), &mut buffer) {
                self.world.send(self.client, self.server, &buffer[range]);
                buffer.clear();
            }
            flow.events(now);
        }
        if let Some(tcp) = &mut self.tcp {
            while let Some(segment) = tcp.send(now) {
                self.world.send(self.server, self.client, &segment);
            }
            self.world.set_timer(self.server, Some(tcp.due()));
        }
        let due = self.flows.iter().filter_map(|flow| flow.fetch.poll_timeout()).min();
        self.world.set_timer(self.client, due.map(|(at, _)| at));
    }
}

/// An empty message by hand.
pub fn empty(kind: MessageType, id: MessageId) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer::empty(&mut bytes, kind, id);
    bytes
}

/// The same message as another type and with another message ID.
pub fn retyped(datagram: &[u8], kind: MessageType, id: MessageId) -> Vec<u8> {
    let message = Message::parse(datagram).unwrap();
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, kind, message.code, id, message.token);
    for option in message.options.iter() {
        writer.option_bytes(option.number, option.value);
    }
    writer.payload(message.payload).finish();
    bytes
}

/// The same message with another token.
pub fn with_token(datagram: &[u8], token: &[u8]) -> Vec<u8> {
    let message = Message::parse(datagram).unwrap();
    let mut bytes = Vec::new();
    let token = Token::new(token).unwrap();
    let mut writer = Writer::new(&mut bytes, message.kind, message.code, message.id, token);
    for option in message.options.iter() {
        writer.option_bytes(option.number, option.value);
    }
    writer.payload(message.payload).finish();
    bytes
}
