//! Deadlines of many things, and which comes first.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

/// One deadline a key, as `elapsed`.
#[derive(Debug)]
pub(super) struct Timers<K> {
    order: BTreeSet<(Duration, K)>,
    deadlines: HashMap<K, Duration>,
}

impl<K: Clone + Ord + Hash> Timers<K> {
    pub(super) fn new() -> Timers<K> {
        Timers { order: BTreeSet::new(), deadlines: HashMap::new() }
    }

    /// Sets, moves or (with `None`) clears the deadline of `key`.
    pub(super) fn set(&mut self, key: K, deadline: Option<Duration>) {
        let previous = match deadline {
            Some(deadline) => self.deadlines.insert(key.clone(), deadline),
            None => self.deadlines.remove(&key),
        };
        if previous == deadline {
            return;
        }
        if let Some(previous) = previous {
            self.order.remove(&(previous, key.clone()));
        }
        if let Some(deadline) = deadline {
            self.order.insert((deadline, key));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.order.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out one key whose deadline has come.
    pub(super) fn expire(&mut self, now: Duration) -> Option<K> {
        let (deadline, key) = self.order.first()?;
        if *deadline > now {
            return None;
        }
        let key = key.clone();
        self.set(key.clone(), None);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_a_moved_one_comes_once() {
        let second = Duration::from_secs;
        let mut timers = Timers::new();
        timers.set('a', Some(second(3)));
        timers.set('b', Some(second(2)));
        timers.set('a', Some(second(1)));
        timers.set('c', Some(second(1)));
        timers.set('c', None);
        assert_eq!(timers.next(), Some(second(1)));
        assert_eq!(timers.expire(second(2)), Some('a'));
        assert_eq!(timers.expire(second(2)), Some('b'));
        assert_eq!(timers.expire(second(9)), None);
        assert_eq!(timers.next(), None);
    }
}
