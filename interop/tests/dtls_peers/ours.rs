//! Our two ends at sockets, and what is said over an association once it stands.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use bed::{PATIENCE, Process};
use lapwing_dtls::{
    AssociationId, CipherSuite, Client, ClientConfig, Established, Event, Failure, Server, ServerConfig, Session,
    credentials::Psk, server,
};

pub(crate) const IDENTITY: &str = "urn:dev:os:0023C7-000001";
pub(crate) const KEY: &[u8] = b"sixteen secret b";

pub(crate) fn psk(key: &[u8]) -> Psk {
    Psk::new(IDENTITY, key).expect("a key")
}

/// A client's configuration with that key and that suite alone.
pub(crate) fn client_psk(suite: CipherSuite) -> ClientConfig {
    let mut config = ClientConfig::psk(psk(KEY));
    config.suites = vec![suite];
    config
}

/// A server's configuration with that suite alone.
pub(crate) fn server_with(suite: CipherSuite) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.suites = vec![suite];
    config
}

/// An address on loopback that nobody has.
pub(crate) fn free() -> SocketAddr {
    free_at("127.0.0.1")
}

pub(crate) fn free_at(host: &str) -> SocketAddr {
    UdpSocket::bind((host, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

/// One end of an association.
pub(crate) trait End {
    /// Waits a moment for a datagram, and does what is due.
    fn turn(&mut self);
    /// Sends application data.
    fn send(&mut self, data: &[u8]);
    /// The application data that has come and was not taken yet.
    fn heard(&mut self) -> &mut Vec<u8>;
    /// What happened so far, for a message.
    fn state(&self) -> String;

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "waited in vain for {what}: {}", self.state());
            self.turn();
        }
    }

    fn hear(&mut self, wanted: &[u8]) {
        self.until("data", |end| end.heard().len() >= wanted.len());
        assert_eq!(self.heard().escape_ascii().to_string(), wanted.escape_ascii().to_string());
        self.heard().clear();
    }

    /// Lines of several lengths in both directions, with a peer that prints what it hears and sends what it reads.
    fn talk(&mut self, peer: &mut Process) {
        for (index, length) in [1, 15, 16, 17, 300, 900].into_iter().enumerate() {
            let line = format!("{index}{}", "x".repeat(length));
            peer.say(&line);
            self.hear(format!("{line}\n").as_bytes());
            self.send(format!("{line}\n").as_bytes());
            self.until("a line at the peer", |_| says(peer, &line));
        }
    }

    /// Data of several lengths, with a peer that sends back what it hears.
    fn echo(&mut self) {
        for length in [1, 15, 16, 17, 300, 900] {
            let line = format!("{}\n", "x".repeat(length));
            self.send(line.as_bytes());
            self.hear(line.as_bytes());
        }
    }

    /// CoAP's ping, a Confirmable Empty message, which every end point answers with a Reset (RFC 7252 section 4.3). It is sent again
    /// until then: libcoap on GnuTLS may lose what comes on the heels of the handshake.
    fn ping(&mut self) {
        let mut next = Instant::now();
        self.until("the Reset", |end| {
            if Instant::now() >= next {
                end.send(&[0x40, 0, 0xfe, 0xdc]);
                next = Instant::now() + Duration::from_secs(1);
            }
            end.heard().starts_with(&[0x70, 0, 0xfe, 0xdc])
        });
        self.heard().clear();
    }
}

/// Whether the peer has printed this line.
pub(crate) fn says(peer: &mut Process, line: &str) -> bool {
    peer.out.within(Duration::ZERO, |printed| (printed == line).then_some(())).is_some()
}

