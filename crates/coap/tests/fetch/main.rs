//! Fast download of one resource: a window of Block2 requests (RFC 7959) under CUBIC (RFC 9438).
#![allow(unreachable_pub, reason = "modules of one test")]

mod beside_a_peer;
mod bottleneck;
mod cuts;
mod lab;
mod memory;
mod servers;
mod speed;
mod strangers;
mod tcp;
