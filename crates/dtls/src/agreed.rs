//! What the ends of a handshake have agreed on, and what comes of it.

use crate::{
    alert::AlertDescription,
    association::Role,
    credentials::{CertificateType, PeerIdentity, Verified},
    crypto::{CipherSuite, MasterSecret, Premaster, PublicKey, record_keys},
    event::Failure,
    flight::Flight,
    handshake::Certificates,
    protection::Protection,
    record::ConnectionId,
    session::{Secrets, Session},
};

/// What the hellos have settled.
#[derive(Clone)]
pub(crate) struct Agreed {
    pub(crate) suite: CipherSuite,
    pub(crate) extended_master_secret: bool,
    pub(crate) encrypt_then_mac: bool,
    pub(crate) client_random: [u8; 32],
    pub(crate) server_random: [u8; 32],
    pub(crate) session_id: Vec<u8>,
    /// The Connection IDs in records to us and to the other end: both directions have one, maybe empty, or neither has
    /// (RFC 9146 section 3).
    pub(crate) connection_ids: Option<(ConnectionId, ConnectionId)>,
    /// The server gives a ticket.
    pub(crate) ticket: bool,
    /// What the client sends if it is asked for a certificate.
    pub(crate) client_certificate: CertificateType,
    /// What the server sends, unless the suite has a pre-shared key.
    pub(crate) server_certificate: CertificateType,
}

impl Agreed {
    /// The master secret. `transcript` is the hash of all messages up to and with the ClientKeyExchange.
    pub(crate) fn master(&self, premaster: &Premaster, transcript: &[u8; 32]) -> MasterSecret {
        if self.extended_master_secret {
            MasterSecret::extended(premaster, transcript)
        } else {
            MasterSecret::derive(premaster, &self.client_random, &self.server_random)
        }
    }

    /// The keys of both directions.
    pub(crate) fn protection(&self, role: Role, master: &MasterSecret) -> Protection {
        let (client, server) = record_keys(master, self.suite, &self.client_random, &self.server_random);
        let keys = match role {
            Role::Client => (client.seal, server.open),
            Role::Server => (server.seal, client.open),
        };
        let (own, peer) = self.connection_ids.unwrap_or_default();
        Protection::new(keys, self.encrypt_then_mac, own, peer)
    }

    /// What can be resumed.
    pub(crate) fn secrets(&self, master: MasterSecret, peer: Peer) -> Secrets {
        Secrets {
            suite: self.suite,
            extended_master_secret: self.extended_master_secret,
            master,
            peer: peer.identity,
            validity_unchecked: peer.validity_unchecked,
        }
    }
}

/// The other end, as far as it is known.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) identity: PeerIdentity,
    pub(crate) validity_unchecked: bool,
}

impl Peer {
    pub(crate) fn psk(identity: &[u8]) -> Self {
        Self { identity: PeerIdentity::Psk(identity.to_vec()), validity_unchecked: false }
    }
}

/// An end whose certificate or raw public key is believed. That it holds the private key is still to be shown.
#[derive(Clone)]
pub(crate) struct Believed {
    pub(crate) key: PublicKey,
    pub(crate) peer: Peer,
}

impl Believed {
    /// Reads the body of a Certificate message, and has it verified.
    pub(crate) fn read<E>(
        body: &[u8],
        kind: CertificateType,
        verify: impl FnOnce(&[&[u8]]) -> Result<Verified, E>,
    ) -> Result<Self, Failure>
    where
        Failure: From<E>,
    {
        let sent: Vec<&[u8]> = match Certificates::parse(body, kind).ok_or(AlertDescription::DECODE_ERROR)? {
            Certificates::X509(chain) => chain.iter().collect(),
            Certificates::RawPublicKey(key) => vec![key],
        };
        let Verified { key, validity_unchecked } = verify(&sent)?;
        let mut identity = match kind {
            CertificateType::RawPublicKey => PeerIdentity::RawPublicKey(sent.concat()),
            CertificateType::X509 => PeerIdentity::Certificate(sent.iter().map(|der| der.to_vec()).collect()),
        };
        if !validity_unchecked {
            identity.shorten();
        }
        Ok(Self { key, peer: Peer { identity, validity_unchecked } })
    }
}

/// A handshake that is complete.
pub(crate) struct Finished {
    pub(crate) protection: Protection,
    pub(crate) session: Session,
    pub(crate) resumed: bool,
    /// Our last flight, where the other end may ask for it again.
    pub(crate) flight: Option<Flight>,
    /// Those of the client and of the server.
    pub(crate) randoms: ([u8; 32], [u8; 32]),
}
