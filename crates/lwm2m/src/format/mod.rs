//! Content formats: how a [`Node`] is written in a payload (LwM2M Core 1.1 section 7.4).
//!
//! [`encode`] and [`decode`] choose by Content-Format; the modules below hold one format each. Decoding is strict, and
//! never holds more than what it was given: every octet counted once, every length checked before it is used.
//!
//! A resource that the definition does not know is decoded all the same: as an Opaque (as Opaques, if the payload shows
//! instances), from text as a String. What becomes of it is for the reader to say: a client passes over it when an
//! instance is written (LwM2M Core 1.2.2 section 6.3.3: it is not an error), a server shows it.

pub mod link;
pub mod opaque;
pub mod text;
pub mod tlv;

use lapwing_coap::link::LinkError;
use lapwing_coap::{Code, ContentFormat};

use crate::model::{
    CheckError, Instance, InstanceId, Level, Node, ObjectDefinition, Path, PathError, Resource, ResourceDefinition,
    ResourceType, Value,
};

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
    match value_definition(path, definition) {
        Ok(Some(resource)) if resource.kind == ResourceType::Opaque => ContentFormat::OPAQUE,
        Ok(Some(_)) => ContentFormat::TEXT,
        _ => ContentFormat::TLV,
    }
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

/// Writes the payload of a Create behind what `out` has; without an id the client chooses one.
///
/// # Errors
/// [`FormatError::UnsupportedFormat`] for a format that cannot carry instances, else as for [`encode`].
pub fn encode_create(
    format: ContentFormat,
    id: Option<InstanceId>,
    instance: &Instance,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    match format {
        ContentFormat::TLV | ContentFormat::OLD_TLV => tlv::encode_create(id, instance, out),
        _ => Err(FormatError::UnsupportedFormat),
    }
}

/// Reads the payload of a Create: the resources of the new instance, and its id if the payload has one.
///
/// # Errors
/// [`FormatError::UnsupportedFormat`] for a format that cannot carry instances, else as for [`decode`].
pub fn decode_create(
    format: ContentFormat,
    definition: &ObjectDefinition,
    payload: &[u8],
) -> Result<(Option<InstanceId>, Instance), FormatError> {
    match format {
        ContentFormat::TLV | ContentFormat::OLD_TLV => tlv::decode_create(definition, payload),
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
    /// The payload is not link-format.
    #[error(transparent)]
    Link(#[from] LinkError),
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
            FormatError::Malformed { .. }
            | FormatError::Mismatch { .. }
            | FormatError::Link(_)
            | FormatError::Path(_) => Code::BAD_REQUEST,
            FormatError::Level { .. } => Code::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The one value that text and opaque can carry.
fn one_value(node: &Node) -> Result<&Value, FormatError> {
    node.value().ok_or(FormatError::NotAcceptable)
}

/// The definition of the one value at `path`, if it is known.
fn value_definition<'a>(
    path: &Path,
    definition: &'a ObjectDefinition,
) -> Result<Option<&'a ResourceDefinition>, FormatError> {
    let resource = definition.resource(path.resource_id().ok_or(FormatError::UnsupportedFormat)?);
    match resource {
        Some(resource) if resource.multiple && path.level() == Level::Resource => Err(FormatError::UnsupportedFormat),
        Some(resource) if !resource.multiple && path.level() == Level::ResourceInstance => {
            Err(FormatError::Mismatch { path: *path, why: CheckError::Multiplicity })
        }
        resource => Ok(resource),
    }
}

/// The node that one value makes at `path`, a resource or a resource instance.
fn wrap(path: &Path, value: Value) -> Node {
    match path.level() {
        Level::ResourceInstance => Node::Value(value),
        _ => Node::Resource(Resource::Single(value)),
    }
}
