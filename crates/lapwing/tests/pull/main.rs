//! Pulls against servers on this machine that do what servers do, and what they should not.

mod coap;
mod common;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod https;
#[cfg(feature = "http")]
mod lies;
