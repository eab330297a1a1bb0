//! Fragments of handshake messages (RFC 6347 section 4.2.3).

use super::HandshakeType;
use crate::wire::{Reader, put_u24};

/// The header of a handshake message, in bytes.
pub const HEADER: usize = 12;

/// A part of a handshake message, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The type of the message.
    pub kind: HandshakeType,
    /// How many bytes the whole message has, without its header.
    pub length: usize,
    /// The number of the message.
    pub sequence: u16,
    /// Where in the message this part begins.
    pub offset: usize,
    /// The part; it ends within the message.
    pub body: &'a [u8],
}

impl Fragment<'_> {
    /// Whether it is the whole message.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.body.len() == self.length
    }
}

/// The fragments in one record, in order. A fragment that is not understood ends them.
#[derive(Clone, Debug)]
pub struct Fragments<'a>(Reader<'a>);

impl<'a> Fragments<'a> {
    /// The fragments in the body of a record.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self(Reader(body))
    }

    fn read(&mut self) -> Option<Fragment<'a>> {
        let kind = HandshakeType::from_u8(self.0.u8()?)?;
        let length = self.0.u24()?;
        let sequence = self.0.u16()?;
        let offset = self.0.u24()?;
        let body = self.0.vector24()?;
        // Only an empty message has an empty fragment.
        let fits = offset + body.len() <= length && (length == 0 || !body.is_empty());
        fits.then_some(Fragment { kind, length, sequence, offset, body })
    }
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        let fragment = self.read();
        if fragment.is_none() {
            self.0 = Reader(&[]);
        }
        fragment
    }
}

/// Writes the header of a fragment of `part` bytes.
pub(crate) fn put_header(
    buffer: &mut Vec<u8>,
    kind: HandshakeType,
    length: usize,
    sequence: u16,
    offset: usize,
    part: usize,
) {
    buffer.push(kind as u8);
    put_u24(buffer, length);
    buffer.extend_from_slice(&sequence.to_be_bytes());
    put_u24(buffer, offset);
    put_u24(buffer, part);
}
