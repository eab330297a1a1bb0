//! Nodes as JSON: objects, instances, resources and resource instances, each with its `kind`.

use std::collections::BTreeMap;

use lapwing_lwm2m::model::{
    Instance, InstanceId, Instances, Node, ObjectId, Path, Resource, ResourceId, ResourceInstanceId, ResourceType,
    Value,
};
use serde_json::{Map, Value as Json, json};

use super::value;

/// The content of `path` as JSON. `expected` tells the type of a resource that has no value to tell it.
pub(crate) fn to_json(path: &Path, node: &Node, expected: impl Fn(ResourceId) -> Option<ResourceType>) -> Json {
    let id = path.ids().last().copied().unwrap_or_default();
    match node {
        Node::Object(instances) => json!({
            "kind": "obj",
            "id": id,
            "instances": instances.iter().map(|(id, content)| instance(*id, content, &expected)).collect::<Vec<_>>(),
        }),
        Node::Instance(content) => instance(id, content, &expected),
        Node::Resource(content) => resource(id, content, &expected),
        Node::Value(content) => json!({
            "kind": "resourceInstance",
            "id": id,
            "type": value::type_name(content.kind()),
            "value": value::to_json(content),
        }),
    }
}

fn instance(id: InstanceId, content: &Instance, expected: &impl Fn(ResourceId) -> Option<ResourceType>) -> Json {
    json!({
        "kind": "instance",
        "id": id,
        "resources": content.iter().map(|(id, content)| resource(*id, content, expected)).collect::<Vec<_>>(),
    })
}

fn resource(id: ResourceId, content: &Resource, expected: &impl Fn(ResourceId) -> Option<ResourceType>) -> Json {
    match content {
        Resource::Single(content) => json!({
            "kind": "singleResource",
            "id": id,
            "type": value::type_name(content.kind()),
            "value": value::to_json(content),
        }),
        Resource::Multiple(values) => {
            let kind = values.values().next().map(Value::kind).or_else(|| expected(id));
            json!({
                "kind": "multiResource",
                "id": id,
                "type": value::type_name(kind.unwrap_or(ResourceType::Opaque)),
                "values": values.iter().map(|(id, content)| (id.to_string(), value::to_json(content))).collect::<Map<_, _>>(),
            })
        }
    }
}

/// A node that came as JSON, with its id.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Object(ObjectId, Instances),
    Instance(Option<InstanceId>, Instance),
    Resource(ResourceId, Resource),
    ResourceInstance(ResourceInstanceId, Value),
}

impl Parsed {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Parsed::Object(..) => "object",
            Parsed::Instance(..) => "instance",
            Parsed::Resource(_, Resource::Single(_)) => "single resource",
            Parsed::Resource(_, Resource::Multiple(_)) => "multiple resource",
            Parsed::ResourceInstance(..) => "resource instance",
        }
    }

    /// Its id, where it names one.
    pub(crate) fn id(&self) -> Option<u16> {
        match self {
            Parsed::Instance(id, _) => *id,
            Parsed::Object(id, _) | Parsed::Resource(id, _) | Parsed::ResourceInstance(id, _) => Some(*id),
        }
    }
}

/// Why JSON is no node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NodeError {
    /// Something is missing or is not what stands there.
    Shape(String),
    /// A value is not of its type.
    Value(String),
}

fn shape(sentence: &str) -> NodeError {
    NodeError::Shape(sentence.to_owned())
}

/// Reads a node. What it is tells `kind`, and where that is absent, which of `instances`, `resources`, `values` and
/// `value` it has.
pub(crate) fn from_json(json: &Json) -> Result<Parsed, NodeError> {
    let object = json.as_object().ok_or_else(|| shape("a node is a JSON object"))?;
    let kind = object.get("kind").and_then(Json::as_str).unwrap_or_default();
    if kind == "obj" || object.contains_key("instances") {
        let instances = list(object, "instances")?.iter().map(numbered_instance).collect::<Result<_, _>>()?;
        Ok(Parsed::Object(id(object)?, instances))
    } else if kind == "instance" || object.contains_key("resources") {
        let resources = list(object, "resources")?.iter().map(numbered_resource).collect::<Result<_, _>>()?;
        let id = if object.contains_key("id") { Some(id(object)?) } else { None };
        Ok(Parsed::Instance(id, resources))
    } else if kind == "multiResource" || object.contains_key("values") {
        Ok(Parsed::Resource(id(object)?, Resource::Multiple(values(object)?)))
    } else if let Some(json) = object.get("value") {
        let id = id(object)?;
        let value = value::from_json(json, type_of(object)?).map_err(NodeError::Value)?;
        Ok(match kind {
            "resourceInstance" => Parsed::ResourceInstance(id, value),
            _ => Parsed::Resource(id, Resource::Single(value)),
        })
    } else {
        Err(shape("a node has one of instances, resources, values and value"))
    }
}

