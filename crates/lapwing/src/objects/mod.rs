//! Objects that Lapwing brings along, over small traits that an application implements.

mod bytes;
pub mod firmware;
pub mod software;
