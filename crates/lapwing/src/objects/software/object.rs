//! The object, and how it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapwing_lwm2m::client::Arguments;
use lapwing_lwm2m::model::{InstanceId, ObjectDefinition, Path, Resource, ResourceId, Value};

use super::Task;
use super::instance::{Instance, Managed, Overview, Workers};
use super::machine::{Input, Password, Settings};
use super::rules::Kept;
use crate::definitions::software_management as id;
use crate::driver::{Disk, FileSystem};
use crate::object::{After, Changes, Error, Incoming, Object, Result, Staged, WriteSet};
use crate::objects::keeper::Rules as _;
use crate::store::{Store, StoreError};
use crate::transfer::Source;

/// Object 9 on a disk. It needs a tokio runtime around it, from [`Builder::open`] on.
pub struct Software<D: Disk = FileSystem> {
    definition: &'static ObjectDefinition,
    instances: BTreeMap<InstanceId, Entry<D>>,
    /// Keeps other processes out of the folder.
    _held: Option<File>,
}

struct Entry<D: Disk> {
    managed: Arc<Managed<D>>,
    resources: Vec<ResourceId>,
    _workers: Workers,
}

/// Makes a [`Software`].
#[must_use]
pub struct Builder {
    definition: &'static ObjectDefinition,
    instances: Vec<(InstanceId, String, Instance)>,
    source: Option<Arc<dyn Source>>,
}

/// Why the object could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A name that could not be one of a file.
    #[error("'{0}' is no name for software: up to 100 letters and digits of ASCII, '-' and '_' are")]
    Name(String),
    /// There are two instances with this number, or with the name of this one.
    #[error("the software instance {0} is there twice, or its name")]
    Twice(InstanceId),
    /// The folder or a file in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Software {
    /// The object without instances.
    pub fn builder() -> Builder {
        Builder { definition: &id::DEFINITION, instances: Vec::new(), source: None }
    }
}

impl Builder {
    /// The version of the object; the newest by default. [`V1_0`](id::V1_0) is the one for LwM2M 1.0.
    pub fn definition(mut self, definition: &'static ObjectDefinition) -> Self {
        self.definition = definition;
        self
    }

    /// What fetches packages from URIs (9/x/3): a [`Puller`](crate::transfer::Puller). Without this packages are only pushed, and 9/x/3 is not
    /// offered.
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Adds an instance. By its name, up to 100 letters and digits of ASCII, '-' and '_', it is found again after a restart, whatever its
    /// number is then; the log calls it so.
    pub fn instance(mut self, id: InstanceId, name: impl Into<String>, instance: Instance) -> Self {
        self.instances.push((id, name.into(), instance));
        self
    }

    /// The object as it was left in `folder`, which is its own, and is created if need be. Blocks for as long as it takes to read a
    /// few small files. What was begun before is followed from here on.
    ///
    /// # Errors
    /// When two instances have the same number or name, a name is none, or the folder or its files cannot be used, or another process
    /// uses them. A damaged record is told of in the log, and its instance begins anew.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(self, folder: impl Into<PathBuf>) -> std::result::Result<Software, OpenError> {
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
    pub fn open_on<D: Disk>(self, disk: D, folder: impl Into<PathBuf>) -> std::result::Result<Software<D>, OpenError> {
        self.build(Store::open(disk, folder)?, None)
    }

    fn build<D: Disk>(self, store: Store<D>, held: Option<File>) -> std::result::Result<Software<D>, OpenError> {
        let Self { definition, instances: wanted, source } = self;
        let (store, mut instances, mut names) = (Arc::new(store), BTreeMap::new(), BTreeSet::new());
        for (id, name, instance) in wanted {
            if !is_name(&name) {
                return Err(OpenError::Name(name));
            }
            if instances.contains_key(&id) || !names.insert(name.clone()) {
                return Err(OpenError::Twice(id));
            }
            let offered = |resource: &ResourceId| match *resource {
                id::PACKAGE_URI | id::USER_NAME | id::PASSWORD => source.is_some(),
                resource => instance.offers(resource),
            };
            let resources = definition.resources.iter().map(|resource| resource.id).filter(offered).collect();
            let kept = Kept { instance: id, name: format!("software {name}"), file: name, kind: instance.kind };
            let (managed, workers) = Managed::load(Arc::clone(&store), kept, instance, source.clone())?;
            instances.insert(id, Entry { managed, resources, _workers: workers });
        }
        Ok(Software { definition, instances, _held: held })
    }
}

fn is_name(name: &str) -> bool {
    let may_be = |each: char| each.is_ascii_alphanumeric() || "-_".contains(each);
    !name.is_empty() && name.len() <= 100 && name.chars().all(may_be)
}

impl<D: Disk> Software<D> {
    /// What an instance is in; `None` where there is none.
    pub fn overview(&self, instance: InstanceId) -> Option<Overview> {
        Some(self.instances.get(&instance)?.managed.overview())
    }

    fn managed(&self, instance: InstanceId) -> Result<&Arc<Managed<D>>> {
        self.instances.get(&instance).map(|entry| &entry.managed).ok_or(Error::NotFound)
    }
}

