//! Packages as the gateway's earlier client took them: a gzipped tar with one executable and `checksums.txt`, whose lines are those
//! of `sha256sum`.
//!
//! A package is a stranger's until it is verified. [`Format::unpack`] writes nothing but the executable, into one file whose name the
//! package does not choose; whatever else it brings is hashed and forgotten. Memory does not grow with the package.
//!
//! What `checksums.txt` says behind `# name:` and `# version:`, comments to `sha256sum`, is what the package is called. A signature
//! lies beside it as `checksums.txt.minisig`, which `minisign -S -m checksums.txt` makes, and is demanded by [`Format::signed_by`].

mod archive;
mod checksums;
mod signature;
mod sink;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::archive::{Archive, Entry, Kind};
pub use self::signature::{PublicKey, PublicKeyError};
use self::sink::{Folder, OneFile, Sink};
use super::UpdateResult;
use crate::driver::Disk;
use crate::transfer::BodyError;

/// The file of checksums in a package.
const CHECKSUMS: &str = "checksums.txt";
/// The longest list of checksums that is read, in bytes.
const MAX_CHECKSUMS: u64 = 1 << 16;
/// The file that says who has made the checksums.
const SIGNATURE: &str = "checksums.txt.minisig";
/// The longest signature that is read, in bytes.
const MAX_SIGNATURE: u64 = 1 << 12;

/// Why a package is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// It is no package of this kind, or holds what such a package must not hold.
    #[error("this is no package for here: {0}")]
    Type(String),
    /// It is not what was packed.
    #[error("the package is damaged: {0}")]
    Integrity(String),
    /// There is no room for what it holds.
    #[error("there is no room for what the package holds")]
    NoSpace,
    /// It cannot be read, or its content cannot be stored.
    #[error(transparent)]
    Disk(io::Error),
}

impl PackageError {
    /// What a server is told (9/x/9): 54, 53, 50 or 57.
    pub fn result(&self) -> UpdateResult {
        match self {
            Self::Type(_) => UpdateResult::PackageType,
            Self::Integrity(_) => UpdateResult::Integrity,
            Self::NoSpace => UpdateResult::NoSpace,
            Self::Disk(_) => UpdateResult::Device,
        }
    }

    fn storing(error: io::Error) -> Self {
        BodyError::from(error).into()
    }
}

impl From<BodyError> for PackageError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::NoSpace { .. } | BodyError::Full => Self::NoSpace,
            BodyError::Disk(error) => Self::Disk(error),
            BodyError::Replaced => Self::Disk(io::Error::other(error)),
        }
    }
}

/// A verified executable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executable {
    /// Its length in bytes, never 0.
    pub length: u64,
    /// Its SHA-256, which is the one that the package lists.
    pub sha256: [u8; 32],
    /// What the package calls itself, at most 255 bytes.
    pub name: Option<String>,
    /// The version that it says it has, at most 255 bytes.
    pub version: Option<String>,
}

/// What a package must hold, and at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    executable: String,
    max_size: u64,
    max_entries: usize,
    keys: Vec<PublicKey>,
}

impl Format {
    /// A package with an executable of this name at its top. It may unpack to 256 MiB in 256 files and folders.
    pub fn new(executable: impl Into<String>) -> Self {
        Self { executable: executable.into(), max_size: 256 << 20, max_entries: 256, keys: Vec::new() }
    }

    /// One of these keys must have signed it. Without a key nobody need have.
    #[must_use]
    pub fn signed_by(mut self, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// The largest unpacked size in bytes, the archive's own bookkeeping included.
    #[must_use]
    pub fn max_size(self, bytes: u64) -> Self {
        Self { max_size: bytes, ..self }
    }

    /// The greatest number of files and folders.
    #[must_use]
    pub fn max_entries(self, entries: usize) -> Self {
        Self { max_entries: entries, ..self }
    }

    /// Verifies a package and keeps nothing of it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify(&self, package: impl Read) -> Result<Executable, PackageError> {
        self.read(package, &mut ())
    }

