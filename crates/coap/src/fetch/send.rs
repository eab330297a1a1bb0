//! Which request goes out next, and when.

use std::{ops::Range, time::Duration};

use rand_chacha::rand_core::Rng;

use super::{
    Fetch, Pace, Resource, State,
    dialect::Dialect,
    flights::{Fate, Flights, Manner, Request},
};
use crate::{
    block::BlockSet,
    wire::{Block, BlockSize, Code, MessageId, MessageType, Options, Token, Writer, option},
};

/// The request that goes alone: it is sent again until it is acknowledged (RFC 7252 section 4.2).
#[derive(Debug)]
pub(super) struct Confirmable {
    pub(super) number: u32,
    pub(super) datagram: Vec<u8>,
    pub(super) due: Duration,
    pub(super) timeout: Duration,
    pub(super) left: u8,
    /// It is to be sent again.
    pub(super) again: bool,
}

/// What to ask for, and how.
struct Choice {
    offset: u64,
    kind: MessageType,
    manner: Manner,
}

/// The options that all requests have, up to Block2, as they stand in a message.
pub(super) fn options(resource: &Resource<'_>) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = Writer::new(&mut buffer, MessageType::Non, Code::GET, 0, Token::EMPTY);
    let header = writer.written();
    if let Some(host) = resource.host {
        writer.option_str(option::URI_HOST, host);
    }
    if let Some(port) = resource.port {
        writer.option_uint(option::URI_PORT, u32::from(port));
    }
    for segment in resource.path {
        writer.option_str(option::URI_PATH, segment);
    }
    for argument in resource.query {
        writer.option_str(option::URI_QUERY, argument);
    }
    if let Some(format) = resource.accept {
        writer.option_uint(option::ACCEPT, u32::from(format.0));
    }
    buffer.split_off(header)
}

impl Fetch {
    /// Appends the next datagram to `buffer` and gives its place there. `next_id` gives a message ID that no other message to the
    /// same end has used lately: [`Peer::next_message_id`](crate::peer::Peer::next_message_id) or
    /// [`MessageIds`](super::MessageIds).
    pub fn poll_transmit(
        &mut self,
        now: Duration,
        mut next_id: impl FnMut() -> MessageId,
        buffer: &mut Vec<u8>,
    ) -> Option<Range<usize>> {
        if let Some(range) = self.outbox.pop(buffer) {
            return Some(range);
        }
        if self.state != State::Running {
            return None;
        }
        if let Some(confirmable) = self.confirmable.as_mut().filter(|confirmable| confirmable.again) {
            confirmable.again = false;
            self.counters.retransmissions += 1;
            let start = buffer.len();
            buffer.extend_from_slice(&confirmable.datagram);
            return Some(start..buffer.len());
        }
        let Choice { offset, kind, manner } = self.choose(now)?;
        let count = if kind == MessageType::Con { 1 } else { self.group() };
        let (id, first) = (next_id(), self.flights.next());
        let mut blocks = BlockSet::one(self.block(offset));
        self.sent(now, id, offset, manner, 0);
        for place in 1..count {
            let Some(offset) = self.body.next(self.size, self.halt) else { break };
            blocks.push(self.block(offset).number);
            self.sent(now, id, offset, manner, place as u8);
        }
        self.counters.messages += 1;
        let range = self.write(buffer, kind, id, first, manner, &blocks);
        if manner == Manner::Alone {
            self.repeat_until_answered(now, first, &buffer[range.clone()]);
        }
        Some(range)
    }

