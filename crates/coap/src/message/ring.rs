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

impl Record {
    pub(super) fn new(id: MessageId, digest: u64, at: u32, code: Code, kind: u8) -> Self {
        Self { digest, at, start: 0, length: 0, id, previous: 0, code, kind }
    }
}

/// Records in the order of their arrival, found by message ID; and the bytes of their answers.
///
/// Nothing is ever moved or freed: a new entry overwrites the one that is a capacity older. Positions and byte offsets only count
/// up, and wrap; one that was overwritten is known by its age. Message IDs mostly come in order, which makes their low bits a
/// perfect bucket number.
#[derive(Default)]
pub(super) struct Ring {
    records: Vec<Record>,
    /// The position of the youngest record of each bucket; their number is a power of two.
    heads: Vec<u16>,
    /// Their number is a power of two.
    bytes: Vec<u8>,
    /// Where the next record goes.
    next: usize,
    length: usize,
    /// The position of the next record.
    end: u16,
    written: u32,
}

impl Ring {
    /// The greatest capacity in records: positions have 16 bits.
    pub(super) const LIMIT: usize = 1 << 15;

    /// Bytes of memory of a ring of this size.
    pub(super) fn cost(records: usize, bytes: usize) -> usize {
        records * size_of::<Record>() + buckets(records) * size_of::<u16>() + bytes
    }

    /// An empty ring for 1 to [`Ring::LIMIT`] records; `bytes` is a power of two.
    pub(super) fn new(records: usize, bytes: usize) -> Self {
        debug_assert!((1..=Self::LIMIT).contains(&records) && bytes.is_power_of_two());
        Self {
            records: vec![Record::new(0, 0, 0, Code::EMPTY, 0); records],
            heads: vec![0; buckets(records)],
            bytes: vec![0; bytes],
            ..Self::default()
        }
    }

    /// A ring of another size with the youngest that fit into it.
    pub(super) fn resized(&self, records: usize, bytes: usize) -> Self {
        let mut ring = Self::new(records, bytes);
        for age in (1..=self.length).rev() {
            let record = self.records[self.slot(age)];
            ring.push(record, self.answer(&record));
        }
        ring
    }

    pub(super) fn memory(&self) -> usize {
        self.records.len() * size_of::<Record>() + self.heads.len() * size_of::<u16>() + self.bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.records.len()
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How many more fit without overwriting one.
    pub(super) fn room(&self) -> usize {
        self.records.len() - self.length
    }

    /// Forgets those that are older than `lifetime` milliseconds.
    #[inline]
    pub(super) fn expire(&mut self, now: u32, lifetime: u32) {
        while self.length > 0 && now.wrapping_sub(self.records[self.slot(self.length)].at) > lifetime {
            self.length -= 1;
        }
    }

    /// The message with this ID and digest.
    #[inline]
    pub(super) fn find(&self, id: MessageId, digest: u64) -> Option<&Record> {
        if self.length == 0 {
            return None;
        }
        let mut position = self.heads[usize::from(id) & (self.heads.len() - 1)];
        let mut youngest = 0;
        loop {
            // A head or link that is no longer true leads to an age out of range, or not beyond the one before.
            let age = usize::from(self.end.wrapping_sub(position));
            if age <= youngest || age > self.length {
                return None;
            }
            let record = &self.records[self.slot(age)];
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
        (record.start, record.length) = self.write(answer);
        let bucket = usize::from(record.id) & (self.heads.len() - 1);
        record.previous = self.heads[bucket];
        self.heads[bucket] = self.end;
        self.records[self.next] = record;
        self.end = self.end.wrapping_add(1);
        self.next = if self.next + 1 == self.records.len() { 0 } else { self.next + 1 };
        self.length = (self.length + 1).min(self.records.len());
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

    /// Where the record of this age is; the youngest has age 1.
    #[inline]
    fn slot(&self, age: usize) -> usize {
        if age <= self.next { self.next - age } else { self.next + self.records.len() - age }
    }
}

fn buckets(records: usize) -> usize {
    1 << records.max(1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u16, at: u32) -> Record {
        Record::new(id, u64::from(id) + 7, at, Code::CONTENT, 1)
    }

    fn found(ring: &Ring, id: u16) -> Option<Vec<u8>> {
        ring.find(id, u64::from(id) + 7).map(|record| ring.answer(record).to_vec())
    }

    /// Against a plain list, over more than a wrap of positions and of message IDs, with capacities that are no powers of two.
    #[test]
    fn the_youngest_are_found_and_no_others() {
        for (records, bytes) in [(1, 64), (7, 256), (100, 1024), (1000, 4096)] {
            let mut ring = Ring::new(records, bytes);
            for number in 0..70_000_u32 {
                let id = (number * 3) as u16;
                ring.push(record(id, 0), &number.to_be_bytes());
                let oldest = number.saturating_sub(records as u32 - 1);
                assert!(found(&ring, (oldest * 3) as u16).is_some(), "{records} {number}");
                assert_eq!(found(&ring, id), Some(number.to_be_bytes().to_vec()));
                if number >= records as u32 {
                    assert_eq!(found(&ring, ((number - records as u32) * 3) as u16), None, "{records} {number}");
                }
            }
        }
    }

    #[test]
    fn another_digest_is_another_message() {
        let mut ring = Ring::new(8, 64);
        ring.push(record(1, 0), b"a");
        assert!(ring.find(1, 9).is_none());
        ring.push(Record::new(1, 9, 0, Code::VALID, 1), b"b");
        assert_eq!(ring.find(1, 9).map(|record| record.code), Some(Code::VALID));
        assert_eq!(found(&ring, 1), Some(b"a".to_vec()));
    }

    #[test]
    fn bytes_that_were_overwritten_are_not_given() {
        let mut ring = Ring::new(64, 64);
        for id in 0..64 {
            ring.push(record(id, 0), &[id as u8; 20]);
            for older in 0..=id {
                let answer = found(&ring, older).unwrap();
                assert!(answer.is_empty() || answer == [older as u8; 20], "{id} {older} {answer:?}");
            }
            assert_eq!(found(&ring, id).unwrap().len(), 20);
        }
        ring.push(record(100, 0), &[1; 65]);
        assert_eq!(found(&ring, 100), Some(vec![]), "too long to be kept");
    }

    #[test]
    fn a_resized_ring_has_the_youngest_with_their_bytes() {
        let mut ring = Ring::new(20, 1024);
        for id in 0..25 {
            ring.push(record(id, u32::from(id)), &[id as u8; 10]);
        }
        for records in [10, 20, 50] {
            let resized = ring.resized(records, 1024);
            let oldest = 25 - records.min(20) as u16;
            for id in 0..25 {
                assert_eq!(found(&resized, id), (id >= oldest).then(|| vec![id as u8; 10]), "{records} {id}");
            }
        }
        ring.expire(30, 10);
        assert_eq!((ring.len(), found(&ring, 19), found(&ring, 20)), (5, None, Some(vec![20; 10])));
    }
}
