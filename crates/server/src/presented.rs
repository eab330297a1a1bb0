//! What the server shows of itself to clients without a pre-shared key.

use lapwing_dtls::{
    ServerConfig,
    credentials::{CertificateType, Identity},
};

/// The server's public key and certificate, in DER, as its clients have to know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presented {
    /// The SubjectPublicKeyInfo that it sends to clients with a raw public key (RFC 7250).
    pub public_key: Option<Vec<u8>>,
    /// The certificate that it sends to clients with one, and its SubjectPublicKeyInfo.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl Presented {
    pub(crate) fn of(dtls: Option<&ServerConfig>) -> Presented {
        let identities = dtls.map_or(&[][..], |dtls| &dtls.identities);
        let first = |kind| identities.iter().find(|identity| identity.certificate_type() == kind);
        let sent = |identity: &Identity| identity.to_send().next().map(<[u8]>::to_vec);
        Presented {
            public_key: first(CertificateType::RawPublicKey).and_then(sent),
            certificate: first(CertificateType::X509)
                .and_then(|identity| Some((sent(identity)?, identity.public_key().to_der()))),
        }
    }
}
