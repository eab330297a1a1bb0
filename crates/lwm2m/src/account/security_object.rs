//! Accounts as instances of the Security object (LwM2M Core 1.1 section 5.2 and Appendix E.1).

use lapwing_dtls::{
    CipherSuite,
    credentials::{CertificateUsage, Identity, MatchingType, Pinned, Psk},
    crypto::{Kind, PrivateKey},
};

use super::{
    BootstrapAccount, Security, SecurityError, SecurityMode, ServerAccount,
    objects::{Builder, single},
};
use crate::{
    definitions::security,
    model::{Instance, Resource, ResourceId, Value},
};

/// Values of the Security Mode (0/x/2).
mod mode {
    pub(super) const PSK: i64 = 0;
    pub(super) const RAW_PUBLIC_KEY: i64 = 1;
    pub(super) const CERTIFICATE: i64 = 2;
    pub(super) const NO_SEC: i64 = 3;
    pub(super) const EST: i64 = 4;
}

impl Security {
    /// What an instance of the Security object says: keys and certificates in the formats of LwM2M Core 1.1 Appendix E.1. A pre-shared
    /// key and its identity are octets; a raw public key is a SubjectPublicKeyInfo and a certificate is X.509, both in DER; a
    /// private key is in PKCS#8 or SEC1, in DER.
    ///
    /// # Errors
    /// The first thing that is missing, makes no sense, or is not built.
    pub fn from_instance(instance: &Instance) -> Result<Security, SecurityError> {
        let number = single(instance, security::SECURITY_MODE).and_then(Value::as_integer);
        let mode = match number.ok_or(SecurityError::Mode)? {
            mode::NO_SEC => SecurityMode::NoSec,
            mode::PSK => {
                let identity = octets(instance, security::PUBLIC_KEY_OR_IDENTITY).unwrap_or_default();
                SecurityMode::Psk(Psk::new(identity, octets(instance, security::SECRET_KEY).unwrap_or_default())?)
            }
            mode::RAW_PUBLIC_KEY => {
                let identity = Identity::raw_public_key(private_key(instance)?);
                // It follows from the private key: naming another one is a mistake.
                match octets(instance, security::PUBLIC_KEY_OR_IDENTITY) {
                    Some(public) if identity.to_send().any(|own| own != public) => {
                        return Err(SecurityError::OtherKey);
                    }
                    _ => SecurityMode::RawPublicKey { identity, server: pinned(instance)? },
                }
            }
            mode::CERTIFICATE => {
                let own = octets(instance, security::PUBLIC_KEY_OR_IDENTITY).ok_or(SecurityError::NoCertificate)?;
                let identity = Identity::certificates(chain(own), private_key(instance)?)?;
                SecurityMode::Certificate { identity, usage: usage(instance)?, server: pinned(instance)? }
            }
            mode::EST => return Err(SecurityError::Est),
            _ => return Err(SecurityError::Mode),
        };
        let suites = suites(instance, &mode)?;
        let sni = single(instance, security::SNI).and_then(Value::as_str).filter(|name| !name.is_empty());
        Ok(Security { mode, suites, sni: sni.map(str::to_owned) })
    }

    fn describe(&self, to: Builder) -> Builder {
        let to = match &self.mode {
            SecurityMode::NoSec => to.set(security::SECURITY_MODE, mode::NO_SEC),
            SecurityMode::Psk(psk) => to
                .set(security::SECURITY_MODE, mode::PSK)
                .set(security::PUBLIC_KEY_OR_IDENTITY, psk.identity())
                .set(security::SECRET_KEY, psk.key()),
            SecurityMode::RawPublicKey { identity, server } => {
                describe_keys(to.set(security::SECURITY_MODE, mode::RAW_PUBLIC_KEY), identity, server)
            }
            SecurityMode::Certificate { identity, usage, server } => {
                describe_keys(to.set(security::SECURITY_MODE, mode::CERTIFICATE), identity, server)
                    .set(security::CERTIFICATE_USAGE, *usage as u64)
            }
        };
        to.set_some(security::SNI, self.sni.as_deref())
            .set_all(security::DTLS_TLS_CIPHERSUITE, self.suites.iter().map(|suite| suite.number().into()))
    }
}

fn describe_keys(to: Builder, identity: &Identity, server: &Pinned) -> Builder {
    let own: Vec<&[u8]> = identity.to_send().collect();
    to.set(security::PUBLIC_KEY_OR_IDENTITY, own.concat())
        .set(security::SECRET_KEY, identity.key().to_der().as_slice())
        .set(security::SERVER_PUBLIC_KEY, server.data.as_slice())
        .set(security::MATCHING_TYPE, server.matching as u64)
}

/// The certificates that stand one behind the other: the standard has one, and its issuers may follow. What is not DER is left whole,
/// to be refused where it is read.
fn chain(mut octets: &[u8]) -> Vec<Vec<u8>> {
    let mut certificates = Vec::new();
    while let Some((certificate, rest)) = length(octets).and_then(|length| octets.split_at_checked(length)) {
        certificates.push(certificate.to_vec());
        octets = rest;
    }
    if !octets.is_empty() {
        certificates.push(octets.to_vec());
    }
    certificates
}

