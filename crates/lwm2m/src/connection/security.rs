//! What a Security object instance means for DTLS: the one place where one becomes the other.

use lapwing_dtls::{
    ClientConfig, DEFAULT_MAX_DATAGRAM, Retransmission,
    credentials::{CertificateTrust, Identity, PeerName, Pinned, ServerTrust, UnknownTime},
};
use sha2::{Digest as _, Sha256};

use crate::account::{Security, SecurityMode, ServerUri};

/// How a client's associations behave, whatever the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DtlsParameters {
    /// How many bytes the Connection ID has that a server's records to the client carry (RFC 9146 section 3), at most 32. 0 lets
    /// only the server have one, which is enough as long as sockets are connected: an association then outlives changes of the
    /// client's address. `None` offers none. Default `Some(0)`.
    pub connection_id: Option<usize>,
    /// The largest datagram that is sent, in bytes; bodies are sent in smaller blocks where those of
    /// [`Config::coap`](crate::client::Config::coap) would not fit. Default 1,232.
    pub max_datagram: usize,
    /// When flights of a handshake are sent again.
    pub retransmission: Retransmission,
    /// How many record numbers are reserved at a time in what is stored of an association, so that it can go on after a
    /// restart without a handshake. Each time half of them are used, it is stored again. 0 stores no association.
    /// Default 16,384.
    pub reservation: u32,
}

impl Default for DtlsParameters {
    fn default() -> DtlsParameters {
        DtlsParameters {
            connection_id: Some(0),
            max_datagram: DEFAULT_MAX_DATAGRAM,
            retransmission: Retransmission::default(),
            reservation: 16_384,
        }
    }
}

/// What counts for all associations of a client.
pub(crate) struct Profile {
    pub(crate) parameters: DtlsParameters,
    pub(crate) trust_anchors: Vec<Vec<u8>>,
    pub(crate) unknown_time: UnknownTime,
}

impl Profile {
    /// What DTLS needs for a server with this URI and security; `None`: it is spoken to without.
    pub(crate) fn client_config(&self, security: &Security, uri: &ServerUri) -> Option<ClientConfig> {
        let mut config = match &security.mode {
            SecurityMode::NoSec => return None,
            SecurityMode::Psk(psk) => ClientConfig::psk(psk.clone()),
            SecurityMode::RawPublicKey { identity, server } => {
                ClientConfig::certificate(identity.clone(), ServerTrust::RawPublicKey(server.clone()))
            }
            SecurityMode::Certificate { identity, usage, server } => {
                // The zone of an IPv6 address is no part of a server's name.
                let host = uri.host().split('%').next().unwrap_or_default();
                let trust = CertificateTrust {
                    usage: *usage,
                    pinned: server.clone(),
                    anchors: self.trust_anchors.clone(),
                    name: Some(PeerName::new(security.sni.as_deref().unwrap_or(host))),
                    unknown_time: self.unknown_time,
                };
                ClientConfig::certificate(identity.clone(), ServerTrust::Certificate(trust))
            }
        };
        if !security.suites.is_empty() {
            config.suites.clone_from(&security.suites);
        }
        if security.sni.is_some() {
            config.server_name.clone_from(&security.sni);
        }
        config.connection_id = self.parameters.connection_id;
        config.max_datagram = self.parameters.max_datagram;
        config.retransmission = self.parameters.retransmission.clone();
        Some(config)
    }
}

/// What DTLS needs for a server at this URI that is no LwM2M server, such as one that firmware is fetched from: what `security` says,
/// and defaults for all else. `None`: it is spoken to without DTLS.
///
/// `trust_anchors` are certificates in DER that are trusted with usages 0 and 1; `unknown_time` is what usages 0 to 2 do while the
/// time is not known.
pub fn dtls_config(
    security: &Security,
    uri: &ServerUri,
    trust_anchors: &[Vec<u8>],
    unknown_time: UnknownTime,
) -> Option<ClientConfig> {
    let parameters = DtlsParameters::default();
    Profile { parameters, trust_anchors: trust_anchors.to_vec(), unknown_time }.client_config(security, uri)
}

