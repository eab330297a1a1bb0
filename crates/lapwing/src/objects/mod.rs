//! Objects that Lapwing brings along, over small traits that an application implements.

pub mod firmware;
mod keeper;
pub mod software;
