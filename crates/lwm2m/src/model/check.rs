//! Whether content fits a definition.

use super::{Node, ObjectDefinition, Path, Resource, ResourceDefinition, ResourceType, Value};

/// Why content does not fit a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The object has no such resource.
    #[error("the object has no such resource")]
    Unknown,
    /// The value has another type.
    #[error("expected {expected}, found {found}")]
    Type {
        /// The defined type.
        expected: ResourceType,
        /// The value's.
        found: ResourceType,
    },
    /// The value is outside of the defined range.
    #[error("outside of the range {0}")]
    Range(String),
    /// A single resource has instances, or a multiple one has none.
    #[error("single where the definition says multiple, or the reverse")]
    Multiplicity,
    /// The content is not of the path's level.
    #[error("the content is not what stands at this level")]
    Level,
}

impl ResourceDefinition {
    /// Whether a value may be written: its type, and its range if the definition has one that says from where to where.
    ///
    /// `0..255`, `0-255`, `-110..-48` and `[1:4]` are such, also with `bytes` behind; for a String, Opaque or CoreLink
    /// they bound the length in bytes. What else definitions have there (`8 bit`, `10 or 26 Bytes`, prose) is for
    /// people and not enforced.
    ///
    /// # Errors
    /// [`CheckError::Type`] or [`CheckError::Range`].
    pub fn check_value(&self, value: &Value) -> Result<(), CheckError> {
        if value.kind() != self.kind {
            return Err(CheckError::Type { expected: self.kind, found: value.kind() });
        }
        let Some((low, high)) = bounds(&self.range) else { return Ok(()) };
        let (low_wide, high_wide) = (i128::from(low), i128::from(high));
        let inside = match value {
            Value::Integer(number) | Value::Time(number) => (low..=high).contains(number),
            Value::Unsigned(number) => (low_wide..=high_wide).contains(&i128::from(*number)),
            Value::Float(number) => (low as f64..=high as f64).contains(number),
            Value::String(text) | Value::CoreLink(text) => (low_wide..=high_wide).contains(&(text.len() as i128)),
            Value::Opaque(bytes) => (low_wide..=high_wide).contains(&(bytes.len() as i128)),
            Value::Boolean(_) | Value::ObjectLink(_) => true,
        };
        if inside { Ok(()) } else { Err(CheckError::Range(self.range.clone().into_owned())) }
    }

    /// Whether a resource's content fits: each value, and single or multiple as defined.
    ///
    /// # Errors
    /// [`CheckError::Multiplicity`], or as for [`check_value`](Self::check_value).
    pub fn check(&self, resource: &Resource) -> Result<(), CheckError> {
        match (resource, self.multiple) {
            (Resource::Single(value), false) => self.check_value(value),
            (Resource::Multiple(values), true) => values.values().try_for_each(|value| self.check_value(value)),
            _ => Err(CheckError::Multiplicity),
        }
    }

    /// The value in the defined type, if nothing is lost by that: between Integer, Unsigned and Time, from these to Float,
    /// and from String to CoreLink.
    ///
    /// For values that come from a program (where `Value::from(5_u16)` is an Integer) rather than from a peer.
    ///
    /// ```
    /// use lapwing_lwm2m::definitions::test_object_v1_1 as test;
    /// use lapwing_lwm2m::model::Value;
    ///
    /// let unsigned = test::V1_0.resource(test::UNSIGNED_INTEGER_VALUE).unwrap();
    /// assert_eq!(unsigned.adapt(Value::from(5)), Ok(Value::Unsigned(5)));
    /// assert!(unsigned.adapt(Value::from(-5)).is_err());
    /// ```
    ///
    /// # Errors
    /// [`CheckError::Type`].
    pub fn adapt(&self, value: Value) -> Result<Value, CheckError> {
        let found = value.kind();
        let adapted = match (self.kind, value) {
            (kind, value) if kind == found => Some(value),
            (ResourceType::Float, value) => value.as_number().filter(|number| exact(*number, &value)).map(Value::Float),
            (ResourceType::Integer, Value::Time(seconds)) => Some(Value::Integer(seconds)),
            (ResourceType::Integer, value) => value.as_integer().map(Value::Integer),
            (ResourceType::Unsigned, Value::Time(seconds)) => u64::try_from(seconds).ok().map(Value::Unsigned),
            (ResourceType::Unsigned, value) => value.as_unsigned().map(Value::Unsigned),
            (ResourceType::Time, value) => value.as_integer().map(Value::Time),
            (ResourceType::CoreLink, Value::String(text)) => Some(Value::CoreLink(text)),
            _ => None,
        };
        adapted.ok_or(CheckError::Type { expected: self.kind, found })
    }
}

