//! Content formats: how a [`Node`] is written in a payload (LwM2M Core 1.1 section 7.4).
//!
//! [`encode`] and [`decode`] choose by Content-Format; the modules below hold one format each. Decoding is strict, and
//! never holds more than what it was given: every octet counted once, every length checked before it is used.
//!
//! What LwM2M leaves to the definition is decided here by one rule: a resource that the definition does not know is
//! decoded as an Opaque (as Opaques, if the payload shows instances). Whether that is an error is for the reader to say:
//! a client refuses or skips it when it is written, a server shows it.

pub mod link;
pub mod opaque;
pub mod text;
pub mod tlv;

use lapwing_coap::{Code, ContentFormat};

use crate::model::{CheckError, Level, Node, ObjectDefinition, Path, PathError};

/// The formats that [`encode`] and [`decode`] know.
pub const SUPPORTED: &[ContentFormat] =
    &[ContentFormat::TEXT, ContentFormat::OPAQUE, ContentFormat::OLD_TLV, ContentFormat::TLV];

/// Whether [`encode`] and [`decode`] know the format.
pub fn is_supported(format: ContentFormat) -> bool {
    SUPPORTED.contains(&format)
}

/// The format for the content of `path` when a request does not ask for one: text or opaque for a single value, TLV
/// otherwise.
pub fn default_for(path: &Path, definition: &ObjectDefinition) -> ContentFormat {
    todo!("{path} {definition:?}")
}

/// Writes the content of `path` behind what `out` has.
///
/// # Errors
/// [`FormatError::NotAcceptable`] for a format that is not known or cannot carry this content: text and opaque carry
/// one value. `out` is then as it was.
pub fn encode(format: ContentFormat, path: &Path, node: &Node, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match format {
        ContentFormat::TEXT => text::encode(node, out),
        ContentFormat::OPAQUE => opaque::encode(node, out),
        ContentFormat::TLV | ContentFormat::OLD_TLV => tlv::encode(path, node, out),
        _ => Err(FormatError::NotAcceptable),
    }
}

/// Reads the content of `path`: a resource instance gives a [`Node::Value`], a resource a [`Node::Resource`] and so on.
///
/// # Errors
/// What is wrong; [`FormatError::code`] is the answer the standard names for it.
pub fn decode(
    format: ContentFormat,
    path: &Path,
    definition: &ObjectDefinition,
    payload: &[u8],
) -> Result<Node, FormatError> {
    match format {
        ContentFormat::TEXT => text::decode(path, definition, payload),
        ContentFormat::OPAQUE => opaque::decode(path, definition, payload),
        ContentFormat::TLV | ContentFormat::OLD_TLV => tlv::decode(path, definition, payload),
        _ => Err(FormatError::UnsupportedFormat),
    }
}

/// What keeps content from being written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The payload's format is not known, or does not go with the path (text for an instance).
    #[error("unsupported content format")]
    UnsupportedFormat,
    /// The content cannot be written in the format that is asked for.
    #[error("the content cannot be had in this format")]
    NotAcceptable,
    /// The payload is not of its format.
    #[error("malformed at octet {offset}: {what}")]
    Malformed {
        /// The first octet that is wrong.
        offset: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The payload is well-formed, but does not fit the definition.
    #[error("{path}: {why}")]
    Mismatch {
        /// What does not fit.
        path: Path,
        /// Why not.
        why: CheckError,
    },
    /// A path in the payload is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A node stands at another level than its path; the caller's fault.
    #[error("the content is of the level {found:?}, the path of {expected:?}")]
    Level {
        /// The level of the path.
        expected: Level,
        /// The level of the node.
        found: Level,
    },
}

impl FormatError {
    /// The answer to a request for which this is the reason: 4.15, 4.06, 4.00, or 5.00 where the fault is our own.
    pub const fn code(&self) -> Code {
        match self {
            FormatError::UnsupportedFormat => Code::UNSUPPORTED_CONTENT_FORMAT,
            FormatError::NotAcceptable => Code::NOT_ACCEPTABLE,
            FormatError::Malformed { .. } | FormatError::Mismatch { .. } | FormatError::Path(_) => Code::BAD_REQUEST,
            FormatError::Level { .. } => Code::INTERNAL_SERVER_ERROR,
        }
    }
}
