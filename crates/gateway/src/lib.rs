//! The Lapwing gateway agent: an LwM2M client with the objects of a Linux gateway.
//!
//! This crate is a building block of the `lapwing` command, not a promised API; embed the `lapwing` crate instead.
//!
//! - [`platform`]: what the objects need from a machine, as traits over domain types.
//! - [`backend`]: those traits on real programs and kernel interfaces.
//! - [`objects`]: the LwM2M objects, which know only the traits.
//! - [`config`]: the agent's configuration.
//! - [`wiring`]: the one place that sees both back-ends and objects.
//! - [`agent`]: the whole client, built from a configuration.
//! - [`control`]: the socket by which this machine's users ask what the agent does.

pub mod agent;
pub mod backend;
pub mod config;
pub mod control;
pub mod objects;
pub mod platform;
pub mod wiring;
