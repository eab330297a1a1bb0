//! Who an end is, and whom it believes.
//!
//! - [`Psk`]: a pre-shared key (RFC 4279).
//! - [`Identity`]: a raw public key or certificates, with the private key (RFC 7250, RFC 5280).
//! - [`ServerTrust`]: which server a client believes, as LwM2M's Security object has it.
//! - [`ClientTrust`]: which clients a server believes.
//! - [`PeerIdentity`]: who the other end has shown to be.
//!
//! What is verified here is who *may* hold a key. That the other end does hold it is shown by its signature in the handshake.

mod identity;
mod names;
mod path;
mod peer;
mod psk;
mod trust;

pub use identity::{CertificateType, Identity, IdentityError};
pub use names::{PeerName, common_name};
pub use path::CertificateError;
pub use peer::PeerIdentity;
pub use psk::{Psk, PskError};
pub use trust::{
    CertificateTrust, CertificateUsage, ClientTrust, MatchingType, Pinned, ServerTrust, UnknownTime, Verified,
};