impl ObjectDefinition {
    /// Whether content for `path` fits this definition: every resource is known, and of the defined type, range and
    /// multiplicity. Missing mandatory resources are not looked for.
    ///
    /// # Errors
    /// The path that does not fit, and why.
    pub fn check(&self, path: &Path, node: &Node) -> Result<(), (Path, CheckError)> {
        match (node, path.ids()) {
            (Node::Value(value), [_, _, resource, _]) => {
                let definition = self.resource(*resource).ok_or((*path, CheckError::Unknown))?;
                if !definition.multiple {
                    return Err((*path, CheckError::Multiplicity));
                }
                definition.check_value(value).map_err(|why| (*path, why))
            }
            (Node::Resource(content), [_, _, resource]) => self.check_resource(*path, *resource, content),
            (Node::Instance(instance), [_, _]) => instance.iter().try_for_each(|(resource, content)| {
                let at = path.child(*resource).ok_or((*path, CheckError::Unknown))?;
                self.check_resource(at, *resource, content)
            }),
            (Node::Object(instances), [_]) => instances.iter().try_for_each(|(id, instance)| {
                let below = path.child(*id).ok_or((*path, CheckError::Level))?;
                instance.iter().try_for_each(|(resource, content)| {
                    let at = below.child(*resource).ok_or((below, CheckError::Unknown))?;
                    self.check_resource(at, *resource, content)
                })
            }),
            _ => Err((*path, CheckError::Level)),
        }
    }

    fn check_resource(&self, at: Path, id: u16, content: &Resource) -> Result<(), (Path, CheckError)> {
        let definition = self.resource(id).ok_or((at, CheckError::Unknown))?;
        definition.check(content).map_err(|why| (at, why))
    }
}

/// Whether `number` is the integer that `value` was.
fn exact(number: f64, value: &Value) -> bool {
    match *value {
        Value::Integer(integer) => number as i128 == i128::from(integer),
        Value::Unsigned(integer) => number as i128 == i128::from(integer),
        _ => false,
    }
}

