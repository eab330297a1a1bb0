use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use proptest::prelude::*;
use sim::disk::explore;

use super::*;

/// The simulated disk as a [`Disk`], with a driver that may lie about a sync.
struct Simulated {
    disk: sim::Disk,
    lie: Option<Lie>,
}

/// Which sync does nothing.
#[derive(Clone, Copy, Debug)]
enum Lie {
    File,
    Folder,
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

fn store(disk: &sim::Disk, lie: Option<Lie>) -> Result<Store<Simulated>, StoreError> {
    Store::open(Simulated { disk: disk.clone(), lie }, "/state")
}

/// The contents that are saved one after another; `None` removes.
const HISTORY: [Option<&[u8]>; 5] = [Some(b"first"), Some(b"the second, longer"), Some(b""), None, Some(b"third")];

/// Cuts the power at every point of a history of saves, and looks at what is there afterwards.
fn cut_the_power_everywhere(lie: Option<Lie>) {
    let done = Cell::new(0_usize);
    explore(
        40,
        |disk| {
            done.set(0);
            let store = store(disk, lie)?;
            for content in HISTORY {
                match content {
                    Some(content) => store.save("server-1", 1, content)?,
                    None => store.remove("server-1")?,
                }
                done.set(done.get() + 1);
            }
            Ok::<(), StoreError>(())
        },
        |disk, crash| {
            let found = store(disk, None).unwrap().load("server-1").unwrap().map(|record| record.content.to_vec());
            // What `save` has returned for is there, or what was being saved when the power went.
            let old = done.get().checked_sub(1).and_then(|last| HISTORY[last]);
            let new = HISTORY.get(done.get()).copied().unwrap_or(old);
            assert!(found.as_deref() == old || found.as_deref() == new, "{crash}: {found:?} is not {old:?} or {new:?}");
        },
    );
}

#[test]
fn a_power_cut_leaves_the_old_record_or_the_new_one() {
    cut_the_power_everywhere(None);
}

#[test]
fn without_either_sync_the_test_above_fails() {
    for lie in [Lie::File, Lie::Folder] {
        let outcome = catch_unwind(AssertUnwindSafe(|| cut_the_power_everywhere(Some(lie))));
        assert!(outcome.is_err(), "nobody noticed that the sync of {lie:?} was taken out");
    }
}

#[test]
fn a_failed_step_leaves_the_old_record() {
    // Create, write, sync, rename, sync of the folder. After the rename the new one may be there already.
    for step in 0..4 {
        let disk = sim::Disk::new();
        let store = store(&disk, None).unwrap();
        store.save("server-1", 1, b"old").unwrap();
        disk.fail_after(step, io::ErrorKind::StorageFull);
        assert!(matches!(store.save("server-1", 1, b"new"), Err(StoreError::Disk { .. })), "{step}");
        assert_eq!(store.load("server-1").unwrap().unwrap().content.as_slice(), b"old", "{step}");
    }
}

fn record(version: u16, content: &[u8]) -> Record {
    Record { version, content: content.to_vec().into() }
}

#[test]
fn what_is_stored_is_open_to_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(FileSystem, folder.path().join("a/b")).unwrap();
    store.save("accounts", 1, b"a key").unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("a"), mode("a/b"), mode("a/b/accounts")], [0o700, 0o700, 0o600]);
    assert!(!format!("{:?}", store.load("accounts").unwrap()).contains("97"), "the key is not printed");
}

#[test]
fn the_file_system_keeps_records_under_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(FileSystem, folder.path().join("a/b")).unwrap();
    assert_eq!(store.load("server-1").unwrap(), None);
    store.save("server-1", 3, b"one").unwrap();
    store.save("server-1", 4, b"two").unwrap();
    store.save("attributes-1", 4, b"other").unwrap();
    assert_eq!(store.load("server-1").unwrap(), Some(record(4, b"two")));
    store.remove("server-1").unwrap();
    store.remove("server-1").unwrap();
    assert_eq!(store.load("server-1").unwrap(), None);
    assert_eq!(store.load("attributes-1").unwrap().unwrap().content.as_slice(), b"other");
}

#[test]
fn the_layout_of_a_record_stays() {
    let file = encode(1, b"123456789").unwrap();
    assert_eq!(file[..14], *b"lapwing\x01\x00\x01\x00\x00\x00\x09");
    // The check value of CRC-32.
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(file[23..], crc32(&file[..23]).to_be_bytes());
}

proptest! {
    #[test]
    fn damage_is_noticed(content in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
        let file = encode(7, &content).unwrap();
        prop_assert_eq!(decode(&file), Some(record(7, &content)));
        let mut damaged = file.clone();
        damaged[at.index(file.len())] ^= flip;
        prop_assert_eq!(decode(&damaged), None);
        prop_assert_eq!(decode(&file[..at.index(file.len())]), None);
    }
}
