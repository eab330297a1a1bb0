//! A client that registers over DTLS.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};
use lapwing_dtls::{Client, ClientConfig, Closed, Event, Failure};

use super::PATIENCE;

pub(crate) struct SecureDevice {
    socket: UdpSocket,
    server: SocketAddr,
    dtls: Client,
    begun: Instant,
    next: u16,
    pub(crate) failed: Option<Failure>,
    pub(crate) closed: Option<Closed>,
}

impl SecureDevice {
    /// Shakes hands; whether that succeeded is in [`SecureDevice::is_established`].
    pub(crate) fn connect(server: SocketAddr, config: ClientConfig) -> SecureDevice {
        let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut seed = [5; 32];
        seed[..2].copy_from_slice(&socket.local_addr().unwrap().port().to_be_bytes());
        let dtls = Client::new(Arc::new(config), seed);
        let (failed, closed) = (None, None);
        let mut device = SecureDevice { socket, server, dtls, begun: Instant::now(), next: 1, failed, closed };
        device.dtls.connect(Duration::ZERO, None);
        device.pump(|device, _| device.dtls.is_established() || device.failed.is_some());
        device
    }

    pub(crate) fn is_established(&self) -> bool {
        self.dtls.is_established()
    }

    /// From another port from now on, as behind a NAT that has forgotten it.
    pub(crate) fn rebind(&mut self) {
        self.socket = UdpSocket::bind((self.server.ip(), 0)).unwrap();
        self.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Goes on until `done`, which sees each message that comes.
    fn pump(&mut self, mut done: impl FnMut(&SecureDevice, Option<&[u8]>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = vec![0; 4_096];
        loop {
            let mut messages = Vec::new();
            while let Some(event) = self.dtls.poll_event() {
                match event {
                    Event::Data(data) => messages.push(data.to_vec()),
                    Event::Failed(why) => self.failed = Some(why),
                    Event::Closed(why) => self.closed = Some(why),
                    _ => {}
                }
            }
            let mut outgoing = Vec::new();
            while let Some(range) = self.dtls.poll_transmit(&mut outgoing) {
                self.socket.send_to(&outgoing[range], self.server).unwrap();
            }
            if messages.iter().any(|message| done(self, Some(message))) || done(self, None) {
                return;
            }
            assert!(Instant::now() < deadline, "nothing came");
            let received = self.socket.recv(&mut buffer);
            let now = self.begun.elapsed();
            match received {
                Ok(length) => self.dtls.handle_datagram(now, &buffer[..length]),
                Err(_) => self.dtls.handle_timeout(now),
            }
        }
    }

    /// Sends a request and gives the code and the Location of its answer.
    fn ask(&mut self, path: &[&str], query: &[&str], payload: &[u8]) -> (Code, Vec<String>) {
        self.next += 1;
        let mut message = Vec::new();
        let token = Token::new(&self.next.to_be_bytes()).unwrap();
        let id = self.next;
        let mut writer = Writer::new(&mut message, MessageType::Con, Code::POST, id, token);
        for segment in path {
            writer.option_str(option::URI_PATH, segment);
        }
        for pair in query {
            writer.option_str(option::URI_QUERY, pair);
        }
        if !payload.is_empty() {
            writer.payload(payload);
        }
        writer.finish();
        self.dtls.send(&message).unwrap();
        let mut answer = None;
        self.pump(|_, message| {
            let Some(message) = message.and_then(|message| Message::parse(message).ok()) else { return false };
            if message.id != id || message.kind != MessageType::Ack {
                return false;
            }
            let location = message.options.iter().filter(|option| option.number == option::LOCATION_PATH);
            let location = location.map(|option| String::from_utf8_lossy(option.value).into_owned());
            answer = Some((message.code, location.collect()));
            true
        });
        answer.unwrap()
    }

    /// The code that a Register is answered with, and the registration's id.
    pub(crate) fn register(&mut self, endpoint: &str) -> (Code, Option<String>) {
        let endpoint = format!("ep={endpoint}");
        let (code, location) = self.ask(&["rd"], &[&endpoint, "lwm2m=1.1", "lt=60"], b"</1/0>,</3/0>");
        (code, location.last().cloned())
    }

    pub(crate) fn update(&mut self, id: &str) -> Code {
        self.ask(&["rd", id], &[], b"").0
    }

    /// Waits until the server has ended the session.
    pub(crate) fn wait_closed(&mut self) {
        self.pump(|device, _| device.closed.is_some());
    }
}
