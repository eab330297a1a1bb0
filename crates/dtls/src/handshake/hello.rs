//! The hellos (RFC 5246 section 7.4.1, RFC 6347 section 4.2.1).

use super::{Extensions, List16};
use crate::wire::{Reader, put_vector8, put_vector16};

/// The cipher suite that stands for an empty renegotiation_info extension (RFC 5746 section 3.3).
pub const EMPTY_RENEGOTIATION_INFO_SCSV: u16 = 0x00ff;

/// The body of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The greatest version that the client speaks.
    pub version: u16,
    /// The client's random.
    pub random: [u8; 32],
    /// The session to be resumed, or with a ticket, a name for the attempt; at most 32 bytes.
    pub session_id: &'a [u8],
    /// What a HelloVerifyRequest gave; empty at first.
    pub cookie: &'a [u8],
    /// Cipher suites, the preferred one first.
    pub suites: List16<'a>,
    /// Compression methods; 0, none, is among them.
    pub compression: &'a [u8],
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    /// Reads a body.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        let session_id = reader.vector8().filter(|id| id.len() <= 32)?;
        let cookie = reader.vector8()?;
        let suites = List16::new(reader.vector16()?).filter(|suites| !suites.is_empty())?;
        let compression = reader.vector8().filter(|methods| methods.contains(&0))?;
        let extensions = Extensions::parse(&mut reader, false)?;
        reader.end(Self { version, random, session_id, cookie, suites, compression, extensions })
    }

    /// Writes it.
    ///
    /// # Panics
    /// When a field is longer than its length can say.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.version.to_be_bytes());
        buffer.extend_from_slice(&self.random);
        put_vector8(buffer, |buffer| buffer.extend_from_slice(self.session_id));
        put_vector8(buffer, |buffer| buffer.extend_from_slice(self.cookie));
        put_vector16(buffer, |buffer| buffer.extend_from_slice(self.suites.as_bytes()));
        put_vector8(buffer, |buffer| buffer.extend_from_slice(self.compression));
        self.extensions.put(buffer, false);
    }
}

/// The body of a ServerHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The version that will be spoken.
    pub version: u16,
    /// The server's random.
    pub random: [u8; 32],
    /// The session, at most 32 bytes: that of the ClientHello where it is resumed, empty where it cannot be.
    pub session_id: &'a [u8],
    /// The cipher suite.
    pub suite: u16,
    /// The extensions that the server has understood.
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// Reads a body. One with a compression method is none: it was not offered.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        let session_id = reader.vector8().filter(|id| id.len() <= 32)?;
        let suite = reader.u16()?;
        reader.u8().filter(|compression| *compression == 0)?;
        let extensions = Extensions::parse(&mut reader, true)?;
        reader.end(Self { version, random, session_id, suite, extensions })
    }

    /// Writes it.
    ///
    /// # Panics
    /// When a field is longer than its length can say.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.version.to_be_bytes());
        buffer.extend_from_slice(&self.random);
        put_vector8(buffer, |buffer| buffer.extend_from_slice(self.session_id));
        buffer.extend_from_slice(&self.suite.to_be_bytes());
        buffer.push(0);
        self.extensions.put(buffer, true);
    }
}

/// The body of a HelloVerifyRequest (RFC 6347 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloVerifyRequest<'a> {
    /// A version; not that which will be spoken.
    pub version: u16,
    /// What the client must send back, at most 255 bytes.
    pub cookie: &'a [u8],
}

impl<'a> HelloVerifyRequest<'a> {
    /// Reads a body.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let version = reader.u16()?;
        let cookie = reader.vector8()?;
        reader.end(Self { version, cookie })
    }

    /// Writes it.
    ///
    /// # Panics
    /// When the cookie is longer than 255 bytes.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.version.to_be_bytes());
        put_vector8(buffer, |buffer| buffer.extend_from_slice(self.cookie));
    }
}
