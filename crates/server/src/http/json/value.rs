//! One value as JSON.

use lapwing_lwm2m::model::{ObjectLink, ResourceType, Value};
use serde_json::{Value as Json, json};

/// The types by their names in JSON.
const TYPES: [(&str, ResourceType); 10] = [
    ("STRING", ResourceType::String),
    ("INTEGER", ResourceType::Integer),
    ("UNSIGNED_INTEGER", ResourceType::Unsigned),
    ("FLOAT", ResourceType::Float),
    ("BOOLEAN", ResourceType::Boolean),
    ("OPAQUE", ResourceType::Opaque),
    ("TIME", ResourceType::Time),
    ("OBJLNK", ResourceType::ObjectLink),
    ("CORELINK", ResourceType::CoreLink),
    ("NONE", ResourceType::None),
];

/// The name of a type, in capitals.
pub(crate) fn type_name(kind: ResourceType) -> &'static str {
    TYPES.iter().find(|(_, named)| *named == kind).map_or("NONE", |(name, _)| name)
}

/// The type of that name, in any case.
pub(crate) fn type_named(name: &str) -> Option<ResourceType> {
    TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
}

/// A value as JSON. Integers are strings, since JavaScript's numbers are exact only up to 2^53.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::String(text) | Value::CoreLink(text) => json!(text),
        Value::Integer(number) => json!(number.to_string()),
        Value::Unsigned(number) => json!(number.to_string()),
        Value::Float(number) => json!(float(*number)),
        Value::Boolean(truth) => json!(truth),
        Value::Opaque(bytes) => json!(hex(bytes)),
        Value::Time(seconds) => json!(seconds.saturating_mul(1000)),
        Value::ObjectLink(link) => json!({
            "objectId": link.object,
            "objectInstanceId": link.instance,
            "nullLink": *link == ObjectLink::NULL,
        }),
    }
}

/// A value from JSON.
///
/// # Errors
/// What was expected instead, as a sentence.
pub(crate) fn from_json(json: &Json, kind: ResourceType) -> Result<Value, String> {
    let value = match kind {
        ResourceType::String => json.as_str().map(Value::from),
        ResourceType::CoreLink => json
            .as_str()
            .filter(|text| lapwing_coap::link::parse(text.as_bytes()).is_ok())
            .map(|text| Value::CoreLink(text.to_owned())),
        ResourceType::Integer => integer(json).map(Value::Integer),
        ResourceType::Unsigned => unsigned(json).map(Value::Unsigned),
        ResourceType::Float => number(json).map(Value::Float),
        ResourceType::Boolean => json.as_bool().map(Value::Boolean),
        ResourceType::Opaque => json.as_str().and_then(bytes).map(Value::Opaque),
        ResourceType::Time => whole(json).map(|milliseconds| Value::Time(milliseconds.div_euclid(1000))),
        ResourceType::ObjectLink => link(json).map(Value::ObjectLink),
        ResourceType::None => None,
    };
    value.ok_or_else(|| format!("expected is {}, but it was {json}", expected(kind)))
}

fn expected(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::String => "a string",
        ResourceType::Integer => "a string of decimal digits, or a whole number, of at most 64 bits",
        ResourceType::Unsigned => "a string of decimal digits, or a whole number from 0, of at most 64 bits",
        ResourceType::Float => "a string with a finite number, or a number",
        ResourceType::Boolean => "true or false",
        ResourceType::Opaque => "a string of hexadecimal digits, two a byte",
        ResourceType::Time => "a whole number of milliseconds since 1970",
        ResourceType::ObjectLink => "an object with objectId and objectInstanceId, each at most 65535",
        ResourceType::CoreLink => "a string in link-format",
        ResourceType::None => "no value of type NONE",
    }
}

/// A JSON number without a fraction. `1.0` is one too.
fn whole(json: &Json) -> Option<i64> {
    // Up to 2^53 a float is exact, beyond it no float tells which integer was meant.
    let exact =
        |number: f64| (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64);
    json.as_i64().or_else(|| json.as_f64().and_then(exact))
}

fn integer(json: &Json) -> Option<i64> {
    json.as_str().map_or_else(|| whole(json), |text| text.parse().ok())
}

fn unsigned(json: &Json) -> Option<u64> {
    if let Some(text) = json.as_str() {
        return text.parse().ok();
    }
    json.as_u64().or_else(|| whole(json).and_then(|number| u64::try_from(number).ok()))
}

fn number(json: &Json) -> Option<f64> {
    let number = json.as_str().map_or_else(|| json.as_f64(), |text| text.trim().parse().ok());
    number.filter(|number: &f64| number.is_finite())
}

fn link(json: &Json) -> Option<ObjectLink> {
    let id = |name| json.get(name).and_then(whole).and_then(|id| u16::try_from(id).ok());
    Some(ObjectLink::new(id("objectId")?, id("objectInstanceId")?))
}

/// A float as Java prints it: with a fraction, and with an exponent from 1.0E7 and below 1.0E-3.
fn float(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if size == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{number:?}")
    } else {
        let text = format!("{number:E}");
        match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        }
    }
}

/// Hexadecimal digits in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_look_as_java_prints_them() {
        for (number, text) in [
            (21.5, "21.5"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.000_99, "9.9E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1e10, "1.0E10"),
            (-1.5e-7, "-1.5E-7"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn whole_numbers_are_taken_only_where_they_are_exact() {
        assert_eq!(from_json(&json!("9223372036854775807"), ResourceType::Integer), Ok(Value::Integer(i64::MAX)));
        assert_eq!(from_json(&json!(1.0), ResourceType::Integer), Ok(Value::Integer(1)));
        assert_eq!(from_json(&json!(u64::MAX), ResourceType::Unsigned), Ok(Value::Unsigned(u64::MAX)));
        for wrong in [json!(1.5), json!("1.0"), json!("9223372036854775808"), json!(1e300), json!(null), json!(true)] {
            assert!(from_json(&wrong, ResourceType::Integer).is_err(), "{wrong}");
        }
        assert!(from_json(&json!(-1), ResourceType::Unsigned).is_err());
    }

    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(from_json(&json!(-1), ResourceType::Time), Ok(Value::Time(-1)));
        assert_eq!(from_json(&json!(1999), ResourceType::Time), Ok(Value::Time(1)));
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(from_json(&json!("0aFF"), ResourceType::Opaque), Ok(Value::Opaque(vec![10, 255])));
        assert_eq!(from_json(&json!(""), ResourceType::Opaque), Ok(Value::Opaque(vec![])));
        for wrong in ["0", "0g", "+1", "ää"] {
            assert!(from_json(&json!(wrong), ResourceType::Opaque).is_err(), "{wrong}");
        }
    }
}
