//! Block-wise transfer (RFC 7959, of RFC 9177 Q-Block2): what all four roles keep between two blocks.

mod head;
mod inbound;
mod key;
mod outbound;
mod set;
mod snapshot;

pub(crate) use head::{Etag, Head};
pub(crate) use inbound::{Body, append};
pub(crate) use key::Profile;
pub(crate) use outbound::{Assembly, Source, Upload};
pub(crate) use set::{BlockSet, MAX_PAYLOADS};
pub(crate) use snapshot::Snapshots;
