use core::{fmt, str};

use super::option::{self, Definition};
use super::{Block, FormatError, ReservedBlockSize};
use crate::ContentFormat;

const PAYLOAD_MARKER: u8 = 0xff;

/// One option of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionRef<'a> {
    /// The number; [`option`] has the constants.
    pub number: u16,
    /// The value, at most 65,804 bytes.
    pub value: &'a [u8],
}

impl OptionRef<'_> {
    /// The value as an unsigned integer in network byte order, or `None` above four bytes (RFC 7252 section 3.2).
    #[must_use]
    #[inline]
    pub fn uint(&self) -> Option<u32> {
        if self.value.len() > 4 {
            return None;
        }
        Some(self.value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }
}

/// The options of one message, well-formed and in ascending order of their numbers.
///
/// The helpers follow RFC 7252 section 5.4: an option with a length that is not permitted counts as absent, and so do
/// further occurrences of one that is not repeatable. Where such an option is critical, [`Options::unrecognized_critical`] says so.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Options<'a> {
    bytes: &'a [u8],
}

/// One step through encoded options: the number and value of the first one, and what follows it. `None` is the end.
#[inline]
fn step(bytes: &[u8], previous: u16) -> Result<Option<(OptionRef<'_>, &[u8])>, FormatError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let (short_delta, short_length) = (first >> 4, first & 0xf);
    // Nearly every option of a real message has both in its first byte.
    if short_delta < 13 && short_length < 13 {
        let (value, rest) = rest.split_at_checked(usize::from(short_length)).ok_or(FormatError::TruncatedOption)?;
        let number = previous.checked_add(u16::from(short_delta)).ok_or(FormatError::OptionNumber)?;
        return Ok(Some((OptionRef { number, value }, rest)));
    }
    if first == PAYLOAD_MARKER {
        return Ok(None);
    }
    extended(short_delta, short_length, rest, previous).map(Some)
}

fn extended(
    short_delta: u8,
    short_length: u8,
    rest: &[u8],
    previous: u16,
) -> Result<(OptionRef<'_>, &[u8]), FormatError> {
    let (delta, rest) = extension(short_delta, rest, FormatError::ReservedDelta)?;
    let (length, rest) = extension(short_length, rest, FormatError::ReservedLength)?;
    let number = u16::try_from(u32::from(previous) + delta).map_err(|_| FormatError::OptionNumber)?;
    let (value, rest) = rest.split_at_checked(length as usize).ok_or(FormatError::TruncatedOption)?;
    Ok((OptionRef { number, value }, rest))
}

/// The delta or length whose four bits are `nibble`, with its extension at the start of `rest` (RFC 7252 section 3.1).
fn extension(nibble: u8, rest: &[u8], reserved: FormatError) -> Result<(u32, &[u8]), FormatError> {
    match (nibble, rest) {
        (0..=12, _) => Ok((u32::from(nibble), rest)),
        (13, &[byte, ref rest @ ..]) => Ok((u32::from(byte) + 13, rest)),
        (14, &[high, low, ref rest @ ..]) => Ok((u32::from(u16::from_be_bytes([high, low])) + 269, rest)),
        (13 | 14, _) => Err(FormatError::TruncatedOption),
        _ => Err(reserved),
    }
}

/// Checks `bytes`, which follow the token of a message, and separates the options from the payload.
#[inline]
pub(super) fn split(bytes: &[u8]) -> Result<(Options<'_>, &[u8]), FormatError> {
    let (mut rest, mut number) = (bytes, 0);
    while let Some((option, after)) = step(rest, number)? {
        (rest, number) = (after, option.number);
    }
    let options = Options { bytes: &bytes[..bytes.len() - rest.len()] };
    match rest {
        [] => Ok((options, rest)),
        [_] => Err(FormatError::EmptyPayload),
        [_, payload @ ..] => Ok((options, payload)),
    }
}

