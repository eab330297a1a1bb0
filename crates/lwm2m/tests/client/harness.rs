//! A client and the server that a test scripts for it, message by message.

use std::{collections::VecDeque, time::Duration};

use lapwing_coap::{Code, ContentFormat, Message, MessageType, Token, Writer, wire};
use lapwing_lwm2m::{
    Now,
    account::{Record, Saved, ServerAccount, ServerId},
    client::{
        Client, Command, Config, ErrorCode, Event, FlowError, FlowEvent, FlowId, Operation, OperationId, Output,
        PersistId, Reply, Target,
    },
    model::Value,
};

use crate::objects::{Objects, path};

pub(crate) const SEED: [u8; 32] = [7; 32];

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A message, as the server got it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) to: ServerId,
    pub(crate) kind: MessageType,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<String>,
    pub(crate) location: Vec<String>,
    pub(crate) format: Option<ContentFormat>,
    pub(crate) observe: Option<u32>,
    pub(crate) payload: Vec<u8>,
}

impl Sent {
    fn new(at: Duration, to: ServerId, datagram: &[u8]) -> Sent {
        let message = Message::parse(datagram).expect("the client sends valid messages");
        let options = &message.options;
        Sent {
            at,
            to,
            kind: message.kind,
            code: message.code,
            id: message.id,
            token: message.token,
            path: options.uri_path().map(str::to_owned).collect(),
            query: options.uri_query().map(str::to_owned).collect(),
            location: options.location_path().map(str::to_owned).collect(),
            format: options.content_format(),
            observe: options.observe(),
            payload: message.payload.to_vec(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }
}

/// A request of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) code: Code,
    pub(crate) path: &'a str,
    pub(crate) query: &'a [&'a str],
    pub(crate) observe: Option<u32>,
    pub(crate) format: Option<ContentFormat>,
    pub(crate) accept: Option<ContentFormat>,
    pub block1: Option<wire::Block>,
    pub block2: Option<wire::Block>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Ask<'a> {
    pub(crate) fn new(code: Code, path: &'a str) -> Ask<'a> {
        Ask {
            code,
            path,
            query: &[],
            observe: None,
            format: None,
            accept: None,
            block1: None,
            block2: None,
            payload: &[],
        }
    }

    pub(crate) fn get(path: &'a str) -> Ask<'a> {
        Ask::new(Code::GET, path)
    }

    pub(crate) fn observe(path: &'a str) -> Ask<'a> {
        Ask { observe: Some(0), ..Ask::get(path) }
    }

    pub(crate) fn put(path: &'a str, format: ContentFormat, payload: &'a [u8]) -> Ask<'a> {
        Ask { format: Some(format), payload, ..Ask::new(Code::PUT, path) }
    }

    pub(crate) fn post(path: &'a str, format: ContentFormat, payload: &'a [u8]) -> Ask<'a> {
        Ask { format: Some(format), payload, ..Ask::new(Code::POST, path) }
    }

    pub(crate) fn accept(self, format: ContentFormat) -> Ask<'a> {
        Ask { accept: Some(format), ..self }
    }

    fn write(&self, kind: MessageType, id: u16, token: Token) -> Vec<u8> {
        use wire::option as number;
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, kind, self.code, id, token);
        if let Some(observe) = self.observe {
            writer.option_uint(number::OBSERVE, observe);
        }
        for segment in self.path.split('/').filter(|segment| !segment.is_empty()) {
            writer.option_str(number::URI_PATH, segment);
        }
        if let Some(format) = self.format {
            writer.option_uint(number::CONTENT_FORMAT, format.0.into());
        }
        for argument in self.query {
            writer.option_str(number::URI_QUERY, argument);
        }
        if let Some(accept) = self.accept {
            writer.option_uint(number::ACCEPT, accept.0.into());
        }
        if let Some(block) = self.block2 {
            writer.option_block(number::BLOCK2, block);
        }
        if let Some(block) = self.block1 {
            writer.option_block(number::BLOCK1, block);
        }
        writer.payload(self.payload).finish();
        buffer
    }
}

