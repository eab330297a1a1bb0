//! A bootstrap server engine in virtual time, and what it brings to a client.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::{net::SocketAddr, time::Duration};

use lapwing_coap::wire::{Code, MessageType};
use lapwing_lwm2m::{
    Now,
    definitions::{security, server},
    model::{Path, Resource},
    server::{
        Channel,
        bootstrap::{Config, Configuration, Event, Happening, Output, Plan, Server},
    },
};

use crate::server_common::{Msg, address, seconds, secure::Host};

/// The bootstrap engine, and all that it has said.
pub struct Bench {
    pub server: Server,
    pub now: Duration,
    pub events: Vec<Event>,
    pub sent: Vec<(SocketAddr, Msg)>,
    /// What the secure socket has sent.
    pub records: Vec<(SocketAddr, Vec<u8>)>,
    pub wait: Option<Duration>,
    next_id: u16,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(|_| ())
    }

    pub fn with(configure: impl FnOnce(&mut Config)) -> Bench {
        let mut config = Config::default();
        configure(&mut config);
        let now = seconds(1_000);
        let server = Server::new(Now::from_elapsed(now), config, [7; 32]);
        Bench { server, now, events: Vec::new(), sent: Vec::new(), records: Vec::new(), wait: None, next_id: 100 }
    }

    pub fn now(&self) -> Now {
        Now::from_elapsed(self.now)
    }

    pub fn plan(&mut self, endpoint: &str, plan: Plan) {
        self.server.set_plan(self.now(), endpoint, Some(plan));
    }

    pub fn poll(&mut self) {
        let mut buffer = Vec::new();
        loop {
            match self.server.poll_output(&mut buffer) {
                Output::Transmit(Channel::Plain, to, datagram) => self.sent.push((to, Msg::parse(datagram))),
                Output::Transmit(Channel::Secure, to, record) => self.records.push((to, record.to_vec())),
                Output::Event(event) => self.events.push(event),
                Output::Wait(at, _) => {
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

    pub fn take(&mut self, to: SocketAddr) -> Vec<Msg> {
        let (taken, kept) = std::mem::take(&mut self.sent).into_iter().partition(|(address, _)| *address == to);
        self.sent = kept;
        taken.into_iter().map(|(_, message)| message).collect()
    }

    pub fn take_one(&mut self, to: SocketAddr) -> Msg {
        let taken = self.take(to);
        assert_eq!(taken.len(), 1, "one message was expected: {taken:#?}");
        taken.into_iter().next().expect("there is one")
    }

    pub fn con(&mut self, code: Code, uri: &str) -> Msg {
        self.next_id = self.next_id.wrapping_add(1);
        Msg::new(MessageType::Con, code, self.next_id, &self.next_id.to_be_bytes()).uri(uri)
    }

    /// Sends a request and gives the answer.
    pub fn ask(&mut self, from: SocketAddr, code: Code, uri: &str) -> Msg {
        self.sent.clear();
        let request = self.con(code, uri);
        self.deliver(from, &request);
        let (_, answer) = self.sent.remove(0);
        assert_eq!((answer.id, answer.kind), (request.id, MessageType::Ack));
        answer
    }

    /// Asks for a bootstrap, and gives the first task.
    pub fn begin(&mut self, from: SocketAddr, uri: &str) -> Msg {
        let answer = self.ask(from, Code::POST, uri);
        assert_eq!(answer.code, Code::CHANGED, "{}", answer.text());
        self.take_one(from)
    }

    /// Answers a task, and gives the next one.
    pub fn next(&mut self, from: SocketAddr, task: &Msg, code: Code) -> Msg {
        self.deliver(from, &task.answer(code));
        self.take_one(from)
    }

    /// What has happened, without what is only sent and answered.
    pub fn happened(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.events).into_iter().filter_map(|event| match event.what {
            Happening::Requested { .. } => Some("requested".to_owned()),
            Happening::Begun => Some("begun".to_owned()),
            Happening::Finished => Some("finished".to_owned()),
            Happening::Failed(why) => Some(why.to_string()),
            _ => None,
        });
        told.collect()
    }
}

pub const EP: &str = "/bs?ep=gw";

pub fn gw() -> SocketAddr {
    address(1)
}

pub fn account(bootstrap: bool, ssid: u16) -> Vec<(u16, Resource)> {
    vec![
        (security::LWM2M_SERVER_URI, "coaps://192.0.2.9".into()),
        (security::BOOTSTRAP_SERVER, bootstrap.into()),
        (security::SECURITY_MODE, 0.into()),
        (security::PUBLIC_KEY_OR_IDENTITY, b"id".as_slice().into()),
        (security::SECRET_KEY, b"very secret".as_slice().into()),
        (security::SHORT_SERVER_ID, ssid.into()),
    ]
}

pub fn configuration() -> Configuration {
    Configuration::new().delete(Path::object(0)).delete(Path::object(1)).instance(0, 1, account(false, 101)).instance(
        1,
        0,
        [(server::SHORT_SERVER_ID, 101.into()), (server::LIFETIME, 60.into())],
    )
}

pub fn plan() -> Plan {
    Plan::apply(configuration()).expect("it is one")
}

impl Host for Bench {
    fn time(&self) -> Duration {
        self.now
    }

    fn poll(&mut self) {
        Bench::poll(self);
    }

    fn deliver_secure(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.server.handle_datagram(self.now(), Channel::Secure, from, datagram);
        Bench::poll(self);
    }

    fn records(&mut self) -> &mut Vec<(SocketAddr, Vec<u8>)> {
        &mut self.records
    }
}
