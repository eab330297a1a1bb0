//! Programs that go on when the agent ends, and are followed by one that is started anew.
//!
//! A program runs in a process group of its own, under systemd in a scope of its own, and writes to a file instead of to this process.
//! Its exit code lies in a file then, and whether it still runs is told by a lock that it has inherited.

mod log;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::process::Command;
use tokio::time::Instant;

use self::log::Log;

/// Runs a program and keeps its exit code, whatever becomes of the agent. `mv` within a folder is whole or has not happened. Of what the program
/// says, so many pieces are kept, each of 512 bytes at most, and the rest is read all the same: neither does it
/// fill the disk, nor the program wait.
const WRAPPER: &str = r#"status=$1; kept=$2; shift 2
{ "$@"; code=$?; echo $code >"$status.new" && mv "$status.new" "$status"; } 2>&1 | {
    dd bs=512 count="$kept" 2>/dev/null
    [ "$(dd bs=1 count=1 2>/dev/null | wc -c)" -eq 0 ] || echo "(it says more, which is not kept)"
    cat >/dev/null
}"#;
/// So many pieces of what a program says are kept, which are 8 MiB at most.
const KEPT: u32 = 1 << 14;
/// So long it takes at most until what a program has said at its end is in the file.
const WRITTEN: Duration = Duration::from_secs(2);
/// systemd has started this machine where this is there.
const SYSTEMD: &str = "/run/systemd/system";
/// So often it is looked what the program says, and whether it has ended.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// The longest name or version that is taken, in bytes.
const MAX_STATED: usize = 255;

/// What a program says behind `key:` in the first line that begins so, unless it is empty or too long.
pub(super) fn stated(said: &str, key: &str) -> Option<String> {
    let value = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?.trim();
    ((1..=MAX_STATED).contains(&value.len())).then(|| value.to_owned())
}

/// How a program is started so that it outlives the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// In a process group of its own: enough where nobody ends all that a service has started.
    Group,
    /// In a scope of systemd too, which ends with the program and not with the agent's service.
    Systemd,
}

impl Scope {
    fn of_this_machine() -> Self {
        // Others than root would have to be asked for a password.
        let may = rustix::process::geteuid().is_root() && Path::new(SYSTEMD).is_dir();
        if may { Self::Systemd } else { Self::Group }
    }

    /// What stands before the command.
    fn prefix(self, name: &str, number: u64) -> Vec<String> {
        match self {
            Self::Group => Vec::new(),
            Self::Systemd => {
                let unit = format!("--unit=lapwing-{name}-{}-{number}", std::process::id());
                ["systemd-run", "--scope", "--quiet", "--collect", &unit, "--"].map(str::to_owned).to_vec()
            }
        }
    }
}

/// Runs of programs, one at a time, each of which has a number.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    folder: PathBuf,
    /// What the runs are for; part of the names of their scopes.
    name: String,
    scope: Scope,
}

impl Runs {
    /// In a folder of their own, whose path is absolute.
    pub(super) fn new(folder: PathBuf, name: impl Into<String>) -> Self {
        Self { folder, name: name.into(), scope: Scope::of_this_machine() }
    }

    /// Without systemd, which is not for tests to fill with units.
    #[cfg(test)]
    pub(super) fn without_systemd(self) -> Self {
        Self { scope: Scope::Group, ..self }
    }

    /// The run of this number, which may never have begun.
    pub(super) fn run(&self, number: u64) -> Run {
        Run { folder: self.folder.join(number.to_string()) }
    }

    /// Starts a program with its arguments, and behind them, where there is a file for it, a link of this name to that file. What is left of
    /// earlier runs is forgotten.
    ///
    /// An earlier run that still goes on is one that nobody follows any more, since its number was lost: there is none beside it.
    pub(super) fn start(&self, number: u64, command: &[String], file: Option<(&str, &Path)>) -> io::Result<Run> {
        self.none_goes_on()?;
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let run = self.run(number);
        DirBuilder::new().recursive(true).mode(0o700).create(&run.folder)?;
        let link = file.map(|(name, file)| {
            let link = run.folder.join(name);
            symlink(file, &link).map(|()| link)
        });
        let link = link.transpose()?;
        let lock = File::create(run.lock())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let log = OpenOptions::new().append(true).create_new(true).mode(0o600).open(run.log())?;
        let wrapped = ["/bin/sh", "-c", WRAPPER, "lapwing-run"].map(str::to_owned);
        let mut words = self.scope.prefix(&self.name, number).into_iter().chain(wrapped);
        let mut started = Command::new(words.next().unwrap_or_default());
        started.args(words).arg(run.status()).arg(KEPT.to_string()).args(command).args(link);
        started.stdin(Stdio::from(lock)).stdout(log.try_clone()?).stderr(log).process_group(0);
        // Tokio waits for the child after this is dropped; its exit code is read from the file, as it is after a restart.
        drop(started.spawn()?);
        Ok(run)
    }

    fn none_goes_on(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            if (Run { folder: entry?.path() }).goes_on() {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "an earlier run of it has not ended yet"));
            }
        }
        Ok(())
    }
}

/// One run of a program.
pub(super) struct Run {
    folder: PathBuf,
}

impl Run {
    fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// What it has written.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn status(&self) -> PathBuf {
        self.folder.join("status")
    }

    /// Says what the program says, as `who`, until it has ended; its exit code, if it has left one.
    pub(super) async fn follow(&self, who: &str) -> Option<i32> {
        let mut log = Log::new(self.log(), who);
        loop {
            let ended = !self.is_running();
            log.say();
            let status = fs::read_to_string(self.status()).ok();
            if status.is_some() || ended {
                self.written().await;
                while log.say() {
                    // There is other work to do than to repeat what somebody says without end.
                    tokio::task::yield_now().await;
                }
                log.finish();
                return status?.trim().parse().ok();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until all is written that it has said, unless what it has left behind goes on.
    async fn written(&self) {
        let deadline = Instant::now() + WRITTEN;
        while self.is_running() && Instant::now() < deadline {
            tokio::time::sleep(LOOK / 10).await;
        }
    }

    /// Whether its program has not ended. What it has left running may hold the lock for longer.
    fn goes_on(&self) -> bool {
        self.is_running() && !self.status().exists()
    }

    /// Whether somebody holds the lock.
    pub(super) fn is_running(&self) -> bool {
        let Ok(lock) = File::open(self.lock()) else { return false };
        flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_systemd_it_gets_a_scope_of_its_own() {
        assert_eq!(Scope::Group.prefix("update", 7), [""; 0]);
        let words = Scope::Systemd.prefix("update", 7);
        assert_eq!(words[..2], ["systemd-run", "--scope"]);
        assert!(
            words.iter().any(|word| word.starts_with("--unit=lapwing-update-") && word.ends_with("-7")),
            "{words:?}"
        );
        assert_eq!(words.last().map(String::as_str), Some("--"));
    }
}
