use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::Operation;
use crate::Random;

pub(super) type FileId = usize;
type DirectoryId = usize;

/// What decides which unsynced changes survive a crash.
pub(super) trait Fates {
    /// Whether a change of a directory, or of a length, is there.
    fn survives(&mut self) -> bool;
    /// What is there of a write of so many bytes.
    fn write(&mut self, length: usize) -> Remains;
}

/// What is left of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    Nothing,
    /// The bytes from the first number to the second.
    Part(usize, usize),
    /// The length, but zeros for the bytes: what a file system leaves that had not written the data yet.
    Zeros,
}

pub(super) struct Nothing;
pub(super) struct Everything;

impl Fates for Nothing {
    fn survives(&mut self) -> bool {
        false
    }

    fn write(&mut self, _: usize) -> Remains {
        Remains::Nothing
    }
}

impl Fates for Everything {
    fn survives(&mut self) -> bool {
        true
    }

    fn write(&mut self, length: usize) -> Remains {
        Remains::Part(0, length)
    }
}

impl Fates for Random {
    fn survives(&mut self) -> bool {
        self.chance(0.5)
    }

    fn write(&mut self, length: usize) -> Remains {
        let cut = self.below(length + 1);
        match self.below(6) {
            0 | 1 => Remains::Nothing,
            2 | 3 => Remains::Part(0, length),
            4 => Remains::Zeros,
            // Torn: the beginning, or, as pages may be written in any order, the end.
            _ if self.chance(0.5) => Remains::Part(0, cut),
            _ => Remains::Part(cut, length),
        }
    }
}

/// Whether a change outlives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Safety {
    /// As it falls, until it is synced.
    Unsynced,
    /// Certainly.
    Synced,
    /// As it falls, and no sync changes that any more: one has failed.
    Forsaken,
}

#[derive(Debug, Clone)]
enum FileChange {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

#[derive(Debug, Clone, Default)]
struct FileState {
    path: PathBuf,
    content: Vec<u8>,
    /// The content that is safe, and all changes since; they are replayed at a crash.
    safe: Vec<u8>,
    changes: Vec<(Safety, FileChange)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    File(FileId),
    Directory(DirectoryId),
}

type Names = BTreeMap<String, Entry>;

/// A change of one directory, or of two by a rename between them: whole or not at all.
#[derive(Debug, Clone)]
struct DirectoryChange {
    safety: Safety,
    removed: Option<(DirectoryId, String, Entry)>,
    added: Option<(DirectoryId, String, Entry)>,
}

impl DirectoryChange {
    /// The directory whose sync makes the change safe: that in which it leaves a name, if it does.
    fn home(&self) -> Option<DirectoryId> {
        self.added.as_ref().or(self.removed.as_ref()).map(|(directory, ..)| *directory)
    }

    fn apply(&self, directories: &mut [Names]) {
        if let Some((directory, name, entry)) = &self.removed
            && directories[*directory].get(name) == Some(entry)
        {
            directories[*directory].remove(name);
        }
        if let Some((directory, name, entry)) = &self.added {
            directories[*directory].insert(name.clone(), *entry);
        }
    }
}

pub(super) struct State {
    files: Vec<FileState>,
    /// What is in each directory now; 0 is the root. One that was removed stays, without a name.
    directories: Vec<Names>,
    safe_directories: Vec<Names>,
    changes: Vec<DirectoryChange>,
    pub(super) operations: Vec<Operation>,
    pub(super) crash_after: Option<usize>,
    pub(super) crashed: bool,
    pub(super) fail_at: Option<(usize, io::ErrorKind)>,
    pub(super) capacity: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            directories: vec![Names::new()],
            safe_directories: vec![Names::new()],
            changes: Vec::new(),
            operations: Vec::new(),
            crash_after: None,
            crashed: false,
            fail_at: None,
            capacity: u64::MAX,
        }
    }
}

impl FileChange {
    fn length(&self) -> usize {
        match self {
            Self::Write(_, bytes) => bytes.len(),
            Self::SetLength(_) => 0,
        }
    }

    fn apply(&self, content: &mut Vec<u8>, remains: Remains) {
        match (self, remains) {
            (_, Remains::Nothing) => {}
            (Self::SetLength(length), _) => content.resize(*length as usize, 0),
            (Self::Write(offset, bytes), Remains::Zeros) => {
                let end = *offset as usize + bytes.len();
                content.resize(content.len().max(end), 0);
            }
            (Self::Write(offset, bytes), Remains::Part(from, to)) => {
                let (start, end) = (*offset as usize + from, *offset as usize + to);
                if from < to {
                    content.resize(content.len().max(end), 0);
                    content[start..end].copy_from_slice(&bytes[from..to]);
                }
            }
        }
    }
}

