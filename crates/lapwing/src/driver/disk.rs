use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Files, in the steps between which a power cut can come. Every call may block.
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: Send + 'static;

    /// The whole content of a file, or `None` when there is none.
    ///
    /// # Errors
    /// Any other reason why it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// A new, empty file, in place of one that is there; readable by its owner alone.
    ///
    /// # Errors
    /// As the file system has it.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// A file that is there, to read from and to append to; `None` when there is none.
    ///
    /// # Errors
    /// Any other reason why it cannot be opened.
    fn open(&self, path: &Path) -> io::Result<Option<Self::File>>;
    /// The length of a file in bytes.
    ///
    /// # Errors
    /// As the file system has it.
    fn length(&self, file: &Self::File) -> io::Result<u64>;
    /// Reads from `offset` on into `buffer`, and gives how many bytes: less than fit where the file ends or the system likes, 0 only
    /// at the end.
    ///
    /// # Errors
    /// As the file system has it.
    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// How many bytes this process may still write into `folder`.
    ///
    /// # Errors
    /// As the file system has it.
    fn free(&self, folder: &Path) -> io::Result<u64>;
    /// Appends `bytes`. A power cut may still lose them, or some of them.
    ///
    /// # Errors
    /// As the file system has it: no space, a failed medium.
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file off after `length` bytes. A power cut may still undo it.
    ///
    /// # Errors
    /// As the file system has it.
    fn truncate(&self, file: &mut Self::File, length: u64) -> io::Result<()>;
    /// Makes the content durable, though not the file's name.
    ///
    /// # Errors
    /// When the medium failed: what was written is in doubt.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Gives a file another name, in place of a file that has it. A power cut may still undo it.
    ///
    /// # Errors
    /// As the file system has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; it is no error when there is none. A power cut may still undo it.
    ///
    /// # Errors
    /// Any other reason why it cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// When the medium failed.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes sure that a folder is there, durably; its parents too. What it creates is open to its owner alone.
    ///
    /// # Errors
    /// As the file system has it.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl FileSystem {
    /// Holds a folder for this process as long as the file that is given lives: `None` where somebody else does. A process that
    /// ends, in whatever way, lets go.
    pub(crate) fn hold(self, folder: &Path) -> io::Result<Option<File>> {
        let file = File::open(folder)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Disk for FileSystem {
    type File = File;

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn read_at(&self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.read_at(file, offset, buffer),
            read => read,
        }
    }

    fn free(&self, folder: &Path) -> io::Result<u64> {
        let system = rustix::fs::statvfs(folder)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn truncate(&self, file: &mut File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = match folder.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Ok(()),
        };
        self.create_folder(parent)?;
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        self.sync_folder(parent)
    }
}
