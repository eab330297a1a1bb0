//! Own requests, and how their bodies go out.

use std::time::Duration;

use super::{Event, Failure, Outgoing, Peer, RequestId, call, messages::Messages};
use crate::{
    block::{Source, Upload},
    exchange::{Outbound, Owner},
    wire::{Block, BlockSize, Code, Message, MessageId, MessageType, Options, Token, Writer, option},
};

/// What a request message has besides the options of its request.
#[derive(Clone, Copy, Default)]
pub(super) struct Extra<'a> {
    pub(super) observe: Option<u32>,
    pub(super) block1: Option<Block>,
    pub(super) block2: Option<Block>,
    pub(super) size1: Option<u32>,
    pub(super) payload: &'a [u8],
}

impl Peer {
    /// Sends a request. It ends with [`Event::Response`], the last [`Event::Download`] or [`Event::Failed`], unless the response
    /// starts an observation: that ends with an [`Event::Notification`] without Observe, with [`Event::Failed`], or by
    /// [`Peer::cancel`].
    pub fn request(&mut self, now: Duration, request: Outgoing<'_>) -> RequestId {
        self.now = now;
        self.begin(now, &request, request.observe.then_some(0))
    }

    fn begin(&mut self, now: Duration, request: &Outgoing<'_>, observe: Option<u32>) -> RequestId {
        let config = &self.messages.config;
        let size = request.block_size.min(config.block_size);
        let resting = || self.requests.iter().filter(|request| request.is_resting()).count();
        let refused = match request.body {
            call::Body::Bytes(body) if body.len() > config.max_body => Some(Failure::TooLarge),
            _ if self.requests.len() < config.max_requests => None,
            _ => (self.requests.len() - resting() >= config.max_requests).then_some(Failure::TooMany),
        };
        let made = if refused.is_some() { None } else { self.insert(request, observe) };
        let Some(id) = made else {
            let id = self.requests.unkept();
            let why = refused.unwrap_or(Failure::TooMany);
            self.events.push_back(Event::Failed { request: id, why });
            return id;
        };
        self.send_body(now, id, request, size);
        id
    }

    fn insert(&mut self, request: &Outgoing<'_>, observe: Option<u32>) -> Option<RequestId> {
        let mut options = self.messages.flights.buffer();
        write_options(&mut options, request);
        self.requests.insert(&mut self.messages.rng, |id, token| Outbound {
            id,
            code: request.code,
            confirmable: request.confirmable,
            observe,
            options,
            token,
            follow_up: None,
            non_id: None,
            deadline: None,
            body: Vec::new(),
            upload: None,
            stream: request.download == call::Download::Stream && observe.is_none(),
            assembly: None,
            restarts: 0,
            observation: None,
            announced: false,
        })
    }

    fn send_body(&mut self, now: Duration, id: RequestId, request: &Outgoing<'_>, size: BlockSize) {
        let Some(outbound) = self.requests.get(id) else { return };
        match request.body {
            call::Body::Bytes(body) if body.len() <= size.bytes() => {
                if outbound.code == Code::FETCH {
                    outbound.body = body.to_vec();
                }
                let extra = outbound.first(size, body);
                outbound.transmit(&mut self.messages, now, outbound.token, extra);
            }
            call::Body::Bytes(body) => {
                outbound.upload = Some(Upload::new(Source::Bytes(body.to_vec()), size));
                self.send_block(now, id);
            }
            call::Body::Streamed(total) => {
                outbound.upload = Some(Upload::new(Source::Pulled(total), size));
                self.send_block(now, id);
            }
        }
    }

    /// Sends the block of a request body that begins at the upload's offset, or asks the engine for it.
    fn send_block(&mut self, now: Duration, id: RequestId) {
        let Some(request) = self.requests.get(id) else { return };
        let Some(upload) = &mut request.upload else { return };
        upload.sent = None;
        let (offset, length) = (upload.offset, upload.size.bytes());
        let Source::Bytes(body) = &mut upload.source else {
            self.events.push_back(Event::PullRequest { request: id, offset, length });
            return;
        };
        let body = std::mem::take(body);
        let rest = body.get(offset as usize..).unwrap_or_default();
        let payload = &rest[..rest.len().min(length)];
        self.send_chunk(now, id, payload, payload.len() == rest.len(), Some(body.len() as u64));
        if let Some(Source::Bytes(place)) = self.source(id) {
            *place = body;
        }
    }

