//! Requests that are under way, and which of them count as lost (RFC 9002 section 6).

use std::{collections::VecDeque, ops::Range, time::Duration};

use super::rtt::Rtt;
use crate::{
    block::MAX_PAYLOADS,
    wire::{BlockSize, MessageId},
};

/// A request for one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) offset: u64,
    pub(super) size: BlockSize,
    pub(super) id: MessageId,
    pub(super) sent_at: Duration,
    /// Sent again as it is: an answer does not tell to which of the two it is.
    pub(super) repeated: bool,
    pub(super) manner: Manner,
    /// How many blocks its message asked for before this one.
    pub(super) place: u8,
    /// The window was full, or nearly.
    pub(super) limited: bool,
    pub(super) fate: Fate,
}

/// How a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// By Block2, and no other was to be under way.
    Alone,
    /// By Block2, as one of a window.
    Window,
    /// By Q-Block2, as one of a window, perhaps in one message with others.
    QBlock2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Flying,
    /// Acknowledged by an empty message: the answer will follow.
    Accepted,
    Answered,
    Lost,
}

impl Request {
    /// The bytes that were asked for.
    pub(super) fn block(&self) -> Range<u64> {
        self.offset..self.offset + self.size.bytes() as u64
    }

    /// The number of the first request in its message; its own is `number`.
    fn first(&self, number: u32) -> u32 {
        number - u32::from(self.place)
    }

    fn is_out(&self) -> bool {
        matches!(self.fate, Fate::Flying | Fate::Accepted)
    }
}

/// All requests that an answer may still come to, numbered in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Flights {
    requests: VecDeque<Request>,
    /// The number of the first of them.
    first: u32,
    /// None with a lower number is out.
    settled: u32,
    out: Out,
    /// The highest number that was answered.
    highest: Option<u32>,
    tolerance: Tolerance,
}

/// The requests that are out.
#[derive(Debug, Default)]
struct Out {
    count: usize,
    /// How many bytes they ask for.
    bytes: usize,
    /// How many of them were acknowledged.
    accepted: usize,
}

impl Out {
    /// A request is not out any more.
    fn leave(&mut self, request: &Request) {
        self.count -= 1;
        self.bytes -= request.size.bytes();
        self.accepted -= usize::from(request.fate == Fate::Accepted);
    }
}

/// How far an answer may be overtaken before it counts as lost. It adapts to paths that re-order (RFC 9002 section 6.1.1, RFC 8985
/// section 6.2).
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    packets: u32,
    eighths: u32,
    /// Rounds of losses since one of them was none.
    quiet: u32,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { packets: Self::PACKETS, eighths: Self::EIGHTHS, quiet: 0 }
    }
}

impl Tolerance {
    /// kPacketThreshold, and how far it may grow.
    const PACKETS: u32 = 3;
    const MOST_PACKETS: u32 = 300;
    /// kTimeThreshold, and how far it may grow, in eighths of a round trip.
    const EIGHTHS: u32 = 9;
    const MOST_EIGHTHS: u32 = 16;
    /// After so many rounds of losses that were true it is what it was (RFC 8985 section 6.2).
    const FORGET: u32 = 16;

    fn raise(&mut self, distance: u32) {
        self.packets = self.packets.max(distance.saturating_add(1)).min(Self::MOST_PACKETS);
        self.eighths = (self.eighths + 1).min(Self::MOST_EIGHTHS);
        self.quiet = 0;
    }

    fn on_losses(&mut self) {
        self.quiet += 1;
        if self.quiet >= Self::FORGET {
            *self = Self::default();
        }
    }
}

/// A request that counts as lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) number: u32,
    pub(super) request: Request,
    /// So does the one before it in its message: it was one datagram that was lost, perhaps.
    pub(super) follows: bool,
}

/// What [`Flights::lose`] has found.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub(super) requests: Vec<Lost>,
    /// They span so much time without an answer that the path must be taken for congested (RFC 9002 section 7.6.2).
    pub(super) persistent: bool,
}

impl Flights {
    /// How many requests may be out.
    pub(super) const MOST_OUT: usize = 1024;
    /// How many are remembered.
    const MOST: usize = 4 * Self::MOST_OUT;
    /// Probe time-outs that losses must span to be persistent congestion (kPersistentCongestionThreshold).
    const PERSISTENT: u32 = 3;
    /// For how many probe time-outs a lost request is remembered.
    const REMEMBERED: u32 = 4;

