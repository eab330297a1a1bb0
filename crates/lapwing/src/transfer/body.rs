use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::place::{Place, blocking};
use super::remains::{Origin, Remains};
use super::{Head, Part};
use crate::driver::Disk;

/// So many bytes of the file system stay free: what a body fills to the brim cannot even store that it was too large.
const RESERVE: u64 = 1 << 20;
/// After so many bytes of a body whose size nobody told, or told wrongly, it is looked again how much is free.
const LOOK: u64 = 1 << 20;
/// So much is read at once.
const CHUNK: usize = 1 << 16;
/// After so many bytes a body is synced, so that its end need not wait for all of it.
const SYNC_BYTES: u64 = 1 << 23;
/// A body that can be gone on with is synced so often, at most: so much time a power cut costs.
const SYNC_PERIOD: Duration = Duration::from_secs(5);
/// So few bytes are written without the help of another thread, which costs more than the write.
const FEW: usize = 1 << 12;
/// As long as such a write takes no longer: the system only copies them then.
const QUICK: Duration = Duration::from_millis(2);

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
    /// Another one has begun in its place, or it was discarded.
    #[error("it is no longer wanted")]
    Replaced,
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

/// A body that is being received, in a [`Place`].
pub(crate) struct Body<D: Disk> {
    place: Arc<Place<D>>,
    number: u64,
    file: D::File,
    length: u64,
    /// Up to here it was seen to fit.
    fits: u64,
    sha256: Sha256,
    /// With this the part of it that is synced can be gone on with after a restart.
    origin: Option<Origin>,
    /// Up to here it is synced, and since when.
    synced: (u64, Instant),
    /// Whether the last write took no time to speak of.
    quick: bool,
}

impl<D: Disk> Body<D> {
    /// A new file, which must not be there. Blocks.
    pub(super) fn create(place: Arc<Place<D>>, number: u64, expected: Option<u64>) -> Result<Self, BodyError> {
        let wanted = expected.unwrap_or(LOOK);
        let file = {
            let _turn = place.turn(number)?;
            make_room(place.store().disk(), place.store().folder(), wanted)?;
            place.store().disk().create(&place.path())?
        };
        Ok(Self {
            place,
            number,
            file,
            length: 0,
            fits: wanted,
            sha256: Sha256::new(),
            origin: None,
            synced: (0, Instant::now()),
            quick: true,
        })
    }

