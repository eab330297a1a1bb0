//! The exchange log: which messages came and went lately, for people to look at.

use std::{collections::VecDeque, fmt, net::SocketAddr, sync::Arc};

use lapwing_coap::wire::{Message, describe};

use crate::Now;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to this server.
    In,
    /// From this server to the peer.
    Out,
}

/// One message of the exchange log. Its `Display` is one line: [`describe`] of the message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogEntry {
    /// When.
    pub time: Now,
    /// Which way.
    pub direction: Direction,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Whether it came or went over DTLS.
    pub secure: bool,
    /// The endpoint that was registered from that address, if any.
    pub endpoint: Option<Arc<str>>,
    /// The message as it was on the wire; over DTLS, inside the record.
    pub datagram: Box<[u8]>,
}

impl LogEntry {
    /// The message, `None` when it is not CoAP.
    pub fn message(&self) -> Option<Message<'_>> {
        Message::parse(&self.datagram).ok()
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::In => "<-",
            Direction::Out => "->",
        };
        let secure = if self.secure { " secure" } else { "" };
        write!(f, "{arrow} {}{secure} {}", self.peer, describe(&self.datagram))
    }
}

/// The last messages, oldest first.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Arc<LogEntry>>,
    limit: usize,
    /// Of all their datagrams.
    bytes: usize,
}

impl Log {
    /// Bytes of datagrams held at most: strangers choose how long theirs are.
    const BYTES: usize = 1024 * 1024;

    pub(super) fn new(limit: usize) -> Log {
        Log { entries: VecDeque::new(), limit, bytes: 0 }
    }

    pub(super) fn is_off(&self) -> bool {
        self.limit == 0
    }

    pub(super) fn push(&mut self, entry: Arc<LogEntry>) {
        self.bytes += entry.datagram.len();
        self.entries.push_back(entry);
        while self.entries.len() > self.limit || self.bytes > Self::BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.datagram.len();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<LogEntry>> {
        self.entries.iter()
    }
}
