//! From the command line to the API's nodes (docs/api/http.md, Nodes).

use anyhow::{Context, anyhow, bail};
use lapwing_lwm2m::model::{Level, Path};
use serde_json::{Map, Value as Json, json};

use super::spec::{ResourceSpec, Specs};

/// What is written to `path`: one value to a resource or an instance of it, any number of `ID=VALUE` to what has parts.
pub(super) fn node(specs: &Specs, path: Path, values: &[String]) -> anyhow::Result<Json> {
    match path.level() {
        Level::Instance => instance(specs, path, values),
        Level::Resource => resource(specs, path, values),
        Level::ResourceInstance => {
            let spec = spec(specs, path)?;
            let id = path.resource_instance_id().context("a resource instance has an id")?;
            let value = value(spec.kind, single(path, values)?)?;
            Ok(json!({"kind": "resourceInstance", "id": id, "type": spec.kind.to_uppercase(), "value": value}))
        }
        Level::Root | Level::Object => {
            bail!("{path}: expected /OBJECT/INSTANCE, /OBJECT/INSTANCE/RESOURCE or /OBJECT/INSTANCE/RESOURCE/INSTANCE")
        }
    }
}

/// An instance of an object with these resources; `path` may leave its id open. A value of a multiple resource is
/// `RESOURCE/INSTANCE=VALUE`.
pub(super) fn instance(specs: &Specs, path: Path, values: &[String]) -> anyhow::Result<Json> {
    let base = Path::object(path.object_id().context("an object is named")?).instance(path.instance_id().unwrap_or(0));
    let mut parts: Vec<(u16, Vec<String>)> = Vec::new();
    for part in values {
        let (key, value) = part.split_once('=').ok_or_else(|| anyhow!("{part:?}: expected RESOURCE=VALUE"))?;
        let (resource, value) = match key.split_once('/') {
            Some((resource, instance)) => (resource, format!("{instance}={value}")),
            None => (key, value.to_owned()),
        };
        let resource = id(resource, part)?;
        match parts.iter_mut().find(|(known, _)| *known == resource) {
            Some((_, values)) => values.push(value),
            None => parts.push((resource, vec![value])),
        }
    }
    let resources = parts.iter().map(|(id, values)| resource(specs, base.resource(*id), values));
    let mut node = json!({"kind": "instance", "resources": resources.collect::<anyhow::Result<Vec<_>>>()?});
    if let Some(id) = path.instance_id() {
        node["id"] = id.into();
    }
    Ok(node)
}

fn resource(specs: &Specs, path: Path, values: &[String]) -> anyhow::Result<Json> {
    let spec = spec(specs, path)?;
    let (id, kind) = (path.resource_id(), spec.kind.to_uppercase());
    if !spec.multiple {
        let value = value(spec.kind, single(path, values)?)?;
        return Ok(json!({"kind": "singleResource", "id": id, "type": kind, "value": value}));
    }
    let mut instances = Map::new();
    for part in values {
        let (key, text) = part
            .split_once('=')
            .ok_or_else(|| anyhow!("{part:?}: {path} ({}) has instances; expected INSTANCE=VALUE", spec.name))?;
        instances.insert(self::id(key, part)?.to_string(), value(spec.kind, text)?);
    }
    Ok(json!({"kind": "multiResource", "id": id, "type": kind, "values": instances}))
}

fn spec(specs: &Specs, path: Path) -> anyhow::Result<ResourceSpec<'_>> {
    let unknown = || anyhow!("{path}: the server knows no such resource of this client");
    specs.resource(path).ok_or_else(unknown)
}

fn single(path: Path, values: &[String]) -> anyhow::Result<&str> {
    match values {
        [value] => Ok(value),
        _ => bail!("{path}: expected one value"),
    }
}

fn id(text: &str, whole: &str) -> anyhow::Result<u16> {
    text.parse().map_err(|_| anyhow!("{whole:?}: expected a number from 0 to 65534 before the equals sign"))
}

/// A value of a type, which is in small letters.
fn value(kind: &str, text: &str) -> anyhow::Result<Json> {
    let wrong = |expected: &str| anyhow!("{text:?}: expected {expected}");
    Ok(match kind {
        "integer" => text.parse::<i64>().map_err(|_| wrong("an integer"))?.to_string().into(),
        "unsigned_integer" => {
            text.parse::<u64>().map_err(|_| wrong("an integer that is not negative"))?.to_string().into()
        }
        "float" => text.parse::<f64>().map_err(|_| wrong("a number"))?.to_string().into(),
        "boolean" => match text {
            "true" | "1" => true.into(),
            "false" | "0" => false.into(),
            _ => return Err(wrong("true or false")),
        },
        "time" => {
            let seconds = text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
            seconds.ok_or_else(|| wrong("seconds since 1970"))?.into()
        }
        "opaque" => {
            let whole = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if whole { text.to_ascii_lowercase().into() } else { return Err(wrong("pairs of hexadecimal digits")) }
        }
        "objlnk" => {
            let parts = text
                .split_once(':')
                .and_then(|(object, instance)| Some((object.parse::<u16>().ok()?, instance.parse::<u16>().ok()?)));
            let (object, instance) = parts.ok_or_else(|| wrong("OBJECT:INSTANCE"))?;
            json!({"objectId": object, "objectInstanceId": instance})
        }
        _ => text.into(),
    })
}

