//! What the server knows about a client's objects (docs/api/http.md, ObjectSpec).

use lapwing_lwm2m::model::Path;
use serde_json::Value as Json;

/// The definitions of a client's objects.
pub(super) struct Specs {
    objects: Json,
}

/// One resource's definition.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResourceSpec<'a> {
    pub(super) name: &'a str,
    /// In small letters: `string`, `integer`, ...
    pub(super) kind: &'a str,
    pub(super) units: &'a str,
    pub(super) multiple: bool,
}

impl Specs {
    pub(super) fn new(objects: Json) -> Self {
        Self { objects }
    }

    fn object(&self, path: Path) -> Option<&Json> {
        find(&self.objects, path.object_id()?)
    }

    pub(super) fn object_name(&self, path: Path) -> Option<&str> {
        self.object(path)?["name"].as_str()
    }

    /// The definition of the resource that `path` names.
    pub(super) fn resource(&self, path: Path) -> Option<ResourceSpec<'_>> {
        let resource = find(&self.object(path)?["resourcedefs"], path.resource_id()?)?;
        Some(ResourceSpec {
            name: resource["name"].as_str()?,
            kind: resource["type"].as_str()?,
            units: resource["units"].as_str().unwrap_or(""),
            multiple: resource["instancetype"].as_str() == Some("multiple"),
        })
    }
}

/// The entry with this id.
fn find(list: &Json, id: u16) -> Option<&Json> {
    list.as_array()?.iter().find(|entry| entry["id"].as_u64() == Some(id.into()))
}
