//! Block-wise transfer (RFC 7959): what all four roles keep between two blocks.

mod head;
mod inbound;
mod key;
mod outbound;
mod snapshot;

pub(crate) use head::{Etag, Head};
pub(crate) use inbound::{Body, append};
pub(crate) use key::Profile;
pub(crate) use outbound::{Assembly, Source, Upload};
pub(crate) use snapshot::Snapshots;
