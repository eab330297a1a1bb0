//! A file that is coming in.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use super::{FileError, Files, Held, held::Part};

/// A file of which not all has come. Nobody sees it before it is complete, and dropped before that it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Upload {
    files: Files,
    file: File,
    part: Part,
    target: Option<PathBuf>,
    /// It is to outlive a power cut.
    lasting: bool,
    written: u64,
}

impl Upload {
    pub(super) fn new(files: Files, file: File, part: Part, target: Option<PathBuf>, lasting: bool) -> Upload {
        Upload { files, file, part, target, lasting, written: 0 }
    }

    /// Takes what comes next. Blocks on the disk.
    ///
    /// # Errors
    /// There is no room for it, or it cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let wanted = self.written + bytes.len() as u64;
        self.files.check(wanted, self.written)?;
        self.file.write_all(bytes)?;
        self.written = wanted;
        Ok(())
    }

    /// The file is complete: it takes the place of what had its name. Tells whether there was something, too. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn finish(self) -> Result<(Held, bool), FileError> {
        let Upload { file, part, target, lasting, .. } = self;
        let Some(target) = target else { return Ok((Held::part(part)?, false)) };
        if lasting {
            file.sync_all()?;
        }
        let replaced = fs::symlink_metadata(&target).is_ok();
        // Its own name ends with this; then there is no part to remove.
        fs::rename(&part.0, &target)?;
        if let Some(folder) = target.parent().filter(|_| lasting) {
            File::open(folder)?.sync_all()?;
        }
        Ok((Held::open(&target)?, replaced))
    }
}
