//! Sets of bytes by their places.

use std::{collections::BTreeMap, ops::Range};

/// A set of places in a body, as ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn insert(&mut self, Range { mut start, mut end }: Range<u64>) {
        if start >= end {
            return;
        }
        while let Some((&from, &to)) = self.0.range(..=end).next_back().filter(|(_, to)| **to >= start) {
            self.0.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        self.0.insert(start, end);
    }

    pub(super) fn remove(&mut self, Range { start, end }: Range<u64>) {
        if start >= end {
            return;
        }
        while let Some((&from, &to)) = self.0.range(..end).next_back().filter(|(_, to)| **to > start) {
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start);
            }
            if to > end {
                self.0.insert(end, to);
            }
        }
    }

    /// The lowest range.
    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.0.first_key_value().map(|(&start, &end)| start..end)
    }

    /// The end of the highest range.
    pub(super) fn end(&self) -> Option<u64> {
        self.0.last_key_value().map(|(_, &end)| end)
    }

    /// The parts of `range` that are not in the set.
    pub(super) fn missing_from(&self, range: Range<u64>) -> Vec<Range<u64>> {
        if range.is_empty() {
            return Vec::new();
        }
        let mut missing = Self::default();
        missing.insert(range.clone());
        let below = self.0.range(..range.start).next_back();
        for (&from, &to) in below.into_iter().chain(self.0.range(range)) {
            missing.remove(from..to);
        }
        missing.0.into_iter().map(|(start, end)| start..end).collect()
    }

    #[cfg(test)]
    fn places(&self) -> Vec<u64> {
        self.0.iter().flat_map(|(&from, &to)| from..to).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is put in and taken out: the same as with a set of single places.
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0..40_u64, 0..12_u64), 0..40), ask in (0..40_u64, 0..40_u64)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (put, start, length) in steps {
                let range = start..start + length;
                if put {
                    ranges.insert(range.clone());
                    set.extend(range);
                } else {
                    ranges.remove(range.clone());
                    set.retain(|place| !range.contains(place));
                }
                prop_assert_eq!(ranges.places(), set.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.0.iter().zip(ranges.0.iter().skip(1)).all(|(a, b)| a.1 < b.0));
            }
            let asked = ask.0..ask.1;
            let missing: Vec<u64> = ranges.missing_from(asked.clone()).into_iter().flatten().collect();
            prop_assert_eq!(missing, asked.filter(|place| !set.contains(place)).collect::<Vec<_>>());
        }
    }
}
