//! The record layer: records as they are on the wire, and the window that refuses replayed ones (RFC 6347 section 4.1).
//!
//! Reading a record says nothing about its authenticity. Nobody may act on one of epoch 1 before its protection was removed.

mod window;

use core::fmt;

pub use window::Window;

use crate::wire::{Reader, put_u48};

/// The version of DTLS 1.2 on the wire.
pub const VERSION: u16 = 0xfefd;
/// The version of DTLS 1.0 on the wire: in a record of epoch 0 it says nothing about the version that is negotiated
/// (RFC 6347 section 4.2.1).
pub const VERSION_1_0: u16 = 0xfeff;

/// What a record carries (RFC 5246 section 6.2.1, RFC 9146 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ContentType {
    /// The sender's next record is protected.
    ChangeCipherSpec = 20,
    /// An alert.
    Alert = 21,
    /// Fragments of handshake messages.
    Handshake = 22,
    /// What the layer above has sent.
    ApplicationData = 23,
    /// A protected record with a Connection ID, whose true type is inside.
    Tls12Cid = 25,
}

impl ContentType {
    /// The type with this number. Heartbeat (24) and everything unknown is none.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            25 => Self::Tls12Cid,
            _ => return None,
        })
    }
}

/// A Connection ID: names an association to the end that chose it, in each record that is sent to that end (RFC 9146).
///
/// An empty one means that records to that end carry none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnectionId {
    length: u8,
    bytes: [u8; Self::MAX_LENGTH],
}

impl ConnectionId {
    /// The longest that this crate uses, in bytes. RFC 9146 allows 255; a record header would then be a fifth of a datagram. A client
    /// that asks for more gets no Connection ID; a server that demands more cannot be spoken to.
    pub const MAX_LENGTH: usize = 32;
    /// None.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; Self::MAX_LENGTH] };

    /// A Connection ID of these bytes; `None` where there are more than [`ConnectionId::MAX_LENGTH`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut id = Self { length: u8::try_from(bytes.len()).ok()?, ..Self::EMPTY };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One record, read from a datagram without copying (RFC 6347 section 4.1, RFC 9146 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it carries; [`ContentType::Tls12Cid`] where the true type is inside.
    pub content_type: ContentType,
    /// The version: [`VERSION`], or in epoch 0 [`VERSION_1_0`].
    pub version: u16,
    /// How often the sender has changed its keys: 0 is in the clear.
    pub epoch: u16,
    /// The number within the epoch, below 2^48.
    pub sequence: u64,
    /// The Connection ID of the receiver; empty where the type is not [`ContentType::Tls12Cid`].
    pub connection_id: &'a [u8],
    /// What follows the header: as it was sent in epoch 0, otherwise protected.
    pub body: &'a [u8],
}

/// The longest body of a protected record, in bytes (RFC 5246 section 6.2.3).
pub const MAX_BODY: usize = (1 << 14) + 2048;

/// The header of a record without Connection ID, in bytes.
pub const HEADER: usize = 13;

/// Where in a record its Connection ID begins.
pub(crate) const CONNECTION_ID_AT: usize = 11;

/// The greatest record number; after it an association can send nothing more (RFC 6347 section 4.1).
pub const MAX_SEQUENCE: u64 = (1 << 48) - 1;

/// The records of one datagram, in order.
///
/// A record that is not understood ends the datagram where its length cannot be known, and is left out otherwise
/// (RFC 6347 section 4.1.2.7).
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: Reader<'a>,
    connection_id_length: usize,
    skipped: u32,
}

impl<'a> Records<'a> {
    /// The records of `datagram`; in those of type [`ContentType::Tls12Cid`] the Connection ID has `connection_id_length` bytes,
    /// as the receiver has chosen it. With 0 such records are left out, and since their length is not known, so is what follows.
    #[must_use]
    pub const fn new(datagram: &'a [u8], connection_id_length: usize) -> Self {
        Self { rest: Reader(datagram), connection_id_length, skipped: 0 }
    }

    /// How many records were left out so far.
    #[must_use]
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    fn read(&mut self) -> Option<Option<Record<'a>>> {
        let content_type = self.rest.u8()?;
        let version = self.rest.u16()?;
        let epoch = self.rest.u16()?;
        let sequence = self.rest.u48()?;
        let content_type = ContentType::from_u8(content_type);
        let with_id = content_type == Some(ContentType::Tls12Cid);
        if with_id && self.connection_id_length == 0 {
            return None;
        }
        let connection_id = self.rest.take(if with_id { self.connection_id_length } else { 0 })?;
        let body = self.rest.vector16()?;
        let known = version == VERSION || (version == VERSION_1_0 && epoch == 0);
        let plausible = known && body.len() <= MAX_BODY && !(with_id && epoch == 0);
        let record = |content_type| Record { content_type, version, epoch, sequence, connection_id, body };
        Some(content_type.filter(|_| plausible).map(record))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        while !self.rest.is_empty() {
            match self.read() {
                Some(Some(record)) => return Some(record),
                Some(None) => self.skipped += 1,
                None => {
                    self.skipped += 1;
                    self.rest = Reader(&[]);
                }
            }
        }
        None
    }
}

/// Writes the header of a record whose body, of `length` bytes, will follow. The type is [`ContentType::Tls12Cid`] exactly where
/// there is a Connection ID.
///
/// # Panics
/// When the body is longer than [`MAX_BODY`].
pub fn put_header(
    buffer: &mut Vec<u8>,
    content_type: ContentType,
    epoch: u16,
    sequence: u64,
    connection_id: &[u8],
    length: usize,
) {
    debug_assert_eq!(content_type == ContentType::Tls12Cid, !connection_id.is_empty());
    assert!(length <= MAX_BODY, "a body of {length} bytes");
    buffer.push(content_type as u8);
    buffer.extend_from_slice(&VERSION.to_be_bytes());
    buffer.extend_from_slice(&epoch.to_be_bytes());
    put_u48(buffer, sequence);
    buffer.extend_from_slice(connection_id);
    buffer.extend_from_slice(&(length as u16).to_be_bytes());
}

#[cfg(test)]
mod tests;
