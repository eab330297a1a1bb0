//! The machine with its record, its file and its observers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapwing_lwm2m::model::{ObjectDefinition, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;

use super::machine::{Image, Input, Machine, Reject, Work};
use super::{Builder, Installer, Package, Severity, State, Update, UpdateResult, path, record, worker};
use crate::definitions::firmware_update as id;
use crate::driver::{Disk, unix_time};
use crate::object::{Changes, Error};
use crate::store::{Store, StoreError};
use crate::transfer::{Body, BodyError, Digest, Meter, Place, Source, TransferError, shown};

/// The name of the record.
const RECORD: &str = "state";
/// The name of the file with the package.
const IMAGE: &str = "image";

/// Whether an update of this severity is to be put off.
pub(super) type Deferral = Box<dyn Fn(Severity) -> bool + Send + Sync>;

/// What the worker is to do, and after which delay.
pub(super) type Order = (Duration, Work);

pub(super) struct Core<D: Disk> {
    pub(super) definition: &'static ObjectDefinition,
    pub(super) installer: Box<dyn Installer>,
    pub(super) deferral: Option<Deferral>,
    /// Fetches packages, where that is wanted.
    pub(super) source: Option<Box<dyn Source>>,
    store: Arc<Store<D>>,
    /// Where the package is.
    pub(super) place: Arc<Place<D>>,
    pub(super) meter: Meter,
    /// What is stored.
    machine: Mutex<Machine>,
    changes: Mutex<Option<Changes>>,
    orders: UnboundedSender<Order>,
    /// Whoever moves the machine on, until that is stored.
    turn: tokio::sync::Mutex<()>,
}

/// Why the machine did not move on.
#[derive(Debug)]
pub(super) enum Refused {
    Rejected(Reject),
    /// What it would be could not be stored.
    Store(StoreError),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Rejected(Reject::BadRequest) => Error::bad_request("not in this state of the firmware update"),
            Refused::Rejected(Reject::NotAllowed) => Error::MethodNotAllowed,
            Refused::Rejected(Reject::Outdated) => Error::Incomplete,
            Refused::Store(error) => Error::internal(error.to_string()),
        }
    }
}