impl FileState {
    fn change(&mut self, change: FileChange) {
        change.apply(&mut self.content, Remains::Part(0, change.length()));
        self.changes.push((Safety::Unsynced, change));
    }

    fn settle(&mut self, safety: Safety) {
        self.changes.iter_mut().filter(|(old, _)| *old == Safety::Unsynced).for_each(|(old, _)| *old = safety);
        let settled = self.changes.iter().take_while(|(safety, _)| *safety == Safety::Synced).count();
        for (_, change) in self.changes.drain(..settled) {
            change.apply(&mut self.safe, Remains::Part(0, change.length()));
        }
    }

    fn after_crash(&self, fates: &mut dyn Fates) -> Self {
        let mut content = self.safe.clone();
        for (safety, change) in &self.changes {
            let remains = match (safety, change) {
                (Safety::Synced, _) => Remains::Part(0, change.length()),
                (_, FileChange::Write(_, bytes)) => fates.write(bytes.len()),
                (_, FileChange::SetLength(_)) if fates.survives() => Remains::Part(0, 0),
                (_, FileChange::SetLength(_)) => Remains::Nothing,
            };
            change.apply(&mut content, remains);
        }
        Self { path: self.path.clone(), content: content.clone(), safe: content, changes: Vec::new() }
    }
}

fn invalid(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("no absolute path of plain names: {}", path.display()))
}

impl State {
    /// Nothing works any more once the power is out.
    fn powered(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the power is out")) } else { Ok(()) }
    }

    /// To be called before anything that counts as an operation: that is when the power goes.
    fn begin(&mut self) -> io::Result<()> {
        self.crashed |= self.crash_after.is_some_and(|limit| self.operations.len() >= limit);
        self.powered()
    }

