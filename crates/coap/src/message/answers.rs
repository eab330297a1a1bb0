//! What was answered, so that a duplicate gets the same answer and nothing runs twice (RFC 7252 section 4.5).

use std::time::Duration;

use super::ring::{Record, Ring};
use crate::wire::{Code, MessageId};

/// What a duplicate gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Repeat<'a> {
    /// Nothing: the message was non-confirmable, or its answer is not for sending again.
    Silence,
    /// An empty ACK: it was a response, or a request that was answered separately.
    Acknowledgement,
    /// The same datagram again.
    Datagram(&'a [u8]),
    /// An ACK with this code and the token of the duplicate: the rest of the answer is no longer there, or there was no more.
    Code(Code),
}

/// Whether a message may be processed a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It may: GET, FETCH, a response, a block that its transfer would refuse. Such answers are the first to be forgotten.
    Repeatable,
    /// It must not. Its record stays for EXCHANGE_LIFETIME; its answer's bytes, apart from the code, may go.
    Once,
}

/// The messages that were answered within EXCHANGE_LIFETIME, as far as a budget of bytes allows.
///
/// A record has the message ID, the answer's code and a digest of 64 bits over the whole datagram, which stands for its token,
/// too: the token that an answer needs comes with the duplicate itself. Both rings begin small and double as they fill up. That of
/// the messages that must not run twice may take nearly all of the budget from the other; when it cannot grow any more,
/// [`Answers::room`] is 0, and such requests have to be refused.
pub(crate) struct Answers {
    budget: usize,
    lifetime: Duration,
    repeatable: Ring,
    once: Ring,
}

impl Answers {
    /// Records that the ring of repeatable messages has at least and that both begin with.
    const LEAST: usize = 32;
    /// Bytes of answer for each repeatable record: what a reading of a few resources takes.
    const BYTES_EACH: usize = 64;
    const SILENCE: u8 = 0;
    const ACKNOWLEDGEMENT: u8 = 1;
    const ANSWER: u8 = 2;

    /// Nothing is allocated before the first message.
    pub(crate) fn new(budget: usize, lifetime: Duration) -> Self {
        Self { budget: budget.max(8 * 1024), lifetime, repeatable: Ring::default(), once: Ring::default() }
    }

    pub(crate) fn memory(&self) -> usize {
        self.repeatable.memory() + self.once.memory()
    }

    /// What the duplicate of a message gets; `None` for a new message.
    #[inline]
    pub(crate) fn find(&mut self, now: Duration, id: MessageId, digest: u64) -> Option<Repeat<'_>> {
        let (now, lifetime) = (millis(now), millis(self.lifetime));
        self.repeatable.expire(now, lifetime);
        self.once.expire(now, lifetime);
        if let Some(record) = self.repeatable.find(id, digest) {
            // Without its bytes, the answer has to be made anew.
            return Some(Self::repeat(record, self.repeatable.answer(record)))
                .filter(|repeat| !matches!(repeat, Repeat::Code(_)));
        }
        self.once.find(id, digest).map(|record| Self::repeat(record, self.once.answer(record)))
    }

    fn repeat<'a>(record: &Record, answer: &'a [u8]) -> Repeat<'a> {
        match (record.kind, answer) {
            (Self::SILENCE, _) => Repeat::Silence,
            (Self::ACKNOWLEDGEMENT, _) => Repeat::Acknowledgement,
            (_, []) => Repeat::Code(record.code),
            (_, datagram) => Repeat::Datagram(datagram),
        }
    }

    /// How many more messages with [`Effect::Once`] can be remembered now.
    #[inline]
    pub(crate) fn room(&mut self, now: Duration) -> usize {
        self.once.expire(millis(now), millis(self.lifetime));
        self.largest_once() - self.once.len()
    }

    /// Remembers the answer to a message.
    #[inline]
    pub(crate) fn remember(
        &mut self,
        now: Duration,
        effect: Effect,
        id: MessageId,
        digest: u64,
        code: Code,
        repeat: Repeat<'_>,
    ) {
        let (kind, code, answer) = match repeat {
            Repeat::Silence => (Self::SILENCE, code, &[][..]),
            Repeat::Acknowledgement => (Self::ACKNOWLEDGEMENT, code, &[][..]),
            Repeat::Code(code) => (Self::ANSWER, code, &[][..]),
            Repeat::Datagram(datagram) => (Self::ANSWER, code, datagram),
        };
        let record = Record::new(id, digest, millis(now), code, kind);
        match effect {
            Effect::Repeatable => {
                if self.repeatable.room() == 0 {
                    self.grow_repeatable();
                }
                self.repeatable.push(record, answer);
            }
            Effect::Once => {
                if self.once.room() == 0 {
                    self.grow_once();
                }
                self.once.push(record, answer);
            }
        }
    }

    fn repeatable_cost(records: usize) -> usize {
        Ring::cost(records, records * Self::BYTES_EACH)
    }

    /// Bytes for answers to what must not run twice: those of the last few.
    fn once_bytes(&self) -> usize {
        1 << (self.budget / 16).ilog2()
    }

    /// How many of them there is room for if of the others only the least is kept.
    fn largest_once(&self) -> usize {
        let room = self.budget - self.once_bytes() - Self::repeatable_cost(Self::LEAST);
        // A ring of so many records has at most one bucket for each.
        (room / (Ring::cost(1, 0))).min(Ring::LIMIT)
    }

    #[cold]
    fn grow_repeatable(&mut self) {
        let records = (2 * self.repeatable.capacity()).max(Self::LEAST);
        if records <= Ring::LIMIT && Self::repeatable_cost(records) + self.once.memory() <= self.budget {
            self.repeatable = self.repeatable.resized(records, records * Self::BYTES_EACH);
        }
    }

    #[cold]
    fn grow_once(&mut self) {
        let records = (2 * self.once.capacity()).clamp(Self::LEAST, self.largest_once());
        if records == self.once.capacity() {
            return;
        }
        let left = self.budget - Ring::cost(records, self.once_bytes());
        let mut repeatable = self.repeatable.capacity();
        while Self::repeatable_cost(repeatable) > left {
            repeatable /= 2;
        }
        if repeatable < self.repeatable.capacity() {
            self.repeatable = self.repeatable.resized(repeatable, repeatable * Self::BYTES_EACH);
        }
        self.once = self.once.resized(records, self.once_bytes());
    }
}

fn millis(time: Duration) -> u32 {
    time.as_millis() as u32
}
