//! Whom an end believes.

use core::time::Duration;

use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::KeyUsage;

use super::{
    identity::CertificateType,
    names::{self, PeerName},
    path::{self, CertificateError, Wanted},
};
use crate::crypto::{PublicKey, same};

/// How 0/x/4 (Server Public Key) tells a certificate or raw public key: 0/x/13, Matching Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum MatchingType {
    /// The certificate or key itself.
    #[default]
    Exact = 0,
    /// Its SHA-256 hash.
    Sha256 = 1,
    /// Its SHA-384 hash.
    Sha384 = 2,
    /// Its SHA-512 hash.
    Sha512 = 3,
}

impl MatchingType {
    /// The type of this number, if LwM2M has it.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Exact),
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha384),
            3 => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// What 0/x/4 (Server Public Key) says of the server's certificate: 0/x/15, Certificate Usage (RFC 6698 section 2.1.1 has the same).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum CertificateUsage {
    /// A path leads to a trusted certificate, and the one in 0/x/4 is a CA's in it.
    CaConstraint = 0,
    /// A path leads to a trusted certificate, and the one in 0/x/4 is the server's own.
    ServiceCertificateConstraint = 1,
    /// A path leads to the certificate in 0/x/4.
    TrustAnchorAssertion = 2,
    /// The certificate in 0/x/4 is the server's own, whoever issued it.
    #[default]
    DomainIssuedCertificate = 3,
}

impl CertificateUsage {
    /// The usage of this number, if LwM2M has it.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::CaConstraint),
            1 => Some(Self::ServiceCertificateConstraint),
            2 => Some(Self::TrustAnchorAssertion),
            3 => Some(Self::DomainIssuedCertificate),
            _ => None,
        }
    }
}

/// A certificate or raw public key that is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// What `data` is.
    pub matching: MatchingType,
    /// The certificate, the SubjectPublicKeyInfo, or the hash of one of them.
    pub data: Vec<u8>,
}

impl Pinned {
    /// Whether this is the certificate or SubjectPublicKeyInfo, in DER.
    #[must_use]
    pub fn is(&self, der: &[u8]) -> bool {
        match self.matching {
            MatchingType::Exact => same(&self.data, der),
            MatchingType::Sha256 => same(&self.data, &Sha256::digest(der)),
            MatchingType::Sha384 => same(&self.data, &Sha384::digest(der)),
            MatchingType::Sha512 => same(&self.data, &Sha512::digest(der)),
        }
    }
}

/// What is done while the time is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UnknownTime {
    /// Certificates whose validity counts are refused.
    #[default]
    Refuse,
    /// Validity is not checked, and [`Verified::validity_unchecked`] says so.
    Skip,
}

/// The other end's key is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// What its signature in the handshake is checked with.
    pub key: PublicKey,
    /// Validity counts and could not be checked, since the time was not known. Verify the same again once it is.
    pub validity_unchecked: bool,
}

/// Which certificate of a server is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTrust {
    /// What `pinned` says of the server's certificate.
    pub usage: CertificateUsage,
    /// A certificate of the path.
    pub pinned: Pinned,
    /// Certificates in DER that are trusted, for usages 0 and 1.
    pub anchors: Vec<Vec<u8>>,
    /// What the server is called, which usages 0 to 2 check. `None` checks no name.
    pub name: Option<PeerName>,
    /// What usages 0 to 2 do while the time is not known.
    pub unknown_time: UnknownTime,
}

impl CertificateTrust {
    /// Whether a server that sends this chain is believed: its own certificate first, each in DER. `unix` is the time since 1970.
    ///
    /// Usage 3 compares the certificate and nothing else: it may be self-signed, a CA's, expired or for another name.
    ///
    /// # Errors
    /// When it is not, and why.
    pub fn verify(&self, chain: &[&[u8]], unix: Option<Duration>) -> Result<Verified, CertificateError> {
        let own = *chain.first().ok_or(CertificateError::Missing)?;
        let key = names::public_key(own)?;
        let is_own = matches!(
            self.usage,
            CertificateUsage::DomainIssuedCertificate | CertificateUsage::ServiceCertificateConstraint
        );
        // First what costs nothing: no signature is verified for a certificate that cannot be the one.
        if is_own && !self.pinned.is(own) {
            return Err(CertificateError::NotExpected);
        }
        let mut validity_unchecked = false;
        if self.usage != CertificateUsage::DomainIssuedCertificate {
            validity_unchecked = check_time(unix, self.unknown_time)?;
            self.verify_path(chain, unix)?;
            if let Some(name) = &self.name {
                path::check_name(own, name)?;
            }
        }
        Ok(Verified { key, validity_unchecked })
    }

