//! Firmware Update (object 5): a package comes by Write, and an [`Installer`] puts it in its place.
//!
//! ```no_run
//! use lapwing::Client;
//! use lapwing::objects::firmware::{BoxFuture, Failure, Firmware, Installed, Installer, Update};
//!
//! struct Flash;
//!
//! impl Installer for Flash {
//!     fn install<'a>(&'a self, update: &'a Update) -> BoxFuture<'a, Result<Installed, Failure>> {
//!         Box::pin(async move {
//!             println!("{} bytes at {}", update.length, update.image.display());
//!             Ok(Installed::Done)
//!         })
//!     }
//!     fn resume<'a>(&'a self, _: &'a Update) -> BoxFuture<'a, Option<Result<Installed, Failure>>> {
//!         // This one ends with the process, and leaves no trace.
//!         Box::pin(async { None })
//!     }
//! }
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let firmware = Firmware::builder(Flash).open("/var/lib/kettle/firmware")?;
//! let client = Client::builder("kettle-1").server("coap://localhost").object(firmware).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything that a server can see is on the disk first: after a power cut there is what was acknowledged, a package that had come
//! whole is there, and an update that may have been begun is not begun again.
//!
//! Packages are pushed (5/0/0), and with [`Builder::source`] they are fetched from URIs (5/0/1), which goes on after a restart where it was.

mod core;
mod installer;
mod machine;
mod record;
mod worker;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapwing_lwm2m::client::Arguments;
use lapwing_lwm2m::model::{InstanceId, ObjectDefinition, Path, Resource, ResourceId, Value};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::AbortHandle;

pub use installer::{Confirmation, Failure, Installed, Installer, Package, Update};

pub use crate::object::BoxFuture;

use self::core::{Core, Deferral};
use self::machine::{Input, Settings, Work};
use crate::definitions::firmware_update as id;
use crate::driver::{Disk, FileSystem};
use crate::object::{After, Changes, Error, Incoming, Object, Result, Staged, WriteSet};
use crate::objects::keeper::{self, Delivery};
use crate::store::{Store, StoreError};
use crate::transfer::{Interruption, Progress, Scheme, Source, receive, shown};

/// The state of the update (5/0/3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no package.
    Idle = 0,
    /// A package is coming.
    Downloading = 1,
    /// A package waits to be installed.
    Downloaded = 2,
    /// It is being installed.
    Updating = 3,
}

/// How the last download or update ended (5/0/5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpdateResult {
    /// It has not ended.
    #[error("nothing has ended")]
    Initial = 0,
    /// The firmware was updated.
    #[error("the update has succeeded")]
    Success = 1,
    /// Not enough flash memory.
    #[error("there is not enough space for the package")]
    NoSpace = 2,
    /// Out of RAM.
    #[error("there is not enough memory")]
    OutOfMemory = 3,
    /// Connection lost.
    #[error("the download was cut off")]
    ConnectionLost = 4,
    /// Integrity check failure.
    #[error("the package is damaged")]
    Integrity = 5,
    /// Unsupported package type.
    #[error("the package is none for this machine")]
    PackageType = 6,
    /// Invalid URI.
    #[error("the URI is invalid")]
    InvalidUri = 7,
    /// Firmware update failed.
    #[error("the update has failed")]
    UpdateFailed = 8,
    /// Unsupported protocol.
    #[error("the URI's protocol is not supported")]
    Protocol = 9,
    /// Cancelled.
    #[error("the update was cancelled")]
    Cancelled = 10,
    /// Deferred.
    #[error("the update was put off")]
    Deferred = 11,
}

impl UpdateResult {
    const ALL: [Self; 12] = [
        Self::Initial,
        Self::Success,
        Self::NoSpace,
        Self::OutOfMemory,
        Self::ConnectionLost,
        Self::Integrity,
        Self::PackageType,
        Self::InvalidUri,
        Self::UpdateFailed,
        Self::Protocol,
        Self::Cancelled,
        Self::Deferred,
    ];

