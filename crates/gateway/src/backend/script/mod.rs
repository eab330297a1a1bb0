//! Installs firmware by a program of the machine's maker.
//!
//! The program gets the path of a link to the image behind its arguments. It outlives the agent: one that is started anew follows it
//! to its end.

use std::path::{Path, PathBuf};

use lapwing::objects::firmware::{Failure, UpdateResult};

use super::program::{Run, Runs};
use super::verdict::Verdict;
use crate::platform::{BoxFuture, Result as Platform, Updater};

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

/// The name of the link that the program is given.
const LINK: &str = "update.bin";
/// Who has said what the program says.
const WHO: &str = "installer";

/// Installs by a program.
#[derive(Debug, Clone)]
pub struct Script {
    command: Vec<String>,
    code: ExitCode,
    runs: Runs,
    verdict: Verdict,
}

impl Script {
    /// The program with its arguments, and a folder of its own, whose path is absolute.
    ///
    /// # Panics
    /// When `command` is empty.
    pub fn new(command: Vec<String>, code: ExitCode, folder: PathBuf, verdict: Verdict) -> Self {
        assert!(!command.is_empty(), "there is a program");
        Self { command, code, runs: Runs::new(folder, "update"), verdict }
    }

    async fn ended(&self, run: &Run) -> Option<Result<(), Failure>> {
        Some(self.code.judge(run.follow(WHO).await?))
    }
}

impl Updater for Script {
    fn install<'a>(&'a self, number: u64, image: &'a Path) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let program = self.command.join(" ");
            let run = self.runs.start(number, &self.command, Some((LINK, image)));
            let run = run.map_err(|error| Failure::new(format!("{program}: {error}")))?;
            tracing::info!("firmware: {program} {LINK} runs");
            let ended = self.ended(&run).await;
            ended.unwrap_or_else(|| Err(Failure::new(format!("{program} was ended before its end"))))
        })
    }

    fn resume(&self, number: u64) -> BoxFuture<'_, Option<Result<(), Failure>>> {
        Box::pin(async move {
            let run = self.runs.run(number);
            if run.is_running() {
                tracing::info!("firmware: {} still runs", self.command.join(" "));
            }
            self.ended(&run).await
        })
    }

    fn accept(&self) -> BoxFuture<'_, Platform<()>> {
        Box::pin(self.verdict.accept())
    }

    fn go_back(&self) -> BoxFuture<'_, Platform<()>> {
        Box::pin(self.verdict.go_back(None))
    }
}

#[cfg(test)]
mod tests;
