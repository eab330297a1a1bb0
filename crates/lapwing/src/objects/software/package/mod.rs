//! Packages as the gateway's earlier client took them: a gzipped tar with one executable and `checksums.txt`, whose lines are those
//! of `sha256sum`.
//!
//! A package is a stranger's until it is verified. Only the executable is ever written, into one file whose name the package does
//! not choose; whatever else it brings is hashed and forgotten. Memory does not grow with the package.

mod archive;
mod checksums;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::archive::{Archive, Kind};
use super::UpdateResult;
use crate::driver::Disk;
use crate::transfer::{BodyError, make_room};

/// The file of checksums in a package.
const CHECKSUMS: &str = "checksums.txt";
/// The longest list of checksums that is read, in bytes.
const MAX_CHECKSUMS: u64 = 1 << 16;

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
}

/// What a package must hold, and at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    executable: String,
    max_size: u64,
    max_entries: usize,
}

impl Format {
    /// A package with an executable of this name at its top. It may unpack to 256 MiB in 256 files and folders.
    pub fn new(executable: impl Into<String>) -> Self {
        Self { executable: executable.into(), max_size: 256 << 20, max_entries: 256 }
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
        self.read(package, |_| Ok(()), |_| Ok(()))
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

    fn unpack_to<D: Disk>(&self, new: &Path, package: impl Read, disk: &D) -> Result<Executable, PackageError> {
        let mut file = disk.create(new).map_err(PackageError::storing)?;
        let folder = new.parent().unwrap_or(Path::new("."));
        let executable = self.read(
            package,
            |length| make_room(disk, folder, length).map_err(PackageError::from),
            |bytes| disk.write(&mut file, bytes).map_err(PackageError::storing),
        )?;
        disk.sync(&file).map_err(PackageError::storing)?;
        Ok(executable)
    }

    /// Reads a package to its end, and gives the executable's length to `expect` and its bytes to `keep` as they come: they are not verified before this returns
    /// `Ok`.
    fn read(
        &self,
        package: impl Read,
        expect: impl Fn(u64) -> Result<(), PackageError>,
        mut keep: impl FnMut(&[u8]) -> Result<(), PackageError>,
    ) -> Result<Executable, PackageError> {
        let mut archive = Archive::new(package, self.max_size, self.max_entries);
        let (mut length, mut list) = (None, Vec::new());
        while let Some(entry) = archive.next_entry()? {
            if entry.kind == Kind::Folder {
                continue;
            }
            if entry.name == self.executable {
                length = Some(entry.size);
                expect(entry.size)?;
                archive.content(&entry, &mut keep)?;
            } else if entry.name == CHECKSUMS {
                if entry.size > MAX_CHECKSUMS {
                    return Err(PackageError::Type(format!("its {CHECKSUMS} is longer than {MAX_CHECKSUMS} bytes")));
                }
                archive.content(&entry, |bytes| {
                    list.extend_from_slice(bytes);
                    Ok(())
                })?;
            } else {
                archive.content(&entry, |_| Ok(()))?;
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
        checksums::verify(&list, &files)?;
        Ok(Executable { length, sha256: *sha256 })
    }
}

#[cfg(test)]
mod tests;