    /// The result of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether it tells of something that went wrong.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Initial | Self::Success | Self::Cancelled | Self::Deferred)
    }
}

/// How much an update matters (5/0/11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Critical.
    Critical = 0,
    /// Mandatory: the default.
    Mandatory = 1,
    /// Optional.
    Optional = 2,
}

impl Severity {
    /// The severity of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Critical, Self::Mandatory, Self::Optional].get(usize::from(number)).copied()
    }
}

/// Object 5 on a disk. It needs a tokio runtime around it, from [`Builder::open`] on.
pub struct Firmware<D: Disk = FileSystem> {
    core: Arc<Core<D>>,
    resources: Vec<ResourceId>,
    worker: AbortHandle,
    /// Keeps other processes out of the folder.
    _held: Option<File>,
}

/// Makes a [`Firmware`].
#[must_use]
pub struct Builder {
    installer: Box<dyn Installer>,
    definition: &'static ObjectDefinition,
    deferral: Option<Deferral>,
    source: Option<Box<dyn Source>>,
}

impl Firmware {
    /// The object over this installer.
    pub fn builder(installer: impl Installer) -> Builder {
        Builder { installer: Box::new(installer), definition: &id::DEFINITION, deferral: None, source: None }
    }
}

impl Builder {
    /// The version of the object; the newest by default. [`V1_0`](id::V1_0) is the one for LwM2M 1.0.
    pub fn definition(mut self, definition: &'static ObjectDefinition) -> Self {
        self.definition = definition;
        self
    }

    /// What is asked, when a server wants an update installed, whether it is to be put off: for the time that the server permits
    /// (5/0/13), after which it is installed without a question. Without this nothing is ever put off, and 5/0/13 is not offered.
    pub fn deferral(mut self, defers: impl Fn(Severity) -> bool + Send + Sync + 'static) -> Self {
        self.deferral = Some(Box::new(defers));
        self
    }

    /// What fetches packages from URIs (5/0/1): a [`Puller`](crate::transfer::Puller). Without this packages are only pushed: 5/0/8 lists no protocol, and a URI ends in
    /// the result 9.
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The object as it was left in `folder`, which is its own, and is created if need be. Blocks for as long as it takes to read a
    /// small file. An installation that was begun is followed from here on.
    ///
    /// # Errors
    /// When the folder or its files cannot be used, or another process uses them. A damaged record is told of in the log, and the object
    /// begins anew.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(self, folder: impl Into<PathBuf>) -> Result<Firmware, StoreError> {
        let store = Store::open(FileSystem, folder)?;
        let held = store.hold()?;
        self.build(store, Some(held))
    }

    /// The same on another disk, which nobody else may use.
    ///
    /// # Errors
    /// As for [`open`](Builder::open).
    ///
    /// # Panics
    /// As [`open`](Builder::open) does.
    pub fn open_on<D: Disk>(self, disk: D, folder: impl Into<PathBuf>) -> Result<Firmware<D>, StoreError> {
        self.build(Store::open(disk, folder)?, None)
    }

    fn build<D: Disk>(self, store: Store<D>, held: Option<File>) -> Result<Firmware<D>, StoreError> {
        let (orders, ordered) = unbounded_channel();
        let offered = |resource: &ResourceId| *resource != id::MAXIMUM_DEFER_PERIOD || self.deferral.is_some();
        let resources = self.definition.resources.iter().map(|resource| resource.id).filter(offered).collect();
        let core = Arc::new(Core::load(store, self, orders)?);
        let worker = Arc::clone(&core);
        let work = keeper::work(ordered, move |work| -> BoxFuture<'static, ()> {
            Box::pin(worker::perform(Arc::clone(&worker), work))
        });
        let worker = tokio::spawn(work).abort_handle();
        Ok(Firmware { core, resources, worker, _held: held })
    }
}

impl<D: Disk> Drop for Firmware<D> {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl<D: Disk> Firmware<D> {
    /// The state and the result.
    pub fn state(&self) -> (State, UpdateResult) {
        self.core.keeper.look(|machine| (machine.state(), machine.result))
    }

