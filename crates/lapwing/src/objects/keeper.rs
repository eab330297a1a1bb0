//! A state machine with its record, its package and its observers: what objects 5 and 9 have in common.
//!
//! It moves on in one way: what it would be is stored, then seen, then done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::driver::Disk;
use crate::object::{BoxFuture, Changes, Error};
use crate::store::{Store, StoreError};
use crate::transfer::{Body, BodyError, Digest, Meter, Place};

/// Who brings the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The server, block by block.
    Push,
    /// This client, from the URI.
    Pull,
}

/// Why an input is refused: nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reject {
    /// What it brings cannot be taken in this state: 4.00.
    BadRequest,
    /// It cannot be done in this state: 4.05.
    NotAllowed,
    /// It is news of something that is over.
    Outdated,
}

/// Why the machine did not move on.
#[derive(Debug)]
pub(super) enum Refused {
    Rejected(Reject),
    /// What it would be could not be stored.
    Store(StoreError),
}

impl From<Reject> for Error {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::BadRequest => Error::bad_request("not in this state of the update"),
            Reject::NotAllowed => Error::MethodNotAllowed,
            Reject::Outdated => Error::Incomplete,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rejected(reject) => reject.into(),
            Refused::Store(error) => Error::internal(error.to_string()),
        }
    }
}

/// What is kept, and by which rules it moves on.
pub(super) trait Rules: Send + Sync + 'static {
    type Machine: Clone + Send;
    type Input: Send;
    type Work: Copy + Send + Sync;

    /// Of the layout of the record.
    const VERSION: u16;

    /// What the log calls it.
    fn name(&self) -> &str;
    /// The names of the record and of the file with the package.
    fn files(&self) -> (String, String);
    /// With nothing that a server has brought. Downloads and tasks are numbered from behind `serial`.
    fn initial(&self, serial: u64) -> Self::Machine;
    /// The same where nobody knows any more what it was in: servers are told that it has failed.
    fn lost(&self, serial: u64) -> Self::Machine;
    fn encode(&self, machine: &Self::Machine) -> Zeroizing<Vec<u8>>;
    /// `None` for what no [`Rules::encode`] has made.
    fn decode(&self, content: &[u8]) -> Option<Self::Machine>;
    /// What the machine is after `input`, and what is to be done then.
    fn step(&self, machine: &Self::Machine, input: Self::Input) -> Result<(Self::Machine, Option<Self::Work>), Reject>;
    /// What has happened outside is no less true when it cannot be stored.
    fn has_happened(&self, input: &Self::Input) -> bool;
    /// Whether what has come, or is coming, is still needed.
    fn needs_package(&self, machine: &Self::Machine) -> bool;
    /// Whether this is left to whoever made the machine move, as it may cut off the answer.
    fn is_for_later(&self, work: &Self::Work) -> bool;
    /// Says in the log what has happened, and tells the observers what has changed: the result before the state, since whoever sees the
    /// state reads the result at once.
    fn tell(&self, before: &Self::Machine, after: &Self::Machine, changes: Option<&Changes>);
}

/// What is to be done, and after which delay.
pub(super) type Order<W> = (Duration, W);

pub(super) struct Keeper<R: Rules, D: Disk> {
    pub(super) rules: R,
    /// Where the package is.
    pub(super) place: Arc<Place<D>>,
    pub(super) meter: Meter,
    store: Arc<Store<D>>,
    /// The name of the record.
    record: String,
    /// What is stored.
    machine: Mutex<R::Machine>,
    changes: Mutex<Option<Changes>>,
    orders: UnboundedSender<Order<R::Work>>,
    /// Whoever moves the machine on, until that is stored.
    turn: tokio::sync::Mutex<()>,
}

impl<R: Rules, D: Disk> Keeper<R, D> {
    /// The machine as it was left, and then started anew: `started` is given the length of the package, if there is one. Blocks.
    pub(super) fn load(
        store: Arc<Store<D>>,
        rules: R,
        orders: UnboundedSender<Order<R::Work>>,
        started: impl FnOnce(Option<u64>) -> R::Input,
    ) -> Result<Self, StoreError> {
        let (record, file) = rules.files();
        let found = match store.load(&record) {
            Ok(Some(found)) if found.version == R::VERSION => rules.decode(&found.content),
            Ok(Some(_)) | Err(StoreError::Damaged { .. }) => None,
            Ok(None) => Some(rules.initial(unused(&store, &record)?)),
            Err(error) => return Err(error),
        };
        let is_lost = found.is_none();
        let left = match found {
            Some(found) => found,
            None => {
                tracing::error!(
                    "{}: its record cannot be read: what it was in is lost, and it begins anew",
                    rules.name()
                );
                rules.lost(unused(&store, &record)?)
            }
        };
        let place = Place::new(Arc::clone(&store), file);
        let at = |error| StoreError::Disk { path: place.path(), error };
        let length = place.length().map_err(at)?;
        let mut machine = left.clone();
        if let Ok((next, work)) = rules.step(&left, started(length)) {
            if let Some(work) = work {
                // The caller has the other end.
                let _ = orders.send((Duration::ZERO, work));
            }
            machine = next;
        }
        let content = rules.encode(&machine);
        if is_lost || content != rules.encode(&left) {
            store.save(&record, R::VERSION, &content)?;
            rules.tell(&left, &machine, None);
        }
        if !rules.needs_package(&machine) {
            place.discard_now().map_err(|error| at(std::io::Error::other(error)))?;
        }
        let (machine, changes, turn) = (Mutex::new(machine), Mutex::default(), tokio::sync::Mutex::default());
        let meter = Meter::new(rules.name());
        Ok(Self { rules, place, meter, store, record, machine, changes, orders, turn })
    }

