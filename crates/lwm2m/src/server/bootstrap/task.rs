//! What a bootstrap server has a client do.

use std::fmt;

use lapwing_coap::ContentFormat;

use super::SecretNode;
use crate::model::{Node, Path};

/// One request of the bootstrap interface (LwM2M core 1.1 section 6.1.7). Its `Display` is one line without values.
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

    /// What it is about, `None` for a Finish.
    pub const fn path(&self) -> Option<&Path> {
        match self {
            Task::Discover(path) | Task::Delete(path) | Task::Read { path, .. } | Task::Write { path, .. } => {
                Some(path)
            }
            Task::Finish => None,
        }
    }

    /// The name of the operation: `discover`, `read`, `write`, `delete` or `finish`.
    pub const fn name(&self) -> &'static str {
        match self {
            Task::Discover(_) => "discover",
            Task::Read { .. } => "read",
            Task::Write { .. } => "write",
            Task::Delete(_) => "delete",
            Task::Finish => "finish",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.path().map_or(Ok(()), |path| write!(f, " {path}"))
    }
}
