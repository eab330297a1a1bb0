//! One server's connection: the message layer, and the place where a DTLS association will stand below it.
//!
//! It belongs to a Server Account, not to a socket, and outlives flows.

use std::{ops::Range, sync::Arc, time::Duration};

use lapwing_coap::peer::{Config, Event, Peer, Timer};

/// Datagrams on one side, the events and calls of a [`Peer`] on the other.
pub(crate) struct Connection {
    peer: Peer,
}

impl Connection {
    /// A connection that says nothing and answers nothing yet.
    pub(crate) fn new(config: Arc<Config>, seed: [u8; 32]) -> Connection {
        let mut peer = Peer::new(config, seed);
        peer.set_silent(true);
        Connection { peer }
    }

    /// The message layer, for everything that is not a datagram.
    pub(crate) fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// What the message layer was configured with.
    pub(crate) fn config(&self) -> &Config {
        self.peer.config()
    }

    /// See [`Peer::handle_datagram`].
    pub(crate) fn handle_datagram<'a>(&'a mut self, now: Duration, datagram: &'a [u8]) -> Option<Event<'a>> {
        self.peer.handle_datagram(now, datagram)
    }

    /// See [`Peer::handle_timeout`].
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.peer.handle_timeout(now);
    }

    /// See [`Peer::poll_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        self.peer.poll_timeout()
    }

    /// See [`Peer::poll_transmit`].
    pub(crate) fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        self.peer.poll_transmit(now, buffer)
    }
}
