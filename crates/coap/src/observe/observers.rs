//! The observed side.

use std::time::Duration;

use crate::{
    exchange::NotificationId,
    wire::{BlockSize, MessageId, Token},
};

/// One observation of the other end.
pub(crate) struct Observer {
    pub(crate) token: Token,
    /// Which requests are for blocks of its notifications.
    pub(crate) key: u64,
    /// The largest block that the other end asked for.
    pub(crate) block_size: BlockSize,
    /// When the other end was last known, or asked, to be interested still.
    pub(crate) confirmable_at: Duration,
    /// The last non-confirmable notification and its message ID, by which it may be reset.
    pub(crate) non: Option<(MessageId, NotificationId)>,
    /// What goes out in place of the one that is on its way.
    pub(crate) newer: Option<(NotificationId, Vec<u8>)>,
    /// The notification that is on its way, or the one after it, ends the observation.
    pub(crate) ending: bool,
}

/// All observations of the other end.
pub(crate) struct Observers {
    held: Vec<Observer>,
    limit: usize,
    sequence: u32,
}

impl Observers {
    pub(crate) fn new(limit: usize, sequence: u32) -> Self {
        Self { held: Vec::new(), limit, sequence }
    }

    /// The number of the next notification: of 24 bits, and greater than that of any before (RFC 7641 section 4.4).
    pub(crate) fn next_number(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) & 0xff_ffff;
        self.sequence
    }

    /// The number of the last notification.
    pub(crate) fn number(&self) -> u32 {
        self.sequence
    }

    /// Goes on counting from this number.
    pub(crate) fn set_number(&mut self, number: u32) {
        self.sequence = number & 0xff_ffff;
    }

    /// Begins an observation, in place of one with the same token (RFC 7641 section 4.1). False if there are too many.
    pub(crate) fn register(&mut self, token: Token, key: u64, block_size: BlockSize, now: Duration) -> bool {
        if let Some(observer) = self.get(token) {
            (observer.key, observer.block_size) = (key, block_size);
            (observer.confirmable_at, observer.ending) = (now, false);
            return true;
        }
        if self.held.len() >= self.limit {
            return false;
        }
        self.held.push(Observer { token, key, block_size, confirmable_at: now, non: None, newer: None, ending: false });
        true
    }

    pub(crate) fn get(&mut self, token: Token) -> Option<&mut Observer> {
        self.held.iter_mut().find(|observer| observer.token == token)
    }

    pub(crate) fn contains(&self, token: Token) -> bool {
        self.held.iter().any(|observer| observer.token == token && !observer.ending)
    }

    /// The observation whose last non-confirmable notification had this ID.
    pub(crate) fn by_non_id(&self, id: MessageId) -> Option<(NotificationId, Token)> {
        let sent =
            |observer: &Observer| observer.non.filter(|(non, _)| *non == id).map(|(_, sent)| (sent, observer.token));
        self.held.iter().find_map(sent)
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Observer> {
        let position = self.held.iter().position(|observer| observer.token == token)?;
        Some(self.held.swap_remove(position))
    }

    pub(crate) fn memory(&self) -> usize {
        let newer = |observer: &Observer| observer.newer.as_ref().map_or(0, |(_, datagram)| datagram.capacity());
        self.held.capacity() * size_of::<Observer>() + self.held.iter().map(newer).sum::<usize>()
    }
}
