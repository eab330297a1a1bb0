use std::path::Path;
use std::sync::Arc;

use lapwing::objects::firmware::Failure;

use super::{BoxFuture, Result};

/// Whatever writes a firmware image to where the machine boots from.
pub trait Updater: Send + Sync {
    /// Installs the image, the only copy of it. Called at most once for each number; what it starts should outlive this process.
    ///
    /// # Errors
    /// What a server is told, and why.
    fn install<'a>(&'a self, number: u64, image: &'a Path) -> BoxFuture<'a, Result<(), Failure>>;

    /// The process has been started anew, and does not know how [`install`](Updater::install) for this number has ended, if it was called:
    /// waits for the end if it still goes on. `None` when nothing is known of it.
    fn resume(&self, number: u64) -> BoxFuture<'_, Option<Result<(), Failure>>>;

    /// What has been installed runs, and is to be booted from now on. By default there is nothing to do about it.
    ///
    /// # Errors
    /// When the boot loader could not be told.
    fn accept(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// Is told how far an installation is: percentages never fall, and 100 comes with success only. It must not block.
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// How far an installation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Of the whole, in percent.
    pub percent: u8,
    /// What is being done, in the installer's words.
    pub step: String,
}

/// When an update has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// When it is installed.
    Now,
    /// When the machine, after a reboot, runs another version than before.
    Reboot,
}
