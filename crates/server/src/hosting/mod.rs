//! Files that clients fetch or are sent: the folder they lie in, and how far each transfer has come. No file is held in memory.

mod error;
mod folder;
mod held;
mod name;
mod transfers;
mod upload;

use std::net::SocketAddr;

pub use self::folder::FileLimits;
pub(crate) use self::{
    error::FileError,
    folder::{Files, Hosted, prepare},
    held::Held,
    name::FileName,
    transfers::{Transfer, TransferId, TransferKind, TransferState, Transfers, tag as tag_of},
    upload::Upload,
};

/// The first segment of the path under which files are, over CoAP and over HTTP.
pub(crate) const FOLDER: &str = "files";
/// The parameter that tells for which transfer a file is fetched.
pub(crate) const TAG: &str = "to";

/// All that belongs to files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Hosting {
    pub(crate) files: Files,
    pub(crate) transfers: Transfers,
    /// Where the HTTP side listens.
    pub(crate) http: SocketAddr,
}

impl Hosting {
    /// The file of a path below the root, `files/NAME`.
    pub(crate) fn open<'a>(&self, mut path: impl Iterator<Item = &'a str>) -> Result<(FileName, Held), FileError> {
        let (Some(FOLDER), Some(name), None) = (path.next(), path.next(), path.next()) else {
            return Err(FileError::NotFound);
        };
        // What cannot be a name names nothing.
        let name: FileName = name.parse().map_err(|_| FileError::NotFound)?;
        let held = self.files.open(&name)?;
        Ok((name, held))
    }
}

/// The value of [`TAG`] in a query.
pub(crate) fn tag<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    arguments.find_map(|argument| argument.strip_prefix(TAG)?.strip_prefix('='))
}
