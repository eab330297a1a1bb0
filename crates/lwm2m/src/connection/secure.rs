//! The DTLS association below the message layer: how it stands, and what may go over it (RFC 6347, RFC 9146).

use std::{ops::Range, sync::Arc, time::Duration};

use lapwing_coap::{BlockSize, peer::Peer};
use lapwing_dtls::{self as dtls, Client, ClientConfig, Export, SendError};

use super::Event;

/// Bytes of a record beside its message, at most: header, a Connection ID of 32 bytes, content type, and with a CBC suite IV, MAC and
/// padding.
const RECORD_OVERHEAD: usize = 13 + 32 + 1 + 64;

/// What can be said of the association with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is none that the server can be expected to know: a handshake is next.
    Absent,
    /// One of an earlier run or an earlier flow, of which the server has not shown since that it still knows it. `until`: when
    /// that ceases to be presumed; `None` as long as nothing has been asked over it.
    Presumed { until: Option<Duration> },
    /// The server has answered over it since the handshake, the import or the move.
    Proven,
}

/// A DTLS client, and what is known of its server.
pub(crate) struct Secure {
    dtls: Client,
    max_datagram: usize,
    standing: Standing,
    /// Records to the server carry a Connection ID: the association outlives an address.
    connection_id: bool,
    /// Makes the next handshake shorter.
    session: Option<dtls::Session>,
    /// The message that is being sealed, or was opened; kept, so that it costs no allocation.
    message: Vec<u8>,
}

impl Secure {
    pub(super) fn new(config: ClientConfig, seed: [u8; 32]) -> Secure {
        Secure {
            max_datagram: config.max_datagram,
            dtls: Client::new(Arc::new(config), seed),
            standing: Standing::Absent,
            connection_id: false,
            session: None,
            message: Vec::new(),
        }
    }

    pub(crate) const fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether records carry a Connection ID, so that the server knows them from any address.
    pub(crate) const fn outlives_addresses(&self) -> bool {
        self.connection_id && !matches!(self.standing, Standing::Absent)
    }

    /// The greatest block that fits into a datagram together with `head` bytes of a message.
    pub(super) fn block_size(&self, head: usize) -> BlockSize {
        BlockSize::at_most(self.max_datagram.saturating_sub(RECORD_OVERHEAD + head)).unwrap_or(BlockSize::B16)
    }

    /// Begins a handshake: a short one, where the last session can be resumed. What is there goes on until it is complete.
    pub(crate) fn connect(&mut self, now: Duration) {
        self.standing = Standing::Absent;
        self.dtls.connect(now, self.session.clone());
    }

    /// The server may have moved, or the client, or the process was another one: whether the server still knows the association has
    /// to show by `until`.
    pub(crate) fn presume(&mut self, until: Duration) {
        if self.standing != Standing::Absent {
            self.standing = Standing::Presumed { until: Some(until) };
        }
    }

    /// The server seems to know the association no longer.
    pub(crate) fn forsake(&mut self) {
        self.standing = Standing::Absent;
    }

    /// Ends the association or the handshake. The datagram that tells the server is appended to `buffer`, if there is one.
    pub(crate) fn close(&mut self, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        self.discard_transmits(buffer);
        self.standing = Standing::Absent;
        self.dtls.close();
        self.dtls.poll_transmit(buffer)
    }

    /// Takes up an exported association. `false`: it is none, and nothing has changed. Nothing can be sent over it before it was
    /// [exported](Secure::export) again.
    pub(crate) fn import(&mut self, export: &[u8], connection_id: bool) -> bool {
        let imported = self.dtls.import(export);
        if imported {
            self.standing = Standing::Presumed { until: None };
            self.connection_id = connection_id;
        }
        imported
    }

    /// See [`Client::export`]. `None` where there is no association.
    pub(crate) fn export(&mut self, ahead: u32) -> Option<Export> {
        self.dtls.export(ahead)
    }

    /// See [`Client::exported`].
    pub(crate) fn exported(&mut self, export: &Export) {
        self.dtls.exported(export);
    }

    /// How many records may still be sent.
    pub(crate) fn numbers_left(&self) -> u64 {
        self.dtls.numbers_left()
    }

    /// Whether messages wait for record numbers.
    pub(super) fn is_held_back(&self) -> bool {
        self.dtls.is_established() && self.dtls.numbers_left() == 0
    }

    pub(super) fn set_time(&mut self, unix: Option<Duration>) {
        self.dtls.set_time(unix);
    }

    pub(super) fn handle_datagram(&mut self, now: Duration, datagram: &[u8]) {
        self.dtls.handle_datagram(now, datagram);
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        self.dtls.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&self) -> Option<(Duration, dtls::Timer)> {
        self.dtls.poll_timeout()
    }

    pub(super) fn poll_event<'a>(&'a mut self, now: Duration, peer: &'a mut Peer) -> Option<Event<'a>> {
        let confirmed = match self.dtls.poll_event()? {
            dtls::Event::Data(data) => {
                keep(&mut self.message, data);
                None
            }
            // It may have been recorded before the import. Only what answers a request that was made since cannot.
            dtls::Event::Unconfirmed { record, data } if peer.awaits(data) => {
                keep(&mut self.message, data);
                Some(record)
            }
            dtls::Event::Established(established) => {
                self.standing = Standing::Proven;
                self.connection_id = !established.peer_connection_id.is_empty();
                self.session = self.dtls.session().cloned();
                return Some(Event::Established(established));
            }
            dtls::Event::Failed(failure) => {
                self.session = None;
                return Some(Event::Failed(failure));
            }
            dtls::Event::Closed(dtls::Closed::Replaced) => return Some(Event::Nothing),
            dtls::Event::Closed(why) => {
                self.standing = Standing::Absent;
                if why != dtls::Closed::CloseNotify {
                    // RFC 5246 section 7.2.2.
                    self.session = None;
                }
                return Some(Event::Closed(why));
            }
            _ => return Some(Event::Nothing),
        };
        if let Some(record) = confirmed {
            self.dtls.confirm(record);
        }
        if self.standing != Standing::Absent {
            self.standing = Standing::Proven;
        }
        Some(peer.handle_datagram(now, &self.message).map_or(Event::Nothing, Event::Message))
    }

    pub(super) fn poll_transmit(
        &mut self,
        now: Duration,
        peer: &mut Peer,
        buffer: &mut Vec<u8>,
    ) -> Option<Range<usize>> {
        loop {
            if let Some(datagram) = self.dtls.poll_transmit(buffer) {
                return Some(datagram);
            }
            if self.is_held_back() {
                return None;
            }
            self.message.clear();
            let message = peer.poll_transmit(now, &mut self.message)?;
            match self.dtls.send(&self.message[message]) {
                Ok(()) | Err(SendError::NotEstablished) => {}
                Err(error) => tracing::warn!(%error, "a message is lost"),
            }
        }
    }

    pub(super) fn discard_transmits(&mut self, scratch: &mut Vec<u8>) {
        while self.dtls.poll_transmit(scratch).is_some() {
            scratch.clear();
        }
    }
}

fn keep(message: &mut Vec<u8>, data: &[u8]) {
    message.clear();
    message.extend_from_slice(data);
}
