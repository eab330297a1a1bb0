//! Raw public keys and certificates of both ends. The certificates are made by `tests/vectors/certificates.py`.

use std::time::Duration;

use lapwing_dtls::{
    CipherSuite, ClientConfig, ServerConfig,
    credentials::{
        CertificateTrust, CertificateUsage, ClientTrust, Identity, MatchingType, PeerName, Pinned, ServerTrust,
        UnknownTime,
    },
    crypto::PrivateKey,
};

/// A file of `tests/vectors/x509`.
#[macro_export]
macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/x509/", $name)).as_slice()
    };
}

pub const CURVE_SUITES: [CipherSuite; 3] =
    [CipherSuite::EcdheEcdsaAes128Ccm8, CipherSuite::EcdheEcdsaAes128GcmSha256, CipherSuite::EcdheEcdsaAes128CbcSha256];

/// The middle of 2030, when all certificates but the expired ones are valid.
pub const TIME: Option<Duration> = Some(Duration::from_secs(1_910_000_000));

pub fn server_key() -> PrivateKey {
    PrivateKey::from_der(vector!("leaf.key.der")).unwrap()
}

pub fn client_key() -> PrivateKey {
    PrivateKey::from_der(vector!("client.key.der")).unwrap()
}

/// One that belongs to no certificate.
pub fn other_key() -> PrivateKey {
    PrivateKey::from_der(&[7; 32]).unwrap()
}

pub fn exactly(der: &[u8]) -> Pinned {
    Pinned { matching: MatchingType::Exact, data: der.to_vec() }
}

pub fn raw_server() -> Identity {
    Identity::raw_public_key(server_key())
}

pub fn raw_client() -> Identity {
    Identity::raw_public_key(client_key())
}

pub fn certified_server() -> Identity {
    Identity::certificates(vec![vector!("leaf.der").to_vec(), vector!("middle.der").to_vec()], server_key()).unwrap()
}

pub fn certified_client() -> Identity {
    Identity::certificates(vec![vector!("client.der").to_vec()], client_key()).unwrap()
}

/// A client that believes the server with the raw public key of [`server_key`].
pub fn raw_trust() -> ServerTrust {
    ServerTrust::RawPublicKey(exactly(&server_key().public_key().to_der()))
}

/// A client that believes the server of [`certified_server`] by one of LwM2M's four certificate usages.
pub fn certificate_trust(usage: u64) -> CertificateTrust {
    let pinned = [vector!("middle.der"), vector!("leaf.der"), vector!("root.der"), vector!("leaf.der")];
    CertificateTrust {
        usage: CertificateUsage::from_number(usage).unwrap(),
        pinned: exactly(pinned[usage as usize]),
        anchors: if usage < 2 { vec![vector!("root.der").to_vec()] } else { Vec::new() },
        name: Some(PeerName::new("lwm2m.example")),
        unknown_time: UnknownTime::Refuse,
    }
}

pub fn raw_config() -> ClientConfig {
    ClientConfig::certificate(raw_client(), raw_trust())
}

pub fn certificate_config(usage: u64) -> ClientConfig {
    ClientConfig::certificate(certified_client(), ServerTrust::Certificate(certificate_trust(usage)))
}

/// A server that has a raw public key and a certificate, and believes clients with either.
pub fn server_config() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.identities = vec![certified_server(), raw_server()];
    config.client_trust = ClientTrust {
        anchors: vec![vector!("root.der").to_vec()],
        raw_public_keys: true,
        unknown_time: UnknownTime::Refuse,
    };
    config
}

/// A client of each way to believe a server: by its raw public key, and by certificates of usages 0 to 3.
pub fn ways() -> Vec<(String, ClientConfig)> {
    let certificates = (0..4).map(|usage| (format!("usage {usage}"), certificate_config(usage)));
    [("raw public key".to_owned(), raw_config())].into_iter().chain(certificates).collect()
}
