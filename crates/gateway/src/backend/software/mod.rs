//! Kinds of software that object 9 takes care of: the agent itself, what a program of the machine's maker installs, packages of
//! Debian, and archives with a unit of systemd.

mod apt;
mod own;
mod payload;
mod script;
mod service;
mod unit;

#[cfg(test)]
mod testing;

pub use apt::{Apt, FILE as DEB_FILE};
pub use own::Own;
pub use payload::Payload;
pub use script::{FILE as SCRIPT_FILE, Script};
pub use unit::Unit;

use lapwing::objects::software::Failure;

/// Does what blocks elsewhere.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// A failure of `what`.
fn failed(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{what}: {why}"))
}