    /// How far the download is; `None` while there is none.
    pub fn progress(&self) -> Option<Progress> {
        self.core.keeper.meter.progress()
    }

    /// Why nothing of the package comes at present; `None` while something does, or may.
    pub fn interruption(&self) -> Option<Interruption> {
        self.core.keeper.meter.interruption()
    }

    /// Where a package is being fetched from, without what may be secret of it: user, password and query. `None` while none is.
    pub fn origin(&self) -> Option<String> {
        let pulls = machine::Phase::Downloading(Delivery::Pull);
        self.core.keeper.look(|machine| (machine.phase == pulls).then(|| shown(&machine.uri)))
    }

    /// The package that is there, or is being installed, and its length in bytes.
    pub fn package(&self) -> Option<(Package, u64)> {
        self.core.keeper.look(|machine| machine.image().map(|image| (image.package.clone(), image.digest.length)))
    }

    fn value(&self, resource: ResourceId) -> Option<Resource> {
        self.core.keeper.look(|machine| self.value_of(machine, resource))
    }

    fn value_of(&self, machine: &machine::Machine, resource: ResourceId) -> Option<Resource> {
        let package = machine.image().map(|image| &image.package);
        Some(match resource {
            id::PACKAGE_URI => machine.uri.as_str().into(),
            id::STATE => (machine.state() as i64).into(),
            id::UPDATE_RESULT => (machine.result as i64).into(),
            id::PKG_NAME => package?.name.as_deref()?.into(),
            id::PKG_VERSION => package?.version.as_deref()?.into(),
            id::FIRMWARE_UPDATE_PROTOCOL_SUPPORT if self.core.source.is_some() => protocols(),
            id::FIRMWARE_UPDATE_PROTOCOL_SUPPORT => Resource::multiple::<i64>([]),
            id::FIRMWARE_UPDATE_DELIVERY_METHOD if self.core.source.is_some() => BOTH.into(),
            id::FIRMWARE_UPDATE_DELIVERY_METHOD => PUSH_ONLY.into(),
            id::SEVERITY => (machine.settings.severity as i64).into(),
            id::LAST_STATE_CHANGE_TIME => Value::Time(i64::try_from(machine.changed?).ok()?).into(),
            id::MAXIMUM_DEFER_PERIOD => Value::Unsigned(machine.settings.defer_period.into()).into(),
            id::AUTOMATIC_UPGRADE_AT_DOWNLOAD => machine.settings.automatic.into(),
            _ => return None,
        })
    }

