//! LwM2M, sans-IO: the data model, the content formats and the engines of client and server.
//!
//! A building block of the `lapwing` crate, which is what applications use; its interface may change between minor
//! versions.

pub mod account;
pub mod attributes;
pub mod client;
mod connection;
pub mod definitions;
pub mod format;
pub mod model;
pub mod server;
mod time;

pub use time::Now;
