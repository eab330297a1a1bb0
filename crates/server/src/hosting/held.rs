//! An open file.

use std::{
    fs::{File, Metadata},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that is read where it is wanted, from any thread. It stays readable when its name is given to another one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    file: Arc<File>,
    size: u64,
    etag: [u8; 8],
    /// Removes a file without a name, once nobody reads it any more.
    _part: Option<Arc<Part>>,
}

/// A file that is there for as long as this is.
#[derive(Debug)]
pub(super) struct Part(pub(super) PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "a part of a file stays behind");
        }
    }
}

impl Held {
    /// Opens a regular file. A link is not followed, a device not touched.
    pub(super) fn open(path: &Path) -> io::Result<Held> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::LOOP) => return Err(io::ErrorKind::NotFound.into()),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Held { file: Arc::new(file), size: metadata.len(), etag: etag(&metadata), _part: None })
    }

    /// A file that goes when nobody reads it any more.
    pub(super) fn part(part: Part) -> io::Result<Held> {
        let held = Held::open(&part.0)?;
        Ok(Held { _part: Some(Arc::new(part)), ..held })
    }

    /// How long it is, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Tells it from what had its name before or will have it, and from itself once it is changed.
    pub(crate) fn etag(&self) -> &[u8; 8] {
        &self.etag
    }

    /// Fills `buffer` with what begins at `offset`, up to the end of the file, and gives how much that is.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(rest);
        self.file.read_exact_at(&mut buffer[..length], offset)?;
        Ok(length)
    }
}

/// A new file, or a new content of it, has another inode, length or time.
pub(super) fn etag(metadata: &Metadata) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
    hasher.finish().to_be_bytes()
}
