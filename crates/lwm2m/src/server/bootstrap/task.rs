//! What a bootstrap server has a client do.

use std::fmt;

use lapwing_coap::ContentFormat;

use super::SecretNode;
use crate::model::{Node, Path};

/// One request of the bootstrap interface (LwM2M core 1.1 section 6.1.7).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Task {
    /// Bootstrap-Discover of everything (the root) or of an object (section 6.1.7.3).
    Discover(Path),
    /// Bootstrap-Read; the standard permits objects 1 and 2 and their instances (section 6.1.7.4).
    Read {
        /// What to read.
        path: Path,
        /// The format asked for (Accept); without one the session's.
        format: Option<ContentFormat>,
    },
    /// Bootstrap-Write of an object with all its instances, of an instance or of a resource (section 6.1.7.5).
    Write {
        /// What to write.
        path: Path,
        /// The content, of the path's level.
        node: SecretNode,
        /// The format of the payload; without one the session's.
        format: Option<ContentFormat>,
    },
    /// Bootstrap-Delete of everything (the root), of an object or of an instance (section 6.1.7.6).
    Delete(Path),
    /// Bootstrap-Finish (section 6.1.7.2). A session whose last task is none gets one.
    Finish,
}

impl Task {
    /// A Bootstrap-Write in the format of the session.
    pub fn write(path: Path, node: Node) -> Task {
        Task::Write { path, node: node.into(), format: None }
    }

    /// A Bootstrap-Read in the format of the session.
    pub const fn read(path: Path) -> Task {
        Task::Read { path, format: None }
    }

    /// The operation and its path, without content.
    pub const fn step(&self) -> Step {
        match self {
            Task::Discover(path) => Step { operation: Operation::Discover, path: *path },
            Task::Read { path, .. } => Step { operation: Operation::Read, path: *path },
            Task::Write { path, .. } => Step { operation: Operation::Write, path: *path },
            Task::Delete(path) => Step { operation: Operation::Delete, path: *path },
            Task::Finish => Step { operation: Operation::Finish, path: Path::ROOT },
        }
    }
}

/// An operation of the bootstrap interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Bootstrap-Discover.
    Discover,
    /// Bootstrap-Read.
    Read,
    /// Bootstrap-Write.
    Write,
    /// Bootstrap-Delete.
    Delete,
    /// Bootstrap-Finish.
    Finish,
}

/// What is told of a [`Task`]: which operation on what, without the content, which may hold keys. Its `Display` is such as
/// `write /0/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The operation.
    pub operation: Operation,
    /// What it is about; the root for a Finish.
    pub path: Path,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.operation {
            Operation::Discover => "discover",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Delete => "delete",
            Operation::Finish => return f.write_str("finish"),
        };
        write!(f, "{name} {}", self.path)
    }
}