    /// What a request writes, as what happens to the machine.
    fn inputs(&self, set: &WriteSet) -> Result<Vec<Input>> {
        let before = self.core.keeper.look(|machine| machine.settings);
        let replaced = set.replaced().next().is_some();
        let mut settings = if replaced { machine::Machine::default().settings } else { before };
        let mut inputs = Vec::new();
        for write in set.iter() {
            let value = write.value.value().ok_or_else(|| Error::bad_request("a single value is expected"))?;
            match (write.resource, value) {
                (id::PACKAGE_URI, Value::String(uri)) if is_reset(uri.as_bytes()) => inputs.push(Input::Reset),
                (id::PACKAGE_URI, Value::String(uri)) => inputs.push(Input::Uri(uri.to_string())),
                (id::PACKAGE, Value::Opaque(package)) if is_reset(package) && package.len() <= 1 => {
                    inputs.push(Input::Reset);
                }
                (id::PACKAGE, _) => return Err(Error::bad_request("a package is written to /5/0/0")),
                (resource, value) => setting(&mut settings, resource, value)?,
            }
        }
        if settings != before {
            inputs.insert(0, Input::Set(settings));
        }
        Ok(inputs)
    }
}

/// The delivery method (5/0/9) of what only takes a push.
const PUSH_ONLY: i64 = 1;
/// That of what fetches packages as well.
const BOTH: i64 = 2;

/// The protocols of URIs (5/0/8).
fn protocols() -> Resource {
    let number = |scheme: &Scheme| match scheme {
        Scheme::Coap => 0,
        Scheme::Coaps => 1,
        Scheme::Http => 2,
        Scheme::Https => 3,
    };
    Resource::multiple(Scheme::ALL.iter().map(number).enumerate().map(|(index, number)| (index as u16, number)))
}

/// An empty value, or one that begins with NUL as the predecessors of this client took it.
fn is_reset(value: &[u8]) -> bool {
    matches!(value, [] | [0, ..])
}

fn setting(settings: &mut Settings, resource: ResourceId, value: &Value) -> Result<()> {
    let out_of_range = || Error::bad_request("out of range");
    match (resource, value) {
        (id::SEVERITY, Value::Integer(number)) => {
            let severity = u8::try_from(*number).ok().and_then(Severity::from_number);
            settings.severity = severity.ok_or_else(out_of_range)?;
        }
        (id::MAXIMUM_DEFER_PERIOD, Value::Unsigned(seconds)) => {
            settings.defer_period = u32::try_from(*seconds).map_err(|_| out_of_range())?;
        }
        (id::AUTOMATIC_UPGRADE_AT_DOWNLOAD, Value::Boolean(automatic)) => settings.automatic = *automatic,
        _ => return Err(Error::MethodNotAllowed),
    }
    Ok(())
}

impl<D: Disk> Object for Firmware<D> {
    fn definition(&self) -> &ObjectDefinition {
        self.core.definition
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &self.resources
    }

    fn streamed(&self) -> &[ResourceId] {
        &[id::PACKAGE]
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> Result<Resource> {
        self.value(resource).ok_or(Error::NotFound)
    }

    async fn stage(&self, set: &WriteSet) -> Result<Staged<'_>> {
        let inputs = self.inputs(set)?;
        // What cannot be taken now is refused before anything is changed.
        let mut machine = self.core.keeper.machine();
        for input in inputs.clone() {
            machine = machine.step(None, input).map_err(keeper::Refused::Rejected)?.0;
        }
        Ok(Staged::new(async move {
            for input in inputs {
                self.core.keeper.take(input).await?;
            }
            Ok(())
        }))
    }

    async fn execute(&self, _: InstanceId, resource: ResourceId, _: Arguments) -> Result<After> {
        match resource {
            id::UPDATE => {
                let severity = self.core.keeper.look(|machine| machine.settings.severity);
                let later = self.core.deferral.as_ref().is_some_and(|defers| defers(severity));
                let work = self.core.keeper.take(Input::Update { later }).await?;
                let core = Arc::clone(&self.core);
                Ok(match work {
                    Some(Work::Install) => {
                        After::reply(async move { core.keeper.order(Duration::ZERO, Work::Install) })
                    }
                    _ => After::default(),
                })
            }
            id::CANCEL => {
                self.core.keeper.take(Input::Cancel).await?;
                Ok(After::default())
            }
            _ => Err(Error::MethodNotAllowed),
        }
    }

    async fn receive(&self, _: &Path, body: &mut Incoming) -> Result<()> {
        let first = body.next().await?.unwrap_or_default();
        // Only the last block of a body can be that short.
        if first.len() <= 1 && is_reset(first) {
            self.core.keeper.take(Input::Reset).await?;
            return Ok(());
        }
        let (machine, package) = self.core.keeper.begin_push(Input::Push, body.size()).await?;
        let came = match package {
            Ok(package) => receive(package, body, &self.core.keeper.meter).await,
            Err(error) => Err(error.into()),
        };
        self.core.came(machine.serial, came).await
    }

    fn watch(&self, _: &[Path], changes: Changes) {
        self.core.keeper.watch(changes);
    }
}

impl<D: Disk> fmt::Debug for Firmware<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Firmware").field("machine", &self.core.keeper.machine()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("definition", &self.definition.id).finish_non_exhaustive()
    }
}

fn path(resource: ResourceId) -> Path {
    Path::object(id::OBJECT_ID).instance(0).resource(resource)
}
