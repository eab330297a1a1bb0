//! A CoAP message of the exchange log as JSON.

use std::fmt::Write;

use lapwing_coap::{
    ContentFormat,
    wire::{Code, Message, option},
};
use lapwing_lwm2m::server::{Direction, LogEntry};
use serde_json::{Value as Json, json};

use super::value::hex;

/// The message, or `None` for a datagram that is none.
pub(crate) fn message(entry: &LogEntry, endpoint: &str) -> Option<Json> {
    let message = entry.message()?;
    let mut json = json!({
        "timestamp": entry.time.unix.map_or(0, |unix| unix.as_millis() as u64),
        "incoming": entry.direction == Direction::In,
        "type": message.kind.name(),
        "mId": message.id,
        "token": hex(message.token.as_bytes()).to_uppercase(),
        "ep": endpoint,
    });
    if entry.secure {
        json["secure"] = json!(true);
    }
    if message.code != Code::EMPTY {
        json["code"] = json!(code(message.code));
    }
    let options = options(&message);
    if !options.is_empty() {
        json["options"] = json!(options);
    }
    if !message.payload.is_empty() {
        json["payload"] = json!(payload(message.payload));
    }
    Some(json)
}

/// `GET` or `2.05`.
fn code(code: Code) -> String {
    let method = code.name().filter(|_| code.is_request());
    method.map_or_else(|| format!("{}.{:02}", code.class(), code.detail()), |name| name.to_uppercase())
}

fn payload(bytes: &[u8]) -> String {
    let printable = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    match std::str::from_utf8(bytes) {
        Ok(text) if printable => text.to_owned(),
        _ => format!("Hex:{}", hex(bytes)),
    }
}

/// `Uri-Path: "3", "0" - Accept: "application/vnd.oma.lwm2m+tlv"`.
fn options(message: &Message<'_>) -> String {
    let mut text = String::new();
    let mut last = None;
    for found in message.options.iter() {
        let value = value(found.number, found.value);
        if last == Some(found.number) {
            // Writing to a String cannot fail.
            let _ = write!(text, ", {value}");
            continue;
        }
        let between = if last.is_some() { " - " } else { "" };
        let _ = match option::definition(found.number) {
            Some(definition) => write!(text, "{between}{}: {value}", definition.name),
            None => write!(text, "{between}Unknown ({}): {value}", found.number),
        };
        last = Some(found.number);
    }
    text
}

fn value(number: u16, bytes: &[u8]) -> String {
    let uint = || bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    match option::definition(number).filter(|definition| definition.permits(bytes)).map(|definition| definition.format)
    {
        _ if matches!(number, option::CONTENT_FORMAT | option::ACCEPT) => format!("\"{}\"", media_type(uint())),
        Some(option::Format::Empty) => String::new(),
        Some(option::Format::String) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
        Some(option::Format::Uint) if matches!(number, option::BLOCK1 | option::BLOCK2) => block(uint()),
        Some(option::Format::Uint) => uint().to_string(),
        Some(option::Format::Opaque) | None => format!("0x{}", hex(bytes).to_uppercase()),
    }
}

fn block(value: u64) -> String {
    let exponent = value & 7;
    format!("(szx={exponent}/{}, m={}, num={})", 1u32 << (exponent + 4), value & 8 != 0, value >> 4)
}

fn media_type(number: u64) -> String {
    let name = match u16::try_from(number).map(ContentFormat) {
        Ok(ContentFormat::TEXT) => "text/plain",
        Ok(ContentFormat::LINK_FORMAT) => "application/link-format",
        Ok(ContentFormat::XML) => "application/xml",
        Ok(ContentFormat::OPAQUE) => "application/octet-stream",
        Ok(ContentFormat::PLAIN_JSON) => "application/json",
        Ok(ContentFormat::CBOR) => "application/cbor",
        Ok(ContentFormat::SENML_JSON) => "application/senml+json",
        Ok(ContentFormat::SENML_CBOR) => "application/senml+cbor",
        Ok(ContentFormat::TLV) => "application/vnd.oma.lwm2m+tlv",
        Ok(ContentFormat::JSON) => "application/vnd.oma.lwm2m+json",
        Ok(ContentFormat::LWM2M_CBOR) => "application/vnd.oma.lwm2m+cbor",
        _ => return format!("unknown/{number}"),
    };
    name.to_owned()
}
