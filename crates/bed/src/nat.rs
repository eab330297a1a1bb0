//! A NAT between a client and a server on loopback: the server sees it change its port and forget the old one.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread sleeps in a socket before it looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);

/// It passes datagrams on until it is dropped. One client at a time: answers go to whoever sent last.
#[derive(Debug)]
pub struct Nat {
    /// Where clients find the server.
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    /// Towards the client.
    inside: Arc<UdpSocket>,
    /// Towards the server, as it sees it now.
    outside: Arc<UdpSocket>,
    /// Every port that the server has seen, the present one last.
    ports: Vec<u16>,
    client: Option<SocketAddr>,
    dropped: usize,
    /// The random bytes of the ClientHellos that were passed on.
    hellos: BTreeSet<Vec<u8>>,
    /// What has come from the client.
    sent: Vec<Vec<u8>>,
    over: bool,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket() -> Arc<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    socket.set_read_timeout(Some(TICK)).expect("a time-out");
    Arc::new(socket)
}

impl Nat {
    /// Starts one before `server`; with `every`, it changes its port that often.
    ///
    /// # Panics
    /// Where loopback gives no socket.
    #[must_use]
    pub fn start(server: SocketAddr, every: Option<Duration>) -> Self {
        let (inside, outside) = (socket(), socket());
        let address = inside.local_addr().expect("bound");
        let shared = Arc::new(Mutex::new(Shared {
            server,
            inside: Arc::clone(&inside),
            ports: Vec::new(),
            outside: Arc::clone(&outside),
            client: None,
            dropped: 0,
            hellos: BTreeSet::new(),
            sent: Vec::new(),
            over: false,
        }));
        let nat = Self { address, shared };
        take(&nat.shared, outside);
        let shared = Arc::clone(&nat.shared);
        thread::spawn(move || {
            let mut next = every.map(|every| Instant::now() + every);
            let mut buffer = [0; 65_536];
            loop {
                let received = inside.recv_from(&mut buffer);
                let mut guard = lock(&shared);
                if guard.over {
                    return;
                }
                if next.is_some_and(|next| next <= Instant::now()) {
                    drop(guard);
                    take(&shared, socket());
                    guard = lock(&shared);
                    next = every.map(|every| Instant::now() + every);
                }
                if let Ok((length, client)) = received {
                    guard.up(client, &buffer[..length]);
                }
            }
        });
        nat
    }

    /// Takes another port now.
    ///
    /// # Panics
    /// Where loopback gives no socket.
    pub fn rebind(&self) {
        take(&self.shared, socket());
    }

    /// Every port that the server could have seen, the present one last.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        lock(&self.shared).ports.clone()
    }

    /// How many datagrams came to a port that was forgotten, and went no further.
    #[must_use]
    pub fn dropped(&self) -> usize {
        lock(&self.shared).dropped
    }

    /// How many DTLS handshakes the client has begun: a repeated ClientHello counts once.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        lock(&self.shared).hellos.len()
    }

    /// All datagrams that the client has sent so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Vec<u8>> {
        lock(&self.shared).sent.clone()
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
    }
}

/// Makes `outside` the socket that the server sees. The ones before stay open, so that nobody else gets their ports, and what
/// comes to them is counted and dropped in silence, as a NAT does.
fn take(shared: &Arc<Mutex<Shared>>, outside: Arc<UdpSocket>) {
    let mut guard = lock(shared);
    let port = outside.local_addr().expect("bound").port();
    guard.ports.push(port);
    guard.outside = Arc::clone(&outside);
    drop(guard);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        loop {
            let received = outside.recv_from(&mut buffer);
            let mut guard = lock(&shared);
            if guard.over {
                return;
            }
            if let Ok((length, from)) = received {
                guard.down(port, from, &buffer[..length]);
            }
        }
    });
}

impl Shared {
    fn up(&mut self, client: SocketAddr, datagram: &[u8]) {
        self.client = Some(client);
        if let Some(random) = client_random(datagram) {
            self.hellos.insert(random.to_vec());
        }
        self.sent.push(datagram.to_vec());
        // The server may be gone for a while: its client has to bear it.
        let _ = self.outside.send_to(datagram, self.server);
    }

    fn down(&mut self, port: u16, from: SocketAddr, datagram: &[u8]) {
        if self.ports.last() != Some(&port) {
            self.dropped += 1;
        } else if let Some(client) = self.client.filter(|_| from == self.server) {
            let _ = self.inside.send_to(datagram, client);
        }
    }
}

/// The random bytes of a ClientHello (RFC 6347 section 4.3.2), if the datagram begins with one.
fn client_random(datagram: &[u8]) -> Option<&[u8]> {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    // A record's header has 13 bytes and epoch 0 in two of them, a fragment's 12; the version comes before the random bytes.
    let first = datagram.first() == Some(&HANDSHAKE) && datagram.get(3..5) == Some(&[0, 0]);
    (first && datagram.get(13) == Some(&CLIENT_HELLO)).then(|| datagram.get(27..59))?
}