    fn verify_path(&self, chain: &[&[u8]], time: Option<Duration>) -> Result<(), CertificateError> {
        let usage = KeyUsage::server_auth();
        let is_pinned = |certificate: &[u8]| self.pinned.is(certificate);
        let anchors: Vec<&[u8]> = self.anchors.iter().map(Vec::as_slice).collect();
        if self.usage == CertificateUsage::TrustAnchorAssertion {
            // A hash does not say what the anchor is: then the server has to send it.
            let anchors: Vec<&[u8]> = match self.pinned.matching {
                MatchingType::Exact => vec![&self.pinned.data],
                _ => chain.iter().copied().filter(|certificate| is_pinned(certificate)).collect(),
            };
            if anchors.is_empty() {
                return Err(CertificateError::UnknownIssuer);
            }
            return path::build(chain, &Wanted { anchors: &anchors, time, usage, between: None });
        }
        if anchors.is_empty() {
            return Err(CertificateError::NoAnchors);
        }
        if self.usage == CertificateUsage::ServiceCertificateConstraint {
            return path::build(chain, &Wanted { anchors: &anchors, time, usage, between: None });
        }
        // The CA may be the one at the path's end, which is not sent, or one before.
        let pinned: Vec<&[u8]> = anchors.iter().copied().filter(|anchor| is_pinned(anchor)).collect();
        if !pinned.is_empty() && path::build(chain, &Wanted { anchors: &pinned, time, usage, between: None }).is_ok() {
            return Ok(());
        }
        path::build(chain, &Wanted { anchors: &anchors, time, usage, between: Some(&is_pinned) })
    }
}

/// Whether validity goes unchecked.
fn check_time(unix: Option<Duration>, unknown: UnknownTime) -> Result<bool, CertificateError> {
    match (unix, unknown) {
        (Some(_), _) => Ok(false),
        (None, UnknownTime::Skip) => Ok(true),
        (None, UnknownTime::Refuse) => Err(CertificateError::TimeUnknown),
    }
}

/// Which server a client believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTrust {
    /// The one with this raw public key.
    RawPublicKey(Pinned),
    /// The one with such a certificate.
    Certificate(CertificateTrust),
}

impl ServerTrust {
    /// What kind of certificate the server has to send.
    #[must_use]
    pub const fn certificate_type(&self) -> CertificateType {
        match self {
            Self::RawPublicKey(_) => CertificateType::RawPublicKey,
            Self::Certificate(_) => CertificateType::X509,
        }
    }

    /// Whether a server that sends this is believed: its certificates, or the one SubjectPublicKeyInfo. `unix` is the time since 1970.
    ///
    /// # Errors
    /// When it is not, and why.
    pub fn verify(&self, sent: &[&[u8]], unix: Option<Duration>) -> Result<Verified, CertificateError> {
        match self {
            Self::RawPublicKey(pinned) => {
                let [spki] = sent else { return Err(CertificateError::Missing) };
                let key = raw_public_key(spki)?;
                if !pinned.is(spki) {
                    return Err(CertificateError::NotExpected);
                }
                Ok(Verified { key, validity_unchecked: false })
            }
            Self::Certificate(trust) => trust.verify(sent, unix),
        }
    }
}

fn raw_public_key(spki: &[u8]) -> Result<PublicKey, CertificateError> {
    PublicKey::from_der(spki).map_err(|_| CertificateError::KeyNotP256)
}

/// Which clients a server believes.
///
/// With raw public keys it is the layer above that knows which client has which key: here a key is only read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTrust {
    /// Certificates in DER whose holders may issue those of clients. Without one no certificate is believed. A client that shows
    /// one of these itself, such as its self-signed one, is believed for that alone, as with [`CertificateUsage::DomainIssuedCertificate`].
    pub anchors: Vec<Vec<u8>>,
    /// Whether raw public keys are read.
    pub raw_public_keys: bool,
    /// What is done while the time is not known.
    pub unknown_time: UnknownTime,
}

impl ClientTrust {
    /// Whether a client that sends this is believed: its certificates, or the one SubjectPublicKeyInfo. `unix` is the time since 1970.
    ///
    /// # Errors
    /// When it is not, and why.
    pub fn verify(
        &self,
        kind: CertificateType,
        sent: &[&[u8]],
        unix: Option<Duration>,
    ) -> Result<Verified, CertificateError> {
        let own = *sent.first().ok_or(CertificateError::Missing)?;
        if kind == CertificateType::RawPublicKey {
            let known = self.raw_public_keys && sent.len() == 1;
            let key = raw_public_key(own)?;
            return if known {
                Ok(Verified { key, validity_unchecked: false })
            } else {
                Err(CertificateError::NotExpected)
            };
        }
        let key = names::public_key(own)?;
        let anchors: Vec<&[u8]> = self.anchors.iter().map(Vec::as_slice).collect();
        if anchors.is_empty() {
            return Err(CertificateError::UnknownIssuer);
        }
        if anchors.contains(&own) {
            return Ok(Verified { key, validity_unchecked: false });
        }
        let validity_unchecked = check_time(unix, self.unknown_time)?;
        path::build(sent, &Wanted { anchors: &anchors, time: unix, usage: KeyUsage::client_auth(), between: None })?;
        Ok(Verified { key, validity_unchecked })
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
