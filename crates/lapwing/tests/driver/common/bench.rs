//! An object that does what its test wants.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::{
    After, Arguments, Changes, Client, Error, Incoming, InstanceId, Object, ObjectDefinition, Operations, Path,
    Resource, ResourceDefinition, ResourceId, ResourceType, Result, Staged, WriteSet,
};
use tokio::time::{Instant, sleep};

pub(crate) const READY: ResourceId = 0;
pub(crate) const SLOW: ResourceId = 1;
pub(crate) const NEVER: ResourceId = 2;
pub(crate) const WORK: ResourceId = 3;
pub(crate) const SETTING: ResourceId = 4;
pub(crate) const FICKLE: ResourceId = 5;
pub(crate) const PACKAGE: ResourceId = 6;
pub(crate) const LIST: ResourceId = 7;
pub(crate) const REBOOT: ResourceId = 8;

static RESOURCES: &[ResourceDefinition] = &[
    ResourceDefinition::new(READY, "Ready", Operations::Read, ResourceType::Integer),
    ResourceDefinition::new(SLOW, "Slow", Operations::Read, ResourceType::Integer),
    ResourceDefinition::new(NEVER, "Never", Operations::Read, ResourceType::Integer),
    ResourceDefinition::new(WORK, "Work", Operations::Execute, ResourceType::None),
    ResourceDefinition::new(SETTING, "Setting", Operations::ReadWrite, ResourceType::Integer),
    ResourceDefinition::new(FICKLE, "Fickle", Operations::Read, ResourceType::Integer),
    ResourceDefinition::new(PACKAGE, "Package", Operations::Write, ResourceType::Opaque),
    ResourceDefinition::new(LIST, "List", Operations::ReadWrite, ResourceType::Integer).multiple(),
    ResourceDefinition::new(REBOOT, "Reboot", Operations::Execute, ResourceType::None),
];

pub(crate) static DEFINITION: ObjectDefinition = ObjectDefinition::new(33_000, "Bench", RESOURCES).multiple();

/// What the object and its test have in common.
#[derive(Default)]
pub(crate) struct State {
    /// What happened, in order, each with the second of the test.
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) setting: Mutex<i64>,
    /// So many reads of FICKLE fail before one succeeds.
    pub(crate) failures: Mutex<u32>,
    pub(crate) instances: Mutex<Vec<InstanceId>>,
    pub(crate) changes: Mutex<Option<Changes>>,
    pub(crate) observed: Mutex<Vec<Path>>,
    /// How long a write or an execution takes.
    pub(crate) working: Mutex<Duration>,
    /// How long a block takes to be stored.
    pub(crate) storing: Mutex<Duration>,
}

pub(crate) struct Bench {
    state: Arc<State>,
    began: Instant,
}

/// The object and its state.
pub(crate) fn object() -> (Bench, Arc<State>) {
    let state = Arc::new(State::default());
    state.instances.lock().unwrap().push(0);
    *state.working.lock().unwrap() = Duration::from_secs(4);
    (Bench { state: Arc::clone(&state), began: Instant::now() }, state)
}

/// A client with the object, and the object's state.
pub(crate) fn client() -> (Client, Arc<State>) {
    let (bench, state) = object();
    let client = Client::builder("bench").server("coap://server.example").lifetime(0).object(bench).build().unwrap();
    (client, state)
}

impl State {
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn changes(&self) -> Changes {
        self.changes.lock().unwrap().clone().expect("watch was called")
    }
}

impl Bench {
    fn note(&self, what: &str) {
        let line = format!("{} {what}", self.began.elapsed().as_secs());
        self.state.log.lock().unwrap().push(line);
    }
}

/// Tells when a future is dropped before its end.
struct Dropped<'a>(Option<&'a Bench>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        if let Some(bench) = self.0 {
            bench.note("dropped");
        }
    }
}

impl Object for Bench {
    fn definition(&self) -> &ObjectDefinition {
        &DEFINITION
    }

    fn instances(&self) -> Vec<InstanceId> {
        self.state.instances.lock().unwrap().clone()
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &[READY, SLOW, NEVER, WORK, SETTING, FICKLE, PACKAGE, LIST, REBOOT]
    }

    fn streamed(&self) -> &[ResourceId] {
        &[PACKAGE]
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> Result<Resource> {
        match resource {
            READY => Ok(7.into()),
            SETTING => Ok((*self.state.setting.lock().unwrap()).into()),
            LIST => Ok(Resource::multiple([(0, 10), (3, 13)])),
            SLOW => {
                sleep(Duration::from_secs(10)).await;
                Ok(1.into())
            }
            NEVER => {
                let _dropped = Dropped(Some(self));
                std::future::pending().await
            }
            FICKLE => {
                let mut failures = self.state.failures.lock().unwrap();
                if let Some(left) = failures.checked_sub(1) {
                    *failures = left;
                    return Err(Error::unavailable("not up yet"));
                }
                Ok(5.into())
            }
            _ => Err(Error::NotFound),
        }
    }

    async fn stage(&self, set: &WriteSet) -> Result<Staged<'_>> {
        let Some(value) = set.get(0, SETTING).and_then(|write| write.value.value()?.as_integer()) else {
            return Err(Error::MethodNotAllowed);
        };
        if value < 0 {
            return Err(Error::bad_request("negative"));
        }
        self.note(&format!("stage {value}"));
        let working = *self.state.working.lock().unwrap();
        Ok(Staged::new(async move {
            sleep(working).await;
            *self.state.setting.lock().unwrap() = value;
            self.note(&format!("commit {value}"));
            Ok(())
        }))
    }

    async fn execute(&self, _: InstanceId, resource: ResourceId, arguments: Arguments) -> Result<After> {
        let name = format!("{:?}", arguments.iter().collect::<Vec<_>>());
        if resource == REBOOT {
            self.note("execute reboot");
            let (state, began) = (Arc::clone(&self.state), self.began);
            return Ok(After::reply(async move { Bench { state, began }.note("reboot") }));
        }
        self.note(&format!("begin {name}"));
        let working = *self.state.working.lock().unwrap();
        sleep(working).await;
        self.note(&format!("end {name}"));
        Ok(After::default())
    }

    async fn create(&self, instance: InstanceId, values: lapwing::Instance) -> Result<()> {
        self.note(&format!("create {instance} with {} values", values.len()));
        self.state.instances.lock().unwrap().push(instance);
        self.state.instances.lock().unwrap().sort_unstable();
        Ok(())
    }

    async fn delete(&self, instance: InstanceId) -> Result<()> {
        self.note(&format!("delete {instance}"));
        self.state.instances.lock().unwrap().retain(|known| *known != instance);
        Ok(())
    }

    async fn receive(&self, _: &Path, body: &mut Incoming) -> Result<()> {
        loop {
            let block = match body.next().await {
                Ok(Some(block)) => block.len(),
                Ok(None) => break,
                Err(aborted) => {
                    self.note("aborted");
                    return Err(aborted.into());
                }
            };
            let storing = *self.state.storing.lock().unwrap();
            sleep(storing).await;
            self.note(&format!("stored {block}"));
        }
        self.note(&format!("received {} of {:?}", body.received(), body.size()));
        Ok(())
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        *self.state.observed.lock().unwrap() = observed.to_vec();
        *self.state.changes.lock().unwrap() = Some(changes);
    }
}
