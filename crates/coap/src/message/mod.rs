//! The message layer (RFC 7252 section 4): message IDs, de-duplication, retransmission.

mod answers;
mod digest;
mod flights;
mod ids;
mod outbox;
mod ring;
mod transmission;

pub(crate) use answers::{Answers, Effect, Repeat};
pub(crate) use digest::Digester;
pub(crate) use flights::{Due, Flights};
pub use ids::MessageIds;
pub(crate) use outbox::Outbox;
pub use transmission::Transmission;
