//! The UDP sockets of an engine: one for plain CoAP, and one for DTLS where that is wanted.

use std::{io, net::SocketAddr};

use lapwing_lwm2m::server::Channel;
use tokio::net::UdpSocket;

use crate::{BindError, Interface};

#[derive(Debug)]
pub(crate) struct Sockets {
    plain: UdpSocket,
    secure: Option<UdpSocket>,
}

impl Sockets {
    /// Binds both; `plain` and `secure` say what an address that cannot be bound was for.
    pub(crate) async fn bind(
        plain: (Interface, SocketAddr),
        secure: Option<(Interface, SocketAddr)>,
    ) -> Result<Sockets, BindError> {
        let plain = bind(plain).await?;
        let secure = match secure {
            Some(secure) => Some(bind(secure).await?),
            None => None,
        };
        Ok(Sockets { plain, secure })
    }

    /// Where they are, with the ports that were taken: the plain one and, where there is one, the secure one.
    pub(crate) fn addresses(&self) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
        Ok((self.plain.local_addr()?, self.secure.as_ref().map(UdpSocket::local_addr).transpose()?))
    }

    fn socket(&self, channel: Channel) -> Option<&UdpSocket> {
        match channel {
            Channel::Plain => Some(&self.plain),
            Channel::Secure => self.secure.as_ref(),
        }
    }

    /// Waits until something has arrived, and says where.
    pub(crate) async fn readable(&self) -> io::Result<Channel> {
        let Some(secure) = &self.secure else { return self.plain.readable().await.map(|()| Channel::Plain) };
        tokio::select! {
            ready = self.plain.readable() => ready.map(|()| Channel::Plain),
            ready = secure.readable() => ready.map(|()| Channel::Secure),
        }
    }

    /// Takes one datagram that has arrived; `None` when there is none.
    pub(crate) fn try_receive(&self, channel: Channel, datagram: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let Some(socket) = self.socket(channel) else { return Ok(None) };
        loop {
            match socket.try_recv_from(datagram) {
                Ok(received) => return Ok(Some(received)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_about_a_peer(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a datagram; when the system has no room it waits.
    pub(crate) async fn transmit(&self, channel: Channel, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let Some(socket) = self.socket(channel) else { return Ok(()) };
        loop {
            match socket.try_send_to(datagram, to) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
                // A peer that cannot be reached now is one whose datagram was lost.
                Err(error) => {
                    tracing::debug!(%to, %error, "not sent");
                    return Ok(());
                }
            }
        }
    }
}

async fn bind((interface, address): (Interface, SocketAddr)) -> Result<UdpSocket, BindError> {
    UdpSocket::bind(address).await.map_err(|source| BindError { interface, address, source })
}

/// Whether an error tells of one that was sent to (an ICMP message), rather than of the socket.
fn is_about_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable | Interrupted)
}
