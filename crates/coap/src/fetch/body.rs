//! What has come of a body, put in order; and what is to be asked for next.

use std::ops::Range;

use super::ranges::Ranges;
use crate::wire::{Block, BlockSize};

/// A ring of bytes from the first that was not consumed, and an account of the rest.
#[derive(Debug)]
pub(super) struct Body {
    ring: Vec<u8>,
    limit: usize,
    /// Bytes before this were consumed.
    consumed: u64,
    /// Bytes before this were handed out.
    handed: u64,
    /// Bytes before this have come.
    front: u64,
    /// What has come beyond `front`.
    islands: Ranges,
    /// What was asked for in vain and must be asked for again.
    wanted: Ranges,
    /// From here on nothing was asked for.
    frontier: u64,
    /// How long the other end says that the body is.
    size: Option<u64>,
    /// How long it is: its last block has come.
    end: Option<u64>,
}

/// Two blocks do not belong to the same body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

/// How many bytes have blocks of this size that can be numbered (RFC 7959 section 2.2).
const fn numbered(size: BlockSize) -> u64 {
    (Block::MAX_NUMBER as u64 + 1) * size.bytes() as u64
}

impl Body {
    /// The least that the ring has.
    pub(super) const SMALLEST: usize = 16 * 1024;

    /// A body of which everything before `offset` is there already. At most `limit` bytes are held.
    pub(super) fn new(offset: u64, limit: usize) -> Self {
        Self {
            ring: Vec::new(),
            limit,
            consumed: offset,
            handed: offset,
            front: offset,
            islands: Ranges::default(),
            wanted: Ranges::default(),
            frontier: offset,
            size: None,
            end: None,
        }
    }

    /// The first byte that has not come.
    pub(super) fn front(&self) -> u64 {
        self.front
    }

    /// Sets how long the other end says that the body is.
    pub(super) fn set_size(&mut self, size: u64) {
        self.size = Some(size);
    }

    /// Takes in how long the other end says that the body is, where it did not say so at first and no more was asked for.
    pub(super) fn learn_size(&mut self, size: u64) {
        if self.size.or(self.end).is_none() && size > self.frontier {
            self.size = Some(size);
        }
    }

    /// How many bytes were not asked for yet, as far as is known.
    pub(super) fn left(&self) -> u64 {
        self.end.or(self.size).unwrap_or(u64::MAX).saturating_sub(self.frontier)
    }

    /// Whether a block there is no guess: it is the lowest that is missing, or the size is known.
    pub(super) fn surely_has(&self, offset: u64) -> bool {
        offset <= self.front || self.size.is_some_and(|size| offset < size)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.end == Some(self.front)
    }

    /// Whether all of it was handed out.
    pub(super) fn is_handed_out(&self) -> bool {
        self.end == Some(self.handed)
    }

    /// Takes in the bytes at `offset`; those that are there already are passed over. Gives how many were new.
    pub(super) fn put(&mut self, offset: u64, bytes: &[u8], more: bool) -> Result<u64, Contradiction> {
        let end = offset + bytes.len() as u64;
        if !more {
            let beyond = self.islands.end().unwrap_or(self.front) > end;
            if beyond || self.end.is_some_and(|known| known != end) {
                return Err(Contradiction);
            }
            self.end = Some(end);
            self.wanted.remove(end..u64::MAX);
            self.frontier = self.frontier.min(end);
        } else if self.end.is_some_and(|known| end >= known) {
            return Err(Contradiction);
        }
        if more && self.size.is_some_and(|size| end >= size) {
            // It is longer than was said.
            self.size = None;
        }
        let limit = self.consumed + self.limit as u64;
        let wanted = offset.max(self.front)..end.min(limit);
        let mut new = 0;
        for part in self.islands.missing_from(wanted) {
            let from = (part.start - offset) as usize;
            self.store(part.start, &bytes[from..(part.end - offset) as usize]);
            new += part.end - part.start;
            self.wanted.remove(part.clone());
            self.islands.insert(part);
        }
        if let Some(first) = self.islands.first().filter(|first| first.start == self.front) {
            self.islands.remove(first.clone());
            self.front = first.end;
        }
        self.frontier = self.frontier.max(self.front);
        Ok(new)
    }

