//! What all blocks of one response have in common.

use crate::{content_format::ContentFormat, wire::Code};

/// An entity-tag, 1 to 8 bytes (RFC 7252 section 5.10.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Etag {
    bytes: [u8; 8],
    length: u8,
}

impl Etag {
    /// `None` if the length is none of an entity-tag.
    pub(crate) fn new(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        (!value.is_empty()).then_some(Self { bytes, length: value.len() as u8 })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl From<u64> for Etag {
    fn from(digest: u64) -> Self {
        Self { bytes: digest.to_be_bytes(), length: 8 }
    }
}

/// Code and options that each block of a response has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) code: Code,
    pub(crate) content_format: Option<ContentFormat>,
    pub(crate) etag: Option<Etag>,
    pub(crate) max_age: Option<u32>,
}

impl Head {
    pub(crate) fn of(code: Code) -> Self {
        Self { code, content_format: None, etag: None, max_age: None }
    }
}
