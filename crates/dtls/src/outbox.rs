//! Datagrams on their way out.

use std::{collections::VecDeque, ops::Range};

/// What is ready to be sent, in one buffer that is used again and again. `A` is where to.
#[derive(Debug)]
pub(crate) struct Outbox<A> {
    bytes: Vec<u8>,
    datagrams: VecDeque<(A, Range<usize>)>,
}

impl<A> Outbox<A> {
    /// Where answers to strangers stop: whoever does not drain the outbox must not make it grow.
    const NOISE_LIMIT: usize = 16 * 1024;
    /// What an empty outbox keeps allocated at most.
    const KEPT: usize = 4 * 1024;

    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), datagrams: VecDeque::new() }
    }

    /// Lets `write` put one datagram at the end of the buffer. Nothing written is no datagram.
    pub(crate) fn write<R>(&mut self, to: A, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        if self.bytes.len() > start {
            self.datagrams.push_back((to, start..self.bytes.len()));
        }
        result
    }

    /// Whether so much waits already that answers to strangers are left out.
    pub(crate) fn is_flooded(&self) -> bool {
        self.bytes.len() >= Self::NOISE_LIMIT
    }

    /// Moves the next datagram to the end of `buffer`.
    pub(crate) fn pop(&mut self, buffer: &mut Vec<u8>) -> Option<(A, Range<usize>)> {
        let (to, range) = self.datagrams.pop_front()?;
        let start = buffer.len();
        buffer.extend_from_slice(&self.bytes[range]);
        if self.datagrams.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(Self::KEPT);
        }
        Some((to, start..buffer.len()))
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + self.datagrams.capacity() * size_of::<(A, Range<usize>)>()
    }
}
