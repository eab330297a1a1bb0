//! What a client and a server are made with.

use std::time::Duration;

use crate::{
    credentials::{ClientTrust, Identity, Psk, ServerTrust},
    crypto::{CipherSuite, Kind},
};

/// When flights of a handshake are sent again (RFC 6347 section 4.2.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retransmission {
    /// The first time-out; it doubles each time. Default 1 s.
    pub first: Duration,
    /// The longest time-out. Default 60 s.
    pub longest: Duration,
    /// How often a flight is sent *again* before the handshake is given up. Default 5, which takes 63 s.
    pub most: u8,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60), most: 5 }
    }
}

/// The largest datagram that is sent by default: what IPv6 carries anywhere (1,280), without its header and that of UDP.
pub const DEFAULT_MAX_DATAGRAM: usize = 1232;

/// Who a client is, and which server it believes.
#[derive(Clone, Debug)]
pub enum ClientCredentials {
    /// The key that is shared with the server, and its identity.
    Psk(Psk),
    /// A raw public key or certificates.
    Certificate {
        /// The client's own.
        identity: Identity,
        /// Which server is believed. Its certificate type need not be that of `identity`.
        trust: ServerTrust,
    },
}

impl ClientCredentials {
    /// The suites that go with them.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Psk(_) => Kind::Psk,
            Self::Certificate { .. } => Kind::EcdheEcdsa,
        }
    }
}

/// What a [`Client`](crate::Client) is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who the client is, and which server it believes.
    pub credentials: ClientCredentials,
    /// The suites that are offered, the preferred one first; in LwM2M 0/x/16 names them. By default all that go with the
    /// credentials; those that do not are left out.
    pub suites: Vec<CipherSuite>,
    /// The host's name that is sent (RFC 6066 section 3). By default that which the server's certificate is to be for, if any.
    pub server_name: Option<String>,
    /// How many bytes the Connection ID has that records to us shall carry: 0 offers to send Connection IDs only,
    /// `None` offers none (RFC 9146 section 3). At most 32. Default `Some(0)`.
    pub connection_id: Option<usize>,
    /// Whether Extended Master Secret is offered (RFC 7627). Default yes; without it a session is bound to less.
    pub extended_master_secret: bool,
    /// Whether a server without Extended Master Secret is refused (RFC 7627 section 5.1). Default no.
    pub require_extended_master_secret: bool,
    /// Whether Encrypt-then-MAC is offered for suites with CBC (RFC 7366). Default yes.
    pub encrypt_then_mac: bool,
    /// Whether tickets are asked for (RFC 5077). Without, sessions are resumed by their id. Default yes.
    pub tickets: bool,
    /// The largest datagram that is sent, in bytes: longer messages of a handshake are cut. Only a Finished message, with its record at
    /// most 150 bytes, is never cut.
    pub max_datagram: usize,
    /// When flights are sent again.
    pub retransmission: Retransmission,
}

impl ClientConfig {
    /// Defaults for a server that knows this key.
    #[must_use]
    pub fn psk(psk: Psk) -> Self {
        Self::new(ClientCredentials::Psk(psk))
    }

    /// Defaults for a client with a raw public key or certificates, as `identity` is one, and a server that `trust` believes.
    #[must_use]
    pub fn certificate(identity: Identity, trust: ServerTrust) -> Self {
        Self::new(ClientCredentials::Certificate { identity, trust })
    }

    fn new(credentials: ClientCredentials) -> Self {
        let server_name = match &credentials {
            ClientCredentials::Certificate { trust: ServerTrust::Certificate(trust), .. } => {
                trust.name.as_ref().and_then(|name| name.indication()).map(str::to_owned)
            }
            _ => None,
        };
        let kind = credentials.kind();
        Self {
            credentials,
            suites: CipherSuite::ALL.into_iter().filter(|suite| suite.kind() == kind).collect(),
            server_name,
            extended_master_secret: true,
            connection_id: Some(0),
            require_extended_master_secret: false,
            encrypt_then_mac: true,
            tickets: true,
            max_datagram: DEFAULT_MAX_DATAGRAM,
            retransmission: Retransmission::default(),
        }
    }
}

impl ClientConfig {
    /// The suites that go with the credentials.
    pub(crate) fn usable_suites(&self) -> impl Iterator<Item = CipherSuite> {
        let kind = self.credentials.kind();
        self.suites.iter().copied().filter(move |suite| suite.kind() == kind)
    }
}

/// What a [`Server`](crate::Server) is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Who the server is to clients without a pre-shared key: at most one identity of each certificate type; the first counts.
    /// Default none. Such a client is always asked for a certificate or raw public key of its own.
    pub identities: Vec<Identity>,
    /// Which certificates and raw public keys of clients are believed. Default none.
    pub client_trust: ClientTrust,
    /// The suites that are taken, the preferred one first. Default [`CipherSuite::ALL`]; those with a pre-shared key are
    /// left out while the server has an identity but no such key, the others while it has no identity that the client can read, or no trust in any
    /// that the client can send.
    pub suites: Vec<CipherSuite>,
    /// How many bytes the Connection ID has that records to us shall carry, where the client knows them: 0 lets only
    /// the client have one, `None` refuses them (RFC 9146 section 3). At most 32; with less than 4 and many associations there may be
    /// no free one. Default `Some(6)`.
    pub connection_id: Option<usize>,
    /// Whether a client without Extended Master Secret is refused. Default no.
    pub require_extended_master_secret: bool,
    /// How long a session may be resumed; zero: never. Default 24 h.
    pub session_lifetime: Duration,
    /// How many sessions are remembered for clients that take no tickets. Default 1,024.
    pub max_sessions: usize,
    /// How many handshakes are under way at most; a further one takes the place of the oldest. Default 256.
    pub max_handshakes: usize,
    /// How many associations there are at most; a further one takes the place of that which was silent longest. Default 65,536.
    pub max_associations: usize,
    /// The largest datagram that is sent, in bytes: longer messages of a handshake are cut. Only a Finished message, with its record at
    /// most 150 bytes, is never cut.
    pub max_datagram: usize,
    /// When flights are sent again.
    pub retransmission: Retransmission,
    /// What tickets are sealed with. The same after a restart, and tickets live on. Default `None`: drawn anew.
    pub ticket_key: Option<zeroize::Zeroizing<[u8; 16]>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            identities: Vec::new(),
            client_trust: ClientTrust::default(),
            suites: CipherSuite::ALL.to_vec(),
            connection_id: Some(6),
            require_extended_master_secret: false,
            session_lifetime: Duration::from_secs(24 * 3600),
            max_sessions: 1024,
            max_handshakes: 256,
            max_associations: 65_536,
            max_datagram: DEFAULT_MAX_DATAGRAM,
            retransmission: Retransmission::default(),
            ticket_key: None,
        }
    }
}
