//! Definitions of objects as JSON.

use lapwing_lwm2m::model::{ObjectDefinition, Operations, ResourceDefinition};
use serde_json::{Value as Json, json};

use super::value;

/// A definition. The descriptions are empty: the registry's texts are not part of this project.
pub(crate) fn object(definition: &ObjectDefinition) -> Json {
    json!({
        "id": definition.id,
        "name": definition.name,
        "instancetype": multiplicity(definition.multiple),
        "mandatory": definition.mandatory,
        "urn": definition.urn,
        "version": definition.version.to_string(),
        "lwm2mversion": definition.lwm2m.to_string(),
        "description": "",
        "description2": "",
        "resourcedefs": definition.resources.iter().map(resource).collect::<Vec<_>>(),
    })
}

fn resource(definition: &ResourceDefinition) -> Json {
    json!({
        "id": definition.id,
        "name": definition.name,
        "operations": match definition.operations {
            Operations::None => "NONE".to_owned(),
            operations => operations.to_string(),
        },
        "instancetype": multiplicity(definition.multiple),
        "mandatory": definition.mandatory,
        "type": value::type_name(definition.kind).to_lowercase(),
        "range": definition.range,
        "units": definition.units,
        "description": "",
    })
}

fn multiplicity(multiple: bool) -> &'static str {
    if multiple { "multiple" } else { "single" }
}
