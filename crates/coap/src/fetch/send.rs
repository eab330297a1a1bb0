//! Which request goes out next, and when.

use std::{ops::Range, time::Duration};

use rand_chacha::rand_core::Rng;

use super::{
    Fetch, Pace, Resource, State,
    flights::{Fate, Flights, Request},
};
use crate::wire::{Block, Code, MessageId, MessageType, Options, Token, Writer, option};

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
        let (offset, confirmable) = self.choose(now)?;
        let number = u32::try_from(offset / self.size.bytes() as u64).ok()?;
        let kind = if confirmable { MessageType::Con } else { MessageType::Non };
        let id = next_id();
        let block = Block { number, more: false, size: self.size };
        let range = self.write(buffer, kind, id, block);
        self.sent(now, id, offset, &buffer[range.clone()]);
        Some(range)
    }

    /// The block to be asked for now, and whether to be sure that the request arrives.
    fn choose(&mut self, now: Duration) -> Option<(u64, bool)> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        let bytes = self.size.bytes();
        if std::mem::take(&mut self.probe) {
            self.counters.probes += 1;
            return Some((self.body.front() / bytes as u64 * bytes as u64, true));
        }
        let offset = self.next()?;
        self.pacer.is_ready(now).then_some((offset, self.pace != Pace::Window))
    }

    /// The block that may be asked for, but for its pace.
    pub(super) fn next(&self) -> Option<u64> {
        let bytes = self.size.bytes();
        let room = match self.pace {
            Pace::Single(_) => self.flights.out() == 0,
            Pace::Window => {
                let least = bytes.max(self.cubic.window());
                self.flights.bytes() + bytes <= least && self.flights.out() < Flights::MOST_OUT
            }
        };
        if room { self.body.next(self.size, self.halt) } else { None }
    }

    fn write(&self, buffer: &mut Vec<u8>, kind: MessageType, id: MessageId, block: Block) -> Range<usize> {
        let mut writer = Writer::new(buffer, kind, Code::GET, id, self.token(self.flights.next()));
        for option in Options::parse(&self.options).unwrap_or_default().iter() {
            writer.option_bytes(option.number, option.value);
        }
        // A server that knows no blocks may have a short body (RFC 7959 section 2.4).
        if block.number > 0 || self.head.is_some() || self.size != crate::wire::BlockSize::B1024 {
            writer.option_block(option::BLOCK2, block);
        }
        if self.head.is_none() {
            writer.option_uint(option::SIZE2, 0);
        }
        writer.finish()
    }

    /// Keeps account of a request that was written.
    fn sent(&mut self, now: Duration, id: MessageId, offset: u64, datagram: &[u8]) {
        let (bytes, number) = (self.size.bytes(), self.flights.next());
        let alone = self.pace != Pace::Window;
        if alone {
            let parameters = &self.config.transmission;
            let span = parameters.longest_ack_timeout().saturating_sub(parameters.ack_timeout);
            let timeout = parameters.ack_timeout + span.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
            let left = parameters.max_retransmit;
            let datagram = datagram.to_vec();
            self.confirmable = Some(Confirmable { number, datagram, due: now + timeout, timeout, left, again: false });
        }
        let window = self.cubic.window();
        let out = self.flights.bytes() + bytes;
        // Pacing and growth leave the window not quite full: that is use of it all the same (RFC 9002 section 7.8).
        let used = if self.cubic.is_slow_start() { window / 2 } else { window / 4 * 3 };
        let limited = !alone && (out >= used || out + bytes > window);
        let fate = Fate::Flying;
        let size = self.size;
        let repeated = false;
        self.flights.push(Request { offset, size, id, sent_at: now, repeated, alone, limited, fate });
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
