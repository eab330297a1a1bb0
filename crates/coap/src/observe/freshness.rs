//! The observing side: which of two notifications is newer.

use std::time::Duration;

/// The freshest notification so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    number: u32,
    at: Duration,
}

impl Freshness {
    /// After so long, any number is newer (RFC 7641 section 3.4).
    const WINDOW: Duration = Duration::from_secs(128);

    pub(crate) fn new(number: u32, at: Duration) -> Self {
        Self { number, at }
    }

    /// Takes in a notification that came `at`; false if it is older than the freshest (RFC 7641 section 3.4).
    pub(crate) fn accept(&mut self, number: u32, at: Duration) -> bool {
        let ahead = number.wrapping_sub(self.number) & 0xff_ffff;
        let newer = (1..1 << 23).contains(&ahead) || at > self.at + Self::WINDOW;
        if newer {
            *self = Self { number, at };
        }
        newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7641 section 3.4: V1 < V2 and V2 - V1 < 2^23, or V1 > V2 and V1 - V2 > 2^23, or T2 > T1 + 128 s.
    #[test]
    fn the_newer_of_two_numbers_is_found_across_the_wrap_and_after_128_seconds() {
        let second = Duration::from_secs;
        let accepts = |old, new, after: u64| Freshness::new(old, second(1)).accept(new, second(1 + after));
        assert!(accepts(5, 6, 1));
        assert!(!accepts(6, 5, 1));
        assert!(!accepts(6, 6, 1));
        assert!(accepts(0xff_ffff, 0, 1));
        assert!(!accepts(0, 0xff_ffff, 1));
        assert!(accepts(0, (1 << 23) - 1, 1));
        assert!(!accepts(0, (1 << 23) + 1, 1));
        assert!(!accepts(6, 5, 128));
        assert!(accepts(6, 5, 129));
    }
}
