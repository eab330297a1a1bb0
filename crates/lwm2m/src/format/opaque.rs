//! The opaque format: one value (LwM2M Core 1.1 section 7.4).

use super::FormatError;
use crate::model::{Node, ObjectDefinition, Path};

/// Writes one value.
///
/// # Errors
/// [`FormatError::NotAcceptable`] if it is not one value.
pub fn encode(node: &Node, out: &mut Vec<u8>) -> Result<(), FormatError> {
    todo!("{node:?} {out:?}")
}

/// Reads the value of a single resource or of a resource instance.
///
/// # Errors
/// [`FormatError`].
pub fn decode(path: &Path, definition: &ObjectDefinition, payload: &[u8]) -> Result<Node, FormatError> {
    todo!("{path} {definition:?} {payload:?}")
}