impl<'a> Options<'a> {
    /// Checks options that are encoded as in a message, without a payload marker: for example ones that were kept.
    ///
    /// # Errors
    /// When `bytes` are not well-formed, or a payload marker is among them ([`FormatError::ReservedDelta`]).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        match split(bytes)? {
            (options, []) => Ok(options),
            _ => Err(FormatError::ReservedDelta),
        }
    }

    /// The options as they are encoded in the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All options in order.
    #[must_use]
    #[inline]
    pub const fn iter(&self) -> OptionIter<'a> {
        OptionIter { bytes: self.bytes, number: 0 }
    }

    /// All options with this number, in order.
    #[must_use]
    #[inline]
    pub const fn with(&self, number: u16) -> OptionsWith<'a> {
        OptionsWith { iter: self.iter(), number }
    }

    /// The value of the first option with this number, of any length.
    #[must_use]
    #[inline]
    pub fn first(&self, number: u16) -> Option<&'a [u8]> {
        self.with(number).next()
    }

    /// The first critical option that must not be ignored, or `None` when the message can be processed.
    ///
    /// That is one whose number `understood` says no to; one with a value that its definition does not permit; or a further
    /// occurrence of one that is not repeatable (RFC 7252 sections 5.4.1, 5.4.3 and 5.4.5). Because of it, a request is answered
    /// 4.02, a response that came in a Confirmable message is reset, and any other response is ignored (section 5.4.1).
    #[must_use]
    pub fn unrecognized_critical(&self, understood: impl Fn(u16) -> bool) -> Option<u16> {
        let mut previous = None;
        for OptionRef { number, value } in self.iter() {
            let repeated = previous.replace(number) == Some(number);
            if !option::is_critical(number) {
                continue;
            }
            let usable = |definition: Definition| definition.permits(value) && (definition.repeatable || !repeated);
            if !understood(number) || !option::definition(number).is_none_or(usable) {
                return Some(number);
            }
        }
        None
    }

    /// The segments of the path, from Uri-Path (RFC 7252 section 5.10.1).
    #[must_use]
    #[inline]
    pub const fn uri_path(&self) -> TextOptions<'a> {
        TextOptions(self.with(option::URI_PATH))
    }

    /// The arguments of the query, from Uri-Query, as in `lt=300` (RFC 7252 section 5.10.1).
    #[must_use]
    #[inline]
    pub const fn uri_query(&self) -> TextOptions<'a> {
        TextOptions(self.with(option::URI_QUERY))
    }

    /// The segments of the path of what was created, from Location-Path (RFC 7252 section 5.10.7).
    #[must_use]
    #[inline]
    pub const fn location_path(&self) -> TextOptions<'a> {
        TextOptions(self.with(option::LOCATION_PATH))
    }

    /// The arguments of the query of what was created, from Location-Query (RFC 7252 section 5.10.7).
    #[must_use]
    #[inline]
    pub const fn location_query(&self) -> TextOptions<'a> {
        TextOptions(self.with(option::LOCATION_QUERY))
    }

    /// What the payload is, from Content-Format (RFC 7252 section 5.10.3).
    #[must_use]
    #[inline]
    pub fn content_format(&self) -> Option<ContentFormat> {
        self.uint(option::CONTENT_FORMAT, 2).map(|value| ContentFormat(value as u16))
    }

    /// What the answer's payload shall be, from Accept (RFC 7252 section 5.10.4).
    #[must_use]
    #[inline]
    pub fn accept(&self) -> Option<ContentFormat> {
        self.uint(option::ACCEPT, 2).map(|value| ContentFormat(value as u16))
    }

    /// Observe: 0 registers and 1 deregisters in a request; in a response it is the sequence number, 24 bits (RFC 7641 section 2).
    #[must_use]
    #[inline]
    pub fn observe(&self) -> Option<u32> {
        self.uint(option::OBSERVE, 3)
    }

    /// Max-Age in seconds. Where it is absent from a response, 60 is meant (RFC 7252 section 5.10.5).
    #[must_use]
    #[inline]
    pub fn max_age(&self) -> Option<u32> {
        self.uint(option::MAX_AGE, 4)
    }

    /// Block1: which block of the request's body this is (RFC 7959 section 2.1).
    ///
    /// # Errors
    /// When the size exponent is the reserved 7, for which a request is answered 4.00.
    #[inline]
    pub fn block1(&self) -> Result<Option<Block>, ReservedBlockSize> {
        self.uint(option::BLOCK1, 3).map(Block::decode).transpose()
    }

    /// Block2: which block of the response's body this is or shall be (RFC 7959 section 2.1).
    ///
    /// # Errors
    /// When the size exponent is the reserved 7, for which a request is answered 4.00.
    #[inline]
    pub fn block2(&self) -> Result<Option<Block>, ReservedBlockSize> {
        self.uint(option::BLOCK2, 3).map(Block::decode).transpose()
    }

    /// Q-Block2: which block of the response's body this is, or which ones shall be sent (RFC 9177 section 4.4); only a request may
    /// have more than one.
    ///
    /// # Errors
    /// As [`Options::block2`].
    #[inline]
    pub fn q_block2(&self) -> impl Iterator<Item = Result<Block, ReservedBlockSize>> + use<'a> {
        let values = self.iter().filter(|option| option.number == option::Q_BLOCK2 && option.value.len() <= 3);
        values.filter_map(|option| option.uint()).map(Block::decode)
    }

    /// Echo, 1 to 40 bytes: what the server wants to see again (RFC 9175 section 2.2).
    #[must_use]
    #[inline]
    pub fn echo(&self) -> Option<&'a [u8]> {
        self.first(option::ECHO).filter(|value| (1..=40).contains(&value.len()))
    }

    /// Size1: the size of the request's body in bytes, or in a 4.13 the greatest that is taken (RFC 7959 section 4).
    #[must_use]
    #[inline]
    pub fn size1(&self) -> Option<u32> {
        self.uint(option::SIZE1, 4)
    }

    /// Size2: the size of the response's body in bytes; 0 in a request asks for it (RFC 7959 section 4).
    #[must_use]
    #[inline]
    pub fn size2(&self) -> Option<u32> {
        self.uint(option::SIZE2, 4)
    }

    /// The first ETag, 1 to 8 bytes (RFC 7252 section 5.10.6).
    #[must_use]
    #[inline]
    pub fn etag(&self) -> Option<&'a [u8]> {
        self.etags().next()
    }

    /// All ETags, 1 to 8 bytes each; a request may have several (RFC 7252 section 5.10.6.2).
    #[inline]
    pub fn etags(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.with(option::ETAG).filter(|value| (1..=8).contains(&value.len()))
    }

    /// All values of If-Match, 0 to 8 bytes each; the empty one asks that the resource exists (RFC 7252 section 5.10.8.1).
    #[inline]
    pub fn if_match(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.with(option::IF_MATCH).filter(|value| value.len() <= 8)
    }

    /// Whether the resource must not exist, from If-None-Match (RFC 7252 section 5.10.8.2).
    #[must_use]
    #[inline]
    pub fn if_none_match(&self) -> bool {
        self.first(option::IF_NONE_MATCH).is_some_and(<[u8]>::is_empty)
    }

    /// The host the request is for, from Uri-Host (RFC 7252 section 5.10.1).
    #[must_use]
    pub fn uri_host(&self) -> Option<&'a str> {
        self.first(option::URI_HOST)
            .filter(|value| (1..=255).contains(&value.len()))
            .and_then(|value| str::from_utf8(value).ok())
    }

    /// The port the request is for, from Uri-Port (RFC 7252 section 5.10.1).
    #[must_use]
    pub fn uri_port(&self) -> Option<u16> {
        self.uint(option::URI_PORT, 2).map(|value| value as u16)
    }

    #[inline]
    fn uint(&self, number: u16, max_length: usize) -> Option<u32> {
        self.first(number)
            .filter(|value| value.len() <= max_length)
            .and_then(|value| OptionRef { number, value }.uint())
    }
}