fn id(object: &Map<String, Json>) -> Result<u16, NodeError> {
    let id = object.get("id").ok_or_else(|| shape("id is missing"))?;
    let number = id.as_u64().and_then(|id| u16::try_from(id).ok()).filter(|id| *id != u16::MAX);
    number.ok_or_else(|| shape("id is not a number from 0 to 65534"))
}

fn list<'a>(object: &'a Map<String, Json>, name: &str) -> Result<&'a Vec<Json>, NodeError> {
    object.get(name).and_then(Json::as_array).ok_or_else(|| NodeError::Shape(format!("{name} is not an array")))
}

fn numbered_instance(json: &Json) -> Result<(InstanceId, Instance), NodeError> {
    match from_json(json)? {
        Parsed::Instance(Some(id), instance) => Ok((id, instance)),
        other => {
            Err(NodeError::Shape(format!("instances has an entry that is no instance with an id ({})", other.kind())))
        }
    }
}

fn numbered_resource(json: &Json) -> Result<(ResourceId, Resource), NodeError> {
    match from_json(json)? {
        Parsed::Resource(id, resource) => Ok((id, resource)),
        other => Err(NodeError::Shape(format!("resources has an entry that is no resource ({})", other.kind()))),
    }
}

fn type_of(object: &Map<String, Json>) -> Result<ResourceType, NodeError> {
    let name =
        object.get("type").and_then(Json::as_str).ok_or_else(|| NodeError::Value("type is missing".to_owned()))?;
    value::type_named(name).ok_or_else(|| NodeError::Value(format!("{name} is no type")))
}

fn values(object: &Map<String, Json>) -> Result<BTreeMap<ResourceInstanceId, Value>, NodeError> {
    let values = object.get("values").and_then(Json::as_object).ok_or_else(|| shape("values is not an object"))?;
    let kind = type_of(object)?;
    let entry = |(name, json): (&String, &Json)| {
        let id = name.parse().ok().filter(|id| *id != u16::MAX);
        let id = id.ok_or_else(|| NodeError::Value(format!("{name} is no id of a resource instance")))?;
        Ok((id, value::from_json(json, kind).map_err(NodeError::Value)?))
    };
    values.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_what_a_node_has() {
        let instance = from_json(&json!({"resources": [{"id": 0, "type": "string", "value": "x"}]}));
        assert_eq!(instance, Ok(Parsed::Instance(None, [(0, Resource::Single("x".into()))].into())));
        let multiple = from_json(&json!({"id": 6, "type": "Integer", "values": {"0": "1", "1": 5}}));
        assert_eq!(multiple, Ok(Parsed::Resource(6, Resource::multiple([(0, 1), (1, 5)]))));
    }

    #[test]
    fn nodes_pass_both_ways() {
        let json = json!({"kind": "obj", "id": 3, "instances": [{"kind": "instance", "id": 0, "resources": [
            {"kind": "singleResource", "id": 0, "type": "STRING", "value": "Lapwing"},
            {"kind": "multiResource", "id": 6, "type": "INTEGER", "values": {"0": "1", "1": "5"}},
        ]}]});
        let Ok(Parsed::Object(3, instances)) = from_json(&json) else { panic!("an object") };
        assert_eq!(to_json(&Path::object(3), &Node::Object(instances), |_| None), json);
    }

    #[test]
    fn an_empty_multiple_resource_has_the_type_of_its_definition() {
        let node = Node::Resource(Resource::Multiple(BTreeMap::new()));
        let json = to_json(&Path::object(3).instance(0).resource(6), &node, |_| Some(ResourceType::Integer));
        assert_eq!(json, json!({"kind": "multiResource", "id": 6, "type": "INTEGER", "values": {}}));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_kind() {
        for json in [
            json!(1),
            json!({}),
            json!({"id": 0}),
            json!({"id": 65535, "type": "string", "value": "x"}),
            json!({"type": "string", "value": "x"}),
            json!({"id": 0, "instances": 1}),
            json!({"resources": [{"kind": "resourceInstance", "id": 0, "type": "string", "value": "x"}]}),
            json!({"id": 1, "instances": [{"resources": []}]}),
            json!({"id": 1, "type": "string", "values": []}),
        ] {
            assert!(matches!(from_json(&json), Err(NodeError::Shape(_))), "{json}");
        }
        for json in [
            json!({"id": 0, "value": "x"}),
            json!({"id": 0, "type": "word", "value": "x"}),
            json!({"id": 0, "type": "none", "value": "x"}),
            json!({"id": 0, "type": "integer", "value": "x"}),
            json!({"id": 0, "type": "string", "values": {"x": "x"}}),
        ] {
            assert!(matches!(from_json(&json), Err(NodeError::Value(_))), "{json}");
        }
    }
}