fn bounds(range: &str) -> Option<(i64, i64)> {
    let range = range.trim();
    let range = range.strip_suffix("bytes").or_else(|| range.strip_suffix("Bytes")).unwrap_or(range).trim_end();
    let (low, high) = match range.strip_prefix('[').and_then(|range| range.strip_suffix(']')) {
        Some(inner) => inner.split_once(':')?,
        None => match range.split_once("..") {
            Some(bounds) => bounds,
            None => range.split_once('-')?,
        },
    };
    Some((low.trim().parse().ok()?, high.trim().parse().ok()?)).filter(|(low, high)| low <= high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{access_control, connectivity_monitoring, device, security, test_object_v1_1 as test};
    use crate::model::{Instance, ObjectLink, Operations};

    #[test]
    fn reads_the_ranges_that_definitions_write() {
        for (range, expected) in [
            ("0..255", Some((0, 255))),
            ("0-255", Some((0, 255))),
            ("-110..-48", Some((-110, -48))),
            ("0..255 bytes", Some((0, 255))),
            ("1..64 Bytes", Some((1, 64))),
            ("[1:4]", Some((1, 4))),
            ("", None),
            ("8 bit", None),
            ("16-bit", None),
            ("16-32-48 bytes", None),
            ("16,32,48", None),
            ("10 or 26 Bytes", None),
            ("255", None),
            ("The possible values are those listed in the LwM2M Core Specification", None),
        ] {
            assert_eq!(bounds(range), expected, "{range}");
        }
    }

    #[test]
    fn bounds_numbers_by_value_and_texts_by_length() {
        let mode = security::V1_0.resource(security::SECURITY_MODE).unwrap();
        assert_eq!(mode.check_value(&Value::Integer(4)), Ok(()));
        assert_eq!(mode.check_value(&Value::Integer(5)), Err(CheckError::Range("0-4".into())));
        assert_eq!(mode.check_value(&Value::Integer(-1)), Err(CheckError::Range("0-4".into())));
        let uri = security::V1_0.resource(security::LWM2M_SERVER_URI).unwrap();
        assert_eq!(uri.check_value(&"x".repeat(255).into()), Ok(()));
        assert!(matches!(uri.check_value(&"x".repeat(256).into()), Err(CheckError::Range(_))));
        let unsigned = ResourceDefinition::new(0, "", Operations::Read, ResourceType::Unsigned).range("0..3");
        assert!(unsigned.check_value(&Value::Unsigned(u64::MAX)).is_err());
        let float = ResourceDefinition::new(0, "", Operations::Read, ResourceType::Float).range("0..3");
        assert!(float.check_value(&Value::Float(3.0)).is_ok());
        assert!(float.check_value(&Value::Float(f64::NAN)).is_err());
    }

    #[test]
    fn refuses_other_types_and_multiplicity() {
        let level = device::V1_0.resource(device::BATTERY_LEVEL).unwrap();
        assert_eq!(
            level.check(&"full".into()),
            Err(CheckError::Type { expected: ResourceType::Integer, found: ResourceType::String })
        );
        assert_eq!(level.check(&Resource::multiple([(0, 1)])), Err(CheckError::Multiplicity));
        let bearers =
            connectivity_monitoring::V1_0.resource(connectivity_monitoring::AVAILABLE_NETWORK_BEARER).unwrap();
        assert_eq!(bearers.check(&Resource::multiple([(0, 41), (1, 21)])), Ok(()));
        assert_eq!(bearers.check(&41.into()), Err(CheckError::Multiplicity));
    }

    #[test]
    fn checks_nodes_at_every_level() {
        let acl = &access_control::V1_0;
        let instance: Instance = [(0, 1.into()), (2, Resource::multiple([(127, 7)]))].into();
        let base = Path::object(2).instance(0);
        assert_eq!(acl.check(&base, &instance.clone().into()), Ok(()));
        assert_eq!(acl.check(&Path::object(2), &Node::Object([(0, instance)].into())), Ok(()));
        assert_eq!(acl.check(&base.resource(2).resource_instance(1), &Node::Value(7.into())), Ok(()));
        assert_eq!(acl.check(&base.resource(0), &Node::single(1)), Ok(()));

        let wrong: Instance = [(0, 1.into()), (99, 1.into())].into();
        assert_eq!(acl.check(&base, &wrong.into()), Err((base.resource(99), CheckError::Unknown)));
        let in_single = base.resource(0).resource_instance(0);
        assert_eq!(acl.check(&in_single, &Node::Value(1.into())), Err((in_single, CheckError::Multiplicity)));
        assert_eq!(acl.check(&base, &Node::single(1)), Err((base, CheckError::Level)));
    }

    #[test]
    fn adapts_what_loses_nothing() {
        let at = |resource| test::V1_0.resource(resource).unwrap();
        assert_eq!(at(test::FLOAT_VALUE).adapt(3.into()), Ok(Value::Float(3.0)));
        assert!(at(test::FLOAT_VALUE).adapt(((1_i64 << 53) + 1).into()).is_err());
        assert_eq!(at(test::TIME_VALUE).adapt(7.into()), Ok(Value::Time(7)));
        assert_eq!(at(test::INTEGER_VALUE).adapt(7_u64.into()), Ok(Value::Integer(7)));
        assert!(at(test::INTEGER_VALUE).adapt(u64::MAX.into()).is_err());
        assert!(at(test::INTEGER_VALUE).adapt(1.5.into()).is_err());
        assert_eq!(at(test::CORE_LNK_VALUE).adapt("</3>".into()), Ok(Value::CoreLink("</3>".into())));
        assert!(at(test::STRING_VALUE).adapt(ObjectLink::NULL.into()).is_err());
    }
}
