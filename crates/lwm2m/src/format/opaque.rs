//! The opaque format: the octets of one Opaque (LwM2M Core 1.1 section 7.4.2).

use super::{FormatError, one_value, value_definition, wrap};
use crate::model::{CheckError, Node, ObjectDefinition, Path, ResourceType, Value};

/// Writes the octets of one Opaque.
///
/// # Errors
/// [`FormatError::NotAcceptable`] if it is not that.
pub fn encode(node: &Node, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let bytes = one_value(node)?.as_bytes().ok_or(FormatError::NotAcceptable)?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Reads the octets of a single Opaque resource or resource instance; what the definition
/// does not know, or says to be executable, is taken for one.
///
/// # Errors
/// [`FormatError::UnsupportedFormat`] for a path that cannot have one value, [`FormatError::Mismatch`] for another type.
pub fn decode(path: &Path, definition: &ObjectDefinition, payload: &[u8]) -> Result<Node, FormatError> {
    match value_definition(path, definition)? {
        Some(resource) if !matches!(resource.kind, ResourceType::Opaque | ResourceType::None) => {
            Err(FormatError::Mismatch {
                path: *path,
                why: CheckError::Type { expected: resource.kind, found: ResourceType::Opaque },
            })
        }
        _ => Ok(wrap(path, Value::Opaque(payload.to_vec()))),
    }
}
