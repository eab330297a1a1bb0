use std::fmt;

use lapwing_coap::{Code, ContentFormat};

use super::Arguments;
use crate::{
    account::{ServerId, ShortServerId},
    model::{Instance, InstanceId, Node, ObjectId, Path, ResourceInstanceId},
};

/// What the engine asks of the application's objects.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// On whose behalf.
    pub origin: Origin,
    /// What to do.
    pub kind: OperationKind,
}

/// On whose behalf an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A server asked for it.
    Server(ShortServerId),
    /// A server that observes is to be notified.
    Observation(ShortServerId),
    /// The bootstrap server wrote or deleted it, and has finished: what is read-only to a server may be written. Such operations
    /// come one after the other, before the accounts are stored. One that fails has the Finish refused and the accounts stay as they
    /// were; what was done before it stays. A Delete that is refused with [`ErrorCode::MethodNotAllowed`] is passed over: what
    /// stands for a part of the device cannot go.
    Bootstrap,
}

impl Origin {
    /// The server.
    pub const fn server(self) -> ServerId {
        match self {
            Origin::Server(ssid) | Origin::Observation(ssid) => ServerId::Server(ssid),
            Origin::Bootstrap => ServerId::Bootstrap,
        }
    }
}

/// One operation of the device management or the information reporting interface (LwM2M Core 1.1 section 6.3 and 6.4).
///
/// The engine has checked it against the declared tree: the object and instance exist, resources are readable, writable or
/// executable as asked, and values have the defined types.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OperationKind {
    /// Read; answered by [`Reply::Content`] of the path's level (what is not readable left out), or [`Reply::Stream`] for
    /// a single resource.
    Read {
        /// An object, an instance, a resource or a resource instance.
        path: Path,
    },
    /// Write, as a whole or not at all; answered by [`Reply::Done`].
    Write {
        /// An instance, a resource or a resource instance.
        path: Path,
        /// What becomes of that which `node` does not name.
        mode: WriteMode,
        /// The new content, of the path's level.
        node: Node,
    },
    /// Execute; answered by [`Reply::Done`]. [`Output::Settled`](super::Output::Settled) follows a success.
    Execute {
        /// The resource.
        path: Path,
        /// Its arguments.
        arguments: Arguments,
    },
    /// Create an instance; answered by [`Reply::Created`], then [declare](super::Client::declare) the new tree.
    Create {
        /// The object.
        object: ObjectId,
        /// The number that the server chose, not yet taken; `None` lets the object choose.
        instance: Option<InstanceId>,
        /// The resources given.
        resources: Instance,
    },
    /// Delete an instance; answered by [`Reply::Done`], then [declare](super::Client::declare) the new tree.
    Delete {
        /// The instance.
        path: Path,
    },
    /// List the instances of multiple resources for a Discover; answered by [`Reply::Dimensions`].
    Discover {
        /// An object, an instance or a resource.
        path: Path,
    },
    /// A streamed resource is being written. Its bytes follow by [`Output::Chunk`](super::Output::Chunk); after the last ones
    /// it is answered by [`Reply::Done`], before by an error, which ends the transfer.
    Receive {
        /// The streamed resource.
        path: Path,
        /// The format that the server named; the bytes are the resource's value as it is.
        format: Option<ContentFormat>,
        /// Length of the value in bytes, if the server told: by Size1, which may be wrong, or by the header of a TLV, where more or
        /// fewer bytes are a damaged body.
        size: Option<u64>,
    },
}

impl OperationKind {
    /// What the operation is about; of a Create, the object.
    pub const fn path(&self) -> Path {
        match self {
            OperationKind::Read { path }
            | OperationKind::Write { path, .. }
            | OperationKind::Execute { path, .. }
            | OperationKind::Delete { path }
            | OperationKind::Discover { path }
            | OperationKind::Receive { path, .. } => *path,
            OperationKind::Create { object, .. } => Path::object(*object),
        }
    }

