//! Our DTLS client against `openssl s_server` and our server against `openssl s_client`, with pre-shared keys, on loopback.
//!
//! OpenSSL has neither Connection ID nor CCM_8 at its usual security level, hence `@SECLEVEL=0`.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use lapwing_dtls::{
    AssociationId, CipherSuite, Client, ClientConfig, ClientCredentials, Established, Event, Failure, Server,
    ServerConfig, Session,
    alert::AlertDescription,
    credentials::{PeerIdentity, Psk},
    server,
};

const IDENTITY: &str = "urn:dev:os:0023C7-000001";
const KEY: &[u8] = b"sixteen secret b";
const PATIENCE: Duration = Duration::from_secs(20);

fn psk(key: &[u8]) -> Psk {
    Psk::new(IDENTITY, key).expect("a key")
}

fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::PskAes128Ccm8 => "PSK-AES128-CCM8:@SECLEVEL=0",
        CipherSuite::PskAes128CbcSha256 => "PSK-AES128-CBC-SHA256:@SECLEVEL=0",
        other => panic!("{other} has no pre-shared key"),
    }
}

/// OpenSSL as a process: lines go in, lines come out.
struct OpenSsl {
    process: Child,
    lines: Receiver<String>,
}

impl OpenSsl {
    fn start(role: &str, address: SocketAddr, suite: CipherSuite, more: &[&str]) -> Self {
        let flag = if role == "s_server" { "-accept" } else { "-connect" };
        let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut process = Command::new("openssl")
            .args([role, "-dtls1_2", flag, &address.to_string(), "-psk", &key, "-psk_identity", IDENTITY])
            .args(["-cipher", cipher(suite), "-quiet"])
            .args(if role == "s_server" { &["-nocert"][..] } else { &[] })
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn say(&mut self, line: &str) {
        let input = self.process.stdin.as_mut().expect("piped");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("openssl reads");
    }

    /// Whether this line came out.
    fn has_said(&self, wanted: &str) -> bool {
        self.lines.try_iter().any(|line| line == wanted)
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address on loopback that nobody has.
fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

/// Our client at a socket.
struct Ours {
    client: Client,
    socket: UdpSocket,
    begin: Instant,
    established: Vec<Established>,
    failed: Vec<Failure>,
    data: Vec<Vec<u8>>,
}

impl Ours {
    fn connect(server: SocketAddr, config: ClientConfig, session: Option<Session>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(server).expect("a route to loopback");
        let mut client = Client::new(Arc::new(config), [socket.local_addr().expect("bound").port() as u8; 32]);
        client.connect(Duration::ZERO, session);
        let begin = Instant::now();
        let mut ours = Self { client, socket, begin, established: Vec::new(), failed: Vec::new(), data: Vec::new() };
        ours.pump();
        ours
    }

    fn pump(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Established(established) => self.established.push(established),
                Event::Failed(failure) => self.failed.push(failure),
                Event::Data(data) => self.data.push(data.to_vec()),
                other => panic!("{other:?}"),
            }
        }
        let mut buffer = Vec::new();
        while let Some(range) = self.client.poll_transmit(&mut buffer) {
            // OpenSSL may not listen yet: the flight comes again.
            let _ = self.socket.send(&buffer[range]);
            buffer.clear();
        }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        self.socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 2048];
        while !done(self) {
            assert!(Instant::now() < end, "{what}: {:?} {:?}", self.failed, self.data);
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
    }

    /// A handshake, and a line in each direction.
    fn talk(&mut self, openssl: &mut OpenSsl) -> Established {
        self.until("handshake", |ours| !ours.established.is_empty() || !ours.failed.is_empty());
        assert_eq!(self.failed, []);
        for (index, length) in [1, 15, 16, 17, 300, 900].into_iter().enumerate() {
            let line = format!("{index}{}", "x".repeat(length));
            self.client.send(format!("{line}\n").as_bytes()).expect("an association");
            self.pump();
            self.until("a line at OpenSSL", |_| openssl.has_said(&line));
            openssl.say(&line);
            self.until("a line from OpenSSL", |ours| ours.data.concat() == format!("{line}\n").as_bytes());
            self.data.clear();
        }
        self.established[0].clone()
    }
}

fn config(suite: CipherSuite) -> ClientConfig {
    let mut config = ClientConfig::psk(psk(KEY));
    config.suites = vec![suite];
    config
}

fn client_of(suite: CipherSuite, more: &[&str]) -> Established {
    let address = free();
    let mut openssl = OpenSsl::start("s_server", address, suite, more);
    let established = Ours::connect(address, config(suite), None).talk(&mut openssl);
    assert_eq!(established.suite, suite);
    assert!(established.extended_master_secret);
    established
}

#[test]
fn client_with_ccm_8() {
    client_of(CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn client_with_a_cookie() {
    client_of(CipherSuite::PskAes128Ccm8, &["-listen"]);
}

#[test]
fn client_with_cbc_and_encrypt_then_mac() {
    assert!(client_of(CipherSuite::PskAes128CbcSha256, &[]).encrypt_then_mac);
}

#[test]
fn client_with_cbc_and_the_mac_inside() {
    assert!(!client_of(CipherSuite::PskAes128CbcSha256, &["-no_etm"]).encrypt_then_mac);
}

#[test]
fn client_resumes_by_ticket_and_by_id() {
    for more in [&[][..], &["-no_ticket"]] {
        let address = free();
        let suite = CipherSuite::PskAes128Ccm8;
        let mut openssl = OpenSsl::start("s_server", address, suite, more);
        let mut first = Ours::connect(address, config(suite), None);
        assert!(!first.talk(&mut openssl).resumed);
        let session = first.client.session().cloned().expect("a session to resume");
        first.client.close();
        first.pump();
        // It takes one client after the other.
        drop(first);
        thread::sleep(Duration::from_millis(300));
        let second = Ours::connect(address, config(suite), Some(session)).talk(&mut openssl);
        assert!(second.resumed, "with {more:?}");
    }
}

#[test]
fn client_with_a_wrong_key_fails() {
    let address = free();
    let suite = CipherSuite::PskAes128Ccm8;
    let _openssl = OpenSsl::start("s_server", address, suite, &[]);
    let mut config = config(suite);
    config.credentials = ClientCredentials::Psk(psk(b"another secret k"));
    config.retransmission.most = 2;
    let mut ours = Ours::connect(address, config, None);
    ours.until("failure", |ours| !ours.failed.is_empty());
    assert!(ours.established.is_empty());
    // OpenSSL drops the Finished message that it cannot decrypt, or answers with an alert.
    let expected = [Failure::TimedOut, Failure::Alert(AlertDescription::BAD_RECORD_MAC)];
    assert!(expected.contains(&ours.failed[0]), "{:?}", ours.failed);
}

/// Our server at a socket.
struct Serving {
    server: Server,
    socket: UdpSocket,
    begin: Instant,
    established: Vec<(AssociationId, Established)>,
    failed: Vec<Failure>,
    data: Vec<u8>,
}

impl Serving {
    fn start(suite: CipherSuite, key: &[u8]) -> (Self, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let address = socket.local_addr().expect("bound");
        let mut config = ServerConfig::default();
        config.suites = vec![suite];
        let mut server = Server::new(Arc::new(config), [7; 32]);
        server.add_psk(psk(key));
        let begin = Instant::now();
        let serving = Self { server, socket, begin, established: Vec::new(), failed: Vec::new(), data: Vec::new() };
        (serving, address)
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
            self.socket.send_to(&buffer[range], to).expect("loopback takes it");
            buffer.clear();
        }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; 2048];
        while !done(self) {
            assert!(Instant::now() < end, "{what}: {:?} {:?}", self.failed, self.data);
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
    }

    /// A handshake, and lines in each direction.
    fn talk(&mut self, openssl: &mut OpenSsl) -> Established {
        let before = self.established.len();
        self.until("handshake", |ours| ours.established.len() > before);
        let (association, established) = self.established[before].clone();
        for (index, length) in [1, 15, 16, 17, 300, 900].into_iter().enumerate() {
            let line = format!("{index}{}", "y".repeat(length));
            openssl.say(&line);
            self.until("a line from OpenSSL", |ours| ours.data == format!("{line}\n").as_bytes());
            self.data.clear();
            self.server.send(association, format!("{line}\n").as_bytes()).expect("an association");
            self.pump();
            self.until("a line at OpenSSL", |_| openssl.has_said(&line));
        }
        established
    }
}

fn server_of(suite: CipherSuite, more: &[&str]) -> Established {
    let (mut serving, address) = Serving::start(suite, KEY);
    let established = serving.talk(&mut OpenSsl::start("s_client", address, suite, more));
    assert_eq!((established.suite, established.peer.clone()), (suite, PeerIdentity::Psk(IDENTITY.into())));
    assert!(established.extended_master_secret);
    established
}

#[test]
fn server_with_ccm_8() {
    server_of(CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn server_with_cbc_and_encrypt_then_mac() {
    assert!(server_of(CipherSuite::PskAes128CbcSha256, &[]).encrypt_then_mac);
}

#[test]
fn server_with_cbc_and_the_mac_inside() {
    assert!(!server_of(CipherSuite::PskAes128CbcSha256, &["-no_etm"]).encrypt_then_mac);
}

#[test]
fn server_with_another_key_refuses() {
    let (mut serving, address) = Serving::start(CipherSuite::PskAes128Ccm8, b"another secret k");
    let mut openssl = OpenSsl::start("s_client", address, CipherSuite::PskAes128Ccm8, &[]);
    openssl.say("secret");
    // The client's Finished has come, and was not authentic.
    serving.until("a refused record", |ours| ours.server.counters().unauthentic > 0);
    let end = Instant::now() + Duration::from_secs(3);
    serving.until("a while", |_| Instant::now() > end);
    assert!(serving.established.is_empty() && serving.data.is_empty());
}
