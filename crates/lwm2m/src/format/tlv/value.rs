//! The octets of one value (LwM2M Core 1.1 Appendix C).

use std::ops::Deref;

use lapwing_coap::link::Links;

use super::entry::Entry;
use crate::format::FormatError;
use crate::model::{ObjectLink, ResourceType, Value};

/// The octets of a value: its own, or a number's.
pub(super) enum Octets<'a> {
    Own(&'a [u8]),
    Number { octets: [u8; 8], length: usize },
}

impl Octets<'_> {
    fn number<const N: usize>(number: [u8; N]) -> Self {
        let mut octets = [0; 8];
        octets[..N].copy_from_slice(&number);
        Octets::Number { octets, length: N }
    }
}

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Octets::Own(octets) => octets,
            Octets::Number { octets, length } => &octets[..*length],
        }
    }
}

pub(super) fn length(value: &Value) -> usize {
    encode(value).len()
}

pub(super) fn encode(value: &Value) -> Octets<'_> {
    match value {
        Value::String(text) | Value::CoreLink(text) => Octets::Own(text.as_bytes()),
        Value::Opaque(bytes) => Octets::Own(bytes),
        Value::Integer(number) | Value::Time(number) => integer(*number),
        Value::Unsigned(number) => match i64::try_from(*number) {
            Ok(number) => integer(number),
            Err(_) => Octets::number(number.to_be_bytes()),
        },
        Value::Float(number) => {
            let single = *number as f32;
            if f64::from(single) == *number {
                Octets::number(single.to_be_bytes())
            } else {
                Octets::number(number.to_be_bytes())
            }
        }
        Value::Boolean(truth) => Octets::number([u8::from(*truth)]),
        Value::ObjectLink(link) => {
            let [[a, b], [c, d]] = [link.object.to_be_bytes(), link.instance.to_be_bytes()];
            Octets::number([a, b, c, d])
        }
    }
}

fn integer(number: i64) -> Octets<'static> {
    if let Ok(number) = i8::try_from(number) {
        Octets::number(number.to_be_bytes())
    } else if let Ok(number) = i16::try_from(number) {
        Octets::number(number.to_be_bytes())
    } else if let Ok(number) = i32::try_from(number) {
        Octets::number(number.to_be_bytes())
    } else {
        Octets::number(number.to_be_bytes())
    }
}

pub(super) fn decode(kind: ResourceType, entry: &Entry<'_>) -> Result<Value, FormatError> {
    let octets = entry.value;
    let expected = |what| move || entry.bad_value(what);
    match kind {
        ResourceType::String => text(entry).map(Value::String),
        ResourceType::CoreLink => {
            Links::parse(octets).map_err(|_| entry.bad_value("a Corelnk is link-format"))?;
            text(entry).map(Value::CoreLink)
        }
        ResourceType::Opaque | ResourceType::None => Ok(Value::Opaque(octets.to_vec())),
        ResourceType::Integer => {
            signed(octets).map(Value::Integer).ok_or_else(expected("an Integer has 1, 2, 4 or 8 octets"))
        }
        ResourceType::Time => signed(octets).map(Value::Time).ok_or_else(expected("a Time has 1, 2, 4 or 8 octets")),
        ResourceType::Unsigned => {
            unsigned(octets).map(Value::Unsigned).ok_or_else(expected("an Unsigned Integer has 1, 2, 4 or 8 octets"))
        }
        ResourceType::Float => match octets.len() {
            4 => Ok(Value::Float(f64::from(f32::from_be_bytes(array(octets))))),
            8 => Ok(Value::Float(f64::from_be_bytes(array(octets)))),
            _ => Err(entry.bad_value("a Float has 4 or 8 octets")),
        },
        ResourceType::Boolean => match octets {
            [0] => Ok(Value::Boolean(false)),
            [1] => Ok(Value::Boolean(true)),
            _ => Err(entry.bad_value("a Boolean is one octet, 0 or 1")),
        },
        ResourceType::ObjectLink => match *octets {
            [a, b, c, d] => {
                Ok(Value::ObjectLink(ObjectLink::new(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))))
            }
            _ => Err(entry.bad_value("an Objlnk has 4 octets")),
        },
    }
}

fn text(entry: &Entry<'_>) -> Result<String, FormatError> {
    match str::from_utf8(entry.value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(entry.bad_value("text is UTF-8")),
    }
}

fn signed(octets: &[u8]) -> Option<i64> {
    match octets.len() {
        1 => Some(i64::from(i8::from_be_bytes(array(octets)))),
        2 => Some(i64::from(i16::from_be_bytes(array(octets)))),
        4 => Some(i64::from(i32::from_be_bytes(array(octets)))),
        8 => Some(i64::from_be_bytes(array(octets))),
        _ => None,
    }
}

fn unsigned(octets: &[u8]) -> Option<u64> {
    match octets.len() {
        1 => Some(u64::from(octets[0])),
        2 => Some(u64::from(u16::from_be_bytes(array(octets)))),
        4 => Some(u64::from(u32::from_be_bytes(array(octets)))),
        8 => Some(u64::from_be_bytes(array(octets))),
        _ => None,
    }
}

/// The octets as an array of the length that was just matched.
fn array<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().expect("the length was matched")
}
