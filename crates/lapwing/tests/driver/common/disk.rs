//! The simulated disk as a [`Disk`], with a driver that may lie about a sync.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use lapwing::driver::Disk;
use lapwing::store::{Store, StoreError};

/// The adapter.
pub(crate) struct Simulated {
    disk: sim::Disk,
    lie: Option<Lie>,
    /// How many syncs there were.
    syncs: AtomicUsize,
    free: u64,
}

/// Which sync does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    File,
    Folder,
    /// The one of this number, counted from 0, of a file or a folder.
    One(usize),
}

impl Simulated {
    /// With plenty of free space.
    pub(crate) fn new(disk: &sim::Disk, lie: Option<Lie>) -> Self {
        Self { disk: disk.clone(), lie, syncs: AtomicUsize::new(0), free: 1 << 40 }
    }

    /// Whether the sync that comes does nothing.
    fn lies(&self, of: impl FnOnce(Lie) -> bool) -> bool {
        let number = self.syncs.fetch_add(1, Ordering::Relaxed);
        self.lie.is_some_and(|lie| matches!(lie, Lie::One(one) if one == number) || of(lie))
    }

    /// With so many bytes of it.
    pub(crate) fn with_free(disk: &sim::Disk, free: u64) -> Self {
        Self { free, ..Self::new(disk, None) }
    }
}

/// The store on a disk.
pub(crate) fn store(disk: &sim::Disk, lie: Option<Lie>) -> Result<Store<Simulated>, StoreError> {
    Store::open(Simulated::new(disk, lie), "/state")
}

impl Disk for Simulated {
    type File = sim::disk::File;

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        if self.disk.exists(path)? { self.disk.read(path).map(Some) } else { Ok(None) }
    }

    fn create(&self, path: &Path) -> io::Result<Self::File> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Option<Self::File>> {
        if self.disk.exists(path)? { self.disk.open(path).map(Some) } else { Ok(None) }
    }

    fn length(&self, file: &Self::File) -> io::Result<u64> {
        file.length()
    }

    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = file.read()?;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free)
    }

    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()> {
        file.write(bytes)
    }

    fn truncate(&self, file: &mut Self::File, length: u64) -> io::Result<()> {
        file.set_length(length)
    }

    fn sync(&self, file: &Self::File) -> io::Result<()> {
        if self.lies(|lie| matches!(lie, Lie::File)) { Ok(()) } else { file.sync() }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.disk.exists(path)? { self.disk.remove(path) } else { Ok(()) }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if self.lies(|lie| matches!(lie, Lie::Folder)) { Ok(()) } else { self.disk.sync_directory(folder) }
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if !self.disk.exists(folder)? {
            self.disk.create_directory(folder)?;
            self.disk.sync_directory("/")?;
        }
        Ok(())
    }
}
