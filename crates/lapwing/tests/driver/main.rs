//! The driver under tokio's paused clock, on a network of one line with the test at its other end.

mod common;
mod durability;
mod firmware;
mod firmware_power;
mod firmware_pull;
mod lifecycle;
mod mutations;
mod observation;
mod power;
mod slow_objects;
mod software;
mod software_damage;
mod software_own;
mod software_package;
mod software_power;
mod streamed_receive;
