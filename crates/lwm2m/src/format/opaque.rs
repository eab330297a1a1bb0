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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::test_object_v1_1 as test;
    use crate::model::Resource;

    #[test]
    fn carries_one_opaque_both_ways() {
        let base = Path::object(3442).instance(0);
        let multiple = base.resource(test::MULTIPLE_OPAQUE_VALUE);
        for (path, node) in [
            (base.resource(test::OPAQUE_VALUE), Node::single(vec![0, 0xff])),
            (multiple.resource_instance(1), Node::Value(vec![0, 0xff].into())),
            (base.resource(999), Node::single(vec![0, 0xff])),
        ] {
            let mut out = Vec::new();
            encode(&node, &mut out).unwrap();
            assert_eq!(out, [0, 0xff]);
            assert_eq!(decode(&path, &test::V1_0, &out), Ok(node));
        }
        assert_eq!(decode(&multiple, &test::V1_0, &[]), Err(FormatError::UnsupportedFormat));
        assert_eq!(decode(&base, &test::V1_0, &[]), Err(FormatError::UnsupportedFormat));
    }

    #[test]
    fn carries_nothing_else() {
        let text = Path::object(3442).instance(0).resource(test::STRING_VALUE);
        let expected = CheckError::Type { expected: ResourceType::String, found: ResourceType::Opaque };
        assert_eq!(decode(&text, &test::V1_0, b"x"), Err(FormatError::Mismatch { path: text, why: expected }));
        let mut out = Vec::new();
        for node in [Node::single("x"), Node::Resource(Resource::multiple([(0, vec![1])])), Node::Instance([].into())] {
            assert_eq!(encode(&node, &mut out), Err(FormatError::NotAcceptable));
        }
    }
}
