//! Pulls against servers on this machine that do what servers do, and what they should not.

mod coap;
mod common;
mod http;
mod https;
mod lies;