/// The length of the SEQUENCE in DER at the beginning, with its head (X.690 section 8.1.3).
fn length(octets: &[u8]) -> Option<usize> {
    match *octets {
        [0x30, short @ 0..=0x7f, ..] => Some(2 + usize::from(short)),
        [0x30, 0x81, length, ..] => Some(3 + usize::from(length)),
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

fn octets(instance: &Instance, resource: ResourceId) -> Option<&[u8]> {
    single(instance, resource).and_then(Value::as_bytes).filter(|octets| !octets.is_empty())
}

fn private_key(instance: &Instance) -> Result<PrivateKey, SecurityError> {
    PrivateKey::from_der(octets(instance, security::SECRET_KEY).unwrap_or_default()).map_err(SecurityError::from)
}

fn pinned(instance: &Instance) -> Result<Pinned, SecurityError> {
    let data = octets(instance, security::SERVER_PUBLIC_KEY).ok_or(SecurityError::NoServerKey)?.to_vec();
    let matching = number(instance, security::MATCHING_TYPE)?.unwrap_or_default();
    Ok(Pinned { matching: MatchingType::from_number(matching).ok_or(SecurityError::MatchingType)?, data })
}

fn usage(instance: &Instance) -> Result<CertificateUsage, SecurityError> {
    match number(instance, security::CERTIFICATE_USAGE)? {
        None => Ok(CertificateUsage::default()),
        Some(number) => CertificateUsage::from_number(number).ok_or(SecurityError::CertificateUsage),
    }
}

/// The suites that this client has, for the mode, of those that the resource names (two octets of IANA's registry each, as a number).
fn suites(instance: &Instance, mode: &SecurityMode) -> Result<Vec<CipherSuite>, SecurityError> {
    let kind = match mode {
        SecurityMode::NoSec => return Ok(Vec::new()),
        SecurityMode::Psk(_) => Kind::Psk,
        SecurityMode::RawPublicKey { .. } | SecurityMode::Certificate { .. } => Kind::EcdheEcdsa,
    };
    let Some(Resource::Multiple(named)) = instance.get(&security::DTLS_TLS_CIPHERSUITE) else { return Ok(Vec::new()) };
    let suite = |value: &Value| {
        CipherSuite::from_number(value.as_unsigned()?.try_into().ok()?).filter(|suite| suite.kind() == kind)
    };
    let known: Vec<CipherSuite> = named.values().filter_map(suite).collect();
    if known.is_empty() && !named.is_empty() { Err(SecurityError::Suites) } else { Ok(known) }
}

fn number(instance: &Instance, resource: ResourceId) -> Result<Option<u64>, SecurityError> {
    match single(instance, resource) {
        None => Ok(None),
        Some(value) => value.as_unsigned().map(Some).ok_or(SecurityError::Number(resource)),
    }
}

impl ServerAccount {
    /// The account as an instance of the Security object.
    pub(super) fn security_instance(&self) -> Instance {
        let to = Builder::new(&security::DEFINITION)
            .set(security::LWM2M_SERVER_URI, self.uri.as_str())
            .set(security::BOOTSTRAP_SERVER, false)
            .set(security::SHORT_SERVER_ID, self.ssid);
        self.security.describe(to).build()
    }
}

impl BootstrapAccount {
    /// The account as an instance of the Security object.
    pub(super) fn security_instance(&self) -> Instance {
        let to = Builder::new(&security::DEFINITION)
            .set(security::LWM2M_SERVER_URI, self.uri.as_str())
            .set(security::BOOTSTRAP_SERVER, true)
            .set_some(security::CLIENT_HOLD_OFF_TIME, self.hold_off)
            .set_some(security::BOOTSTRAP_SERVER_ACCOUNT_TIMEOUT, self.account_timeout);
        self.security.describe(to).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn psk_with_suites(numbers: &[u16]) -> Result<Vec<CipherSuite>, SecurityError> {
        let instance = Builder::new(&security::DEFINITION)
            .set(security::SECURITY_MODE, mode::PSK)
            .set(security::PUBLIC_KEY_OR_IDENTITY, b"identity".as_slice())
            .set(security::SECRET_KEY, [7; 16].as_slice())
            .set_all(security::DTLS_TLS_CIPHERSUITE, numbers.iter().map(|number| u64::from(*number)))
            .build();
        Security::from_instance(&instance).map(|security| security.suites)
    }

    #[test]
    fn suites_go_with_the_mode() {
        let (psk, ecdhe) = (CipherSuite::PskAes128Ccm8, CipherSuite::EcdheEcdsaAes128Ccm8);
        assert_eq!(psk_with_suites(&[]), Ok(vec![]));
        assert_eq!(psk_with_suites(&[ecdhe.number(), psk.number(), 0x1301]), Ok(vec![psk]));
        // With none that can be offered no handshake would ever succeed.
        assert_eq!(psk_with_suites(&[ecdhe.number()]), Err(SecurityError::Suites));
        assert_eq!(psk_with_suites(&[0x1301]), Err(SecurityError::Suites));
    }
}
