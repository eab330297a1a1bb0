//! What a server asks of a client (LwM2M core 1.1 section 6.3 and 6.4) and what comes back.

use lapwing_coap::{ContentFormat, link::Link, peer::Failure, wire::Code};

use crate::{
    attributes::Changes,
    model::{Instance, InstanceId, Node, ObjectId, Path},
};

/// Names a request that [`Server::request`](super::Server::request) took, until its
/// [`ServerOutput::Answer`](super::ServerOutput::Answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// How a Write treats what it does not name (LwM2M core 1.1 section 6.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// PUT: the instance or resource is replaced.
    #[default]
    Replace,
    /// POST, a partial update: what is not named stays.
    Update,
}

/// One operation. `format: None` lets the engine choose. A Write or a Create is then in TLV; a Read or an Observe has no
/// Accept, so that the client answers in the format it prefers, unless it registered one (`ct`) that is not understood
/// here: then TLV is asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// Read an object, an instance, a resource or a resource instance.
    Read {
        /// What to read.
        path: Path,
        /// The format asked for (Accept).
        format: Option<ContentFormat>,
    },
    /// Read and be notified of changes from then on.
    Observe {
        /// What to observe; observing what is observed already asks anew.
        path: Path,
        /// The format asked for (Accept).
        format: Option<ContentFormat>,
    },
    /// End an observation by GET with Observe 1. The passive way is
    /// [`Server::forget_observation`](super::Server::forget_observation).
    CancelObservation {
        /// What is observed.
        path: Path,
    },
    /// Write to an instance or a resource.
    Write {
        /// What to write.
        path: Path,
        /// Replace or update.
        mode: WriteMode,
        /// The format of the payload.
        format: Option<ContentFormat>,
        /// The content, of the path's level.
        node: Node,
    },
    /// Write an opaque resource by PUT in blocks that are asked for one by one with
    /// [`ServerOutput::Pull`](super::ServerOutput::Pull), so that the value is nowhere held. That one asks from some offset on tells
    /// that the client has taken what is before; the time-out of the request begins anew each time.
    Push {
        /// The resource.
        path: Path,
        /// How long the value is, in bytes; it is sent as Size1. At most [`Request::LONGEST_PUSH`].
        size: u64,
    },
    /// Execute a resource.
    Execute {
        /// The resource.
        path: Path,
        /// The arguments as the standard writes them, `0='text',1`; empty when there are none.
        arguments: String,
    },
    /// Create an instance.
    Create {
        /// In which object.
        object: ObjectId,
        /// Its id, or `None` to let the client choose.
        instance: Option<InstanceId>,
        /// The format of the payload.
        format: Option<ContentFormat>,
        /// Its resources.
        resources: Instance,
    },
    /// Delete an instance.
    Delete {
        /// The instance.
        path: Path,
    },
    /// List an object, an instance or a resource with attributes.
    Discover {
        /// What to list.
        path: Path,
    },
    /// Set the attributes of an object, an instance or a resource.
    WriteAttributes {
        /// Whose.
        path: Path,
        /// Which, and to what; one without a value is removed.
        changes: Changes,
    },
}

impl Request {
    /// The longest value of a [`Request::Push`], in bytes: as many blocks of 1,024 bytes as Block1 can number (RFC 7959 section
    /// 2.2). A client that asks for smaller blocks takes less.
    pub const LONGEST_PUSH: u64 = 1024 << 20;

    /// What the request is about; of a Create, the object or the instance it names.
    pub fn path(&self) -> Path {
        match self {
            Request::Read { path, .. }
            | Request::Observe { path, .. }
            | Request::CancelObservation { path }
            | Request::Write { path, .. }
            | Request::Push { path, .. }
            | Request::Execute { path, .. }
            | Request::Delete { path }
            | Request::Discover { path }
            | Request::WriteAttributes { path, .. } => *path,
            Request::Create { object, instance: None, .. } => Path::object(*object),
            Request::Create { object, instance: Some(instance), .. } => Path::object(*object).instance(*instance),
        }
    }
}

/// An answer's payload, understood.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// None, or none that has a meaning here (the diagnostic text of an error is in [`Response::payload`]).
    None,
    /// A value of the path's level.
    Node(Node),
    /// The links of a Discover.
    Links(Vec<Link>),
    /// A payload that could not be understood: why. Only in a notification; the answer to a request is then
    /// [`RequestError::Unreadable`].
    Unknown(String),
}

/// A client's answer. A code of class 4 or 5 is an answer too.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The code, for example 2.05 or 4.04.
    pub code: Code,
    /// The payload, understood.
    pub content: Content,
    /// The payload's format.
    pub format: Option<ContentFormat>,
    /// The payload as it came, blocks put together.
    pub payload: Vec<u8>,
    /// The path in the Location of a 2.01.
    pub location: Option<Path>,
    /// Whether it carries Observe: the answer to an Observe that began an observation, or a notification.
    pub observe: Option<u32>,
}

impl Response {
    /// Whether an observation goes on with it.
    pub fn observes(&self) -> bool {
        self.observe.is_some() && self.code.is_success()
    }

    /// The diagnostic text of an error (RFC 7252 section 5.5.2).
    pub fn diagnostic(&self) -> Option<&str> {
        if self.code.is_success() || self.payload.is_empty() { None } else { std::str::from_utf8(&self.payload).ok() }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no such registration (any more).
    #[error("no such registration")]
    NotRegistered,
    /// The DTLS session of the client has ended, at the latest before the answer came. It can be asked again after its next Register or
    /// Update.
    #[error("the client has no secure session now")]
    NotConnected,
    /// The registration ended before the answer came.
    #[error("the registration ended before the answer came")]
    RegistrationEnded,
    /// The path to cancel the observation of is not observed.
    #[error("{0} is not observed")]
    NotObserved(Path),
    /// The request makes no sense to the client's objects or cannot be put into the format.
    #[error("{0}")]
    Invalid(String),
    /// Too many open requests to this client, or observations of it.
    #[error("too many open requests or observations")]
    TooMany,
    /// No answer came in time, neither an acknowledgement nor a response.
    #[error("the client did not answer in time")]
    TimedOut,
    /// The client answered RST.
    #[error("the client refused the message (RST)")]
    Reset,
    /// The client's answer broke the rules of the message layer, or was too large.
    #[error("the answer could not be received: {0}")]
    Failed(String),
    /// The server has stopped: from drivers, never from the engine.
    #[error("the server has stopped")]
    Stopped,
    /// An answer came that cannot be understood.
    #[error("the answer {code} could not be understood: {reason}")]
    Unreadable {
        /// Its code.
        code: Code,
        /// Its format.
        format: Option<ContentFormat>,
        /// Its payload.
        payload: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> RequestError {
        match failure {
            Failure::TimedOut => RequestError::TimedOut,
            Failure::Reset => RequestError::Reset,
            Failure::TooMany => RequestError::TooMany,
            other => RequestError::Failed(other.to_string()),
        }
    }
}
