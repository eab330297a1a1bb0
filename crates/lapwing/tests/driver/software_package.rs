//! The power goes at every point of unpacking a software package over an earlier executable: there is the earlier one or the new one,
//! never a part of it, nor one that was not verified.

use std::cell::Cell;
use std::path::Path;

use lapwing::driver::Disk;
use lapwing::objects::software::package::{Format, PackageError};
use sim::disk::explore;

use crate::common::disk::{Lie, Simulated};
use crate::common::package::package;

const FOLDER: &str = "/software";
const NAME: &str = "agent";
const OLD: &[u8] = b"the executable that runs";

/// More than is read at once, so that it is written in pieces.
fn executable() -> Vec<u8> {
    (0..150_000_u32).flat_map(|each| each.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

/// The disk as it is before a package comes.
fn prepare(disk: &Simulated) -> Result<(), PackageError> {
    let folder = Path::new(FOLDER);
    let prepare = || {
        disk.create_folder(folder)?;
        let mut file = disk.create(&folder.join(NAME))?;
        disk.write(&mut file, OLD)?;
        disk.sync(&file)?;
        disk.sync_folder(folder)
    };
    prepare().map_err(PackageError::Disk)
}

fn unpack_everywhere(lie: Option<Lie>) {
    let new = executable();
    let package = package(NAME, &new);
    let (prepared, done) = (Cell::new(false), Cell::new(false));
    explore(
        10,
        |disk| {
            prepared.set(false);
            done.set(false);
            prepare(&Simulated::new(disk, None))?;
            prepared.set(true);
            let unpacked = Format::new(NAME).unpack(&package[..], &Simulated::new(disk, lie), Path::new(FOLDER));
            done.set(unpacked.is_ok());
            unpacked.map(drop)
        },
        |disk, crash| {
            if !prepared.get() {
                return;
            }
            let found = disk.read(Path::new(FOLDER).join(NAME)).unwrap();
            assert!(found == new || (found == OLD && !done.get()), "{crash}: {} bytes", found.len());
        },
    );
}

#[test]
fn after_a_power_cut_there_is_the_old_executable_or_the_new_one() {
    unpack_everywhere(None);
}

#[test]
#[should_panic(expected = "bytes")]
fn a_disk_that_does_not_sync_files_shows_in_this_test() {
    unpack_everywhere(Some(Lie::File));
}

#[test]
#[should_panic(expected = "bytes")]
fn a_disk_that_does_not_sync_folders_shows_in_this_test() {
    unpack_everywhere(Some(Lie::Folder));
}

#[test]
fn a_full_disk_keeps_the_old_executable_and_nothing_else() {
    let disk = sim::Disk::new();
    prepare(&Simulated::new(&disk, None)).unwrap();
    disk.set_capacity(200_000);
    let new = executable();
    let package = package(NAME, &new);
    let refused = |disk_with| {
        let error = Format::new(NAME).unpack(&package[..], &disk_with, Path::new(FOLDER)).unwrap_err();
        assert!(matches!(error, PackageError::NoSpace), "{error}");
        assert_eq!(disk.list(FOLDER).unwrap(), [NAME]);
        assert_eq!(disk.read(Path::new(FOLDER).join(NAME)).unwrap(), OLD);
    };
    refused(Simulated::new(&disk, None));
    // Where that is known before, nothing is written: what it writes would fit.
    disk.set_capacity(u64::MAX);
    refused(Simulated::with_free(&disk, new.len() as u64));
}
