//! Installs firmware by a program of the machine's maker.
//!
//! The program gets the path of a link to the image behind its arguments. It runs in a process group of its own, under systemd in a
//! scope of its own, and writes to a file instead of to this process: it goes on when the agent ends, and an agent that is started anew
//! follows it to its end. Its exit code lies in a file then, and whether it still runs is told by a lock that it has inherited.

mod log;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lapwing::objects::firmware::{Failure, UpdateResult};
use rustix::fs::{FlockOperation, flock};
use tokio::process::Command;

use self::log::Log;
use crate::platform::{BoxFuture, Updater};

/// Runs a program and keeps its exit code, whatever becomes of the agent. `mv` within a folder is whole or has not happened.
const WRAPPER: &str = r#"status=$1; shift; "$@"; code=$?; echo $code >"$status.new" && mv "$status.new" "$status""#;
/// systemd has started this machine where this is there.
const SYSTEMD: &str = "/run/systemd/system";
/// So often it is looked what the program says, and whether it has ended.
const LOOK: Duration = Duration::from_millis(200);

/// What a program's exit code means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExitCode {
    /// 0 is success, all else a failure: the package stays, to be tried again.
    #[default]
    Posix,
    /// It is the result of the update (5/0/5): 1 is success, 2 to 9 are failures by their number, all else is "update failed" (8). After
    /// a failure the package goes, as it did with `ig60_fw_update.sh`.
    Ig60,
}

impl ExitCode {
    /// Whether the update has succeeded.
    ///
    /// # Errors
    /// What the server is told.
    fn judge(self, code: i32) -> Result<(), Failure> {
        let failure = Failure::new(format!("the program ended with exit code {code}"));
        match self {
            Self::Posix if code == 0 => Ok(()),
            Self::Posix => Err(failure),
            Self::Ig60 if code == UpdateResult::Success as i32 => Ok(()),
            Self::Ig60 => {
                let known = u8::try_from(code).ok().and_then(UpdateResult::from_number);
                let result = known.filter(|result| result.is_failure()).unwrap_or(UpdateResult::UpdateFailed);
                Err(Failure { result, keep: false, ..failure })
            }
        }
    }
}

/// How a program is started so that it outlives the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
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
    fn prefix(self, number: u64) -> Vec<String> {
        match self {
            Self::Group => Vec::new(),
            Self::Systemd => {
                let unit = format!("--unit=lapwing-update-{}-{number}", std::process::id());
                ["systemd-run", "--scope", "--quiet", "--collect", &unit, "--"].map(str::to_owned).to_vec()
            }
        }
    }
}

/// Installs by a program.
#[derive(Debug, Clone)]
pub struct Script {
    command: Vec<String>,
    code: ExitCode,
    folder: PathBuf,
    scope: Scope,
}

impl Script {
    /// The program with its arguments, and a folder of its own, whose path is absolute.
    ///
    /// # Panics
    /// When `command` is empty.
    pub fn new(command: Vec<String>, code: ExitCode, folder: PathBuf) -> Self {
        assert!(!command.is_empty(), "there is a program");
        Self { command, code, folder, scope: Scope::of_this_machine() }
    }

    fn run(&self, number: u64) -> Run {
        Run { folder: self.folder.join(number.to_string()) }
    }

    fn start(&self, number: u64, image: &Path) -> io::Result<Run> {
        // What is left of earlier runs has been judged.
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let run = self.run(number);
        DirBuilder::new().recursive(true).mode(0o700).create(&run.folder)?;
        symlink(image, run.link())?;
        let lock = File::create(run.lock())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let log = OpenOptions::new().append(true).create_new(true).mode(0o600).open(run.log())?;
        let prefix = self.scope.prefix(number);
        let wrapped = ["/bin/sh", "-c", WRAPPER, "lapwing-update"].map(str::to_owned);
        let mut words = prefix.into_iter().chain(wrapped);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(run.status()).args(&self.command).arg(run.link());
        command.stdin(Stdio::from(lock)).stdout(log.try_clone()?).stderr(log).process_group(0);
        // Tokio waits for the child after this is dropped; its exit code is read from the file, as it is after a restart.
        drop(command.spawn()?);
        Ok(run)
    }

    async fn ended(&self, run: &Run) -> Option<Result<(), Failure>> {
        Some(self.code.judge(run.follow().await?))
    }
}

/// One run of the program.
struct Run {
    folder: PathBuf,
}

impl Run {
    fn link(&self) -> PathBuf {
        self.folder.join("update.bin")
    }

    fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn status(&self) -> PathBuf {
        self.folder.join("status")
    }

    /// Says what the program says until it has ended; its exit code, if it has left one.
    async fn follow(&self) -> Option<i32> {
        let mut log = Log::new(self.log());
        loop {
            let ended = !self.is_running();
            log.say();
            if let Ok(status) = fs::read_to_string(self.status()) {
                // What it has written last came before the status.
                log.say();
                log.finish();
                return status.trim().parse().ok();
            }
            if ended {
                log.finish();
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether somebody holds the lock.
    fn is_running(&self) -> bool {
        let Ok(lock) = File::open(self.lock()) else { return false };
        flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
    }
}

impl Updater for Script {
    fn install<'a>(&'a self, number: u64, image: &'a Path) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let program = self.command.join(" ");
            let run = self.start(number, image).map_err(|error| Failure::new(format!("{program}: {error}")))?;
            tracing::info!("firmware: {program} {} runs", run.link().display());
            let ended = self.ended(&run).await;
            ended.unwrap_or_else(|| Err(Failure::new(format!("{program} was ended before its end"))))
        })
    }

    fn resume(&self, number: u64) -> BoxFuture<'_, Option<Result<(), Failure>>> {
        Box::pin(async move {
            let run = self.run(number);
            if run.is_running() {
                tracing::info!("firmware: {} still runs", self.command.join(" "));
            }
            self.ended(&run).await
        })
    }
}

#[cfg(test)]
mod tests;
