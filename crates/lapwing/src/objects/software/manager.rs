use std::fmt;
use std::path::PathBuf;

use super::package::{Executable, PackageError};
use super::{OperationalState, UpdateResult};
use crate::object::BoxFuture;

/// Whatever takes care of one kind of software: it knows its packages, and installs, starts and removes it.
///
/// # At most once
/// [`begin`](Manager::begin) is called at most once for each Execute of a server, and only after the intent is on the disk. If the
/// process ends before the outcome is stored, it is never called again for that job: [`resume`](Manager::resume) is asked what became
/// of it. So what a job starts should outlive the process. Of one instance, one job is done at a time.
pub trait Manager: Send + Sync + 'static {
    /// Looks at a package that has come, whole: whether it is one for this software, and what is to be told of it. It may be called
    /// again for the same package, after a restart, and must leave no trace.
    ///
    /// # Errors
    /// What is wrong with it; the package is thrown away.
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>>;

    /// Does a job, to its end. The future is dropped when the process ends, and only then.
    ///
    /// Of the instance that is the program itself ([`Instance::own`](super::Instance::own)), Install puts the executable where whoever
    /// starts the program finds it, and Activate ends the process so that this happens. Either begins when the server has its answer. If
    /// the program that is started then is what was installed, [`resume`](Manager::resume) is asked whether that has come to stay;
    /// if it is another one, the activation has failed, and nobody is asked.
    ///
    /// # Errors
    /// Why it is not done. After a failed Install the package stays, so that it can be tried again, unless the failure is one of the package
    /// ([`UpdateResult::Integrity`], [`UpdateResult::PackageType`]).
    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>>;

    /// The process has been started anew since [`begin`](Manager::begin) may have been called for this job, whose outcome is not known:
    /// waits for its end if it still runs. `None` when nothing is known of it, which counts as a failure.
    ///
    /// For Activate of the program itself it is not over before the program has shown that it works: until then a start of another program,
    /// by a roll-back, shows that it has failed.
    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>>;

    /// What installed and active software does now, as far as that is known: asked when a server wants to know it, from time to time
    /// while that is observed, and after a restart. By default it is what the last job has made of it.
    fn operational_state<'a>(&'a self, release: &'a Release) -> BoxFuture<'a, Option<OperationalState>> {
        let _ = release;
        Box::pin(async { None })
    }

    /// Whether the software's data can be deleted ([`Task::Purge`]). By default not; then 9/x/22 is not offered.
    fn can_purge(&self) -> bool {
        false
    }
}

/// Something that takes its time, begun by an Execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Install (9/x/4).
    Install,
    /// Uninstall (9/x/6) without the argument 1.
    Remove,
    /// Activate (9/x/10): the software may run, and is started.
    Activate,
    /// Deactivate (9/x/11): it is stopped, and must not run.
    Deactivate,
    /// Start (9/x/19).
    Start,
    /// Stop (9/x/20): it may be started again, also by a restart of the machine.
    Stop,
    /// Purge (9/x/22): the software's data is deleted.
    Purge,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "installation",
            Self::Remove => "removal",
            Self::Activate => "activation",
            Self::Deactivate => "deactivation",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Purge => "deletion of its data",
        })
    }
}

/// What is to be done with the software.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// What.
    pub task: Task,
    /// Another number for each job of the instance: also where the record of those before was lost.
    pub number: u64,
    /// For Install what is to be installed, otherwise what is installed.
    pub release: Release,
    /// Where the package is, as long as it is needed: for Install, and for Activate of the program itself. It is read-only: the only
    /// copy.
    pub package: Option<PathBuf>,
    /// For Install what it takes the place of, where there is something.
    pub replaces: Option<Release>,
}

impl Job {
    /// A job with neither a package nor something that it takes the place of.
    pub fn new(task: Task, number: u64, release: Release) -> Self {
        Self { task, number, release, package: None, replaces: None }
    }
}

/// A package that has come, and that nobody has looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Package {
    /// Where it is. It is read-only: the only copy.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl Package {
    /// A package at `path`.
    pub fn new(path: impl Into<PathBuf>, length: u64, sha256: [u8; 32]) -> Self {
        Self { path: path.into(), length, sha256 }
    }

    /// What is known of it: nothing but its length and its hash.
    pub fn release(&self) -> Release {
        Release { length: self.length, sha256: self.sha256, name: None, version: None }
    }
}

/// A verified package, or the software that came out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    /// The length of what is installed from, in bytes.
    pub length: u64,
    /// Its SHA-256; for the program itself that of the executable, by which it is known when it runs.
    pub sha256: [u8; 32],
    /// Its name (9/x/0), at most 255 bytes.
    pub name: Option<String>,
    /// Its version (9/x/1), at most 255 bytes.
    pub version: Option<String>,
}

impl Release {
    /// The program itself, which is this executable of a package.
    pub fn executable(executable: &Executable) -> Self {
        let Executable { length, sha256, name, version } = executable.clone();
        Self { length, sha256, name, version }
    }

    /// The same with this name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same with this version.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }
}

/// The longest [`Failure::reason`], in bytes.
const MAX_REASON: usize = 1024;

/// Why something has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// What the server is told (9/x/9) of a package that is refused, an installation or a removal; `None`: 57, 58 or 59.
    pub result: Option<UpdateResult>,
    /// Why, for the log and for 9/x/16.
    pub reason: String,
}

impl Failure {
    /// With the result of what has failed. Of a long reason the first 1,024 bytes are kept: it is stored, and servers read it.
    pub fn new(reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if let Some(end) = (0..=MAX_REASON).rev().find(|end| reason.is_char_boundary(*end)) {
            reason.truncate(end);
        }
        Self { result: None, reason }
    }

    /// The same with another result.
    #[must_use]
    pub fn with_result(self, result: UpdateResult) -> Self {
        Self { result: Some(result), ..self }
    }
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        Self::new(error.to_string()).with_result(error.result())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(Failure::new("no").reason, "no");
        assert_eq!(Failure::new(format!("x{}", "ä".repeat(MAX_REASON))).reason.len(), MAX_REASON - 1);
    }
}
