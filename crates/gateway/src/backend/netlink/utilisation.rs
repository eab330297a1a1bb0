//! Link utilisation from byte counters.

use std::time::{Duration, Instant};

use super::MIN_WINDOW;

/// Bytes that a link has carried since it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// What is remembered of one link between two questions.
#[derive(Debug, Default)]
pub(super) struct Meter {
    sample: Option<(Instant, Counters)>,
    percent: Option<u8>,
}

impl Meter {
    /// Takes a sample and returns the utilisation in percent, or how long to wait before the next sample when there is none yet.
    pub(super) fn take(&mut self, now: Instant, counters: Counters, speed: u64) -> Result<u8, Duration> {
        let Some((then, before)) = self.sample else {
            self.sample = Some((now, counters));
            return Err(MIN_WINDOW);
        };
        let window = now.saturating_duration_since(then);
        if window < MIN_WINDOW {
            return self.percent.ok_or(MIN_WINDOW - window);
        }
        let percent = percent(before, counters, window, speed);
        self.sample = Some((now, counters));
        self.percent = Some(percent);
        Ok(percent)
    }
}

/// The busier direction, rounded, at most 100. Counters that went back (the device was replaced) count as idle.
fn percent(before: Counters, after: Counters, window: Duration, speed: u64) -> u8 {
    let bytes = after.received.saturating_sub(before.received).max(after.sent.saturating_sub(before.sent));
    let possible = u128::from(speed) * window.as_millis();
    let hundredfold = u128::from(bytes) * 8 * 1000 * 100;
    ((hundredfold + possible / 2) / possible.max(1)).min(100) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Counters = Counters { received: 1_000, sent: 1_000 };
    const MEGABIT: u64 = 1_000_000;

    fn after(received: u64, sent: u64) -> Counters {
        Counters { received: IDLE.received + received, sent: IDLE.sent + sent }
    }

    #[test]
    fn the_busier_direction_counts() {
        let second = Duration::from_secs(1);
        assert_eq!(percent(IDLE, after(62_500, 12_500), second, MEGABIT), 50);
        assert_eq!(percent(IDLE, after(1_250, 31_250), second, MEGABIT), 25);
        assert_eq!(percent(IDLE, after(0, 0), second, MEGABIT), 0);
        assert_eq!(percent(IDLE, after(500_000, 0), second, MEGABIT), 100, "never beyond the link's speed");
        assert_eq!(percent(after(5, 5), IDLE, second, MEGABIT), 0, "counters began anew");
    }

    #[test]
    fn the_first_question_waits_for_a_window_and_hasty_ones_get_the_last_answer() {
        let mut meter = Meter::default();
        let start = Instant::now();
        assert_eq!(meter.take(start, IDLE, MEGABIT), Err(MIN_WINDOW));
        let half = MIN_WINDOW / 2;
        assert_eq!(meter.take(start + half, after(1, 1), MEGABIT), Err(MIN_WINDOW - half));
        assert_eq!(meter.take(start + Duration::from_secs(1), after(62_500, 0), MEGABIT), Ok(50));
        assert_eq!(meter.take(start + Duration::from_millis(1_100), after(62_500, 0), MEGABIT), Ok(50));
        assert_eq!(meter.take(start + Duration::from_secs(2), after(62_500, 0), MEGABIT), Ok(0));
    }
}
