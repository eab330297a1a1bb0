//! One instance: the machine, and who does what comes out of it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lapwing_lwm2m::model::{ObjectLink, Resource, ResourceId};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::sleep;

use super::machine::{Input, Kind, Phase, Work};
use super::rules::{Kept, job, value};
use super::{BoxFuture, Failure, Manager, OperationalState, Package, State, Task, UpdateResult};
use crate::definitions::software_management as id;
use crate::driver::Disk;
use crate::object::{Error, Incoming};
use crate::objects::keeper::{self, Delivery, Keeper, Refused};
use crate::store::{Store, StoreError};
use crate::transfer::{self, Interruption, Login, Progress, Source, TransferError, shown};

/// So often software is looked at while a server observes what it does.
const LOOK: Duration = Duration::from_secs(30);

type Running = Box<dyn FnOnce() -> io::Result<[u8; 32]> + Send + Sync>;

/// Software that servers manage: an instance of the object.
#[must_use]
pub struct Instance {
    manager: Box<dyn Manager>,
    pub(super) kind: Kind,
    /// Tells the SHA-256 of the program that runs.
    running: Option<Running>,
    name: String,
    version: String,
    checkpoint: Option<ObjectLink>,
    settings: Option<ObjectLink>,
}

impl Instance {
    /// Software of this machine besides the program itself.
    pub fn new(manager: impl Manager) -> Self {
        Self {
            manager: Box::new(manager),
            kind: Kind::Package,
            running: None,
            name: String::new(),
            version: String::new(),
            checkpoint: None,
            settings: None,
        }
    }

    /// The program itself; `running` tells the SHA-256 of its executable, and is [`running_executable`](super::running_executable).
    ///
    /// It is asked beside all else, since that takes a while on a small machine, and only where something depends on it: after an update.
    /// Until it has answered, an activation that the program has ended for is still under way, as servers see it; then it is known
    /// whether the new program runs, or the one before it.
    ///
    /// It takes a package in almost every state (else it could be updated once only), cannot be removed, deactivated, started or
    /// stopped, as nobody would be there to undo it, and is activated by its end: the program that runs afterwards shows whether that has
    /// worked. Writing a URI that begins with NUL, or Uninstall with the argument 1, takes it back to INITIAL.
    pub fn own(manager: impl Manager, running: impl FnOnce() -> io::Result<[u8; 32]> + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Own, running: Some(Box::new(running)), ..Self::new(manager) }
    }

    /// Name and version (9/x/0, 9/x/1) as long as no package has said what they are; empty by default.
    pub fn release(self, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), ..self }
    }

    /// The object with the conditions for an update of this software (9/x/5); not offered by default.
    pub fn checkpoint(self, link: ObjectLink) -> Self {
        Self { checkpoint: Some(link), ..self }
    }

    /// The object with the software's settings (9/x/13) as long as no server has written another; not offered by default.
    pub fn settings(self, link: ObjectLink) -> Self {
        Self { settings: Some(link), ..self }
    }

    /// Whether it has this resource.
    pub(super) fn offers(&self, resource: ResourceId) -> bool {
        match resource {
            id::CHECKPOINT => self.checkpoint.is_some(),
            id::PACKAGE_SETTINGS => self.settings.is_some(),
            // Where there are links to components, package and URI are ignored.
            id::SOFTWARE_COMPONENT_LINK | id::SOFTWARE_COMPONENT_TREE_LENGTH => false,
            id::PURGE => self.kind == Kind::Package && self.manager.can_purge(),
            _ => true,
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}

/// What an instance is in, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overview {
    /// As the application calls it.
    pub name: String,
    /// 9/x/7.
    pub state: State,
    /// 9/x/9.
    pub result: UpdateResult,
    /// Why something has failed last (9/x/16); empty: nothing has.
    pub reason: String,
    /// The name and the version that servers are told (9/x/0, 9/x/1); empty: they are not known.
    pub release: (String, String),
    /// 9/x/12.
    pub active: bool,
    /// 9/x/21, as it was seen last.
    pub operational: OperationalState,
    /// What is being done with it.
    pub task: Option<Task>,
    /// Where a package is being fetched from, without what may be secret of it: user, password and query.
    pub origin: Option<String>,
    /// How far the download is.
    pub progress: Option<Progress>,
    /// Why nothing of it comes at present.
    pub interruption: Option<Interruption>,
}

