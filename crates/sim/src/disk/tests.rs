use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// Each way in which the disk may look after a crash now, found by trying many seeds.
fn outcomes<T: Ord>(disk: &Disk, look: impl Fn(&Disk) -> T) -> BTreeSet<T> {
    let seeded = (0..500).map(Survival::Seeded);
    [Survival::Nothing, Survival::Everything].into_iter().chain(seeded).map(|fate| look(&disk.restart(fate))).collect()
}

fn content(disk: &Disk, path: &str) -> Option<Vec<u8>> {
    disk.read(path).ok()
}

fn safe_file(disk: &Disk, path: &str, bytes: &[u8]) -> File {
    let file = disk.create(path).unwrap();
    file.write(bytes).unwrap();
    file.sync().unwrap();
    disk.sync_directory("/").unwrap();
    file
}

#[test]
fn what_was_synced_is_there_after_every_crash() {
    let disk = Disk::new();
    safe_file(&disk, "/a", b"safe");
    assert_eq!(outcomes(&disk, |disk| content(disk, "/a")), [Some(b"safe".to_vec())].into());
}

#[test]
fn a_name_that_was_not_synced_may_be_lost_though_the_content_was() {
    let disk = Disk::new();
    let file = disk.create("/a").unwrap();
    file.write(b"safe").unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, |disk| content(disk, "/a")), [None, Some(b"safe".to_vec())].into());
}

#[test]
fn content_that_was_not_synced_may_be_absent_whole_torn_or_zeros_though_the_name_was() {
    let disk = Disk::new();
    let file = disk.create("/a").unwrap();
    disk.sync_directory("/").unwrap();
    file.write(b"abc").unwrap();
    let found = outcomes(&disk, |disk| content(disk, "/a").unwrap());
    let expected: [&[u8]; 6] = [b"", b"abc", b"\0\0\0", b"ab", b"\0bc", b"\0\0c"];
    assert!(expected.iter().all(|wanted| found.contains(*wanted)), "{found:?}");
}

#[test]
fn a_later_write_may_survive_an_earlier_one() {
    let disk = Disk::new();
    let file = safe_file(&disk, "/a", b"....");
    file.write_at(0, b"1").unwrap();
    file.write_at(3, b"2").unwrap();
    let found = outcomes(&disk, |disk| content(disk, "/a").unwrap());
    assert!([&b"1..2"[..], b"1...", b"...2", b"...."].iter().all(|wanted| found.contains(*wanted)), "{found:?}");
}

#[test]
fn a_rename_is_whole_or_has_not_happened() {
    let disk = Disk::new();
    safe_file(&disk, "/old", b"old");
    safe_file(&disk, "/new", b"new");
    disk.rename("/new", "/old").unwrap();
    let found = outcomes(&disk, |disk| (content(disk, "/old").unwrap(), content(disk, "/new")));
    assert_eq!(found, [(b"old".to_vec(), Some(b"new".to_vec())), (b"new".to_vec(), None)].into());
    disk.sync_directory("/").unwrap();
    assert_eq!(outcomes(&disk, |disk| content(disk, "/old").unwrap()), [b"new".to_vec()].into());
}

#[test]
fn a_rename_may_survive_the_content_of_its_file() {
    let disk = Disk::new();
    safe_file(&disk, "/a", b"old");
    let file = disk.create("/a.new").unwrap();
    file.write(b"new").unwrap();
    disk.rename("/a.new", "/a").unwrap();
    disk.sync_directory("/").unwrap();
    assert!(outcomes(&disk, |disk| content(disk, "/a").unwrap()).contains(&b""[..]));
}

#[test]
fn a_removal_that_was_not_synced_may_not_have_happened() {
    let disk = Disk::new();
    safe_file(&disk, "/a", b"x");
    disk.remove("/a").unwrap();
    assert!(!disk.exists("/a").unwrap());
    assert_eq!(outcomes(&disk, |disk| disk.exists("/a").unwrap()), [false, true].into());
    disk.sync_directory("/").unwrap();
    assert_eq!(outcomes(&disk, |disk| disk.exists("/a").unwrap()), [false].into());
}

#[test]
fn a_new_directory_is_lost_with_all_in_it_unless_its_parent_is_synced() {
    let disk = Disk::new();
    disk.create_directory("/d").unwrap();
    let file = disk.create("/d/a").unwrap();
    file.sync().unwrap();
    disk.sync_directory("/d").unwrap();
    assert_eq!(outcomes(&disk, |disk| content(disk, "/d/a")), [None, Some(Vec::new())].into());
    disk.sync_directory("/").unwrap();
    assert_eq!(outcomes(&disk, |disk| content(disk, "/d/a")), [Some(Vec::new())].into());
}

#[test]
fn emptying_a_file_and_cutting_it_off_are_unsynced_changes_too() {
    let disk = Disk::new();
    let file = safe_file(&disk, "/a", b"abc");
    file.set_length(1).unwrap();
    assert_eq!(outcomes(&disk, |disk| content(disk, "/a").unwrap()), [b"abc".to_vec(), b"a".to_vec()].into());
    disk.create("/a").unwrap();
    assert_eq!(
        outcomes(&disk, |disk| content(disk, "/a").unwrap()),
        [b"abc".to_vec(), b"a".to_vec(), Vec::new()].into()
    );
}