    /// The longest that an answer takes after its request was acknowledged; then it was lost.
    const SLOWEST: Duration = Duration::from_secs(30);

    /// The number of the next request.
    pub(super) fn next(&self) -> u32 {
        self.first + self.requests.len() as u32
    }

    /// How many bytes are out.
    pub(super) fn bytes(&self) -> usize {
        self.out.bytes
    }

    /// How many requests are out.
    pub(super) fn out(&self) -> usize {
        self.out.count
    }

    pub(super) fn push(&mut self, request: Request) {
        self.out.count += 1;
        self.out.bytes += request.size.bytes();
        self.requests.push_back(request);
    }

    /// The request was acknowledged by an empty message: its answer will follow.
    pub(super) fn accepted(&mut self, number: u32) {
        if let Some(request) = self.get_mut(number).filter(|request| request.fate == Fate::Flying) {
            request.fate = Fate::Accepted;
            self.out.accepted += 1;
        }
    }

    /// Forgets all: answers to them belong to nothing.
    pub(super) fn clear(&mut self) {
        self.first = self.next();
        self.requests.clear();
        (self.out, self.highest) = (Out::default(), None);
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Request> {
        self.requests.get_mut(number.checked_sub(self.first)? as usize)
    }

    /// The number of the request with this message ID, if it is not answered.
    pub(super) fn find(&self, id: MessageId) -> Option<u32> {
        let place = self.requests.iter().position(|request| request.id == id && request.fate != Fate::Answered)?;
        Some(self.first + place as u32)
    }

    /// The request for the block at `offset`, of those whose message begins with request `first`.
    pub(super) fn in_message(&self, first: u32, offset: u64) -> Option<u32> {
        let numbers = first..first + MAX_PAYLOADS as u32;
        let at = |number: u32| self.requests.get(number.checked_sub(self.first)? as usize);
        numbers.into_iter().find(|&number| {
            at(number).is_some_and(|request| request.first(number) == first && request.offset == offset)
        })
    }

    /// Nothing more is awaited of a message: gives those of its requests that were still out.
    pub(super) fn dismiss(&mut self, number: u32) -> Vec<Request> {
        let mut dismissed = Vec::new();
        let Some(first) = self.get_mut(number).map(|request| request.first(number)) else { return dismissed };
        for number in first..first + MAX_PAYLOADS as u32 {
            let Some(request) = self.get_mut(number).filter(|request| request.first(number) == first) else { continue };
            if request.is_out() {
                let before = *request;
                request.fate = Fate::Answered;
                self.out.leave(&before);
                dismissed.push(before);
            }
        }
        dismissed
    }

    /// A request was answered. Gives it as it was before, if this is its first answer.
    pub(super) fn answered(&mut self, number: u32) -> Option<Request> {
        let request = self.get_mut(number)?;
        let before = *request;
        request.fate = Fate::Answered;
        match before.fate {
            Fate::Answered => return None,
            Fate::Lost => {
                let distance = self.highest.map_or(0, |highest| highest.saturating_sub(number));
                self.tolerance.raise(distance);
            }
            Fate::Flying | Fate::Accepted => self.out.leave(&before),
        }
        self.highest = Some(self.highest.map_or(number, |highest| highest.max(number)));
        Some(before)
    }

    /// Takes those for lost that were overtaken by too many, or for too long (RFC 9002 section 6.1).
    pub(super) fn lose(&mut self, now: Duration, rtt: &Rtt) -> Losses {
        let mut losses = Losses::default();
        let highest = self.highest.unwrap_or(self.first);
        let patience = rtt.patience(self.tolerance.eighths);
        let (mut silence, mut before): (Option<Duration>, _) = (None, Fate::Answered);
        let from = self.unsettled();
        for (number, request) in (self.first + from as u32..).zip(self.requests.range_mut(from..)) {
            if number >= highest && self.out.accepted == 0 {
                break;
            }
            let follows = request.place > 0 && before == Fate::Lost;
            before = request.fate;
            match request.fate {
                Fate::Flying | Fate::Accepted => {
                    let lost = match request.fate {
                        Fate::Accepted => request.sent_at + Self::SLOWEST <= now,
                        _ if number >= highest => false,
                        _ => highest - number >= self.tolerance.packets || request.sent_at + patience <= now,
                    };
                    if !lost {
                        continue;
                    }
                    self.out.leave(request);
                    (request.fate, before) = (Fate::Lost, Fate::Lost);
                    losses.requests.push(Lost { number, request: *request, follows });
                }
                Fate::Answered => {
                    silence = None;
                    continue;
                }
                Fate::Lost => {}
            }
            let since = *silence.get_or_insert(request.sent_at);
            losses.persistent |= request.sent_at.saturating_sub(since) >= rtt.probe_timeout() * Self::PERSISTENT;
        }
        losses.persistent &= !losses.requests.is_empty();
        if !losses.requests.is_empty() {
            self.tolerance.on_losses();
        }
        self.forget(now, rtt);
        losses
    }

    /// The place of the first that is out, or of the first of those before it that are lost with no answer between. While a lost request is
    /// remembered there may be thousands before that, which have nothing to tell.
    fn unsettled(&mut self) -> usize {
        let mut place = self.settled.saturating_sub(self.first) as usize;
        while self.requests.get(place).is_some_and(|request| !request.is_out()) {
            place += 1;
        }
        self.settled = self.first + place as u32;
        while place > 0 && self.requests[place - 1].fate == Fate::Lost {
            place -= 1;
        }
        place
    }

    /// Takes all that are out for lost.
    pub(super) fn lose_all(&mut self) -> Vec<Request> {
        let mut lost = Vec::new();
        for request in self.requests.iter_mut().filter(|request| request.is_out()) {
            request.fate = Fate::Lost;
            lost.push(*request);
        }
        self.out = Out::default();
        lost
    }

    /// Drops what no answer is expected to any more.
    fn forget(&mut self, now: Duration, rtt: &Rtt) {
        let remembered = rtt.probe_timeout() * Self::REMEMBERED;
        while let Some(request) = self.requests.front() {
            let over = match request.fate {
                Fate::Answered => true,
                Fate::Lost => request.sent_at + remembered < now || self.requests.len() > Self::MOST,
                Fate::Flying | Fate::Accepted => false,
            };
            if !over {
                break;
            }
            self.requests.pop_front();
            self.first += 1;
        }
    }

    /// When the next request counts as lost, if it is not answered before.
    pub(super) fn loss_at(&self, rtt: &Rtt) -> Option<Duration> {
        let overtaken = self.highest.map_or(0, |highest| highest.saturating_sub(self.first)) as usize;
        let flying = self.requests.iter().take(overtaken).find(|request| request.fate == Fate::Flying);
        let mut slow = self.requests.iter().take(if self.out.accepted > 0 { self.requests.len() } else { 0 });
        let accepted = slow.find(|request| request.fate == Fate::Accepted);
        let flying = flying.map(|request| request.sent_at + rtt.patience(self.tolerance.eighths));
        let accepted = accepted.map(|request| request.sent_at + Self::SLOWEST);
        flying.into_iter().chain(accepted).min()
    }

    /// When the latest request was sent that is still out.
    pub(super) fn latest(&self) -> Option<Duration> {
        self.requests.iter().rev().find(|request| request.fate == Fate::Flying).map(|request| request.sent_at)
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.requests.capacity() * size_of::<Request>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_a_remembered_loss_and_what_is_out_is_not_looked_at() {
        let (mut flights, mut rtt) = (Flights::default(), Rtt::default());
        let second = Duration::from_secs(1);
        rtt.sample(second);
        for number in 0..100_u64 {
            let (offset, size, id) = (1024 * number, BlockSize::B1024, number as MessageId);
            let (repeated, limited, fate) = (false, false, Fate::Flying);
            let (manner, place) = (Manner::Window, 0);
            flights.push(Request { offset, size, id, sent_at: second, repeated, manner, place, limited, fate });
        }
        for number in 1..90 {
            flights.answered(number);
        }
        // Number 0 was overtaken. It is remembered, since its answer may still come.
        assert_eq!(flights.lose(second, &rtt).requests.len(), 1);
        assert_eq!((flights.requests.len(), flights.unsettled()), (100, 90));
        // Of losses without an answer between, the first tells since when there was none.
        flights.answered(98);
        assert_eq!(flights.lose(second, &rtt).requests.len(), 6);
        assert_eq!(flights.unsettled(), 90);
    }
}
