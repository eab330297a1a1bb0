use std::time::Duration;

use lapwing_coap::wire::Code;

use super::FlowError;
use crate::{
    account::{Inconsistency, ServerId, ShortServerId},
    model::Path,
};

/// What happened, for the application to know. Nothing needs to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is a DTLS association with a server, by a handshake; a Register follows.
    Secured {
        /// The server.
        server: ShortServerId,
        /// Whether an earlier session was resumed, which takes a shorter handshake.
        resumed: bool,
        /// Whether it outlives changes of the client's address (RFC 9146).
        connection_id: bool,
    },
    /// The time is not known, and a server's certificate was taken all the same, as [`Config::unknown_time`](super::Config::unknown_time)
    /// says. Its validity is checked as soon as the time is known.
    ValidityUnchecked {
        /// The server.
        server: ServerId,
    },
    /// A server has taken the registration: its requests are answered from now on.
    Registered {
        /// The server.
        server: ShortServerId,
        /// Time since the attempt began, resolving included.
        after: Duration,
    },
    /// A server has shown that it still has the registration of an earlier run: its requests are answered from now on, and it is
    /// notified of what it observed.
    Resumed {
        /// The server.
        server: ShortServerId,
        /// Time since the attempt began, resolving included.
        after: Duration,
    },
    /// A server has taken an Update.
    Updated {
        /// The server.
        server: ShortServerId,
    },
    /// An attempt to register has failed.
    RegistrationFailed {
        /// The server.
        server: ShortServerId,
        /// Why.
        reason: Failure,
        /// When the next attempt begins; `None` when the retry resources allow no more, until the network changes or
        /// [`Command::Register`].
        retry_in: Option<Duration>,
    },
    /// A registration is taken for lost; all observations have ended. The client registers anew, at once.
    ServerLost {
        /// The server.
        server: ShortServerId,
        /// Why.
        reason: Loss,
    },
    /// A server has been told that the client goes, or could not be told in time. Observations have ended.
    Deregistered {
        /// The server.
        server: ShortServerId,
        /// When the client registers anew by itself, where the server disabled it (1/x/4).
        back_in: Option<Duration>,
    },
    /// What is observed has changed: all observed paths of all servers, ascending, each once.
    Observed(Vec<Path>),
    /// A notification was never acknowledged; [`Event::ServerLost`] follows.
    NotificationLost {
        /// The server.
        server: ShortServerId,
        /// What it observed.
        path: Path,
    },
    /// A bootstrap server has written accounts in an earlier run. Comes first of all, and only where there is something stored.
    AccountsUsed {
        /// These hold; otherwise those configured do.
        stored: bool,
    },
    /// The stored accounts are damaged, or of a version that this one does not read: they are passed over.
    AccountsDamaged,
    /// The bootstrap server is asked now.
    BootstrapBegun,
    /// The bootstrap server has finished, and what it wrote is durable and in force: [`Client::accounts`](super::Client::accounts)
    /// has it.
    BootstrapFinished,
    /// The bootstrap server has finished, but what it wrote makes no accounts that the client could work with. It is told so, and
    /// may write more.
    BootstrapInconsistent(Inconsistency),
    /// The bootstrap server has finished, but what it wrote to an instance of the application's objects was refused by these. It
    /// is told so, and may write more; what was accepted before of such instances stays.
    BootstrapRefused(Path),
    /// A bootstrap has failed; the accounts are as they were.
    BootstrapFailed {
        /// Why.
        reason: Failure,
        /// When the bootstrap server is asked again; `None`: not by itself.
        retry_in: Option<Duration>,
    },
    /// The account of the bootstrap server was removed, as its time-out (0/x/12) says.
    BootstrapAccountPurged,
    /// After [`Command::Deregister`]: no server has a registration, and nothing will be sent any more until
    /// [`Command::Register`].
    Stopped,
}

/// Why an attempt to register failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// There is no flow to the server.
    #[error("{0}")]
    Flow(FlowError),
    /// The DTLS handshake came to nothing.
    #[error("no DTLS association: {0}")]
    Handshake(lapwing_dtls::Failure),
    /// The server ended the DTLS association instead of answering.
    #[error("DTLS association {0}")]
    Closed(lapwing_dtls::Closed),
    /// The server did not answer in time.
    #[error("the server does not answer")]
    TimedOut,
    /// The server answered with a reset: it is no CoAP server, or none for this.
    #[error("the server answered with a reset")]
    Reset,
    /// The server refused, with this code (LwM2M Core 1.1 section 6.2.1).
    #[error("the server refused with {0}")]
    Refused(Code),
    /// The answer breaks the protocol: a 2.01 without Location, or blocks that do not fit.
    #[error("the server's answer makes no sense")]
    Protocol,
    /// The bootstrap server said nothing for EXCHANGE_LIFETIME and had not finished (LwM2M Core 1.1 section 6.1.7).
    #[error("the bootstrap server did not finish in time")]
    Unfinished,
}

/// Why a registration is taken for lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// The server does not know the registration any more (4.04 on an Update).
    #[error("the server has forgotten the registration")]
    Forgotten,
    /// The server refused an Update with this code.
    #[error("the server refused an update with {0}")]
    Refused(Code),
    /// An Update was answered with a reset, or with something that makes no sense.
    #[error("the server's answer makes no sense")]
    Protocol,
    /// An Update was not answered.
    #[error("the server does not answer")]
    TimedOut,
    /// A notification was not acknowledged.
    #[error("a notification was not acknowledged")]
    NotificationTimedOut,
    /// The local address changed or the flow ended, and without a Connection ID a server knows a client by its address.
    #[error("the client's address has changed")]
    Moved,
    /// The DTLS association has ended, and not by this client.
    #[error("DTLS association {0}")]
    Closed(lapwing_dtls::Closed),
    /// The record numbers of the DTLS association are used up, and no further ones could be reserved since the store fails.
    #[error("the DTLS association cannot be stored")]
    NotStored,
}

/// What an application may ask of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Send an Update now, to one server or to all that have a registration.
    Update(Option<ShortServerId>),
    /// De-register everywhere; [`Event::Stopped`] comes when it is done, at the latest after MAX_TRANSMIT_WAIT.
    Deregister,
    /// Register with every server that has no registration: after [`Command::Deregister`], or at once instead of at the
    /// next attempt.
    Register,
    /// Ask the bootstrap server, at once, where there is one.
    Bootstrap,
    /// The network has changed (a link came up, a route, an address): every server that is being waited for is tried at once.
    /// What changed for a certain flow is told by [`FlowEvent::Moved`](super::FlowEvent::Moved).
    NetworkChanged,
}
