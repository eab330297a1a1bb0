use std::time::Duration;

use lapwing_coap::peer;

use super::{Event, Operation};
use crate::account::{Record, ServerId, ServerUri};

/// Names a flow: one socket to one server, from [`Output::Open`] to [`Output::Close`]. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub(super) u64);

/// Names an operation, from [`Output::Operation`] until its end. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(super) u64);

/// Names a change that is to be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistId(pub(super) u64);

/// A place in a streamed body, in bytes from its beginning.
pub type Offset = u64;

/// Whether these bytes are the last of a streamed body.
pub type Last = bool;

/// Where a flow is to lead. The driver resolves the host anew for each one, to IPv4 and IPv6 addresses alike.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The server.
    pub server: ServerId,
    /// Its URI, with host and port.
    pub uri: ServerUri,
    /// The local port that the flow should start from, if that is free: where there is no Connection ID, the server knows the
    /// association by it. `None`: any.
    pub local_port: Option<u16>,
}

impl Target {
    /// Name or address of the host, without brackets; a zone follows `%`.
    pub fn host(&self) -> &str {
        self.uri.host()
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.uri.port()
    }
}

/// The next thing to do, from [`Client::poll_output`](super::Client::poll_output).
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<'a> {
    /// Open a flow: resolve the host, open a connected socket, and tell by [`Client::handle_flow`](super::Client::handle_flow).
    Open(FlowId, Target),
    /// Close a flow. Nothing is expected back.
    Close(FlowId),
    /// Send this datagram.
    Transmit(FlowId, &'a [u8]),
    /// Do this, and answer by [`Client::complete`](super::Client::complete). Mutations of one object are to be run one at a
    /// time in this order; everything else may run beside.
    Operation(OperationId, Operation),
    /// The next bytes of a body whose [`OperationKind::Receive`](super::OperationKind::Receive) came before: call
    /// [`Client::chunk_done`](super::Client::chunk_done) when they are stored; no further ones come before. After the last
    /// ones, answer the operation too.
    Chunk(OperationId, &'a [u8], Last),
    /// A block of a body that was answered with [`Reply::Stream`](super::Reply::Stream) is wanted: give
    /// [`Client::supply`](super::Client::supply) that many bytes from there, fewer only at the end. Offsets may repeat and jump.
    Pull(OperationId, Offset, usize),
    /// The operation is of no use any more. A read may be dropped, a body must be, and their ids are gone. A mutation that
    /// has begun runs to its end; one that has not must not begin, for its server may believe that it was refused. Both are
    /// [completed](super::Client::complete) all the same, though the answer goes nowhere.
    Abort(OperationId, Why),
    /// The answer of an Execute, or the end of a streamed body, has reached its server as far as can be known: what
    /// waits for it, such as a reboot, may begin. The id is gone.
    Settled(OperationId),
    /// Make this durable, then call [`Client::persisted`](super::Client::persisted): what acknowledges the change waits for it.
    Persist(PersistId, Record),
    /// Something happened.
    Event(Event),
    /// Nothing is left to do. Call [`Client::handle_timeout`](super::Client::handle_timeout) at that `elapsed`; `None`
    /// waits for something from outside.
    Wait(Option<Duration>, Reason),
}

/// Which timer an [`Output::Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// None is set.
    Idle,
    /// The message layer of a server: a retransmission, an ACK that is due, ...
    Peer(peer::Timer),
    /// The handshake with a server: a flight is to be sent again, or the handshake given up.
    Dtls(lapwing_dtls::Timer),
    /// A server is to show that it still knows an association of an earlier run or from another address.
    Association,
    /// A registration is to be updated before its lifetime ends.
    Lifetime,
    /// A server is to be tried again, or its Disable Timeout ends.
    Retry,
    /// An observation: pmin or pmax ends, or a failed read is tried again.
    Observation,
    /// An operation has not been answered in time.
    Operation,
    /// A bootstrap: the hold-off time, the next attempt, the end of one, or of the bootstrap server's account.
    Bootstrap,
}

/// Why an operation is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It was not answered within [`Config::operation_timeout`](super::Config::operation_timeout).
    Deadline,
    /// The body began anew with its first block; the new one is an operation of its own.
    Restarted,
    /// The next block did not come, or was not asked for, in time.
    TransferTimedOut,
    /// The server could not be reached with the answer, or has lost its registration.
    Unreachable,
    /// The body grew beyond what may be held.
    TooLarge,
    /// What was to be read is not observed any more.
    NotObserved,
}

/// What became of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowEvent {
    /// It starts from this local port. Tell it before [`FlowEvent::Opened`], where it is known: where there is no Connection ID, an
    /// association can be taken up again after a restart only from the same port.
    Bound(u16),
    /// It is open: datagrams may go and come.
    Opened,
    /// Its local address or its link has changed, for example because another network interface took over. With a Connection ID
    /// the registration goes on, and an Update tells the server; otherwise that means a new Register, at once.
    Moved,
    /// It could not be opened, or the network reports that nobody is there.
    Failed(FlowError),
    /// The socket has gone.
    Closed,
}

/// Why there is no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The host's name has no address, or nobody could be asked.
    #[error("the host cannot be resolved")]
    Unresolved,
    /// There is no way to the address, or no socket for it.
    #[error("the network is unreachable")]
    Unreachable,
    /// The host answered that nothing listens there (ICMP port unreachable).
    #[error("nothing listens at the server's address")]
    Refused,
}
