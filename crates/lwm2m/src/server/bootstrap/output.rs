//! What the engine wants its caller to do.

use std::{net::SocketAddr, time::Duration};

use super::Event;
use crate::server::Channel;

/// The next thing to do, from [`Server::poll_output`](super::Server::poll_output).
#[derive(Debug)]
pub enum Output<'a> {
    /// Send this datagram there, from that socket.
    Transmit(Channel, SocketAddr, &'a [u8]),
    /// Something happened.
    Event(Event),
    /// Nothing is left to do. Call [`Server::handle_timeout`](super::Server::handle_timeout) at that `elapsed`; `None`
    /// waits for a datagram.
    Wait(Option<Duration>, Reason),
}

/// Which timer an [`Output::Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// None is set.
    Idle,
    /// A remote's message layer or handshake.
    Remote,
    /// A task's deadline.
    Task,
}
