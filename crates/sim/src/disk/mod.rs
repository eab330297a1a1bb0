//! A disk that keeps, when the power goes, only what was synced, and of everything else whatever it likes.
//!
//! What is promised is what POSIX promises, and no more: the bytes of a file are safe after [`File::sync`], a name in a directory after
//! [`Disk::sync_directory`], and a rename within one file system is whole or has not happened. Everything else may be lost
//! at a crash in any combination, so that a rename can survive whose file has not a byte; a write may survive in part.
//!
//! A test runs its code with the power going out after the n-th operation, for each n, then looks at what a [`Survival`] left;
//! [`explore`] does that in full:
//!
//! ```
//! use std::io;
//! use sim::Disk;
//! use sim::disk::explore;
//!
//! fn replace(disk: &Disk, content: &[u8]) -> io::Result<()> {
//!     let file = disk.create("/state.new")?;
//!     file.write(content)?;
//!     file.sync()?;
//!     disk.rename("/state.new", "/state")?;
//!     disk.sync_directory("/")
//! }
//!
//! explore(
//!     20,
//!     |disk| replace(disk, b"old").and_then(|()| replace(disk, b"new")),
//!     |disk, crash| match disk.read("/state") {
//!         Ok(content) => assert!(content == b"old" || content == b"new", "{crash}: {content:?}"),
//!         Err(error) => assert!(crash.point < 5 && error.kind() == io::ErrorKind::NotFound, "{crash}: {error}"),
//!     },
//! );
//! ```

mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Random;
use state::{FileId, State};

/// The disk. Clones are the same disk; [`Disk::restart`] makes another one, as it is after the power came back.
///
/// Paths are absolute, `/` is there from the beginning. Errors have the kinds that a real file system has.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

/// An open file. Like a real one it stays the same file when its name changes or goes.
#[derive(Clone)]
pub struct File {
    disk: Disk,
    id: FileId,
}

/// An operation that changes the disk or makes a change safe: those are counted, and the power can go after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A file was made, or an old one with its name was emptied.
    Create(PathBuf),
    /// So many bytes were written to a file, from an offset on. The path is that under which the file was made.
    Write(PathBuf, u64, usize),
    /// The length of a file was set.
    SetLength(PathBuf, u64),
    /// A file was synced.
    Sync(PathBuf),
    /// A file or directory got another name, from the first to the second.
    Rename(PathBuf, PathBuf),
    /// A file or an empty directory was removed.
    Remove(PathBuf),
    /// A directory was made.
    CreateDirectory(PathBuf),
    /// A directory was synced.
    SyncDirectory(PathBuf),
}

/// What becomes of everything that was not synced when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Survival {
    /// All of it is lost.
    Nothing,
    /// All of it is there.
    Everything,
    /// Any part of it is there, decided by this seed: each directory change or not, each write whole, torn, as zeros or not.
    Seeded(u64),
}

