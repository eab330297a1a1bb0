use core::fmt::{self, Display, Formatter, Write};

use super::option::{self, Format};
use super::{Block, Code, Message, OptionRef};
use crate::ContentFormat;

/// One line for logs and ladder diagrams that tells what a datagram is, whether it is a message or not.
///
/// Payloads are given by their length in bytes only, so that none gets into a log. What a stranger sent is escaped, and beyond some 400 bytes
/// cut off.
///
/// ```
/// # use lapwing_coap::wire::describe;
/// assert_eq!(describe(&[0x40, 0x01, 0x04, 0xd2, 0xb1, b'3', 0x01, b'0']).to_string(), "CON [1234] GET /3/0");
/// assert_eq!(describe(b"").to_string(), "0 bytes: a datagram of 0 bytes is too short for a CoAP header");
/// ```
#[must_use]
pub const fn describe(datagram: &[u8]) -> Describe<'_> {
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

/// As in `CON [1234] GET /3/0/0 token=ab01 accept=TLV block2=0/0/1024`, at most some 400 bytes long.
impl Display for Message<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = Line { f, left: 400 };
        match (line.message(self), line.left) {
            (Err(_), 0) => f.write_str(".."),
            (result, _) => result,
        }
    }
}

/// Passes on text until so many bytes are reached; then it fails with nothing left.
struct Line<'f, 'g> {
    f: &'f mut Formatter<'g>,
    left: usize,
}

impl Write for Line<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                self.f.write_str(text)
            }
            None => {
                let cut = (0..=self.left).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
                self.left = 0;
                self.f.write_str(&text[..cut])?;
                Err(fmt::Error)
            }
        }
    }
}

impl Line<'_, '_> {
    fn message(&mut self, message: &Message<'_>) -> fmt::Result {
        let Message { kind, code, id, token, options, payload } = message;
        write!(self, "{} [{id}]", kind.name())?;
        match code.name() {
            _ if *code == Code::EMPTY => {}
            Some(name) if code.is_request() => write!(self, " {name}")?,
            Some(name) => write!(self, " {code} {name}")?,
            None => write!(self, " {code}")?,
        }
        if code.is_request() {
            self.write_str(" ")?;
            self.path(options.uri_path(), options.uri_query())?;
        }
        if !token.is_empty() {
            write!(self, " token={token}")?;
        }
        if options.location_path().chain(options.location_query()).next().is_some() {
            self.write_str(" location=")?;
            self.path(options.location_path(), options.location_query())?;
        }
        options.iter().try_for_each(|option| self.option(option, code.is_request()))?;
        if payload.is_empty() { Ok(()) } else { write!(self, " payload={}", payload.len()) }
    }

    fn path<'a>(
        &mut self,
        mut segments: impl Iterator<Item = &'a str>,
        queries: impl Iterator<Item = &'a str>,
    ) -> fmt::Result {
        write!(self, "/{}", segments.next().unwrap_or_default().escape_debug())?;
        segments.try_for_each(|segment| write!(self, "/{}", segment.escape_debug()))?;
        for (index, query) in queries.enumerate() {
            write!(self, "{}{}", if index == 0 { '?' } else { '&' }, query.escape_debug())?;
        }
        Ok(())
    }

    fn option(&mut self, option: OptionRef<'_>, is_request: bool) -> fmt::Result {
        let OptionRef { number, value } = option;
        let block = option.uint().and_then(|value| Block::decode(value).ok());
        match (number, option.uint(), block) {
            (option::LOCATION_PATH | option::LOCATION_QUERY, ..) => Ok(()),
            (option::URI_PATH | option::URI_QUERY, ..) if is_request => Ok(()),
            (option::ACCEPT, Some(format @ 0..=0xffff), _) => {
                write!(self, " accept={}", ContentFormat(format as u16))
            }
            (option::CONTENT_FORMAT, Some(format @ 0..=0xffff), _) => {
                write!(self, " format={}", ContentFormat(format as u16))
            }
            (option::BLOCK1, _, Some(block)) => write!(self, " block1={block}"),
            (option::BLOCK2, _, Some(block)) => write!(self, " block2={block}"),
            _ => self.other(number, value, option.uint()),
        }
    }

    fn other(&mut self, number: u16, value: &[u8], uint: Option<u32>) -> fmt::Result {
        let definition = option::definition(number);
        match definition {
            Some(definition) => {
                self.write_str(" ")?;
                definition.name.chars().try_for_each(|c| self.write_char(c.to_ascii_lowercase()))?;
            }
            None => write!(self, " option{number}")?,
        }
        match (definition.map(|definition| definition.format), uint, core::str::from_utf8(value)) {
            (Some(Format::Empty), ..) if value.is_empty() => Ok(()),
            (Some(Format::Uint), Some(number), _) => write!(self, "={number}"),
            (Some(Format::String), _, Ok(text)) => write!(self, "={}", text.escape_debug()),
            _ => {
                self.write_str("=")?;
                value.iter().try_for_each(|byte| write!(self, "{byte:02x}"))
            }
        }
    }
}
