use std::fmt;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};

use super::super::Cause;

/// A certificate for https, with its key.
#[derive(Clone)]
pub struct HttpsIdentity(pub(super) ClientCert);

impl HttpsIdentity {
    /// A chain of certificates in PEM, the client's own first, and its private key in PEM (PKCS #1, PKCS #8 or SEC 1).
    ///
    /// # Errors
    /// [`Cause::Configuration`] when one of them cannot be read, or the key cannot be used with the certificate.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Cause> {
        let wrong = |error: ureq::Error| Cause::Configuration(error.to_string());
        let certificates = parse_pem(chain).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(wrong(error))),
        });
        let chain: Vec<Certificate<'static>> = certificates.collect::<Result<_, _>>()?;
        let key = PrivateKey::from_pem(key).map_err(wrong)?;
        check(&chain, &key)?;
        Ok(Self(ClientCert::new_with_certs(&chain, key)))
    }
}

/// What cannot be used is found out when it is configured, not when it is needed.
fn check(chain: &[Certificate<'static>], key: &PrivateKey<'static>) -> Result<(), Cause> {
    let wrong = |error: &dyn fmt::Display| Cause::Configuration(error.to_string());
    let chain = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key = PrivateKeyDer::try_from(key.der()).map_err(|error| wrong(&error))?.clone_key();
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map(drop).map_err(|error| wrong(&error))
}

impl fmt::Debug for HttpsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpsIdentity(..)")
    }
}
