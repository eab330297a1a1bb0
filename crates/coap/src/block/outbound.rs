//! Bodies on the requester's side.

use super::Etag;
use crate::wire::{Block, BlockSize};

/// Where the body of a request comes from.
pub(crate) enum Source {
    /// It is here.
    Bytes(Vec<u8>),
    /// The engine gives it block by block; its size, if known.
    Pulled(Option<u64>),
}

/// A request body that is being sent in blocks.
pub(crate) struct Upload {
    pub(crate) source: Source,
    pub(crate) size: BlockSize,
    /// Where the block that is being sent, or was asked for, begins.
    pub(crate) offset: u64,
    /// How long the block is that is being sent; none while it was only asked for.
    pub(crate) sent: Option<usize>,
    /// That block is the last one.
    pub(crate) last: bool,
}

impl Upload {
    pub(crate) fn new(source: Source, size: BlockSize) -> Self {
        Self { source, size, offset: 0, sent: None, last: false }
    }

    /// The Block1 option of the block that is being sent.
    pub(crate) fn block(&self) -> Option<Block> {
        let number = u32::try_from(self.offset / self.size.bytes() as u64).ok()?;
        (number <= Block::MAX_NUMBER).then_some(Block { number, more: !self.last, size: self.size })
    }

    /// The size of the whole body, if known.
    pub(crate) fn total(&self) -> Option<u64> {
        match &self.source {
            Source::Bytes(body) => Some(body.len() as u64),
            Source::Pulled(size) => *size,
        }
    }
}

/// A response body that comes in blocks.
pub(crate) struct Assembly {
    pub(crate) etag: Option<Etag>,
    pub(crate) size: BlockSize,
    /// How many bytes have come so far.
    pub(crate) received: u64,
    /// They, unless they are handed out at once.
    pub(crate) body: Vec<u8>,
    /// The number of the notification whose body this is.
    pub(crate) observe: Option<u32>,
    /// The engine stores a block; the next one is not asked for before it is done.
    pub(crate) held: bool,
}

impl Assembly {
    /// The Block2 option that asks for what comes next.
    pub(crate) fn next(&self) -> Option<Block> {
        let number = u32::try_from(self.received / self.size.bytes() as u64).ok()?;
        (number <= Block::MAX_NUMBER).then_some(Block { number, more: false, size: self.size })
    }
}

/// Whether a body of `held` bytes may grow by `block` bytes.
pub(super) fn fits(held: usize, block: usize, limit: usize) -> bool {
    held.checked_add(block).is_some_and(|length| length <= limit)
}
