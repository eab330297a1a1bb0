//! The machine as it is kept, and what is done with a package.

use std::sync::Arc;

use lapwing_lwm2m::model::{ObjectDefinition, Value};
use tokio::sync::mpsc::UnboundedSender;
use zeroize::Zeroizing;

use super::machine::{Image, Input, Machine, Work};
use super::{Builder, Installer, Package, Severity, State, Update, UpdateResult, path, record, worker};
use crate::definitions::firmware_update as id;
use crate::driver::{Disk, unix_time};
use crate::object::{Changes, Error};
use crate::objects::keeper::{Keeper, Order, Reject, Rules};
use crate::store::{Store, StoreError};
use crate::transfer::{Digest, Source, TransferError, shown};

/// Whether an update of this severity is to be put off.
pub(super) type Deferral = Box<dyn Fn(Severity) -> bool + Send + Sync>;

pub(super) struct Core<D: Disk> {
    pub(super) definition: &'static ObjectDefinition,
    pub(super) installer: Box<dyn Installer>,
    pub(super) deferral: Option<Deferral>,
    /// Fetches packages, where that is wanted.
    pub(super) source: Option<Box<dyn Source>>,
    pub(super) keeper: Keeper<Kept, D>,
}

impl<D: Disk> Core<D> {
    /// The object as it was left, in this folder of a disk. Blocks.
    pub(super) fn load(
        store: Store<D>,
        builder: Builder,
        orders: UnboundedSender<Order<Work>>,
    ) -> Result<Self, StoreError> {
        let keeper = Keeper::load(Arc::new(store), Kept, orders, Input::Started)?;
        let Builder { installer, definition, deferral, source } = builder;
        Ok(Self { definition, installer, deferral, source, keeper })
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
        let lost = |_: &StoreError| Input::Lost(serial, UpdateResult::UpdateFailed);
        let taken = self.keeper.take_or(input, lost).await;
        if let Some(error) = failed {
            // It may have been reset or cancelled meanwhile.
            return Err(error.into());
        }
        if let Some(Work::Install) = taken? {
            self.keeper.order(worker::LEAVE, Work::Install);
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
        Update { number, image: self.keeper.place.path(), length: digest.length, sha256: digest.sha256 }
    }
}

/// By which rules it is kept.
pub(super) struct Kept;

impl Rules for Kept {
    type Machine = Machine;
    type Input = Input;
    type Work = Work;

    const VERSION: u16 = record::VERSION;

    fn name(&self) -> &str {
        "firmware"
    }

    fn files(&self) -> (String, String) {
        ("state".to_owned(), "image".to_owned())
    }

    fn initial(&self, serial: u64) -> Machine {
        Machine { serial, ..Machine::default() }
    }

    fn lost(&self, serial: u64) -> Machine {
        Machine { result: UpdateResult::UpdateFailed, ..self.initial(serial) }
    }

    fn encode(&self, machine: &Machine) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(record::encode(machine))
    }

    fn decode(&self, content: &[u8]) -> Option<Machine> {
        record::decode(content)
    }

    fn step(&self, machine: &Machine, input: Input) -> Result<(Machine, Option<Work>), Reject> {
        machine.step(unix_time(), input)
    }

    fn has_happened(&self, input: &Input) -> bool {
        matches!(input, Input::Lost(..) | Input::Ended(..))
    }

    fn needs_package(&self, machine: &Machine) -> bool {
        machine.needs_file()
    }

    /// An installation may reboot.
    fn is_for_later(&self, work: &Work) -> bool {
        *work == Work::Install
    }

    fn tell(&self, before: &Machine, after: &Machine, changes: Option<&Changes>) {
        let (old, new) = (before.state(), after.state());
        if (old, before.result) != (new, after.result) {
            log(before, after);
        }
        let Some(changes) = changes else { return };
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
