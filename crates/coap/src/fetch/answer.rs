//! What comes back.

use std::time::Duration;

use super::{
    Event, Failure, Fetch, Head, Pace, Restart, State,
    cubic::Answered,
    dialect::is_by_q_block2,
    flights::{Fate, Manner, Request},
};
use crate::{
    block::Etag,
    wire::{Block, BlockSize, Code, Message, MessageType, option},
};

/// Why an answer is not the block that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Code(Code),
    Misfit,
}

impl Fetch {
    /// Takes in one datagram. False if it is none for this fetch: then it may be for the peer that shares the connection.
    pub fn handle_datagram(&mut self, now: Duration, datagram: &[u8]) -> bool {
        let Ok(message) = Message::parse(datagram) else { return false };
        if message.code == Code::EMPTY {
            return self.handle_empty(&message);
        }
        let Some(first) = self.number(&message.token).filter(|_| message.code.is_response()) else { return false };
        let number = self.addressee(first, &message);
        let asked = number.and_then(|number| self.flights.get_mut(number));
        let by_q_block2 = self.config.q_block2 && asked.is_none_or(|request| request.manner == Manner::QBlock2);
        let understood = |number| number == option::BLOCK2 || (number == option::Q_BLOCK2 && by_q_block2);
        let bad_option = message.options.unrecognized_critical(understood);
        if message.kind == MessageType::Con {
            let kind = if bad_option.is_some() { MessageType::Rst } else { MessageType::Ack };
            self.outbox.push_empty(kind, message.id);
        }
        if self.state != State::Running || self.body.is_whole() {
            self.counters.unmatched += 1;
            return true;
        }
        let foreign = |request: &Request| message.kind == MessageType::Ack && message.id != request.id;
        let number = number.filter(|&number| self.flights.get_mut(number).is_some_and(|request| !foreign(request)));
        match number.and_then(|number| Some((number, self.flights.answered(number)?))) {
            None => self.counters.unmatched += 1,
            Some((number, request)) => {
                self.account(now, number, &request);
                match bad_option {
                    Some(option) => self.fail(Failure::BadOption(option)),
                    None => self.take(now, number, &request, &message),
                }
                self.check_length();
                self.detect_losses(now);
                self.set_rate(now);
            }
        }
        true
    }

    /// An empty acknowledgement or a reset.
    fn handle_empty(&mut self, message: &Message<'_>) -> bool {
        if !matches!(message.kind, MessageType::Ack | MessageType::Rst) {
            return false;
        }
        let Some(number) = self.flights.find(message.id) else { return false };
        if message.kind == MessageType::Rst {
            match self.flights.get_mut(number) {
                Some(request) if request.manner == Manner::QBlock2 => self.rejects_q_block2(number),
                _ => self.fail(Failure::Reset),
            }
            return true;
        }
        self.flights.accepted(number);
        self.confirmable.take_if(|confirmable| confirmable.number == number);
        true
    }

    /// What the coming of an answer tells of the path.
    fn account(&mut self, now: Duration, number: u32, request: &Request) {
        self.confirmable.take_if(|confirmable| confirmable.number == number);
        (self.silences, self.probe) = (0, false);
        let rtt = now.saturating_sub(request.sent_at);
        // A request that was sent twice does not tell which of the two was answered (Karn's rule, RFC 6298 section 3).
        if !request.repeated || self.rtt.is_unknown() {
            self.rtt.sample(rtt);
        }
        if request.fate == Fate::Lost {
            self.counters.spurious += 1;
            self.cubic.on_spurious_loss();
            return;
        }
        let answered = Answered {
            sent_at: request.sent_at,
            bytes: request.size.bytes(),
            number,
            next: self.flights.next(),
            limited: request.limited,
        };
        self.cubic.on_answer(now, answered, &self.rtt);
    }

    fn take(&mut self, now: Duration, number: u32, request: &Request, message: &Message<'_>) {
        let busy = matches!(message.code, Code::TOO_MANY_REQUESTS | Code::SERVICE_UNAVAILABLE);
        match request.manner {
            Manner::QBlock2 if is_by_q_block2(message) => self.knows_q_block2(number, request.place, message),
            Manner::QBlock2 => {
                self.refuses_q_block2(number, message);
                self.body.want(request.block());
                if !busy {
                    return;
                }
            }
            Manner::Alone | Manner::Window => {}
        }
        match message.code {
            Code::CONTENT => self.take_content(now, request, message),
            _ if busy => self.pause(now, request, message.options.max_age()),
            code => self.refused(now, request, Refusal::Code(code)),
        }
    }

