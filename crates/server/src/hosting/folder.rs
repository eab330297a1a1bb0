//! The folder of the hosted files. It is the only record of them: what is in it, is hosted.

use std::{
    fs::{self, DirBuilder, DirEntry},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    process::{Pid, getpid, test_kill_process},
};

use super::{
    FileError, FileName, Held, Upload,
    held::{Part, etag},
};

/// The names of files that are not complete, or have no other name, begin so.
const PART: &str = ".lapwing-part-";

/// How much may be hosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// How many files. Default 100.
    pub count: usize,
    /// How many bytes all of them have together, with those that are being uploaded or have been uploaded only to be pushed. Default
    /// 4 GiB.
    pub bytes: u64,
}

impl Default for FileLimits {
    fn default() -> FileLimits {
        FileLimits { count: 100, bytes: 4 << 30 }
    }
}

/// A file that is hosted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hosted {
    /// Its name.
    pub(crate) name: FileName,
    /// How long it is, in bytes.
    pub(crate) size: u64,
    /// When it was written last.
    pub(crate) modified: SystemTime,
    /// As [`Held::etag`].
    pub(crate) etag: [u8; 8],
}

#[derive(Debug)]
struct Folder {
    given: Option<PathBuf>,
    /// Without one that was given, it is made when it is needed and removed at the end.
    made: Mutex<Option<Made>>,
    limits: FileLimits,
    parts: AtomicU64,
}

/// A folder of this process alone, removed at its end.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// Open and locked, which shows others that it is used.
    _lock: OwnedFd,
}

impl Made {
    const NAME: &str = "lapwing-files-";
    /// A folder that is younger may not be locked yet.
    const AGE: Duration = Duration::from_secs(60);

    fn below(parent: &Path) -> io::Result<Made> {
        Made::sweep(parent);
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let path = parent.join(format!("{}{:016x}", Made::NAME, u64::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = Made::lock(&path)?;
        Ok(Made { path, _lock: lock })
    }

    fn lock(path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(folder)
    }

    /// Removes what servers that were killed have left behind. What cannot be removed stays for another time.
    fn sweep(parent: &Path) {
        let own = rustix::process::getuid().as_raw();
        let left = |entry: &DirEntry| {
            let metadata = entry.metadata().ok().filter(|found| found.is_dir() && found.uid() == own)?;
            let age = metadata.modified().ok()?.elapsed().ok()?;
            let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(Made::NAME));
            (named && age > Made::AGE).then_some(())
        };
        for entry in fs::read_dir(parent).into_iter().flatten().flatten().filter(|entry| left(entry).is_some()) {
            let removed = Made::lock(&entry.path()).and_then(|_lock| fs::remove_dir_all(entry.path()));
            tracing::debug!(path = %entry.path().display(), ?removed, "a folder that was left behind");
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the folder of the hosted files stays behind");
        }
    }
}

/// The hosted files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Folder>);

impl Files {
    /// The files of a folder that was [prepared](prepare), or of none yet: then those that come are in one of their own for as long as
    /// the server runs.
    pub(crate) fn new(folder: Option<PathBuf>, limits: FileLimits) -> Files {
        Files(Arc::new(Folder { given: folder, made: Mutex::new(None), limits, parts: AtomicU64::new(0) }))
    }

    /// How much may be hosted.
    pub(crate) fn limits(&self) -> FileLimits {
        self.0.limits
    }

    /// The folder; `None` where none is needed so far.
    fn path(&self) -> Option<PathBuf> {
        let made = || Some(self.0.made.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.path.clone());
        self.0.given.clone().or_else(made)
    }

    /// The folder, made if need be.
    fn make(&self) -> io::Result<PathBuf> {
        if let Some(path) = self.path() {
            return Ok(path);
        }
        let made = Made::below(&std::env::temp_dir())?;
        let mut place = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have been faster; then this one goes.
        Ok(place.get_or_insert(made).path.clone())
    }

    /// What is in the folder: regular files, whatever their names are.
    fn entries(&self) -> io::Result<Vec<(DirEntry, fs::Metadata)>> {
        let Some(folder) = self.path() else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // Links are not followed. A file that has gone meanwhile is not there.
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => entries.push((entry, metadata)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// The hosted files by their names. What else is in the folder is not hosted.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<Hosted>, FileError> {
        let mut hosted = Vec::new();
        for (entry, metadata) in self.entries()? {
            let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let modified = metadata.modified()?;
            hosted.push(Hosted { name, size: metadata.len(), modified, etag: etag(&metadata) });
        }
        hosted.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(hosted)
    }

    /// How many bytes all files have together.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn used(&self) -> Result<u64, FileError> {
        Ok(self.entries()?.iter().map(|(_, metadata)| metadata.len()).sum())
    }

    fn place(&self, name: &FileName) -> Result<PathBuf, FileError> {
        Ok(self.path().ok_or(FileError::NotFound)?.join(name.as_str()))
    }

    /// Opens a hosted file.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be read.
    pub(crate) fn open(&self, name: &FileName) -> Result<Held, FileError> {
        Ok(Held::open(&self.place(name)?)?)
    }

    /// Stops to host a file. Who reads it now, reads on.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be removed.
    pub(crate) fn remove(&self, name: &FileName) -> Result<(), FileError> {
        // What is no regular file is not hosted, and not for us to remove.
        self.open(name)?;
        Ok(fs::remove_file(self.place(name)?)?)
    }

    /// Begins to take a file, of `declared` bytes if that is known. Without a name it is there only for who holds it.
    ///
    /// # Errors
    /// There is no room for it, or the folder cannot be written to.
    pub(crate) fn begin(&self, name: Option<FileName>, declared: Option<u64>) -> Result<Upload, FileError> {
        if let Some(name) = &name {
            let hosted = self.list()?;
            if hosted.len() >= self.0.limits.count && hosted.iter().all(|file| file.name != *name) {
                return Err(FileError::TooMany(self.0.limits.count));
            }
        }
        self.check(declared.unwrap_or_default(), 0)?;
        let folder = self.make()?;
        let number = self.0.parts.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!("{PART}{}-{number}", std::process::id()));
        let file = fs::File::options().write(true).create_new(true).open(&part)?;
        let target = name.map(|name| folder.join(name.as_str()));
        Ok(Upload::new(self.clone(), file, Part(part), target, self.0.given.is_some()))
    }

    /// Whether a file of which `written` bytes are on the disk may have `wanted`.
    pub(super) fn check(&self, wanted: u64, written: u64) -> Result<(), FileError> {
        let (used, limit) = (self.used()?.saturating_sub(written), self.0.limits.bytes);
        if wanted.saturating_add(used) > limit { Err(FileError::TooLarge { wanted, used, limit }) } else { Ok(()) }
    }
}

/// Makes a folder if need be, and removes what a server that did not come to its end has left behind in it. The parts of one that
/// still runs are its own.
pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PART)?.split('-').next()?.parse().ok());
        let Some(process) = process.and_then(Pid::from_raw) else { continue };
        // One of another user runs as well, though it cannot be signalled.
        let gone = test_kill_process(process) == Err(rustix::io::Errno::SRCH);
        if gone || process == getpid() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
