//! Software that a program of the machine's maker takes care of.
//!
//! The program is called with one word, and a file where there is one: `verify FILE`, `install FILE`, `remove`, `activate`, `deactivate`,
//! `start`, `stop`, `purge`, `status`. 0 is success. `verify` may print `name: NAME` and `version: VERSION`, and refuse a package by the
//! number of a result (50 to 57); `status` ends as those of init scripts do, with 0 if the software runs, 3 if it does not, 1 or 2
//! if it has failed.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use lapwing::objects::software::{
    BoxFuture, Failure, Job, Manager, OperationalState, Package, Release, Task, UpdateResult,
};
use tokio::process::Command;

use super::super::program::{Run, Runs, stated};
use super::super::{check, command};
use super::payload::Payload;
use super::{blocking, failed};

/// The name of the link or file that the program is given.
pub const FILE: &str = "package";

/// Software that a program takes care of.
#[derive(Debug, Clone)]
pub struct Script {
    command: Vec<String>,
    payload: Payload,
    folder: PathBuf,
    runs: Runs,
    purges: bool,
    /// So long the program may look at a package.
    look: Duration,
}

impl Script {
    /// The program with its arguments, and a folder of its own, whose path is absolute. `purges`: it can delete the software's data.
    ///
    /// # Panics
    /// When `command` is empty.
    pub fn new(command: Vec<String>, payload: Payload, purges: bool, folder: PathBuf) -> Self {
        assert!(!command.is_empty(), "there is a program");
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let runs = Runs::new(folder.join("runs"), format!("software-{name}"));
        Self { command, payload, folder, runs, purges, look: check::LOOK }
    }

    fn words(&self, verb: &str) -> Vec<String> {
        self.command.iter().cloned().chain([verb.to_owned()]).collect()
    }

    async fn ended(&self, run: &Run, task: Task) -> Option<Result<(), Failure>> {
        let code = run.follow(&self.command[0]).await?;
        // A copy that the program was given is needed no longer.
        let _ = std::fs::remove_file(self.folder.join(FILE));
        let failure = || failed(self.words(verb(task)).join(" "), format!("ended with exit code {code}"));
        Some(if code == 0 { Ok(()) } else { Err(failure()) })
    }

    async fn perform(&self, job: &Job) -> Result<(), Failure> {
        let command = self.words(verb(job.task));
        let file = match &job.package {
            Some(package) if job.task == Task::Install => {
                let (payload, package, folder) = (self.payload.clone(), package.clone(), self.folder.clone());
                Some(blocking(move || payload.unpack(&package, &folder)).await?)
            }
            _ => None,
        };
        let link = file.as_deref().map(|file| (FILE, file));
        let run = self.runs.start(job.number, &command, link).map_err(|error| failed(command.join(" "), error))?;
        tracing::info!("software: {} runs", command.join(" "));
        let ended = self.ended(&run, job.task).await;
        ended.unwrap_or_else(|| Err(failed(command.join(" "), "it was ended before its end")))
    }
}

fn verb(task: Task) -> &'static str {
    match task {
        Task::Install => "install",
        Task::Remove => "remove",
        Task::Activate => "activate",
        Task::Deactivate => "deactivate",
        Task::Start => "start",
        Task::Stop => "stop",
        Task::Purge => "purge",
    }
}

/// How long a program may take that is asked for its software's state: who reads that waits for it.
const STATUS: Duration = Duration::from_secs(10);

async fn run(words: &[String], file: Option<&Path>, time: Duration) -> Result<Output, Failure> {
    let output = command::output(Command::new(&words[0]).args(&words[1..]).args(file), time).await;
    output.map_err(|error| failed(words.join(" "), error))
}

/// What the program finds about a package.
fn judge(command: &[String], output: &Output) -> Result<(Option<String>, Option<String>), Failure> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let code = output.status.code().and_then(|code| u8::try_from(code).ok());
        let result = code.and_then(UpdateResult::from_number).filter(|result| result.is_failure());
        let complaint = String::from_utf8_lossy(&output.stderr);
        let last = complaint.lines().last().unwrap_or_default();
        let failure = failed(command.join(" "), format!("{}: {last}", output.status));
        return Err(failure.with_result(result.unwrap_or(UpdateResult::PackageType)));
    }
    Ok((stated(&said, "name"), stated(&said, "version")))
}

impl Manager for Script {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            let command = self.words("verify");
            let look = async |file: PathBuf| judge(&command, &run(&command, Some(&file), self.look).await?);
            let (mut release, (name, version)) = self.payload.inspect(package, &self.folder, look).await?;
            release.name = name.or(release.name);
            release.version = version.or(release.version);
            Ok(release)
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.perform(job))
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async {
            let run = self.runs.run(job.number);
            if run.is_running() {
                tracing::info!("software: {} still runs", self.words(verb(job.task)).join(" "));
            }
            self.ended(&run, job.task).await
        })
    }

    fn operational_state<'a>(&'a self, _: &'a Release) -> BoxFuture<'a, Option<OperationalState>> {
        Box::pin(async {
            let output = run(&self.words("status"), None, STATUS).await.ok()?;
            Some(match output.status.code()? {
                0 => OperationalState::Running,
                1 | 2 => OperationalState::Failed,
                3 => OperationalState::Stopped,
                _ => return None,
            })
        })
    }

    fn can_purge(&self) -> bool {
        self.purges
    }
}

#[cfg(test)]
mod tests;
