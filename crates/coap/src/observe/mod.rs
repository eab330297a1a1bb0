//! Observation (RFC 7641), both sides.

mod freshness;
mod observers;

pub(crate) use freshness::Freshness;
pub(crate) use observers::Observers;
