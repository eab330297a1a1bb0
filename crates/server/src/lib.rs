//! The development server of Lapwing: LwM2M clients register at it, and people and scripts manage them over HTTP.
//!
//! [`Server`] binds both sides and runs them on the current thread; [`Handle`] is what the HTTP side, or a test, uses to
//! ask clients and to hear what happens. The protocol itself is [`lapwing_lwm2m::server`]. A bootstrap server may run
//! beside it ([`Builder::bootstrap`], [`BootstrapHandle`]).
//!
//! This crate is a building block of the `lapwing` program, not a promised API.

mod bind;
mod bootstrap;
mod credentials;
mod driver;
mod handle;
mod hosting;
mod http;
mod management;
mod presented;
mod sockets;

pub use self::{
    bind::{BindError, Builder, Interface, Server},
    bootstrap::{BootstrapFileError, BootstrapHandle},
    credentials::CredentialsError,
    handle::{Handle, Subscription},
    hosting::FileLimits,
    presented::Presented,
};