/// Tells whether an association was made by an account as it is: its server, and both ends' credentials.
pub(crate) fn fingerprint(security: &Security, uri: &ServerUri) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    let certificate = |add: &mut dyn FnMut(&[u8]), identity: &Identity, server: &Pinned| {
        identity.to_send().for_each(&mut *add);
        add(&[server.matching as u8]);
        add(&server.data);
    };
    add(uri.as_str().as_bytes());
    add(security.sni.as_deref().unwrap_or_default().as_bytes());
    security.suites.iter().for_each(|suite| add(&suite.number().to_be_bytes()));
    match &security.mode {
        SecurityMode::NoSec => add(b"NoSec"),
        SecurityMode::Psk(psk) => {
            add(b"PSK");
            add(psk.identity());
            add(psk.key());
        }
        SecurityMode::RawPublicKey { identity, server } => {
            add(b"RPK");
            certificate(&mut add, identity, server);
        }
        SecurityMode::Certificate { identity, usage, server } => {
            add(b"X.509");
            add(&[*usage as u8]);
            certificate(&mut add, identity, server);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use lapwing_dtls::{
        CipherSuite, ClientCredentials,
        credentials::{CertificateUsage, MatchingType},
        crypto::PrivateKey,
    };

    use super::*;

    fn profile() -> Profile {
        let parameters = DtlsParameters { connection_id: Some(7), max_datagram: 600, ..DtlsParameters::default() };
        Profile { parameters, trust_anchors: vec![vec![1]], unknown_time: UnknownTime::Skip }
    }

    fn config(security: &Security, uri: &str) -> ClientConfig {
        profile().client_config(security, &uri.parse().unwrap()).unwrap()
    }

    fn key(byte: u8) -> Identity {
        Identity::raw_public_key(PrivateKey::from_der(&[byte; 32]).unwrap())
    }

    fn pinned(byte: u8) -> Pinned {
        Pinned { matching: MatchingType::Sha256, data: vec![byte; 32] }
    }

    #[test]
    fn a_pre_shared_key_becomes_one() {
        let security = Security::psk("id", [7; 16]).unwrap();
        let all = config(&security, "coaps://host.example");
        assert!(matches!(&all.credentials, ClientCredentials::Psk(psk) if psk.identity() == b"id"));
        assert_eq!((all.connection_id, all.max_datagram, all.server_name), (Some(7), 600, None));
        assert_eq!(all.suites, [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128CbcSha256]);
        let one = config(&security.suites([CipherSuite::PskAes128CbcSha256]).sni("named"), "coaps://host.example");
        assert_eq!(one.suites, [CipherSuite::PskAes128CbcSha256]);
        assert_eq!(one.server_name.as_deref(), Some("named"));
        assert!(profile().client_config(&Security::default(), &"coap://h".parse().unwrap()).is_none());
    }

    #[test]
    fn a_certificate_is_for_the_host_or_the_name_given() {
        let mode = SecurityMode::Certificate {
            identity: key(1),
            usage: CertificateUsage::TrustAnchorAssertion,
            server: pinned(2),
        };
        let security = Security::from(mode);
        let trust = |security: &Security, uri: &str| match config(security, uri).credentials {
            ClientCredentials::Certificate { trust: ServerTrust::Certificate(trust), .. } => trust,
            _ => panic!("another kind"),
        };
        let by_host = trust(&security, "coaps://Host.Example");
        assert_eq!((by_host.usage, by_host.pinned), (CertificateUsage::TrustAnchorAssertion, pinned(2)));
        assert_eq!((by_host.anchors, by_host.unknown_time), (vec![vec![1]], UnknownTime::Skip));
        assert_eq!(by_host.name, Some(PeerName::new("host.example")));
        assert_eq!(config(&security, "coaps://host.example").server_name.as_deref(), Some("host.example"));
        let address = "coaps://[fe80::1%25eth0]";
        assert_eq!(trust(&security, address).name, Some(PeerName::Ip("fe80::1".parse().unwrap())));
        assert_eq!(config(&security, address).server_name, None);
        let named = security.sni("named.example");
        assert_eq!(trust(&named, address).name, Some(PeerName::new("named.example")));
        assert_eq!(config(&named, address).server_name.as_deref(), Some("named.example"));
    }

    #[test]
    fn every_part_of_an_account_shows_in_its_fingerprint() {
        let psk = |identity: &'static str, key: u8| Security::psk(identity, [key; 16]).unwrap();
        let raw = |own: u8, server: u8| Security::raw_public_key(key(own), pinned(server)).unwrap();
        let accounts = [
            ("coaps://a", psk("id", 1)),
            ("coaps://b", psk("id", 1)),
            ("coaps://a", psk("di", 1)),
            ("coaps://a", psk("id", 2)),
            ("coaps://a", psk("id", 1).sni("a")),
            ("coaps://a", psk("id", 1).suites([CipherSuite::PskAes128Ccm8])),
            ("coaps://a", raw(1, 1)),
            ("coaps://a", raw(2, 1)),
            ("coaps://a", raw(1, 2)),
            ("coaps://a", Security::default()),
        ];
        let print = |(uri, security): &(&str, Security)| fingerprint(security, &uri.parse().unwrap());
        for (index, one) in accounts.iter().enumerate() {
            assert_eq!(print(one), print(&one.clone()));
            assert!(accounts[..index].iter().all(|other| print(other) != print(one)), "{one:?}");
        }
    }
}
