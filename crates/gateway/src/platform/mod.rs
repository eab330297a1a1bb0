//! What the objects need from the machine, in domain types and without a word about who provides it.
//!
//! The traits are object safe; their methods return boxed futures, so that a back-end may ask another program.

mod host;
mod inspector;
mod network;
mod supervisor;
mod updater;

pub use futures_util::future::BoxFuture;
pub use host::{Host, Identity, Memory, PowerKind, PowerSource, Time, Versions};
pub use inspector::Inspector;
pub use network::{Bearer, DefaultRoute, Link, LinkAddress, LinkId, Network};
pub use supervisor::Supervisor;
pub use updater::{Confirm, Progress, Updater, Watch};

/// Why a platform could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process, or the configuration, may not do this. Trying again does not help.
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// The back-end failed; it may work another time.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done, with the file or program it was done to.
        what: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// A failure of `what` because of `source`.
    pub fn failed(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed { what: what.into(), source: source.into() }
    }
}

/// The result of asking a platform.
pub type Result<T, E = Error> = std::result::Result<T, E>;
