use std::fmt;
use std::pin::Pin;

use lapwing_lwm2m::client::WriteMode;
use lapwing_lwm2m::model::{Instance, InstanceId, Resource, ResourceId};

use super::Result;

/// Everything that one request writes to one object; see [`Object::stage`](crate::Object::stage).
#[derive(Debug, Clone, PartialEq)]
pub struct WriteSet {
    instances: Vec<InstanceWrite>,
}

#[derive(Debug, Clone, PartialEq)]
struct InstanceWrite {
    instance: InstanceId,
    mode: WriteMode,
    whole: bool,
    values: Instance,
}

/// One resource that is written.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Write<'a> {
    /// The instance it belongs to.
    pub instance: InstanceId,
    /// Which resource.
    pub resource: ResourceId,
    /// The new value: of the type and multiplicity that the definition has.
    pub value: &'a Resource,
    /// With [`WriteMode::Update`], instances of a multiple resource that `value` does not name stay; with [`WriteMode::Replace`] they go.
    /// A single value is replaced in either.
    pub mode: WriteMode,
}

impl WriteSet {
    pub(crate) fn new(instance: InstanceId, mode: WriteMode, whole: bool, values: Instance) -> Self {
        Self { instances: vec![InstanceWrite { instance, mode, whole, values }] }
    }

    /// Every resource that is written, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Write<'_>> {
        self.instances.iter().flat_map(|write| {
            write.values.iter().map(|(&resource, value)| Write {
                instance: write.instance,
                resource,
                value,
                mode: write.mode,
            })
        })
    }

    /// What is written to one resource.
    pub fn get(&self, instance: InstanceId, resource: ResourceId) -> Option<Write<'_>> {
        self.iter().find(|write| write.instance == instance && write.resource == resource)
    }

    /// The instances that are replaced as a whole (LwM2M Core 6.3.3, Write in the mode Replace on an instance): their writable resources
    /// that [`iter`](WriteSet::iter) does not give lose their values, or return to their defaults.
    pub fn replaced(&self) -> impl Iterator<Item = InstanceId> {
        self.instances
            .iter()
            .filter(|write| write.whole && write.mode == WriteMode::Replace)
            .map(|write| write.instance)
    }
}

/// A change that was found good and waits to be made. Dropping it is the rollback: what its future holds is released.
#[must_use = "a staged change that nobody commits"]
pub struct Staged<'a>(Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>);

impl<'a> Staged<'a> {
    /// A change that `commit` makes. It runs only after all that the request writes was found good; the request is
    /// answered when it has ended, so what must be durable is so by then. If it fails, the object must be as it was.
    /// What [`stage`](crate::Object::stage) reserved belongs into the future too: if another object refuses its part, it is dropped unrun.
    pub fn new(commit: impl Future<Output = Result<()>> + Send + 'a) -> Self {
        Self(Box::pin(commit))
    }

    pub(crate) async fn commit(self) -> Result<()> {
        self.0.await
    }
}

impl fmt::Debug for Staged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").finish_non_exhaustive()
    }
}