/// An instance on a disk.
pub(super) struct Managed<D: Disk> {
    pub(super) keeper: Keeper<Kept, D>,
    instance: Instance,
    /// Fetches packages, where that is wanted.
    source: Option<Arc<dyn Source>>,
    /// Whether a server observes what the software does.
    observed: watch::Sender<bool>,
}

/// What runs beside it, until this is dropped.
pub(super) struct Workers(Vec<AbortHandle>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl<D: Disk> Managed<D> {
    /// The instance as it was left, and from now on at work. Blocks.
    pub(super) fn load(
        store: Arc<Store<D>>,
        kept: Kept,
        mut instance: Instance,
        source: Option<Arc<dyn Source>>,
    ) -> Result<(Arc<Self>, Workers), StoreError> {
        let (orders, ordered) = mpsc::unbounded_channel();
        let running = instance.running.take();
        let keeper = Keeper::load(store, kept, orders, |length| Input::Started { length })?;
        let managed = Arc::new(Self { keeper, instance, source, observed: watch::Sender::new(false) });
        let worker = Arc::clone(&managed);
        let work = keeper::work(ordered, move |work| -> BoxFuture<'static, ()> {
            Box::pin(Arc::clone(&worker).perform(work))
        });
        let mut workers =
            vec![tokio::spawn(work).abort_handle(), tokio::spawn(Arc::clone(&managed).follow()).abort_handle()];
        let judged = managed.keeper.look(|machine| machine.depends_on_what_runs().then_some(machine.serial));
        if let (Some(serial), Some(running)) = (judged, running) {
            workers.push(tokio::spawn(Arc::clone(&managed).judge(serial, running)).abort_handle());
        }
        Ok((managed, Workers(workers)))
    }

    /// What was left when this number was the last is judged by which executable runs.
    async fn judge(self: Arc<Self>, serial: u64, running: Running) {
        let place = Arc::clone(&self.keeper.place);
        let told = spawn_blocking(move || (running(), place.length())).await;
        let (running, length) = told.unwrap_or_else(|error| (Err(io::Error::other(error)), Ok(None)));
        let running = running.inspect_err(|error| {
            tracing::error!("{}: the executable that runs cannot be read: {error}", self.keeper.rules.name);
        });
        let (running, length) = (running.ok(), length.ok().flatten());
        self.keeper.news(Input::Running { serial, length, running }).await;
    }

    /// The value of a resource now.
    pub(super) async fn read(&self, resource: ResourceId) -> Option<Resource> {
        if resource == id::OPERATIONAL_STATE {
            self.look().await;
        }
        if let Some(value) = self.keeper.look(|machine| value(machine, resource)) {
            return Some(value.into());
        }
        let Instance { name, version, checkpoint, settings, .. } = &self.instance;
        match resource {
            id::PKG_NAME => Some(name.as_str().into()),
            id::PKG_VERSION => Some(version.as_str().into()),
            id::CHECKPOINT => checkpoint.map(Resource::from),
            id::PACKAGE_SETTINGS => settings.map(Resource::from),
            _ => None,
        }
    }

    pub(super) fn overview(&self) -> Overview {
        let progress = self.keeper.meter.progress();
        let Instance { name, version, .. } = &self.instance;
        self.keeper.look(|machine| {
            let release = machine.release();
            let told = |of: Option<&String>, otherwise: &String| of.unwrap_or(otherwise).clone();
            let pulls = machine.phase == Phase::Downloading(Delivery::Pull);
            Overview {
                name: self.keeper.rules.file.clone(),
                state: machine.state(),
                result: machine.result,
                reason: machine.reason.clone(),
                release: (
                    told(release.and_then(|release| release.name.as_ref()), name),
                    told(release.and_then(|release| release.version.as_ref()), version),
                ),
                active: machine.is_active(),
                operational: machine.operational,
                task: machine.task,
                origin: pulls.then(|| shown(&machine.uri)),
                progress,
                interruption: self.keeper.meter.interruption(),
            }
        })
    }

    /// Whether to look from time to time what the software does.
    pub(super) fn observe(&self, observed: bool) {
        self.observed.send_replace(observed);
    }

    async fn follow(self: Arc<Self>) {
        let mut observed = self.observed.subscribe();
        loop {
            self.look().await;
            // The sender lives as long as this.
            let _ = observed.wait_for(|observed| *observed).await;
            sleep(LOOK).await;
        }
    }

    async fn look(&self) {
        let active = self.keeper.look(|machine| machine.is_active().then(|| machine.release().cloned()).flatten());
        let Some(release) = active.filter(|_| self.instance.kind == Kind::Package) else { return };
        if let Some(state) = self.instance.manager.operational_state(&release).await {
            self.keeper.news(Input::Observed(state)).await;
        }
    }

    /// Receives a package that a server pushes.
    pub(super) async fn receive(&self, body: &mut Incoming) -> Result<(), Error> {
        let _ = body.next().await?;
        let (machine, package) = self.keeper.begin_push(Input::Push, body.size()).await?;
        let came = match package {
            Ok(package) => transfer::receive(package, body, &self.keeper.meter).await,
            Err(error) => Err(error.into()),
        };
        match came {
            Ok(digest) => Ok(self.step_on(machine.serial, Input::Received(machine.serial, digest)).await?),
            Err(error) => {
                self.keeper.news(lost(machine.serial, &error)).await;
                Err(error.into())
            }
        }
    }

    /// Fetches the package, or what is missing of it.
    async fn pull(&self, serial: u64) {
        // Without a source there is no URI.
        let Some(source) = &self.source else { return };
        let (uri, settings) = self.keeper.look(|machine| (machine.uri.clone(), machine.settings.clone()));
        let login = (!settings.user.is_empty()).then(|| Login::new(settings.user, settings.password.0.as_str()));
        let came = transfer::pull(&self.keeper.place, &**source, &uri, login, &self.keeper.meter).await;
        match came {
            Ok(digest) => drop(self.step_on(serial, Input::Received(serial, digest)).await),
            Err(error) => drop(self.keeper.news(lost(serial, &error)).await),
        }
    }

    /// The download of this number is a step further, or has failed where that cannot be stored.
    async fn step_on(&self, serial: u64, input: Input) -> Result<(), Refused> {
        let lost = |error: &StoreError| Input::Lost(serial, UpdateResult::Device, error.to_string());
        self.keeper.take_or(input, lost).await.map(drop)
    }

    async fn perform(self: Arc<Self>, work: Work) {
        let serial = self.keeper.look(|machine| machine.serial);
        match work {
            Work::Nothing => {}
            Work::Pull => self.pull(serial).await,
            Work::Verify { after_restart } => self.verify(serial, after_restart).await,
            Work::Begin(task) => self.begin(serial, task).await,
            Work::Resume(task) => self.resume(serial, task).await,
            Work::Announce => {
                if let Some(changes) = self.keeper.changes() {
                    changes.instances_changed();
                }
            }
        }
    }

    async fn verify(&self, serial: u64, after_restart: bool) {
        let Some(digest) = self.keeper.look(|machine| machine.package) else { return };
        let verified = if after_restart && !self.is_intact().await {
            Err(vanished())
        } else {
            let package = Package::new(self.keeper.place.path(), digest.length, digest.sha256);
            self.instance.manager.verify(&package).await
        };
        match verified {
            Ok(release) => drop(self.step_on(serial, Input::Verified(serial, release)).await),
            Err(Failure { result, reason }) => {
                self.keeper.news(Input::Lost(serial, result.unwrap_or(UpdateResult::Device), reason)).await;
            }
        }
    }

    async fn begin(&self, serial: u64, task: Task) {
        let Some(job) = self.keeper.look(|machine| job(machine, task, self.keeper.place.path())) else { return };
        let ended = if task == Task::Install && !self.is_intact().await {
            Err(vanished())
        } else {
            self.instance.manager.begin(&job).await
        };
        self.keeper.news(Input::Ended(serial, ended)).await;
    }

    async fn resume(&self, serial: u64, task: Task) {
        let Some(job) = self.keeper.look(|machine| job(machine, task, self.keeper.place.path())) else { return };
        let unknown = || Err(Failure::new(format!("it is not known what became of the {task}: it is not begun again")));
        let ended = self.instance.manager.resume(&job).await.unwrap_or_else(unknown);
        self.keeper.news(Input::Ended(serial, ended)).await;
    }

    async fn is_intact(&self) -> bool {
        match self.keeper.look(|machine| machine.package) {
            Some(digest) => self.keeper.is_intact(digest).await,
            None => false,
        }
    }
}

fn lost(serial: u64, error: &TransferError) -> Input {
    let result = UpdateResult::from_number(error.software_result()).unwrap_or(UpdateResult::Device);
    Input::Lost(serial, result, error.to_string())
}

fn vanished() -> Failure {
    Failure::new("the package on the disk is no longer what was received").with_result(UpdateResult::Integrity)
}
