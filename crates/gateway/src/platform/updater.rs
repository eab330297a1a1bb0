use std::path::Path;
use std::sync::Arc;

use lapwing::objects::firmware::Failure;

use super::{BoxFuture, Error, Result};

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

    /// The side that the machine runs from, by a name that it keeps. `None`, as by default, where there are no sides, or nobody knows: then
    /// versions are compared.
    ///
    /// # Errors
    /// When whoever knows cannot be asked.
    fn running(&self) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async { Ok(None) })
    }

    /// The side that [`install`](Updater::install) for this number has written to, by its name in [`running`](Updater::running).
    ///
    /// # Errors
    /// When whoever knows cannot be asked.
    fn installed(&self, number: u64) -> BoxFuture<'_, Result<Option<String>>> {
        let _ = number;
        Box::pin(async { Ok(None) })
    }

    /// What has been installed runs, and is to be booted from now on. By default there is nothing to do about it.
    ///
    /// # Errors
    /// When the boot loader could not be told.
    fn accept(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// What has been installed runs, and what ran before is to be booted next instead. By default there is no way back.
    ///
    /// # Errors
    /// When the boot loader could not be told.
    fn go_back(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Err(Error::NotPermitted("nothing is configured to go back by".to_owned())) })
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
    /// When the machine, after a reboot, runs from the side that was installed to; where sides are not known, another version than before.
    Reboot,
}
