use std::time::Duration;

use crate::account::Retry;

/// Where the standard's resources are not set: the first delay, and the longest one.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long to wait after each failed attempt (LwM2M Core 1.1 section 6.2.1.1; see [`Retry`] for what is our own).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    /// Failures in this sequence.
    attempts: u32,
    /// Sequences that failed.
    sequences: u32,
    exhausted: bool,
}

impl Backoff {
    /// Begins anew, as after a success.
    pub(super) fn reset(&mut self) {
        *self = Backoff::default();
    }

    /// Whether the retry resources allow no further attempt.
    pub(super) fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// The delay after one more failure; `None` if there is to be no further attempt. `random` is drawn anew each time.
    pub(super) fn failed(&mut self, retry: &Retry, random: u32) -> Option<Duration> {
        self.attempts = self.attempts.saturating_add(1);
        if retry.count.is_some_and(|count| self.attempts >= count.max(1)) {
            self.attempts = 0;
            self.sequences = self.sequences.saturating_add(1);
            if retry.sequence_count.is_some_and(|count| self.sequences >= count.max(1)) {
                self.exhausted = true;
                return None;
            }
            return Some(match retry.sequence_delay {
                Some(seconds) => Duration::from_secs(seconds.into()),
                None => jittered(LONGEST, random),
            });
        }
        let doubled = |first: Duration| first.saturating_mul(2u32.saturating_pow(self.attempts - 1));
        Some(match retry.timer {
            Some(seconds) => {
                // Only a count ends the doubling as the standard has it; without one it must end all the same.
                let first = Duration::from_secs(seconds.max(1).into());
                if retry.count.is_some() { doubled(first) } else { doubled(first).min(first.max(LONGEST)) }
            }
            None => jittered(doubled(FIRST).min(LONGEST), random),
        })
    }
}

/// Up to a quarter less, so that the gateways of one outage do not all come back in the same second.
fn jittered(delay: Duration, random: u32) -> Duration {
    delay - delay.mul_f64(0.25 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(retry: Retry, random: u32, failures: usize) -> Vec<Option<u64>> {
        let mut backoff = Backoff::default();
        (0..failures).map(|_| backoff.failed(&retry, random).map(|delay| delay.as_millis() as u64)).collect()
    }

    #[test]
    fn unset_it_doubles_to_five_minutes_without_end() {
        let seconds = [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300];
        assert_eq!(delays(Retry::UNSET, 0, 11), seconds.map(|delay| Some(delay * 1_000)));
        assert_eq!(delays(Retry::UNSET, u32::MAX, 11), seconds.map(|delay| Some(delay * 750)));
    }

    #[test]
    fn set_it_is_obeyed() {
        let retry = Retry::UNSET.count(3).timer(10).sequence_delay(3_600).sequence_count(2);
        let expected = [Some(10_000), Some(20_000), Some(3_600_000), Some(10_000), Some(20_000), None];
        assert_eq!(delays(retry, u32::MAX, 6), expected);
    }

    #[test]
    fn each_resource_counts_for_itself() {
        assert_eq!(delays(Retry::UNSET.timer(60), 7, 5), [60, 120, 240, 300, 300].map(|delay| Some(delay * 1_000)));
        assert_eq!(delays(Retry::UNSET.timer(0), 7, 2), [Some(1_000), Some(2_000)]);
        let sequences = delays(Retry::UNSET.count(2), 0, 4);
        assert_eq!(sequences, [Some(2_000), Some(300_000), Some(2_000), Some(300_000)]);
        assert_eq!(delays(Retry::UNSET.count(1).sequence_count(1), 0, 1), [None]);
        let mut backoff = Backoff { attempts: u32::MAX - 1, ..Backoff::default() };
        assert!(backoff.failed(&Retry::UNSET.count(u32::MAX - 2).timer(u32::MAX), 0).is_some());
    }
}