impl<'a> IntoIterator for Options<'a> {
    type Item = OptionRef<'a>;
    type IntoIter = OptionIter<'a>;

    fn into_iter(self) -> OptionIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Options<'a> {
    type Item = OptionRef<'a>;
    type IntoIter = OptionIter<'a>;

    fn into_iter(self) -> OptionIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The iterator of [`Options::iter`].
#[derive(Debug, Clone)]
pub struct OptionIter<'a> {
    bytes: &'a [u8],
    number: u16,
}

impl<'a> Iterator for OptionIter<'a> {
    type Item = OptionRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<OptionRef<'a>> {
        // The bytes were checked when the `Options` were made, so that an error is the end.
        let (option, rest) = step(self.bytes, self.number).ok()??;
        (self.bytes, self.number) = (rest, option.number);
        Some(option)
    }
}

/// The iterator of [`Options::with`]: the values of one option.
#[derive(Debug, Clone)]
pub struct OptionsWith<'a> {
    iter: OptionIter<'a>,
    number: u16,
}

impl<'a> Iterator for OptionsWith<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let option = self.iter.next()?;
            if option.number == self.number {
                return Some(option.value);
            }
            if option.number > self.number {
                self.iter.bytes = &[];
                return None;
            }
        }
    }
}

/// The values of one option that is text, as in [`Options::uri_path`].
///
/// A value that is not UTF-8 comes as U+FFFD, so that it can never be mistaken for a path without it.
#[derive(Debug, Clone)]
pub struct TextOptions<'a>(OptionsWith<'a>);

impl<'a> Iterator for TextOptions<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(|value| str::from_utf8(value).unwrap_or("\u{fffd}"))
    }
}
