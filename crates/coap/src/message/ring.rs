//! The last messages of one kind that were answered.

use crate::wire::{Code, MessageId};

/// A message that was answered.
#[derive(Clone, Copy)]
pub(super) struct Record {
    digest: u64,
    /// When, in milliseconds; wraps after 49 days, long after it was forgotten.
    at: u32,
    /// Where the answer begins in the count of all bytes ever written.
    start: u32,
    /// The answer's length; 0 where its bytes were not kept.
    length: u16,
    id: MessageId,
    /// Position of the message before it in the same bucket.
    previous: u16,
    pub(super) code: Code,
    pub(super) kind: u8,
}

/// Records in the order of their arrival, found by message ID; and the bytes of their answers.
///
/// Positions and byte offsets only ever count up, and wrap; their place is their remainder by the capacity, a power of two. So
/// an entry is overwritten by the one that is a capacity younger, nothing is ever moved or freed, and a position that was
/// overwritten is known by its age. Message IDs mostly come in order, which makes their low bits a perfect bucket number.
#[derive(Default)]
pub(super) struct Ring {
    records: Vec<Record>,
    heads: Vec<u16>,
    bytes: Vec<u8>,
    begin: u32,
    end: u32,
    written: u32,
}

impl Ring {
    /// Bytes of memory of a ring of this size.
    pub(super) const fn cost(records: usize, bytes: usize) -> usize {
        records * (size_of::<Record>() + size_of::<u16>()) + bytes
    }

    /// An empty ring; both sizes are powers of two, that of `records` at most 32,768.
    pub(super) fn new(records: usize, bytes: usize) -> Self {
        debug_assert!(records.is_power_of_two() && bytes.is_power_of_two() && records <= 1 << 15);
        Self {
            records: vec![Record::new(0, 0, 0, Code::EMPTY, 0); records],
            heads: vec![0; records],
            bytes: vec![0; bytes],
            begin: 0,
            end: 0,
            written: 0,
        }
    }

    /// A ring of another size with the youngest that fit into it.
    pub(super) fn resized(&self, records: usize, bytes: usize) -> Self {
        let mut ring = Self::new(records, bytes);
        for age in (1..=self.len() as u32).rev() {
            let record = self.records[self.slot(self.end.wrapping_sub(age))];
            ring.push(record, self.answer(&record));
        }
        ring
    }

    pub(super) fn memory(&self) -> usize {
        Self::cost(self.records.len(), self.bytes.len())
    }

    pub(super) fn capacity(&self) -> usize {
        self.records.len()
    }

    pub(super) fn len(&self) -> usize {
        self.end.wrapping_sub(self.begin) as usize
    }

    /// How many more fit without overwriting one.
    pub(super) fn room(&self) -> usize {
        self.capacity() - self.len()
    }

    /// Forgets those that are older than `lifetime` milliseconds.
    #[inline]
    pub(super) fn expire(&mut self, now: u32, lifetime: u32) {
        while self.begin != self.end && now.wrapping_sub(self.records[self.slot(self.begin)].at) > lifetime {
            self.begin = self.begin.wrapping_add(1);
        }
    }

    /// The message with this ID and digest.
    #[inline]
    pub(super) fn find(&self, id: MessageId, digest: u64) -> Option<&Record> {
        if self.begin == self.end {
            return None;
        }
        let mut position = self.heads[usize::from(id) & (self.records.len() - 1)];
        let mut youngest = 0;
        loop {
            // A head or link that is no longer true leads to an age out of range, or not beyond the one before.
            let age = usize::from((self.end as u16).wrapping_sub(position));
            if age <= youngest || age > self.len() {
                return None;
            }
            let record = &self.records[self.slot(u32::from(position))];
            if record.id == id && record.digest == digest {
                return Some(record);
            }
            (youngest, position) = (age, record.previous);
        }
    }

    /// The bytes of an answer, or none if they were not kept or have been overwritten.
    #[inline]
    pub(super) fn answer(&self, record: &Record) -> &[u8] {
        if record.length == 0 || self.written.wrapping_sub(record.start) as usize > self.bytes.len() {
            return &[];
        }
        let start = record.start as usize & (self.bytes.len() - 1);
        &self.bytes[start..start + usize::from(record.length)]
    }

    /// Adds a message, in place of the oldest one if there is no room.
    #[inline]
    pub(super) fn push(&mut self, mut record: Record, answer: &[u8]) {
        if self.len() == self.records.len() {
            self.begin = self.begin.wrapping_add(1);
        }
        (record.start, record.length) = self.write(answer);
        let (slot, bucket) = (self.slot(self.end), usize::from(record.id) & (self.records.len() - 1));
        record.previous = self.heads[bucket];
        self.heads[bucket] = self.end as u16;
        self.records[slot] = record;
        self.end = self.end.wrapping_add(1);
    }

    /// An answer is never split: what does not fit before the end of the buffer begins at its start.
    #[inline]
    fn write(&mut self, answer: &[u8]) -> (u32, u16) {
        let capacity = self.bytes.len();
        if answer.is_empty() || answer.len() > capacity.min(usize::from(u16::MAX)) {
            return (self.written, 0);
        }
        let place = self.written as usize & (capacity - 1);
        let skipped = if place + answer.len() > capacity { capacity - place } else { 0 };
        let start = self.written.wrapping_add(skipped as u32);
        let place = start as usize & (capacity - 1);
        self.bytes[place..place + answer.len()].copy_from_slice(answer);
        self.written = start.wrapping_add(answer.len() as u32);
        (start, answer.len() as u16)
    }

    #[inline]
    fn slot(&self, position: u32) -> usize {
        position as usize & (self.records.len() - 1)
    }
}

impl Record {
    pub(super) fn new(id: MessageId, digest: u64, at: u32, code: Code, kind: u8) -> Self {
        Self { digest, at, start: 0, length: 0, id, previous: 0, code, kind }
    }
}