impl<D: Disk> Core<D> {
    /// The object as it was left, in this folder of a disk. Blocks.
    pub(super) fn load(store: Store<D>, builder: Builder, orders: UnboundedSender<Order>) -> Result<Self, StoreError> {
        let found = match store.load(RECORD) {
            Ok(Some(found)) if found.version == record::VERSION => record::decode(&found.content),
            Ok(Some(_)) => None,
            Ok(None) => Some(Machine::default()),
            Err(StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let left = found.unwrap_or_else(|| {
            tracing::error!("the record of the firmware update cannot be read: it begins anew");
            Machine::default()
        });
        let store = Arc::new(store);
        let place = Place::new(Arc::clone(&store), IMAGE);
        let at = |error| StoreError::Disk { path: place.path(), error };
        let length = place.length().map_err(at)?;
        let mut machine = left.clone();
        if let Ok((next, work)) = left.step(unix_time(), Input::Started(length)) {
            if let Some(work) = work {
                // The caller has the other end.
                let _ = orders.send((Duration::ZERO, work));
            }
            machine = next;
        }
        if machine != left {
            store.save(RECORD, record::VERSION, &record::encode(&machine))?;
            log(&left, &machine);
        }
        if !machine.needs_file() {
            place.discard_now().map_err(|error| at(std::io::Error::other(error)))?;
        }
        let Builder { installer, definition, deferral, source } = builder;
        let (machine, changes, turn) = (Mutex::new(machine), Mutex::default(), tokio::sync::Mutex::default());
        let meter = Meter::new("firmware");
        Ok(Self { definition, installer, deferral, source, store, place, meter, machine, changes, orders, turn })
    }

    /// The machine as it is stored.
    pub(super) fn machine(&self) -> Machine {
        lock(&self.machine).clone()
    }

    pub(super) fn watch(&self, changes: Changes) {
        *lock(&self.changes) = Some(changes);
    }

    /// Has the worker do this in a while, instead of what it does.
    pub(super) fn order(&self, delay: Duration, work: Work) {
        // The worker ends with the object.
        let _ = self.orders.send((delay, work));
    }

    /// Moves the machine on: stored, then seen, then done. What is to be done besides installing has been ordered then.
    pub(super) async fn take(&self, input: Input) -> Result<Option<Work>, Refused> {
        let _turn = self.turn.lock().await;
        self.take_turn(input).await
    }

    async fn take_turn(&self, input: Input) -> Result<Option<Work>, Refused> {
        let before = self.machine();
        // What has happened outside is no less true when it cannot be stored.
        let happened = matches!(input, Input::Lost(..) | Input::Ended(..));
        let (after, work) = before.step(unix_time(), input).map_err(Refused::Rejected)?;
        if after != before
            && let Err(error) = self.save(&after).await
        {
            tracing::error!(%error, "the state of the firmware update could not be stored");
            if !happened {
                return Err(Refused::Store(error));
            }
        }
        if before.needs_file()
            && !after.needs_file()
            && let Err(error) = self.place.discard().await
        {
            // Then it is removed after the next start.
            tracing::warn!(%error, "a firmware package could not be removed");
        }
        *lock(&self.machine) = after.clone();
        self.publish(&before, &after);
        if let Some(work) = work.filter(|work| *work != Work::Install) {
            self.order(Duration::ZERO, work);
        }
        Ok(work)
    }

    /// Begins the download of a pushed package: its number and its file.
    pub(super) async fn begin_push(&self, size: Option<u64>) -> Result<(u64, Result<Body<D>, BodyError>), Refused> {
        // Until the file is there, nobody else may begin or discard one.
        let _turn = self.turn.lock().await;
        self.take_turn(Input::Push).await?;
        Ok((self.machine().serial, self.place.create(size).await))
    }

    /// What has come of a download: a package, whole and synced, or nothing. If the installer does not want it, the server sees that in the
    /// result.
    pub(super) async fn came(&self, serial: u64, came: Result<Digest, TransferError>) -> Result<(), Error> {
        let (input, failed) = match came {
            Ok(digest) => (self.inspected(serial, digest).await, None),
            Err(error) => {
                tracing::error!("firmware: {error}");
                let result = UpdateResult::from_number(error.firmware_result()).unwrap_or(UpdateResult::UpdateFailed);
                (Input::Lost(serial, result), Some(error))
            }
        };
        let taken = self.take(input).await;
        if let Some(error) = failed {
            // It may have been reset or cancelled meanwhile.
            return Err(error.into());
        }
        if let Some(Work::Install) = taken? {
            self.order(worker::LEAVE, Work::Install);
        }
        Ok(())
    }

    async fn inspected(&self, serial: u64, digest: Digest) -> Input {
        let image = Image { digest, package: Package::default() };
        match self.installer.inspect(&self.update(serial, &image)).await {
            Ok(package) => Input::Received(serial, Image { digest, package }),
            Err(failure) => {
                tracing::error!("firmware: {failure}");
                Input::Lost(serial, failure.result)
            }
        }
    }

    /// What the installer is told of a package.
    pub(super) fn update(&self, number: u64, image: &Image) -> Update {
        let Image { digest, .. } = image;
        Update { number, image: self.place.path(), length: digest.length, sha256: digest.sha256 }
    }

    async fn save(&self, machine: &Machine) -> Result<(), StoreError> {
        let (store, content) = (Arc::clone(&self.store), record::encode(machine));
        let saved = spawn_blocking(move || store.save(RECORD, record::VERSION, &content)).await;
        saved.unwrap_or_else(|error| {
            Err(StoreError::Disk { path: self.store.path(RECORD), error: std::io::Error::other(error) })
        })
    }

    /// Tells the observers what has changed, the result before the state: whoever sees the state reads the result at once.
    fn publish(&self, before: &Machine, after: &Machine) {
        let (old, new) = (before.state(), after.state());
        if (old, before.result) != (new, after.result) {
            log(before, after);
        }
        let Some(changes) = lock(&self.changes).clone() else { return };
        if before.changed != after.changed
            && let Some(time) = after.changed.and_then(|seconds| i64::try_from(seconds).ok())
        {
            changes.value(path(id::LAST_STATE_CHANGE_TIME), Value::Time(time));
        }
        if before.uri != after.uri {
            changes.value(path(id::PACKAGE_URI), after.uri.as_str());
        }
        if before.image() != after.image() {
            changes.changed(path(id::PKG_NAME));
            changes.changed(path(id::PKG_VERSION));
        }
        if before.result != after.result {
            changes.value(path(id::UPDATE_RESULT), after.result as i64);
        }
        if old != new {
            changes.value(path(id::STATE), new as i64);
        }
    }
}

/// One line for each step.
fn log(before: &Machine, after: &Machine) {
    let result = after.result;
    match (before.state(), after.state()) {
        (_, State::Downloading) if after.uri.is_empty() => tracing::info!("firmware: a server pushes a package"),
        (_, State::Downloading) => {
            tracing::info!("firmware: a server wants the package at {} fetched", shown(&after.uri))
        }
        (_, State::Downloaded) if result.is_failure() => tracing::error!("firmware: {result}; the package stays"),
        (State::Downloaded, State::Downloaded) => tracing::info!("firmware: {result}"),
        (_, State::Downloaded) => {
            let length = after.image().map_or(0, |image| image.digest.length);
            tracing::info!("firmware: a package of {length} bytes has come, and waits to be installed");
        }
        (_, State::Updating) => tracing::info!("firmware: the package is being installed"),
        (_, State::Idle) if result.is_failure() => tracing::error!("firmware: {result}"),
        (_, State::Idle) => tracing::info!("firmware: {result}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
