//! When to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that end the program, caught from the moment this is made.
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
}

/// What asks for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C, SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Shutdown {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for Ctrl-C or SIGTERM, and says which. May be asked again, for those who lose patience.
    pub(crate) async fn signalled(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }

    /// Waits for either of them.
    pub(crate) async fn requested(&mut self) {
        self.signalled().await;
    }
}
