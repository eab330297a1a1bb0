//! Exchanges (RFC 7252 section 5): requests and their responses, in both directions.

mod ids;
mod inbound;
mod outbound;

pub(crate) use ids::Owner;
pub use ids::{ExchangeId, NotificationId, RequestId};
pub(crate) use inbound::{Exchange, Settling, Turn};
pub(crate) use outbound::{Outbound, Requests};
