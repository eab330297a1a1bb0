//! What measured calls take from the allocator, counted by it for this thread.

#![allow(unreachable_pub, reason = "used by several tests")]

use std::fmt;

/// Bytes and blocks since it was made.
#[derive(Clone, Copy, Default)]
pub struct Meter {
    /// Bytes that the measured calls hold now.
    pub live: i64,
    /// The most they held at any moment, also within a call: where a block moves to grow, both places count.
    pub peak: i64,
    /// How often they allocated; growing counts too.
    pub allocations: u64,
}

impl Meter {
    /// Measures one call.
    pub fn of<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let mut result = None;
        let counted = allocation_counter::measure(|| result = Some(act()));
        self.peak = self.peak.max(self.live + counted.bytes_max as i64);
        self.live += counted.bytes_current;
        self.allocations += counted.count_total;
        result.expect("it was called")
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes live, {} at most, {} allocations", self.live, self.peak, self.allocations)
    }
}
