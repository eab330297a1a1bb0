use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::{Body, BodyError, Digest, digest_of};
use super::remains::Remains;
use crate::driver::Disk;
use crate::store::Store;

/// Where packages of one kind come to lie, one at a time: a file of a store, and while it is not whole a record of how much of it
/// is there.
///
/// One [`Body`] at a time may write: beginning another, and [`discard`](Place::discard), ends the one before.
pub(crate) struct Place<D: Disk> {
    store: Arc<Store<D>>,
    name: String,
    /// The number of the body that may write. Locked for as long as the files are being changed.
    turn: Mutex<u64>,
}

impl<D: Disk> Place<D> {
    /// The file of this name, and the record of this name and `.part`. The store may hold others.
    pub(crate) fn new(store: Arc<Store<D>>, name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { store, name: name.into(), turn: Mutex::default() })
    }

    /// Where the package is.
    pub(crate) fn path(&self) -> PathBuf {
        self.store.path(&self.name)
    }

    /// The length of what is there of a package, `None` where there is nothing. Blocks.
    pub(crate) fn length(&self) -> io::Result<Option<u64>> {
        let file = self.store.disk().open(&self.path())?;
        file.map(|file| self.store.disk().length(&file)).transpose()
    }

    /// The digest of the file as it is now, `None` where there is none.
    pub(crate) async fn digest(self: &Arc<Self>) -> Result<Option<Digest>, BodyError> {
        let place = Arc::clone(self);
        blocking(move || Ok(digest_of(place.store.disk(), &place.path())?)).await
    }

    /// An empty package in place of what is there. `expected` is how long it will be, as far as is known.
    ///
    /// # Errors
    /// [`BodyError::NoSpace`] when that does not fit: nothing is there then.
    pub(crate) async fn create(self: &Arc<Self>, expected: Option<u64>) -> Result<Body<D>, BodyError> {
        let place = Arc::clone(self);
        blocking(move || {
            let number = {
                let mut turn = place.lock();
                place.clear(&mut turn)?;
                *turn
            };
            Body::create(place, number, expected)
        })
        .await
    }

    /// What is there of the package at this URI, to go on with it; `None` where that is nothing.
    pub(super) async fn resume(self: &Arc<Self>, uri: &str) -> Result<Option<Body<D>>, BodyError> {
        let (place, uri) = (Arc::clone(self), uri.to_owned());
        blocking(move || {
            let Some(remains) = Remains::load(&place.store, &place.record())?.filter(|found| found.origin.uri == uri)
            else {
                return Ok(None);
            };
            let number = {
                let mut turn = place.lock();
                *turn += 1;
                *turn
            };
            Body::resume(place, number, remains)
        })
        .await
    }

    /// Removes the package, or what is there of it. When this returns, nobody writes any more of it.
    pub(crate) async fn discard(self: &Arc<Self>) -> Result<(), BodyError> {
        let place = Arc::clone(self);
        blocking(move || place.discard_now()).await
    }

    /// As [`discard`](Place::discard); blocks.
    pub(crate) fn discard_now(&self) -> Result<(), BodyError> {
        self.clear(&mut self.lock())
    }

    /// The record goes first, for good: it never speaks of another file than its own.
    fn clear(&self, turn: &mut u64) -> Result<(), BodyError> {
        *turn += 1;
        let (disk, record) = (self.store.disk(), self.store.path(&self.record()));
        if disk.open(&record)?.is_some() {
            disk.remove(&record)?;
            disk.sync_folder(self.store.folder())?;
        }
        Ok(disk.remove(&self.path())?)
    }

    pub(super) fn store(&self) -> &Store<D> {
        &self.store
    }

    /// The name of the record of what is there of a package.
    pub(super) fn record(&self) -> String {
        format!("{}.part", self.name)
    }

    /// The turn of this number, as long as it lasts.
    pub(super) fn turn(&self, number: u64) -> Result<MutexGuard<'_, u64>, BodyError> {
        let turn = self.lock();
        if *turn == number { Ok(turn) } else { Err(BodyError::Replaced) }
    }

    /// Whether somebody is changing the files just now.
    pub(super) fn is_busy(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what blocks beside everything else.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BodyError> + Send + 'static,
) -> Result<T, BodyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(BodyError::Disk(io::Error::other(error))))
}
