//! Content that may hold keys.

use std::fmt;

use zeroize::Zeroize;

use crate::model::{Instance, Node, Resource, Value};

/// Content on its way to a client, which may hold keys (0/x/5): its `Debug` shows none of it, and its memory is cleared
/// when it is dropped.
#[derive(Clone, PartialEq)]
pub struct SecretNode(Node);

impl SecretNode {
    /// The content.
    pub fn node(&self) -> &Node {
        &self.0
    }

    /// The resources, if this is an instance.
    pub fn instance(&self) -> Option<&Instance> {
        match &self.0 {
            Node::Instance(instance) => Some(instance),
            _ => None,
        }
    }
}

impl From<Node> for SecretNode {
    fn from(node: Node) -> SecretNode {
        SecretNode(node)
    }
}

impl From<Instance> for SecretNode {
    fn from(instance: Instance) -> SecretNode {
        SecretNode(Node::Instance(instance))
    }
}

impl fmt::Debug for SecretNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretNode({:?})", self.0.level())
    }
}

impl Drop for SecretNode {
    fn drop(&mut self) {
        match &mut self.0 {
            Node::Value(value) => clear_value(value),
            Node::Resource(resource) => clear_resource(resource),
            Node::Instance(instance) => instance.values_mut().for_each(clear_resource),
            Node::Object(instances) => instances.values_mut().flat_map(|one| one.values_mut()).for_each(clear_resource),
        }
    }
}

fn clear_resource(resource: &mut Resource) {
    match resource {
        Resource::Single(value) => clear_value(value),
        Resource::Multiple(values) => values.values_mut().for_each(clear_value),
    }
}

/// Keys are octets, or text.
fn clear_value(value: &mut Value) {
    match value {
        Value::Opaque(bytes) => bytes.zeroize(),
        Value::String(text) | Value::CoreLink(text) => text.zeroize(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_printed() {
        let secret = SecretNode::from(Instance::from([(5, Resource::from(b"key".as_slice()))]));
        assert_eq!(format!("{secret:?}"), "SecretNode(Instance)");
    }

    #[test]
    fn values_are_cleared() {
        let mut key = Value::Opaque(b"key".to_vec());
        clear_value(&mut key);
        assert_eq!(key, Value::Opaque(Vec::new()));
    }
}
