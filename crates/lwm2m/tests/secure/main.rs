//! The client engine over DTLS, against the DTLS server and a small scripted LwM2M server on it, in virtual time.

#[path = "../client/objects.rs"]
#[allow(dead_code, reason = "shared with the tests of the client without DTLS")]
mod objects;
mod scene;

mod certificates;
mod secrets;

mod recovery;
mod registration;
mod restart;
