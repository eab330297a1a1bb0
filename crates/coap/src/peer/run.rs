//! Answers with the blocks that were asked for, of a representation that can be read anywhere: one by Block2 (RFC 7959 section 2.4), up
//! to ten by Q-Block2 (RFC 9177 section 4.4).

use std::time::Duration;

use super::{Event, ExchangeId, Offer, Peer, Reply, messages::Parts};
use crate::{
    block::{BlockSet, Etag},
    exchange::Turn,
    wire::{Block, BlockSize, Code, Message},
};
use rand_chacha::rand_core::Rng;

impl Peer {
    /// What a request asks for of a representation: where runs of blocks begin, and how many bytes each has at most. By Block2 it is one
    /// block; by Q-Block2 ([`Peer::offer_q_block2`]) at most ten, in ascending order. Nothing for an exchange that waits for no
    /// answer.
    pub fn wanted(&self, exchange: ExchangeId) -> impl Iterator<Item = (u64, usize)> + use<> {
        let turn = self.exchanges.iter().find(|open| open.id == exchange).and_then(|open| open.turn);
        turn.map(|turn| self.asked(&turn)).into_iter().flat_map(BlockSet::runs)
    }

    /// The blocks that a request asks for, in the size in which they are given.
    fn asked(&self, turn: &Turn) -> BlockSet {
        let own = self.messages.config.block_size;
        let first = Block { number: 0, more: false, size: own };
        turn.set.unwrap_or_else(|| BlockSet::one(turn.block2.unwrap_or(first))).at_most(own)
    }

    /// Answers a request with a run of the blocks that it asked for, of a representation that the engine can read anywhere: nothing of
    /// it is held here, and what asks for further blocks is an [`Event::Request`] of its own. `reply.body` is what
    /// stands at `offset`, as long as [`Peer::wanted`] says or up to the end; anything else is answered 5.00. Of what begins beyond
    /// the end there are no blocks: where none was given, it is answered 4.00. The runs are given in their order; after the last
    /// the exchange is over. `size` is that of the representation in bytes, and sent as Size2. By `reply.etag` the other end tells
    /// whether its blocks are of one representation. There is nothing to observe, and `reply.settle` is not looked at.
    pub fn respond_blocks(&mut self, now: Duration, exchange: ExchangeId, offset: u64, reply: Reply<'_>, size: u64) {
        self.now = now;
        let Some(turn) = self.exchange(exchange).and_then(|open| open.turn) else { return };
        let set = self.asked(&turn);
        let mut runs = set.runs().skip_while(|(start, _)| *start != offset);
        let Some((_, length)) = runs.next() else { return };
        let rest = size.saturating_sub(offset);
        let unnumbered = offset / set.size().bytes() as u64 > u64::from(Block::MAX_NUMBER);
        let refusal = match reply.body.len() as u64 {
            _ if (rest == 0 && offset > 0) || unnumbered => Some(Code::BAD_REQUEST),
            given if given != rest.min(length as u64) => Some(Code::INTERNAL_SERVER_ERROR),
            _ => None,
        };
        match refusal {
            Some(Code::BAD_REQUEST) if turn.begun => _ = self.close(exchange),
            Some(code) => self.respond(now, exchange, Reply::new(code)),
            None => {
                if turn.observe {
                    self.unobserve(turn.token);
                }
                self.give(now, exchange, offset, reply.parts(), size);
                if runs.next().is_none() {
                    self.close(exchange);
                }
            }
        }
    }

    /// What a request asks for by Q-Block2, or why it may not.
    pub(super) fn asked_set(&mut self, message: &Message<'_>, is_mixed: bool) -> Result<Option<BlockSet>, Code> {
        let Some(set) = BlockSet::of(&message.options)? else { return Ok(None) };
        if is_mixed {
            // RFC 9177 section 4.1.
            return Err(Code::BAD_OPTION);
        }
        let told = self.echo.map(u64::to_be_bytes);
        self.reached |= told.is_some_and(|told| message.options.echo() == Some(&told));
        // RFC 9175 section 2.6 demands it of answers that are much longer than their requests.
        if set.is_single() || self.challenge().is_none() { Ok(Some(set)) } else { Err(Code::UNAUTHORIZED) }
    }

    /// The Echo that the other end must send to be given several blocks.
    pub(super) fn challenge(&mut self) -> Option<u64> {
        if self.offer == Offer::Anybody || self.reached {
            return None;
        }
        Some(*self.echo.get_or_insert_with(|| self.messages.rng.next_u64()))
    }

    pub(super) fn asks_for_set(&self, exchange: ExchangeId) -> bool {
        self.exchanges.iter().any(|open| open.id == exchange && open.turn.is_some_and(|turn| turn.set.is_some()))
    }

    /// Answers a request that asks by Q-Block2 with what it asks for of a whole body.
    pub(super) fn respond_set(&mut self, now: Duration, exchange: ExchangeId, reply: Reply<'_>) {
        let (body, digest) = (reply.body, Etag::from(self.messages.digester.of(reply.body)));
        let reply = Reply { etag: Some(reply.etag.unwrap_or(digest.as_bytes())), ..reply };
        for (offset, length) in self.wanted(exchange) {
            let rest = usize::try_from(offset).ok().and_then(|offset| body.get(offset..)).unwrap_or_default();
            let body = &rest[..rest.len().min(length)];
            self.respond_blocks(now, exchange, offset, Reply { body, ..reply }, reply.body.len() as u64);
        }
        if reply.settle {
            self.events.push_back(Event::Settled(exchange));
        }
    }

    /// Sends the blocks of which the payload at `offset` consists, at least one. The first of all answers the request as is due to its
    /// form; those that follow it are not confirmable.
    fn give(&mut self, now: Duration, exchange: ExchangeId, offset: u64, mut parts: Parts<'_>, size: u64) {
        let Some(open) = self.exchanges.iter().find(|open| open.id == exchange) else { return };
        let Some(mut turn) = open.turn else { return };
        let block_size = self.asked(&turn).size();
        parts.block1 = turn.block1.map(|block| self.echo(block, false));
        parts.size2 = u32::try_from(size).ok();
        parts.echo = if turn.set.is_some() { self.challenge() } else { None };
        let (mut offset, mut rest) = (offset, parts.payload);
        loop {
            (parts.payload, rest) = rest.split_at(rest.len().min(block_size.bytes()));
            let block = block_at(offset, parts.payload.len(), size, block_size);
            if turn.set.is_some() {
                parts.q_block2 = Some(block);
            } else {
                parts.block2 = (block.more || turn.block2.is_some()).then_some(block);
            }
            if turn.begun {
                self.messages.add(turn.token, &parts);
            } else {
                self.messages.answer(now, Some(exchange), &turn, &parts);
                (turn.begun, turn.confirmable) = (true, false);
            }
            offset += parts.payload.len() as u64;
            if rest.is_empty() {
                break;
            }
        }
        if let Some(open) = self.exchange(exchange) {
            open.turn = Some(turn);
        }
    }
}

/// The block that begins at `offset` and has so many bytes, of a representation of `size` bytes.
fn block_at(offset: u64, length: usize, size: u64, block_size: BlockSize) -> Block {
    let number = (offset / block_size.bytes() as u64) as u32;
    Block { number, more: offset + (length as u64) < size, size: block_size }
}
