//! What may go wrong with a hosted file.

use std::io;

/// Why a file is not there, or is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// No file of that name is hosted.
    #[error("there is no such file")]
    NotFound,
    /// As many files are hosted as may be.
    #[error("there are {0} files already, and no more may be; delete one")]
    TooMany(usize),
    /// The files would become longer together than they may be.
    #[error("{wanted} bytes do not fit: all files together may have {limit}, and have {used}")]
    TooLarge {
        /// How long the file is, or as much of it as has come.
        wanted: u64,
        /// How long the others are.
        used: u64,
        /// How long all may be.
        limit: u64,
    },
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The disk or the folder fails.
    #[error("the file cannot be read or written: {0}")]
    Io(io::Error),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::NotFound => FileError::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FileError::Full,
            _ => FileError::Io(error),
        }
    }
}
