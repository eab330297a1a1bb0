//! What the bootstrap engine tells its caller.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use lapwing_coap::{ContentFormat, wire::Code};

use super::Step;
use crate::{
    Now,
    server::{Identity, RequestError, Response},
};

/// Names a session for as long as the server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(super) u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something that happened in a session. Cheap to clone; no key is in it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// In which session; a Bootstrap-Request that was refused has one of its own.
    pub session: SessionId,
    /// Whose.
    pub endpoint: Arc<str>,
    /// When.
    pub time: Now,
    /// What.
    pub what: Happening,
}

/// What happened in a session, in the order in which it does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Happening {
    /// A Bootstrap-Request came.
    Requested {
        /// From there.
        address: SocketAddr,
        /// Who the client has shown itself to be; over plain CoAP nobody.
        identity: Option<Identity>,
        /// The content format that the client prefers (`pct`).
        format: Option<ContentFormat>,
        /// Query parameters that the standard does not name.
        attributes: Arc<BTreeMap<String, String>>,
    },
    /// It was answered 2.04; the tasks follow.
    Begun,
    /// A task was sent.
    Sent {
        /// Which.
        task: Step,
        /// The format of its payload, where it has one.
        format: Option<ContentFormat>,
    },
    /// A task was answered; a code of class 4 or 5 is an answer too.
    Answered {
        /// Which.
        task: Step,
        /// The answer, understood.
        response: Arc<Response>,
    },
    /// The client has answered the Finish with a success.
    Finished,
    /// The session has failed; the client keeps its old configuration.
    Failed(Failure),
}

/// Why a session failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Who asked is not known to be this endpoint; answered 4.00.
    #[error("the client did not prove to be this endpoint")]
    Unauthorized,
    /// There is nothing to bring to this endpoint; answered 4.00.
    #[error("there is no configuration for this endpoint")]
    NoPlan,
    /// There are too many sessions; answered 5.03.
    #[error("there are too many sessions")]
    TooMany,
    /// Its task had no answer.
    #[error("{task}: {why}")]
    Unanswered {
        /// Which task.
        task: Step,
        /// What came instead.
        why: RequestError,
    },
    /// The client answered a task with an error, and the plan stops then.
    #[error("{task} was answered {code}")]
    Refused {
        /// Which task.
        task: Step,
        /// The answer.
        code: Code,
    },
    /// The client does not accept the configuration as a whole: 4.06, or another error.
    #[error("the client refused to finish with {0}")]
    FinishRefused(Code),
    /// The answer to the Discover does not tell which account of the client is that of this server.
    #[error("the client did not tell which of its Security instances is this server's")]
    NoOwnAccount,
    /// The same endpoint asked anew.
    #[error("the client asked anew")]
    Replaced,
    /// The endpoint's plan was removed, or [`Server::cancel`](super::Server::cancel) called.
    #[error("it was cancelled")]
    Cancelled,
}
