//! Who a client is by its DTLS session.

use std::{fmt, sync::Arc};

use lapwing_dtls::credentials::{PeerIdentity, common_name};

/// Who a client has shown itself to be in the handshake of its DTLS session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// The identity of its pre-shared key: bytes that need be neither text nor the endpoint's name (LwM2M 1.1 0/x/3).
    Psk(Arc<[u8]>),
    /// Its raw public key, a SubjectPublicKeyInfo in DER (RFC 7250).
    RawPublicKey(Arc<[u8]>),
    /// The common name of its certificate, whose path was verified; empty where it has none.
    X509(Arc<str>),
}

impl Identity {
    /// The one that a handshake has shown.
    pub(super) fn of(peer: &PeerIdentity) -> Identity {
        match peer {
            PeerIdentity::Psk(identity) => Identity::Psk(identity.as_slice().into()),
            PeerIdentity::RawPublicKey(key) => Identity::RawPublicKey(key.as_slice().into()),
            PeerIdentity::Certificate(chain) => {
                let name = chain.first().and_then(|certificate| common_name(certificate));
                Identity::X509(name.unwrap_or_default().into())
            }
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Psk(identity) => write!(f, "psk:{}", identity.escape_ascii()),
            Identity::RawPublicKey(key) => {
                f.write_str("rpk:")?;
                key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Identity::X509(name) => write!(f, "x509:{}", name.escape_debug()),
        }
    }
}

/// As `Display` has it: nothing in an identity is secret.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
