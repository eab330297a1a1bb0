//! Who a client is, and which servers it believes: what a [`Security`](crate::Security) is made of.

pub use lapwing_dtls::CipherSuite;
pub use lapwing_dtls::credentials::{
    CertificateType, CertificateUsage, Identity, IdentityError, MatchingType, Pinned, Psk, PskError, UnknownTime,
};
pub use lapwing_dtls::crypto::{PrivateKey, PrivateKeyError, PublicKey, PublicKeyError};
