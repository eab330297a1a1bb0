//! Everything that one remote end needs, sans-IO: the message layer, exchanges, block-wise transfer and observation of
//! RFC 7252, RFC 7959 and RFC 7641, composed. LwM2M lives above.
//!
//! A [`Peer`] reads no clock and opens no socket. `now` is the time elapsed since any fixed moment; it must not go back. After
//! each call that takes `&mut self`, poll in this order until each gives `None`: [`Peer::poll_event`],
//! [`Peer::poll_transmit`]; then wait until [`Peer::poll_timeout`].
//!
//! An event that [`Peer::handle_datagram`] gives may be younger than what then comes of [`Peer::poll_event`]: a body that begins anew is
//! an [`Event::Upload`] first, and the [`Event::Aborted`] of the old one follows. Their ids tell them apart.
//!
//! Nothing that comes from the network makes a call fail: noise is counted ([`Peer::counters`]) and answered as RFC 7252 has it.
//! Calls with an id that is no longer known do nothing: the other end may have ended the exchange at any time.

mod call;
mod config;
mod download;
mod event;
mod incoming;
mod messages;
mod notifier;
mod requester;
mod responder;
mod run;
mod settle;
mod timeout;
mod transfer;
mod upload;

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};

use rand_chacha::rand_core::Rng;

pub use call::{Body, Download, Outgoing, Receive, Reply};
pub use config::{Config, Offer};
pub use event::{Abort, Event, Failure, Outcome, Request, Response};

pub use crate::{
    exchange::{ExchangeId, NotificationId, RequestId},
    message::Transmission,
};

use crate::{
    block::Snapshots,
    exchange::{Exchange, Owner, Requests, Settling},
    observe::Observers,
    wire::MessageId,
};
use messages::Messages;

/// The timers of a peer, as reasons to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A confirmable message was not acknowledged: send it again, or give up (RFC 7252 section 4.2).
    Retransmission,
    /// A confirmable request is still not answered: its empty ACK leaves (RFC 7252 section 5.2.2).
    Acknowledgement,
    /// An outbound request was acknowledged, but its response has not come.
    Response,
    /// A block-wise transfer or snapshot was not continued.
    Transfer,
    /// An answer settles.
    Settle,
}

/// What came in and was not passed on, and what was sent again. Counted since the peer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams that are not valid CoAP messages, or use reserved codes and types.
    pub malformed: u64,
    /// Messages that came before and were answered from memory or dropped.
    pub duplicates: u64,
    /// ACKs, resets and responses that belong to nothing here.
    pub unmatched: u64,
    /// Requests and responses refused for an unknown critical option.
    pub bad_options: u64,
    /// Requests refused with 5.03 because a bound was met.
    pub overload: u64,
    /// Requests dropped while [`Peer::set_silent`] was on.
    pub silenced: u64,
    /// Notifications that were older than one already delivered (RFC 7641 section 3.4).
    pub stale: u64,
    /// Confirmable messages sent again.
    pub retransmissions: u64,
    /// Requests for a block in a wrong order (4.08).
    pub gaps: u64,
}

/// Bytes held for one remote end, by kind; see [`Config`] for the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Answered messages, remembered for their duplicates. At most [`Config::answers`].
    pub answers: usize,
    /// Bodies being reassembled. At most [`Config::max_body`].
    pub bodies_in: usize,
    /// Snapshots being handed out in blocks. At most [`Config::max_body`] and some 100 bytes.
    pub snapshots: usize,
    /// Open exchanges of the other end and their answers on the way. At most [`Config::max_exchanges`] of some 1.2 KiB.
    pub exchanges: usize,
    /// Own requests, with their bodies: as many as the engine makes.
    pub requests: usize,
    /// Observations, both ways, with the notifications on their way.
    pub observations: usize,
}

impl Memory {
    /// What the other end can cause by itself, beyond observations: at most 192 KiB with the default [`Config`].
    pub fn bounded(&self) -> usize {
        self.answers + self.bodies_in + self.snapshots + self.exchanges
    }

    /// The sum of all.
    pub fn total(&self) -> usize {
        self.bounded() + self.requests + self.observations
    }
}

