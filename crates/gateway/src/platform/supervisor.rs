use super::{BoxFuture, Result};

/// Whoever starts and stops the machine.
pub trait Supervisor: Send + Sync {
    /// Starts a reboot. The future ends when the machine has accepted it, not when it is down.
    fn reboot(&self) -> BoxFuture<'_, Result<()>>;
}
