use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Type};
use tokio::io::unix::AsyncFd;

use super::fd::readable;

/// Where datagrams go through.
pub trait Net: Send + 'static {
    /// A way to one peer.
    type Socket: Socket;

    /// Resolves the name anew and connects. `previous` is what the last attempt used: if it was of use it is preferred, if not, the
    /// address after it is taken. `from` is the local port to start from if it is free: the peer knows the client by it.
    ///
    /// # Errors
    /// When the name is not known, or no way leads there now.
    fn connect(
        &self,
        host: &str,
        port: u16,
        previous: Option<Previous>,
        from: Option<u16>,
    ) -> impl Future<Output = io::Result<Self::Socket>> + Send + 'static;

    /// Gives the socket back, or another one to the same peer if the way there starts from another address of this machine now.
    ///
    /// # Errors
    /// When no socket could be had from that address. One to which there is no way at all is given back.
    fn reconnect(&self, socket: Self::Socket) -> io::Result<Self::Socket>;
}

/// The address that an earlier attempt used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The peer's address.
    pub address: SocketAddr,
    /// Whether anything came from there.
    pub answered: bool,
}

impl Previous {
    /// Which of the addresses of a name is to be tried now.
    pub fn choose(previous: Option<Self>, addresses: &[SocketAddr]) -> Option<SocketAddr> {
        let Some(previous) = previous else { return addresses.first().copied() };
        let index = addresses.iter().position(|address| *address == previous.address);
        let next = index.map_or(0, |index| if previous.answered { index } else { index + 1 });
        addresses.get(next).or(addresses.first()).copied()
    }
}

/// A connected datagram socket: what others than its peer send does not come in.
pub trait Socket: Send + 'static {
    /// The address on this machine.
    fn local(&self) -> SocketAddr;
    /// The peer's address.
    fn peer(&self) -> SocketAddr;
    /// The next datagram, its length. What is longer than the buffer is cut off.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    /// Sends a datagram or loses it, as a network may.
    ///
    /// # Errors
    /// What the network said, maybe about an earlier datagram.
    fn send(&self, datagram: &[u8]) -> io::Result<()>;
}

/// UDP over IPv4 and IPv6.
#[derive(Debug, Clone, Copy, Default)]
pub struct Udp {
    port: u16,
}

impl Udp {
    /// Sockets that send from this local port; 0 is any free one.
    pub const fn from_port(port: u16) -> Self {
        Self { port }
    }
}

impl Net for Udp {
    type Socket = UdpPeer;

    fn connect(
        &self,
        host: &str,
        port: u16,
        previous: Option<Previous>,
        from: Option<u16>,
    ) -> impl Future<Output = io::Result<UdpPeer>> + Send + 'static {
        let (host, local) = (host.to_owned(), self.port);
        async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), port)).await?.collect();
            let peer = Previous::choose(previous, &addresses)
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
            match from.filter(|_| local == 0).map(|from| UdpPeer::connect(from, peer)) {
                Some(Ok(socket)) => Ok(socket),
                _ => UdpPeer::connect(local, peer),
            }
        }
    }

    fn reconnect(&self, socket: UdpPeer) -> io::Result<UdpPeer> {
        match UdpPeer::connect(0, socket.peer) {
            Ok(other) if other.local.ip() == socket.local.ip() => Ok(socket),
            Ok(other) if self.port == 0 => Ok(other),
            Ok(_) => {
                let peer = socket.peer;
                drop(socket);
                UdpPeer::connect(self.port, peer)
            }
            Err(_) => Ok(socket),
        }
    }
}

/// A UDP socket connected to one peer.
///
/// It waits for datagrams alone: tokio's own socket waits for room to send too, and is woken each time a datagram has left. That
/// the peer refused one (ICMP port unreachable) is said when the next is sent.
#[derive(Debug)]
pub struct UdpPeer {
    socket: AsyncFd<UdpSocket>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl UdpPeer {
    /// A socket from `port` of this machine (0: any) to `peer`. Needs a tokio runtime with I/O around it.
    ///
    /// # Errors
    /// When the port is taken or no route leads to the peer.
    pub fn connect(port: u16, peer: SocketAddr) -> io::Result<Self> {
        let any = match peer {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let socket = socket2::Socket::new(Domain::for_address(peer), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if peer.is_ipv6() {
            // The same local port may be in use over IPv4.
            socket.set_only_v6(true)?;
        }
        socket.bind(&SocketAddr::new(any, port).into())?;
        socket.connect(&peer.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self { socket: readable(socket)?, local, peer })
    }

    /// Lets up to so many bytes wait to be received. The system may permit less (`net.core.rmem_max`) without saying so.
    ///
    /// # Errors
    /// As the system has it.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        socket2::SockRef::from(self.socket.get_ref()).set_recv_buffer_size(bytes)
    }
}

impl Socket for UdpPeer {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut readable = ready!(self.socket.poll_read_ready(cx))?;
            if let Ok(received) = readable.try_io(|socket| socket.get_ref().recv(buffer)) {
                return Poll::Ready(received);
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self.socket.get_ref().send(datagram) {
            // The queue to the device is full: the datagram is lost.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            sent => sent.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_did_not_answer_gives_way_to_the_next() {
        let addresses: Vec<SocketAddr> =
            ["[::1]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().unwrap()).into();
        let after = |address: usize, answered| {
            Previous::choose(Some(Previous { address: addresses[address], answered }), &addresses)
        };
        assert_eq!(Previous::choose(None, &addresses), Some(addresses[0]));
        assert_eq!(after(0, false), Some(addresses[1]));
        assert_eq!(after(1, true), Some(addresses[1]));
        assert_eq!(after(2, false), Some(addresses[0]));
        // The name leads elsewhere now.
        let gone = Previous { address: "192.0.2.1:1".parse().unwrap(), answered: true };
        assert_eq!(Previous::choose(Some(gone), &addresses), Some(addresses[0]));
        assert_eq!(Previous::choose(Some(gone), &[]), None);
    }

    #[tokio::test]
    async fn a_local_port_is_kept_for_both_families() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let net = Udp::from_port(free);
        let over_ipv4 = net.connect("127.0.0.1", 9, None, None).await.unwrap();
        let over_ipv6 = net.connect("::1", 9, None, None).await.unwrap();
        assert_eq!((over_ipv4.local().port(), over_ipv6.local().port()), (free, free));
        assert_eq!(
            (over_ipv4.peer().to_string(), over_ipv6.peer().to_string()),
            ("127.0.0.1:9".into(), "[::1]:9".into())
        );
        let again = net.reconnect(over_ipv4).unwrap();
        assert_eq!(again.local().port(), free);
    }

    #[tokio::test]
    async fn an_earlier_port_is_taken_again_while_it_is_free() {
        let first = Udp::default().connect("127.0.0.1", 9, None, None).await.unwrap();
        let port = first.local().port();
        let beside = Udp::default().connect("127.0.0.1", 9, None, Some(port)).await.unwrap();
        assert_ne!(beside.local().port(), port, "it was taken");
        drop(first);
        let again = Udp::default().connect("127.0.0.1", 9, None, Some(port)).await.unwrap();
        assert_eq!(again.local().port(), port);
    }

    #[tokio::test]
    async fn a_host_that_refuses_says_so() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let socket = Udp::default().connect("127.0.0.1", free, None, None).await.unwrap();
        socket.send(b"anybody?").unwrap();
        let refused = socket.send(b"nobody?");
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
