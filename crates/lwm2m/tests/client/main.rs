//! The client engine against a scripted server, in virtual time: one file for each behaviour of LwM2M Core 1.1.

mod harness;
mod objects;

mod account;
mod bootstrap;
mod discover;
mod errors;
mod lost_server;
mod management;
mod observation;
mod registration;
mod resume;
mod slow;
mod streamed;
