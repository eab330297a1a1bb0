//! What the engine tells its caller.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lapwing_coap::wire::Code;

use super::{Channel, Fetch, LogEntry, Registration, RequestError, RequestId, Response, Update};
use crate::model::Path;

/// The next thing to do, from [`Server::poll_output`](super::Server::poll_output).
#[derive(Debug)]
pub enum ServerOutput<'a> {
    /// Send this datagram there, from that socket.
    Transmit(Channel, SocketAddr, &'a [u8]),
    /// A request has ended: its answer, or why there is none. Exactly one for every request that was not cancelled.
    Answer(RequestId, Result<Response, RequestError>),
    /// A block of a [`Request::Push`](super::Request::Push) is wanted: where it begins and how long it is, in bytes.
    /// [`Server::supply`](super::Server::supply) it. It may go back to 0 when the client asks for smaller blocks.
    Pull(RequestId, u64, usize),
    /// Somebody asks for what the caller may have: [`Server::answer_fetch`](super::Server::answer_fetch) it. Only with
    /// [`ServerConfig::hosts`](super::ServerConfig::hosts).
    Fetch(Fetch),
    /// Something happened.
    Event(ServerEvent),
    /// Nothing is left to do. Call [`Server::handle_timeout`](super::Server::handle_timeout) at that `elapsed`; `None`
    /// waits for a datagram or a request.
    Wait(Option<Duration>, Reason),
}

/// Which timer a [`ServerOutput::Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// None is set.
    Idle,
    /// A peer's message layer or handshake: a retransmission, an ACK that is due, a cache that ages.
    Peer,
    /// A registration that lapses.
    Lifetime,
    /// A request's deadline.
    Request,
    /// An observation that is asked for again.
    Observation,
}

/// What happened. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A Register was answered 2.01. Comes after [`ServerEvent::Deregistered`] of the registration it replaced, if any.
    Registered {
        /// The new registration.
        registration: Arc<Registration>,
        /// The one of the same endpoint that it replaced.
        previous: Option<Arc<Registration>>,
    },
    /// An Update was answered 2.04.
    Updated {
        /// As it is now.
        registration: Arc<Registration>,
        /// As it was.
        previous: Arc<Registration>,
        /// What the client named.
        update: Arc<Update>,
    },
    /// A client that is registered over DTLS has sent its newest record from another address: its Connection ID and keys tell that it is
    /// the same (RFC 9146). Nothing else has changed.
    Moved {
        /// As it is now.
        registration: Arc<Registration>,
        /// As it was.
        previous: Arc<Registration>,
    },
    /// A registration ended.
    Deregistered {
        /// As it was last.
        registration: Arc<Registration>,
        /// Why.
        why: Deregistration,
    },
    /// An observed value came: also the answer that begins an observation anew after a Register.
    Notification {
        /// Who sent it.
        registration: Arc<Registration>,
        /// What is observed.
        path: Path,
        /// The value, decoded as a Read's is; a content that could not be understood is
        /// [`Content::Unknown`](super::Content::Unknown).
        response: Arc<Response>,
    },
    /// An observation is no more, and is not asked for again.
    ObservationEnded {
        /// Whose.
        endpoint: Arc<str>,
        /// What was observed.
        path: Path,
        /// Why.
        why: ObservationEnd,
    },
    /// A message came or went; only while [`Server::set_log_events`](super::Server::set_log_events) is on.
    Exchanged(Arc<LogEntry>),
}

/// Why a registration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deregistration {
    /// The client asked for it.
    Asked,
    /// No Update came within its lifetime and grace.
    Expired,
    /// The same endpoint registered anew.
    Replaced,
    /// [`Server::forget`](super::Server::forget) was called: the client is not told.
    Forgotten,
}

/// Why an observation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObservationEnd {
    /// It was cancelled here, actively or passively.
    Cancelled,
    /// The client ended it with this code, or refused to take it up again (RFC 7641 section 4.2).
    Refused(Code),
    /// The client answered 2.05 without Observe: it does not notify (any more).
    NotObservable,
    /// The endpoint has not been registered for long, and others are remembered instead.
    Forgotten,
}
