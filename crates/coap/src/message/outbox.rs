//! Datagrams on their way out.

use std::{collections::VecDeque, ops::Range};

use crate::wire::{MessageId, MessageType, Writer};

/// What is ready to be sent, in one buffer that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    datagrams: VecDeque<Range<usize>>,
}

impl Outbox {
    /// Where answers to noise stop, in bytes and in datagrams: an engine that does not drain the outbox must not make it grow.
    const NOISE_LIMIT: (usize, usize) = (1024, 64);
    /// What an empty outbox keeps allocated at most, in bytes.
    const KEPT: usize = 2 * 1024;

    /// Lets `write` put one datagram at the end of the buffer, and gives that datagram.
    #[inline]
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Range<usize>) -> &[u8] {
        let range = write(&mut self.bytes);
        self.datagrams.push_back(range.clone());
        &self.bytes[range]
    }

    /// Queues a copy.
    pub(crate) fn push(&mut self, datagram: &[u8]) {
        self.write(|bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(datagram);
            start..bytes.len()
        });
    }

    /// Queues an empty ACK or RST, unless there is too much already.
    pub(crate) fn push_empty(&mut self, kind: MessageType, id: MessageId) {
        if !self.is_flooded() {
            self.write(|bytes| Writer::empty(bytes, kind, id));
        }
    }

    /// Whether so much waits already that answers to noise are left out, and retransmissions wait.
    pub(crate) fn is_flooded(&self) -> bool {
        let (bytes, datagrams) = Self::NOISE_LIMIT;
        self.bytes.len() >= bytes || self.datagrams.len() >= datagrams
    }

    /// Moves the next datagram to the end of `buffer`.
    #[inline]
    pub(crate) fn pop(&mut self, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        let range = self.datagrams.pop_front()?;
        let start = buffer.len();
        buffer.extend_from_slice(&self.bytes[range]);
        if self.datagrams.is_empty() {
            self.bytes.clear();
            if self.bytes.capacity() > Self::KEPT {
                self.bytes.shrink_to(Self::KEPT);
            }
        }
        Some(start..buffer.len())
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.datagrams.capacity() * size_of::<Range<usize>>()
    }
}
