use super::{BoxFuture, Result};

/// Whoever starts and stops the machine.
pub trait Supervisor: Send + Sync {
    /// Starts a reboot. The future ends when the machine has accepted it, not when it is down.
    fn reboot(&self) -> BoxFuture<'_, Result<()>>;
    /// Names the time since the machine was started last: it is another name after each reboot, and only then.
    fn boot(&self) -> BoxFuture<'_, Result<String>>;
}
