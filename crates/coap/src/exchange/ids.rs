//! Names of exchanges.

use crate::wire::Token;

/// An inbound request: from its first datagram until its answer is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub(crate) u64);

/// An outbound request, and the observation that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) u64);

/// One notification sent to an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NotificationId(pub(crate) u64);

/// What a confirmable message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A request, or the request for a further block of its response.
    Request(RequestId, Token),
    /// A separate response.
    Response(ExchangeId),
    /// A notification, of the observation with this token.
    Notification(NotificationId, Token),
    /// A ping.
    Ping(RequestId),
}
