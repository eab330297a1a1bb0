//! CPU and allocations of the server engine, without sockets: `cargo bench -p lapwing-lwm2m --bench server`.

use std::{net::SocketAddr, time::Duration};

use divan::{AllocProfiler, Bencher, black_box};
use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType, Token, Writer, option},
};
use lapwing_lwm2m::{
    Now,
    server::{Channel, RegistrationId, Request, Server, ServerConfig, ServerOutput},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const LINKS: &[u8] = b"</>;rt=\"oma.lwm2m\";ct=11542,</1>;ver=1.1,</1/0>,</3>;ver=1.2,</3/0>,</4>;ver=1.3,</4/0>";
/// Manufacturer, model, two power sources, battery level.
const DEVICE: &[u8] = b"\xc8\x00\x07Lapwing\xc6\x01IG60-1\x86\x06\x41\x00\x01\x41\x01\x05\xc1\x09\x55";

struct Bench {
    server: Server,
    client: SocketAddr,
    registration: RegistrationId,
    now: Duration,
    id: u16,
    buffer: Vec<u8>,
    message: Vec<u8>,
}

impl Bench {
    fn new(log: usize) -> Bench {
        let mut config = ServerConfig::default();
        config.log = log;
        let now = Duration::from_secs(1);
        let mut server = Server::new(Now::from_elapsed(now), config, [1; 32]);
        let client = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let mut message = Vec::new();
        let mut writer = Writer::new(&mut message, MessageType::Con, Code::POST, 0, Token::EMPTY);
        writer.option_str(option::URI_PATH, "rd").option_uint(option::CONTENT_FORMAT, 40);
        writer.option_str(option::URI_QUERY, "ep=gw").option_str(option::URI_QUERY, "lwm2m=1.1");
        writer.payload(LINKS).finish();
        server.handle_datagram(Now::from_elapsed(now), Channel::Plain, client, &message);
        let registration = server.registration("gw").expect("registered").id;
        let mut bench = Bench { server, client, registration, now, id: 0, buffer: Vec::new(), message };
        assert!(bench.drain());
        bench
    }

    /// Polls until there is nothing to do; keeps the last datagram. Tells whether there was one.
    fn drain(&mut self) -> bool {
        let mut sent = false;
        loop {
            match self.server.poll_output(&mut self.buffer) {
                ServerOutput::Transmit(_, _, datagram) => {
                    self.message.clear();
                    self.message.extend_from_slice(datagram);
                    sent = true;
                }
                ServerOutput::Wait(..) => return sent,
                other => drop(black_box(other)),
            }
        }
    }

    /// As time goes on, what was answered ages as it does in a running server.
    fn step(&mut self) -> Now {
        self.now += Duration::from_micros(100);
        Now::from_elapsed(self.now)
    }

    /// A Read of /3/0 and its answer in TLV: two messages.
    fn read(&mut self) {
        let now = self.step();
        let request = Request::Read { path: "/3/0".parse().expect("a path"), format: Some(ContentFormat::TLV) };
        self.server.request(now, self.registration, request, None);
        assert!(self.drain());
        let id = u16::from_be_bytes([self.message[2], self.message[3]]);
        let token = Token::new(&self.message[4..4 + usize::from(self.message[0] & 15)]).expect("a token");
        self.message.clear();
        let mut writer = Writer::new(&mut self.message, MessageType::Ack, Code::CONTENT, id, token);
        writer.option_uint(option::CONTENT_FORMAT, ContentFormat::TLV.0.into()).payload(DEVICE).finish();
        self.server.handle_datagram(now, Channel::Plain, self.client, &self.message);
        self.drain();
    }

    /// An Update and its answer: two messages.
    fn update(&mut self) {
        let now = self.step();
        self.id = self.id.wrapping_add(1);
        self.message.clear();
        let token = Token::new(&self.id.to_be_bytes()).expect("a token");
        let mut writer = Writer::new(&mut self.message, MessageType::Con, Code::POST, self.id, token);
        writer.option_str(option::URI_PATH, "rd").option_str(option::URI_PATH, self.registration.as_str()).finish();
        self.server.handle_datagram(now, Channel::Plain, self.client, &self.message);
        assert!(self.drain());
    }
}

#[divan::bench(args = [0, 500])]
fn read_device(bencher: Bencher<'_, '_>, log: usize) {
    let mut bench = Bench::new(log);
    bencher.bench_local(|| bench.read());
}

#[divan::bench(args = [0, 500])]
fn update(bencher: Bencher<'_, '_>, log: usize) {
    let mut bench = Bench::new(log);
    bencher.bench_local(|| bench.update());
}
