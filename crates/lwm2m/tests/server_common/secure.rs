//! Clients of raw CoAP messages over real DTLS associations.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType},
};
use lapwing_dtls::{self as dtls, credentials::Psk};
use lapwing_lwm2m::server::{Channel, RegistrationId, SecurityInfo, ServerConfig};

use super::{Bench, LINKS, Msg};

pub const KEY: &[u8] = b"a key for tests!";

/// The pre-shared key of an identity; each has another one.
pub fn psk(identity: &str) -> Psk {
    Psk::new(identity, [KEY, identity.as_bytes()].concat()).expect("a key")
}

/// A bench with a secure socket, where each of these endpoints has a key, of the identity `<endpoint>-id`.
pub fn bench(endpoints: &[&str]) -> Bench {
    bench_with(endpoints, |_| ())
}

pub fn bench_with(endpoints: &[&str], configure: impl FnOnce(&mut ServerConfig)) -> Bench {
    let mut bench = Bench::with(|config| {
        config.dtls = Some(dtls::ServerConfig::default());
        configure(config);
    });
    for endpoint in endpoints {
        let info = SecurityInfo::Psk(psk(&format!("{endpoint}-id")));
        bench.server.set_security(bench.now(), endpoint, Some(info)).expect("a new identity");
    }
    bench
}

/// A server that a [`Device`] exchanges datagrams with.
pub trait Host {
    fn time(&self) -> Duration;
    /// Does all that the server wants.
    fn poll(&mut self);
    /// A datagram for the secure socket.
    fn deliver_secure(&mut self, from: SocketAddr, datagram: &[u8]);
    /// What the secure socket has sent and nobody took.
    fn records(&mut self) -> &mut Vec<(SocketAddr, Vec<u8>)>;
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

/// A client of the secure socket.
pub struct Device {
    pub dtls: dtls::Client,
    /// Where it is now; what is sent elsewhere does not reach it.
    pub address: SocketAddr,
    /// The messages it has received and that were not taken.
    pub inbox: VecDeque<Msg>,
    /// Every datagram it has sent.
    pub sent: Vec<Vec<u8>>,
    pub established: Vec<dtls::Established>,
    pub closed: Vec<dtls::Closed>,
    pub failed: Vec<dtls::Failure>,
    next_id: u16,
}

impl Device {
    pub fn new(address: SocketAddr, config: dtls::ClientConfig) -> Device {
        let mut seed = [3; 32];
        seed[..2].copy_from_slice(&address.port().to_be_bytes());
        Device {
            dtls: dtls::Client::new(Arc::new(config), seed),
            address,
            inbox: VecDeque::new(),
            sent: Vec::new(),
            established: Vec::new(),
            closed: Vec::new(),
            failed: Vec::new(),
            next_id: 7_000,
        }
    }

    /// A client that holds the key of `<endpoint>-id`, with its session established.
    pub fn of(bench: &mut impl Host, address: SocketAddr, endpoint: &str) -> Device {
        let mut device = Device::new(address, dtls::ClientConfig::psk(psk(&format!("{endpoint}-id"))));
        device.connect(bench);
        assert_eq!(device.established.len(), 1, "{:?}", device.failed);
        device
    }

    pub fn connect(&mut self, bench: &mut impl Host) {
        self.dtls.connect(bench.time(), None);
        self.pump(bench);
    }

    /// Exchanges datagrams until nobody has anything to say.
    pub fn pump(&mut self, bench: &mut impl Host) {
        bench.poll();
        let mut buffer = Vec::new();
        loop {
            let mut quiet = true;
            let (own, others) = std::mem::take(bench.records()).into_iter().partition(|(to, _)| *to == self.address);
            *bench.records() = others;
            for (_, record) in own {
                self.dtls.handle_datagram(bench.time(), &record);
                quiet = false;
            }
            while let Some(event) = self.dtls.poll_event() {
                match event {
                    dtls::Event::Established(established) => self.established.push(established),
                    dtls::Event::Data(data) => self.inbox.push_back(Msg::parse(data)),
                    dtls::Event::Closed(why) => self.closed.push(why),
                    dtls::Event::Failed(why) => self.failed.push(why),
                    other => panic!("unexpected: {other:?}"),
                }
            }
            while let Some(range) = {
                buffer.clear();
                self.dtls.poll_transmit(&mut buffer)
            } {
                self.sent.push(buffer[range.clone()].to_vec());
                bench.deliver_secure(self.address, &buffer[range]);
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }

    pub fn send(&mut self, bench: &mut impl Host, message: &Msg) {
        self.dtls.send(&message.bytes()).expect("there is an association");
        self.pump(bench);
    }

    /// What has come since it was last asked, pings answered.
    pub fn take(&mut self) -> Vec<Msg> {
        self.inbox.drain(..).collect()
    }

    /// Answers each ping, as every CoAP endpoint does (RFC 7252 section 4.3), and gives how many there were.
    pub fn answer_pings(&mut self, bench: &mut impl Host) -> usize {
        let is_ping = |message: &Msg| message.kind == MessageType::Con && message.code == Code::EMPTY;
        let (pings, others): (Vec<_>, Vec<_>) = self.take().into_iter().partition(is_ping);
        self.inbox.extend(others);
        for ping in &pings {
            self.send(bench, &Msg::new(MessageType::Rst, Code::EMPTY, ping.id, &[]));
        }
        pings.len()
    }

    pub fn con(&mut self, code: Code, uri: &str) -> Msg {
        self.next_id += 1;
        Msg::new(MessageType::Con, code, self.next_id, &self.next_id.to_be_bytes()).uri(uri)
    }

    /// Sends a request and gives the answer; other messages stay.
    pub fn ask(&mut self, bench: &mut impl Host, request: &Msg) -> Msg {
        self.send(bench, request);
        let at = self.inbox.iter().position(|answer| answer.id == request.id && answer.kind == MessageType::Ack);
        self.inbox.remove(at.unwrap_or_else(|| panic!("no answer among {:#?}", self.inbox))).expect("it is there")
    }

    /// The answer to a Register.
    pub fn try_register(&mut self, bench: &mut Bench, endpoint: &str) -> Msg {
        let uri = format!("/rd?ep={endpoint}&lt=300&lwm2m=1.1&b=U");
        let request = self.con(Code::POST, &uri).format(ContentFormat::LINK_FORMAT).payload(LINKS);
        self.ask(bench, &request)
    }

    pub fn register(&mut self, bench: &mut Bench, endpoint: &str) -> RegistrationId {
        let answer = self.try_register(bench, endpoint);
        assert_eq!(answer.code, Code::CREATED, "{}", answer.text());
        answer.location().strip_prefix("/rd/").expect("under /rd").parse().expect("an id")
    }

    /// The code that an Update is answered with.
    pub fn update(&mut self, bench: &mut Bench, registration: RegistrationId) -> Code {
        let request = self.con(Code::POST, &format!("/rd/{registration}"));
        self.ask(bench, &request).code
    }

    /// The code that a De-register is answered with.
    pub fn deregister(&mut self, bench: &mut Bench, registration: RegistrationId) -> Code {
        let request = self.con(Code::DELETE, &format!("/rd/{registration}"));
        self.ask(bench, &request).code
    }
}
