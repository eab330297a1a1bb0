//! One member of an instance, and the resource that it stands for.

use lapwing_lwm2m::model::{ObjectId, ObjectLink, Resource, ResourceId, Value};
use serde_json::{Map, Value as Json, json};

/// A member of an instance's JSON.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) resource: ResourceId,
    kind: Kind,
    preset: Preset,
}

/// How its value is written.
pub(super) enum Kind {
    /// A string.
    Text,
    /// `true` or `false`.
    Truth,
    /// A whole number that is not negative.
    Number,
    /// Whole numbers by the number of the resource instance.
    Numbers,
    /// One of these names, which stand for 0, 1, ..; or its number.
    Name(&'static [&'static str]),
    /// An array of numbers from 0 to 255.
    Bytes,
    /// An array of numbers of cipher suites, or of objects with `valueForSecurityObject`.
    Suites,
    /// The number of an instance of this object.
    LinkTo(ObjectId),
}

/// What it is when it is absent; `null` is nothing.
pub(super) enum Preset {
    None,
    Empty,
    Truth(bool),
    Number(i64),
    Text(&'static str),
}

impl Field {
    pub(super) const fn new(name: &'static str, resource: ResourceId, kind: Kind, preset: Preset) -> Field {
        Field { name, resource, kind, preset }
    }

    /// The resource as JSON; `null` for what cannot stand there.
    pub(super) fn to_json(&self, resource: &Resource) -> Json {
        match (&self.kind, resource) {
            (Kind::Numbers, Resource::Multiple(values)) => {
                let entry = |(id, value): (&u16, &Value)| (id.to_string(), value.as_integer().into());
                Json::Object(values.iter().map(entry).collect())
            }
            (Kind::Suites, Resource::Multiple(values)) => {
                values.values().map(|value| json!({"valueForSecurityObject": value.as_unsigned()})).collect()
            }
            (Kind::Name(names), Resource::Single(value)) => {
                let name = value.as_unsigned().and_then(|at| names.get(usize::try_from(at).ok()?));
                name.map_or(Json::Null, |name| (*name).into())
            }
            (Kind::LinkTo(_), Resource::Single(Value::ObjectLink(link))) => link.instance.into(),
            (_, Resource::Single(Value::Opaque(bytes))) => bytes.as_slice().into(),
            (_, Resource::Single(Value::Boolean(truth))) => (*truth).into(),
            (_, Resource::Single(Value::String(text))) => text.as_str().into(),
            (_, Resource::Single(Value::Unsigned(number))) => (*number).into(),
            (_, Resource::Single(Value::Integer(number))) => (*number).into(),
            _ => Json::Null,
        }
    }

    /// The resource that a member stands for; `None` where there is none.
    pub(super) fn read(&self, json: Option<&Json>) -> Option<Result<Resource, String>> {
        match json {
            None => self.preset().map(Ok),
            Some(Json::Null) => None,
            Some(json) => Some(self.kind.read(json)),
        }
    }

    fn preset(&self) -> Option<Resource> {
        match self.preset {
            Preset::None => None,
            Preset::Empty => Some(Value::Opaque(Vec::new()).into()),
            Preset::Truth(truth) => Some(truth.into()),
            Preset::Number(number) => Some(number.into()),
            Preset::Text(text) => Some(text.into()),
        }
    }
}

impl Kind {
    fn read(&self, json: &Json) -> Result<Resource, String> {
        match self {
            Kind::Text => Ok(json.as_str().ok_or("it is not a string")?.into()),
            Kind::Truth => Ok(json.as_bool().ok_or("it is neither true nor false")?.into()),
            Kind::Number => number(json).map(Resource::from),
            Kind::Numbers => numbers(json),
            Kind::Name(names) => named(json, names),
            Kind::Bytes => bytes(json).map(Resource::from),
            Kind::Suites => suites(json),
            Kind::LinkTo(object) => {
                let instance = json.as_u64().and_then(|id| u16::try_from(id).ok()).ok_or("it is no instance")?;
                Ok(ObjectLink::new(*object, instance).into())
            }
        }
    }
}

fn number(json: &Json) -> Result<i64, String> {
    json.as_i64().filter(|number| *number >= 0).ok_or_else(|| "it is not a whole number from 0 on".to_owned())
}

fn numbers(json: &Json) -> Result<Resource, String> {
    let members: &Map<_, _> = json.as_object().ok_or("it is not an object")?;
    let entry = |(id, value): (&String, &Json)| {
        let id = id.parse().map_err(|_| format!("{id} is no resource instance"))?;
        Ok::<_, String>((id, Value::Integer(number(value)?)))
    };
    members.iter().map(entry).collect::<Result<_, _>>().map(Resource::Multiple)
}

fn named(json: &Json, names: &[&str]) -> Result<Resource, String> {
    let of_name = json.as_str().and_then(|name| names.iter().position(|known| *known == name));
    let of_number = json.as_u64().and_then(|at| usize::try_from(at).ok()).filter(|at| *at < names.len());
    let at = of_name.or(of_number).ok_or_else(|| format!("it is none of {}", names.join(", ")))?;
    i64::try_from(at).map(Resource::from).map_err(|error| error.to_string())
}

fn bytes(json: &Json) -> Result<Vec<u8>, String> {
    let byte = |number: &Json| {
        // Java's bytes have a sign.
        let number = number.as_i64().filter(|number| (-128..=255).contains(number));
        number.map(|number| (number & 0xff) as u8)
    };
    let bytes = json.as_array().and_then(|numbers| numbers.iter().map(byte).collect());
    bytes.ok_or_else(|| "it is not an array of bytes".to_owned())
}

fn suites(json: &Json) -> Result<Resource, String> {
    let suite = |json: &Json| {
        let number = json.get("valueForSecurityObject").unwrap_or(json).as_u64();
        number.filter(|number| *number <= 0xffff).map(Value::Unsigned)
    };
    let suites: Option<Vec<Value>> = json.as_array().and_then(|suites| suites.iter().map(suite).collect());
    let suites = suites.ok_or("it is not an array of cipher suites")?;
    Ok(Resource::multiple((0..).zip(suites)))
}
