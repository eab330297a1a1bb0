//! Notifications to those who observe here (RFC 7641 section 4).

use std::time::Duration;

use super::{Event, NotificationId, Outcome, Peer, Reply};
use crate::{
    ContentFormat,
    block::Profile,
    exchange::Owner,
    wire::{Block, MessageId, MessageType, Token},
};

impl Peer {
    /// Notifies an observer, known by the token of its request, of a new representation. Confirmable where asked for, and at least
    /// once in [`Config::confirmable_interval`](super::Config). While an older one is not acknowledged, this one takes its place
    /// at its next retransmission (RFC 7641 section 4.5.2). A code that is not 2.xx is confirmable and ends the observation. A
    /// token that does not observe gives [`Outcome::Superseded`].
    pub fn notify(&mut self, now: Duration, token: Token, reply: Reply<'_>, confirmable: bool) -> NotificationId {
        self.now = now;
        let notification = NotificationId(self.next_serial());
        let Some(observer) = self.observers.get(token).filter(|observer| !observer.ending) else {
            self.events.push_back(Event::Notified { notification, token, outcome: Outcome::Superseded });
            return notification;
        };
        let (key, size) = (observer.key, observer.block_size);
        let due = now.saturating_sub(observer.confirmable_at) >= self.messages.config.confirmable_interval;
        let mut parts = reply.parts();
        if parts.payload.len() > size.bytes() {
            self.cut(now, &mut parts, key, Some(Block { number: 0, more: false, size }));
        }
        let ending = !parts.head.code.is_success();
        parts.observe = (!ending).then(|| self.observers.next_number());
        let same = |owner| matches!(owner, Owner::Notification(_, other) if other == token);
        if confirmable || due || ending || self.messages.flights.any(same) {
            let mut datagram = self.messages.flights.buffer();
            parts.write(&mut datagram, MessageType::Con, 0, token);
            self.notify_confirmable(now, notification, token, datagram, ending);
        } else {
            let id = self.messages.next_id();
            self.messages.outbox.write(|bytes| parts.write(bytes, MessageType::Non, id, token));
            if let Some(observer) = self.observers.get(token) {
                observer.non = Some((id, notification));
            }
            self.events.push_back(Event::Notified { notification, token, outcome: Outcome::Sent });
        }
        notification
    }

    fn notify_confirmable(
        &mut self,
        now: Duration,
        notification: NotificationId,
        token: Token,
        datagram: Vec<u8>,
        ending: bool,
    ) {
        let Some(observer) = self.observers.get(token) else { return };
        (observer.confirmable_at, observer.ending) = (now, ending);
        let owner = Owner::Notification(notification, token);
        let same = |owner| matches!(owner, Owner::Notification(_, other) if other == token);
        let flights = &mut self.messages.flights;
        let superseded = match flights.replace_queued(same, owner, datagram) {
            Ok(Owner::Notification(old, _)) => Some(old),
            Ok(_) => None,
            Err(datagram) if flights.any_sent(same) => {
                let old = observer.newer.replace((notification, datagram));
                old.map(|(old, datagram)| {
                    flights.recycle(datagram);
                    old
                })
            }
            Err(datagram) => {
                flights.queue(owner, datagram);
                None
            }
        };
        if let Some(notification) = superseded {
            self.events.push_back(Event::Notified { notification, token, outcome: Outcome::Superseded });
        }
    }

    /// What became of a confirmable notification that was on its way.
    pub(super) fn notified(&mut self, notification: NotificationId, token: Token, outcome: Outcome) {
        self.events.push_back(Event::Notified { notification, token, outcome });
        let Some(observer) = self.observers.get(token) else { return };
        if outcome != Outcome::Acknowledged {
            self.unobserve(token);
            return;
        }
        match observer.newer.take() {
            Some((newer, datagram)) => self.messages.flights.queue(Owner::Notification(newer, token), datagram),
            None if observer.ending => self.unobserve(token),
            None => {}
        }
    }

    /// The reset of a non-confirmable notification. False if it belongs to none.
    pub(super) fn reset_observer(&mut self, id: MessageId) -> bool {
        let Some((notification, token)) = self.observers.by_non_id(id) else { return false };
        self.events.push_back(Event::Notified { notification, token, outcome: Outcome::Reset });
        self.unobserve(token);
        true
    }

    /// Ends an observation of the other end: for a GET with Observe 1, or when what it observes has gone.
    pub fn unobserve(&mut self, token: Token) {
        let newer = self.observers.remove(token).and_then(|observer| observer.newer);
        let same = |owner| matches!(owner, Owner::Notification(_, other) if other == token);
        while let Some(Owner::Notification(notification, _)) = self.messages.flights.forget_one(same) {
            self.events.push_back(Event::Notified { notification, token, outcome: Outcome::Superseded });
        }
        if let Some((notification, _)) = newer {
            self.events.push_back(Event::Notified { notification, token, outcome: Outcome::Superseded });
        }
    }

    /// The number of the last notification, to be stored for [`Peer::take_up_observations`].
    pub fn notification_number(&self) -> u32 {
        self.observers.number()
    }

    /// Goes on with the observations of an earlier process: [`Peer::take_up_observation`] names them. `number` is one that its last
    /// notification cannot have reached, and less than 2^23 beyond that (RFC 7641 section 3.4).
    pub fn take_up_observations(&mut self, number: u32) {
        self.observers.set_number(number);
    }

    /// Goes on with one of them, which was begun by a GET of this path in this format. False if there are too many.
    pub fn take_up_observation(
        &mut self,
        now: Duration,
        token: Token,
        path: &[&str],
        accept: Option<ContentFormat>,
    ) -> bool {
        self.now = now;
        let key = Profile::key_of(self.messages.digester, path, accept);
        self.observers.register(token, key, self.block_size(None), now)
    }

    /// Whether this token observes.
    pub fn is_observing(&self, token: Token) -> bool {
        self.observers.contains(token)
    }
}
