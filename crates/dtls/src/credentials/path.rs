//! Certificate paths, built by webpki (RFC 5280 section 6).

use core::{cell::Cell, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::names::{self, PeerName};
use crate::alert::AlertDescription;

/// Why a raw public key or certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// None was sent.
    #[error("no certificate was sent")]
    Missing,
    /// It cannot be read, or breaks the rules of RFC 5280.
    #[error("a certificate cannot be read or is malformed")]
    Unreadable,
    /// The other end's own key is not on P-256, which the suites of LwM2M demand.
    #[error("the certificate's key is not on P-256")]
    KeyNotP256,
    /// It is not the one that is configured.
    #[error("not the certificate or key that is configured")]
    NotExpected,
    /// No path leads to a certificate that is trusted.
    #[error("no path to a trusted certificate")]
    UnknownIssuer,
    /// There is no certificate to trust, and the usage asks for one.
    #[error("no trusted certificates are configured, and certificate usage 0 or 1 asks for them")]
    NoAnchors,
    /// A certificate in the path is not valid any more.
    #[error("a certificate has expired")]
    Expired,
    /// A certificate in the path is not valid yet.
    #[error("a certificate is not valid yet")]
    NotYetValid,
    /// The time is not known, so that validity cannot be checked.
    #[error("the time is not known, and validity must be checked")]
    TimeUnknown,
    /// It is for another name.
    #[error("the certificate is for another name")]
    OtherName,
    /// A signature in the path is of a kind that this build cannot check.
    #[error("a signature in the path is neither ECDSA on P-256 with SHA-256 nor checked in this build (feature x509)")]
    UnsupportedAlgorithm,
    /// A signature in the path is wrong.
    #[error("a signature in the path is wrong")]
    BadSignature,
    /// A certificate in the path may not be used so: for instance that of a CA as a server's.
    #[error("a certificate in the path may not be used for this")]
    NotForThisUse,
    /// The path is refused for another reason, such as its length or a constraint on names.
    #[error("the path is refused")]
    Path,
}

impl CertificateError {
    /// The alert that tells the other end (RFC 5246 section 7.2.2).
    #[must_use]
    pub const fn alert(self) -> AlertDescription {
        match self {
            // RFC 5246 section 7.4.6.
            Self::Missing => AlertDescription::HANDSHAKE_FAILURE,
            Self::Unreadable | Self::BadSignature | Self::NotExpected | Self::OtherName => {
                AlertDescription::BAD_CERTIFICATE
            }
            Self::KeyNotP256 | Self::UnsupportedAlgorithm => AlertDescription::UNSUPPORTED_CERTIFICATE,
            Self::UnknownIssuer | Self::NoAnchors => AlertDescription::UNKNOWN_CA,
            Self::Expired | Self::NotYetValid => AlertDescription::CERTIFICATE_EXPIRED,
            Self::TimeUnknown | Self::NotForThisUse | Self::Path => AlertDescription::CERTIFICATE_UNKNOWN,
        }
    }

    fn from_webpki(error: webpki::Error) -> Self {
        use webpki::Error;
        match error {
            Error::CertExpired { .. } => Self::Expired,
            Error::CertNotValidYet { .. } => Self::NotYetValid,
            Error::CertNotValidForName(_) => Self::OtherName,
            Error::UnknownIssuer => Self::UnknownIssuer,
            Error::InvalidSignatureForPublicKey => Self::BadSignature,
            Error::CaUsedAsEndEntity | Error::EndEntityUsedAsCa | Error::RequiredEkuNotFoundContext(_) => {
                Self::NotForThisUse
            }
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::UnsupportedAlgorithm,
            Error::NameConstraintViolation
            | Error::PathLenConstraintViolated
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::Path,
            _ => Self::Unreadable,
        }
    }
}

#[cfg(feature = "x509")]
fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    webpki::ALL_VERIFICATION_ALGS
}

#[cfg(not(feature = "x509"))]
fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    &[&p256::EcdsaP256Sha256]
}

#[cfg(not(feature = "x509"))]
mod p256 {
    use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

    use crate::crypto::PublicKey;

