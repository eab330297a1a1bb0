use crate::Random;

/// Endless damage to valid inputs, for tests that nothing which a stranger sends can break a parser.
///
/// Each result is one of the inputs with one to four changes: bits flipped, bytes overwritten (often with values at the edges), cut off,
/// taken out, put in, repeated, or joined with the end of another input.
///
/// ```
/// # use sim::Mutator;
/// let mut mutator = Mutator::seeded(7, [b"valid".to_vec(), b"input".to_vec()]);
/// for _ in 0..1000 {
///     let _ = std::str::from_utf8(mutator.next());
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Mutator {
    random: Random,
    inputs: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Mutator {
    /// The mutations of `inputs` that follow from `seed`.
    ///
    /// # Panics
    /// When there is no input.
    #[must_use]
    pub fn seeded(seed: u64, inputs: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let inputs: Vec<_> = inputs.into_iter().collect();
        assert!(!inputs.is_empty(), "there is nothing to mutate");
        Self { random: Random::seeded(seed), inputs, current: Vec::new() }
    }

    /// The next mutation. It is at most 64 bytes longer than five of the inputs together.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> &[u8] {
        let chosen = self.random.below(self.inputs.len());
        self.current.clone_from(&self.inputs[chosen]);
        for _ in 0..=self.random.below(4) {
            self.mutate();
        }
        &self.current
    }

    fn mutate(&mut self) {
        let Self { random, inputs, current } = self;
        let at = random.below(current.len() + 1);
        let end = at + random.below((current.len() - at).min(16) + 1);
        match random.below(8) {
            0 | 1 => current.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            2 => current.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.next_u64() as u8),
            3 => {
                let edges = [0x00, 0x01, 0x0c, 0x0d, 0x0e, 0x0f, 0x7f, 0x80, 0xd0, 0xdd, 0xe0, 0xee, 0xf0, 0xfe, 0xff];
                let edge = edges[random.below(edges.len())];
                current.iter_mut().skip(at).take(1).for_each(|byte| *byte = edge);
            }
            4 => current.truncate(at),
            5 => drop(current.drain(at..end)),
            6 => {
                let repeated = current[at..end].to_vec();
                drop(current.splice(at..at, repeated));
            }
            _ => {
                let other = &inputs[random.below(inputs.len())];
                current.truncate(at);
                current.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn mutations_follow_from_the_seed_differ_and_stay_small() {
        let run = |seed| {
            let mut mutator = Mutator::seeded(seed, [b"0123456789".to_vec(), b"abcdef".to_vec()]);
            (0..10_000).map(|_| mutator.next().to_vec()).collect::<Vec<_>>()
        };
        let mutations = run(1);
        assert_eq!(mutations, run(1));
        assert_ne!(mutations, run(2));
        assert!(mutations.iter().all(|mutation| mutation.len() <= 5 * 10 + 64));
        assert!(mutations.iter().collect::<BTreeSet<_>>().len() > 5_000);
        assert!(mutations.iter().any(|mutation| mutation.len() > 10));
        assert!(mutations.iter().any(|mutation| mutation.is_empty()));
    }
}
