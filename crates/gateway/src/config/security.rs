//! How a server is spoken to securely: the keys of the configuration that say so, and the files that they name.

use std::path::{Path, PathBuf};

use lapwing::credentials::{CertificateUsage, CipherSuite, Identity, MatchingType, Pinned, PrivateKey, PublicKey};
use lapwing::{Security, ServerUri};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use super::ConfigError;
use super::read::Section;
use super::secret::{self, SecretSource};

/// The credentials of this client and what it expects of a server; `None` where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// The identity of the pre-shared key, byte for byte (0/x/3).
    pub psk_identity: Option<String>,
    /// The pre-shared key in hexadecimal (0/x/5).
    pub psk_key: Option<SecretSource>,
    /// The private key in PEM or DER (0/x/5): of the certificate, or without one of a raw public key.
    pub key: Option<SecretSource>,
    /// A file of certificates in PEM or one in DER, the client's own first (0/x/3).
    pub cert: Option<PathBuf>,
    /// A file with the server's certificate in PEM or DER, or as `server_cert_usage` says one above it (0/x/4).
    pub server_cert: Option<PathBuf>,
    /// What `server_cert` is; the server's own by default (0/x/15).
    pub server_cert_usage: Option<CertificateUsage>,
    /// A file with the server's raw public key as SubjectPublicKeyInfo, in PEM or DER (0/x/4).
    pub server_key: Option<PathBuf>,
    /// The server's name that is sent, and expected in its certificate (0/x/14); the host of the URI by default.
    pub sni: Option<String>,
    /// The cipher suites that may be used, the preferred one first (0/x/16); all that go with the credentials by default.
    pub cipher_suites: Option<Vec<CipherSuite>>,
}

const USAGE_EXPECTED: &str =
    "0 (of a CA in a trusted path), 1 (the server's, in a trusted path), 2 (the trust anchor) or 3 (the server's)";
const SUITES_EXPECTED: &str = "a list of \"TLS_PSK_WITH_AES_128_CCM_8\", \"TLS_PSK_WITH_AES_128_CBC_SHA256\", \
     \"TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8\", \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\" or \
     \"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256\"";
const PRIVATE_KEY_EXPECTED: &str = "a private key on P-256, not encrypted, in PEM or DER";

impl SecurityConfig {
    /// The keys of a table.
    pub(super) fn read(section: &mut Section) -> Result<Self, ConfigError> {
        let suite = |name: &str| CipherSuite::ALL.into_iter().find(|suite| suite.name() == name);
        Ok(Self {
            psk_identity: section.string("psk-identity")?,
            psk_key: section.secret("psk-key", "psk-key-file")?,
            key: section.file("key")?.map(SecretSource::File),
            cert: section.file("cert")?,
            server_cert: section.file("server-cert")?,
            server_cert_usage: section.take("server-cert-usage", USAGE_EXPECTED, |value| {
                CertificateUsage::from_number(u64::try_from(value.as_integer()?).ok()?)
            })?,
            server_key: section.file("server-key")?,
            sni: section.string("sni")?,
            cipher_suites: section.list("cipher-suites", SUITES_EXPECTED, suite)?,
        })
    }

    /// Each value from here, or else from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            psk_identity: self.psk_identity.or(other.psk_identity),
            psk_key: self.psk_key.or(other.psk_key),
            key: self.key.or(other.key),
            cert: self.cert.or(other.cert),
            server_cert: self.server_cert.or(other.server_cert),
            server_cert_usage: self.server_cert_usage.or(other.server_cert_usage),
            server_key: self.server_key.or(other.server_key),
            sni: self.sni.or(other.sni),
            cipher_suites: self.cipher_suites.or(other.cipher_suites),
        }
    }

    /// The first credential that is given, by its key.
    pub(crate) fn credential(&self) -> Option<&'static str> {
        let given = [
            ("psk-identity", self.psk_identity.is_some()),
            ("psk-key", self.psk_key.is_some()),
            ("key", self.key.is_some()),
            ("cert", self.cert.is_some()),
            ("server-cert", self.server_cert.is_some()),
            ("server-key", self.server_key.is_some()),
        ];
        given.into_iter().find_map(|(key, given)| given.then_some(key))
    }

    /// What an account of this server needs: nothing with `coap`, the credentials with `coaps`. Reads the files.
    ///
    /// # Errors
    /// When a file cannot be used, or what is given is not enough or too much.
    pub(crate) fn load(&self, uri: &ServerUri) -> Result<Security, ConfigError> {
        if !uri.is_secure() {
            return Ok(Security::default());
        }
        let mode = match (&self.psk_identity, &self.psk_key, &self.key) {
            (Some(identity), Some(key), None) => self.psk(identity, key)?,
            (Some(_), None, None) => return Err(ConfigError::Needs { key: "psk-identity", other: "psk-key-file" }),
            (None, Some(_), None) => return Err(ConfigError::Needs { key: "psk-key", other: "psk-identity" }),
            (None, None, Some(key)) => self.asymmetric(key)?,
            (None, None, None) => {
                return Err(match self.credential() {
                    Some(given) => ConfigError::Needs { key: given, other: "key" },
                    None => ConfigError::NoCredentials { uri: uri.to_string() },
                });
            }
            (_, _, Some(_)) => return Err(ConfigError::Conflict { key: "key", other: "psk-identity" }),
        };
        let security = mode.suites(self.cipher_suites.iter().flatten().copied());
        Ok(match &self.sni {
            Some(name) => security.sni(name),
            None => security,
        })
    }

    fn psk(&self, identity: &str, key: &SecretSource) -> Result<Security, ConfigError> {
        if let Some((other, _)) = self.certificates() {
            return Err(ConfigError::Conflict { key: "psk-identity", other });
        }
        let key = preshared_key(key, "psk-key", "psk-key-file")?;
        Security::psk(identity, key.as_slice()).map_err(|error| ConfigError::Value {
            key: "psk-identity".into(),
            value: identity.into(),
            expected: error.to_string(),
        })
    }

    /// The first of the files of certificates and public keys.
    fn certificates(&self) -> Option<(&'static str, &Path)> {
        let given = [("cert", &self.cert), ("server-cert", &self.server_cert), ("server-key", &self.server_key)];
        given.into_iter().find_map(|(key, path)| Some((key, path.as_deref()?)))
    }

    /// Certificates, or raw public keys where there is no certificate.
    fn asymmetric(&self, source: &SecretSource) -> Result<Security, ConfigError> {
        let unusable = || ConfigError::unusable("key", source, PRIVATE_KEY_EXPECTED);
        let key = private_key(source)?;
        match (&self.cert, &self.server_cert, &self.server_key) {
            (Some(cert), Some(server), None) => {
                let identity = certified(cert, key)?;
                let usage = self.server_cert_usage.unwrap_or_default();
                let pinned = read_certificates("server-cert", server)?.swap_remove(0);
                Security::certificate(identity, usage, exact(pinned)).map_err(|_| unusable())
            }
            (None, None, Some(server)) => {
                let pinned = read_public_key("server-key", server)?;
                Security::raw_public_key(Identity::raw_public_key(key), exact(pinned)).map_err(|_| unusable())
            }
            (Some(_), None, _) => Err(ConfigError::Needs { key: "cert", other: "server-cert" }),
            (None, Some(_), _) => Err(ConfigError::Needs { key: "server-cert", other: "cert" }),
            (Some(_), Some(_), Some(_)) => Err(ConfigError::Conflict { key: "server-key", other: "server-cert" }),
            (None, None, None) => Err(ConfigError::Needs { key: "key", other: "server-key" }),
        }
    }
}

