//! One type-length-value entry: its header, and entries in a row.

use crate::format::FormatError;
use crate::model::MAX_ID;

/// The longest value that a header can announce: 24 bits.
pub(super) const MAX_LENGTH: usize = 0xff_ffff;

/// What an entry is, bits 7 and 6 of its first octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ObjectInstance,
    ResourceInstance,
    MultipleResource,
    Resource,
}

/// One entry; `offset` is that of its first octet in the whole payload, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) kind: Kind,
    pub(super) id: u16,
    pub(super) value: &'a [u8],
    pub(super) offset: usize,
    value_offset: usize,
}

impl<'a> Entry<'a> {
    /// The entries in this one's value.
    pub(super) fn inside(&self) -> Entries<'a> {
        Entries { rest: self.value, offset: self.value_offset }
    }

    pub(super) fn expect(&self, kind: Kind) -> Result<(), FormatError> {
        if self.kind == kind { Ok(()) } else { Err(self.misplaced()) }
    }

    pub(super) fn expect_id(&self, id: u16) -> Result<(), FormatError> {
        if self.id == id { Ok(()) } else { Err(self.wrong("another id than the path's")) }
    }

    pub(super) fn only_once<T>(&self, before: Option<T>) -> Result<(), FormatError> {
        if before.is_none() { Ok(()) } else { Err(self.wrong("an id that was there before")) }
    }

    pub(super) fn misplaced(&self) -> FormatError {
        self.wrong(match self.kind {
            Kind::ObjectInstance => "an object instance does not belong here",
            Kind::ResourceInstance => "a resource instance does not belong here",
            Kind::MultipleResource | Kind::Resource => "a resource does not belong here",
        })
    }

    /// An error in the value.
    pub(super) fn bad_value(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { offset: self.value_offset, what }
    }

    fn wrong(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { offset: self.offset, what }
    }
}

/// Entries in a row.
#[derive(Debug, Clone)]
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Entries<'a> {
    pub(super) const fn new(payload: &'a [u8]) -> Entries<'a> {
        Entries { rest: payload, offset: 0 }
    }

    /// The next entry, which stays the next one.
    pub(super) fn peek(&self) -> Result<Option<Entry<'a>>, FormatError> {
        self.clone().next_entry()
    }

    /// The next entry; `None` behind the last one.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry<'a>>, FormatError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset;
        let (kind, id, length) = self.header()?;
        let value_offset = self.offset;
        let (value, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.truncated())?;
        self.rest = rest;
        self.offset += length;
        Ok(Some(Entry { kind, id, value, offset, value_offset }))
    }

    /// The kind, id and length of the value that the next header tells; the value is next.
    pub(super) fn header(&mut self) -> Result<(Kind, u16, usize), FormatError> {
        let offset = self.offset;
        let [first] = self.take()?;
        let kind = match first >> 6 {
            0 => Kind::ObjectInstance,
            1 => Kind::ResourceInstance,
            2 => Kind::MultipleResource,
            _ => Kind::Resource,
        };
        let id = if first & 0x20 == 0 {
            u16::from_be_bytes([0, self.take::<1>()?[0]])
        } else {
            u16::from_be_bytes(self.take()?)
        };
        if id == MAX_ID {
            return Err(FormatError::Malformed { offset, what: "the id 65535 is reserved" });
        }
        let length = match first >> 3 & 3 {
            0 => usize::from(first & 7),
            1 => usize::from(self.take::<1>()?[0]),
            2 => usize::from(u16::from_be_bytes(self.take()?)),
            _ => {
                let [high, middle, low] = self.take()?;
                u32::from_be_bytes([0, high, middle, low]) as usize
            }
        };
        Ok((kind, id, length))
    }

    /// Where the next octet is in the whole payload.
    pub(super) const fn offset(&self) -> usize {
        self.offset
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.truncated())?;
        self.rest = rest;
        self.offset += N;
        Ok(*taken)
    }

    fn truncated(&self) -> FormatError {
        FormatError::Malformed { offset: self.offset, what: "an entry is longer than what is around it" }
    }
}

/// How many octets the header of an entry takes.
pub(super) const fn header_length(id: u16, length: usize) -> usize {
    let id = if id < 0x100 { 1 } else { 2 };
    let length = match length {
        0..8 => 0,
        8..0x100 => 1,
        0x100..0x1_0000 => 2,
        _ => 3,
    };
    1 + id + length
}

/// Writes a header; the length must not exceed [`MAX_LENGTH`].
pub(super) fn put_header(kind: Kind, id: u16, length: usize, out: &mut Vec<u8>) {
    debug_assert!(length <= MAX_LENGTH);
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    let (length_bits, length_octets): (u8, &[u8]) = match length {
        0..8 => (low, &[]),
        8..0x100 => (1 << 3, &[low]),
        0x100..0x1_0000 => (2 << 3, &[middle, low]),
        _ => (3 << 3, &[high, middle, low]),
    };
    let id_octets = id.to_be_bytes();
    let (id_bit, id_octets) = if id < 0x100 { (0, &id_octets[1..]) } else { (0x20, &id_octets[..]) };
    out.push((kind as u8) << 6 | id_bit | length_bits);
    out.extend_from_slice(id_octets);
    out.extend_from_slice(length_octets);
}