fn socket(host: &str) -> UdpSocket {
    let socket = UdpSocket::bind((host, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    socket
}

/// Our client at a socket.
pub(crate) struct Ours {
    pub(crate) client: Client,
    socket: UdpSocket,
    begin: Instant,
    pub(crate) established: Vec<Established>,
    pub(crate) failed: Vec<Failure>,
    data: Vec<u8>,
}

impl Ours {
    pub(crate) fn connect(server: SocketAddr, config: ClientConfig, session: Option<Session>) -> Self {
        let socket = socket(if server.is_ipv4() { "127.0.0.1" } else { "::1" });
        socket.connect(server).expect("a route to loopback");
        let mut client = Client::new(Arc::new(config), [socket.local_addr().expect("bound").port() as u8; 32]);
        client.set_time(std::time::SystemTime::UNIX_EPOCH.elapsed().ok());
        client.connect(Duration::ZERO, session);
        let begin = Instant::now();
        let mut ours = Self { client, socket, begin, established: Vec::new(), failed: Vec::new(), data: Vec::new() };
        ours.pump();
        ours
    }

    /// Waits until the handshake succeeded.
    pub(crate) fn established(&mut self) -> Established {
        self.until("the handshake", |ours| !ours.established.is_empty() || !ours.failed.is_empty());
        assert_eq!(self.failed, []);
        self.established[0].clone()
    }

    /// Waits until the handshake failed.
    pub(crate) fn failed(&mut self) -> Failure {
        self.until("the failure", |ours| !ours.failed.is_empty());
        assert!(self.established.is_empty());
        self.failed[0]
    }

    /// Says goodbye and gives what the next association may resume.
    pub(crate) fn close(mut self) -> Session {
        let session = self.client.session().cloned().expect("a session to resume");
        self.client.close();
        self.pump();
        session
    }

    fn pump(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Established(established) => self.established.push(established),
                Event::Failed(failure) => self.failed.push(failure),
                Event::Data(data) => self.data.extend_from_slice(data),
                other => panic!("{other:?}"),
            }
        }
        let mut buffer = Vec::new();
        while let Some(range) = self.client.poll_transmit(&mut buffer) {
            // The peer may not listen yet: the flight comes again.
            let _ = self.socket.send(&buffer[range]);
            buffer.clear();
        }
    }
}

impl End for Ours {
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        let received = self.socket.recv(&mut buffer);
        let now = self.begin.elapsed();
        if let Ok(length) = received {
            self.client.handle_datagram(now, &buffer[..length]);
        }
        if self.client.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.client.handle_timeout(now);
        }
        self.pump();
    }

    fn send(&mut self, data: &[u8]) {
        self.client.send(data).expect("an association");
        self.pump();
    }

    fn heard(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    fn state(&self) -> String {
        format!("{:?} {:?} {:?}", self.established, self.failed, self.data.escape_ascii().to_string())
    }
}

/// Our server at a socket.
pub(crate) struct Serving {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    socket: UdpSocket,
    begin: Instant,
    established: Vec<(AssociationId, Established)>,
    pub(crate) failed: Vec<Failure>,
    data: Vec<u8>,
}

impl Serving {
    pub(crate) fn start(config: ServerConfig) -> Self {
        Self::start_at("127.0.0.1", config, KEY)
    }

    pub(crate) fn start_at(host: &str, config: ServerConfig, key: &[u8]) -> Self {
        let socket = socket(host);
        let address = socket.local_addr().expect("bound");
        let mut server = Server::new(Arc::new(config), [7; 32]);
        server.set_time(std::time::SystemTime::UNIX_EPOCH.elapsed().ok());
        server.add_psk(psk(key));
        let begin = Instant::now();
        let (established, failed, data) = (Vec::new(), Vec::new(), Vec::new());
        Self { server, address, socket, begin, established, failed, data }
    }

    /// Waits for the next handshake to succeed.
    pub(crate) fn established(&mut self) -> Established {
        let before = self.established.len();
        self.until("a handshake", |ours| ours.established.len() > before);
        self.established[before].1.clone()
    }

    /// How many handshakes have succeeded.
    pub(crate) fn handshakes(&self) -> usize {
        self.established.len()
    }

    fn pump(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                server::Event::Established { association, established, .. } => {
                    self.established.push((association, established));
                }
                server::Event::Failed { failure, .. } => self.failed.push(failure),
                server::Event::Data { data, .. } => self.data.extend_from_slice(data),
                server::Event::Closed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let mut buffer = Vec::new();
        while let Some((to, range)) = self.server.poll_transmit(&mut buffer) {
            // A client may have ended already.
            let _ = self.socket.send_to(&buffer[range], to);
            buffer.clear();
        }
    }
}

impl End for Serving {
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        let received = self.socket.recv_from(&mut buffer);
        let now = self.begin.elapsed();
        if let Ok((length, from)) = received {
            self.server.handle_datagram(now, from, &buffer[..length]);
        }
        if self.server.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.server.handle_timeout(now);
        }
        self.pump();
    }

    fn send(&mut self, data: &[u8]) {
        let (association, _) = self.established.last().expect("an association");
        self.server.send(*association, data).expect("an association");
        self.pump();
    }

    fn heard(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    fn state(&self) -> String {
        format!("{:?} {:?} {:?}", self.established, self.failed, self.data.escape_ascii().to_string())
    }
}