pub(crate) struct Harness {
    pub(crate) client: Client,
    pub(crate) now: Duration,
    /// The date, if it is known.
    pub(crate) unix: Option<Duration>,
    pub(crate) objects: Objects,
    /// Whether operations are answered by `objects` at once; otherwise they wait in `operations`.
    pub(crate) automatic: bool,
    pub(crate) operations: VecDeque<(OperationId, Operation)>,
    /// What concerns operations beyond their beginning: chunks, pulls, aborts, settled ones.
    pub(crate) more: VecDeque<More>,
    pub(crate) sent: VecDeque<Sent>,
    pub(crate) events: VecDeque<Event>,
    /// Whether records are stored at once.
    pub(crate) stores: bool,
    pub(crate) persisting: VecDeque<(PersistId, Record)>,
    pub(crate) saved: Saved,
    pub(crate) opens: Vec<Target>,
    /// What becomes of flows.
    pub(crate) network: Result<(), FlowError>,
    /// The local port of flows that ask for none, if it is told.
    pub(crate) port: Option<u16>,
    /// Whether the port that is asked for belongs to somebody else.
    pub(crate) port_taken: bool,
    /// The flow that what is said to the client comes on: the last that was opened, until it is closed.
    pub(crate) flow: Option<FlowId>,
    /// All flows that are open, in the order in which they were opened.
    pub(crate) flows: Vec<(FlowId, ServerId)>,
    next_id: u16,
    ladder: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum More {
    Chunk(OperationId, Vec<u8>, bool),
    Pull(OperationId, u64, usize),
    Abort(OperationId, lapwing_lwm2m::client::Why),
    Settled(OperationId),
}

impl Drop for Harness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{:?}", self.ladder.join("\n"), self.client);
        }
    }
}

impl Harness {
    /// A client that has not declared anything yet.
    pub(crate) fn new(config: Config) -> Harness {
        Harness::with_saved(config, Saved::new())
    }

    pub(crate) fn with_saved(config: Config, saved: Saved) -> Harness {
        let now = seconds(1_000);
        Harness {
            client: Client::new(now.into(), config, SEED, saved.clone()).unwrap(),
            now,
            unix: None,
            objects: Objects::gateway(),
            automatic: true,
            operations: VecDeque::new(),
            more: VecDeque::new(),
            sent: VecDeque::new(),
            events: VecDeque::new(),
            stores: true,
            persisting: VecDeque::new(),
            saved,
            opens: Vec::new(),
            network: Ok(()),
            port: None,
            port_taken: false,
            flow: None,
            flows: Vec::new(),
            next_id: 0,
            ladder: Vec::new(),
        }
    }

    pub(crate) fn config() -> Config {
        Config::new("gw", vec![ServerAccount::new(1, "coap://server.example".parse().unwrap()).lifetime(60)])
    }

    /// A client that is registered as `/rd/a`, with nothing left to be taken.
    pub(crate) fn registered() -> Harness {
        Harness::registered_with(Harness::config())
    }

    /// The same, with a lifetime that never lapses, so that no Update gets between.
    pub(crate) fn registered_for_long() -> Harness {
        let mut config = Harness::config();
        config.servers[0].lifetime = 0;
        Harness::registered_with(config)
    }

    pub(crate) fn registered_with(config: Config) -> Harness {
        let mut harness = Harness::new(config);
        harness.declare();
        harness.accept_registration();
        harness
    }

    pub(crate) fn declare(&mut self) {
        let tree = self.objects.tree();
        self.client.declare(self.time(), tree);
        self.drive();
    }

    pub(crate) fn accept_registration(&mut self) {
        let register = self.take();
        assert_eq!((register.code, &register.path[..]), (Code::POST, &["rd".to_owned()][..]));
        self.answer_created(&register, &["rd", "a"]);
        assert!(matches!(self.next_event(), Event::Registered { server: 1, .. }));
        self.expect_silence();
    }

    pub(crate) fn time(&self) -> Now {
        Now::new(self.now, self.unix)
    }

