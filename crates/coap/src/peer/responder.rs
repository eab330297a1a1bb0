//! Requests of the other end, and their answers.

use std::time::Duration;

use super::{Event, Offer, Peer, Reply, Request, incoming::Arrival, messages::Parts};
use crate::{
    block::{Body, Etag, Head, Profile},
    exchange::{Exchange, ExchangeId, Owner, Turn},
    message::{Effect, Repeat},
    wire::{Block, BlockSize, Code, Message, MessageType, option},
};

/// Critical options of a request that are processed here or by the engine.
fn understood(number: u16) -> bool {
    matches!(
        number,
        option::URI_HOST
            | option::URI_PORT
            | option::URI_PATH
            | option::URI_QUERY
            | option::ACCEPT
            | option::BLOCK1
            | option::BLOCK2
    )
}

impl Peer {
    pub(super) fn handle_request<'d>(
        &mut self,
        now: Duration,
        message: Message<'d>,
        datagram: &'d [u8],
    ) -> Option<Arrival<'d>> {
        if self.silent {
            self.messages.counters.silenced += 1;
            return None;
        }
        let digest = self.messages.digester.of(datagram);
        if self.repeat(now, &message, digest) {
            self.messages.counters.duplicates += 1;
            return None;
        }
        let (turn, key) = match self.admit(now, &message, digest) {
            Ok(admitted) => admitted,
            Err(code) => {
                self.reject(&message, code);
                return None;
            }
        };
        match (turn.block1, turn.block2) {
            (Some(block), _) if block.more || block.number > 0 => {
                return self.receive_block(now, message, turn, key, block);
            }
            (None, Some(block)) if block.number > 0 => {
                if let Some(served) = self.serve_block(now, &turn, key, block) {
                    return served.map(Arrival::Event);
                }
            }
            _ => self.restart(key),
        }
        let exchange = self.open(now, turn, key, Body::Whole)?;
        Some(Arrival::Event(Event::Request(Request { exchange, message, payload: message.payload })))
    }

    /// Answers a message that came before as it was answered then. False if it is new (RFC 7252 section 4.5).
    fn repeat(&mut self, now: Duration, message: &Message<'_>, digest: u64) -> bool {
        let open = self.exchanges.iter().filter_map(|exchange| exchange.turn.as_ref());
        if let Some(turn) = open.into_iter().find(|turn| !turn.begun && turn.id == message.id && turn.digest == digest)
        {
            if turn.acknowledged {
                self.messages.outbox.push_empty(MessageType::Ack, turn.id);
            }
            return true;
        }
        let messages = &mut self.messages;
        match messages.answers.find(now, message.id, digest) {
            None => return false,
            Some(_) if messages.outbox.is_flooded() => {}
            Some(Repeat::Silence) => {}
            Some(Repeat::Acknowledgement) => messages.outbox.push_empty(MessageType::Ack, message.id),
            Some(Repeat::Datagram(datagram)) => messages.outbox.push(datagram),
            Some(Repeat::Code(code)) => messages.refuse(true, message.id, message.token, &Parts::of(code)),
        }
        self.stir(now, digest);
        true
    }

    /// Checks a new request against what is understood here, and against the bounds; an error costs no state. Gives the key of its
    /// transfer, too.
    fn admit(&mut self, now: Duration, message: &Message<'_>, digest: u64) -> Result<(Turn, u64), Code> {
        let sets = self.offer != Offer::Nobody && message.code == Code::GET;
        match message.options.unrecognized_critical(|number| understood(number) || (sets && number == option::Q_BLOCK2))
        {
            None => {}
            Some(option::PROXY_URI | option::PROXY_SCHEME) => return Err(Code::PROXYING_NOT_SUPPORTED),
            Some(_) => return Err(Code::BAD_OPTION),
        }
        let profile = Profile::of(self.messages.digester, message);
        let Ok(Profile { key, observe, block1, block2 }) = profile else { return Err(Code::BAD_REQUEST) };
        let set = self.asked_set(message, block1.or(block2).is_some())?;
        if let Some(block) = block1 {
            let (length, size) = (message.payload.len(), block.size.bytes());
            if length > size || (block.more && length < size) {
                return Err(Code::BAD_REQUEST);
            }
        }
        let safe = matches!(message.code, Code::GET | Code::FETCH);
        // A block in the middle is refused by its transfer if it comes once more.
        let middle = block1.is_some_and(|block| block.more && block.number > 0);
        let effect = if safe || middle { Effect::Repeatable } else { Effect::Once };
        if effect == Effect::Once {
            let open = |exchange: &&Exchange| exchange.turn.is_some_and(|turn| turn.effect == Effect::Once);
            if self.messages.answers.room(now) <= self.exchanges.iter().filter(open).count() {
                return Err(Code::SERVICE_UNAVAILABLE);
            }
        }
        if safe && observe.is_some() {
            // Of the requests with one token the last decides what it observes, in whatever order they are answered
            // (RFC 7641 section 4.1).
            let turns = self.exchanges.iter_mut().filter_map(|exchange| exchange.turn.as_mut());
            turns.filter(|turn| turn.token == message.token).for_each(|turn| turn.observe = false);
        }
        let turn = Turn {
            id: message.id,
            token: message.token,
            digest,
            effect,
            confirmable: message.kind == MessageType::Con,
            acknowledged: false,
            acknowledge_at: now + self.messages.config.transmission.processing_delay,
            observe: safe && observe == Some(0) && set.is_none(),
            block1,
            block2,
            set,
            begun: false,
        };
        Ok((turn, key))
    }

    fn reject(&mut self, message: &Message<'_>, code: Code) {
        let confirmable = message.kind == MessageType::Con;
        match code {
            Code::SERVICE_UNAVAILABLE => self.messages.counters.overload += 1,
            Code::BAD_OPTION => {
                self.messages.counters.bad_options += 1;
                if !confirmable {
                    // Rejected by silence (RFC 7252 section 5.4.1).
                    return;
                }
            }
            _ => {}
        }
        let echo = if code == Code::UNAUTHORIZED { self.challenge() } else { None };
        self.messages.refuse(confirmable, message.id, message.token, &Parts { echo, ..Parts::of(code) });
    }

    /// Keeps a request until it is answered; refuses it if there are too many (5.03).
    pub(super) fn open(&mut self, now: Duration, turn: Turn, key: u64, body: Body) -> Option<ExchangeId> {
        let answering = self.messages.flights.count(|owner| matches!(owner, Owner::Response(_)));
        if self.exchanges.len() + answering >= self.messages.config.max_exchanges {
            self.messages.counters.overload += 1;
            self.messages.refuse(turn.confirmable, turn.id, turn.token, &Parts::of(Code::SERVICE_UNAVAILABLE));
            return None;
        }
        let id = ExchangeId(self.next_serial());
        let expires = now + self.messages.config.transfer_timeout;
        self.exchanges.push(Exchange { id, key, turn: Some(turn), body, expires });
        Some(id)
    }

    pub(super) fn exchange(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|exchange| exchange.id == id)
    }

    pub(super) fn close(&mut self, id: ExchangeId) -> Option<Exchange> {
        let position = self.exchanges.iter().position(|exchange| exchange.id == id)?;
        Some(self.exchanges.swap_remove(position))
    }

    /// Answers a request; a body longer than one block is held as a snapshot with an ETag while its blocks are fetched.
    ///
    /// Works for an [`Event::Upload`] that is refused, too, and at any time while a body is being streamed in or out: between two
    /// blocks it says nothing, and later ones get 4.08.
    pub fn respond(&mut self, now: Duration, exchange: ExchangeId, reply: Reply<'_>) {
        self.now = now;
        if reply.code.is_success() && self.asks_for_set(exchange) {
            return self.respond_set(now, exchange, reply);
        }
        let Some(open) = self.close(exchange) else { return };
        let Some(turn) = open.turn else {
            if reply.settle {
                self.events.push_back(Event::Settled(exchange));
            }
            return;
        };
        let mut parts = reply.parts();
        parts.block1 = turn.block1.map(|block| self.echo(block, false));
        if turn.observe {
            let size = self.block_size(turn.block2);
            let accepted = reply.observe && reply.code.is_success();
            if accepted && self.observers.register(turn.token, open.key, size, now) {
                parts.observe = Some(self.observers.next_number());
            } else {
                // An answer without Observe ends what this token has observed before (RFC 7641 section 3.2).
                self.unobserve(turn.token);
            }
        }
        self.cut(now, &mut parts, open.key, turn.block2);
        if turn.observe && !parts.head.code.is_success() {
            self.unobserve(turn.token);
        }
        let in_flight = self.messages.answer(now, Some(exchange), &turn, &parts);
        if reply.settle {
            self.watch(now, exchange, &turn, in_flight);
        }
    }

    /// Leaves of the payload the block that was asked for, and holds the whole of it if there is more (RFC 7959 section 2.4).
    pub(super) fn cut(&mut self, now: Duration, parts: &mut Parts<'_>, key: u64, asked: Option<Block>) {
        let size = self.block_size(asked);
        let body = parts.payload;
        if body.len() <= size.bytes() && (asked.is_none() || !parts.head.code.is_success()) {
            return;
        }
        if body.len() > self.messages.config.max_body {
            *parts = Parts { block1: parts.block1, ..Parts::of(Code::INTERNAL_SERVER_ERROR) };
            return;
        }
        if body.len() > size.bytes() {
            let etag = || Etag::from(self.messages.digester.of(body));
            parts.head.etag = Some(parts.head.etag.unwrap_or_else(etag));
            let expires = now + self.messages.config.transfer_timeout;
            self.snapshots.hold(key, parts.head, body, expires);
        }
        let offset = asked.map_or(0, Block::offset);
        match block_at(body, offset, size) {
            Some((block, payload)) => {
                parts.size2 = (offset == 0 && block.more).then_some(body.len() as u32);
                (parts.block2, parts.payload) = (Some(block), payload);
            }
            None => *parts = Parts { block1: parts.block1, ..Parts::of(Code::BAD_REQUEST) },
        }
    }

    /// The size of the blocks to send: what was asked for, at most what is configured.
    pub(super) fn block_size(&self, asked: Option<Block>) -> BlockSize {
        let own = self.messages.config.block_size;
        asked.map_or(own, |block| block.size.min(own))
    }

    /// The Block1 option that acknowledges a block, with the size for those to come (RFC 7959 section 2.3).
    pub(super) fn echo(&self, block: Block, more: bool) -> Block {
        Block { number: block.number, more, size: block.size.min(self.messages.config.block_size) }
    }

    /// Forgets an exchange without an answer. A duplicate of its request is dropped too.
    pub fn drop_exchange(&mut self, exchange: ExchangeId) {
        if let Some(turn) = self.close(exchange).and_then(|open| open.turn) {
            self.hush(&turn);
        }
    }

    /// Lets duplicates of a message that gets no answer be dropped.
    pub(super) fn hush(&mut self, turn: &Turn) {
        let answers = &mut self.messages.answers;
        answers.remember(self.now, turn.effect, turn.id, turn.digest, Code::EMPTY, Repeat::Silence);
    }
}

/// The block of a body that begins at `offset`; `None` beyond its end.
pub(super) fn block_at(body: &[u8], offset: u64, size: BlockSize) -> Option<(Block, &[u8])> {
    let rest = body.get(usize::try_from(offset).ok()?..).filter(|rest| !rest.is_empty() || offset == 0)?;
    let payload = &rest[..rest.len().min(size.bytes())];
    let number = u32::try_from(offset / size.bytes() as u64).ok()?;
    Some((Block { number, more: payload.len() < rest.len(), size }, payload))
}

impl<'a> Reply<'a> {
    /// The response message with the whole body as its payload.
    pub(super) fn parts(&self) -> Parts<'a> {
        let head = Head {
            code: self.code,
            content_format: self.content_format,
            etag: self.etag.and_then(Etag::new),
            max_age: self.max_age,
        };
        Parts { head, location: self.location, size1: self.size1, payload: self.body, ..Parts::of(self.code) }
    }
}
