use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bed::usage;

use crate::Result;

/// A process that ends with its handle.
pub(crate) struct Process(Child);

/// What a process has used up to now, or uses now.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time of all its threads.
    pub(crate) cpu: Duration,
    /// How often its threads have gone to sleep, to be woken again.
    pub(crate) switches: u64,
    /// Resident memory in KiB, and the part of it that is not backed by files.
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self(child))
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let id = self.0.id();
        Ok(Usage {
            cpu: usage::cpu(id)?,
            switches: usage::sleeps(id)?,
            resident: usage::memory(id, "VmRSS")?,
            anonymous: usage::memory(id, "RssAnon")?,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The size of a program without its symbols, if binutils are there to take them away.
pub(crate) fn stripped_size(program: &Path) -> Option<u64> {
    let copy = std::env::temp_dir().join(format!("lapwing-bench-{}", std::process::id()));
    let stripped = Command::new("strip").arg("-o").arg(&copy).arg(program).status().ok()?.success();
    let size = fs::metadata(&copy).ok().filter(|_| stripped).map(|metadata| metadata.len());
    let _ = fs::remove_file(copy);
    size
}
