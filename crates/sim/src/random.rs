use std::time::Duration;

/// Seeded pseudo-random numbers (SplitMix64): reproducible on every machine, and good enough to decide fates. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of the sequence.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1, each as likely as the others to within 2^-32.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is no number below 0");
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Whether something happens that has this probability, from 0 (never) to 1 (always).
    pub fn chance(&mut self, probability: f64) -> bool {
        // The upper 53 bits are what an f64 holds exactly; the result is below 1.
        ((self.next_u64() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// A time from zero to `longest`, both possible.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(((u128::from(self.next_u64()) * (u128::from(nanos) + 1)) >> 64) as u64)
    }

    /// 32 bytes, as engines take them for a seed of their own.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        seed.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next_u64().to_be_bytes()));
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        // Vector of the reference implementation by Sebastiano Vigna, seed 1234567.
        let mut random = Random::seeded(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.next_u64(), random.next_u64(), random.next_u64()], expected);
    }

    #[test]
    fn probabilities_are_kept() {
        let mut random = Random::seeded(1);
        let hits = (0..100_000).filter(|_| random.chance(0.2)).count();
        assert!((19_000..21_000).contains(&hits), "{hits}");
        assert!(!(0..1000).any(|_| random.chance(0.0)));
        assert!((0..1000).all(|_| random.chance(1.0)));
        let counts = (0..30_000).fold([0; 3], |mut counts, _| {
            counts[random.below(3)] += 1;
            counts
        });
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert!((0..1000).all(|_| random.up_to(Duration::from_nanos(3)) <= Duration::from_nanos(3)));
    }
}
