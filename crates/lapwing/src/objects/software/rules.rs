//! By which rules an instance is kept, and what is said of it.

use std::path::PathBuf;

use lapwing_lwm2m::model::{InstanceId, Path, ResourceId, Value};
use zeroize::Zeroizing;

use super::machine::{Input, Kind, Machine, Work};
use super::{Job, OperationalState, State, Task, UpdateResult, record};
use crate::definitions::software_management as id;
use crate::object::Changes;
use crate::objects::keeper::{Reject, Rules};
use crate::transfer::shown;

/// One instance's.
pub(super) struct Kept {
    pub(super) instance: InstanceId,
    /// What its files are called after.
    pub(super) file: String,
    /// What the log calls it.
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl Rules for Kept {
    type Machine = Machine;
    type Input = Input;
    type Work = Work;

    const VERSION: u16 = record::VERSION;

    fn name(&self) -> &str {
        &self.name
    }

    fn files(&self) -> (String, String) {
        (self.file.clone(), format!("{}.package", self.file))
    }

    fn initial(&self, serial: u64) -> Machine {
        Machine { serial, ..Machine::new(self.kind) }
    }

    fn lost(&self, serial: u64) -> Machine {
        let reason = "what was stored of it cannot be read any more".to_owned();
        Machine { result: UpdateResult::Device, reason, ..self.initial(serial) }
    }

    fn encode(&self, machine: &Machine) -> Zeroizing<Vec<u8>> {
        record::encode(machine)
    }

    fn decode(&self, content: &[u8]) -> Option<Machine> {
        record::decode(self.kind, content)
    }

    fn step(&self, machine: &Machine, input: Input) -> Result<(Machine, Option<Work>), Reject> {
        machine.step(input)
    }

    fn has_happened(&self, input: &Input) -> bool {
        matches!(input, Input::Lost(..) | Input::Ended(..) | Input::Running { .. })
    }

    fn needs_package(&self, machine: &Machine) -> bool {
        machine.needs_package()
    }

    /// What is done to the program itself may end it.
    fn is_for_later(&self, work: &Work) -> bool {
        self.kind == Kind::Own && matches!(work, Work::Begin(_))
    }

    fn tell(&self, before: &Machine, after: &Machine, changes: Option<&Changes>) {
        self.log(before, after);
        let Some(changes) = changes else { return };
        for resource in VALUES {
            match value(after, resource) {
                new if new == value(before, resource) => {}
                Some(new) => changes.value(self.path(resource), new),
                None => changes.changed(self.path(resource)),
            }
        }
    }
}

/// Those that change by themselves, in the order in which that is told.
const VALUES: [ResourceId; 7] = [
    id::PKG_NAME,
    id::PKG_VERSION,
    id::STATUS_REASON,
    id::UPDATE_RESULT,
    id::ACTIVATION_STATE,
    id::OPERATIONAL_STATE,
    id::UPDATE_STATE,
];

/// What a resource of the machine is; `None` for what it does not know.
pub(super) fn value(machine: &Machine, resource: ResourceId) -> Option<Value> {
    let release = machine.release();
    Some(match resource {
        id::PKG_NAME => release?.name.as_deref()?.into(),
        id::PKG_VERSION => release?.version.as_deref()?.into(),
        id::UPDATE_STATE => (machine.state() as i64).into(),
        id::UPDATE_SUPPORTED_OBJECTS => machine.settings.announce.into(),
        id::UPDATE_RESULT => (machine.result as i64).into(),
        id::ACTIVATION_STATE => machine.is_active().into(),
        id::PACKAGE_SETTINGS => machine.settings.link?.into(),
        id::STATUS_REASON => machine.reason.as_str().into(),
        id::OPERATIONAL_STATE => Value::Unsigned(machine.operational as u64),
        _ => return None,
    })
}

impl Kept {
    pub(super) fn path(&self, resource: ResourceId) -> Path {
        Path::object(id::OBJECT_ID).instance(self.instance).resource(resource)
    }

    /// One line for each step.
    fn log(&self, before: &Machine, after: &Machine) {
        let name = &self.name;
        match (before.task, after.task) {
            (old, new) if old == new => {}
            (_, Some(task)) => return tracing::info!("{name}: {task}, as a server wants it"),
            (Some(task), None) if after.reason.is_empty() => return tracing::info!("{name}: {task} is done"),
            (Some(task), None) => return tracing::error!("{name}: {task} has failed: {}", after.reason),
            (None, None) => {}
        }
        if (before.state(), before.serial) == (after.state(), after.serial) {
            match after.operational {
                same if same == before.operational => {}
                failed @ (OperationalState::Failed | OperationalState::Defunct) => tracing::warn!("{name}: {failed}"),
                other => tracing::info!("{name}: {other}"),
            }
            return;
        }
        match after.state() {
            State::DownloadStarted if after.uri.is_empty() => tracing::info!("{name}: a server pushes a package"),
            State::DownloadStarted => {
                tracing::info!("{name}: a server wants the package at {} fetched", shown(&after.uri));
            }
            State::Downloaded => {
                let length = after.package.map_or(0, |package| package.length);
                tracing::info!("{name}: a package of {length} bytes has come, and is being verified");
            }
            State::Delivered => tracing::info!("{name}: the package was verified, and waits to be installed"),
            State::Initial if after.result.is_failure() => {
                tracing::error!("{name}: {}: {}", after.result, after.reason)
            }
            State::Initial => tracing::info!("{name}: ready for a package"),
            State::Installed => {}
        }
    }
}

/// What is to be done with the software that the machine has.
pub(super) fn job(machine: &Machine, task: Task, package: PathBuf) -> Option<Job> {
    let in_place = machine.in_place.as_ref().map(|(release, _)| release);
    let release = match task {
        Task::Remove => in_place.or(machine.release())?,
        _ => machine.release()?,
    };
    let mut job = Job::new(task, machine.serial, release.clone());
    job.package = (machine.needs_package() && task != Task::Remove).then_some(package);
    if task == Task::Install {
        job.replaces = in_place.cloned();
    }
    Some(job)
}
