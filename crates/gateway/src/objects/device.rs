use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapwing::{
    After, Arguments, Changes, Error, InstanceId, Object, ObjectDefinition, Path, Resource, ResourceId, Result, Staged,
    Value, WriteSet,
};
use lapwing_lwm2m::definitions::device as id;

use super::error_codes::{ErrorCodes, power_errors};
use super::sampler::Sampler;
use super::{concerns, failure};
use crate::platform::{self, Host, PowerKind, PowerSource, Supervisor};

/// How often what cannot tell its changes is looked at while it is observed.
const SAMPLE_PERIOD: Duration = Duration::from_secs(5);

/// The resources that are sampled, the clock aside.
const SAMPLED: [ResourceId; 7] = [
    id::FIRMWARE_VERSION,
    id::AVAILABLE_POWER_SOURCES,
    id::MEMORY_FREE,
    id::ERROR_CODE,
    id::UTC_OFFSET,
    id::TIMEZONE,
    id::MEMORY_TOTAL,
];

/// Values of object 3 that somebody decided, as opposed to those the machine tells.
#[derive(Debug, Clone, Default)]
pub struct DeviceValues {
    /// Resource 0; else the machine's.
    pub manufacturer: Option<String>,
    /// Resource 1; else the machine's.
    pub model: Option<String>,
    /// Resource 2; else the machine's.
    pub serial: Option<String>,
    /// Resource 3; else the machine's, which may change while it runs.
    pub firmware_version: Option<String>,
    /// Resource 6; else the machine's.
    pub power_sources: Option<Vec<PowerKind>>,
    /// Resource 17.
    pub device_type: Option<String>,
    /// Resource 18; else the machine's.
    pub hardware_version: Option<String>,
    /// Resource 19.
    pub software_version: Option<String>,
    /// Resource 16: the bindings the client supports, such as `U`.
    pub binding: String,
    /// Whether a server may set the clock (resource 13).
    pub current_time_writable: bool,
}

/// Object 3, Device: the machine, its memory, power and clock.
///
/// Reboot happens when its answer has settled. The clock is written only where the configuration permits it and the process
/// may; otherwise a write is 4.05, as one of UTC Offset and Timezone always is. Memory is given in units of 1000 bytes, as the
/// standard has it. Error Code knows low battery power (1) and external power supply off (2).
pub struct Device {
    shared: Arc<Shared>,
    supervisor: Arc<dyn Supervisor>,
    resources: Vec<ResourceId>,
    definition: &'static ObjectDefinition,
    sampler: Sampler,
}

/// What reads and the sampler need.
struct Shared {
    host: Arc<dyn Host>,
    values: DeviceValues,
    errors: Mutex<ErrorCodes>,
}

impl Device {
    /// Asks the machine what it has a source for; that is what the object offers from then on. A source that is there and fails is
    /// offered too: it may work when it is read.
    pub async fn probe(
        definition: &'static ObjectDefinition,
        host: Arc<dyn Host>,
        supervisor: Arc<dyn Supervisor>,
        mut values: DeviceValues,
    ) -> Self {
        match host.identity().await {
            Ok(identity) => {
                values.manufacturer = values.manufacturer.or(identity.manufacturer);
                values.model = values.model.or(identity.model);
                values.serial = values.serial.or(identity.serial);
                values.hardware_version = values.hardware_version.or(identity.hardware_version);
            }
            Err(error) => tracing::warn!("the machine does not say what it is: {error}"),
        }
        let shared = Arc::new(Shared { host, values, errors: Mutex::default() });
        let mut resources = vec![id::REBOOT, id::RESET_ERROR_CODE];
        for resource in definition.resources.iter().filter(|resource| resource.operations.readable()) {
            match shared.read(resource.id).await {
                Ok(_) => resources.push(resource.id),
                Err(ReadError::NoSource) => {}
                Err(ReadError::Platform(error)) => {
                    tracing::warn!("{} of the machine: {error}", resource.name);
                    resources.push(resource.id);
                }
            }
        }
        resources.sort_unstable();
        Self { shared, supervisor, resources, definition, sampler: Sampler::default() }
    }

    /// What tells the versions that the object shows.
    pub fn versions(&self) -> DeviceVersions {
        DeviceVersions(Arc::clone(&self.shared))
    }
}

