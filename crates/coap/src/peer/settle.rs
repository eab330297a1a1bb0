//! When an answer has arrived, as far as can be known.

use std::time::Duration;

use super::{Abort, Event, Peer};
use crate::exchange::{ExchangeId, Owner, Settling, Turn};

impl Peer {
    /// How many answers are watched at a time. Those that must be acknowledged are exchanges, and fewer.
    const SETTLING: usize = 16;

    /// Begins to watch an answer that was sent just now; `in_flight` if it must be acknowledged. Of too many the oldest counts as
    /// settled: whoever has sent as many requests since would have repeated that one.
    pub(super) fn watch(&mut self, now: Duration, exchange: ExchangeId, turn: &Turn, in_flight: bool) {
        if self.settling.len() >= Self::SETTLING {
            let oldest = self.settling.iter().position(|settling| !settling.in_flight).unwrap_or_default();
            let settled = self.settling.remove(oldest);
            self.events.push_back(Event::Settled(settled.exchange));
        }
        let parameters = &self.messages.config.transmission;
        self.settling.push(Settling {
            exchange,
            digest: turn.digest,
            quiet_at: (!in_flight).then(|| now + parameters.longest_ack_timeout()),
            in_flight,
            latest: now + parameters.max_transmit_wait(),
        });
    }

    /// The request of an answer came again: the other end did not have it then.
    pub(super) fn stir(&mut self, now: Duration, digest: u64) {
        if self.settling.is_empty() {
            return;
        }
        let quiet_at = now + self.messages.config.transmission.longest_ack_timeout();
        let same = |settling: &&mut Settling| settling.digest == digest && !settling.in_flight;
        if let Some(settling) = self.settling.iter_mut().find(same) {
            settling.quiet_at = Some(quiet_at);
        }
    }

    /// A separate response was acknowledged.
    pub(super) fn landed(&mut self, exchange: ExchangeId) {
        if let Some(settling) = self.settling.iter_mut().find(|settling| settling.exchange == exchange) {
            (settling.in_flight, settling.quiet_at) = (false, None);
        }
    }

    /// A separate response was rejected, or never acknowledged.
    pub(super) fn unreachable(&mut self, exchange: ExchangeId) {
        self.landed(exchange);
        if let Some(position) = self.exchanges.iter().position(|open| open.id == exchange) {
            self.exchanges.swap_remove(position);
            self.events.push_back(Event::Aborted { exchange, why: Abort::Unreachable });
        }
    }

    /// Tells of the answers that have settled by now.
    pub(super) fn settle(&mut self, now: Duration) {
        if self.settling.is_empty() {
            return;
        }
        let notifying = self.messages.flights.any(|owner| matches!(owner, Owner::Notification(..)));
        let events = &mut self.events;
        self.settling.retain_mut(|settling| {
            settling.quiet_at = settling.quiet_at.filter(|quiet_at| *quiet_at > now);
            let arrived = settling.quiet_at.is_none() && !settling.in_flight;
            let settled = (arrived && !notifying) || settling.latest <= now;
            if settled {
                events.push_back(Event::Settled(settling.exchange));
            }
            !settled
        });
    }
}

impl Settling {
    /// When to look again.
    pub(super) fn due(&self) -> Duration {
        self.quiet_at.map_or(self.latest, |quiet_at| quiet_at.min(self.latest))
    }
}
