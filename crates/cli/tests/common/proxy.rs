//! A UDP proxy that keeps what passes through it, and can send it again.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Which way a datagram went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// A datagram that passed.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) way: Way,
    pub(crate) datagram: Vec<u8>,
}

impl Passed {
    /// Whether it begins with a record of this content type (RFC 5246 section 6.2.1, RFC 9146 section 4).
    pub(crate) fn is(&self, content_type: u8) -> bool {
        self.datagram.first() == Some(&content_type)
    }
}

/// Handshake records, in the clear or encrypted without a Connection ID.
pub(crate) const HANDSHAKE: u8 = 22;
/// Records with a Connection ID.
pub(crate) const WITH_CONNECTION_ID: u8 = 25;

/// Passes datagrams between any client, as long as it is the last one that was heard, and one server.
pub(crate) struct Proxy {
    /// Where clients reach the server.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    front: UdpSocket,
    back: UdpSocket,
    client: Mutex<Option<SocketAddr>>,
    passed: Mutex<Vec<Passed>>,
    /// What is for the client is lost.
    deaf: AtomicBool,
    ends: AtomicBool,
}

impl Proxy {
    pub(crate) fn start(server: &str) -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            socket
        };
        let (front, back) = (socket(), socket());
        back.connect(server).unwrap();
        let address = front.local_addr().unwrap();
        let shared = Shared {
            front,
            back,
            client: Mutex::default(),
            passed: Mutex::default(),
            deaf: AtomicBool::new(false),
            ends: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        let threads = [Way::ToServer, Way::ToClient].map(|way| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.pass(way))
        });
        Self { address, shared, threads: threads.into() }
    }

    /// All that has passed so far.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// Where the client is that was heard last.
    pub(crate) fn client(&self) -> SocketAddr {
        self.shared.client.lock().unwrap().expect("a client was heard")
    }

    /// From now on what the server sends is lost, or passes again.
    pub(crate) fn lose_answers(&self, lost: bool) {
        self.shared.deaf.store(lost, Ordering::Relaxed);
    }

    /// Sends a datagram again, the way it went, to the client that is there now.
    pub(crate) fn replay(&self, passed: &Passed) {
        self.shared.send(passed.way, &passed.datagram);
    }
}

impl Shared {
    fn pass(&self, way: Way) {
        let mut buffer = vec![0; 65_535];
        while !self.ends.load(Ordering::Relaxed) {
            let length = match way {
                Way::ToServer => self.front.recv_from(&mut buffer).map(|(length, client)| {
                    *self.client.lock().unwrap() = Some(client);
                    length
                }),
                Way::ToClient => self.back.recv(&mut buffer),
            };
            let Ok(length) = length else { continue };
            let datagram = buffer[..length].to_vec();
            if way == Way::ToClient && self.deaf.load(Ordering::Relaxed) {
                continue;
            }
            self.passed.lock().unwrap().push(Passed { way, datagram });
            self.send(way, &buffer[..length]);
        }
    }

    /// What nobody takes is lost, as in any network.
    fn send(&self, way: Way, datagram: &[u8]) {
        let client = *self.client.lock().unwrap();
        let _ = match (way, client) {
            (Way::ToServer, _) => self.back.send(datagram),
            (Way::ToClient, Some(client)) => self.front.send_to(datagram, client),
            (Way::ToClient, None) => Ok(0),
        };
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
