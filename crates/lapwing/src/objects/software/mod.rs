//! Software Management (object 9): packages are pushed or fetched, and a [`Manager`] for each instance installs, starts and removes what is
//! in them.
//!
//! ```no_run
//! use lapwing::Client;
//! use lapwing::objects::software::{BoxFuture, Failure, Instance, Job, Manager, Package, Release, Software};
//! use lapwing::transfer::{PullConfig, Puller};
//!
//! struct Recipes;
//!
//! impl Manager for Recipes {
//!     fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
//!         Box::pin(async { Ok(package.release().name("recipes")) })
//!     }
//!     fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
//!         Box::pin(async move {
//!             println!("{}: {:?}", job.task, job.package);
//!             Ok(())
//!         })
//!     }
//!     fn resume<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
//!         // What it does ends with the process, and leaves no trace.
//!         Box::pin(async { None })
//!     }
//! }
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let software = Software::builder()
//!     .source(Puller::new(PullConfig::default()))
//!     .instance(0, "recipes", Instance::new(Recipes))
//!     .open("/var/lib/kettle/software")?;
//! let client = Client::builder("kettle-1").server("coap://localhost").object(software).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything that a server can see is on the disk first: after a power cut there is what was acknowledged, a package that had come
//! whole is there, and what may have been begun is not begun again. Every Execute is answered when its intent is stored; how it ends shows in
//! 9/x/7, 9/x/9, 9/x/12 and 9/x/21, and in words in 9/x/16.
//!
//! Instances are the application's: servers neither create nor delete them. Software components (9/x/17, object 14) are not offered.

mod instance;
mod machine;
mod manager;
mod object;
pub mod package;
mod record;
mod rules;

use std::fmt;
use std::fs::File;
use std::io;

pub use self::instance::{Instance, Overview};
pub use self::manager::{Failure, Job, Manager, Package, Release, Task};
pub use self::object::{Builder, OpenError, Software};
pub use crate::object::BoxFuture;
use crate::transfer::sha256_of;

/// The state of an update (9/x/7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no package.
    Initial = 0,
    /// A package is coming.
    DownloadStarted = 1,
    /// A package has come, and is not verified yet.
    Downloaded = 2,
    /// A package was verified, and waits to be installed.
    Delivered = 3,
    /// The software is installed.
    Installed = 4,
}

/// What the software does (9/x/21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationalState {
    /// It starts.
    Initializing = 0,
    /// It runs.
    Running = 1,
    /// It is being stopped.
    ShuttingDown = 2,
    /// It does not run.
    Stopped = 3,
    /// It should run and does not.
    Failed = 4,
    /// It cannot run any more.
    Defunct = 5,
}

impl fmt::Display for OperationalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initializing => "it starts",
            Self::Running => "it runs",
            Self::ShuttingDown => "it is being stopped",
            Self::Stopped => "it does not run",
            Self::Failed => "it should run and does not",
            Self::Defunct => "it cannot run any more",
        })
    }
}

/// How the last download, installation or removal ended (9/x/9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpdateResult {
    /// Nothing was begun.
    #[error("nothing was begun")]
    Initial = 0,
    /// A package is coming.
    #[error("the package is being downloaded")]
    Downloading = 1,
    /// The software was installed.
    #[error("the software is installed")]
    Installed = 2,
    /// The package has come, and is what it should be.
    #[error("the package has come, and was verified")]
    Verified = 3,
    /// Not enough storage for the package.
    #[error("there is not enough space for the package")]
    NoSpace = 50,
    /// Out of memory during the download.
    #[error("there is not enough memory")]
    OutOfMemory = 51,
    /// Connection lost during the download.
    #[error("the download was cut off")]
    ConnectionLost = 52,
    /// Package integrity check failure.
    #[error("the package is damaged")]
    Integrity = 53,
    /// Unsupported package type.
    #[error("the package is none for this software")]
    PackageType = 54,
    /// Invalid URI. There is no 55.
    #[error("the URI is invalid")]
    InvalidUri = 56,
    /// An error that the device defines.
    #[error("the device has failed")]
    Device = 57,
    /// Software installation failure.
    #[error("the installation has failed")]
    InstallFailed = 58,
    /// Uninstallation failure.
    #[error("the software could not be removed")]
    UninstallFailed = 59,
}

impl UpdateResult {
    const ALL: [Self; 13] = [
        Self::Initial,
        Self::Downloading,
        Self::Installed,
        Self::Verified,
        Self::NoSpace,
        Self::OutOfMemory,
        Self::ConnectionLost,
        Self::Integrity,
        Self::PackageType,
        Self::InvalidUri,
        Self::Device,
        Self::InstallFailed,
        Self::UninstallFailed,
    ];

    /// The result of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|result| *result as u8 == number)
    }

    /// Whether it tells of something that went wrong.
    pub fn is_failure(self) -> bool {
        self as u8 >= Self::NoSpace as u8
    }
}

/// The SHA-256 of the executable of this process, even if another one lies in its place by now: for [`Instance::own`]. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn running_executable() -> io::Result<[u8; 32]> {
    sha256_of(File::open("/proc/self/exe")?)
}
