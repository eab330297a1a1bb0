//! What an updater remembers of the order that it has handed over, so that it is told from others after a restart.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A note on the disk: which order was handed over, while which kernel ran, and a few bytes of the updater's own.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
}

/// What a [`Note`] says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// The machine was not rebooted since.
    pub(super) same_boot: bool,
    /// What the updater has added.
    pub(super) more: String,
}

impl Note {
    /// The note in this file, which need not exist; its folder must.
    pub(super) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Writes it anew: synced, and whole or not at all.
    pub(super) fn write(&self, number: u64, more: &str) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        write!(file, "{number}\n{}\n{more}", boot_id())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The name is in the folder.
        let folder = self.path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    /// What it says of this order; nothing if it is about another.
    pub(super) fn read(&self, number: u64) -> Option<Content> {
        self.last().filter(|(its, _)| *its == number).map(|(_, content)| content)
    }

    /// What it says, and of which order.
    pub(super) fn last(&self) -> Option<(u64, Content)> {
        let text = fs::read_to_string(&self.path).ok()?;
        let mut parts = text.splitn(3, '\n');
        let its: u64 = parts.next()?.parse().ok()?;
        let boot = parts.next()?;
        let more = parts.next()?.to_owned();
        Some((its, Content { same_boot: boot == boot_id(), more }))
    }
}

/// Changes with each start of the kernel.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_about_one_order_and_one_boot() {
        let folder = tempfile::tempdir().unwrap();
        let note = Note::at(folder.path().join("note"));
        assert_eq!(note.read(7), None);
        note.write(7, "a\nb").unwrap();
        assert_eq!(note.read(7), Some(Content { same_boot: true, more: "a\nb".to_owned() }));
        assert_eq!(note.read(8), None);
        fs::write(folder.path().join("note"), "7\nanother boot\n").unwrap();
        assert_eq!(note.read(7), Some(Content { same_boot: false, more: String::new() }));
        fs::write(folder.path().join("note"), "torn").unwrap();
        assert_eq!(note.read(7), None);
    }
}
