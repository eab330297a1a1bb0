//! The message layer of one peer, and how its answers and requests are written.

use std::{ops::Range, sync::Arc, time::Duration};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::{Config, Counters};
use crate::{
    block::Head,
    exchange::{ExchangeId, Owner, Turn},
    message::{Answers, Digester, Flights, MessageIds, Outbox, Repeat},
    wire::{Block, Code, MessageId, MessageType, Token, Writer, option},
};

/// What all parts of a peer send with.
pub(super) struct Messages {
    pub(super) config: Arc<Config>,
    pub(super) rng: ChaCha8Rng,
    pub(super) digester: Digester,
    pub(super) ids: MessageIds,
    pub(super) outbox: Outbox,
    pub(super) flights: Flights<Owner>,
    pub(super) answers: Answers,
    pub(super) counters: Counters,
}

/// One response message, apart from type, ID and token.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) head: Head,
    pub(super) location: &'a [&'a str],
    pub(super) observe: Option<u32>,
    pub(super) block1: Option<Block>,
    pub(super) block2: Option<Block>,
    pub(super) q_block2: Option<Block>,
    pub(super) size1: Option<u32>,
    pub(super) size2: Option<u32>,
    pub(super) echo: Option<u64>,
    pub(super) payload: &'a [u8],
}

impl Parts<'_> {
    /// A response without options and payload.
    pub(super) fn of(code: Code) -> Self {
        Self {
            head: Head::of(code),
            location: &[],
            observe: None,
            block1: None,
            block2: None,
            q_block2: None,
            size1: None,
            size2: None,
            echo: None,
            payload: &[],
        }
    }

    /// Writes the message at the end of a buffer.
    pub(super) fn write(&self, buffer: &mut Vec<u8>, kind: MessageType, id: MessageId, token: Token) -> Range<usize> {
        let mut writer = Writer::new(buffer, kind, self.head.code, id, token);
        if let Some(etag) = &self.head.etag {
            writer.option_bytes(option::ETAG, etag.as_bytes());
        }
        if let Some(number) = self.observe {
            writer.option_uint(option::OBSERVE, number);
        }
        for segment in self.location {
            writer.option_str(option::LOCATION_PATH, segment);
        }
        if let Some(format) = self.head.content_format {
            writer.option_uint(option::CONTENT_FORMAT, u32::from(format.0));
        }
        if let Some(seconds) = self.head.max_age {
            writer.option_uint(option::MAX_AGE, seconds);
        }
        if let Some(block) = self.block2 {
            writer.option_block(option::BLOCK2, block);
        }
        if let Some(block) = self.block1 {
            writer.option_block(option::BLOCK1, block);
        }
        if let Some(bytes) = self.size2 {
            writer.option_uint(option::SIZE2, bytes);
        }
        if let Some(block) = self.q_block2 {
            writer.option_block(option::Q_BLOCK2, block);
        }
        if let Some(bytes) = self.size1 {
            writer.option_uint(option::SIZE1, bytes);
        }
        if let Some(echo) = self.echo {
            writer.option_bytes(option::ECHO, &echo.to_be_bytes());
        }
        writer.payload(self.payload).finish()
    }
}

impl Messages {
    pub(super) fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        Self {
            digester: Digester::new(rng.next_u64(), rng.next_u64()),
            ids: MessageIds::new(rng.next_u32() as u16),
            outbox: Outbox::default(),
            flights: Flights::new(),
            answers: Answers::new(config.answers, config.transmission.exchange_lifetime()),
            counters: Counters::default(),
            rng,
            config,
        }
    }

    /// Starts the confirmable messages that NSTART allows.
    pub(super) fn start_flights(&mut self, now: Duration) {
        let parameters = &self.config.transmission;
        self.flights.start(now, parameters, &mut self.ids, &mut self.rng, &mut self.outbox);
    }

    /// A message ID for a message that is not confirmable.
    pub(super) fn next_id(&mut self) -> MessageId {
        let flights = &self.flights;
        self.ids.next(|id| flights.uses(id))
    }

    /// Sends the response to a request message, in the form that is due to it, and remembers it. True if it must be acknowledged.
    pub(super) fn answer(
        &mut self,
        now: Duration,
        exchange: Option<ExchangeId>,
        turn: &Turn,
        parts: &Parts<'_>,
    ) -> bool {
        let code = parts.head.code;
        if !turn.confirmable {
            let id = self.next_id();
            self.outbox.write(|bytes| parts.write(bytes, MessageType::Non, id, turn.token));
            self.answers.remember(now, turn.effect, turn.id, turn.digest, code, Repeat::Silence);
            return false;
        }
        let Some(exchange) = exchange.filter(|_| turn.acknowledged) else {
            let datagram = self.outbox.write(|bytes| parts.write(bytes, MessageType::Ack, turn.id, turn.token));
            self.answers.remember(now, turn.effect, turn.id, turn.digest, code, Repeat::Datagram(datagram));
            return false;
        };
        let mut datagram = self.flights.buffer();
        parts.write(&mut datagram, MessageType::Con, 0, turn.token);
        let parameters = &self.config.transmission;
        let owner = Owner::Response(exchange);
        self.flights.send(now, owner, datagram, parameters, &mut self.ids, &mut self.rng, &mut self.outbox);
        self.answers.remember(now, turn.effect, turn.id, turn.digest, code, Repeat::Acknowledgement);
        true
    }

    /// Sends one more response to a request that was answered.
    pub(super) fn add(&mut self, token: Token, parts: &Parts<'_>) {
        let id = self.next_id();
        self.outbox.write(|bytes| parts.write(bytes, MessageType::Non, id, token));
    }

    /// Answers a message that costs no state: nothing is remembered, and a duplicate is refused again. A non-confirmable one
    /// gets its answer only if that is more than an error of its form.
    pub(super) fn refuse(&mut self, confirmable: bool, id: MessageId, token: Token, parts: &Parts<'_>) {
        if self.outbox.is_flooded() {
            return;
        }
        let (kind, id) = if confirmable { (MessageType::Ack, id) } else { (MessageType::Non, self.next_id()) };
        self.outbox.write(|bytes| parts.write(bytes, kind, id, token));
    }
}
