//! One server's connection: the message layer and, where the account asks for one, the DTLS association below it.
//!
//! It belongs to a Server Account, not to a socket, and outlives flows.

mod secure;
mod security;

use std::{ops::Range, sync::Arc, time::Duration};

use lapwing_coap::{
    BlockSize,
    peer::{self, Config, Peer},
};
use lapwing_dtls as dtls;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use secure::Secure;

pub(crate) use secure::Standing;
pub use security::{DtlsParameters, dtls_config};
pub(crate) use security::{Profile, fingerprint};

/// Bytes of a CoAP message from a client beside the body, at most, apart from requests of its own: header, token, payload
/// marker, and the options of a response.
const RESPONSE_HEAD: usize = 64;

/// Datagrams on one side, the events and calls of a [`Peer`] on the other.
pub(crate) struct Connection {
    peer: Peer,
    secure: Option<Box<Secure>>,
}

/// What comes of datagrams and timers.
pub(crate) enum Event<'a> {
    /// The message layer tells something.
    Message(peer::Event<'a>),
    /// What came means nothing by itself; there may be more.
    Nothing,
    /// There is an association: what is sent from now on goes over it.
    Established(dtls::Established),
    /// The handshake came to nothing. An association that was there before goes on.
    Failed(dtls::Failure),
    /// The association has ended, by the server's will or because its certificate is not believed any more.
    Closed(dtls::Closed),
}

/// The timers of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A message of the message layer.
    Message(peer::Timer),
    /// A flight of the handshake.
    Dtls(dtls::Timer),
}

impl Connection {
    /// A connection that says nothing and answers nothing yet. With `dtls` everything goes over an association, of which there is none
    /// before [`Secure`] has made or imported one. `seed` must be unpredictable.
    pub(crate) fn new(config: Arc<Config>, dtls: Option<dtls::ClientConfig>, seed: [u8; 32]) -> Connection {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let (mut message_seed, mut dtls_seed) = ([0; 32], [0; 32]);
        rng.fill_bytes(&mut message_seed);
        rng.fill_bytes(&mut dtls_seed);
        let secure = dtls.map(|dtls| Box::new(Secure::new(dtls, dtls_seed)));
        let config = match &secure {
            Some(secure) if secure.block_size(RESPONSE_HEAD) < config.block_size => {
                let mut smaller = (*config).clone();
                smaller.block_size = secure.block_size(RESPONSE_HEAD);
                Arc::new(smaller)
            }
            _ => config,
        };
        let mut peer = Peer::new(config, message_seed);
        peer.set_silent(true);
        Connection { peer, secure }
    }

    /// The message layer, for everything that is not a datagram.
    pub(crate) fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    /// What the message layer was configured with.
    pub(crate) fn config(&self) -> &Config {
        self.peer.config()
    }

    /// The association; `None` on a connection without DTLS.
    pub(crate) fn secure(&self) -> Option<&Secure> {
        self.secure.as_deref()
    }

    /// The association; `None` on a connection without DTLS.
    pub(crate) fn secure_mut(&mut self) -> Option<&mut Secure> {
        self.secure.as_deref_mut()
    }

    /// The largest block for the body of a request whose other options have that many bytes.
    pub(crate) fn block_size(&self, options: usize) -> BlockSize {
        self.secure.as_ref().map_or(BlockSize::B1024, |secure| secure.block_size(RESPONSE_HEAD + options))
    }

    /// The time since 1970, which certificates are checked against; `None` where it is not known.
    pub(crate) fn set_time(&mut self, unix: Option<Duration>) {
        if let Some(secure) = &mut self.secure {
            secure.set_time(unix);
        }
    }

    /// Takes a datagram. What comes of it beyond the first event follows in [`poll_event`](Connection::poll_event).
    pub(crate) fn handle_datagram<'a>(&'a mut self, now: Duration, datagram: &'a [u8]) -> Option<Event<'a>> {
        match &mut self.secure {
            None => self.peer.handle_datagram(now, datagram).map(Event::Message),
            Some(secure) => {
                secure.handle_datagram(now, datagram);
                self.poll_event(now)
            }
        }
    }

    /// The next event.
    pub(crate) fn poll_event(&mut self, now: Duration) -> Option<Event<'_>> {
        if let Some(event) = self.peer.poll_event() {
            return Some(Event::Message(event));
        }
        self.secure.as_mut()?.poll_event(now, &mut self.peer)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if let Some(secure) = &mut self.secure {
            secure.handle_timeout(now);
        }
        self.peer.handle_timeout(now);
    }

    /// When [`handle_timeout`](Connection::handle_timeout) has something to do. While no record number is left, messages
    /// can only wait, and so do their timers.
    pub(crate) fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        let secure = self.secure.as_deref();
        let message = if secure.is_some_and(Secure::is_held_back) { None } else { self.peer.poll_timeout() };
        let message = message.map(|(due, timer)| (due, Timer::Message(timer)));
        let dtls = secure.and_then(Secure::poll_timeout).map(|(due, timer)| (due, Timer::Dtls(timer)));
        message.into_iter().chain(dtls).min_by_key(|(due, _)| *due)
    }

    /// Appends the next datagram to `buffer` and gives its place there. Messages for which there is no association are lost, as
    /// in a network that is down.
    pub(crate) fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        match &mut self.secure {
            None => self.peer.poll_transmit(now, buffer),
            Some(secure) => secure.poll_transmit(now, &mut self.peer, buffer),
        }
    }

    /// Drops what waits to be sent, as a network does that is down, without using up record numbers.
    pub(crate) fn discard_transmits(&mut self, now: Duration, scratch: &mut Vec<u8>) {
        if let Some(secure) = &mut self.secure {
            secure.discard_transmits(scratch);
        }
        while self.peer.poll_transmit(now, scratch).is_some() {
            scratch.clear();
        }
    }
}
