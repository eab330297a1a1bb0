//! Large answers, held while their blocks are fetched.

use std::time::Duration;

use super::Head;

/// A body that is being fetched block by block.
pub(crate) struct Snapshot {
    key: u64,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    expires: Duration,
}

/// The snapshots of one peer, oldest first; they take together no more than one of the longest body does. A new one drops as many
/// old ones as it needs room.
pub(crate) struct Snapshots {
    held: Vec<Snapshot>,
    limit: usize,
}

impl Snapshots {
    pub(crate) fn new(longest: usize) -> Self {
        Self { held: Vec::new(), limit: longest + size_of::<Snapshot>() }
    }

    /// Holds a body, in place of an earlier one for the same request. The body must not be longer than the limit.
    pub(crate) fn hold(&mut self, key: u64, head: Head, body: &[u8], expires: Duration) {
        self.held.retain(|snapshot| snapshot.key != key);
        while self.memory() + size_of::<Snapshot>() + body.len() > self.limit && !self.held.is_empty() {
            self.held.remove(0);
            self.held.shrink_to_fit();
        }
        self.held.reserve_exact(1);
        self.held.push(Snapshot { key, head, body: body.to_vec(), expires });
    }

    /// The snapshot for a request, which is kept until `expires` now.
    pub(crate) fn find(&mut self, key: u64, expires: Duration) -> Option<&Snapshot> {
        let snapshot = self.held.iter_mut().find(|snapshot| snapshot.key == key)?;
        snapshot.expires = expires;
        Some(snapshot)
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        self.held.retain(|snapshot| snapshot.expires > now);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.held.iter().map(|snapshot| snapshot.expires).min()
    }

    /// In the smallest blocks there can be hundreds, which then take more than their bodies.
    pub(crate) fn memory(&self) -> usize {
        let bodies: usize = self.held.iter().map(|snapshot| snapshot.body.len()).sum();
        bodies + self.held.capacity() * size_of::<Snapshot>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    #[test]
    fn a_new_snapshot_replaces_that_of_its_request_and_drops_the_oldest_for_room() {
        let soon = Duration::from_secs(1);
        let mut snapshots = Snapshots::new(10_000);
        let mut hold = |key, length| snapshots.hold(key, Head::of(Code::CONTENT), &vec![0; length], soon);
        hold(1, 4000);
        hold(2, 4000);
        hold(1, 5900);
        hold(3, 4000);
        assert_eq!(
            [1, 2, 3].map(|key| snapshots.find(key, soon).map(|found| found.body.len())),
            [Some(5900), None, Some(4000)]
        );
        assert_eq!(snapshots.memory(), 9900 + 2 * size_of::<Snapshot>());
        let later = Duration::from_secs(2);
        snapshots.find(3, later);
        snapshots.expire(soon);
        assert!(snapshots.find(1, later).is_none() && snapshots.find(3, later).is_some());
        assert_eq!(snapshots.next_expiry(), Some(later));
    }
}