/// The versions that the Device object shows; see [`Device::versions`].
pub struct DeviceVersions(Arc<Shared>);

impl DeviceVersions {
    /// Of the firmware (resource 3), where it is known now.
    pub async fn firmware(&self) -> Option<String> {
        self.0.firmware_version().await.ok()?
    }

    /// Of the software (resource 19).
    pub fn software(&self) -> Option<String> {
        self.0.values.software_version.clone()
    }
}

enum ReadError {
    NoSource,
    Platform(platform::Error),
}

impl From<platform::Error> for ReadError {
    fn from(error: platform::Error) -> Self {
        Self::Platform(error)
    }
}

impl Shared {
    async fn firmware_version(&self) -> platform::Result<Option<String>> {
        match &self.values.firmware_version {
            Some(version) => Ok(Some(version.clone())),
            None => Ok(self.host.versions().await?.firmware),
        }
    }

    async fn read(&self, resource: ResourceId) -> Result<Resource, ReadError> {
        let values = &self.values;
        let text = |value: &Option<String>| value.clone().map(Resource::from);
        let read = match resource {
            id::MANUFACTURER => text(&values.manufacturer),
            id::MODEL_NUMBER => text(&values.model),
            id::SERIAL_NUMBER => text(&values.serial),
            id::FIRMWARE_VERSION => self.firmware_version().await?.map(Resource::from),
            id::AVAILABLE_POWER_SOURCES => power_resource(&self.power().await?),
            id::MEMORY_FREE => self.host.memory().await?.map(|memory| kilobytes(memory.available)),
            id::MEMORY_TOTAL => self.host.memory().await?.map(|memory| kilobytes(memory.total)),
            id::ERROR_CODE => {
                let errors = power_errors(&self.power().await?);
                let mut codes = self.errors();
                codes.update(&errors);
                Some(codes.resource())
            }
            id::CURRENT_TIME => Some(current_time(&self.host.time().await?).into()),
            id::UTC_OFFSET => Some(utc_offset(self.host.time().await?.utc_offset).into()),
            id::TIMEZONE => self.host.time().await?.timezone.map(Resource::from),
            id::SUPPORTED_BINDING_AND_MODES => Some(values.binding.as_str().into()),
            id::DEVICE_TYPE => text(&values.device_type),
            id::HARDWARE_VERSION => text(&values.hardware_version),
            id::SOFTWARE_VERSION => text(&values.software_version),
            _ => None,
        };
        read.ok_or(ReadError::NoSource)
    }

    async fn power(&self) -> platform::Result<Vec<PowerSource>> {
        match &self.values.power_sources {
            Some(kinds) => Ok(kinds.iter().map(|&kind| PowerSource { kind, online: true, low: false }).collect()),
            None => self.host.power().await,
        }
    }

    fn errors(&self) -> MutexGuard<'_, ErrorCodes> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock's new value in seconds since 1970, where a server may write that to a resource.
    fn accept(&self, resource: ResourceId, value: &Resource) -> Result<u64> {
        if resource != id::CURRENT_TIME || !self.values.current_time_writable {
            return Err(Error::MethodNotAllowed);
        }
        let seconds = value.value().and_then(Value::as_time).and_then(|seconds| u64::try_from(seconds).ok());
        seconds.ok_or_else(|| Error::bad_request("a time before 1970"))
    }

    /// Reports the clock each time its second changes.
    async fn tick(&self, report: impl Fn(ResourceId, Option<Value>)) {
        loop {
            match self.host.time().await {
                Ok(time) => {
                    report(id::CURRENT_TIME, Some(current_time(&time)));
                    let rest = Duration::from_nanos(u64::from(1_000_000_000 - time.unix.subsec_nanos()));
                    tokio::time::sleep(rest).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "no time");
                    tokio::time::sleep(SAMPLE_PERIOD).await;
                }
            }
        }
    }

    /// Reports those of `resources` that have changed since they were looked at last: a single one with its value.
    async fn sample(&self, resources: &[ResourceId], report: impl Fn(ResourceId, Option<Value>)) {
        let mut last = vec![None; resources.len()];
        loop {
            for (resource, last) in resources.iter().zip(&mut last) {
                // A source that fails for a while says so when it is read.
                let Ok(value) = self.read(*resource).await else { continue };
                if last.as_ref().is_some_and(|last| *last != value) {
                    report(*resource, value.value().cloned());
                }
                *last = Some(value);
            }
            tokio::time::sleep(SAMPLE_PERIOD).await;
        }
    }
}

