//! The LwM2M objects of a Linux gateway. They know the platform traits and nothing behind them.
//!
//! A resource without a source on this machine is not offered; an object without one is not registered.

mod connectivity;
mod device;
mod error_codes;
mod firmware;
mod sampler;

pub use connectivity::{Connectivity, ConnectivityUpdates};
pub use device::{Device, DeviceValues, DeviceVersions};
pub use firmware::{InstallProgress, Installation, Trial};

use lapwing::{Error, Path};

use crate::platform;

/// Whether a change of `path` concerns somebody who observes `observed`.
fn concerns(observed: &[Path], path: &Path) -> bool {
    observed.iter().any(|observed| observed.contains(path) || path.contains(observed))
}

/// What a server is told of a platform's failure: the reason stays here, in the log.
fn failure(error: platform::Error) -> Error {
    match error {
        platform::Error::NotPermitted(_) => Error::MethodNotAllowed,
        platform::Error::Failed { .. } => Error::unavailable(error.to_string()),
    }
}
