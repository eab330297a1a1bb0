//! The text format: one value as text (LwM2M Core 1.1 section 7.4.1 and Appendix C).

use std::fmt;
use std::io::Write;

use lapwing_coap::link::Links;

use super::{FormatError, one_value, value_definition, wrap};
use crate::model::{Node, ObjectDefinition, ObjectLink, Path, ResourceType, Value};

/// Writes one value.
///
/// Numbers are decimal without an exponent, a Boolean is `0` or `1`, a Time its seconds since 1970, an Opaque is Base64
/// with padding (RFC 4648 section 4), an ObjectLink `object:instance`.
///
/// # Errors
/// [`FormatError::NotAcceptable`] for what is not one value, and for a Float that is infinite or not a number.
pub fn encode(node: &Node, out: &mut Vec<u8>) -> Result<(), FormatError> {
    write_value(one_value(node)?, out)
}

fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match value {
        Value::String(text) | Value::CoreLink(text) => out.extend_from_slice(text.as_bytes()),
        Value::Integer(number) | Value::Time(number) => put(out, format_args!("{number}")),
        Value::Unsigned(number) => put(out, format_args!("{number}")),
        // Decimal digits cannot say the others.
        Value::Float(number) if number.is_finite() => put(out, format_args!("{number}")),
        Value::Float(_) => return Err(FormatError::NotAcceptable),
        Value::Boolean(truth) => out.push(if *truth { b'1' } else { b'0' }),
        Value::Opaque(bytes) => put_base64(bytes, out),
        Value::ObjectLink(link) => put(out, format_args!("{link}")),
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

/// Reads the value of a single resource or of a resource instance. What the definition does not know is read as a String,
/// and so is what it says to be executable.
///
/// # Errors
/// [`FormatError::UnsupportedFormat`] for a path that cannot have one value, [`FormatError::Mismatch`] for an instance of
/// a single resource, [`FormatError::Malformed`].
pub fn decode(path: &Path, definition: &ObjectDefinition, payload: &[u8]) -> Result<Node, FormatError> {
    let kind = match value_definition(path, definition)?.map(|resource| resource.kind) {
        Some(ResourceType::None) | None => ResourceType::String,
        Some(kind) => kind,
    };
    let text = str::from_utf8(payload)
        .map_err(|error| FormatError::Malformed { offset: error.valid_up_to(), what: "text is UTF-8" })?;
    let value = from_text(kind, text).map_err(|what| FormatError::Malformed { offset: 0, what })?;
    Ok(wrap(path, value))
}

/// The value as text; `None` for a Float that is infinite or not a number, which decimal digits cannot say.
pub fn to_text(value: &Value) -> Option<String> {
    let mut text = Vec::new();
    write_value(value, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// The value of this type that a text says.
///
/// # Errors
/// What is expected of a text of this type.
pub fn from_text(kind: ResourceType, text: &str) -> Result<Value, &'static str> {
    match kind {
        ResourceType::String => Ok(Value::String(text.to_owned())),
        ResourceType::Integer => {
            integer(text).map(Value::Integer).ok_or("an Integer is decimal digits that fit 64 bits")
        }
        ResourceType::Unsigned => {
            let digits = is_digits(text).then(|| text.parse().ok()).flatten();
            digits.map(Value::Unsigned).ok_or("an Unsigned Integer is decimal digits that fit 64 bits")
        }
        ResourceType::Float => float(text).map(Value::Float).ok_or("a Float is decimal digits with a point"),
        ResourceType::Boolean => match text {
            "0" => Ok(Value::Boolean(false)),
            "1" => Ok(Value::Boolean(true)),
            _ => Err("a Boolean is 0 or 1"),
        },
        ResourceType::Opaque => from_base64(text).map(Value::Opaque).ok_or("an Opaque is Base64 with padding"),
        ResourceType::Time => integer(text).map(Value::Time).ok_or("a Time is seconds since 1970 in decimal digits"),
        ResourceType::ObjectLink => {
            object_link(text).map(Value::ObjectLink).ok_or("an Objlnk is two numbers of 16 bits, as 3:0")
        }
        ResourceType::CoreLink => match Links::parse(text.as_bytes()) {
            Ok(_) => Ok(Value::CoreLink(text.to_owned())),
            Err(_) => Err("a Corelnk is link-format"),
        },
        ResourceType::None => Err("an executable resource has no value"),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer(text: &str) -> Option<i64> {
    is_digits(text.strip_prefix('-').unwrap_or(text)).then(|| text.parse().ok()).flatten()
}

/// Decimal digits with an optional sign and fraction. An exponent is taken too: the standard's "decimal" does not say
/// whether it may be there, and Anjay and Leshan write one for very large and very small numbers.
fn float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let magnitude = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, "0"));
    let well_formed = is_digits(whole) && is_digits(fraction) && is_digits(exponent);
    well_formed.then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

fn object_link(text: &str) -> Option<ObjectLink> {
    let (object, instance) = text.split_once(':')?;
    (is_digits(object) && is_digits(instance))
        .then(|| Some(ObjectLink::new(object.parse().ok()?, instance.parse().ok()?)))
        .flatten()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = BASE64[(group >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() { digit } else { b'=' });
        }
    }
}

/// Strict: padded, no line breaks, and the bits that padding leaves unused are zero, so that each content has one text.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in digits.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for byte in chunk {
            group = group << 6 | u32::from(digit(*byte)?);
        }
        group <<= 6 * (4 - chunk.len());
        let kept = chunk.len() * 3 / 4;
        let octets = group.to_be_bytes();
        if chunk.len() == 1 || octets[1 + kept..].iter().any(|unused| *unused != 0) {
            return None;
        }
        bytes.extend_from_slice(&octets[1..=kept]);
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{device, test_object_v1_1 as test};
    use crate::model::{Resource, Value};

    #[track_caller]
    fn both_ways(kind: ResourceType, value: impl Into<Value>, text: &str) {
        let value = value.into();
        assert_eq!(to_text(&value).as_deref(), Some(text));
        assert_eq!(from_text(kind, text), Ok(value));
    }

    /// LwM2M Core 1.1 Appendix C.
    #[test]
    fn every_type() {
        both_ways(ResourceType::String, "a \u{263a}", "a \u{263a}");
        both_ways(ResourceType::String, "", "");
        both_ways(ResourceType::Integer, i64::MIN, "-9223372036854775808");
        both_ways(ResourceType::Unsigned, u64::MAX, "18446744073709551615");
        both_ways(ResourceType::Float, -273.15, "-273.15");
        both_ways(ResourceType::Float, 5.0, "5");
        both_ways(ResourceType::Boolean, true, "1");
        both_ways(ResourceType::Boolean, false, "0");
        both_ways(ResourceType::Time, Value::Time(1_367_491_215), "1367491215");
        both_ways(ResourceType::ObjectLink, ObjectLink::new(10, 3), "10:3");
        both_ways(ResourceType::ObjectLink, ObjectLink::NULL, "65535:65535");
        both_ways(ResourceType::CoreLink, Value::CoreLink("</3/0>;ver=1.1".into()), "</3/0>;ver=1.1");
    }

    #[test]
    fn floats_are_written_without_an_exponent() {
        let text = to_text(&Value::Float(1e-20)).unwrap();
        assert_eq!(text, "0.00000000000000000001");
        assert_eq!(from_text(ResourceType::Float, &text), Ok(Value::Float(1e-20)));
        assert_eq!(to_text(&Value::Float(f64::NAN)), None);
        assert_eq!(to_text(&Value::Float(f64::INFINITY)), None);
        for (text, number) in [("1e3", 1000.0), ("-1.5E-1", -0.15), ("2e+1", 20.0), ("007", 7.0)] {
            assert_eq!(from_text(ResourceType::Float, text), Ok(Value::Float(number)), "{text}");
        }
    }

    /// RFC 4648 section 10.
    #[test]
    fn base64() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            both_ways(ResourceType::Opaque, octets.as_bytes(), text);
        }
        both_ways(ResourceType::Opaque, vec![0xfb, 0xff, 0xfe], "+//+");
    }

    #[test]
    fn refuses_what_a_type_has_not() {
        for (kind, texts) in [
            (ResourceType::Integer, &["", "-", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "1e3"][..]),
            (ResourceType::Unsigned, &["", "-1", "+1", "18446744073709551616"]),
            (ResourceType::Time, &["", "now", "1.5"]),
            (
                ResourceType::Float,
                &["", ".", "1.", ".5", "+1", "-", "1e", "e1", "nan", "inf", "1e999", "1,5", "--1", "1e+-1"],
            ),
            (ResourceType::Boolean, &["", "true", "2", "01", "-0"]),
            (
                ResourceType::ObjectLink,
                &["", ":", "3", "3:", ":0", "3:0:1", "66613:2", "3:65536", "-1:0", "3: 0", "+3:0"],
            ),
            (ResourceType::CoreLink, &["3", "<3", "</3>,"]),
            (
                ResourceType::Opaque,
                &["A", "AA", "AAA", "Zg=", "Zg", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Z===", "====", "Zm_v"],
            ),
            (ResourceType::None, &["", "1"]),
        ] {
            for text in texts {
                assert!(from_text(kind, text).is_err(), "{kind} {text:?}");
            }
        }
    }

    #[test]
    fn at_paths() {
        let base = Path::object(3442).instance(0);
        let definition = &test::V1_0;
        let integer = base.resource(test::INTEGER_VALUE);
        assert_eq!(decode(&integer, definition, b"-5"), Ok(Node::single(-5)));
        let instance = base.resource(test::MULTIPLE_INTEGER_VALUE).resource_instance(7);
        assert_eq!(decode(&instance, definition, b"-5"), Ok(Node::Value(Value::Integer(-5))));
        assert_eq!(decode(&base.resource(999), definition, b"-5"), Ok(Node::single("-5")));
        assert_eq!(
            decode(&Path::object(3).instance(0).resource(device::REBOOT), &device::V1_0, b""),
            Ok(Node::single(""))
        );

        for path in [base, Path::object(3442), Path::ROOT, base.resource(test::MULTIPLE_INTEGER_VALUE)] {
            assert_eq!(decode(&path, definition, b"1"), Err(FormatError::UnsupportedFormat), "{path}");
        }
        let below_single = decode(&integer.resource_instance(0), definition, b"1");
        assert!(matches!(below_single, Err(FormatError::Mismatch { .. })));
        let no_text = decode(&base.resource(test::STRING_VALUE), definition, b"ab\xff");
        assert!(matches!(no_text, Err(FormatError::Malformed { offset: 2, .. })));
    }

    #[test]
    fn writes_one_value_only() {
        let mut out = b"x".to_vec();
        encode(&Node::Value(5.into()), &mut out).unwrap();
        assert_eq!(out, b"x5");
        assert_eq!(encode(&Node::Resource(Resource::multiple([(0, 1)])), &mut out), Err(FormatError::NotAcceptable));
        assert_eq!(encode(&Node::single(f64::NAN), &mut out), Err(FormatError::NotAcceptable));
        assert_eq!(out, b"x5");
    }
}
