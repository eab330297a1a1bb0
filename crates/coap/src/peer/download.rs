//! Responses and notifications, and how their bodies come in.

use std::time::Duration;

use super::{Event, Failure, Peer, RequestId, Response, incoming::Arrival, requester::Extra};
use crate::{
    block::{Assembly, Etag, append},
    exchange::Owner,
    message::{Effect, Repeat},
    observe::Freshness,
    wire::{Block, Code, Message, MessageType, option},
};

/// How often a representation may change while its blocks are fetched.
const RESTARTS: u8 = 3;

/// Critical options of a response that are processed here.
fn understood(number: u16) -> bool {
    matches!(number, option::BLOCK1 | option::BLOCK2)
}

impl Peer {
    /// Matches a response to its request (RFC 7252 section 5.3.2).
    pub(super) fn handle_response<'d>(
        &mut self,
        now: Duration,
        message: Message<'d>,
        datagram: &'d [u8],
    ) -> Option<Arrival<'d>> {
        let id = match message.kind {
            MessageType::Ack => self.piggybacked(&message)?,
            _ => self.separate(now, &message, datagram)?,
        };
        let token = message.token;
        while self.messages.flights.forget_one(|owner| owner == Owner::Request(id, token)).is_some() {}
        if message.options.unrecognized_critical(understood).is_some() {
            self.fail(id, Failure::BadOption);
            return None;
        }
        let request = self.requests.get(id)?;
        if request.follow_up.is_none_or(|follow_up| follow_up == token) {
            (request.deadline, request.non_id) = (None, None);
        }
        let arrival = self.receive_response(now, id, message);
        self.settle(now);
        arrival
    }

    /// The request whose acknowledgement this is.
    fn piggybacked(&mut self, message: &Message<'_>) -> Option<RequestId> {
        let owner = self.messages.flights.find(message.id).map(|flight| flight.owner);
        match owner {
            Some(Owner::Request(id, token)) if token == message.token => Some(id),
            _ => {
                self.messages.counters.unmatched += 1;
                None
            }
        }
    }

    /// The request that a separate response or a notification is for; acknowledges or rejects it (RFC 7252 section 5.2.2).
    fn separate(&mut self, now: Duration, message: &Message<'_>, datagram: &[u8]) -> Option<RequestId> {
        let messages = &mut self.messages;
        let confirmable = message.kind == MessageType::Con;
        let digest = messages.digester.of(datagram);
        if let Some(repeat) = messages.answers.find(now, message.id, digest) {
            if repeat == Repeat::Acknowledgement {
                messages.outbox.push_empty(MessageType::Ack, message.id);
            }
            messages.counters.duplicates += 1;
            return None;
        }
        let Some(request) = self.requests.find(message.token) else {
            messages.counters.unmatched += 1;
            messages.outbox.push_empty(MessageType::Rst, message.id);
            return None;
        };
        let id = request.id;
        let late = request.observe == Some(1) && request.token == message.token && message.options.observe().is_some();
        if message.options.unrecognized_critical(understood).is_some() {
            messages.counters.bad_options += 1;
            if confirmable {
                messages.outbox.push_empty(MessageType::Rst, message.id);
            }
            return Some(id);
        }
        if confirmable {
            messages.outbox.push_empty(MessageType::Ack, message.id);
        }
        let repeat = if confirmable { Repeat::Acknowledgement } else { Repeat::Silence };
        messages.answers.remember(now, Effect::Repeatable, message.id, digest, message.code, repeat);
        if late {
            // A notification that was under way when the observation was cancelled is not the answer to that.
            messages.counters.stale += 1;
            return None;
        }
        Some(id)
    }

    fn receive_response<'d>(&mut self, now: Duration, id: RequestId, message: Message<'d>) -> Option<Arrival<'d>> {
        let own_token = self.requests.get(id)?.token == message.token;
        if own_token {
            if self.advance_upload(now, id, &message) {
                return None;
            }
            if !self.is_fresh(now, id, &message) {
                self.messages.counters.stale += 1;
                return None;
            }
        }
        let Ok(block) = message.options.block2() else { return self.break_off(id) };
        let request = self.requests.get(id)?;
        let begun = request.assembly.as_ref().is_some_and(|assembly| assembly.received > 0);
        let cut_short = !own_token && (!message.code.is_success() || (block.is_none() && begun));
        if message.code == Code::CONTINUE || cut_short {
            return self.break_off(id);
        }
        let stream = request.stream && message.code == Code::CONTENT;
        match (block.filter(|_| message.code.is_success()), &mut request.assembly) {
            (None, _) => self.complete(id, message),
            (Some(block), None) if block.number == 0 && !block.more => self.complete(id, message),
            (Some(block), assembly) => {
                let etag = message.options.etag().and_then(Etag::new);
                let size = block.size.min(self.messages.config.block_size);
                let assembly = assembly.get_or_insert_with(|| Assembly {
                    etag,
                    size,
                    received: 0,
                    body: Vec::new(),
                    observe: message.options.observe(),
                    held: false,
                });
                if assembly.held {
                    // Nothing was asked for: the engine still stores the block before.
                    self.messages.counters.unmatched += 1;
                    return None;
                }
                if assembly.received == 0 {
                    assembly.etag = etag;
                }
                assembly.size = assembly.size.min(size);
                if assembly.etag != etag {
                    return self.begin_again(now, id);
                }
                let length = message.payload.len();
                let whole = if block.more { length == block.size.bytes() } else { length <= block.size.bytes() };
                if block.offset() != assembly.received || !whole {
                    return self.break_off(id);
                }
                assembly.received += length as u64;
                if stream { self.hand_out(id, message, block) } else { self.collect(now, id, message, block) }
            }
        }
    }

    /// Whether this is no older than what was delivered; begins the observation, or ends it (RFC 7641 sections 3.2 and 3.4).
    fn is_fresh(&mut self, now: Duration, id: RequestId, message: &Message<'_>) -> bool {
        let Some(request) = self.requests.get(id) else { return false };
        let number = message.options.observe().filter(|_| message.code.is_success());
        let observed = request.observation.is_some();
        match (&mut request.observation, number) {
            (Some(freshness), Some(number)) => {
                if !freshness.accept(number, now) {
                    return false;
                }
            }
            (None, Some(number)) if request.observe == Some(0) => {
                request.observation = Some(Freshness::new(number, now));
            }
            _ => request.observation = None,
        }
        if observed {
            // The blocks of an older notification are of no use any more.
            request.assembly = None;
            if let Some(follow_up) = request.follow_up.take() {
                request.deadline = None;
                while self.messages.flights.forget_one(|owner| owner == Owner::Request(id, follow_up)).is_some() {}
            }
        }
        true
    }

    fn break_off<'d>(&mut self, id: RequestId) -> Option<Arrival<'d>> {
        self.fail(id, Failure::BlockWise);
        None
    }

    /// The representation has changed while it was fetched (RFC 7959 section 2.4).
    fn begin_again<'d>(&mut self, now: Duration, id: RequestId) -> Option<Arrival<'d>> {
        let request = self.requests.get(id)?;
        let repeatable = matches!(request.code, Code::GET | Code::FETCH) && !request.stream;
        request.restarts += 1;
        if !repeatable || request.restarts > RESTARTS {
            return self.break_off(id);
        }
        if let Some(assembly) = &mut request.assembly {
            assembly.received = 0;
            assembly.body = Vec::new();
        }
        self.ask_for_next(now, id);
        None
    }

    /// Hands out a block of a streamed body.
    fn hand_out<'d>(&mut self, id: RequestId, message: Message<'d>, block: Block) -> Option<Arrival<'d>> {
        let assembly = self.requests.get(id)?.assembly.as_mut()?;
        assembly.held = true;
        let response = Response { message, payload: message.payload, observe: None };
        let event = Event::Download { request: id, offset: block.offset(), response, last: !block.more };
        if !block.more {
            self.cancel(id);
        }
        Some(Arrival::Event(event))
    }

    /// Adds a block to a body that is being put together.
    fn collect<'d>(&mut self, now: Duration, id: RequestId, message: Message<'d>, block: Block) -> Option<Arrival<'d>> {
        let room = self.messages.config.max_body.saturating_sub(self.bodies_in());
        let request = self.requests.get(id)?;
        let assembly = request.assembly.as_mut()?;
        let limit = assembly.body.capacity() + room;
        if !append(&mut assembly.body, message.payload, limit) {
            self.fail(id, Failure::TooLarge);
            return None;
        }
        if block.more {
            self.ask_for_next(now, id);
            return None;
        }
        let notification = request.announced;
        let observe = assembly.observe;
        self.delivered = std::mem::take(&mut assembly.body);
        self.conclude(id);
        Some(Arrival::Response { request: id, message, observe, notification })
    }

    /// A response in one message.
    fn complete<'d>(&mut self, id: RequestId, message: Message<'d>) -> Option<Arrival<'d>> {
        let request = self.requests.get(id)?;
        let (notification, stream) = (request.announced, request.stream && message.code == Code::CONTENT);
        let begun_by = request.assembly.take().and_then(|assembly| assembly.observe);
        self.conclude(id);
        let response = Response { message, payload: message.payload, observe: message.options.observe().or(begun_by) };
        Some(Arrival::Event(if stream {
            Event::Download { request: id, offset: 0, response, last: true }
        } else if notification {
            Event::Notification { request: id, response }
        } else {
            Event::Response { request: id, response }
        }))
    }

    /// A response is complete: the request is over, unless it observes.
    fn conclude(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(id) else { return };
        if request.observation.is_none() {
            self.cancel(id);
            return;
        }
        (request.announced, request.restarts) = (true, 0);
        (request.follow_up, request.assembly) = (None, None);
    }

    /// Asks for the next block of a response (RFC 7959 section 2.4), under a token of its own (section 3.4).
    fn ask_for_next(&mut self, now: Duration, id: RequestId) {
        let token = self.requests.next_token(id, &mut self.messages.rng);
        let Some(request) = self.requests.get(id) else { return };
        let Some(block2) = request.assembly.as_ref().and_then(Assembly::next) else {
            self.fail(id, Failure::BlockWise);
            return;
        };
        if request.observation.is_some() {
            request.follow_up = Some(token);
        } else {
            request.token = token;
        }
        let body = std::mem::take(&mut request.body);
        let extra = Extra { block2: Some(block2), payload: &body, ..Extra::default() };
        request.transmit(&mut self.messages, now, token, extra);
        request.body = body;
    }

    /// The block of an [`Event::Download`] is stored: the next one may be asked for.
    pub fn download_done(&mut self, now: Duration, request: RequestId) {
        self.now = now;
        let Some(assembly) = self.requests.get(request).and_then(|request| request.assembly.as_mut()) else { return };
        if std::mem::replace(&mut assembly.held, false) {
            self.ask_for_next(now, request);
        }
    }
}