    /// The machine as it is stored.
    pub(super) fn machine(&self) -> R::Machine {
        self.look(Clone::clone)
    }

    /// Something of it.
    pub(super) fn look<T>(&self, at: impl FnOnce(&R::Machine) -> T) -> T {
        at(&lock(&self.machine))
    }

    pub(super) fn watch(&self, changes: Changes) {
        *lock(&self.changes) = Some(changes);
    }

    /// Where changes are reported, as soon as that is known.
    pub(super) fn changes(&self) -> Option<Changes> {
        lock(&self.changes).clone()
    }

    /// Has this done in a while, instead of what is being done.
    pub(super) fn order(&self, delay: Duration, work: R::Work) {
        // Whoever does it ends with the object.
        let _ = self.orders.send((delay, work));
    }

    /// Moves the machine on: stored, then seen, then done. What is to be done has been ordered then, but for what is for later.
    pub(super) async fn take(&self, input: R::Input) -> Result<Option<R::Work>, Refused> {
        let _turn = self.turn.lock().await;
        self.take_turn(input).await
    }

    /// The same with what is worth nothing when it cannot be stored: then `lost` has happened.
    pub(super) async fn take_or(
        &self,
        input: R::Input,
        lost: impl FnOnce(&StoreError) -> R::Input + Send,
    ) -> Result<Option<R::Work>, Refused> {
        let taken = self.take(input).await;
        if let Err(Refused::Store(error)) = &taken {
            self.news(lost(error)).await;
        }
        taken
    }

    /// The same with news from the background.
    pub(super) async fn news(&self, input: R::Input) -> Option<R::Work> {
        match self.take(input).await {
            Ok(work) => work,
            // It was reset or cancelled meanwhile.
            Err(Refused::Rejected(Reject::Outdated)) => None,
            Err(refused) => {
                tracing::error!(?refused, "{}: news that could not be taken", self.rules.name());
                None
            }
        }
    }

    /// The same with what begins the download of a pushed package, and then its file.
    pub(super) async fn begin_push(
        &self,
        input: R::Input,
        size: Option<u64>,
    ) -> Result<(R::Machine, Result<Body<D>, BodyError>), Refused> {
        // Until the file is there, nobody else may begin or discard one.
        let _turn = self.turn.lock().await;
        self.take_turn(input).await?;
        Ok((self.machine(), self.place.create(size).await))
    }

    async fn take_turn(&self, input: R::Input) -> Result<Option<R::Work>, Refused> {
        let rules = &self.rules;
        let before = self.machine();
        let has_happened = rules.has_happened(&input);
        let (after, work) = rules.step(&before, input).map_err(Refused::Rejected)?;
        let content = rules.encode(&after);
        if content != rules.encode(&before)
            && let Err(error) = self.save(content).await
        {
            tracing::error!(%error, "{}: its state could not be stored", rules.name());
            if !has_happened {
                return Err(Refused::Store(error));
            }
        }
        if rules.needs_package(&before)
            && !rules.needs_package(&after)
            && let Err(error) = self.place.discard().await
        {
            // Then it is removed after the next start.
            tracing::warn!(%error, "{}: a package could not be removed", rules.name());
        }
        *lock(&self.machine) = after.clone();
        rules.tell(&before, &after, self.changes().as_ref());
        if let Some(work) = work.filter(|work| !rules.is_for_later(work)) {
            self.order(Duration::ZERO, work);
        }
        Ok(work)
    }

    /// Whether the package on the disk is still what was received.
    pub(super) async fn is_intact(&self, digest: Digest) -> bool {
        self.place.digest().await.is_ok_and(|found| found == Some(digest))
    }

    async fn save(&self, content: Zeroizing<Vec<u8>>) -> Result<(), StoreError> {
        let (store, record) = (Arc::clone(&self.store), self.record.clone());
        let saved = spawn_blocking(move || store.save(&record, R::VERSION, &content)).await;
        saved.unwrap_or_else(|error| {
            Err(StoreError::Disk { path: self.store.path(&self.record), error: std::io::Error::other(error) })
        })
    }
}

/// Does what is ordered, one thing at a time: a new order ends what was being done.
pub(super) async fn work<W>(mut orders: UnboundedReceiver<Order<W>>, perform: impl Fn(W) -> BoxFuture<'static, ()>) {
    let mut activity: BoxFuture<'static, ()> = Box::pin(std::future::pending());
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some((delay, work)) => {
                    let performed = perform(work);
                    activity = Box::pin(async move {
                        sleep(delay).await;
                        performed.await;
                    });
                }
                None => return,
            },
            () = &mut activity => activity = Box::pin(std::future::pending()),
        }
    }
}

/// A number behind which, as far as chance goes, no record of this name that was lost has come. What installs remembers by number what it was
/// told to do, and for longer than a record that is damaged or removed: another order of the same number would be taken for done.
fn unused<D: Disk>(store: &Store<D>, record: &str) -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| StoreError::Disk { path: store.path(record), error: error.into() })?;
    // So that there are enough behind it.
    Ok(u64::from_be_bytes(bytes) >> 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
