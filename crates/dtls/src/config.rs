//! What a client and a server are made with.

use std::time::Duration;

use crate::{
    credentials::Psk,
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

/// What a [`Client`](crate::Client) is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The key that is shared with the server, and its identity.
    pub psk: Psk,
    /// The suites that are offered, the preferred one first. By default those with a pre-shared key; others are left out, since
    /// a pre-shared key is all that the client has.
    pub suites: Vec<CipherSuite>,
    /// The host's name that is sent (RFC 6066 section 3). Default none.
    pub server_name: Option<String>,
    /// How many bytes the Connection ID has that records to us shall carry: 0 offers to send Connection IDs only,
    /// `None` offers none (RFC 9146 section 3). At most 32. Default `Some(0)`.
    pub connection_id: Option<usize>,
    /// Whether Extended Master Secret is offered (RFC 7627). Default yes; without it a session is bound to less.
    pub extended_master_secret: bool,
    /// Whether a server without Extended Master Secret is refused (RFC 7627 section 5.1). Default no.
    pub require_extended_master_secret: bool,
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
        Self {
            psk,
            suites: vec![CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128CbcSha256],
            server_name: None,
            extended_master_secret: true,
            connection_id: Some(0),
            require_extended_master_secret: false,
            tickets: true,
            max_datagram: DEFAULT_MAX_DATAGRAM,
            retransmission: Retransmission::default(),
        }
    }
}

impl ClientConfig {
    /// The suites that go with a pre-shared key.
    pub(crate) fn usable_suites(&self) -> impl Iterator<Item = CipherSuite> {
        usable(&self.suites)
    }
}

/// What a [`Server`](crate::Server) is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The suites that are taken, the preferred one first. By default those with a pre-shared key; others are left out, since
    /// pre-shared keys are all that the server has.
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

impl ServerConfig {
    /// The suites that go with pre-shared keys.
    pub(crate) fn usable_suites(&self) -> impl Iterator<Item = CipherSuite> {
        usable(&self.suites)
    }
}

fn usable(suites: &[CipherSuite]) -> impl Iterator<Item = CipherSuite> {
    suites.iter().copied().filter(|suite| suite.kind() == Kind::Psk)
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            suites: vec![CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128CbcSha256],
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
