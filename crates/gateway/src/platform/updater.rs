use std::path::Path;

use lapwing::objects::firmware::Failure;

use super::BoxFuture;

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
}

/// When an update has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// When it is installed.
    Now,
    /// When the machine, after a reboot, runs another version than before.
    Reboot,
}