/// All protocol state of one remote end.
pub struct Peer {
    messages: Messages,
    /// The time of the last call that told it.
    now: Duration,
    /// The last exchange or notification.
    serial: u64,
    silent: bool,
    offer: Offer,
    /// What shows that the other end is where its requests come from, once it was told.
    echo: Option<u64>,
    /// It has shown that.
    reached: bool,
    exchanges: Vec<Exchange>,
    settling: Vec<Settling>,
    snapshots: Snapshots,
    requests: Requests,
    observers: Observers,
    events: VecDeque<Event<'static>>,
    /// The body of the last event, until the next call.
    delivered: Vec<u8>,
}

impl Peer {
    /// For how many events an empty queue keeps its memory.
    const EVENTS_KEPT: usize = 8;

    /// A peer about which nothing is known yet. `seed` must be unpredictable: tokens, message IDs and time-outs are drawn
    /// from it (RFC 7252 sections 4.4, 5.3.1).
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        let (max_body, max_observations) = (config.max_body, config.max_observations);
        let mut messages = Messages::new(config, seed);
        Self {
            now: Duration::ZERO,
            serial: 0,
            silent: false,
            offer: Offer::Nobody,
            echo: None,
            reached: false,
            exchanges: Vec::new(),
            settling: Vec::new(),
            snapshots: Snapshots::new(max_body),
            requests: Requests::new(messages.rng.next_u32() as u16),
            observers: Observers::new(max_observations, messages.rng.next_u32() & 0xffff),
            events: VecDeque::new(),
            delivered: Vec::new(),
            messages,
        }
    }

    /// What the peer was configured with.
    pub fn config(&self) -> &Arc<Config> {
        &self.messages.config
    }

    /// The next event that a timer or a call has caused.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.release_delivered();
        let event = self.events.pop_front();
        if event.is_none() && self.events.capacity() > Self::EVENTS_KEPT {
            self.events.shrink_to(Self::EVENTS_KEPT);
        }
        event
    }

    /// Appends the next datagram to `buffer` and gives its place there. Confirmable messages that waited for others begin their
    /// time-out `now`.
    pub fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        self.messages.start_flights(now);
        self.messages.outbox.pop(buffer)
    }

    /// A message ID for a message that something else sends on the same connection, as [`fetch`](crate::fetch) does.
    pub fn next_message_id(&mut self) -> MessageId {
        self.messages.next_id()
    }

    /// While silent, requests are dropped without any state or answer.
    pub fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Lets a GET ask for several blocks by Q-Block2 (RFC 9177). Without, which is the default, that is answered 4.02.
    pub fn offer_q_block2(&mut self, offer: Offer) {
        self.offer = offer;
    }

    /// What was not passed on.
    pub fn counters(&self) -> Counters {
        self.messages.counters
    }

    /// How many bytes are held.
    pub fn memory(&self) -> Memory {
        let (requests, observations) = self.requests.memory();
        let flights = &self.messages.flights;
        let own = |owner| matches!(owner, Owner::Request(..) | Owner::Ping(_));
        let exchanges = self.exchanges.capacity() * size_of::<Exchange>()
            + self.settling.capacity() * size_of::<Settling>()
            + self.events.capacity() * size_of::<Event<'_>>()
            + flights.memory(|owner| matches!(owner, Owner::Response(_)))
            + flights.spare_memory()
            + self.messages.outbox.memory();
        let notifications = flights.memory(|owner| matches!(owner, Owner::Notification(..)));
        Memory {
            answers: self.messages.answers.memory(),
            bodies_in: self.bodies_in(),
            snapshots: self.snapshots.memory(),
            exchanges,
            requests: requests + flights.memory(own),
            observations: observations + self.observers.memory() + notifications,
        }
    }

    /// Bytes of all bodies that are being reassembled, and of one that has just been handed out.
    fn bodies_in(&self) -> usize {
        let requests = self.requests.iter().filter_map(|request| request.assembly.as_ref());
        self.delivered.capacity()
            + self.exchanges.iter().map(|exchange| exchange.body.memory()).sum::<usize>()
            + requests.map(|assembly| assembly.body.capacity()).sum::<usize>()
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
