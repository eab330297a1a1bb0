//! Request bodies that come in blocks (RFC 7959 section 2.5, Block1 on the responder's side).

use std::time::Duration;

use super::{Abort, Event, Peer, Receive, Reply, Request, incoming::Arrival, messages::Parts};
use crate::{
    block::{Body, append},
    exchange::{ExchangeId, Turn},
    wire::{Block, Code, Message},
};

impl Peer {
    /// Ends a transfer in either direction, if there is one for this key: the other end begins anew.
    pub(super) fn restart(&mut self, key: u64) {
        let transfers = |body: &Body| body.is_upload() || matches!(body, Body::Pulled { .. });
        let found = self.exchanges.iter().find(|exchange| exchange.key == key && transfers(&exchange.body));
        if let Some(exchange) = found.map(|exchange| exchange.id) {
            if let Some(turn) = self.close(exchange).and_then(|open| open.turn) {
                self.hush(&turn);
            }
            self.events.push_back(Event::Aborted { exchange, why: Abort::Restarted });
        }
    }

    /// Takes in one of several blocks.
    pub(super) fn receive_block<'d>(
        &mut self,
        now: Duration,
        message: Message<'d>,
        turn: Turn,
        key: u64,
        block: Block,
    ) -> Option<Arrival<'d>> {
        if block.number == 0 {
            self.restart(key);
            let body = Body::Offered { first: message.payload.to_vec(), size1: message.options.size1() };
            let exchange = self.open(now, turn, key, body)?;
            return Some(Arrival::Event(Event::Upload(Request { exchange, message, payload: message.payload })));
        }
        let found = self.exchanges.iter().position(|exchange| exchange.key == key && exchange.body.is_upload());
        let Some(position) = found else { return self.gap(now, &turn, block) };
        let room = self.messages.config.max_body.saturating_sub(self.bodies_in());
        let exchange = &mut self.exchanges[position];
        let id = exchange.id;
        let expected = match &exchange.body {
            _ if exchange.turn.is_some() => None,
            Body::Collecting { body } => Some(body.len() as u64),
            Body::Streaming { received, .. } => Some(*received),
            _ => None,
        };
        if expected != Some(block.offset()) {
            return self.gap(now, &turn, block);
        }
        exchange.turn = Some(turn);
        match &mut exchange.body {
            Body::Streaming { received, last } => {
                let offset = *received;
                (*received, *last) = (offset + message.payload.len() as u64, !block.more);
                let event = Event::Chunk { exchange: id, offset, bytes: message.payload, last: *last };
                Some(Arrival::Event(event))
            }
            Body::Collecting { body } => {
                let limit = body.capacity() + room;
                if !append(body, message.payload, limit) {
                    self.refuse_upload(now, id, Abort::TooLarge);
                    return None;
                }
                if block.more {
                    self.ask_for_more(now, id);
                    return None;
                }
                self.delivered = std::mem::take(body);
                exchange.body = Body::Whole;
                Some(Arrival::Request(id, message))
            }
            _ => None,
        }
    }

    /// A block that does not continue a body: nothing changes by it (RFC 7959 section 2.9.2).
    fn gap<'d>(&mut self, now: Duration, turn: &Turn, block: Block) -> Option<Arrival<'d>> {
        self.messages.counters.gaps += 1;
        let parts = Parts { block1: Some(self.echo(block, false)), ..Parts::of(Code::REQUEST_ENTITY_INCOMPLETE) };
        self.messages.answer(now, None, turn, &parts);
        None
    }

    /// Answers the pending block of an upload with 2.31.
    fn ask_for_more(&mut self, now: Duration, id: ExchangeId) {
        let expires = now + self.messages.config.transfer_timeout;
        let Some(exchange) = self.exchange(id) else { return };
        exchange.expires = expires;
        let Some(turn) = exchange.turn.take() else { return };
        let block1 = turn.block1.map(|block| self.echo(block, true));
        self.messages.answer(now, Some(id), &turn, &Parts { block1, ..Parts::of(Code::CONTINUE) });
    }

    /// Ends an upload that cannot be reassembled.
    fn refuse_upload(&mut self, now: Duration, exchange: ExchangeId, why: Abort) {
        let reply = match why {
            Abort::TooLarge => Reply::new(Code::REQUEST_ENTITY_TOO_LARGE).size1(self.messages.config.max_body as u32),
            _ => Reply::new(Code::SERVICE_UNAVAILABLE),
        };
        self.respond(now, exchange, reply);
        self.events.push_back(Event::Aborted { exchange, why });
    }

    /// Decides how the body behind an [`Event::Upload`] is received. With [`Receive::Stream`] the first block counts as the first
    /// chunk and its 2.31 waits for [`Peer::chunk_done`].
    pub fn receive(&mut self, now: Duration, exchange: ExchangeId, how: Receive) {
        self.now = now;
        let (max_body, held) = (self.messages.config.max_body, self.bodies_in());
        let Some(open) = self.exchange(exchange) else { return };
        let Body::Offered { first, size1 } = &mut open.body else { return };
        match how {
            Receive::Stream => open.body = Body::Streaming { received: first.len() as u64, last: false },
            Receive::Reassemble if size1.is_some_and(|size| size as usize > max_body) => {
                self.refuse_upload(now, exchange, Abort::TooLarge);
            }
            Receive::Reassemble if held > max_body => self.refuse_upload(now, exchange, Abort::NoRoom),
            Receive::Reassemble => {
                open.body = Body::Collecting { body: std::mem::take(first) };
                self.ask_for_more(now, exchange);
            }
        }
    }

    /// A streamed block is stored: its 2.31 may leave. After the last block this does nothing: that one is answered by
    /// [`Peer::respond`]. An error is answered, and ends the exchange: later blocks get 4.08.
    pub fn chunk_done(&mut self, now: Duration, exchange: ExchangeId, result: Result<(), Code>) {
        self.now = now;
        let Some(Body::Streaming { last, .. }) = self.exchange(exchange).map(|open| &open.body) else { return };
        match result {
            Ok(()) if *last => {}
            Ok(()) => self.ask_for_more(now, exchange),
            Err(code) => self.respond(now, exchange, Reply::new(code)),
        }
    }
}