    fn store(&mut self, offset: u64, bytes: &[u8]) {
        let needed = (offset - self.consumed) as usize + bytes.len();
        if needed > self.ring.len() {
            self.grow(needed);
        }
        let place = (offset % self.ring.len() as u64) as usize;
        let (first, rest) = bytes.split_at(bytes.len().min(self.ring.len() - place));
        self.ring[place..place + first.len()].copy_from_slice(first);
        self.ring[..rest.len()].copy_from_slice(rest);
    }

    /// Makes room for this many bytes from `consumed` on.
    fn grow(&mut self, needed: usize) {
        let capacity = needed.next_power_of_two().max(Self::SMALLEST);
        let old = std::mem::replace(&mut self.ring, vec![0; capacity]);
        if old.is_empty() {
            return;
        }
        for held in 0..old.len() as u64 {
            let offset = self.consumed + held;
            self.ring[(offset % capacity as u64) as usize] = old[(offset % old.len() as u64) as usize];
        }
    }

    /// The next bytes in order, as many as lie together.
    pub(super) fn hand_out(&mut self) -> Option<(u64, &[u8])> {
        if self.handed == self.front {
            return None;
        }
        let offset = self.handed;
        let place = (offset % self.ring.len() as u64) as usize;
        let length = ((self.front - offset) as usize).min(self.ring.len() - place);
        self.handed += length as u64;
        Some((offset, &self.ring[place..place + length]))
    }

    /// Whether something is there to be handed out.
    pub(super) fn has_data(&self) -> bool {
        self.handed < self.front
    }