    fn source(&mut self, id: RequestId) -> Option<&mut Source> {
        Some(&mut self.requests.get(id)?.upload.as_mut()?.source)
    }

    fn send_chunk(&mut self, now: Duration, id: RequestId, payload: &[u8], last: bool, total: Option<u64>) {
        let token = self.requests.next_token(id, &mut self.messages.rng);
        let Some(request) = self.requests.get(id) else { return };
        let Some(upload) = &mut request.upload else { return };
        (upload.sent, upload.last) = (Some(payload.len()), last);
        let Some(block) = upload.block() else {
            self.fail(id, Failure::BlockWise);
            return;
        };
        let whole = block.number == 0 && last;
        let size1 = total.filter(|_| block.number == 0 && !whole).and_then(|total| u32::try_from(total).ok());
        let extra = Extra { block1: (!whole).then_some(block), size1, ..request.first(block.size, payload) };
        request.token = token;
        request.transmit(&mut self.messages, now, token, extra);
    }

    /// Gives the bytes that an [`Event::PullRequest`] asked for: exactly its `length`, or fewer with `last`; anything else fails the
    /// request. Other offsets than the one asked for are ignored.
    pub fn supply_request(&mut self, now: Duration, request: RequestId, offset: u64, bytes: &[u8], last: bool) {
        self.now = now;
        let Some(upload) = self.requests.get(request).and_then(|request| request.upload.as_ref()) else { return };
        let (length, total) = (upload.size.bytes(), upload.total());
        if upload.offset != offset || upload.sent.is_some() || matches!(upload.source, Source::Bytes(_)) {
            return;
        }
        if bytes.len() > length || (!last && bytes.len() < length) {
            self.fail(request, Failure::BlockWise);
            return;
        }
        self.send_chunk(now, request, bytes, last, total);
    }

    /// What a response means for the upload that it answers; `false` if it is the final one.
    pub(super) fn advance_upload(&mut self, now: Duration, id: RequestId, message: &Message<'_>) -> bool {
        let Some(request) = self.requests.get(id) else { return false };
        let Some(upload) = &mut request.upload else { return false };
        let answered = message.options.block1().ok().flatten();
        let smaller = answered.map_or(upload.size, |block| block.size.min(upload.size));
        match message.code {
            // The block before was acknowledged already; the engine is about to give the next one.
            Code::CONTINUE if upload.sent.is_none() => return true,
            Code::CONTINUE if !upload.last => {
                // The size for the blocks to come; what was sent counts as a whole (RFC 7959 section 2.5).
                upload.offset += upload.sent.unwrap_or_default() as u64;
            }
            // Too large for the other end, but smaller blocks would do (RFC 7959 section 2.9.3).
            Code::REQUEST_ENTITY_TOO_LARGE if upload.offset == 0 && smaller < upload.size => {}
            _ => {
                request.upload = None;
                return false;
            }
        }
        upload.size = smaller;
        self.send_block(now, id);
        true
    }

    /// Forgets a request or an observation; no event follows. What still comes for it is rejected with a reset, which
    /// ends an observation at the other end (RFC 7641 section 3.6).
    pub fn cancel(&mut self, request: RequestId) {
        self.forget_messages(request);
        if let Some(gone) = self.requests.remove(request) {
            self.messages.flights.recycle(gone.options);
        }
    }

    pub(super) fn fail(&mut self, request: RequestId, why: Failure) {
        self.cancel(request);
        self.events.push_back(Event::Failed { request, why });
    }

    /// Sends no message of a request any more.
    pub(super) fn forget_messages(&mut self, request: RequestId) {
        let of_request = |owner| match owner {
            Owner::Request(id, _) | Owner::Ping(id) => id == request,
            Owner::Response(_) | Owner::Notification(..) => false,
        };
        while self.messages.flights.forget_one(of_request).is_some() {}
    }

