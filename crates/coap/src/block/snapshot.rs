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

/// The snapshots of one peer, oldest first; together at most so many bytes. A new one drops as many old ones as it needs room.
pub(crate) struct Snapshots {
    held: Vec<Snapshot>,
    limit: usize,
}

impl Snapshots {
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: Vec::new(), limit }
    }

    /// Holds a body, in place of an earlier one for the same request. The body must not be longer than the limit.
    pub(crate) fn hold(&mut self, key: u64, head: Head, body: &[u8], expires: Duration) {
        self.held.retain(|snapshot| snapshot.key != key);
        while self.bytes() + body.len() > self.limit && !self.held.is_empty() {
            self.held.remove(0);
        }
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
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.held.iter().map(|snapshot| snapshot.expires).min()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.held.iter().map(|snapshot| snapshot.body.len()).sum()
    }
}
