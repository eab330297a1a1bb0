//! What is remembered of a handshake, so that a later one can be shorter (RFC 5246 section 7.3, RFC 5077).

use core::fmt;

use zeroize::Zeroizing;

use crate::credentials::PeerIdentity;
use crate::crypto::{CipherSuite, MasterSecret};
use crate::wire::{Reader, put_vector8, put_vector16};

/// What both ends of an association have agreed on, beside the keys of its records.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) suite: CipherSuite,
    pub(crate) extended_master_secret: bool,
    pub(crate) master: MasterSecret,
    /// Who the other end is.
    pub(crate) peer: PeerIdentity,
    /// The validity of the other end's certificates is still to be checked.
    pub(crate) validity_unchecked: bool,
}

impl Secrets {
    /// Appends them to `buffer`, which whoever made it has to clear.
    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.suite.number().to_be_bytes());
        buffer.push(self.extended_master_secret.into());
        buffer.extend_from_slice(self.master.as_bytes());
        buffer.push(self.validity_unchecked.into());
        self.peer.put(buffer);
    }

    /// What [`Secrets::put`] appends at most, in bytes.
    pub(crate) fn size(&self) -> usize {
        128 + 2 * self.peer.parts().len() + self.peer.len()
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let suite = CipherSuite::from_number(reader.u16()?)?;
        let extended_master_secret = reader.u8().filter(|flag| *flag < 2)? == 1;
        let master = MasterSecret::from_bytes(&reader.array()?);
        let validity_unchecked = reader.u8().filter(|flag| *flag < 2)? == 1;
        let peer = PeerIdentity::read(reader)?;
        Some(Self { suite, extended_master_secret, master, peer, validity_unchecked })
    }
}

/// A session that a client can resume: [`Client::session`](crate::Client::session) gives it.
#[derive(Clone)]
pub struct Session {
    pub(crate) secrets: Secrets,
    /// The session's id, where the server gave one.
    pub(crate) id: Vec<u8>,
    /// The server's ticket, which goes before the id.
    pub(crate) ticket: Vec<u8>,
}

impl Session {
    const VERSION: u8 = 2;

    /// As bytes to be stored. They are secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it, so that nothing secret is left behind by a buffer that grows.
        let size = 64 + self.secrets.size() + self.id.len() + self.ticket.len();
        let mut buffer = Zeroizing::new(Vec::with_capacity(size));
        buffer.push(Self::VERSION);
        self.secrets.put(&mut buffer);
        put_vector8(&mut buffer, |buffer| buffer.extend_from_slice(&self.id));
        put_vector16(&mut buffer, |buffer| buffer.extend_from_slice(&self.ticket));
        buffer
    }

    /// What [`Session::to_bytes`] gave; `None` where these bytes are something else, or of another version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.u8().filter(|version| *version == Self::VERSION)?;
        let secrets = Secrets::read(&mut reader)?;
        let id = reader.vector8().filter(|id| id.len() <= 32)?.to_vec();
        let ticket = reader.vector16()?.to_vec();
        reader.end(Self { secrets, id, ticket })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.ticket.is_empty() { "id" } else { "ticket" };
        f.debug_struct("Session").field("suite", &self.secrets.suite).field("by", &way).finish_non_exhaustive()
    }
}
