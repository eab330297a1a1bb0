//! One server and its clients, both engines, in the virtual time of `sim`. When a test fails, it shows what went over the
//! wire as a ladder diagram.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

mod gateway;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use lapwing_coap::wire::describe;
use lapwing_lwm2m::{
    Now,
    client::Config,
    model::{Path, Value},
    server::{
        Channel, Registration, Request, RequestError, RequestId, Response, Server, ServerConfig, ServerEvent,
        ServerOutput,
    },
};
use sim::{Happening, World};

pub use gateway::Gateway;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

/// A server, its clients, and the cables between them.
pub struct Town {
    pub world: World,
    pub server: Server,
    pub address: SocketAddr,
    pub gateways: Vec<Gateway>,
    /// What the server engine said, with the time.
    pub events: Vec<(Duration, ServerEvent)>,
    answers: BTreeMap<RequestId, Result<Response, RequestError>>,
}

impl Town {
    pub fn new(world: World) -> Town {
        Town::with(world, |_| ())
    }

    pub fn with(mut world: World, configure: impl FnOnce(&mut ServerConfig)) -> Town {
        let address = world.node("server");
        let mut config = ServerConfig::default();
        configure(&mut config);
        let server = Server::new(Now::from_elapsed(world.now()), config, world.random().seed());
        Town { world, server, address, gateways: Vec::new(), events: Vec::new(), answers: BTreeMap::new() }
    }

    pub fn now(&self) -> Now {
        Now::from_elapsed(self.world.now())
    }

    /// A client that begins to register; gives its number.
    pub fn add(&mut self, endpoint: &str, configure: impl FnOnce(&mut Config)) -> usize {
        let address = self.world.node(endpoint);
        let seed = self.world.random().seed();
        let gateway = Gateway::new(self.now(), endpoint, address, self.address, seed, configure);
        self.gateways.push(gateway);
        let number = self.gateways.len() - 1;
        self.pump_gateway(number);
        number
    }

    /// Lets the client go on at another address, without knowing it: a NAT has given it another port.
    pub fn rebind(&mut self, number: usize) -> SocketAddr {
        let name = format!("{}'", self.gateways[number].endpoint);
        let address = self.world.node(&name);
        let old = std::mem::replace(&mut self.gateways[number].address, address);
        self.world.remove(old);
        self.pump_gateway(number);
        address
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while let Some(event) = self.world.next_until(end) {
            let now = self.now();
            if event.node == self.address {
                match event.what {
                    Happening::Datagram { from, bytes } => {
                        self.server.handle_datagram(now, Channel::Plain, from, &bytes)
                    }
                    _ => self.server.handle_timeout(now),
                }
                self.pump_server();
            } else if let Some(number) = self.gateways.iter().position(|gateway| gateway.address == event.node) {
                match event.what {
                    Happening::Datagram { from, bytes } => self.gateways[number].handle_datagram(now, from, &bytes),
                    _ => self.gateways[number].client.handle_timeout(now),
                }
                self.pump_gateway(number);
            }
        }
    }

    /// Lets time pass until `done`, at most `limit`. Tells whether it came to be.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Town) -> bool) -> bool {
        let end = self.world.now() + limit;
        while !done(self) {
            let Some(at) = self.world.next_at().filter(|at| *at <= end) else { return false };
            self.run(at - self.world.now());
        }
        true
    }

    /// The value at `path` of a client changes.
    pub fn set(&mut self, number: usize, path: Path, value: impl Into<Value>) {
        let now = self.now();
        self.gateways[number].set(now, path, value.into());
        self.pump_gateway(number);
    }

    pub fn registration(&self, number: usize) -> Option<&Registration> {
        self.server.registration(&self.gateways[number].endpoint).map(|registration| &**registration)
    }

    /// The server asks; nothing if the client is not registered.
    pub fn ask(&mut self, number: usize, request: Request) -> Option<RequestId> {
        let registration = self.registration(number)?.id;
        let id = self.server.request(self.now(), registration, request, None);
        self.pump_server();
        Some(id)
    }

    /// The end of a request, once.
    pub fn answer(&mut self, request: RequestId) -> Option<Result<Response, RequestError>> {
        self.answers.remove(&request)
    }

    /// Asks and waits for the answer.
    pub fn exchange(&mut self, number: usize, request: Request) -> Result<Response, RequestError> {
        let id = self.ask(number, request).expect("registered");
        self.run_until(seconds(600), |town| town.answers.contains_key(&id));
        self.answer(id).expect("every request ends")
    }

    pub fn pump_server(&mut self) {
        let mut buffer = Vec::new();
        loop {
            match self.server.poll_output(&mut buffer) {
                ServerOutput::Transmit(_, to, datagram) => self.world.send(self.address, to, datagram),
                ServerOutput::Answer(id, result) => drop(self.answers.insert(id, result)),
                ServerOutput::Event(event) => self.events.push((self.world.now(), event)),
                other @ (ServerOutput::Pull(..) | ServerOutput::Fetch(_)) => {
                    panic!("nothing is pushed or hosted: {other:?}")
                }
                ServerOutput::Wait(at, _) => return self.world.set_timer(self.address, at),
            }
        }
    }

    pub fn pump_gateway(&mut self, number: usize) {
        let now = self.now();
        self.gateways[number].pump(now, &mut self.world, self.address);
    }
}

impl Town {
    /// What went over the wire lately, decoded.
    pub fn ladder(&self) -> String {
        self.world.trace().ladder(|datagram| describe(datagram).to_string())
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.ladder());
        }
    }
}
