//! Fast download of one resource: a window of Block2 (RFC 7959) or Q-Block2 (RFC 9177) requests under CUBIC (RFC 9438).
#![allow(unreachable_pub, reason = "modules of one test")]

mod beside_a_peer;
mod bottleneck;
mod cuts;
mod lab;
mod memory;
mod q_block2;
mod servers;
mod speed;
mod strangers;
mod tcp;
