//! What a client or server tells its user.

use crate::alert::AlertDescription;
use crate::credentials::{CertificateError, PeerIdentity};
use crate::crypto::CipherSuite;
use crate::record::ConnectionId;

/// What a handshake has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Established {
    /// The cipher suite.
    pub suite: CipherSuite,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether the master secret is bound to the handshake (RFC 7627).
    pub extended_master_secret: bool,
    /// Whether the MAC covers what was encrypted (RFC 7366); only suites with CBC have it.
    pub encrypt_then_mac: bool,
    /// The Connection ID in records to us; empty where there is none.
    pub own_connection_id: ConnectionId,
    /// The Connection ID in records to the other end; empty where there is none.
    pub peer_connection_id: ConnectionId,
    /// Who the other end is.
    pub peer: PeerIdentity,
    /// The other end's certificates were believed without a check of their validity, since the time is not known
    /// ([`UnknownTime::Skip`](crate::credentials::UnknownTime::Skip)). They are checked when it is.
    pub validity_unchecked: bool,
}

/// Why a handshake ended without an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The other end has not answered. It may not be there, or not hold the same key.
    #[error("no answer to the handshake")]
    TimedOut,
    /// The other end has refused it.
    #[error("the other end refused the handshake: {0}")]
    Alert(AlertDescription),
    /// What the other end said was refused here.
    #[error("the other end's handshake was refused: {0}")]
    Refused(AlertDescription),
    /// The other end's certificate or raw public key is not believed.
    #[error("the other end is not believed: {0}")]
    Certificate(CertificateError),
}

impl Failure {
    /// The alert that says it: ours, or the other end's.
    #[must_use]
    pub const fn alert(self) -> Option<AlertDescription> {
        match self {
            Self::TimedOut => None,
            Self::Alert(alert) | Self::Refused(alert) => Some(alert),
            Self::Certificate(error) => Some(error.alert()),
        }
    }
}

impl From<AlertDescription> for Failure {
    fn from(refusal: AlertDescription) -> Self {
        Self::Refused(refusal)
    }
}

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

/// Why an association ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The other end has closed it.
    #[error("closed by the other end")]
    CloseNotify,
    /// The other end has ended it with a fatal alert.
    #[error("ended by the other end: {0}")]
    Alert(AlertDescription),
    /// A new handshake has taken its place.
    #[error("replaced by a new handshake")]
    Replaced,
    /// The other end's certificate was believed as long as the time was not known, and is not valid.
    #[error("the other end's certificate is not believed now that the time is known: {0}")]
    Certificate(CertificateError),
    /// There are too many, and this one was silent longest.
    #[error("gave way to another association")]
    Evicted,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no association.
    #[error("there is no association")]
    NotEstablished,
    /// The payload does not fit into a datagram.
    #[error("{0} bytes do not fit into a datagram")]
    TooLong(usize),
    /// All reserved record numbers are used: export the association again.
    #[error("no record number is left")]
    NoNumberLeft,
    /// The other end has moved, and has got as much as may be sent to an address that is not proven (RFC 9146 section 6).
    #[error("the address is not proven")]
    AddressNotProven,
}

/// What came in and was not passed on. Counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Records, fragments and messages that cannot be read.
    pub malformed: u64,
    /// Protected records that are not authentic, or have come before, or belong to no association.
    pub unauthentic: u64,
    /// What can be read and does not belong here.
    pub unexpected: u64,
    /// ClientHellos whose cookie was missing or wrong. They were answered with a new one.
    pub cookies: u64,
}

/// What of an inbox that nobody drains is kept, in bytes.
pub(crate) const INBOX_LIMIT: usize = 256 * 1024;
