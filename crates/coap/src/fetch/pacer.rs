//! Spreads requests over the round trip (RFC 9002 section 7.7), and keeps to a rate that was configured.

use std::time::Duration;

/// A bucket that fills with bytes that may be asked for.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    /// Below zero, it is in debt.
    bytes: f64,
    filled: Duration,
    /// Bytes per second.
    rate: f64,
    /// How many bytes it holds.
    burst: f64,
}

impl Pacer {
    /// Requests that may be sent at once.
    const BURST: f64 = 10.0;
    /// A timer may be this late without any loss of speed.
    const LATENESS: f64 = 0.002;

    pub(super) fn new(now: Duration) -> Self {
        Self { bytes: f64::INFINITY, filled: now, rate: f64::INFINITY, burst: f64::INFINITY }
    }

    /// Sets the rate in bytes per second, where `block` bytes are asked for at a time.
    pub(super) fn set_rate(&mut self, now: Duration, rate: f64, block: usize) {
        self.fill(now);
        self.rate = rate;
        self.burst = (Self::BURST * block as f64).max(rate * Self::LATENESS);
        self.bytes = self.bytes.min(self.burst);
    }

    fn fill(&mut self, now: Duration) {
        let time = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        if time > 0.0 {
            self.bytes = (self.bytes + time * self.rate).min(self.burst);
        }
    }

    /// When a block may be asked for again, and at once with it further ones of so many bytes together, fewer than the bucket holds: at
    /// once if that is not later than `now`.
    pub(super) fn ready_at(&self, further: usize) -> Duration {
        let missing = further as f64 - self.bytes;
        if missing <= 0.0 {
            return self.filled;
        }
        // Rounded up, so that the bucket has them at that time.
        self.filled + Duration::from_secs_f64(missing / self.rate) + Duration::from_micros(1)
    }

    /// Whether that is now.
    pub(super) fn is_ready(&mut self, now: Duration, further: usize) -> bool {
        self.fill(now);
        self.bytes >= further as f64
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes -= bytes as f64;
    }
}