    /// ECDSA on P-256 with SHA-256, by the crate that the handshake's signatures are checked with.
    #[derive(Debug)]
    pub(super) struct EcdsaP256Sha256;

    impl SignatureVerificationAlgorithm for EcdsaP256Sha256 {
        fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
            let key = PublicKey::from_point(key).map_err(|_| InvalidSignature)?;
            key.verify(message, signature).map_err(|_| InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_P256
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ECDSA_SHA256
        }
    }
}

/// Whether a certificate in DER fulfils something.
type Fulfils<'a> = &'a dyn Fn(&[u8]) -> bool;

/// What a path is to be like.
pub(super) struct Wanted<'a> {
    /// Certificates that are trusted, in DER.
    pub(super) anchors: &'a [&'a [u8]],
    /// The time; `None` demands only that there has been one at which all of the path was valid.
    pub(super) time: Option<Duration>,
    /// What the certificate is used for.
    pub(super) usage: KeyUsage,
    /// What one certificate between the end's own and the anchor has to fulfil.
    pub(super) between: Option<Fulfils<'a>>,
}

/// More certificates are not looked at. Paths of LwM2M have two or three.
const MOST_CERTIFICATES: usize = 10;

/// Builds a path from the first certificate of `chain` to an anchor.
pub(super) fn build(chain: &[&[u8]], wanted: &Wanted<'_>) -> Result<(), CertificateError> {
    if chain.len() > MOST_CERTIFICATES {
        return Err(CertificateError::Path);
    }
    let Some(time) = wanted.time else {
        // All of a path is valid at once at the latest beginning of a validity in it, or never.
        let mut result = Err(CertificateError::Unreadable);
        for time in chain.iter().filter_map(|certificate| names::not_before(certificate)) {
            result = build_at(chain, wanted, time);
            if result.is_ok() {
                break;
            }
        }
        return result;
    };
    build_at(chain, wanted, time)
}

fn build_at(chain: &[&[u8]], wanted: &Wanted<'_>, time: Duration) -> Result<(), CertificateError> {
    let (own, intermediates) = chain.split_first().ok_or(CertificateError::Missing)?;
    let own = CertificateDer::from(*own);
    let own = EndEntityCert::try_from(&own).map_err(CertificateError::from_webpki)?;
    let intermediates: Vec<_> = intermediates.iter().map(|certificate| CertificateDer::from(*certificate)).collect();
    let anchors: Vec<_> = wanted.anchors.iter().map(|anchor| CertificateDer::from(*anchor)).collect();
    let anchors: Result<Vec<TrustAnchor<'_>>, _> = anchors.iter().map(anchor_from_trusted_cert).collect();
    let anchors = anchors.map_err(CertificateError::from_webpki)?;
    let unexpected = Cell::new(false);
    let check = |path: &VerifiedPath<'_>| {
        let found =
            wanted.between.is_none_or(|fulfils| path.intermediate_certificates().any(|cert| fulfils(&cert.der())));
        unexpected.set(!found);
        if found { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
    };
    let time = UnixTime::since_unix_epoch(time);
    let path = own.verify_for_usage(algorithms(), &anchors, &intermediates, time, wanted.usage, None, Some(&check));
    match path {
        Ok(_) => Ok(()),
        Err(_) if unexpected.get() => Err(CertificateError::NotExpected),
        Err(error) => Err(CertificateError::from_webpki(error)),
    }
}

/// Whether the certificate is for this name: by the alternative names, or for an IP literal as LwM2M 1.0 has it too.
pub(super) fn check_name(certificate: &[u8], name: &PeerName) -> Result<(), CertificateError> {
    let der = CertificateDer::from(certificate);
    let read = EndEntityCert::try_from(&der).map_err(CertificateError::from_webpki)?;
    let wanted = match name {
        PeerName::Dns(name) => ServerName::try_from(name.as_str()).map_err(|_| CertificateError::OtherName)?,
        PeerName::Ip(address) if names::names_address(certificate, *address) => return Ok(()),
        PeerName::Ip(address) => ServerName::IpAddress((*address).into()),
    };
    read.verify_is_valid_for_subject_name(&wanted).map_err(CertificateError::from_webpki)
}
