//! The platform traits on real machines. Nothing here knows an LwM2M object.

pub mod netlink;
pub mod procfs;
pub mod script;
pub mod systemd;

#[cfg(test)]
mod contract;
