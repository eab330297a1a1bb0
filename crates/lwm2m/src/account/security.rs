use lapwing_dtls::{
    CipherSuite,
    credentials::{CertificateType, CertificateUsage, Identity, IdentityError, Pinned, Psk, PskError},
    crypto::PrivateKeyError,
};

use crate::model::ResourceId;

/// How a client and one of its servers prove to each other who they are: what an instance of the Security object (0) says of
/// it (LwM2M Core 1.1 section 5.2 and Appendix E.1).
///
/// Its `Debug` prints no secret.
///
/// ```
/// use lapwing_lwm2m::account::{Security, ServerAccount};
///
/// let security = Security::psk("gateway-7", *b"sixteen secret b")?;
/// let account = ServerAccount::new(1, "coaps://leshan.example".parse()?).security(security);
/// assert_eq!(account.uri.port(), 5684);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Security {
    /// The Security Mode (0/x/2), with what it needs.
    pub mode: SecurityMode,
    /// The suites that may be offered (0/x/16), the preferred one first. Empty: all that go with the mode.
    pub suites: Vec<CipherSuite>,
    /// The name that the server is told it is meant by, and that its certificate is checked for (0/x/14, RFC 6066
    /// section 3). `None`: the host of the URI, unless that is an address.
    pub sni: Option<String>,
}

/// The Security Mode (0/x/2).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum SecurityMode {
    /// Plain CoAP (mode 3).
    #[default]
    NoSec,
    /// A pre-shared key (mode 0).
    Psk(Psk),
    /// Raw public keys (mode 1).
    RawPublicKey {
        /// The client's key pair (0/x/3, 0/x/5).
        identity: Identity,
        /// The server's SubjectPublicKeyInfo, or its hash (0/x/4, 0/x/13).
        server: Pinned,
    },
    /// X.509 certificates (mode 2). Those that are trusted with usages 0 and 1 come from
    /// [`client::Config`](crate::client::Config::trust_anchors).
    Certificate {
        /// The client's certificate and private key (0/x/3, 0/x/5).
        identity: Identity,
        /// What `server` says of the server's certificate (0/x/15).
        usage: CertificateUsage,
        /// A certificate, or its hash (0/x/4, 0/x/13).
        server: Pinned,
    },
}

impl Security {
    /// A pre-shared key. The identity is sent byte for byte; it need not be the endpoint's name.
    ///
    /// # Errors
    /// As for [`Psk::new`].
    pub fn psk(identity: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Security, PskError> {
        Psk::new(identity, key).map(|psk| SecurityMode::Psk(psk).into())
    }

    /// Raw public keys: the client's, and what is known of the server's.
    ///
    /// # Errors
    /// When `identity` is a certificate.
    pub fn raw_public_key(identity: Identity, server: Pinned) -> Result<Security, SecurityError> {
        expect_kind(&identity, CertificateType::RawPublicKey)?;
        Ok(SecurityMode::RawPublicKey { identity, server }.into())
    }

    /// Certificates: the client's, and what is known of the server's.
    ///
    /// # Errors
    /// When `identity` is a raw public key.
    pub fn certificate(identity: Identity, usage: CertificateUsage, server: Pinned) -> Result<Security, SecurityError> {
        expect_kind(&identity, CertificateType::X509)?;
        Ok(SecurityMode::Certificate { identity, usage, server }.into())
    }

    /// The same with these suites only, the preferred one first.
    #[must_use]
    pub fn suites(mut self, suites: impl IntoIterator<Item = CipherSuite>) -> Security {
        self.suites = suites.into_iter().collect();
        self
    }

    /// The same with a name for the server.
    #[must_use]
    pub fn sni(mut self, name: impl Into<String>) -> Security {
        self.sni = Some(name.into());
        self
    }

    /// Whether there is any: everything but NoSec.
    pub const fn is_secure(&self) -> bool {
        !matches!(self.mode, SecurityMode::NoSec)
    }
}

impl From<SecurityMode> for Security {
    fn from(mode: SecurityMode) -> Security {
        Security { mode, suites: Vec::new(), sni: None }
    }
}

impl PartialEq for SecurityMode {
    fn eq(&self, other: &SecurityMode) -> bool {
        // A private key belongs to the public one that is sent.
        let same = |one: &Identity, other: &Identity| one.to_send().eq(other.to_send());
        match (self, other) {
            (SecurityMode::NoSec, SecurityMode::NoSec) => true,
            (SecurityMode::Psk(one), SecurityMode::Psk(other)) => one == other,
            (
                SecurityMode::RawPublicKey { identity, server },
                SecurityMode::RawPublicKey { identity: others, server: other },
            ) => same(identity, others) && server == other,
            (
                SecurityMode::Certificate { identity, usage, server },
                SecurityMode::Certificate { identity: others, usage: other_usage, server: other },
            ) => same(identity, others) && usage == other_usage && server == other,
            _ => false,
        }
    }
}

impl Eq for SecurityMode {}

/// Whether an identity is of the kind that a Security Mode asks for.
fn expect_kind(identity: &Identity, kind: CertificateType) -> Result<(), SecurityError> {
    if identity.certificate_type() == kind { Ok(()) } else { Err(SecurityError::Identity) }
}

/// Why an instance of the Security object cannot be used. The numbers are those of its resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// The Security Mode is missing, or none of 0 to 4.
    #[error("the Security Mode (2) is missing, or none of 0 to 4")]
    Mode,
    /// Enrolment over Secure Transport (mode 4).
    #[error("the Security Mode 4 (EST) is unsupported")]
    Est,
    /// Not a pre-shared key with its identity.
    #[error("{0}")]
    Psk(#[from] PskError),
    /// Not a private key.
    #[error("the Secret Key (5) is {0}")]
    PrivateKey(#[from] PrivateKeyError),
    /// The client's certificate is missing.
    #[error("the client's certificate (3) is missing")]
    NoCertificate,
    /// The client's certificate cannot be used, or is another key's.
    #[error("the client's certificate (3): {0}")]
    Certificate(#[from] IdentityError),
    /// The private key is another public key's.
    #[error("the Secret Key (5) does not belong to the Public Key (3)")]
    OtherKey,
    /// Nothing is known of the server's certificate or raw public key.
    #[error("the Server Public Key (4) is missing")]
    NoServerKey,
    /// The Matching Type is none of 0 to 3.
    #[error("the Matching Type (13) is none of 0 to 3")]
    MatchingType,
    /// The Certificate Usage is none of 0 to 3.
    #[error("the Certificate Usage (15) is none of 0 to 3")]
    CertificateUsage,
    /// None of the suites is built, or goes with the mode.
    #[error("none of the suites (16) is supported in this mode")]
    Suites,
    /// A resource is no number.
    #[error("resource {0} is not a number that is not negative")]
    Number(ResourceId),
    /// The client's identity is of the other kind than the Security Mode.
    #[error("the identity is a certificate where a raw public key is needed, or the other way round")]
    Identity,
}