    /// Verifies a package and puts its executable into `folder`, which is there, under the executable's name: in place of an earlier
    /// one, in one step, and synced. No file that was not verified ever has that name. Blocks.
    ///
    /// The file is readable and writable by its owner, and not executable: that is up to whoever starts it.
    ///
    /// # Errors
    /// Why the package is refused; then nothing of it is left behind, and an earlier executable is as it was.
    pub fn unpack<D: Disk>(&self, package: impl Read, disk: &D, folder: &Path) -> Result<Executable, PackageError> {
        let new = folder.join(format!("{}.new", self.executable));
        let unpacked = self.unpack_to(&new, package, disk);
        let placed = unpacked.and_then(|executable| {
            disk.rename(&new, &self.path(folder)).map_err(PackageError::storing)?;
            Ok(executable)
        });
        if placed.is_err() {
            disk.remove(&new).map_err(PackageError::Disk)?;
        }
        disk.sync_folder(folder).map_err(PackageError::storing)?;
        placed
    }

    /// Where [`unpack`](Format::unpack) puts the executable.
    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.executable)
    }

    /// Verifies a package and puts all its files into `folder`, which is not there yet: synced, and executable where the package says
    /// so. Its checksums and their signature are not among them. Blocks.
    ///
    /// Others must not be able to write to the folder around it. Until this returns `Ok` nothing in it was verified.
    ///
    /// # Errors
    /// Why the package is refused; then the folder is not there.
    pub fn unpack_all(&self, package: impl Read, folder: &Path) -> Result<Executable, PackageError> {
        let mut sink = Folder::create(folder).map_err(PackageError::storing)?;
        let unpacked = self.read(package, &mut sink).and_then(|executable| {
            sink.finish()?;
            Ok(executable)
        });
        if unpacked.is_err() {
            std::fs::remove_dir_all(folder).map_err(PackageError::Disk)?;
        }
        unpacked
    }

    fn unpack_to<D: Disk>(&self, new: &Path, package: impl Read, disk: &D) -> Result<Executable, PackageError> {
        let mut sink = OneFile::create(disk, new, &self.executable)?;
        let executable = self.read(package, &mut sink)?;
        sink.finish()?;
        Ok(executable)
    }

    /// Reads a package to its end, and gives its files to `sink` as they come: they are not verified before this returns `Ok`.
    fn read(&self, package: impl Read, sink: &mut impl Sink) -> Result<Executable, PackageError> {
        let mut archive = Archive::new(package, self.max_size, self.max_entries);
        let (mut length, mut list, mut signature) = (None, Vec::new(), Vec::new());
        while let Some(entry) = archive.next_entry()? {
            match entry.name.as_str() {
                _ if entry.kind == Kind::Folder => {}
                CHECKSUMS => list = whole(&mut archive, &entry, MAX_CHECKSUMS)?,
                SIGNATURE => signature = whole(&mut archive, &entry, MAX_SIGNATURE)?,
                name => {
                    if name == self.executable {
                        length = Some(entry.size);
                    }
                    sink.file(&entry)?;
                    archive.content(&entry, |bytes| sink.bytes(bytes))?;
                }
            }
        }
        let files = archive.finish()?;
        let Some(sha256) = files.get(&self.executable) else {
            return Err(PackageError::Type(format!("it has no file {}", self.executable)));
        };
        let length = length.filter(|length| *length > 0);
        let length = length.ok_or_else(|| PackageError::Type(format!("its {} is empty", self.executable)))?;
        if !files.contains_key(CHECKSUMS) {
            return Err(PackageError::Integrity(format!("it has no {CHECKSUMS}")));
        }
        if !self.keys.is_empty() {
            signature::verify(&self.keys, &list, &signature).map_err(PackageError::Integrity)?;
        }
        checksums::verify(&list, &files)?;
        let (name, version) = (checksums::comment(&list, "name"), checksums::comment(&list, "version"));
        Ok(Executable { length, sha256: *sha256, name, version })
    }
}

/// The content of a file that is not long.
fn whole(archive: &mut Archive<impl Read>, entry: &Entry, max: u64) -> Result<Vec<u8>, PackageError> {
    if entry.size > max {
        return Err(PackageError::Type(format!("its {} is longer than {max} bytes", entry.name)));
    }
    let mut content = Vec::new();
    archive.content(entry, |bytes| {
        content.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(content)
}

#[cfg(test)]
mod tests;
