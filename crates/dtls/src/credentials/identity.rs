//! Who we are.

use crate::crypto::{PrivateKey, PublicKey};

use super::names;

/// The kind of certificate that an end sends, by its number (RFC 7250 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CertificateType {
    /// Certificates (RFC 5280), the end's own first.
    X509 = 0,
    /// The SubjectPublicKeyInfo alone.
    RawPublicKey = 2,
}

impl CertificateType {
    /// The type of this number, if this crate has it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::X509),
            2 => Some(Self::RawPublicKey),
            _ => None,
        }
    }
}

/// A private key, and what is sent to tell whose it is.
#[derive(Clone, Debug)]
pub struct Identity {
    key: PrivateKey,
    certificate_type: CertificateType,
    /// The certificates, or the one SubjectPublicKeyInfo, in DER.
    certificates: Vec<Vec<u8>>,
}

/// Why key and certificates are not an [`Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// A certificate, counted from 0, cannot be read.
    #[error("certificate {0} cannot be read")]
    Unreadable(usize),
    /// The first certificate's key is not on P-256, which the suites of LwM2M demand.
    #[error("the certificate's key is not on P-256")]
    NotP256,
    /// The first certificate is for another key.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
}

impl Identity {
    /// A raw public key: the public half of `key`.
    #[must_use]
    pub fn raw_public_key(key: PrivateKey) -> Self {
        let certificates = vec![key.public_key().to_der()];
        Self { key, certificate_type: CertificateType::RawPublicKey, certificates }
    }

    /// Certificates in DER: the end's own first, then each the issuer of the one before. The root may be left out.
    ///
    /// # Errors
    /// When there is none, one cannot be read, or the first is not for this key.
    pub fn certificates(chain: Vec<Vec<u8>>, key: PrivateKey) -> Result<Self, IdentityError> {
        let own = chain.first().ok_or(IdentityError::Empty)?;
        for (index, certificate) in chain.iter().enumerate() {
            names::read(certificate).map_err(|_| IdentityError::Unreadable(index))?;
        }
        let public = names::public_key(own).map_err(|_| IdentityError::NotP256)?;
        if public != key.public_key() {
            return Err(IdentityError::OtherKey);
        }
        Ok(Self { key, certificate_type: CertificateType::X509, certificates: chain })
    }

    /// What kind of certificate is sent.
    #[must_use]
    pub const fn certificate_type(&self) -> CertificateType {
        self.certificate_type
    }

    /// What is sent, in DER: the certificates, or the one SubjectPublicKeyInfo.
    pub fn to_send(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The private key, to sign with.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }
}
