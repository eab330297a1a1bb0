//! The twin of [`Object`] that the driver keeps: without generic methods, each operation one future.

use std::sync::Arc;

use lapwing_lwm2m::client::Arguments;
use lapwing_lwm2m::model::{
    Instance, InstanceId, Instances, Level, Node, ObjectDefinition, Path, Resource, ResourceId, ResourceInstanceId,
};
use tokio_util::sync::ReusableBoxFuture;

use super::{After, Changes, Error, Incoming, Object, Result, WriteSet};

/// What an operation came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Content(Node),
    Dimensions(Vec<(Path, Vec<ResourceInstanceId>)>),
    Changed,
    Executed(After),
    Created(InstanceId),
}

/// An operation on its way. The box is used again for the next operation of the same kind on the same object.
pub(crate) type Task = ReusableBoxFuture<'static, Result<Outcome>>;

/// What changes an object, one at a time.
#[derive(Debug)]
pub(crate) enum Mutation {
    Write(WriteSet),
    Execute { instance: InstanceId, resource: ResourceId, arguments: Arguments },
    Create { instance: Option<InstanceId>, values: Instance },
    Delete { instance: InstanceId },
}

pub(crate) trait Erased: Send + Sync {
    fn definition(&self) -> &ObjectDefinition;
    fn instances(&self) -> Vec<InstanceId>;
    fn resources(&self, instance: InstanceId) -> &[ResourceId];
    fn streamed(&self) -> &[ResourceId];
    fn watch(&self, observed: &[Path], changes: Changes);

    /// Puts the reading of what is at `path` into `task`.
    fn read(self: Arc<Self>, path: Path, task: &mut Task);
    /// Counts the instances of the multiple resources at and below `path`.
    fn measure(self: Arc<Self>, path: Path) -> Task;
    fn mutate(self: Arc<Self>, mutation: Mutation) -> Task;
    fn receive(self: Arc<Self>, path: Path, body: Incoming) -> Task;
}

impl<O: Object> Erased for O {
    fn definition(&self) -> &ObjectDefinition {
        Object::definition(self)
    }

    fn instances(&self) -> Vec<InstanceId> {
        Object::instances(self)
    }

    fn resources(&self, instance: InstanceId) -> &[ResourceId] {
        Object::resources(self, instance)
    }

    fn streamed(&self) -> &[ResourceId] {
        Object::streamed(self)
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        Object::watch(self, observed, changes);
    }

    fn read(self: Arc<Self>, path: Path, task: &mut Task) {
        task.set(async move { read(&*self, path).await.map(Outcome::Content) });
    }

    fn measure(self: Arc<Self>, path: Path) -> Task {
        Task::new(async move { measure(&*self, path).await.map(Outcome::Dimensions) })
    }

    fn mutate(self: Arc<Self>, mutation: Mutation) -> Task {
        match mutation {
            Mutation::Write(set) => Task::new(async move {
                self.stage(&set).await?.commit().await?;
                Ok(Outcome::Changed)
            }),
            Mutation::Execute { instance, resource, arguments } => {
                Task::new(async move { self.execute(instance, resource, arguments).await.map(Outcome::Executed) })
            }
            Mutation::Create { instance, values } => Task::new(async move {
                let instance = match instance {
                    Some(instance) => instance,
                    None => free_instance(&Object::instances(&*self))?,
                };
                self.create(instance, values).await?;
                Ok(Outcome::Created(instance))
            }),
            Mutation::Delete { instance } => Task::new(async move {
                self.delete(instance).await?;
                Ok(Outcome::Changed)
            }),
        }
    }

    fn receive(self: Arc<Self>, path: Path, mut body: Incoming) -> Task {
        Task::new(async move {
            Object::receive(&*self, &path, &mut body).await?;
            Ok(Outcome::Changed)
        })
    }
}

async fn read<O: Object>(object: &O, path: Path) -> Result<Node> {
    let Some(instance) = path.instance_id() else {
        let mut instances = Instances::new();
        for instance in object.instances() {
            match read_instance(object, instance).await {
                Ok(values) => drop(instances.insert(instance, values)),
                // Deleted meanwhile.
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        return Ok(Node::Object(instances));
    };
    let Some(resource) = path.resource_id() else {
        return read_instance(object, instance).await.map(Node::Instance);
    };
    let resource = object.read(instance, resource).await?;
    match (path.resource_instance_id(), resource) {
        (None, resource) => Ok(Node::Resource(resource)),
        (Some(id), Resource::Multiple(mut values)) => values.remove(&id).map(Node::Value).ok_or(Error::NotFound),
        (Some(_), Resource::Single(_)) => Err(Error::NotFound),
    }
}

async fn read_instance<O: Object>(object: &O, instance: InstanceId) -> Result<Instance> {
    let mut values = Instance::new();
    for &resource in object.resources(instance) {
        if !object.definition().resource(resource).is_some_and(|definition| definition.operations.readable()) {
            continue;
        }
        match object.read(instance, resource).await {
            Ok(value) => drop(values.insert(resource, value)),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(values)
}

async fn measure<O: Object>(object: &O, path: Path) -> Result<Vec<(Path, Vec<ResourceInstanceId>)>> {
    let mut dimensions = Vec::new();
    for instance in object.instances() {
        for &resource in object.resources(instance) {
            let at = Path::object(object.definition().id).instance(instance).resource(resource);
            let multiple = object.definition().resource(resource).is_some_and(|definition| definition.multiple);
            let readable =
                object.definition().resource(resource).is_some_and(|definition| definition.operations.readable());
            if !(multiple && readable && (path.contains(&at) || at == path.up_to(Level::Resource))) {
                continue;
            }
            if let Ok(Resource::Multiple(values)) = object.read(instance, resource).await {
                dimensions.push((at, values.keys().copied().collect()));
            }
        }
    }
    Ok(dimensions)
}

/// The lowest number that no instance has.
fn free_instance(instances: &[InstanceId]) -> Result<InstanceId> {
    (0..InstanceId::MAX)
        .find(|instance| !instances.contains(instance))
        .ok_or_else(|| Error::internal("no instance number is free"))
}
