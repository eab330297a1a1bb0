//! What an LwM2M object is to its author: the trait [`Object`] and the types its methods take and give.

mod after;
mod changes;
mod erased;
mod error;
mod incoming;
mod shared;
mod write;

use std::pin::Pin;

use lapwing_lwm2m::client::Arguments;
use lapwing_lwm2m::model::{Instance, InstanceId, ObjectDefinition, Path, Resource, ResourceId};

pub use after::After;
pub use changes::Changes;
pub use error::{Error, Result};
pub use incoming::{Aborted, Incoming};
pub use write::{Staged, Write, WriteSet};

pub(crate) use changes::Pending;
pub(crate) use erased::{Erased, Mutation, Outcome, Task};
pub(crate) use incoming::Feed;

/// A future in a box, as methods of traits return it that are used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One LwM2M object of this client: its data, and what a server may do with it.
///
/// Implementations write the methods they need as `async fn`; every other has a default that says what the standard says of a
/// thing that is not there. Which operations a resource allows, its type and whether it has several instances come from
/// [`definition`](Object::definition) and are checked before a method is called, so that a method sees only values of the declared type.
///
/// ```
/// use lapwing::{InstanceId, Object, ObjectDefinition, Operations, Resource, ResourceDefinition, ResourceId, ResourceType};
///
/// static RESOURCES: &[ResourceDefinition] =
///     &[ResourceDefinition::new(0, "Temperature", Operations::Read, ResourceType::Float).units("Cel").mandatory()];
/// static CELLAR: ObjectDefinition = ObjectDefinition::new(33_000, "Cellar", RESOURCES);
///
/// struct Cellar;
///
/// impl Object for Cellar {
///     fn definition(&self) -> &ObjectDefinition {
///         &CELLAR
///     }
///     fn resources(&self, _: InstanceId) -> &[ResourceId] {
///         &[0]
///     }
///     async fn read(&self, _: InstanceId, _: ResourceId) -> lapwing::Result<Resource> {
///         Ok(11.5.into())
///     }
/// }
/// ```
///
/// An [`Arc`](std::sync::Arc) of an object is one too: so an application goes on seeing what a client has taken.
///
/// # Concurrency
/// Reads run beside each other and beside anything else. Of the mutations of one object ([`stage`](Object::stage) with its commit,
/// [`execute`](Object::execute), [`create`](Object::create), [`delete`](Object::delete)) one runs at a time, in the order of arrival.
/// A read that takes longer than 60 s is dropped and answered 5.03; a mutation runs to its end. A method may take its time: the
/// server gets its acknowledgement meanwhile, and nothing else waits. It must not block its thread: all objects share it.
///
/// # Cancellation
/// A future of [`read`](Object::read) may be dropped at any await; those of mutations are dropped only when the client stops.
pub trait Object: Send + Sync + 'static {
    /// The object's definition: its id, versions, and resources. It stays the same for as long as the object is there.
    fn definition(&self) -> &ObjectDefinition;

    /// The instances there are now, ascending. By default instance 0 alone.
    ///
    /// Asked when the client starts, after each create and delete, and after [`Changes::instances_changed`].
    fn instances(&self) -> Vec<InstanceId> {
        vec![0]
    }

    /// The resources that an instance supports, ascending. It may list more than have a value now, see [`read`](Object::read).
    ///
    /// Asked together with [`instances`](Object::instances).
    fn resources(&self, instance: InstanceId) -> &[ResourceId];

    /// Those resources whose written values are given to [`receive`](Object::receive) block by block and are never held in memory as a whole.
    fn streamed(&self) -> &[ResourceId] {
        &[]
    }

    /// The value of one resource: `Single` or `Multiple`, as the definition has it.
    ///
    /// Called once for each readable resource when a server reads an instance or the object.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a resource that has no value now: it is left out of a larger read, and 4.04 when it is read
    /// alone. [`Error::Unavailable`] for a value that cannot be had for a while: 5.03 to a read, and a
    /// notification is tried again later. Any other error fails the read as a whole.
    fn read(&self, instance: InstanceId, resource: ResourceId) -> impl Future<Output = Result<Resource>> + Send;

    /// Checks everything a server writes to this object in one request, and changes nothing yet: what [`Staged::new`] is given is run
    /// when all is well. If anything is refused, nothing is changed.
    ///
    /// By default refused with 4.05.
    fn stage(&self, set: &WriteSet) -> impl Future<Output = Result<Staged<'_>>> + Send {
        let _ = set;
        async { Err(Error::MethodNotAllowed) }
    }

    /// Executes a resource. What must wait until the server has the answer (a reboot) goes into [`After`].
    ///
    /// By default refused with 4.05.
    fn execute(
        &self,
        instance: InstanceId,
        resource: ResourceId,
        arguments: Arguments,
    ) -> impl Future<Output = Result<After>> + Send {
        let _ = (instance, resource, arguments);
        async { Err(Error::MethodNotAllowed) }
    }

    /// Creates an instance with the values a server gave. `instance` is the server's choice or else the lowest that is free.
    ///
    /// By default refused with 4.05.
    fn create(&self, instance: InstanceId, values: Instance) -> impl Future<Output = Result<()>> + Send {
        let _ = (instance, values);
        async { Err(Error::MethodNotAllowed) }
    }

    /// Deletes an instance.
    ///
    /// By default refused with 4.05.
    fn delete(&self, instance: InstanceId) -> impl Future<Output = Result<()>> + Send {
        let _ = instance;
        async { Err(Error::MethodNotAllowed) }
    }

    /// Receives the value written to a [`streamed`](Object::streamed) resource, block by block. The write is answered with what this
    /// returns, after the last block; returning earlier with an error refuses the rest.
    ///
    /// Mutations of the object run beside it, so that a server can cancel a transfer.
    ///
    /// By default refused with 4.05.
    fn receive(&self, at: &Path, body: &mut Incoming) -> impl Future<Output = Result<()>> + Send {
        let _ = (at, body);
        async { Err(Error::MethodNotAllowed) }
    }

    /// Tells what of this object is observed from now on, and where to report changes: once when the client starts (mostly
    /// with nothing observed), then whenever the set changes. It replaces what an earlier call said; `changes` is the same each time.
    ///
    /// What is not observed need not be reported; a resource that changes without a report still reaches the server when the
    /// maximum period of its observation has passed. What a server has written itself is reported for the object.
    /// It must return soon.
    fn watch(&self, observed: &[Path], changes: Changes) {
        let _ = (observed, changes);
    }
}
