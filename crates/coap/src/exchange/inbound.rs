//! Requests of the other end.

use std::time::Duration;

use super::ExchangeId;
use crate::{
    block::{BlockSet, Body},
    message::Effect,
    wire::{Block, MessageId, Token},
};

/// One request message that wants an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) id: MessageId,
    pub(crate) token: Token,
    pub(crate) digest: u64,
    pub(crate) effect: Effect,
    pub(crate) confirmable: bool,
    /// Its empty ACK has left: the response will be a separate one.
    pub(crate) acknowledged: bool,
    /// When its empty ACK leaves.
    pub(crate) acknowledge_at: Duration,
    /// It asks to observe.
    pub(crate) observe: bool,
    pub(crate) block1: Option<Block>,
    pub(crate) block2: Option<Block>,
    /// What it asks for by Q-Block2.
    pub(crate) set: Option<BlockSet>,
    /// Some of that was sent.
    pub(crate) begun: bool,
}

/// A request that is open: with all its messages, where its body or that of its answer comes in blocks.
pub(crate) struct Exchange {
    pub(crate) id: ExchangeId,
    /// Which further requests for blocks belong to it.
    pub(crate) key: u64,
    /// The message that waits for its answer.
    pub(crate) turn: Option<Turn>,
    pub(crate) body: Body,
    /// When it is given up unless a block comes; counts only while no message waits for its answer.
    pub(crate) expires: Duration,
}

/// An answer that was sent, until it is known that it has arrived.
pub(crate) struct Settling {
    pub(crate) exchange: ExchangeId,
    pub(crate) digest: u64,
    /// When it has settled unless its request comes again before; `None` once that is over, or while a separate response waits for
    /// its acknowledgement.
    pub(crate) quiet_at: Option<Duration>,
    /// The separate response was not acknowledged yet.
    pub(crate) in_flight: bool,
    /// When it counts as settled whatever happens.
    pub(crate) latest: Duration,
}
