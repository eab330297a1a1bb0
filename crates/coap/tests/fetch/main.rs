//! Fast download of one resource: a window of Block2 requests (RFC 7959) under CUBIC (RFC 9438).
#![allow(unreachable_pub, reason = "modules of one test")]

mod lab;
mod servers;
mod speed;
