use std::time::Duration;

/// The time, as both engines are told it.
///
/// Timers use [`elapsed`](Now::elapsed) alone: CLOCK_BOOTTIME in a driver, which goes on in suspend as the lifetime of a
/// registration does. It must never run backwards. A machine may boot in 1970, so [`unix`](Now::unix) is `None` until
/// the wall clock is plausible; nothing here decides by it what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Time since any fixed moment of this boot.
    pub elapsed: Duration,
    /// Time since 1970-01-01 00:00 UTC, once it is known.
    pub unix: Option<Duration>,
}

impl Now {
    /// Both times.
    pub const fn new(elapsed: Duration, unix: Option<Duration>) -> Now {
        Now { elapsed, unix }
    }

    /// A time of which only the elapsed part is known.
    pub const fn from_elapsed(elapsed: Duration) -> Now {
        Now { elapsed, unix: None }
    }
}

impl From<Duration> for Now {
    fn from(elapsed: Duration) -> Now {
        Now::from_elapsed(elapsed)
    }
}