/// The query of a Write-Attributes.
pub(super) fn attributes(attributes: &[String]) -> anyhow::Result<String> {
    const KNOWN: [&str; 7] = ["pmin", "pmax", "gt", "lt", "st", "epmin", "epmax"];
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, "0"));
        if !KNOWN.contains(&name) {
            bail!("{attribute:?}: expected one of {}", KNOWN.join(", "));
        }
        if value.parse::<f64>().is_err() {
            bail!("{attribute:?}: expected a number");
        }
    }
    Ok(attributes.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Specs {
        let resource = |id: u16, name: &str, kind: &str, many: &str| json!({"id": id, "name": name, "type": kind, "instancetype": many, "units": ""});
        Specs::new(json!([{"id": 7, "name": "Things", "resourcedefs": [
            resource(0, "Count", "integer", "single"),
            resource(1, "Names", "string", "multiple"),
            resource(2, "Since", "time", "single"),
            resource(3, "Bytes", "opaque", "single"),
            resource(4, "Link", "objlnk", "single"),
            resource(5, "On", "boolean", "single"),
            resource(6, "Level", "float", "single"),
        ]}]))
    }

    fn written(path: &str, values: &[&str]) -> anyhow::Result<Json> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        node(&specs(), path.parse().unwrap(), &values)
    }

    #[test]
    fn values_take_the_type_of_their_resource() {
        let value = |path: &str, text: &str| written(path, &[text]).unwrap()["value"].clone();
        assert_eq!(value("/7/0/0", "-5"), json!("-5"));
        assert_eq!(value("/7/0/2", "10"), json!(10_000));
        assert_eq!(value("/7/0/3", "0aFF"), json!("0aff"));
        assert_eq!(value("/7/0/4", "3:0"), json!({"objectId": 3, "objectInstanceId": 0}));
        assert_eq!(value("/7/0/5", "true"), json!(true));
        assert_eq!(value("/7/0/6", "1.5"), json!("1.5"));
        assert_eq!(value("/7/0/1/3", "x=y"), json!("x=y"));
    }

    #[test]
    fn what_has_parts_takes_several() {
        let names = json!({"kind": "multiResource", "id": 1, "type": "STRING", "values": {"0": "a", "7": "b=c"}});
        assert_eq!(written("/7/0/1", &["0=a", "7=b=c"]).unwrap(), names);
        let count = json!({"kind": "singleResource", "id": 0, "type": "INTEGER", "value": "2"});
        let whole = written("/7/9", &["0=2", "1/0=a", "1/7=b=c"]).unwrap();
        assert_eq!(whole, json!({"kind": "instance", "id": 9, "resources": [count, names]}));
        let new = instance(&specs(), Path::object(7), &["0=2".to_owned()]).unwrap();
        assert_eq!(new, json!({"kind": "instance", "resources": [count]}));
    }

    #[test]
    fn what_does_not_fit_is_refused_naming_it() {
        let refused = |path: &str, values: &[&str]| written(path, values).unwrap_err().to_string();
        assert_eq!(refused("/7/0/0", &["five"]), "\"five\": expected an integer");
        assert_eq!(refused("/7/0/3", &["abc"]), "\"abc\": expected pairs of hexadecimal digits");
        assert_eq!(refused("/7/0/0", &["1", "2"]), "/7/0/0: expected one value");
        assert_eq!(refused("/7/0/1", &["a"]), "\"a\": /7/0/1 (Names) has instances; expected INSTANCE=VALUE");
        assert_eq!(refused("/7/0", &["a"]), "\"a\": expected RESOURCE=VALUE");
        assert_eq!(refused("/7/0/99", &["a"]), "/7/0/99: the server knows no such resource of this client");
        assert!(refused("/7", &["0=1"]).starts_with("/7: expected /OBJECT/INSTANCE"));
    }

    #[test]
    fn attributes_are_checked() {
        let query = |list: &[&str]| attributes(&list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(query(&["pmin=1", "lt=-2.5", "gt"]).unwrap(), "pmin=1&lt=-2.5&gt");
        assert!(query(&["pmin=x"]).is_err());
        assert!(query(&["pmid=1"]).is_err());
    }
}
