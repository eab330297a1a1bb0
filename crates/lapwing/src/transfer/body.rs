use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::driver::Disk;
use crate::store::Store;

/// So many bytes of the file system stay free: what a body fills to the brim cannot even store that it was too large.
const RESERVE: u64 = 1 << 20;
/// After so many bytes of a body whose size nobody told, or told wrongly, it is looked again how much is free.
const LOOK: u64 = 1 << 20;
/// So much is read at once.
const CHUNK: usize = 1 << 16;

/// The length of a body and its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) length: u64,
    pub(crate) sha256: [u8; 32],
}

/// Why a body could not be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is, or was to be, more than there is room for.
    #[error("{wanted} bytes do not fit into {free} free ones, of which {RESERVE} stay free")]
    NoSpace { wanted: u64, free: u64 },
    #[error("the disk is full")]
    Full,
    #[error(transparent)]
    Disk(io::Error),
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Disk(error),
        }
    }
}

/// A body that is being received, in the folder of a store. Its methods block.
pub(crate) struct Body<D: Disk> {
    store: Arc<Store<D>>,
    file: D::File,
    length: u64,
    /// Up to here it was seen to fit.
    fits: u64,
    sha256: Sha256,
}

impl<D: Disk> Body<D> {
    /// A new file in place of one of that name, which whoever has it open may go on writing to without harm. `expected` is how long
    /// the body will be, as far as is known.
    pub(crate) fn create(store: Arc<Store<D>>, name: &str, expected: Option<u64>) -> Result<Self, BodyError> {
        let path = store.path(name);
        store.disk().remove(&path)?;
        let wanted = expected.unwrap_or(LOOK);
        make_room(store.disk(), store.folder(), wanted)?;
        let file = store.disk().create(&path)?;
        Ok(Self { store, file, length: 0, fits: wanted, sha256: Sha256::new() })
    }

    /// Appends `bytes`: when this returns they are written, though not yet synced.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let length = self.length + bytes.len() as u64;
        if length > self.fits {
            make_room(self.store.disk(), self.store.folder(), length + LOOK - self.length)?;
            self.fits = length + LOOK;
        }
        self.store.disk().write(&mut self.file, bytes)?;
        self.sha256.update(bytes);
        self.length = length;
        Ok(())
    }

    /// The body is whole: when this returns `Ok`, a power cut does not take it away.
    pub(crate) fn finish(self) -> Result<Digest, BodyError> {
        self.store.disk().sync(&self.file)?;
        self.store.disk().sync_folder(self.store.folder())?;
        Ok(Digest { length: self.length, sha256: self.sha256.finalize().into() })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// Whether so many bytes more fit into a folder.
pub(crate) fn make_room<D: Disk>(disk: &D, folder: &Path, more: u64) -> Result<(), BodyError> {
    let free = disk.free(folder)?;
    if more.saturating_add(RESERVE) > free { Err(BodyError::NoSpace { wanted: more, free }) } else { Ok(()) }
}

/// The digest of a file as it is now, `None` when there is none. Blocks.
pub(crate) fn digest_of<D: Disk>(disk: &D, path: &Path) -> io::Result<Option<Digest>> {
    let Some(file) = disk.open(path)? else { return Ok(None) };
    let (mut length, mut sha256, mut buffer) = (0, Sha256::new(), vec![0; CHUNK]);
    loop {
        match disk.read_at(&file, length, &mut buffer)? {
            0 => return Ok(Some(Digest { length, sha256: sha256.finalize().into() })),
            read => {
                sha256.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::FileSystem;

    fn store() -> (tempfile::TempDir, Arc<Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(FileSystem, folder.path()).unwrap());
        (folder, store)
    }

    #[test]
    fn a_body_is_the_file_and_its_digest() {
        let (folder, store) = store();
        let mut body = Body::create(Arc::clone(&store), "image", Some(3)).unwrap();
        body.write(b"a").unwrap();
        body.write(b"bc").unwrap();
        let digest = body.finish().unwrap();
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(digest.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(digest_of(&FileSystem, &store.path("image")).unwrap(), Some(digest));
        assert_eq!(digest_of(&FileSystem, &store.path("other")).unwrap(), None);
    }

    #[test]
    fn what_cannot_fit_is_refused_before_its_first_byte() {
        let (folder, store) = store();
        assert!(matches!(Body::create(store, "image", Some(u64::MAX)), Err(BodyError::NoSpace { .. })));
        assert!(!folder.path().join("image").exists());
    }

    #[test]
    fn an_older_body_of_the_same_name_is_another_file() {
        let (folder, store) = store();
        let mut old = Body::create(Arc::clone(&store), "image", None).unwrap();
        let mut new = Body::create(store, "image", None).unwrap();
        new.write(b"new").unwrap();
        old.write(b"and old").unwrap();
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"new");
    }
}
