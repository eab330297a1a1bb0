//! Handshake messages: their fragments, the messages themselves and the extensions of the two hellos (RFC 6347 section 4.2,
//! RFC 5246 section 7.4).
//!
//! What is read here is well-formed; whether it belongs here is for the state machines.

mod extension;
mod fragment;
mod hello;
mod key_exchange;
mod message;
mod reassembly;

pub use extension::{Extensions, List16};
pub use fragment::{Fragment, Fragments, HEADER};
pub use hello::{ClientHello, EMPTY_RENEGOTIATION_INFO_SCSV, HelloVerifyRequest, ServerHello};
pub use key_exchange::{ClientKeyExchange, EcdheParameters, ServerKeyExchange, Signed};
pub use message::{CertificateRequest, Certificates, HandshakeType, NewSessionTicket};
pub use reassembly::{Complete, Reassembly, Taken};

pub(crate) use fragment::put_header as put_fragment_header;

#[cfg(test)]
mod tests;
