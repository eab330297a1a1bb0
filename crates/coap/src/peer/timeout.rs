//! Timers.

use std::time::Duration;

use super::{Abort, Event, Failure, Outcome, Peer, Timer};
use crate::{exchange::Owner, message::Due, wire::MessageType};

impl Peer {
    /// When [`Peer::handle_timeout`] is to be called next, and what for.
    pub fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        let flights = self.messages.flights.next_due().map(|at| (at, Timer::Retransmission));
        let exchanges = self.exchanges.iter().filter_map(|exchange| match exchange.turn {
            Some(turn) if turn.confirmable && !turn.acknowledged => Some((turn.acknowledge_at, Timer::Acknowledgement)),
            Some(_) => None,
            None => Some((exchange.expires, Timer::Transfer)),
        });
        let requests = self.requests.iter().filter_map(|request| Some((request.deadline?, Timer::Response)));
        let settling = self.settling.iter().map(|settling| (settling.due(), Timer::Settle));
        let snapshots = self.snapshots.next_expiry().map(|at| (at, Timer::Transfer));
        flights.into_iter().chain(exchanges).chain(requests).chain(settling).chain(snapshots).min()
    }

    /// Does what is due. Call at the time that [`Peer::poll_timeout`] gave; earlier or later does no harm. Where much is due at
    /// once, [`Peer::poll_timeout`] gives the same time again for the rest of it.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        self.release_delivered();
        self.retransmit(now);
        self.acknowledge(now);
        self.expire(now);
        self.settle(now);
    }

    /// As much as the outbox takes at a time: the rest stays due, for the call after it was drained.
    fn retransmit(&mut self, now: Duration) {
        while !self.messages.outbox.is_flooded() {
            let (observers, events) = (&mut self.observers, &mut self.events);
            let newer = |owner| {
                let Owner::Notification(notification, token) = owner else { return None };
                let (newer, datagram) = observers.get(token)?.newer.take()?;
                events.push_back(Event::Notified { notification, token, outcome: Outcome::Superseded });
                Some((Owner::Notification(newer, token), datagram))
            };
            let messages = &mut self.messages;
            let parameters = &messages.config.transmission;
            match messages.flights.retransmit(now, parameters, &mut messages.ids, &mut messages.outbox, newer) {
                None => return,
                Some(Due::Sent) => messages.counters.retransmissions += 1,
                Some(Due::GivenUp(flight)) => {
                    let owner = flight.owner;
                    messages.flights.recycle(flight.into_datagram());
                    self.give_up(owner);
                }
            }
        }
    }

    fn give_up(&mut self, owner: Owner) {
        match owner {
            Owner::Request(request, _) => self.fail(request, Failure::TimedOut),
            Owner::Ping(request) => self.events.push_back(Event::Failed { request, why: Failure::TimedOut }),
            Owner::Response(exchange) => self.unreachable(exchange),
            Owner::Notification(notification, token) => self.notified(notification, token, Outcome::TimedOut),
        }
    }

    /// Empty ACKs for requests that take longer (RFC 7252 section 5.2.2).
    fn acknowledge(&mut self, now: Duration) {
        let late = self.exchanges.iter_mut().filter_map(|exchange| exchange.turn.as_mut());
        for turn in late.filter(|turn| turn.confirmable && !turn.acknowledged && turn.acknowledge_at <= now) {
            turn.acknowledged = true;
            self.messages.outbox.push_empty(MessageType::Ack, turn.id);
        }
    }

    fn expire(&mut self, now: Duration) {
        self.snapshots.expire(now);
        let events = &mut self.events;
        self.exchanges.retain(|exchange| {
            let kept = exchange.turn.is_some() || exchange.expires > now;
            if !kept {
                events.push_back(Event::Aborted { exchange: exchange.id, why: Abort::TimedOut });
            }
            kept
        });
        while let Some(id) = self.requests.overdue(now) {
            self.fail(id, Failure::TimedOut);
        }
    }
}