    /// Ends an observation with a request of the same token and Observe 1 (RFC 7641 section 3.6). `request` must have the
    /// options of the one that began it. The answer comes under the new id; the old one gets no more events.
    pub fn cancel_observation(&mut self, now: Duration, observation: RequestId, request: Outgoing<'_>) -> RequestId {
        self.now = now;
        self.forget_messages(observation);
        let size = request.block_size.min(self.messages.config.block_size);
        let Some(id) = self.requests.rename(observation) else { return self.begin(now, &request, Some(1)) };
        if let Some(outbound) = self.requests.get(id) {
            outbound.options.clear();
            write_options(&mut outbound.options, &request);
            (outbound.observe, outbound.confirmable) = (Some(1), request.confirmable);
            (outbound.follow_up, outbound.deadline, outbound.assembly) = (None, None, None);
            (outbound.observation, outbound.announced, outbound.restarts) = (None, false, 0);
        }
        self.send_body(now, id, &request, size);
        id
    }

    /// Asks whether the other end is there (RFC 7252 section 4.3): ends with [`Failure::Pong`] or [`Failure::TimedOut`]. It leaves at
    /// once: behind a request whose answer is awaited it would tell nothing that the answer does not.
    pub fn ping(&mut self, now: Duration) -> RequestId {
        self.now = now;
        let id = self.requests.unkept();
        let Messages { flights, config, ids, rng, outbox, .. } = &mut self.messages;
        let mut datagram = flights.buffer();
        Writer::empty(&mut datagram, MessageType::Con, 0);
        flights.send(now, Owner::Ping(id), datagram, &config.transmission, ids, rng, outbox);
        id
    }
}

impl Outbound {
    /// What the first message of a request has, and each one with a block of its body.
    fn first<'a>(&self, size: BlockSize, payload: &'a [u8]) -> Extra<'a> {
        let asks = matches!(self.code, Code::GET | Code::FETCH) && size < BlockSize::B1024;
        let block2 = asks.then_some(Block { number: 0, more: false, size });
        Extra { observe: self.observe, block2, payload, ..Extra::default() }
    }

    /// Sends a message of this request.
    pub(super) fn transmit(&mut self, messages: &mut Messages, now: Duration, token: Token, extra: Extra<'_>) {
        self.deadline = None;
        if self.confirmable {
            let mut datagram = messages.flights.buffer();
            self.write(&mut datagram, MessageType::Con, 0, token, extra);
            messages.flights.queue(Owner::Request(self.id, token), datagram);
        } else {
            let id = messages.next_id();
            messages.outbox.write(|bytes| self.write(bytes, MessageType::Non, id, token, extra));
            self.non_id = Some(id);
            self.deadline = Some(now + messages.config.response_timeout);
        }
    }

    fn write(
        &self,
        buffer: &mut Vec<u8>,
        kind: MessageType,
        id: MessageId,
        token: Token,
        extra: Extra<'_>,
    ) -> std::ops::Range<usize> {
        let mut writer = Writer::new(buffer, kind, self.code, id, token);
        if let Some(observe) = extra.observe {
            writer.option_uint(option::OBSERVE, observe);
        }
        for option in Options::parse(&self.options).unwrap_or_default().iter() {
            writer.option_bytes(option.number, option.value);
        }
        if let Some(block) = extra.block2 {
            writer.option_block(option::BLOCK2, block);
        }
        if let Some(block) = extra.block1 {
            writer.option_block(option::BLOCK1, block);
        }
        if let Some(bytes) = extra.size1 {
            writer.option_uint(option::SIZE1, bytes);
        }
        writer.payload(extra.payload).finish()
    }
}

/// Writes the options between Observe and Block2, as they stand in a message.
fn write_options(buffer: &mut Vec<u8>, request: &Outgoing<'_>) {
    let start = buffer.len();
    let mut writer = Writer::new(buffer, MessageType::Con, request.code, 0, Token::EMPTY);
    for segment in request.path {
        writer.option_str(option::URI_PATH, segment);
    }
    if let Some(format) = request.content_format {
        writer.option_uint(option::CONTENT_FORMAT, u32::from(format.0));
    }
    for argument in request.query {
        writer.option_str(option::URI_QUERY, argument);
    }
    if let Some(format) = request.accept {
        writer.option_uint(option::ACCEPT, u32::from(format.0));
    }
    let header = writer.written().min(4);
    buffer.drain(start..start + header);
}