    /// The place of `bytes` more that were handed out may be used again.
    pub(super) fn consume(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes).min(self.handed);
    }

    /// The block of this size that is to be asked for next, if there is room for it. Beyond `halt` nothing is asked for but the
    /// lowest that is missing.
    pub(super) fn next(&self, size: BlockSize, halt: Option<u64>) -> Option<u64> {
        let bytes = size.bytes() as u64;
        let lost = self.wanted.first().map(|range| range.start);
        let end = self.end.or(self.size).unwrap_or(u64::MAX).min(numbered(size));
        let fresh = (self.frontier < end).then_some(self.frontier);
        let offset = lost.or(fresh)? / bytes * bytes;
        let allowed = halt.is_none_or(|halt| offset < halt || offset <= self.front);
        let room = offset.saturating_add(bytes) <= (self.consumed / bytes * bytes).saturating_add(self.limit as u64);
        (allowed && room).then_some(offset)
    }

    /// Whether it has more blocks of this size than can be numbered.
    pub(super) fn is_too_long(&self, size: BlockSize) -> bool {
        let needed = self.end.or(self.size).unwrap_or(0).max(self.front.saturating_add(1));
        !self.is_whole() && needed > numbered(size)
    }

    /// A block was asked for.
    pub(super) fn ask(&mut self, block: Range<u64>) {
        self.frontier = self.frontier.max(block.end);
        self.wanted.remove(block);
    }

    /// What was asked for does not come: what is still missing of it must be asked for again.
    pub(super) fn want(&mut self, block: Range<u64>) {
        let end = block.end.min(self.end.unwrap_or(u64::MAX));
        for part in self.islands.missing_from(block.start.max(self.front)..end.max(block.start)) {
            self.wanted.insert(part);
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.ring.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: BlockSize = BlockSize::B16;

    fn bytes(range: Range<u64>) -> Vec<u8> {
        range.map(|place| (place * 7 + place / 256) as u8).collect()
    }

    fn put(body: &mut Body, offset: u64, length: u64, more: bool) -> Result<u64, Contradiction> {
        body.put(offset, &bytes(offset..offset + length), more)
    }

    /// Takes all that is in order.
    fn take(body: &mut Body) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some((_, bytes)) = body.hand_out() {
            taken.extend_from_slice(bytes);
        }
        body.consume(taken.len() as u64);
        taken
    }

    #[test]
    fn blocks_in_any_order_come_out_in_order_and_once() {
        let mut body = Body::new(0, 1024);
        assert_eq!(put(&mut body, 32, 16, true), Ok(16));
        assert_eq!(take(&mut body), []);
        assert_eq!(put(&mut body, 0, 16, true), Ok(16));
        assert_eq!(put(&mut body, 0, 16, true), Ok(0));
        assert_eq!(take(&mut body), bytes(0..16));
        assert_eq!(put(&mut body, 48, 5, false), Ok(5));
        assert!(!body.is_whole());
        assert_eq!(put(&mut body, 16, 16, true), Ok(16));
        assert_eq!(take(&mut body), bytes(16..53));
        assert!(body.is_whole() && body.is_handed_out());
    }

    /// 40 rounds of a window that moves on: the ring wraps, grows and never gives a wrong byte.
    #[test]
    fn the_ring_grows_and_wraps() {
        let mut body = Body::new(5, 64 * 1024);
        let mut expected = 5;
        for round in 0..40_u64 {
            let length = 1000 + round * 700;
            put(&mut body, expected + 100, length - 100, true).unwrap();
            put(&mut body, expected, 100, true).unwrap();
            assert_eq!(take(&mut body), bytes(expected..expected + length));
            expected += length;
        }
        assert!(body.memory() <= 64 * 1024, "{}", body.memory());
    }

    #[test]
    fn what_was_lost_is_asked_for_first_and_nothing_beyond_the_room() {
        let mut body = Body::new(0, 64);
        for offset in [0, 16, 32, 48] {
            assert_eq!(body.next(SIZE, None), Some(offset));
            body.ask(offset..offset + 16);
        }
        assert_eq!(body.next(SIZE, None), None, "there is no room");
        body.want(16..32);
        assert_eq!(body.next(SIZE, None), Some(16));
        body.ask(16..32);
        put(&mut body, 0, 16, true).unwrap();
        assert_eq!(body.next(SIZE, None), None, "not consumed yet");
        take(&mut body);
        assert_eq!(body.next(SIZE, None), Some(64));
        body.want(16..32);
        put(&mut body, 16, 16, true).unwrap();
        assert_eq!(body.next(SIZE, None), Some(64), "it came after all");
    }

    #[test]
    fn the_end_is_where_the_last_block_says_and_not_where_the_size_says() {
        let mut body = Body::new(0, 1024);
        body.set_size(20);
        body.ask(0..16);
        body.ask(16..32);
        assert_eq!(body.next(SIZE, None), None);
        assert_eq!(put(&mut body, 16, 16, true), Ok(16));
        assert_eq!(body.next(SIZE, None), Some(32), "it goes on");
        body.ask(32..48);
        assert_eq!(put(&mut body, 32, 0, false), Ok(0));
        assert_eq!(put(&mut body, 0, 16, true), Ok(16));
        assert!(body.is_whole());
        assert_eq!(put(&mut body, 48, 4, false), Err(Contradiction));
        assert_eq!(put(&mut body, 32, 16, true), Err(Contradiction));
    }

    #[test]
    fn beyond_a_halt_only_the_lowest_missing_block_is_asked_for() {
        let mut body = Body::new(0, 1024);
        for offset in [0, 16, 32] {
            body.ask(offset..offset + 16);
        }
        body.want(32..48);
        assert_eq!(body.next(SIZE, Some(32)), None);
        put(&mut body, 0, 16, true).unwrap();
        put(&mut body, 16, 16, true).unwrap();
        assert_eq!(body.next(SIZE, Some(32)), Some(32));
    }

    #[test]
    fn a_body_goes_on_within_a_block() {
        let mut body = Body::new(20, 1024);
        assert_eq!(body.next(SIZE, None), Some(16));
        body.ask(16..32);
        assert_eq!(put(&mut body, 16, 16, true), Ok(12));
        assert_eq!(take(&mut body), bytes(20..32));
    }
}
