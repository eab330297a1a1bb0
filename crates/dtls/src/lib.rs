//! DTLS 1.2 for Lapwing, sans-IO, client and server, as wide as LwM2M needs and no wider (RFC 6347, RFC 7925).
//!
//! Nothing in this crate reads a clock, opens a socket or spawns a task: datagrams and the elapsed time go in, datagrams and
//! events come out. It knows nothing of CoAP. There is no cryptographic primitive of our own in it.
//!
//! - [`record`]: records, with and without a Connection ID, and the replay window (RFC 6347 section 4.1, RFC 9146).
//! - [`handshake`]: handshake messages, their fragments and extensions (RFC 6347 section 4.2, RFC 5246 section 7.4).
//! - [`crypto`]: what is made of RustCrypto's primitives: secrets, protection of records.
//! - [`credentials`]: who an end is.
//! - [`alert`]: alerts (RFC 5246 section 7.2).

pub mod alert;
pub mod credentials;
pub mod crypto;
pub mod handshake;
pub mod record;
mod wire;
