//! The text format: one value as text (LwM2M Core 1.1 section 7.4.1 and Appendix C).

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
    let text = to_text(one_value(node)?).ok_or(FormatError::NotAcceptable)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
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
    Some(match value {
        Value::String(text) | Value::CoreLink(text) => text.clone(),
        Value::Integer(number) | Value::Time(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        Value::Float(number) if number.is_finite() => number.to_string(),
        Value::Float(_) => return None,
        Value::Boolean(truth) => String::from(if *truth { "1" } else { "0" }),
        Value::Opaque(bytes) => to_base64(bytes),
        Value::ObjectLink(link) => link.to_string(),
    })
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

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = BASE64[(group >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Strict: padded, no line breaks, and the bits that padding leaves unused are zero, so that each content has one text.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.len() % 4 != 0 {
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
