//! State that survives a power cut: after it, a record is either what it was or what it was to become, never neither.
//!
//! A record is written to a new file, synced, renamed over the old one, and the folder is synced. Each carries the version of its
//! content and a checksum, so that a medium that lies is noticed.
//!
//! Some records hold keys: files and folders that are created here are open to their owner alone, and what was read or is being
//! written is cleared from memory.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::driver::{Disk, FileSystem};

/// What begins every record; its last byte is the version of the frame around the content.
const MAGIC: [u8; 8] = *b"lapwing\x01";
/// Magic, version of the content, length of the content; after it comes the checksum of all before.
const HEADER: usize = MAGIC.len() + 2 + 4;
const CHECKSUM: usize = 4;

/// A record as it was saved.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The version of the content's layout, as given to [`Store::save`].
    pub version: u16,
    /// The content; it may be secret.
    pub content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("version", &self.version).field("length", &self.content.len()).finish()
    }
}

/// Why a record could not be read or made durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused or failed.
    #[error("{path}: {error}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// Somebody else keeps state in this folder. Two with one state would use the same record numbers of a DTLS association, which
    /// gives its keys' secrets away.
    #[error("{folder} is in use by another client")]
    InUse {
        /// Which folder.
        folder: PathBuf,
    },
    /// The file is not what was saved: the medium lost or changed something, or it is no record.
    #[error("{path} is damaged")]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
}

/// A folder of records, each under a name. Its methods block until the disk has done its part.
#[derive(Debug)]
pub struct Store<D = FileSystem> {
    disk: D,
    folder: PathBuf,
}

impl Store {
    /// Keeps everybody else out of the folder, as long as the file that is given lives.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody else does so.
    pub(crate) fn hold(&self) -> Result<File, StoreError> {
        let folder = &self.folder;
        let held = self.disk.hold(folder).map_err(|error| StoreError::Disk { path: folder.clone(), error })?;
        held.ok_or_else(|| StoreError::InUse { folder: folder.clone() })
    }
}

impl<D: Disk> Store<D> {
    /// The store in `folder`, which is created where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Disk`] when the folder cannot be created.
    pub fn open(disk: D, folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        disk.create_folder(&folder).map_err(|error| StoreError::Disk { path: folder.clone(), error })?;
        Ok(Self { disk, folder })
    }

    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    /// The file of that name in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The record of that name, or `None` when none was ever saved.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file is not a whole record, [`StoreError::Disk`] when it cannot be read.
    pub fn load(&self, name: &str) -> Result<Option<Record>, StoreError> {
        let path = self.folder.join(name);
        match self.disk.read(&path).map(|file| file.map(Zeroizing::new)) {
            Ok(None) => Ok(None),
            Ok(Some(file)) => decode(&file).map(Some).ok_or(StoreError::Damaged { path }),
            Err(error) => Err(StoreError::Disk { path, error }),
        }
    }

    /// Makes `content` the record of that name. When this returns `Ok`, a power cut does not undo it; when it does not, the record
    /// is the old one or the new one. One call at a time for each name.
    ///
    /// # Errors
    /// [`StoreError::Disk`] when the disk is full or failed.
    pub fn save(&self, name: &str, version: u16, content: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        let new = self.folder.join(format!("{name}.new"));
        let replace = || {
            let mut file = self.disk.create(&new)?;
            self.disk.write(&mut file, &encode(version, content)?)?;
            self.disk.sync(&file)?;
            self.disk.rename(&new, &path)?;
            self.disk.sync_folder(&self.folder)
        };
        replace().map_err(|error| {
            // Where the disk is full it is in the way. If it cannot be removed either, the next one takes its place.
            let _ = self.disk.remove(&new);
            StoreError::Disk { path: path.clone(), error }
        })
    }

    /// Forgets the record of that name; it is no error when there is none. When this returns `Ok`, a power cut does not undo it.
    ///
    /// # Errors
    /// [`StoreError::Disk`] when the disk failed.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        let remove = || {
            self.disk.remove(&path)?;
            self.disk.sync_folder(&self.folder)
        };
        remove().map_err(|error| StoreError::Disk { path: path.clone(), error })
    }
}

fn encode(version: u16, content: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = u32::try_from(content.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let mut file = Zeroizing::new(Vec::with_capacity(HEADER + content.len() + CHECKSUM));
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&version.to_be_bytes());
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(content);
    let checksum = crc32(&file);
    file.extend_from_slice(&checksum.to_be_bytes());
    Ok(file)
}

fn decode(file: &[u8]) -> Option<Record> {
    let (record, checksum) = file.split_last_chunk::<CHECKSUM>()?;
    let (magic, rest) = record.split_first_chunk::<{ MAGIC.len() }>()?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, content) = rest.split_first_chunk::<4>()?;
    let whole = *magic == MAGIC
        && u32::from_be_bytes(*length) as usize == content.len()
        && u32::from_be_bytes(*checksum) == crc32(record);
    whole.then(|| Record { version: u16::from_be_bytes(*version), content: Zeroizing::new(content.to_vec()) })
}

/// CRC-32 as in ISO 3309 (Ethernet, gzip).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests;