    /// Whether it may change something.
    pub const fn is_mutation(&self) -> bool {
        !matches!(self, OperationKind::Read { .. } | OperationKind::Discover { .. })
    }
}

/// How a Write treats what it does not name (LwM2M Core 1.1 section 6.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// PUT: the instance's writable resources or the resource's instances are replaced.
    Replace,
    /// POST, a partial update: what is not named stays.
    Update,
}

/// A successful end of an operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A mutation is done.
    Done,
    /// What was read.
    Content(Node),
    /// The number of the new instance.
    Created(InstanceId),
    /// Which instances the multiple resources at or below the path have.
    Dimensions(Vec<(Path, Vec<ResourceInstanceId>)>),
    /// What was read is long: it is [pulled](super::Output::Pull) block by block, as format OPAQUE. Only for a resource or
    /// resource instance of type Opaque; the content must not change until the operation ends.
    Stream {
        /// Length in bytes, if it is known.
        size: Option<u64>,
        /// A name for this content, 1 to 8 bytes, so that blocks of different contents are never mixed.
        etag: Vec<u8>,
    },
}

/// Why an operation failed, as the server is told it (RFC 7252 section 5.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 4.00: the content or the arguments make no sense to the object.
    #[error("4.00 Bad Request")]
    BadRequest,
    /// 4.01: the server has no right to do this.
    #[error("4.01 Unauthorized")]
    Unauthorized,
    /// 4.04: there is no such thing (any more).
    #[error("4.04 Not Found")]
    NotFound,
    /// 4.05: this cannot be done to it, or not now.
    #[error("4.05 Method Not Allowed")]
    MethodNotAllowed,
    /// 4.06: none of the formats wanted can carry the content.
    #[error("4.06 Not Acceptable")]
    NotAcceptable,
    /// 4.08: a body came incomplete.
    #[error("4.08 Request Entity Incomplete")]
    Incomplete,
    /// 4.09: the state of the object does not permit it.
    #[error("4.09 Conflict")]
    Conflict,
    /// 4.13: the body is too long.
    #[error("4.13 Request Entity Too Large")]
    TooLarge,
    /// 4.15: the format of the body is none that the object takes.
    #[error("4.15 Unsupported Content-Format")]
    UnsupportedContentFormat,
    /// 5.00: something failed here.
    #[error("5.00 Internal Server Error")]
    Internal,
    /// 5.01: not built.
    #[error("5.01 Not Implemented")]
    NotImplemented,
    /// 5.03: not now; later, perhaps.
    #[error("5.03 Service Unavailable")]
    Unavailable,
}

impl ErrorCode {
    /// The code on the wire.
    pub const fn code(self) -> Code {
        match self {
            ErrorCode::BadRequest => Code::BAD_REQUEST,
            ErrorCode::Unauthorized => Code::UNAUTHORIZED,
            ErrorCode::NotFound => Code::NOT_FOUND,
            ErrorCode::MethodNotAllowed => Code::METHOD_NOT_ALLOWED,
            ErrorCode::NotAcceptable => Code::NOT_ACCEPTABLE,
            ErrorCode::Incomplete => Code::REQUEST_ENTITY_INCOMPLETE,
            ErrorCode::Conflict => Code::CONFLICT,
            ErrorCode::TooLarge => Code::REQUEST_ENTITY_TOO_LARGE,
            ErrorCode::UnsupportedContentFormat => Code::UNSUPPORTED_CONTENT_FORMAT,
            ErrorCode::Internal => Code::INTERNAL_SERVER_ERROR,
            ErrorCode::NotImplemented => Code::NOT_IMPLEMENTED,
            ErrorCode::Unavailable => Code::SERVICE_UNAVAILABLE,
        }
    }
}

/// A change could not be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreError;

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the change could not be stored")
    }
}

impl std::error::Error for StoreError {}
