use core::fmt::{self, Display, Formatter};

use super::option::{self, Format};
use super::{Block, Code, Message, OptionRef};
use crate::ContentFormat;

/// One line for logs and ladder diagrams that tells what a datagram is, whether it is a message or not.
///
/// Payloads are given by their length only, so that none gets into a log.
///
/// ```
/// # use lapwing_coap::wire::describe;
/// assert_eq!(describe(&[0x40, 0x01, 0x04, 0xd2, 0xb1, b'3', 0x01, b'0']).to_string(), "CON [1234] GET /3/0");
/// assert_eq!(describe(b"").to_string(), "0 bytes: a datagram of 0 bytes is too short for a CoAP header");
/// ```
#[must_use]
pub fn describe(datagram: &[u8]) -> Describe<'_> {
    Describe(datagram)
}

/// What [`describe`] returns.
#[derive(Debug, Clone, Copy)]
pub struct Describe<'a>(&'a [u8]);

impl Display for Describe<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match Message::parse(self.0) {
            Ok(message) => message.fmt(f),
            Err(error) => write!(f, "{} bytes: {error}", self.0.len()),
        }
    }
}

/// As in `CON [1234] GET /3/0/0 token=ab01 accept=TLV block2=0/0/1024`.
impl Display for Message<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.kind.name(), self.id)?;
        match (self.code, self.code.name()) {
            (Code::EMPTY, _) => {}
            (code, Some(name)) if code.is_request() => write!(f, " {name}")?,
            (code, Some(name)) => write!(f, " {code} {name}")?,
            (code, None) => write!(f, " {code}")?,
        }
        if self.code.is_request() {
            f.write_str(" ")?;
            path(f, self.options.uri_path(), self.options.uri_query())?;
        }
        if !self.token.is_empty() {
            write!(f, " token={}", self.token)?;
        }
        if self.options.location_path().next().is_some() {
            f.write_str(" location=")?;
            path(f, self.options.location_path(), self.options.location_query())?;
        }
        for option in self.options {
            rest(f, option)?;
        }
        if self.payload.is_empty() { Ok(()) } else { write!(f, " payload={}", self.payload.len()) }
    }
}

fn path<'a>(
    f: &mut Formatter<'_>,
    mut segments: impl Iterator<Item = &'a str>,
    queries: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    write!(f, "/{}", segments.next().unwrap_or_default().escape_debug())?;
    segments.try_for_each(|segment| write!(f, "/{}", segment.escape_debug()))?;
    queries
        .zip(["?"].into_iter().chain(core::iter::repeat("&")))
        .try_for_each(|(query, before)| write!(f, "{before}{}", query.escape_debug()))
}

fn rest(f: &mut Formatter<'_>, option: OptionRef<'_>) -> fmt::Result {
    let OptionRef { number, value } = option;
    match (number, option.uint()) {
        (option::URI_PATH | option::URI_QUERY | option::LOCATION_PATH | option::LOCATION_QUERY, _) => return Ok(()),
        (option::ACCEPT, Some(format)) => return write!(f, " accept={}", ContentFormat(format as u16)),
        (option::CONTENT_FORMAT, Some(format)) => return write!(f, " format={}", ContentFormat(format as u16)),
        (option::BLOCK1 | option::BLOCK2, Some(value)) => {
            if let Ok(block) = Block::decode(value) {
                return write!(f, " block{}={block}", if number == option::BLOCK1 { 1 } else { 2 });
            }
        }
        _ => {}
    }
    let definition = option::definition(number);
    match definition {
        Some(definition) => f
            .write_str(" ")
            .and_then(|()| definition.name.chars().try_for_each(|c| write!(f, "{}", c.to_ascii_lowercase())))?,
        None => write!(f, " option{number}")?,
    }
    match (definition.map(|definition| definition.format), option.uint(), core::str::from_utf8(value)) {
        (Some(Format::Empty), ..) if value.is_empty() => Ok(()),
        (Some(Format::Uint), Some(number), _) => write!(f, "={number}"),
        (Some(Format::String), _, Ok(text)) => write!(f, "={}", text.escape_debug()),
        _ => f.write_str("=").and_then(|()| value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))),
    }
}