    /// The error that the test ordered, if it is for this operation.
    fn fault(&mut self) -> io::Result<()> {
        match self.fail_at.take_if(|(at, _)| *at <= self.operations.len()) {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// The directory that `path` is in, and its name there.
    fn locate(&self, path: &Path) -> io::Result<(DirectoryId, String)> {
        let (parent, name) =
            (path.parent().ok_or_else(|| invalid(path))?, path.file_name().ok_or_else(|| invalid(path))?);
        Ok((self.directory(parent)?, name.to_str().ok_or_else(|| invalid(path))?.to_owned()))
    }

    fn directory(&self, path: &Path) -> io::Result<DirectoryId> {
        let mut components = path.components();
        if components.next() != Some(Component::RootDir) {
            return Err(invalid(path));
        }
        components.try_fold(0, |directory, component| {
            let Component::Normal(name) = component else { return Err(invalid(path)) };
            match name.to_str().and_then(|name| self.directories[directory].get(name)) {
                Some(Entry::Directory(id)) => Ok(*id),
                Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
                None => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        if path == Path::new("/") {
            return Ok(Some(Entry::Directory(0)));
        }
        let (directory, name) = self.locate(path)?;
        Ok(self.directories[directory].get(&name).copied())
    }

    fn change(&mut self, removed: Option<(DirectoryId, String, Entry)>, added: Option<(DirectoryId, String, Entry)>) {
        let change = DirectoryChange { safety: Safety::Unsynced, removed, added };
        change.apply(&mut self.directories);
        self.changes.push(change);
    }

    pub(super) fn exists(&mut self, path: &Path) -> io::Result<bool> {
        self.powered()?;
        match self.entry(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(found?.is_some()),
        }
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<FileId> {
        self.powered()?;
        match self.entry(path)? {
            Some(Entry::File(id)) => Ok(id),
            Some(Entry::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<FileId> {
        self.begin()?;
        let (directory, name) = self.locate(path)?;
        let existing = self.directories[directory].get(&name).copied();
        if let Some(Entry::Directory(_)) = existing {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.fault()?;
        let id = match existing {
            Some(Entry::File(id)) => {
                self.files[id].change(FileChange::SetLength(0));
                id
            }
            _ => {
                let id = self.files.len();
                self.files.push(FileState { path: path.to_owned(), ..FileState::default() });
                self.change(None, Some((directory, name, Entry::File(id))));
                id
            }
        };
        self.operations.push(Operation::Create(path.to_owned()));
        Ok(id)
    }

    pub(super) fn content(&mut self, id: FileId) -> io::Result<&[u8]> {
        self.powered()?;
        Ok(&self.files[id].content)
    }

    pub(super) fn length(&mut self, id: FileId) -> io::Result<u64> {
        Ok(self.content(id)?.len() as u64)
    }

    pub(super) fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.begin()?;
        self.fault()?;
        self.make_room(id, offset + bytes.len() as u64)?;
        self.files[id].change(FileChange::Write(offset, bytes.to_vec()));
        self.operations.push(Operation::Write(self.files[id].path.clone(), offset, bytes.len()));
        Ok(())
    }

    pub(super) fn set_length(&mut self, id: FileId, length: u64) -> io::Result<()> {
        self.begin()?;
        self.fault()?;
        self.make_room(id, length)?;
        self.files[id].change(FileChange::SetLength(length));
        self.operations.push(Operation::SetLength(self.files[id].path.clone(), length));
        Ok(())
    }

    /// Whether file `id` may become `length` bytes long. Files without a name count no more.
    fn make_room(&self, id: FileId, length: u64) -> io::Result<()> {
        let named: BTreeSet<_> = self.directories.iter().flat_map(BTreeMap::values).collect();
        let used = |other: FileId| match other == id {
            true => length.max(self.files[id].content.len() as u64),
            false => self.files[other].content.len() as u64,
        };
        let total: u64 =
            (0..self.files.len()).filter(|other| *other == id || named.contains(&Entry::File(*other))).map(used).sum();
        if total > self.capacity { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn sync(&mut self, id: FileId) -> io::Result<()> {
        self.begin()?;
        let fault = self.fault();
        self.files[id].settle(if fault.is_ok() { Safety::Synced } else { Safety::Forsaken });
        fault?;
        self.operations.push(Operation::Sync(self.files[id].path.clone()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin()?;
        let (source, target) = (self.locate(from)?, self.locate(to)?);
        let entry = self.entry(from)?.ok_or(io::ErrorKind::NotFound)?;
        match (entry, self.entry(to)?) {
            (Entry::Directory(_), _) if to.starts_with(from) && to != from => return Err(invalid(to)),
            (Entry::File(_), Some(Entry::Directory(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Entry::Directory(_), Some(Entry::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (Entry::Directory(_), Some(Entry::Directory(id))) if !self.directories[id].is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        self.fault()?;
        if source != target {
            self.change(Some((source.0, source.1, entry)), Some((target.0, target.1, entry)));
        }
        self.operations.push(Operation::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.begin()?;
        let (directory, name) = self.locate(path)?;
        let entry = self.entry(path)?.ok_or(io::ErrorKind::NotFound)?;
        if matches!(entry, Entry::Directory(id) if !self.directories[id].is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.fault()?;
        self.change(Some((directory, name, entry)), None);
        self.operations.push(Operation::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.begin()?;
        let (directory, name) = self.locate(path)?;
        if self.entry(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.fault()?;
        let id = self.directories.len();
        self.directories.push(Names::new());
        self.safe_directories.push(Names::new());
        self.change(None, Some((directory, name, Entry::Directory(id))));
        self.operations.push(Operation::CreateDirectory(path.to_owned()));
        Ok(())
    }

    pub(super) fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.begin()?;
        let id = self.directory(path)?;
        let fault = self.fault();
        let safety = if fault.is_ok() { Safety::Synced } else { Safety::Forsaken };
        let of_this = |change: &&mut DirectoryChange| change.safety == Safety::Unsynced && change.home() == Some(id);
        self.changes.iter_mut().filter(of_this).for_each(|change| change.safety = safety);
        let settled = self.changes.iter().take_while(|change| change.safety == Safety::Synced).count();
        self.changes.drain(..settled).for_each(|change| change.apply(&mut self.safe_directories));
        fault?;
        self.operations.push(Operation::SyncDirectory(path.to_owned()));
        Ok(())
    }

    pub(super) fn list(&mut self, path: &Path) -> io::Result<Vec<String>> {
        self.powered()?;
        Ok(self.directories[self.directory(path)?].keys().cloned().collect())
    }

    pub(super) fn restart(&self, fates: &mut dyn Fates) -> Self {
        let mut directories = self.safe_directories.clone();
        for change in &self.changes {
            if change.safety == Safety::Synced || fates.survives() {
                change.apply(&mut directories);
            }
        }
        Self {
            files: self.files.iter().map(|file| file.after_crash(fates)).collect(),
            safe_directories: directories.clone(),
            directories,
            capacity: self.capacity,
            ..Self::default()
        }
    }
}
