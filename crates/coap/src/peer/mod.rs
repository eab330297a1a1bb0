//! Everything that one remote end needs, sans-IO: the message layer, exchanges, block-wise transfer and observation of
//! RFC 7252, RFC 7959 and RFC 7641, composed. LwM2M lives above.
//!
//! A [`Peer`] reads no clock and opens no socket. `now` is the time elapsed since any fixed moment; it must not go back. After
//! each call that takes `&mut self`, poll in this order until each gives `None`: [`Peer::poll_event`],
//! [`Peer::poll_transmit`]; then wait until [`Peer::poll_timeout`].
//!
//! Nothing that comes from the network makes a call fail: noise is counted ([`Peer::counters`]) and answered as RFC 7252 has it.
//! Calls with an id that is no longer known do nothing: the other end may have ended the exchange at any time.

mod call;
mod config;
mod event;

use std::{ops::Range, sync::Arc, time::Duration};

pub use call::{Body, Download, Outgoing, Receive, Reply};
pub use config::{Config, Transmission};
pub use event::{Abort, Event, ExchangeId, Failure, NotificationId, Outcome, Request, RequestId, Response};

use crate::wire::{Code, Token};

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
    /// Snapshots being handed out in blocks. At most [`Config::max_body`].
    pub snapshots: usize,
    /// Open exchanges and requests, and datagrams that wait to be sent or acknowledged.
    pub exchanges: usize,
    /// Observations, both ways.
    pub observations: usize,
}

impl Memory {
    /// The sum of all.
    pub fn total(&self) -> usize {
        self.answers + self.bodies_in + self.snapshots + self.exchanges + self.observations
    }
}

/// All protocol state of one remote end.
pub struct Peer {
    config: Arc<Config>,
}

impl Peer {
    /// A peer about which nothing is known yet. `seed` must be unpredictable: tokens, message IDs and time-outs are drawn
    /// from it (RFC 7252 sections 4.4, 5.3.1).
    pub fn new(config: Arc<Config>, seed: [u8; 32]) -> Self {
        let _ = seed;
        Self { config }
    }

    /// What the peer was configured with.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes in one datagram. At most one event comes of it directly; others that it causes follow in
    /// [`Peer::poll_event`].
    pub fn handle_datagram<'a>(&'a mut self, now: Duration, datagram: &'a [u8]) -> Option<Event<'a>> {
        let _ = (now, datagram);
        todo!()
    }