impl Object for Device {
    fn definition(&self) -> &ObjectDefinition {
        self.definition
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &self.resources
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> Result<Resource> {
        self.shared.read(resource).await.map_err(|error| match error {
            ReadError::NoSource => Error::NotFound,
            ReadError::Platform(error) => failure(error),
        })
    }

    async fn stage(&self, set: &WriteSet) -> Result<Staged<'_>> {
        let mut unix = None;
        for write in set.iter() {
            unix = Some(self.shared.accept(write.resource, write.value)?);
        }
        Ok(Staged::new(async move {
            let Some(unix) = unix else { return Ok(()) };
            self.shared.host.set_time(Duration::from_secs(unix)).await.map_err(failure)?;
            tracing::info!(unix, "the server set the clock");
            Ok(())
        }))
    }

    async fn execute(&self, _: InstanceId, resource: ResourceId, _: Arguments) -> Result<After> {
        match resource {
            id::REBOOT => {
                let supervisor = self.supervisor.clone();
                Ok(After::reply(async move {
                    tracing::info!("rebooting, as the server asked");
                    if let Err(error) = supervisor.reboot().await {
                        tracing::error!(%error, "no reboot");
                    }
                }))
            }
            id::RESET_ERROR_CODE => {
                let errors = power_errors(&self.shared.power().await.map_err(failure)?);
                let mut codes = self.shared.errors();
                codes.reset();
                codes.update(&errors);
                Ok(After::default())
            }
            _ => Err(Error::MethodNotAllowed),
        }
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        let wanted = |resource: &ResourceId| self.resources.contains(resource) && concerns(observed, &path(*resource));
        let clock = wanted(&id::CURRENT_TIME);
        let sampled: Vec<ResourceId> = SAMPLED.into_iter().filter(wanted).collect();
        let shared = self.shared.clone();
        let wanted = clock || !sampled.is_empty();
        self.sampler.replace(wanted.then_some(async move {
            let report = |resource, value: Option<Value>| match value {
                Some(value) => changes.value(path(resource), value),
                None => changes.changed(path(resource)),
            };
            let tick = async {
                if clock {
                    shared.tick(report).await
                }
            };
            let sample = async {
                if !sampled.is_empty() {
                    shared.sample(&sampled, report).await
                }
            };
            futures_util::join!(tick, sample);
        }));
    }
}

fn path(resource: ResourceId) -> Path {
    Path::object(id::OBJECT_ID).instance(0).resource(resource)
}

fn current_time(time: &platform::Time) -> Value {
    Value::Time(i64::try_from(time.unix.as_secs()).unwrap_or(i64::MAX))
}

/// LwM2M counts 1000 bytes to a kilobyte (object 3, resources 10 and 21).
fn kilobytes(bytes: u64) -> Resource {
    i64::try_from(bytes / 1000).unwrap_or(i64::MAX).into()
}

/// `None` when the machine knows no power source at all; else those that can deliver now, each with an id of its own.
fn power_resource(sources: &[PowerSource]) -> Option<Resource> {
    let available = (0..).zip(sources).filter(|(_, source)| source.online);
    (!sources.is_empty()).then(|| Resource::multiple(available.map(|(id, source)| (id, power_code(source.kind)))))
}

/// The enumeration of resource 6.
fn power_code(kind: PowerKind) -> i64 {
    match kind {
        PowerKind::Dc => 0,
        PowerKind::InternalBattery => 1,
        PowerKind::ExternalBattery => 2,
        PowerKind::FuelCell => 3,
        PowerKind::PowerOverEthernet => 4,
        PowerKind::Usb => 5,
        PowerKind::Mains => 6,
        PowerKind::Solar => 7,
    }
}

/// `+02:00` (ISO 8601, as resource 14 has it); seconds, which only times before 1972 have, are dropped.
fn utc_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests;
