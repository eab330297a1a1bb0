//! Keys and certificates for both ends.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bed::keys::{Authority, KeyFiles};
use lapwing_dtls::{
    CipherSuite, ClientConfig, ServerConfig,
    credentials::{
        CertificateTrust, CertificateUsage, Identity, MatchingType, PeerIdentity, PeerName, Pinned, ServerTrust,
        UnknownTime,
    },
    crypto::PrivateKey,
};

use crate::ours::IDENTITY;

/// How two ends know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Psk,
    RawPublicKey,
    X509,
}

/// One authority, and what it issued to a server and a client.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) authority: Authority,
    pub(crate) server: KeyFiles,
    pub(crate) client: KeyFiles,
}

/// The keys of this run: all tests that run at a time share them, and the last one takes them away.
pub(crate) fn keys() -> Arc<Keys> {
    static KEYS: Mutex<Weak<Keys>> = Mutex::new(Weak::new());
    let mut shared = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let keys = Arc::new(Keys::new());
        *shared = Arc::downgrade(&keys);
        keys
    })
}

fn identity(files: &KeyFiles, mode: Mode) -> Identity {
    let key = PrivateKey::from_der(&KeyFiles::read(&files.private)).expect("OpenSSL's key can be read");
    match mode {
        Mode::Psk => panic!("a pre-shared key is no certificate"),
        Mode::RawPublicKey => Identity::raw_public_key(key),
        Mode::X509 => Identity::certificates(vec![KeyFiles::read(&files.certificate_der)], key).expect("they fit"),
    }
}

impl Keys {
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let server = authority.issue("localhost", Some("DNS:localhost"));
        let client = authority.issue(IDENTITY, None);
        Self { authority, server, client }
    }

    /// Our client's configuration with that suite alone, for a server with the server's key.
    pub(crate) fn client(&self, mode: Mode, suite: CipherSuite) -> ClientConfig {
        let pinned = |data| Pinned { matching: MatchingType::Exact, data };
        let trust = match mode {
            Mode::Psk => return crate::ours::client_psk(suite),
            Mode::RawPublicKey => ServerTrust::RawPublicKey(pinned(KeyFiles::read(&self.server.public))),
            Mode::X509 => ServerTrust::Certificate(CertificateTrust {
                usage: CertificateUsage::TrustAnchorAssertion,
                pinned: pinned(KeyFiles::read(&self.authority.root.certificate_der)),
                anchors: Vec::new(),
                name: Some(PeerName::new("localhost")),
                unknown_time: UnknownTime::Refuse,
            }),
        };
        let mut config = ClientConfig::certificate(identity(&self.client, mode), trust);
        config.suites = vec![suite];
        config
    }

    /// Our server's configuration with that suite alone, and the server's key in both forms.
    pub(crate) fn server(&self, suite: CipherSuite) -> ServerConfig {
        let mut config = crate::ours::server_with(suite);
        config.identities = vec![identity(&self.server, Mode::X509), identity(&self.server, Mode::RawPublicKey)];
        config.client_trust.anchors = vec![KeyFiles::read(&self.authority.root.certificate_der)];
        config.client_trust.raw_public_keys = true;
        config
    }

    /// Who the client is to our server.
    pub(crate) fn client_identity(&self, mode: Mode) -> PeerIdentity {
        match mode {
            Mode::Psk => PeerIdentity::Psk(IDENTITY.into()),
            Mode::RawPublicKey => PeerIdentity::RawPublicKey(KeyFiles::read(&self.client.public)),
            Mode::X509 => PeerIdentity::Certificate(vec![KeyFiles::read(&self.client.certificate_der)]),
        }
    }
}