    /// Does what is due. Call at the time that [`Peer::poll_timeout`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Duration) {
        let _ = now;
        todo!()
    }

    /// When [`Peer::handle_timeout`] is to be called next, and what for.
    pub fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        todo!()
    }

    /// The next event that a timer or a call has caused.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        todo!()
    }

    /// Appends the next datagram to `buffer` and gives its place there.
    pub fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        let _ = (now, buffer);
        todo!()
    }

    /// Answers a request; a body longer than one block is held as a snapshot with an ETag while its blocks are fetched.
    ///
    /// Works for an [`Event::Upload`] that is refused, too, and at any time while a body is being streamed in.
    pub fn respond(&mut self, now: Duration, exchange: ExchangeId, reply: Reply<'_>) {
        let _ = (now, exchange, reply);
        todo!()
    }

    /// Answers a request with a body that is pulled block by block; `reply.body` is ignored. `size` in bytes, if known, is
    /// sent as Size2. An [`Event::Pull`] follows for the block that the request asked for, usually the first. The exchange stays
    /// open until the body's end was sent, and then until it settles, or until it is aborted.
    pub fn respond_streamed(&mut self, now: Duration, exchange: ExchangeId, reply: Reply<'_>, size: Option<u64>) {
        let _ = (now, exchange, reply, size);
        todo!()
    }

    /// Gives the bytes that an [`Event::Pull`] asked for: exactly its `length`, or fewer with `last`.
    /// Other offsets than the one asked for are ignored.
    pub fn supply(&mut self, now: Duration, exchange: ExchangeId, offset: u64, bytes: &[u8], last: bool) {
        let _ = (now, exchange, offset, bytes, last);
        todo!()
    }

    /// Decides how the body behind an [`Event::Upload`] is received. With [`Receive::Stream`] the first block counts as the first
    /// chunk and its 2.31 waits for [`Peer::chunk_done`].
    pub fn receive(&mut self, now: Duration, exchange: ExchangeId, how: Receive) {
        let _ = (now, exchange, how);
        todo!()
    }

    /// A streamed block is stored: its 2.31 may leave. After the last block this does nothing: that one is answered by
    /// [`Peer::respond`]. An error is answered, and ends the exchange: later blocks get 4.08.
    pub fn chunk_done(&mut self, now: Duration, exchange: ExchangeId, result: Result<(), Code>) {
        let _ = (now, exchange, result);
        todo!()
    }

    /// Forgets an exchange without an answer. A duplicate of its request is dropped too.
    pub fn drop_exchange(&mut self, exchange: ExchangeId) {
        let _ = exchange;
        todo!()
    }

    /// While silent, requests are dropped without any state or answer.
    pub fn set_silent(&mut self, silent: bool) {
        let _ = silent;
        todo!()
    }

    /// Sends a request. It ends with [`Event::Response`], the last [`Event::Download`] or [`Event::Failed`], unless the response
    /// starts an observation: that ends with an [`Event::Notification`] without Observe, or [`Peer::cancel`].
    pub fn request(&mut self, now: Duration, request: Outgoing<'_>) -> RequestId {
        let _ = (now, request);
        todo!()
    }

    /// Gives the bytes that an [`Event::PullRequest`] asked for: exactly its `length`, or fewer with `last`.
    pub fn supply_request(&mut self, now: Duration, request: RequestId, offset: u64, bytes: &[u8], last: bool) {
        let _ = (now, request, offset, bytes, last);
        todo!()
    }

    /// The block of an [`Event::Download`] is stored: the next one may be asked for.
    pub fn download_done(&mut self, now: Duration, request: RequestId) {
        let _ = (now, request);
        todo!()
    }

    /// Forgets a request or an observation; no event follows. What still comes for it is rejected with a reset, which
    /// ends an observation at the other end (RFC 7641 section 3.6).
    pub fn cancel(&mut self, request: RequestId) {
        let _ = request;
        todo!()
    }

    /// Ends an observation with a request of the same token and Observe 1 (RFC 7641 section 3.6). `request` must have the
    /// options of the one that began it. The answer comes under the new id; the old one gets no more events.
    pub fn cancel_observation(&mut self, now: Duration, observation: RequestId, request: Outgoing<'_>) -> RequestId {
        let _ = (now, observation, request);
        todo!()
    }

    /// Asks whether the other end is there (RFC 7252 section 4.3): ends with [`Failure::Pong`] or [`Failure::TimedOut`].
    pub fn ping(&mut self, now: Duration) -> RequestId {
        let _ = now;
        todo!()
    }

    /// Notifies an observer, known by the token of its request, of a new representation. Confirmable where asked for, and at least
    /// once in [`Config::confirmable_interval`]. While an older one is not acknowledged, this one takes its place at its
    /// next retransmission (RFC 7641 section 4.5.2). A code that is not 2.xx ends the observation. A token that does not
    /// observe gives [`Outcome::Superseded`].
    pub fn notify(&mut self, now: Duration, token: Token, reply: Reply<'_>, confirmable: bool) -> NotificationId {
        let _ = (now, token, reply, confirmable);
        todo!()
    }

    /// Ends an observation of the other end: for a GET with Observe 1, or when what it observes has gone.
    pub fn unobserve(&mut self, token: Token) {
        let _ = token;
        todo!()
    }

    /// Whether this token observes.
    pub fn is_observing(&self, token: Token) -> bool {
        let _ = token;
        todo!()
    }

    /// What was not passed on.
    pub fn counters(&self) -> Counters {
        todo!()
    }

    /// How many bytes are held.
    pub fn memory(&self) -> Memory {
        todo!()
    }
}