    /// Polls until the client waits, and says for what time.
    pub(crate) fn drive(&mut self) -> Option<Duration> {
        let mut buffer = Vec::new();
        loop {
            match self.client.poll_output(&mut buffer) {
                Output::Wait(due, _) => return due,
                Output::Open(flow, target) => {
                    self.flow = Some(flow);
                    self.flows.push((flow, target.server));
                    if let Some(port) = self.port {
                        let port = target.local_port.filter(|_| !self.port_taken).unwrap_or(port);
                        self.client.handle_flow(self.time(), flow, FlowEvent::Bound(port));
                    }
                    self.opens.push(target);
                    let event = self.network.map_or_else(FlowEvent::Failed, |()| FlowEvent::Opened);
                    self.client.handle_flow(self.time(), flow, event);
                }
                Output::Close(flow) => {
                    let open = self.flows.len();
                    self.flows.retain(|(other, _)| *other != flow);
                    assert_eq!(self.flows.len() + 1, open, "a flow is closed once");
                    self.flow.take_if(|current| *current == flow);
                }
                Output::Transmit(flow, datagram) => {
                    let open = self.flows.iter().find(|(other, _)| *other == flow);
                    let to = open.expect("a datagram on a flow that is open").1;
                    if self.opens.iter().any(|target| target.server == to && target.uri.is_secure()) {
                        // A handshake, which nobody answers here.
                        continue;
                    }
                    self.ladder.push(format!("{:>12?}  -> {}", self.now, wire::describe(datagram)));
                    self.sent.push_back(Sent::new(self.now, to, datagram));
                }
                Output::Operation(id, operation) => {
                    if self.automatic {
                        let reply = self.objects.run(&operation.kind);
                        self.client.complete(self.time(), id, reply);
                    } else {
                        self.operations.push_back((id, operation));
                    }
                }
                Output::Chunk(id, bytes, last) => self.more.push_back(More::Chunk(id, bytes.to_vec(), last)),
                Output::Pull(id, offset, length) => self.more.push_back(More::Pull(id, offset, length)),
                Output::Abort(id, why) => self.more.push_back(More::Abort(id, why)),
                Output::Settled(id) => self.more.push_back(More::Settled(id)),
                Output::Persist(id, record) => {
                    if self.stores {
                        self.saved.insert(record);
                        self.client.persisted(self.time(), id, Ok(()));
                    } else {
                        self.persisting.push_back((id, record));
                    }
                }
                Output::Event(event) => {
                    self.ladder.push(format!("{:>12?}     {event:?}", self.now));
                    self.events.push_back(event);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Lets time pass, up to and including `until`.
    pub(crate) fn run_until(&mut self, until: Duration) {
        while let Some(due) = self.drive().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.time());
        }
        self.now = until;
        self.client.handle_timeout(self.time());
        self.drive();
    }

    /// Lets time pass until something happens.
    pub(crate) fn run_to_event(&mut self) -> Event {
        while self.events.is_empty() {
            self.now = self.drive().filter(|_| self.events.is_empty()).unwrap_or(self.now);
            self.client.handle_timeout(self.time());
            self.drive();
        }
        self.next_event()
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// What is said to the client from now on comes from this server.
    pub(crate) fn speak_as(&mut self, server: ServerId) {
        let flow = self.flows.iter().rev().find(|(_, other)| *other == server);
        self.flow = Some(flow.expect("a flow to this server").0);
    }

    pub(crate) fn deliver(&mut self, datagram: &[u8]) {
        self.ladder.push(format!("{:>12?} <-  {}", self.now, wire::describe(datagram)));
        if let Some(flow) = self.flow {
            self.client.handle_datagram(self.time(), flow, datagram);
        }
        self.drive();
    }

    /// Something that may be no message at all.
    pub(crate) fn deliver_noise(&mut self, datagram: &[u8]) {
        if let Some(flow) = self.flow {
            self.client.handle_datagram(self.time(), flow, datagram);
        }
        self.drive();
    }

    /// The next message that the client sent.
    pub(crate) fn take(&mut self) -> Sent {
        self.drive();
        self.sent.pop_front().expect("the client sends something")
    }

    pub(crate) fn next_event(&mut self) -> Event {
        self.drive();
        self.events.pop_front().expect("something happened")
    }

    pub(crate) fn expect_silence(&mut self) {
        self.drive();
        assert_eq!(self.sent.pop_front(), None, "the client sends nothing");
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.client.command(self.time(), command);
        self.drive();
    }

    pub(crate) fn answer(&mut self, request: &Sent, code: Code) {
        self.answer_with(request, code, |_| {});
    }

    pub(crate) fn answer_created(&mut self, request: &Sent, location: &[&str]) {
        self.answer_with(request, Code::CREATED, |writer| {
            for segment in location {
                writer.option_str(wire::option::LOCATION_PATH, segment);
            }
        });
    }

    /// Answers by a confirmable message of its own (RFC 7252 section 5.2.2).
    pub(crate) fn answer_created_separately(&mut self, request: &Sent, location: &[&str]) {
        let id = self.fresh_id();
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, MessageType::Con, Code::CREATED, id, request.token);
        for segment in location {
            writer.option_str(wire::option::LOCATION_PATH, segment);
        }
        writer.finish();
        self.deliver(&buffer);
    }

    fn answer_with(&mut self, request: &Sent, code: Code, more: impl FnOnce(&mut Writer<'_>)) {
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, MessageType::Ack, code, request.id, request.token);
        more(&mut writer);
        writer.finish();
        self.deliver(&buffer);
    }

    pub(crate) fn acknowledge(&mut self, message: &Sent) {
        let mut buffer = Vec::new();
        Writer::empty(&mut buffer, MessageType::Ack, message.id);
        self.deliver(&buffer);
    }

    pub(crate) fn reset(&mut self, message: &Sent) {
        let mut buffer = Vec::new();
        Writer::empty(&mut buffer, MessageType::Rst, message.id);
        self.deliver(&buffer);
    }

    /// Sends a confirmable request and gives its message ID.
    pub(crate) fn ask(&mut self, ask: Ask<'_>) -> u16 {
        let id = self.fresh_id();
        self.ask_as(ask, id, Token::new(&id.to_be_bytes()).unwrap());
        id
    }

    pub(crate) fn fresh_id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn ask_as(&mut self, ask: Ask<'_>, id: u16, token: Token) {
        self.deliver(&ask.write(MessageType::Con, id, token));
    }

    /// Sends a request, and takes the answer that comes in its acknowledgement.
    pub(crate) fn request(&mut self, ask: Ask<'_>) -> Sent {
        let id = self.ask(ask);
        let answer = self.take();
        assert_eq!((answer.kind, answer.id), (MessageType::Ack, id), "{answer:?}");
        answer
    }

    /// Sends a request and gives the code of the answer.
    pub(crate) fn code(&mut self, ask: Ask<'_>) -> Code {
        self.request(ask).code
    }

    /// Begins an observation and gives its token.
    pub(crate) fn observe(&mut self, at: &str) -> Token {
        let answer = self.request(Ask::observe(at));
        assert_eq!((answer.code, answer.observe.is_some()), (Code::CONTENT, true));
        assert!(matches!(self.next_event(), Event::Observed(_)));
        answer.token
    }

    pub(crate) fn write_attributes(&mut self, at: &str, query: &[&str]) -> Code {
        self.code(Ask { query, ..Ask::new(Code::PUT, at) })
    }

    /// The next notification of an observation, acknowledged.
    pub(crate) fn notification(&mut self, token: Token) -> Sent {
        let notification = self.take();
        assert_eq!((notification.kind, notification.code), (MessageType::Con, Code::CONTENT));
        assert_eq!(notification.token, token);
        self.acknowledge(&notification);
        notification
    }

    /// The application's value changes, and it tells so without saying to what.
    pub(crate) fn touch(&mut self, at: &str, value: impl Into<Value>) {
        self.objects.set(at, value);
        self.client.notify(self.time(), path(at), None);
        self.drive();
    }

    /// The application's value changes, and it tells so.
    pub(crate) fn change(&mut self, at: &str, value: impl Into<Value>) {
        let value = value.into();
        self.objects.set(at, value.clone());
        self.client.notify(self.time(), path(at), Some(value));
        self.drive();
    }

    pub(crate) fn complete(&mut self, id: OperationId, reply: Result<Reply, ErrorCode>) {
        self.client.complete(self.time(), id, reply);
        self.drive();
    }

    pub(crate) fn operation(&mut self) -> (OperationId, Operation) {
        self.drive();
        self.operations.pop_front().expect("an operation")
    }
}
