use std::fmt;

use super::{InstanceId, MAX_ID, ObjectId};

/// What kind of value a resource has (LwM2M Core 1.1 Appendix C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceType {
    /// UTF-8 text.
    String,
    /// A signed integer of up to 64 bits.
    Integer,
    /// An unsigned integer of up to 64 bits (from LwM2M 1.1).
    Unsigned,
    /// A floating point number of 32 or 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// Octets.
    Opaque,
    /// Seconds since 1970-01-01 00:00 UTC.
    Time,
    /// The number of an object and of one of its instances.
    ObjectLink,
    /// CoRE link-format text (from LwM2M 1.1).
    CoreLink,
    /// No value: the resource is executed.
    None,
}

impl ResourceType {
    /// Whether gt, lt and st apply: Integer, Unsigned and Float (LwM2M Core 1.1 section 7.3.2).
    ///
    /// The standard says no more than "numerical"; that Time is not meant is how Leshan and Anjay read it.
    pub const fn is_numeric(self) -> bool {
        matches!(self, ResourceType::Integer | ResourceType::Unsigned | ResourceType::Float)
    }
}

impl fmt::Display for ResourceType {
    /// The name that object definitions use, such as `Unsigned Integer` or `Objlnk`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ResourceType::String => "String",
            ResourceType::Integer => "Integer",
            ResourceType::Unsigned => "Unsigned Integer",
            ResourceType::Float => "Float",
            ResourceType::Boolean => "Boolean",
            ResourceType::Opaque => "Opaque",
            ResourceType::Time => "Time",
            ResourceType::ObjectLink => "Objlnk",
            ResourceType::CoreLink => "Corelnk",
            ResourceType::None => "None",
        })
    }
}

/// A link to an instance of an object (LwM2M Core 1.1 Appendix C, Objlnk).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectLink {
    /// The object's number.
    pub object: ObjectId,
    /// The instance's number.
    pub instance: InstanceId,
}

impl ObjectLink {
    /// The link to nothing, `65535:65535`.
    pub const NULL: ObjectLink = ObjectLink { object: MAX_ID, instance: MAX_ID };

    /// A link to `/object/instance`.
    pub const fn new(object: ObjectId, instance: InstanceId) -> ObjectLink {
        ObjectLink { object, instance }
    }
}

impl fmt::Display for ObjectLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.object, self.instance)
    }
}

/// One value: of a single resource, or of one instance of a multiple resource.
///
/// Conversions from small integers give an Integer, which most resources are; `u64` gives an Unsigned.
/// The kinds are the standard's; a later version of LwM2M that adds one would be a new major version of this crate.
///
/// ```
/// use lapwing_lwm2m::model::Value;
///
/// assert_eq!(Value::from("Lapwing"), Value::String("Lapwing".into()));
/// assert_eq!(Value::from(42).as_integer(), Some(42));
/// assert_eq!(Value::Time(1_367_491_215).as_integer(), None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// UTF-8 text.
    String(String),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A floating point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Octets.
    Opaque(Vec<u8>),
    /// Seconds since 1970-01-01 00:00 UTC.
    Time(i64),
    /// A link to an instance of an object.
    ObjectLink(ObjectLink),
    /// CoRE link-format text.
    CoreLink(String),
}

impl Value {
    /// The value's type; never [`ResourceType::None`].
    pub const fn kind(&self) -> ResourceType {
        match self {
            Value::String(_) => ResourceType::String,
            Value::Integer(_) => ResourceType::Integer,
            Value::Unsigned(_) => ResourceType::Unsigned,
            Value::Float(_) => ResourceType::Float,
            Value::Boolean(_) => ResourceType::Boolean,
            Value::Opaque(_) => ResourceType::Opaque,
            Value::Time(_) => ResourceType::Time,
            Value::ObjectLink(_) => ResourceType::ObjectLink,
            Value::CoreLink(_) => ResourceType::CoreLink,
        }
    }

    /// The text of a String or a CoreLink.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::CoreLink(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an Integer, or of an Unsigned that fits.
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Value::Integer(number) => Some(number),
            Value::Unsigned(number) => i64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The number of an Unsigned, or of an Integer that is not negative.
    pub fn as_unsigned(&self) -> Option<u64> {
        match *self {
            Value::Integer(number) => u64::try_from(number).ok(),
            Value::Unsigned(number) => Some(number),
            _ => None,
        }
    }

    /// The number of a Float.
    pub fn as_float(&self) -> Option<f64> {
        match *self {
            Value::Float(number) => Some(number),
            _ => None,
        }
    }

    /// Any number as a float, rounded where it has more than 53 bits: an Integer, Unsigned or Float.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Value::Integer(number) => Some(number as f64),
            Value::Unsigned(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        }
    }

    /// The truth of a Boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Boolean(truth) => Some(truth),
            _ => None,
        }
    }

    /// The octets of an Opaque.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Opaque(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The seconds since 1970 of a Time.
    pub fn as_time(&self) -> Option<i64> {
        match *self {
            Value::Time(seconds) => Some(seconds),
            _ => None,
        }
    }

    /// The link of an ObjectLink.
    pub fn as_object_link(&self) -> Option<ObjectLink> {
        match *self {
            Value::ObjectLink(link) => Some(link),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Value {
            fn from(value: $source) -> Value {
                Value::$variant(value.into())
            }
        })*
    };
}

from! {
    String => String, &str => String,
    i64 => Integer, i32 => Integer, i16 => Integer, i8 => Integer,
    u32 => Integer, u16 => Integer, u8 => Integer,
    u64 => Unsigned,
    f64 => Float, f32 => Float,
    bool => Boolean,
    Vec<u8> => Opaque, &[u8] => Opaque,
    ObjectLink => ObjectLink,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_convert_where_nothing_is_lost() {
        assert_eq!(Value::from(7_u64).as_integer(), Some(7));
        assert_eq!(Value::from(u64::MAX).as_integer(), None);
        assert_eq!(Value::from(7).as_unsigned(), Some(7));
        assert_eq!(Value::from(-7).as_unsigned(), None);
        assert_eq!(Value::from(0.5_f32), Value::Float(0.5));
        assert_eq!((Value::from(7_u32), Value::from(7_u8)), (Value::Integer(7), Value::Integer(7)));
    }

    #[test]
    fn only_numbers_are_compared_with_thresholds() {
        let values: [Value; 5] = [1.into(), 1_u64.into(), 1.0.into(), Value::Time(1), true.into()];
        assert_eq!(values.each_ref().map(Value::as_number), [Some(1.0), Some(1.0), Some(1.0), None, None]);
        for value in values {
            assert_eq!(value.kind().is_numeric(), value.as_number().is_some());
        }
    }
}