    fn take_content(&mut self, now: Duration, request: &Request, message: &Message<'_>) {
        let block = match request.manner {
            Manner::QBlock2 => message.options.q_block2().next().transpose(),
            Manner::Alone | Manner::Window => message.options.block2(),
        };
        let block = match block {
            Ok(Some(block)) => block,
            // The whole body in one message; or the other end knows no blocks.
            Ok(None) => Block { number: 0, more: false, size: BlockSize::B1024 },
            Err(_) => return self.refused(now, request, Refusal::Misfit),
        };
        let (payload, limit) = (message.payload, block.size.bytes());
        let whole = block.number == 0 && !block.more;
        let fits = if block.more { payload.len() == limit } else { whole || payload.len() <= limit };
        let smaller = block.size <= request.size || whole;
        if block.offset() != request.offset || !fits || !smaller {
            return self.refused(now, request, Refusal::Misfit);
        }
        let etag = message.options.etag().and_then(Etag::new);
        if !self.is_same(now, etag) {
            return;
        }
        if self.head.is_none() {
            let size = if whole { Some(payload.len() as u64) } else { message.options.size2().map(u64::from) };
            let size = size.filter(|size| *size > 0 || whole);
            let head = Head { size, format: message.options.content_format(), etag };
            self.head = Some(head);
            self.notices.push_back(Event::Head(head));
            if let Some(size) = size {
                self.body.set_size(size);
            }
        }
        if block.more && block.size < self.size {
            self.size = block.size;
            self.cubic.set_segment(self.segment());
        }
        self.keep(now, request, block, payload);
    }

    /// Whether an answer with this ETag belongs to the body that is fetched. If not, that begins anew.
    fn is_same(&mut self, now: Duration, etag: Option<Etag>) -> bool {
        match (self.head, self.resume) {
            (Some(head), _) if head.etag != etag => {
                self.fall_back();
                self.restart(now, Restart::Changed);
            }
            (None, Some(before)) if before != etag || etag.is_none() => {
                let unknown = before.is_none() || etag.is_none();
                self.restart(now, if unknown { Restart::NoEtag } else { Restart::Changed });
            }
            _ => return true,
        }
        false
    }

    /// Takes in a block that fits.
    fn keep(&mut self, now: Duration, request: &Request, block: Block, payload: &[u8]) {
        let Ok(new) = self.body.put(block.offset(), payload, block.more) else {
            self.fall_back();
            return self.restart(now, Restart::Changed);
        };
        self.counters.received += payload.len() as u64;
        self.counters.again += payload.len() as u64 - new;
        if new > 0 || !block.more {
            self.progress = now;
        }
        if block.more {
            // Of a request for a larger block, the rest is still to come.
            self.body.want(block.offset() + payload.len() as u64..request.block().end);
        }
        if self.halt.is_some_and(|halt| halt < self.body.front()) {
            self.halt = None;
        }
        const MOST: u32 = u32::MAX - 1;
        if let Pace::Single(left @ 1..=MOST) = self.pace {
            self.pace = if left == 1 { Pace::Window } else { Pace::Single(left - 1) };
            if left == 1 && self.counters.fallbacks > 0 {
                self.cubic.resume_after_pause();
            }
        }
    }

    /// The other end is busy: it is left alone for as long as it wants, and then asked for one block at a time (RFC 8516
    /// section 3, RFC 7252 section 5.9.3.4).
    fn pause(&mut self, now: Duration, request: &Request, max_age: Option<u32>) {
        const DEFAULT: u32 = 60;
        self.fall_back();
        self.body.want(request.block());
        let pause = Duration::from_secs(u64::from(max_age.unwrap_or(DEFAULT).max(1)));
        if now + pause > self.progress + self.config.patience {
            self.fail(Failure::Busy(pause));
            return;
        }
        self.quiet_until = self.quiet_until.max(Some(now + pause));
    }

    /// A block was refused. If it is not the lowest that is missing, it may lie beyond the end of the body, whose size is
    /// not always known: then it is asked for again when it is the lowest, and what is said then counts.
    fn refused(&mut self, now: Duration, request: &Request, why: Refusal) {
        let incomplete = why == Refusal::Code(Code::REQUEST_ENTITY_INCOMPLETE) || why == Refusal::Misfit;
        let out_of_range = incomplete || matches!(why, Refusal::Code(Code::BAD_REQUEST | Code::BAD_OPTION));
        self.body.want(request.block());
        if incomplete && request.manner != Manner::Alone && self.body.surely_has(request.offset) {
            self.fall_back();
        } else if request.offset > self.body.front() {
            self.halt = Some(self.halt.map_or(request.offset, |halt| halt.min(request.offset)));
        } else if self.head.is_none() && request.offset > 0 && out_of_range {
            let code = if let Refusal::Code(code) = why { code } else { Code::CONTENT };
            self.restart(now, Restart::NotResumable(code));
        } else {
            match why {
                Refusal::Code(Code::REQUEST_ENTITY_INCOMPLETE) if request.offset > 0 => {
                    self.restart(now, Restart::Incomplete);
                }
                Refusal::Code(code) => self.fail(Failure::Refused(code)),
                Refusal::Misfit => self.fail(Failure::Misfit),
            }
        }
    }
}
