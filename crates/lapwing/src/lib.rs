//! An LwM2M client library for Linux: the objects are yours, the protocol is Lapwing's.
//!
//! Implement [`Object`] for what a server is to see, build a [`Client`] with it and [run](Client::run) it. See `examples/minimal_client.rs`.

mod bytes;
pub mod client;
pub mod credentials;
pub mod driver;
mod object;
pub mod objects;
pub mod store;
pub mod transfer;

pub use client::{BuildError, Builder, Client, Events, Handle, RunError};
pub use lapwing_lwm2m::account::{
    BootstrapAccount, Retry, Security, SecurityMode, ServerAccount, ServerId, ServerUri, ShortServerId,
};
pub use lapwing_lwm2m::client::{Arguments, Event, Failure, Loss, LwM2mVersion, Notifications, Status, WriteMode};
pub use lapwing_lwm2m::definitions;
pub use lapwing_lwm2m::model::{
    Instance, InstanceId, ObjectDefinition, ObjectId, ObjectLink, Operations, Path, Resource, ResourceDefinition,
    ResourceId, ResourceInstanceId, ResourceType, Value, Version,
};
pub use object::{Aborted, After, BoxFuture, Changes, Error, Incoming, Object, Result, Staged, Write, WriteSet};
