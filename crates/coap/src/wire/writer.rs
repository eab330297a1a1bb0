use core::ops::Range;

use super::{Block, Code, Message, MessageId, MessageType, Token};

/// Writes one message at the end of a buffer.
///
/// Options are to be written in ascending order of their numbers, then the payload, then [`Writer::finish`] gives the range of the
/// buffer that the message is. The buffer may hold other things before it; it grows as needed, so a reused one does not allocate.
#[derive(Debug)]
#[must_use = "the message is complete only at finish()"]
pub struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
    start: usize,
    number: u16,
    has_payload: bool,
}

impl<'b> Writer<'b> {
    /// The greatest length of an option's value in bytes (RFC 7252 section 3.1).
    pub const MAX_OPTION_LENGTH: usize = 269 + 0xffff;

    /// Begins a message at the end of `buffer`.
    pub fn new(buffer: &'b mut Vec<u8>, kind: MessageType, code: Code, id: MessageId, token: Token) -> Self {
        let start = buffer.len();
        let [high, low] = id.to_be_bytes();
        let first = Message::VERSION << 6 | (kind as u8) << 4 | token.len() as u8;
        buffer.extend_from_slice(&[first, code.0, high, low]);
        buffer.extend_from_slice(token.as_bytes());
        Self { buffer, start, number: 0, has_payload: false }
    }

    /// Writes an empty message: an ACK, a RST or, as a CON, a ping (RFC 7252 section 4.1).
    pub fn empty(buffer: &'b mut Vec<u8>, kind: MessageType, id: MessageId) -> Range<usize> {
        Self::new(buffer, kind, Code::EMPTY, id, Token::EMPTY).finish()
    }

    /// Writes an option with any value.
    ///
    /// # Panics
    /// When `number` is below that of the option before, when the payload is written already, or when the value is longer than
    /// [`Writer::MAX_OPTION_LENGTH`].
    pub fn option_bytes(&mut self, number: u16, value: &[u8]) -> &mut Self {
        assert!(!self.has_payload, "option {number} after the payload");
        assert!(value.len() <= Self::MAX_OPTION_LENGTH, "option {number} has {} bytes", value.len());
        let delta = number.checked_sub(self.number);
        let delta = delta.unwrap_or_else(|| panic!("option {number} after option {}", self.number));
        self.number = number;
        let (delta, delta_extension) = nibble(usize::from(delta));
        let (length, length_extension) = nibble(value.len());
        self.buffer.push(delta << 4 | length);
        extend(self.buffer, delta, delta_extension);
        extend(self.buffer, length, length_extension);
        self.buffer.extend_from_slice(value);
        self
    }

    /// Writes an option whose value is text, as in a segment of Uri-Path.
    ///
    /// # Panics
    /// As [`Writer::option_bytes`].
    pub fn option_str(&mut self, number: u16, value: &str) -> &mut Self {
        self.option_bytes(number, value.as_bytes())
    }

    /// Writes an option whose value is an unsigned integer, in as few bytes as it needs (RFC 7252 section 3.2).
    ///
    /// # Panics
    /// As [`Writer::option_bytes`].
    pub fn option_uint(&mut self, number: u16, value: u32) -> &mut Self {
        let skipped = value.leading_zeros() as usize / 8;
        self.option_bytes(number, &value.to_be_bytes()[skipped..])
    }

    /// Writes a Block1, Block2 or Q-Block2 option, whichever `number` is.
    ///
    /// # Panics
    /// As [`Writer::option_bytes`] and [`Block::encode`].
    pub fn option_block(&mut self, number: u16, block: Block) -> &mut Self {
        self.option_uint(number, block.encode())
    }

    /// Writes the payload, or more of it. An empty one is none.
    pub fn payload(&mut self, payload: &[u8]) -> &mut Self {
        self.payload_with(|buffer| buffer.extend_from_slice(payload))
    }

    /// Lets `write` append the payload, or more of it, to the buffer. It must leave what is there untouched.
    ///
    /// # Panics
    /// When `write` removed from the buffer.
    pub fn payload_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        if !self.has_payload {
            self.buffer.push(0xff);
        }
        let before = self.buffer.len();
        write(self.buffer);
        assert!(self.buffer.len() >= before, "the payload's writer removed from the buffer");
        if self.buffer.len() > before {
            self.has_payload = true;
        } else if !self.has_payload {
            self.buffer.pop();
        }
        self
    }

    /// How many bytes the message has so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Where in the buffer the message is.
    pub fn finish(&mut self) -> Range<usize> {
        self.start..self.buffer.len()
    }
}

/// The four bits for a delta or length, and what their extension carries (RFC 7252 section 3.1).
fn nibble(value: usize) -> (u8, u16) {
    match value {
        0..=12 => (value as u8, 0),
        13..=268 => (13, (value - 13) as u16),
        _ => (14, (value - 269) as u16),
    }
}

fn extend(buffer: &mut Vec<u8>, nibble: u8, extension: u16) {
    match nibble {
        13 => buffer.push(extension as u8),
        14 => buffer.extend_from_slice(&extension.to_be_bytes()),
        _ => {}
    }
}
