//! The TLV format (LwM2M Core 1.1 section 7.4.4).

use super::FormatError;
use crate::model::{Node, ObjectDefinition, Path};

/// Writes the content of an object, instance, resource or resource instance.
///
/// # Errors
/// [`FormatError::Level`].
pub fn encode(path: &Path, node: &Node, out: &mut Vec<u8>) -> Result<(), FormatError> {
    todo!("{path} {node:?} {out:?}")
}

/// Reads the content of `path`.
///
/// # Errors
/// [`FormatError::Malformed`] or [`FormatError::Mismatch`].
pub fn decode(path: &Path, definition: &ObjectDefinition, payload: &[u8]) -> Result<Node, FormatError> {
    todo!("{path} {definition:?} {payload:?}")
}

/// Reads the payload of a Create: `/object` with one instance, whose number the client chooses if the payload has none.
///
/// # Errors
/// [`FormatError::Malformed`] or [`FormatError::Mismatch`].
pub fn decode_create(
    definition: &ObjectDefinition,
    payload: &[u8],
) -> Result<(Option<u16>, crate::model::Instance), FormatError> {
    todo!("{definition:?} {payload:?}")
}