#[test]
fn after_the_power_is_out_nothing_works() {
    let disk = Disk::new();
    disk.crash_after(2);
    let file = disk.create("/a").unwrap();
    file.write(b"1").unwrap();
    assert!(!disk.has_crashed());
    assert_eq!(file.write(b"2").unwrap_err().kind(), ErrorKind::Other);
    assert!(disk.has_crashed());
    assert!(file.sync().is_err() && file.read().is_err() && disk.create("/b").is_err() && disk.list("/").is_err());
    assert_eq!(disk.operations(), [Operation::Create("/a".into()), Operation::Write("/a".into(), 0, 1)]);
    assert_eq!(content(&disk.restart(Survival::Everything), "/a"), Some(b"1".to_vec()));
    assert_eq!(content(&disk.restart(Survival::Nothing), "/a"), None);
}

#[test]
fn a_failed_sync_makes_nothing_safe_nor_does_the_next_one() {
    let disk = Disk::new();
    let file = safe_file(&disk, "/a", b"");
    file.write(b"lost").unwrap();
    disk.fail_after(0, ErrorKind::StorageFull);
    assert_eq!(file.sync().unwrap_err().kind(), ErrorKind::StorageFull);
    file.sync().unwrap();
    assert_eq!(content(&disk.restart(Survival::Nothing), "/a").unwrap(), b"");
    file.write_at(0, b"safe").unwrap();
    file.sync().unwrap();
    assert_eq!(content(&disk.restart(Survival::Nothing), "/a").unwrap(), b"safe");
    disk.remove("/a").unwrap();
    disk.fail_after(0, ErrorKind::StorageFull);
    assert!(disk.sync_directory("/").is_err());
    disk.sync_directory("/").unwrap();
    assert!(disk.restart(Survival::Nothing).exists("/a").unwrap());
}

#[test]
fn a_full_disk_refuses_what_would_not_fit_and_removal_makes_room() {
    let disk = Disk::new();
    let a = disk.create("/a").unwrap();
    a.write(b"12345").unwrap();
    disk.set_capacity(8);
    let b = disk.create("/b").unwrap();
    assert_eq!(b.write(b"6789").unwrap_err().kind(), ErrorKind::StorageFull);
    a.write_at(0, b"54321").unwrap();
    disk.remove("/a").unwrap();
    b.write(b"6789").unwrap();
    assert_eq!(disk.read("/b").unwrap(), b"6789");
}

#[test]
fn errors_are_those_of_a_file_system() {
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    let disk = Disk::new();
    disk.create_directory("/d").unwrap();
    disk.create("/d/f").unwrap();
    disk.create("/f").unwrap();
    assert_eq!(kind(disk.open("/none").map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.create("/none/f").map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.create("/f/x").map(drop)), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.create_new("/f").map(drop)), ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.create_directory("/d")), ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.read("/d").map(drop)), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.rename("/f", "/d")), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.rename("/d", "/f")), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.rename("/d", "/d/e")), ErrorKind::InvalidInput);
    assert_eq!(kind(disk.remove("/d")), ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(disk.remove("/")), ErrorKind::InvalidInput);
    assert_eq!(kind(disk.create("f").map(drop)), ErrorKind::InvalidInput);
    assert_eq!(disk.list("/").unwrap(), ["d", "f"]);
    assert!(!disk.exists("/none/f").unwrap());
}

#[test]
fn a_file_stays_the_same_under_another_name_and_without_one() {
    let disk = Disk::new();
    let file = disk.create("/a").unwrap();
    disk.rename("/a", "/b").unwrap();
    file.write(b"1").unwrap();
    assert_eq!(disk.read("/b").unwrap(), b"1");
    disk.remove("/b").unwrap();
    file.write(b"2").unwrap();
    assert_eq!((file.read().unwrap(), file.length().unwrap()), (b"12".to_vec(), 2));
}

/// Replaces `/state` as a careful program does, leaving out one step where `leave_out` names it.
fn replace(disk: &Disk, bytes: &[u8], leave_out: &str) -> io::Result<()> {
    let file = disk.create("/state.new")?;
    file.write(bytes)?;
    if leave_out != "sync" {
        file.sync()?;
    }
    disk.rename("/state.new", "/state")?;
    if leave_out != "sync_directory" {
        disk.sync_directory("/")?;
    }
    Ok(())
}

fn explored(leave_out: &str) -> (bool, usize) {
    let checked = Cell::new(0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        explore(
            50,
            |disk| replace(disk, b"old", leave_out).and_then(|()| replace(disk, b"new", leave_out)),
            |disk, crash| {
                checked.set(checked.get() + 1);
                match content(disk, "/state").as_deref() {
                    Some(b"new") => {}
                    Some(b"old") => assert!(!crash.completed),
                    None => assert!(crash.point < 5),
                    Some(other) => panic!("{other:?}"),
                }
            },
        );
    }));
    (result.is_ok(), checked.get())
}

#[test]
fn exploring_passes_a_careful_program_and_finds_each_missing_sync() {
    assert_eq!(explored(""), (true, 11 * 52));
    assert!(!explored("sync").0);
    assert!(!explored("sync_directory").0);
}
