//! What certificates say: names, keys, validity.

use core::{fmt, net::IpAddr, time::Duration};

use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::path::CertificateError;
use crate::crypto::PublicKey;

/// What a server is called in its URI, or in 0/x/14 (Server Name Indication) where that is set.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PeerName {
    /// A host's name.
    Dns(String),
    /// An IP literal.
    Ip(IpAddr),
}

impl PeerName {
    /// From the host of a URI; an IPv6 address may have its brackets.
    #[must_use]
    pub fn new(host: &str) -> Self {
        match ip(host) {
            Some(address) => Self::Ip(address),
            None => Self::Dns(host.trim_end_matches('.').to_ascii_lowercase()),
        }
    }

    /// What is sent as Server Name Indication: a host's name only (RFC 6066 section 3).
    #[must_use]
    pub fn indication(&self) -> Option<&str> {
        match self {
            Self::Dns(name) => Some(name),
            Self::Ip(_) => None,
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

/// The host of a URI as text: between `//` (and what is before an `@`) and the port or path.
fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.find(']') {
        Some(end) => authority.get(..=end),
        None => authority.split(':').next(),
    }
}

pub(super) fn read(certificate: &[u8]) -> Result<Certificate, CertificateError> {
    Certificate::from_der(certificate).map_err(|_| CertificateError::Unreadable)
}

/// The certificate's key, if it is on P-256.
pub(super) fn public_key(certificate: &[u8]) -> Result<PublicKey, CertificateError> {
    let spki = read(certificate)?.tbs_certificate().subject_public_key_info().to_der();
    let spki = spki.map_err(|_| CertificateError::Unreadable)?;
    PublicKey::from_der(&spki).map_err(|_| CertificateError::KeyNotP256)
}

/// When the certificate begins to be valid, in unix time.
pub(super) fn not_before(certificate: &[u8]) -> Option<Duration> {
    read(certificate).ok().map(|certificate| certificate.tbs_certificate().validity().not_before.to_unix_duration())
}

/// The subject's common name. In a client's certificate LwM2M has the endpoint's name there.
#[must_use]
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let certificate = read(certificate).ok()?;
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    Some(name.value().into_owned())
}

/// Whether the certificate is for `address` as LwM2M 1.0 has it beside the standard way: an IP literal as common name, or as the host
/// of a URI among the alternative names.
pub(super) fn names_address(certificate: &[u8], address: IpAddr) -> bool {
    if common_name(certificate).is_some_and(|name| ip(&name) == Some(address)) {
        return true;
    }
    let Ok(certificate) = read(certificate) else { return false };
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else { return false };
    names.0.iter().any(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => host(uri.as_str()).and_then(ip) == Some(address),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_uris() {
        assert_eq!(host("coaps://192.0.2.7:5684/rd"), Some("192.0.2.7"));
        assert_eq!(host("coaps://[2001:db8::1]:5684"), Some("[2001:db8::1]"));
        assert_eq!(host("coaps://me@192.0.2.7?x=//"), Some("192.0.2.7"));
        assert_eq!(host("192.0.2.7"), None);
    }

    #[test]
    fn names_of_peers() {
        assert_eq!(PeerName::new("LwM2M.Example."), PeerName::Dns("lwm2m.example".to_owned()));
        assert_eq!(PeerName::new("[2001:db8:0::1]"), PeerName::Ip("2001:db8::1".parse().unwrap()));
        assert_eq!(PeerName::new("192.0.2.7").indication(), None);
        assert_eq!(PeerName::new("lwm2m.example").indication(), Some("lwm2m.example"));
    }
}