    /// Goes on with what is there; `None` when that is not what was recorded. Blocks.
    pub(super) fn resume(place: Arc<Place<D>>, number: u64, remains: Remains) -> Result<Option<Self>, BodyError> {
        let Remains { origin, length, sha256 } = remains;
        let file = {
            let _turn = place.turn(number)?;
            let disk = place.store().disk();
            let Some(mut file) = disk.open(&place.path())? else { return Ok(None) };
            // What came after the last sync may be anything by now.
            match disk.length(&file)? {
                found if found < length => return Ok(None),
                found if found > length => disk.truncate(&mut file, length)?,
                _ => {}
            }
            file
        };
        let synced = (length, Instant::now());
        Ok(Some(Self { place, number, file, length, fits: length, sha256, origin: Some(origin), synced, quick: true }))
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What is there, to go on with it; `None` when that cannot be done.
    pub(super) fn part(&self) -> Option<Part> {
        self.origin.as_ref().map(|origin| Remains::part(origin, self.length))
    }

    /// What comes now comes with this head, which says how much that will be: looks whether it fits.
    pub(super) fn comes_with(&mut self, uri: &str, head: &Head) -> Result<(), BodyError> {
        self.origin = Origin::new(uri, head);
        if let Some(size) = head.size.filter(|size| *size > self.fits) {
            make_room(self.place.store().disk(), self.place.store().folder(), size - self.length)?;
            self.fits = size;
        }
        Ok(())
    }

    /// Appends `bytes`: when this returns they are written, though perhaps not yet synced.
    pub(crate) async fn write(mut self, bytes: &[u8]) -> Result<Self, BodyError> {
        if self.quick && bytes.len() <= FEW && !self.place.is_busy() {
            self.append(bytes)?;
        } else {
            let bytes = bytes.to_vec();
            self = blocking(move || self.append(&bytes).map(|()| self)).await?;
        }
        let (synced, at) = self.synced;
        let due = self.length - synced >= SYNC_BYTES || (self.origin.is_some() && at.elapsed() >= SYNC_PERIOD);
        if due { self.sync().await } else { Ok(self) }
    }

    /// Makes what has come durable, so that it can be gone on with.
    pub(super) async fn sync(mut self) -> Result<Self, BodyError> {
        if self.length == self.synced.0 {
            return Ok(self);
        }
        blocking(move || self.sync_now().map(|()| self)).await
    }

    /// The body is whole: when this returns `Ok`, a power cut does not take it away.
    pub(crate) async fn finish(mut self) -> Result<Digest, BodyError> {
        blocking(move || {
            self.sync_now()?;
            self.place.store().disk().sync_folder(self.place.store().folder())?;
            Ok(Digest { length: self.length, sha256: self.sha256.finalize().into() })
        })
        .await
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let _turn = self.place.turn(self.number)?;
        let store = self.place.store();
        let length = self.length + bytes.len() as u64;
        if length > self.fits {
            make_room(store.disk(), store.folder(), length + LOOK - self.length)?;
            self.fits = length + LOOK;
        }
        let began = std::time::Instant::now();
        store.disk().write(&mut self.file, bytes)?;
        self.quick = began.elapsed() < QUICK;
        self.sha256.update(bytes);
        self.length = length;
        Ok(())
    }

    /// First the bytes, then what speaks of them.
    fn sync_now(&mut self) -> Result<(), BodyError> {
        let _turn = self.place.turn(self.number)?;
        let store = self.place.store();
        store.disk().sync(&self.file)?;
        if let Some(origin) = &self.origin {
            Remains::save(store, &self.place.record(), origin, self.length, &self.sha256)?;
        }
        self.synced = (self.length, Instant::now());
        Ok(())
    }
}

/// Whether so many bytes more fit into a folder.
pub(crate) fn make_room<D: Disk>(disk: &D, folder: &Path, more: u64) -> Result<(), BodyError> {
    let free = disk.free(folder)?;
    if more.saturating_add(RESERVE) > free { Err(BodyError::NoSpace { wanted: more, free }) } else { Ok(()) }
}

/// The SHA-256 of all that comes. Memory does not grow with it. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(mut content: impl Read) -> io::Result<[u8; 32]> {
    let (mut sha256, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(sha256.finalize().into()),
            read => sha256.update(&buffer[..read]),
        }
    }
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
    use crate::store::Store;

    fn place() -> (tempfile::TempDir, Arc<Place<FileSystem>>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(FileSystem, folder.path()).unwrap());
        (folder, Place::new(store, "image"))
    }

    fn head(offset: u64, size: Option<u64>) -> Head {
        Head { offset, size, etag: Some(b"1".to_vec()), local_port: None }
    }

    #[tokio::test]
    async fn a_body_is_the_file_and_its_digest() {
        let (folder, place) = place();
        let body = place.create(Some(3)).await.unwrap();
        let body = body.write(b"a").await.unwrap().write(b"bc").await.unwrap();
        let digest = body.finish().await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(digest.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(place.digest().await.unwrap(), Some(digest));
        place.discard().await.unwrap();
        assert_eq!(place.digest().await.unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_cannot_fit_is_refused_before_its_first_byte() {
        let (folder, place) = place();
        assert!(matches!(place.create(Some(u64::MAX)).await, Err(BodyError::NoSpace { .. })));
        assert!(!folder.path().join("image").exists());
        let mut body = place.create(None).await.unwrap();
        let too_much = body.comes_with("coap://host", &head(0, Some(u64::MAX)));
        assert!(matches!(too_much, Err(BodyError::NoSpace { .. })));
    }

    #[tokio::test]
    async fn a_body_that_was_replaced_or_discarded_writes_no_more() {
        let (folder, place) = place();
        let old = place.create(None).await.unwrap();
        let new = place.create(None).await.unwrap();
        let new = new.write(b"new").await.unwrap();
        assert!(matches!(old.write(b"and old").await, Err(BodyError::Replaced)));
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"new");
        place.discard().await.unwrap();
        assert!(matches!(new.finish().await, Err(BodyError::Replaced)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_was_synced_is_gone_on_with() {
        let (folder, place) = place();
        let mut body = place.create(Some(6)).await.unwrap();
        body.comes_with("coap://host/a", &head(0, Some(6))).unwrap();
        let body = body.write(b"abc").await.unwrap().sync().await.unwrap();
        // This is lost with the process.
        drop(body.write(b"x").await.unwrap());
        assert!(place.resume("coap://host/b").await.unwrap().is_none());
        let body = place.resume("coap://host/a").await.unwrap().unwrap();
        assert_eq!(body.part(), Some(Part { offset: 3, etag: Some(b"1".to_vec()), local_port: None }));
        let digest = body.write(b"def").await.unwrap().finish().await.unwrap();
        assert_eq!(std::fs::read(folder.path().join("image")).unwrap(), b"abcdef");
        assert_eq!(place.digest().await.unwrap(), Some(digest));
        // A file that is shorter than its record is not what was recorded.
        std::fs::write(folder.path().join("image"), b"ab").unwrap();
        assert!(place.resume("coap://host/a").await.unwrap().is_none());
    }
}
