//! A server engine in virtual time, and clients made of raw CoAP messages.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod secure;

use std::{net::SocketAddr, time::Duration};

use lapwing_coap::{
    ContentFormat,
    wire::{Code, Message, MessageType, Options, Token, Writer, option},
};
use lapwing_lwm2m::{
    Now,
    server::{
        Channel, Fetch, RegistrationId, Request, RequestError, RequestId, Response, Server, ServerConfig, ServerEvent,
        ServerOutput,
    },
};

/// A client's address.
pub fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 40_000))
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A message as it is sent or was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Msg {
    pub kind: MessageType,
    pub code: Code,
    pub id: u16,
    pub token: Vec<u8>,
    pub options: Vec<(u16, Vec<u8>)>,
    pub payload: Vec<u8>,
}

impl Msg {
    pub fn new(kind: MessageType, code: Code, id: u16, token: &[u8]) -> Msg {
        Msg { kind, code, id, token: token.to_vec(), options: Vec::new(), payload: Vec::new() }
    }

    pub fn parse(datagram: &[u8]) -> Msg {
        let message = Message::parse(datagram).expect("the server sends valid messages");
        Msg {
            kind: message.kind,
            code: message.code,
            id: message.id,
            token: message.token.as_bytes().to_vec(),
            options: message.options.iter().map(|option| (option.number, option.value.to_vec())).collect(),
            payload: message.payload.to_vec(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        let token = Token::new(&self.token).expect("a token has at most 8 bytes");
        let mut writer = Writer::new(&mut buffer, self.kind, self.code, self.id, token);
        let mut options = self.options.clone();
        options.sort_by_key(|(number, _)| *number);
        for (number, value) in &options {
            writer.option_bytes(*number, value);
        }
        if !self.payload.is_empty() {
            writer.payload(&self.payload);
        }
        writer.finish();
        buffer
    }

    /// Uri-Path and Uri-Query, as in `/rd?ep=a&lt=60`.
    pub fn uri(mut self, uri: &str) -> Msg {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = path.split('/').filter(|part| !part.is_empty());
        self.options.extend(segments.map(|segment| (option::URI_PATH, segment.as_bytes().to_vec())));
        let queries = query.split('&').filter(|part| !part.is_empty());
        self.options.extend(queries.map(|query| (option::URI_QUERY, query.as_bytes().to_vec())));
        self
    }

    pub fn option(mut self, number: u16, value: &[u8]) -> Msg {
        self.options.push((number, value.to_vec()));
        self
    }

    pub fn uint(self, number: u16, value: u32) -> Msg {
        let bytes = value.to_be_bytes();
        let skip = bytes.iter().take_while(|byte| **byte == 0).count();
        self.option(number, &bytes[skip..])
    }

    pub fn format(self, format: ContentFormat) -> Msg {
        self.uint(option::CONTENT_FORMAT, u32::from(format.0))
    }

    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Msg {
        self.payload = payload.as_ref().to_vec();
        self
    }

    pub fn values(&self, number: u16) -> Vec<&[u8]> {
        self.options.iter().filter(|(other, _)| *other == number).map(|(_, value)| value.as_slice()).collect()
    }

    pub fn number(&self, number: u16) -> Option<u32> {
        let value = *self.values(number).first()?;
        Some(value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn texts(&self, number: u16) -> Vec<String> {
        self.values(number).iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    pub fn path(&self) -> String {
        format!("/{}", self.texts(option::URI_PATH).join("/"))
    }

    pub fn queries(&self) -> Vec<String> {
        self.texts(option::URI_QUERY)
    }

    pub fn location(&self) -> String {
        format!("/{}", self.texts(option::LOCATION_PATH).join("/"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The acknowledgement of this request that carries its answer.
    pub fn answer(&self, code: Code) -> Msg {
        Msg::new(MessageType::Ack, code, self.id, &self.token)
    }

    /// Options that no test of this harness looks at are still valid ones.
    pub fn assert_valid(&self) {
        assert!(Options::parse(Message::parse(&self.bytes()).expect("valid").options.as_bytes()).is_ok());
    }
}

/// The server engine, and all that it has said.
pub struct Bench {
    pub server: Server,
    pub now: Duration,
    pub events: Vec<ServerEvent>,
    pub answers: Vec<(RequestId, Result<Response, RequestError>)>,
    /// Blocks of pushes that are wanted.
    pub pulls: Vec<(RequestId, u64, usize)>,
    pub fetches: Vec<Fetch>,
    pub sent: Vec<(SocketAddr, Msg)>,
    /// What went out of the secure socket.
    pub records: Vec<(SocketAddr, Vec<u8>)>,
    pub wait: Option<Duration>,
    next_id: u16,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(|_| ())
    }

    pub fn with(configure: impl FnOnce(&mut ServerConfig)) -> Bench {
        let mut config = ServerConfig::default();
        configure(&mut config);
        let now = seconds(1_000);
        let server = Server::new(Now::from_elapsed(now), config, [7; 32]);
        let (events, answers, pulls, fetches, sent, records) = Default::default();
        Bench { server, now, events, answers, pulls, fetches, sent, records, wait: None, next_id: 100 }
    }

    pub fn now(&self) -> Now {
        Now::from_elapsed(self.now)
    }

    pub fn poll(&mut self) {
        let mut buffer = Vec::new();
        loop {
            match self.server.poll_output(&mut buffer) {
                ServerOutput::Transmit(Channel::Plain, to, datagram) => self.sent.push((to, Msg::parse(datagram))),
                ServerOutput::Transmit(Channel::Secure, to, record) => self.records.push((to, record.to_vec())),
                ServerOutput::Answer(id, result) => self.answers.push((id, result)),
                ServerOutput::Pull(id, offset, length) => self.pulls.push((id, offset, length)),
                ServerOutput::Fetch(fetch) => self.fetches.push(fetch),
                ServerOutput::Event(event) => self.events.push(event),
                ServerOutput::Wait(at, _) => {
                    self.wait = at;
                    return;
                }
            }
        }
    }

    pub fn deliver(&mut self, from: SocketAddr, message: &Msg) {
        self.deliver_bytes(from, &message.bytes());
    }

    pub fn deliver_bytes(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.server.handle_datagram(self.now(), Channel::Plain, from, datagram);
        self.poll();
    }

    /// Lets time pass, timer by timer.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.poll();
        while let Some(at) = self.wait.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now());
            self.poll();
        }
        self.now = end;
    }

    /// What was sent to this address since it was last asked.
    pub fn take(&mut self, to: SocketAddr) -> Vec<Msg> {
        let (taken, kept) = std::mem::take(&mut self.sent).into_iter().partition(|(address, _)| *address == to);
        self.sent = kept;
        taken.into_iter().map(|(_, message)| message).collect()
    }

    /// As [`Bench::take`], when it is one message.
    pub fn take_one(&mut self, to: SocketAddr) -> Msg {
        let taken = self.take(to);
        assert_eq!(taken.len(), 1, "one message was expected: {taken:#?}");
        taken.into_iter().next().expect("there is one")
    }

    /// A confirmable request, with an id and token of its own.
    pub fn con(&mut self, code: Code, uri: &str) -> Msg {
        self.next_id = self.next_id.wrapping_add(1);
        Msg::new(MessageType::Con, code, self.next_id, &self.next_id.to_be_bytes()).uri(uri)
    }

    /// Sends a request and gives the answer.
    pub fn ask(&mut self, from: SocketAddr, request: &Msg) -> Msg {
        self.take(from);
        self.deliver(from, request);
        let mut answers = self.take(from);
        let at = answers.iter().position(|answer| answer.id == request.id && answer.kind == MessageType::Ack);
        let answer = answers.remove(at.unwrap_or_else(|| panic!("no answer among {answers:#?}")));
        // What the server asks in its turn is for the test.
        self.sent.extend(answers.into_iter().map(|message| (from, message)));
        assert_eq!(answer.token, request.token);
        answer
    }

    /// Registers and gives the Location.
    pub fn register(&mut self, from: SocketAddr, query: &str, links: &str) -> String {
        let request = self.con(Code::POST, &format!("/rd?{query}")).format(ContentFormat::LINK_FORMAT).payload(links);
        let answer = self.ask(from, &request);
        assert_eq!(answer.code, Code::CREATED, "{}", answer.text());
        answer.location()
    }

    /// Registers as a client of LwM2M 1.1 with objects 1, 3 and 3441.
    pub fn registered(&mut self, from: SocketAddr, endpoint: &str) -> RegistrationId {
        let location = self.register(from, &format!("ep={endpoint}&lt=300&lwm2m=1.1&b=U"), LINKS);
        location.strip_prefix("/rd/").expect("under /rd").parse().expect("an id")
    }

    pub fn request(&mut self, registration: RegistrationId, request: Request) -> RequestId {
        let id = self.server.request(self.now(), registration, request, None);
        self.poll();
        id
    }

    /// The answer to a request that has ended.
    pub fn answer(&mut self, request: RequestId) -> Result<Response, RequestError> {
        let at = self.answers.iter().position(|(id, _)| *id == request).expect("the request has not ended");
        self.answers.remove(at).1
    }

    /// Asks, lets a scripted client answer, and gives both the message it saw and the result.
    pub fn exchange(
        &mut self,
        client: SocketAddr,
        registration: RegistrationId,
        request: Request,
        answer: impl FnOnce(&Msg) -> Msg,
    ) -> (Msg, Result<Response, RequestError>) {
        let id = self.request(registration, request);
        let seen = self.take_one(client);
        let answer = answer(&seen);
        self.deliver(client, &answer);
        (seen, self.answer(id))
    }

    /// Frees what the server has said so far.
    pub fn forget(&mut self) {
        (self.sent, self.events, self.answers) = Default::default();
    }

    /// The events so far, forgotten here.
    pub fn events(&mut self) -> Vec<ServerEvent> {
        std::mem::take(&mut self.events)
    }
}

/// Objects of a client that [`Bench::registered`] registers.
pub const LINKS: &str = "</>;rt=\"oma.lwm2m\";ct=11542,</1>;ver=1.1,</1/0>,</3>;ver=1.1,</3/0>,</3441/0>";
