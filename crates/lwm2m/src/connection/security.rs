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
