//! An LwM2M client library for Linux: the objects are yours, the protocol is Lapwing's.
//!
//! Implement [`Object`] for what a server is to see, build a [`Client`] with it and [run](Client::run) it. See `examples/minimal_client.rs`.
//!
//! # Features
//! - `http` (default): packages come over http and https as well as over coap and coaps ([`transfer`]), by `ureq` and `rustls`. Its `ring` is the
//!   only C there is, and without this feature the library builds without a C compiler: 5/0/8 does not list those protocols then, and such
//!   a URI ends with the result 9 (5/0/5) or 56 (9/x/9).
//! - `x509`: certificates on other curves than P-256, and with RSA, in the path above a server's own, which takes `ring` too.

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
