//! How far each transfer has come.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lapwing_lwm2m::model::Path;
use tokio::{sync::broadcast, task::AbortHandle};

use super::FileName;
use crate::{Subscription, driver::SUBSCRIPTION};

/// How often progress is told at most. Beginning and end are told always.
const INTERVAL: Duration = Duration::from_millis(200);
/// How many transfers are remembered; those that have ended go first, the oldest of them before the others.
const REMEMBERED: usize = 1_000;

/// Names a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TransferId(pub(crate) u64);

/// Which way a file goes to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferKind {
    /// The server writes it.
    Push,
    /// The client fetches it.
    Pull {
        /// From here.
        uri: Arc<str>,
    },
}

/// Where a transfer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransferState {
    /// The client has not asked for the first byte yet.
    Waiting,
    /// It goes on.
    Running,
    /// All bytes have been sent; of a push, the client has taken them.
    Done,
    /// It has ended before that: why.
    Failed(String),
    /// It was ended here.
    Cancelled,
}

impl TransferState {
    /// Whether it may still go on.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, TransferState::Waiting | TransferState::Running)
    }
}

/// A file on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// Its name.
    pub(crate) id: TransferId,
    /// The client.
    pub(crate) endpoint: Arc<str>,
    /// The resource that was written: the package of a push, the URI of a pull.
    pub(crate) path: Path,
    /// Which way.
    pub(crate) kind: TransferKind,
    /// The file's name.
    pub(crate) file: Arc<str>,
    /// How long the file is, in bytes.
    pub(crate) size: u64,
    /// How many bytes have been taken by the client (push) or sent to it (pull): the end of the last block. May go back where the client
    /// starts over.
    pub(crate) bytes: u64,
    /// Where it is.
    pub(crate) state: TransferState,
}

#[derive(Debug)]
struct Entry {
    transfer: Transfer,
    /// What stands in the URI, for a pull.
    tag: Option<String>,
    told: Option<Instant>,
    task: Option<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    all: Mutex<(u64, BTreeMap<TransferId, Entry>)>,
    events: broadcast::Sender<Transfer>,
}

/// All transfers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Transfers(Arc<Shared>);

impl Transfers {
    pub(crate) fn new() -> Transfers {
        Transfers(Arc::new(Shared { all: Mutex::default(), events: broadcast::Sender::new(SUBSCRIPTION) }))
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<TransferId, Entry>)> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, entry: &mut Entry) {
        entry.told = Some(Instant::now());
        // Sending fails when nobody listens.
        let _ = self.0.events.send(entry.transfer.clone());
    }

    /// The transfers, oldest first; at most one for each resource.
    pub(crate) fn list(&self) -> Vec<Transfer> {
        self.lock().1.values().map(|entry| entry.transfer.clone()).collect()
    }

    /// What becomes of them from now on.
    pub(crate) fn subscribe(&self) -> Subscription<Transfer> {
        Subscription::to(&self.0.events.downgrade())
    }

    /// A push that goes on to this object instance of the client.
    pub(crate) fn pushing(&self, endpoint: &str, path: &Path) -> bool {
        let open = |entry: &Entry| entry.transfer.kind == TransferKind::Push && entry.transfer.state.is_open();
        self.lock().1.values().any(|entry| {
            open(entry) && &*entry.transfer.endpoint == endpoint && same_instance(&entry.transfer.path, path)
        })
    }

    /// A transfer begins, in the place of those of the same object instance that have ended, or are pulls.
    pub(crate) fn begin(
        &self,
        endpoint: &Arc<str>,
        path: Path,
        kind: TransferKind,
        (file, size): (Arc<str>, u64),
    ) -> TransferId {
        let mut all = self.lock();
        all.0 += 1;
        let id = TransferId(all.0);
        all.1.retain(|_, entry| *entry.transfer.endpoint != **endpoint || !same_instance(&entry.transfer.path, &path));
        if all.1.len() >= REMEMBERED {
            let ended = all.1.iter().find(|(_, entry)| !entry.transfer.state.is_open()).map(|(id, _)| *id);
            match ended {
                Some(ended) => drop(all.1.remove(&ended)),
                None => drop(all.1.pop_first()),
            }
        }
        let tag = matches!(kind, TransferKind::Pull { .. }).then(|| tag(endpoint, &path));
        let state = if tag.is_some() { TransferState::Waiting } else { TransferState::Running };
        let transfer = Transfer { id, endpoint: Arc::clone(endpoint), path, kind, file, size, bytes: 0, state };
        let entry = all.1.entry(id).or_insert(Entry { transfer, tag, told: None, task: None });
        self.tell(entry);
        id
    }

    /// The task that does a push, to be ended with it.
    pub(crate) fn attach(&self, id: TransferId, task: AbortHandle) {
        if let Some(entry) = self.lock().1.get_mut(&id) {
            entry.task = Some(task);
        }
    }

    /// A transfer as it is.
    pub(crate) fn get(&self, id: TransferId) -> Option<Transfer> {
        self.lock().1.get(&id).map(|entry| entry.transfer.clone())
    }

    /// So many bytes have been taken. Told at once: the caller looks now and then.
    pub(crate) fn advance(&self, id: TransferId, bytes: u64) {
        if let Some(entry) = self.lock().1.get_mut(&id) {
            entry.transfer.bytes = bytes;
            self.tell(entry);
        }
    }

    fn tell_if_due(&self, entry: &mut Entry) {
        if entry.told.is_none_or(|told| told.elapsed() >= INTERVAL) {
            self.tell(entry);
        }
    }

    /// A transfer has ended.
    pub(crate) fn end(&self, id: TransferId, state: TransferState) {
        if let Some(entry) = self.lock().1.get_mut(&id).filter(|entry| entry.transfer.state.is_open()) {
            if state == TransferState::Done {
                entry.transfer.bytes = entry.transfer.size;
            }
            entry.transfer.state = state;
            entry.task = None;
            self.tell(entry);
        }
    }

    /// Ends a transfer that goes on. Of a push, nothing more is sent; a client that pulls is not told. Gives it as it is then.
    pub(crate) fn cancel(&self, id: TransferId) -> Option<Transfer> {
        if let Some(task) = self.lock().1.get_mut(&id).and_then(|entry| entry.task.take()) {
            task.abort();
        }
        self.end(id, TransferState::Cancelled);
        self.get(id)
    }

    /// A file was sent up to `end`, to who fetched it with this tag.
    pub(crate) fn served(&self, tag: Option<&str>, file: &FileName, begin: u64, end: u64) {
        let Some(tag) = tag else { return };
        let mut all = self.lock();
        let wanted = |entry: &&mut Entry| entry.tag.as_deref() == Some(tag) && *entry.transfer.file == *file.as_str();
        let Some(entry) = all.1.values_mut().find(wanted) else { return };
        let Transfer { bytes, size, state, .. } = &mut entry.transfer;
        let over = begin == 0 && end < *size;
        if *state == TransferState::Cancelled || (end <= *bytes && !over) {
            return;
        }
        *bytes = end;
        let next = if end >= *size { TransferState::Done } else { TransferState::Running };
        let changed = std::mem::replace(state, next.clone()) != next;
        if changed { self.tell(entry) } else { self.tell_if_due(entry) }
    }
}

