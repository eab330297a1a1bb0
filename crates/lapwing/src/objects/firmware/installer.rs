use std::fmt;
use std::path::PathBuf;

use super::UpdateResult;
use crate::object::BoxFuture;

/// Whatever puts a firmware image in its place.
///
/// # At most once
/// [`install`](Installer::install) is called at most once for each time that an update was asked for, and only after the intent is on
/// the disk. If the process ends before its outcome is stored, it is never called again for that update:
/// [`resume`](Installer::resume) is asked what became of it. So what an installer starts should outlive the process.
pub trait Installer: Send + Sync + 'static {
    /// Looks at an image that has just come, whole: whether it is one for this machine, and what it says of itself. By default
    /// anything will do and says nothing.
    ///
    /// # Errors
    /// What is wrong with it; the image is thrown away whatever [`Failure::keep`] says.
    fn inspect<'a>(&'a self, image: &'a Update) -> BoxFuture<'a, Result<Package, Failure>> {
        let _ = image;
        Box::pin(async { Ok(Package::default()) })
    }

    /// Installs. The future is dropped when the process ends, and only then.
    ///
    /// # Errors
    /// Why not.
    fn install<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Result<Installed, Failure>>;

    /// The process has been started anew since [`install`](Installer::install) may have been called for this update, whose
    /// outcome is not known: waits for its end if it still runs. `None` when nothing is known of it.
    fn resume<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Option<Result<Installed, Failure>>>;

    /// Reboots the machine, after [`Installed::AfterReboot`] was stored. By default it cannot.
    ///
    /// # Errors
    /// Why it does not reboot.
    fn reboot(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Err("this installer cannot reboot".to_owned()) })
    }

    /// The process has been started anew since [`Installed::AfterReboot`] with this memory: whether what was installed runs. By default
    /// that is not known, and counts as a failure.
    fn confirm<'a>(&'a self, update: &'a Update, memory: &'a [u8]) -> BoxFuture<'a, Confirmation> {
        let _ = (update, memory);
        Box::pin(async { Confirmation::Failed(Failure::new("it is not known whether the new firmware runs")) })
    }
}

/// What is to be installed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    /// Another number for each update: also where the record of those before was lost.
    pub number: u64,
    /// Where the image is. It is read-only for the installer: the only copy.
    pub image: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, image, length, sha256: _ } = self;
        f.debug_struct("Update").field("number", number).field("image", image).field("length", length).finish()
    }
}

/// What an image says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name (5/0/6), at most 255 bytes.
    pub name: Option<String>,
    /// Its version (5/0/7), at most 255 bytes.
    pub version: Option<String>,
}

/// How an installation went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// It is done: the server is told at once.
    Done,
    /// It takes a reboot, after which [`Installer::confirm`] is asked with these bytes, and the server told.
    AfterReboot(Vec<u8>),
}

/// What is known after a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The machine has not been rebooted yet.
    Pending,
    /// What was installed runs.
    Running,
    /// It does not.
    Failed(Failure),
}

/// Why an update has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// What the server is told (5/0/5).
    pub result: UpdateResult,
    /// Whether the package stays, so that it can be tried again; otherwise a new one is needed.
    pub keep: bool,
    /// Why, for the log.
    pub reason: String,
}

impl Failure {
    /// "Firmware update failed" (8): the package stays.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { result: UpdateResult::UpdateFailed, keep: true, reason: reason.into() }
    }

    /// The same with another result. After "integrity check failure" (5) and "unsupported package type" (6) the package goes.
    pub fn with_result(mut self, result: UpdateResult) -> Self {
        self.keep = !matches!(result, UpdateResult::Integrity | UpdateResult::PackageType);
        self.result = result;
        self
    }
}
