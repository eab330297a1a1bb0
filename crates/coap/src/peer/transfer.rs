//! Response bodies that go out in blocks (RFC 7959 section 2.4, Block2 on the responder's side).

use std::time::Duration;

use super::{Event, ExchangeId, Peer, Reply, messages::Parts, responder::block_at};
use crate::{
    block::{Body, Etag},
    exchange::Turn,
    message::Effect,
    wire::{Block, Code},
};
use rand_chacha::rand_core::Rng;

impl Peer {
    /// Answers a request for a further block from what is there. `None` if nothing is: then it is a request like any other, for
    /// the engine.
    pub(super) fn serve_block(
        &mut self,
        now: Duration,
        turn: &Turn,
        key: u64,
        block: Block,
    ) -> Option<Option<Event<'static>>> {
        let pulled = |body: &Body| matches!(body, Body::Pulled { .. });
        let found = self.exchanges.iter().find(|exchange| exchange.key == key && pulled(&exchange.body));
        if let Some(exchange) = found.map(|exchange| exchange.id) {
            return Some(self.pull(exchange, turn, block.offset()));
        }
        let size = self.block_size(Some(block));
        let expires = now + self.messages.config.transfer_timeout;
        let Some(snapshot) = self.snapshots.find(key, expires) else {
            if turn.effect == Effect::Repeatable {
                return None;
            }
            // The answer to this request is gone, and it must not be made again.
            self.messages.answer(now, None, turn, &Parts::of(Code::REQUEST_ENTITY_INCOMPLETE));
            return Some(None);
        };
        let parts = match block_at(&snapshot.body, block.offset(), size) {
            Some((block, payload)) => {
                Parts { head: snapshot.head, block2: Some(block), payload, ..Parts::of(snapshot.head.code) }
            }
            None => Parts::of(Code::BAD_REQUEST),
        };
        self.messages.answer(now, None, turn, &parts);
        Some(None)
    }

    /// Asks the engine for a block. A request for another one that is not served yet is dropped for it.
    fn pull(&mut self, id: ExchangeId, turn: &Turn, offset: u64) -> Option<Event<'static>> {
        let block_size = self.block_size(turn.block2);
        if offset / block_size.bytes() as u64 > u64::from(Block::MAX_NUMBER) {
            // In smaller blocks than it was asked for, this one would have no number.
            self.messages.answer(self.now, None, turn, &Parts::of(Code::BAD_REQUEST));
            return None;
        }
        let exchange = self.exchange(id)?;
        let Body::Pulled { pull, .. } = &mut exchange.body else { return None };
        *pull = Some((offset, block_size));
        if let Some(dropped) = exchange.turn.replace(*turn) {
            self.hush(&dropped);
        }
        Some(Event::Pull { exchange: id, offset, length: block_size.bytes() })
    }

    /// Answers a request with a body that is pulled block by block; `reply.body` is ignored. `size` in bytes, if known, is
    /// sent as Size2. An [`Event::Pull`] follows for the block that the request asked for, usually the first. The exchange stays
    /// open until the body's end was sent, and then until it settles, or until it is aborted.
    pub fn respond_streamed(&mut self, now: Duration, exchange: ExchangeId, reply: Reply<'_>, size: Option<u64>) {
        self.now = now;
        let fresh = self.messages.rng.next_u64();
        let Some(open) = self.exchange(exchange) else { return };
        let Some(turn) = open.turn else { return };
        let mut head = reply.parts().head;
        head.etag = Some(head.etag.unwrap_or_else(|| Etag::from(fresh)));
        open.body = Body::Pulled { head, size, pull: None, settle: reply.settle };
        let event = self.pull_first(exchange, &turn);
        self.events.extend(event);
    }

    fn pull_first(&mut self, exchange: ExchangeId, turn: &Turn) -> Option<Event<'static>> {
        self.exchange(exchange)?.turn = None;
        self.pull(exchange, turn, turn.block2.map_or(0, Block::offset))
    }

    /// Gives the bytes that an [`Event::Pull`] asked for: exactly its `length`, or fewer with `last`; anything else is
    /// answered 5.00. Other offsets than the one asked for are ignored.
    pub fn supply(&mut self, now: Duration, exchange: ExchangeId, offset: u64, bytes: &[u8], last: bool) {
        self.now = now;
        let expires = now + self.messages.config.transfer_timeout;
        let Some(open) = self.exchange(exchange) else { return };
        let Body::Pulled { head, size, pull, settle } = &mut open.body else { return };
        let (head, size, settle) = (*head, *size, *settle);
        let Some((_, block_size)) = pull.take_if(|(wanted, _)| *wanted == offset) else { return };
        let Ok(number) = u32::try_from(offset / block_size.bytes() as u64) else { return };
        if bytes.len() > block_size.bytes() || (!last && bytes.len() < block_size.bytes()) {
            self.respond(now, exchange, Reply::new(Code::INTERNAL_SERVER_ERROR));
            return;
        }
        open.expires = expires;
        let Some(turn) = open.turn.take() else { return };
        let parts = Parts {
            head,
            block1: turn.block1.map(|block| self.echo(block, false)),
            block2: Some(Block { number, more: !last, size: block_size }),
            size2: size.filter(|_| offset == 0).and_then(|size| u32::try_from(size).ok()),
            payload: bytes,
            ..Parts::of(head.code)
        };
        let in_flight = self.messages.answer(now, Some(exchange), &turn, &parts);
        if last {
            self.close(exchange);
            if settle {
                self.watch(now, exchange, &turn, in_flight);
            }
        }
    }
}