fn same_instance(a: &Path, b: &Path) -> bool {
    (a.object_id(), a.instance_id()) == (b.object_id(), b.instance_id())
}

/// What stands in the URI that is written to a resource of a client: the same each time, so that a client that was interrupted
/// knows the URI again.
pub(crate) fn tag(endpoint: &str, path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    (endpoint, path.to_string()).hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(transfers: &Transfers, endpoint: &str, path: &str, kind: TransferKind) -> TransferId {
        transfers.begin(&endpoint.into(), path.parse().unwrap(), kind, ("f".into(), 3000))
    }

    #[test]
    fn a_pull_is_followed_by_its_tag_and_starts_over_with_its_client() {
        let transfers = Transfers::new();
        let pull = TransferKind::Pull { uri: "coap://h/files/f".into() };
        let id = begin(&transfers, "gw", "/5/0/1", pull.clone());
        let other = begin(&transfers, "other", "/5/0/1", pull);
        let (tag, file) = (tag("gw", &"/5/0/1".parse().unwrap()), "f".parse().unwrap());
        let seen = |begin, end| {
            transfers.served(Some(&tag), &file, begin, end);
            let transfer = transfers.get(id).unwrap();
            (transfer.bytes, transfer.state)
        };
        use TransferState::{Done, Running, Waiting};
        assert_eq!(transfers.get(id).unwrap().state, Waiting);
        assert_eq!(seen(0, 1024), (1024, Running));
        assert_eq!(seen(2048, 3000), (3000, Done), "blocks come in any order");
        assert_eq!(seen(1024, 2048), (3000, Done), "one that was lost");
        assert_eq!(seen(0, 1024), (1024, Running));
        transfers.served(Some(&tag), &"g".parse().unwrap(), 0, 3000);
        transfers.served(None, &file, 0, 3000);
        assert_eq!(transfers.get(id).unwrap().bytes, 1024);
        assert_eq!(transfers.get(other).unwrap().state, Waiting);
        transfers.cancel(id);
        assert_eq!(seen(0, 3000).1, TransferState::Cancelled);
    }

    #[test]
    fn there_is_one_transfer_an_instance_and_they_are_bounded() {
        let transfers = Transfers::new();
        let first = begin(&transfers, "gw", "/5/0/0", TransferKind::Push);
        assert!(
            transfers.pushing("gw", &"/5/0/1".parse().unwrap()) && !transfers.pushing("gw", &"/9/0/2".parse().unwrap())
        );
        transfers.end(first, TransferState::Failed("4.13".into()));
        assert!(!transfers.pushing("gw", &"/5/0/0".parse().unwrap()));
        let second = begin(&transfers, "gw", "/5/0/1", TransferKind::Pull { uri: "".into() });
        assert_eq!(transfers.list().iter().map(|transfer| transfer.id).collect::<Vec<_>>(), [second]);
        for number in 0..2 * REMEMBERED {
            begin(&transfers, &number.to_string(), "/5/0/0", TransferKind::Push);
        }
        assert_eq!(transfers.list().len(), REMEMBERED);
    }
}
