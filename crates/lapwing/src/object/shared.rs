use std::sync::Arc;

use lapwing_lwm2m::client::Arguments;
use lapwing_lwm2m::model::{Instance, InstanceId, ObjectDefinition, Path, Resource, ResourceId};

use super::{After, Changes, Incoming, Object, Result, Staged, WriteSet};

/// An object that the application sees too, after a client has taken it.
impl<T: Object> Object for Arc<T> {
    fn definition(&self) -> &ObjectDefinition {
        T::definition(self)
    }

    fn instances(&self) -> Vec<InstanceId> {
        T::instances(self)
    }

    fn resources(&self, instance: InstanceId) -> &[ResourceId] {
        T::resources(self, instance)
    }

    fn streamed(&self) -> &[ResourceId] {
        T::streamed(self)
    }

    fn read(&self, instance: InstanceId, resource: ResourceId) -> impl Future<Output = Result<Resource>> + Send {
        T::read(self, instance, resource)
    }

    fn stage(&self, set: &WriteSet) -> impl Future<Output = Result<Staged<'_>>> + Send {
        T::stage(self, set)
    }

    fn execute(
        &self,
        instance: InstanceId,
        resource: ResourceId,
        arguments: Arguments,
    ) -> impl Future<Output = Result<After>> + Send {
        T::execute(self, instance, resource, arguments)
    }

    fn create(&self, instance: InstanceId, values: Instance) -> impl Future<Output = Result<()>> + Send {
        T::create(self, instance, values)
    }

    fn delete(&self, instance: InstanceId) -> impl Future<Output = Result<()>> + Send {
        T::delete(self, instance)
    }

    fn receive(&self, at: &Path, body: &mut Incoming) -> impl Future<Output = Result<()>> + Send {
        T::receive(self, at, body)
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        T::watch(self, observed, changes);
    }
}
