//! One datagram: which kind of message it is, and what its acknowledgement or reset means.

use std::time::Duration;

use super::{Event, Failure, Outcome, Peer, Request, Response};
use crate::{
    exchange::{ExchangeId, Owner, RequestId},
    wire::{Code, Message, MessageId, MessageType},
};

/// What becomes an event; a body that was put together from several datagrams is in [`Peer::delivered`].
pub(super) enum Arrival<'d> {
    Event(Event<'d>),
    Request(ExchangeId, Message<'d>),
    Response { request: RequestId, message: Message<'d>, observe: Option<u32>, notification: bool },
}

impl Peer {
    /// Takes in one datagram. At most one event comes of it directly; others that it causes follow in
    /// [`Peer::poll_event`].
    pub fn handle_datagram<'a>(&'a mut self, now: Duration, datagram: &'a [u8]) -> Option<Event<'a>> {
        self.now = now;
        self.release_delivered();
        match self.accept(now, datagram)? {
            Arrival::Event(event) => Some(event),
            Arrival::Request(exchange, message) => {
                Some(Event::Request(Request { exchange, message, payload: &self.delivered }))
            }
            Arrival::Response { request, message, observe, notification } => {
                let response = Response { message, payload: &self.delivered, observe };
                Some(if notification {
                    Event::Notification { request, response }
                } else {
                    Event::Response { request, response }
                })
            }
        }
    }

    /// Whether a datagram is a response with the token of a request that waits for one. Tokens have 48 random bits and are drawn
    /// anew for each message: what was sent before this peer was made is no such response. Changes nothing.
    pub fn awaits(&self, datagram: &[u8]) -> bool {
        Message::parse(datagram)
            .is_ok_and(|message| message.code.is_response() && self.requests.slot_of(message.token).is_some())
    }

    /// Frees the body of the last event.
    pub(super) fn release_delivered(&mut self) {
        if self.delivered.capacity() > 0 {
            self.delivered = Vec::new();
        }
    }

    fn accept<'d>(&mut self, now: Duration, datagram: &'d [u8]) -> Option<Arrival<'d>> {
        let message = match Message::parse(datagram) {
            Ok(message) => message,
            Err(error) => {
                self.messages.counters.malformed += 1;
                if let Some(id) = error.reset().filter(|_| !self.silent) {
                    self.messages.outbox.push_empty(MessageType::Rst, id);
                }
                return None;
            }
        };
        match (message.kind, message.code) {
            (_, code) if code.is_request() => return self.handle_request(now, message, datagram),
            (MessageType::Con | MessageType::Non, Code::EMPTY) => {
                self.messages.outbox.push_empty(MessageType::Rst, message.id);
            }
            (MessageType::Ack, Code::EMPTY) => self.handle_acknowledgement(now, message.id),
            (MessageType::Rst, _) => self.handle_reset(now, message.id),
            _ => return self.handle_response(now, message, datagram),
        }
        None
    }

    fn handle_acknowledgement(&mut self, now: Duration, id: MessageId) {
        let Some(flight) = self.messages.flights.take(id) else {
            self.messages.counters.unmatched += 1;
            return;
        };
        match flight.owner {
            Owner::Request(request, _) => {
                let deadline = now + self.messages.config.response_timeout;
                if let Some(request) = self.requests.get(request) {
                    request.deadline = Some(deadline);
                }
            }
            Owner::Response(exchange) => self.landed(exchange),
            Owner::Notification(notification, token) => self.notified(notification, token, Outcome::Acknowledged),
            Owner::Ping(request) => self.events.push_back(Event::Failed { request, why: Failure::Pong }),
        }
        self.messages.flights.recycle(flight.into_datagram());
        self.settle(now);
    }

    fn handle_reset(&mut self, now: Duration, id: MessageId) {
        let Some(flight) = self.messages.flights.take(id) else {
            self.handle_reset_of_non(id);
            return;
        };
        match flight.owner {
            Owner::Request(request, _) => self.fail(request, Failure::Reset),
            Owner::Response(exchange) => self.unreachable(exchange),
            Owner::Notification(notification, token) => self.notified(notification, token, Outcome::Reset),
            Owner::Ping(request) => self.events.push_back(Event::Failed { request, why: Failure::Pong }),
        }
        self.messages.flights.recycle(flight.into_datagram());
        self.settle(now);
    }

    fn handle_reset_of_non(&mut self, id: MessageId) {
        if self.reset_observer(id) {
            return;
        }
        let request = self.requests.iter().find(|request| request.non_id == Some(id)).map(|request| request.id);
        match request {
            Some(request) => self.fail(request, Failure::Reset),
            None => self.messages.counters.unmatched += 1,
        }
    }
}