/// What a server writes to an instance, as what happens to it.
fn inputs(managed: &Managed<impl Disk>, set: &WriteSet, instance: InstanceId) -> Result<Vec<Input>> {
    let before = managed.keeper.look(|machine| machine.settings.clone());
    let mut settings = before.clone();
    if set.replaced().any(|replaced| replaced == instance) {
        settings = Settings::default();
    }
    let mut inputs = Vec::new();
    for write in set.iter().filter(|write| write.instance == instance) {
        let value = write.value.value().ok_or_else(|| Error::bad_request("a single value is expected"))?;
        match (write.resource, value) {
            (id::PACKAGE_URI, Value::String(uri)) if uri.starts_with('\0') => inputs.push(Input::Reset),
            (id::PACKAGE_URI, Value::String(uri)) => inputs.push(Input::Uri(uri.to_string())),
            (id::PACKAGE, _) => return Err(Error::bad_request("a package is written to its resource")),
            (id::UPDATE_SUPPORTED_OBJECTS, Value::Boolean(announce)) => settings.announce = *announce,
            (id::USER_NAME, Value::String(user)) => settings.user = user.to_string(),
            (id::PASSWORD, Value::String(password)) => settings.password = Password(password.to_string().into()),
            (id::PACKAGE_SETTINGS, Value::ObjectLink(link)) => settings.link = Some(*link),
            _ => return Err(Error::MethodNotAllowed),
        }
    }
    if settings != before {
        // User and password come before the URI that they are for.
        inputs.insert(0, Input::Set(settings));
    }
    Ok(inputs)
}

/// What an Execute asks for.
fn asked(resource: ResourceId, arguments: &Arguments) -> Result<Input> {
    Ok(Input::Execute(match resource {
        id::INSTALL => Task::Install,
        id::UNINSTALL => {
            let mut digits = arguments.iter().map(|(digit, _)| digit);
            let for_update = match (digits.next(), digits.next()) {
                (None | Some(0), None) => false,
                (Some(1), None) => true,
                _ => return Err(Error::bad_request("Uninstall takes 0 or 1")),
            };
            return Ok(Input::Uninstall { for_update });
        }
        id::ACTIVATE => Task::Activate,
        id::DEACTIVATE => Task::Deactivate,
        id::START => Task::Start,
        id::STOP => Task::Stop,
        id::PURGE => Task::Purge,
        _ => return Err(Error::MethodNotAllowed),
    }))
}

impl<D: Disk> Object for Software<D> {
    fn definition(&self) -> &ObjectDefinition {
        self.definition
    }

    fn instances(&self) -> Vec<InstanceId> {
        self.instances.keys().copied().collect()
    }

    fn resources(&self, instance: InstanceId) -> &[ResourceId] {
        self.instances.get(&instance).map_or(&[], |entry| &entry.resources)
    }

    fn streamed(&self) -> &[ResourceId] {
        &[id::PACKAGE]
    }

    async fn read(&self, instance: InstanceId, resource: ResourceId) -> Result<Resource> {
        self.managed(instance)?.read(resource).await.ok_or(Error::NotFound)
    }

    async fn stage(&self, set: &WriteSet) -> Result<Staged<'_>> {
        let mut commits = Vec::new();
        let instances: BTreeSet<InstanceId> = set.iter().map(|write| write.instance).chain(set.replaced()).collect();
        for instance in instances {
            let managed = self.managed(instance)?;
            let inputs = inputs(managed, set, instance)?;
            // What cannot be taken now is refused before anything is changed.
            let mut machine = managed.keeper.machine();
            for input in inputs.clone() {
                machine = machine.step(input)?.0;
            }
            commits.push((managed, inputs));
        }
        Ok(Staged::new(async move {
            for (managed, inputs) in commits {
                for input in inputs {
                    managed.keeper.take(input).await?;
                }
            }
            Ok(())
        }))
    }

    async fn execute(&self, instance: InstanceId, resource: ResourceId, arguments: Arguments) -> Result<After> {
        let managed = Arc::clone(self.managed(instance)?);
        let work = managed.keeper.take(asked(resource, &arguments)?).await?;
        Ok(match work.filter(|work| managed.keeper.rules.is_for_later(work)) {
            Some(work) => After::reply(async move { managed.keeper.order(Duration::ZERO, work) }),
            None => After::default(),
        })
    }

    async fn receive(&self, at: &Path, body: &mut Incoming) -> Result<()> {
        let instance = at.instance_id().ok_or(Error::NotFound)?;
        self.managed(instance)?.receive(body).await
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        for Entry { managed, .. } in self.instances.values() {
            managed.keeper.watch(changes.clone());
            let operational = managed.keeper.rules.path(id::OPERATIONAL_STATE);
            managed.observe(observed.iter().any(|path| path.contains(&operational)));
        }
    }
}

impl<D: Disk> fmt::Debug for Software<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Software").field("instances", &self.instances.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("instances", &self.instances).finish_non_exhaustive()
    }
}
