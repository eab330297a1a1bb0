//! The simulated disk as a [`Disk`], with a driver that may lie about a sync.

use std::io;
use std::path::Path;

use lapwing::driver::Disk;
use lapwing::store::{Store, StoreError};

/// The adapter.
pub(crate) struct Simulated {
    disk: sim::Disk,
    lie: Option<Lie>,
}

/// Which sync does nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lie {
    File,
    Folder,
}

/// The store on a disk.
pub(crate) fn store(disk: &sim::Disk, lie: Option<Lie>) -> Result<Store<Simulated>, StoreError> {
    Store::open(Simulated { disk: disk.clone(), lie }, "/state")
}

impl Disk for Simulated {
    type File = sim::disk::File;

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        if self.disk.exists(path)? { self.disk.read(path).map(Some) } else { Ok(None) }
    }

    fn create(&self, path: &Path) -> io::Result<Self::File> {
        self.disk.create(path)
    }

    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()> {
        file.write(bytes)
    }

    fn sync(&self, file: &Self::File) -> io::Result<()> {
        if matches!(self.lie, Some(Lie::File)) { Ok(()) } else { file.sync() }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.disk.exists(path)? { self.disk.remove(path) } else { Ok(()) }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if matches!(self.lie, Some(Lie::Folder)) { Ok(()) } else { self.disk.sync_directory(folder) }
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if !self.disk.exists(folder)? {
            self.disk.create_directory(folder)?;
            self.disk.sync_directory("/")?;
        }
        Ok(())
    }
}
