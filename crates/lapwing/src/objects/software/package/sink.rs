//! Where the files of a package go.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::PackageError;
use super::archive::Entry;
use crate::driver::{Disk, FileSystem};
use crate::transfer::make_room;

/// Takes files one after the other.
pub(super) trait Sink {
    /// What comes from now on is of this one.
    fn file(&mut self, entry: &Entry) -> Result<(), PackageError>;
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), PackageError>;
}

/// Nowhere.
impl Sink for () {
    fn file(&mut self, _: &Entry) -> Result<(), PackageError> {
        Ok(())
    }

    fn bytes(&mut self, _: &[u8]) -> Result<(), PackageError> {
        Ok(())
    }
}

/// One of the files goes into a file, the others nowhere.
pub(super) struct OneFile<'a, D: Disk> {
    disk: &'a D,
    folder: &'a Path,
    file: D::File,
    /// In the package.
    name: &'a str,
    /// What comes is of that file.
    is_it: bool,
}

impl<'a, D: Disk> OneFile<'a, D> {
    pub(super) fn create(disk: &'a D, path: &'a Path, name: &'a str) -> Result<Self, PackageError> {
        let file = disk.create(path).map_err(PackageError::storing)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Ok(Self { disk, folder, file, name, is_it: false })
    }

    pub(super) fn finish(self) -> Result<(), PackageError> {
        self.disk.sync(&self.file).map_err(PackageError::storing)
    }
}

impl<D: Disk> Sink for OneFile<'_, D> {
    fn file(&mut self, entry: &Entry) -> Result<(), PackageError> {
        self.is_it = entry.name == self.name;
        if self.is_it { Ok(make_room(self.disk, self.folder, entry.size)?) } else { Ok(()) }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        if self.is_it { self.disk.write(&mut self.file, bytes).map_err(PackageError::storing) } else { Ok(()) }
    }
}

/// All of the files go into a folder that was not there before: no link can be in it.
pub(super) struct Folder {
    path: PathBuf,
    file: Option<File>,
    /// With files in them; to be synced.
    folders: Vec<PathBuf>,
}

impl Folder {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o755).create(path)?;
        Ok(Self { path: path.to_owned(), file: None, folders: vec![path.to_owned()] })
    }

    pub(super) fn finish(&mut self) -> Result<(), PackageError> {
        let synced = self.file.take().map_or(Ok(()), |file| file.sync_all());
        let synced = synced.and_then(|()| self.folders.iter().try_for_each(|folder| File::open(folder)?.sync_all()));
        synced.map_err(PackageError::storing)
    }
}

impl Sink for Folder {
    fn file(&mut self, entry: &Entry) -> Result<(), PackageError> {
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(PackageError::storing)?;
        }
        make_room(&FileSystem, &self.path, entry.size)?;
        let path = self.path.join(&entry.name);
        let mut folder = path.parent();
        while let Some(each) = folder.filter(|each| !self.folders.iter().any(|known| known == each)) {
            self.folders.push(each.to_owned());
            folder = each.parent();
        }
        let created =
            path.parent().map_or(Ok(()), |parent| DirBuilder::new().recursive(true).mode(0o755).create(parent));
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let opened = created.and_then(|()| OpenOptions::new().write(true).create_new(true).mode(mode).open(&path));
        self.file = Some(opened.map_err(|error| match error.kind() {
            // Of another entry: the folder was empty.
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => {
                PackageError::Type(format!("{:?} is in it both as a file and as a folder", entry.name))
            }
            io::ErrorKind::InvalidFilename => PackageError::Type("a name in it is too long".to_owned()),
            _ => PackageError::storing(error),
        })?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(PackageError::storing)
    }
}