fn exact(data: Vec<u8>) -> Pinned {
    Pinned { matching: MatchingType::Exact, data }
}

/// A secret as it was given, and the key that names where it is.
fn content(
    source: &SecretSource,
    given: &'static str,
    file: &'static str,
) -> Result<(&'static str, Zeroizing<Vec<u8>>), ConfigError> {
    match source {
        SecretSource::Given(secret) => Ok((given, Zeroizing::new(secret.text().as_bytes().to_vec()))),
        SecretSource::File(path) => Ok((file, secret::read(file, path, true)?)),
    }
}

fn preshared_key(
    source: &SecretSource,
    given: &'static str,
    file: &'static str,
) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    const EXPECTED: &str = "the key in hexadecimal, such as 32 digits for 16 bytes";
    let (name, content) = content(source, given, file)?;
    secret::hexadecimal(&content).ok_or_else(|| ConfigError::unusable(name, source, EXPECTED))
}

/// A pre-shared key, in hexadecimal where it is. `name` is what it is for.
///
/// # Errors
/// When it cannot be read, or is something else.
pub fn read_preshared_key(name: &'static str, source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    preshared_key(source, name, name)
}

fn private_key(source: &SecretSource) -> Result<PrivateKey, ConfigError> {
    let (name, content) = content(source, "key", "key")?;
    let key = match pem(&content) {
        Some(text) => PrivateKey::from_pem(text),
        None => PrivateKey::from_der(&content),
    };
    key.map_err(|_| ConfigError::unusable(name, source, PRIVATE_KEY_EXPECTED))
}

fn certified(cert: &Path, key: PrivateKey) -> Result<Identity, ConfigError> {
    Identity::certificates(read_certificates("cert", cert)?, key)
        .map_err(|error| ConfigError::file("cert", cert, format!("certificates of the key in `key` ({error})")))
}

/// The identity of a private key: with the certificates in a file, or as a raw public key.
///
/// # Errors
/// When one of them cannot be read, or they do not belong together.
pub fn read_identity(cert: Option<&Path>, key: &Path) -> Result<Identity, ConfigError> {
    let key = private_key(&SecretSource::File(key.to_owned()))?;
    match cert {
        Some(cert) => certified(cert, key),
        None => Ok(Identity::raw_public_key(key)),
    }
}

/// The text, if it is PEM.
fn pem(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok().filter(|text| text.contains("-----BEGIN "))
}

/// The certificates in a file, in DER: those of a PEM file in their order, or the only one of a DER file. `key` names what they are
/// for.
///
/// # Errors
/// When there is none.
pub fn read_certificates(key: &'static str, path: &Path) -> Result<Vec<Vec<u8>>, ConfigError> {
    let content = secret::read(key, path, false)?;
    let certificates = match pem(&content) {
        Some(text) => CertificateDer::pem_slice_iter(text.as_bytes())
            .map(|certificate| certificate.ok().map(|certificate| certificate.to_vec()))
            .collect::<Option<Vec<_>>>(),
        // A SEQUENCE, as everything in DER that is meant here.
        None => content.starts_with(&[0x30]).then(|| vec![content.to_vec()]),
    };
    certificates
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| ConfigError::file(key, path, "certificates in PEM, or one in DER"))
}

fn read_public_key(key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let content = secret::read(key, path, false)?;
    let der = match pem(&content) {
        Some(text) => SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).ok().map(|der| der.to_vec()),
        None => Some(content.to_vec()),
    };
    der.filter(|der| PublicKey::from_der(der).is_ok())
        .ok_or_else(|| ConfigError::file(key, path, "a public key on P-256 (SubjectPublicKeyInfo) in PEM or DER"))
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
