//! Round-trip times (RFC 9002 section 5).

use std::time::Duration;

/// Estimates of the time from a request to its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    latest: Duration,
    smoothed: Option<Duration>,
    variation: Duration,
}

impl Rtt {
    /// The least time that timers are set apart (kGranularity).
    const GRANULARITY: Duration = Duration::from_millis(1);
    /// What is assumed before the first sample (kInitialRtt).
    const INITIAL: Duration = Duration::from_millis(333);

    /// Takes in a sample (RFC 9002 section 5.3). There is no acknowledgement delay to take off.
    pub(super) fn sample(&mut self, rtt: Duration) {
        self.latest = rtt;
        match self.smoothed {
            None => (self.smoothed, self.variation) = (Some(rtt), rtt / 2),
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
                self.smoothed = Some((smoothed * 7 + rtt) / 8);
            }
        }
    }

    /// Whether there has been no sample.
    pub(super) fn is_unknown(&self) -> bool {
        self.smoothed.is_none()
    }

    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or(Self::INITIAL).max(Self::GRANULARITY / 10)
    }

    /// The time after which the other end is asked whether it is still there (RFC 9002 section 6.2.1).
    pub(super) fn probe_timeout(&self) -> Duration {
        let variation = if self.is_unknown() { Self::INITIAL / 2 } else { self.variation };
        self.smoothed() + (variation * 4).max(Self::GRANULARITY)
    }

    /// How long a request may be overtaken before it counts as lost, in eighths of a round trip (RFC 9002 section 6.1.2).
    pub(super) fn patience(&self, eighths: u32) -> Duration {
        (self.smoothed().max(self.latest) * eighths / 8).max(Self::GRANULARITY)
    }
}
