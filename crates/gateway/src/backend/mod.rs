//! The platform traits on real machines. Nothing here knows an LwM2M object.

pub mod check;
pub mod netlink;
pub mod procfs;
pub mod rauc;
pub mod script;
pub mod software;
pub mod swupdate;
pub mod systemd;

mod command;
mod note;
mod program;
mod verdict;

pub use verdict::Verdict;

#[cfg(test)]
mod contract;