    /// What to ask for now, and how.
    fn choose(&mut self, now: Duration) -> Option<Choice> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        if std::mem::take(&mut self.probe) {
            self.counters.probes += 1;
            let bytes = self.size.bytes() as u64;
            let offset = self.body.front() / bytes * bytes;
            return Some(Choice { offset, kind: MessageType::Con, manner: Manner::Window });
        }
        let (offset, further) = (self.next()?, self.further());
        if !self.pacer.is_ready(now, further) {
            return None;
        }
        let (kind, manner) = match (self.pace, self.dialect) {
            (Pace::Single(_), _) => (MessageType::Con, Manner::Alone),
            (Pace::Window, Dialect::QBlock2) => (MessageType::Non, Manner::QBlock2),
            (Pace::Window, _) if self.is_to_ask() => {
                self.questions -= 1;
                self.dialect = Dialect::Asking(self.flights.next());
                // A message that is not confirmable may be dropped for its critical option without a word (RFC 9177 section 4.1).
                (MessageType::Con, Manner::QBlock2)
            }
            (Pace::Window, _) => (MessageType::Non, Manner::Window),
        };
        Some(Choice { offset, kind, manner })
    }

    fn block(&self, offset: u64) -> Block {
        // What is asked for can be numbered.
        Block { number: (offset / self.size.bytes() as u64) as u32, more: false, size: self.size }
    }

    /// How many bytes the next request asks for after its first block.
    pub(super) fn further(&self) -> usize {
        (self.group() - 1) * self.size.bytes()
    }

    /// The block that may be asked for, but for its pace.
    pub(super) fn next(&self) -> Option<u64> {
        let room = match self.pace {
            Pace::Single(_) => self.flights.out() == 0,
            Pace::Window => {
                let wanted = self.size.bytes() + self.further();
                let most = wanted.max(self.cubic.window());
                self.flights.bytes() + wanted <= most && self.flights.out() + self.group() <= Flights::MOST_OUT
            }
        };
        if room { self.body.next(self.size, self.halt) } else { None }
    }

    fn write(
        &self,
        buffer: &mut Vec<u8>,
        kind: MessageType,
        id: MessageId,
        first: u32,
        manner: Manner,
        blocks: &BlockSet,
    ) -> Range<usize> {
        let mut writer = Writer::new(buffer, kind, Code::GET, id, self.token(first));
        for option in Options::parse(&self.options).unwrap_or_default().iter() {
            writer.option_bytes(option.number, option.value);
        }
        let by_q_block2 = manner == Manner::QBlock2;
        let short = blocks.is_first() && self.head.is_none() && self.size == BlockSize::B1024;
        // A server that knows no blocks may have a short body (RFC 7959 section 2.4).
        if by_q_block2 || !short {
            let number = if by_q_block2 { option::Q_BLOCK2 } else { option::BLOCK2 };
            blocks.blocks().for_each(|block| _ = writer.option_block(number, block));
        }
        if self.head.is_none() {
            writer.option_uint(option::SIZE2, 0);
        }
        if by_q_block2 && !self.echo.is_empty() {
            writer.option_bytes(option::ECHO, &self.echo);
        }
        writer.finish()
    }

    /// A request is sent again until it is answered.
    fn repeat_until_answered(&mut self, now: Duration, number: u32, datagram: &[u8]) {
        let parameters = &self.config.transmission;
        let span = parameters.longest_ack_timeout().saturating_sub(parameters.ack_timeout);
        let timeout = parameters.ack_timeout + span.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
        let (left, datagram) = (parameters.max_retransmit, datagram.to_vec());
        self.confirmable = Some(Confirmable { number, datagram, due: now + timeout, timeout, left, again: false });
    }

    /// Keeps account of a request.
    fn sent(&mut self, now: Duration, id: MessageId, offset: u64, manner: Manner, place: u8) {
        let bytes = self.size.bytes();
        let alone = self.pace != Pace::Window;
        let window = self.cubic.window();
        let out = self.flights.bytes() + bytes;
        // Pacing and growth leave the window not quite full: that is use of it all the same (RFC 9002 section 7.8).
        let used = if self.cubic.is_slow_start() { window / 2 } else { window / 4 * 3 };
        let limited = !alone && (out >= used || out + bytes > window);
        let fate = Fate::Flying;
        let size = self.size;
        let repeated = false;
        self.flights.push(Request { offset, size, id, sent_at: now, repeated, manner, place, limited, fate });
        self.body.ask(offset..offset + bytes as u64);
        self.pacer.spend(bytes);
        self.counters.requests += 1;
    }

    /// Sets the pace to what the window allows, and somewhat more, so that the window and not the pace is the limit (RFC 9002
    /// section 7.7).
    pub(super) fn set_rate(&mut self, now: Duration) {
        const SLOW_START: f64 = 2.0;
        const AVOIDANCE: f64 = 1.25;
        let gain = if self.cubic.is_slow_start() { SLOW_START } else { AVOIDANCE };
        let window = self.cubic.window() as f64;
        let rate =
            if self.rtt.is_unknown() { f64::INFINITY } else { gain * window / self.rtt.smoothed().as_secs_f64() };
        let most = self.config.max_rate.map_or(f64::INFINITY, |rate| rate.max(1) as f64);
        self.pacer.set_rate(now, rate.min(most), self.size.bytes());
    }
}