/// One way in which a run ended, as [`explore`] tries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crash {
    /// After how many operations the power went.
    pub point: usize,
    /// What became of everything that was not synced.
    pub survival: Survival,
    /// What the run had returned by then: whether it believed that it was done.
    pub completed: bool,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a file for reading and writing, which is made if need be and emptied if not.
    ///
    /// # Errors
    /// As a real file system; so all the methods below. All fail with [`io::ErrorKind::Other`] once the power is out.
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.state().create(path.as_ref()).map(|id| File { disk: self.clone(), id })
    }

    /// Opens a file for reading and writing that must not be there yet.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], and as [`Disk::create`].
    pub fn create_new(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let mut state = self.state();
        if state.exists(path.as_ref())? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.create(path.as_ref()).map(|id| File { disk: self.clone(), id })
    }

    /// Opens a file for reading and writing that must be there.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.state().open(path.as_ref()).map(|id| File { disk: self.clone(), id })
    }

    /// The whole content of a file.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.open(path)?.read()
    }

    /// Gives a file or directory another name, and takes the name from a file that has it. Safe after the sync of the directory that it is in then.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.state().rename(from.as_ref(), to.as_ref())
    }

    /// Removes a file or an empty directory.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn remove(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state().remove(path.as_ref())
    }

    /// Makes a directory. Its name is safe after the sync of the directory above it.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn create_directory(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state().create_directory(path.as_ref())
    }

    /// Makes safe which names are in a directory.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn sync_directory(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state().sync_directory(path.as_ref())
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        self.state().list(path.as_ref())
    }

    /// Whether there is a file or directory with this name.
    ///
    /// # Errors
    /// As [`Disk::create`].
    pub fn exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        self.state().exists(path.as_ref())
    }

    /// The operations so far that succeeded: the power can go after each.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    /// The power goes after so many operations, counted from the beginning of the disk: whatever comes then fails.
    pub fn crash_after(&self, operations: usize) {
        self.state().crash_after = Some(operations);
    }

    /// Whether something failed because the power was out.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// The next operation after `operations` more that succeed fails once with `error` and changes nothing. After a failed sync, what it should have
    /// made safe never becomes safe by another one, as on real systems, which count the pages as clean then.
    pub fn fail_after(&self, operations: usize, error: io::ErrorKind) {
        let mut state = self.state();
        let at = state.operations.len() + operations;
        state.fail_at = Some((at, error));
    }

    /// From now on a write that would make the contents of all files greater than `bytes` together fails with
    /// [`io::ErrorKind::StorageFull`].
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// The disk as it is when the power comes back. This one is left as it is, so that several outcomes can be looked at.
    #[must_use]
    pub fn restart(&self, survival: Survival) -> Self {
        let state = match survival {
            Survival::Nothing => self.state().restart(&mut state::Nothing),
            Survival::Everything => self.state().restart(&mut state::Everything),
            Survival::Seeded(seed) => self.state().restart(&mut Random::seeded(seed)),
        };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl File {
    /// Writes at the end of the file.
    ///
    /// # Errors
    /// As [`Disk::create`]; so the methods below.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let end = state.length(self.id)?;
        state.write(self.id, end, bytes)
    }

    /// Writes from `offset` on, over what is there. A gap before it is filled with zeros.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.state().write(self.id, offset, bytes)
    }

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.state().set_length(self.id, length)
    }

    /// Makes the content and the length of the file safe, but not its name.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn sync(&self) -> io::Result<()> {
        self.disk.state().sync(self.id)
    }

    /// The whole content.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn read(&self) -> io::Result<Vec<u8>> {
        self.disk.state().content(self.id).map(<[u8]>::to_vec)
    }

    /// The length in bytes.
    ///
    /// # Errors
    /// As [`File::write`].
    pub fn length(&self) -> io::Result<u64> {
        self.disk.state().length(self.id)
    }
}

/// Lets the power go at every point of `run`, with several outcomes of each, and has `check` look at the disk after.
///
/// First `run` has a disk on which nothing fails: it must succeed. Then for every number of operations from none to all it runs
/// on an empty disk that crashes after so many; `check` gets what is left if nothing unsynced survives, if everything does, and in
/// `seeds` further ways. When `check` panics, the crash is printed with the operations before it. `run` must do the same each time.
///
/// # Panics
/// When the first `run` fails, or one does not do the same operations as the first.
pub fn explore<E: fmt::Debug>(
    seeds: u64,
    mut run: impl FnMut(&Disk) -> Result<(), E>,
    mut check: impl FnMut(&Disk, Crash),
) {
    let whole = Disk::new();
    run(&whole).expect("without a crash the run succeeds");
    let operations = whole.operations();
    for point in 0..=operations.len() {
        let disk = Disk::new();
        disk.crash_after(point);
        let completed = run(&disk).is_ok();
        assert_eq!(disk.operations(), operations[..point], "the run is not the same each time");
        let seeded = (0..seeds).map(|seed| Survival::Seeded(seed << 32 | point as u64));
        for survival in [Survival::Nothing, Survival::Everything].into_iter().chain(seeded) {
            let crash = Crash { point, survival, completed };
            let teller = Teller { crash, operations: &operations[..point] };
            check(&disk.restart(survival), crash);
            drop(teller);
        }
    }
}

/// Prints which crash it was when a check panics.
struct Teller<'a> {
    crash: Crash,
    operations: &'a [Operation],
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.crash);
            self.operations.iter().enumerate().for_each(|(index, operation)| eprintln!("{:>5} {operation}", index + 1));
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "crash after operation {}, survival {:?}, run completed: {}",
            self.point, self.survival, self.completed
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path) => write!(f, "create {}", path.display()),
            Self::Write(path, offset, length) => write!(f, "write {} {length} bytes at {offset}", path.display()),
            Self::SetLength(path, length) => write!(f, "set length of {} to {length}", path.display()),
            Self::Sync(path) => write!(f, "sync {}", path.display()),
            Self::Rename(from, to) => write!(f, "rename {} to {}", from.display(), to.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::CreateDirectory(path) => write!(f, "create directory {}", path.display()),
            Self::SyncDirectory(path) => write!(f, "sync directory {}", path.display()),
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("operations", &self.operations()).finish_non_exhaustive()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("id", &self.id).finish_non_exhaustive()
    }
}
