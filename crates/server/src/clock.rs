//! What time it is, for the engine.

use std::time::{Duration, SystemTime};

use lapwing_lwm2m::Now;
use tokio::time::Instant;

/// Counts from its making with tokio's clock, so that tests may pause it.
///
/// That clock stands still while the machine is suspended. For a server this is right: nothing can reach it then, and
/// a lifetime that went on would end registrations of clients which could not update them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        Now::new(self.start.elapsed(), unix)
    }

    /// The instant of an `elapsed`.
    pub(crate) fn instant(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }
}
