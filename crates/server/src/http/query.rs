//! The query parameters of docs/api/http.md.

use std::time::Duration;

use lapwing_coap::ContentFormat;
use lapwing_lwm2m::{attributes::Changes, server::WriteMode};

use super::error::ApiError;

/// How long a client may take when nothing else is asked for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Name and value, decoded, in their order.
pub(crate) type Pairs = Vec<(String, String)>;

/// The first value of a parameter.
pub(crate) fn first<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `timeout`, in whole seconds.
pub(crate) fn timeout(pairs: &Pairs) -> Duration {
    first(pairs, "timeout").and_then(|seconds| seconds.parse().ok()).map_or(TIMEOUT, Duration::from_secs)
}

/// `timeout` of what takes its time, if it is given.
pub(crate) fn patience(pairs: &Pairs) -> Option<Duration> {
    first(pairs, "timeout").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs)
}

/// `format`. A name that is none is as if not given.
pub(crate) fn format(pairs: &Pairs) -> Result<Option<ContentFormat>, ApiError> {
    let Some(name) = first(pairs, "format") else { return Ok(None) };
    let name = name.to_uppercase();
    match name.as_str() {
        "TLV" => Ok(Some(ContentFormat::TLV)),
        "TEXT" => Ok(Some(ContentFormat::TEXT)),
        "OPAQUE" => Ok(Some(ContentFormat::OPAQUE)),
        "LINK" => Err(ApiError::invalid_request("LINK is no format of values")),
        "JSON" | "SENML_JSON" | "SENML_CBOR" | "CBOR" => Err(ApiError::not_implemented(&format!("the format {name}"))),
        _ => Ok(None),
    }
}

/// `replace`: true in any case, or absent.
pub(crate) fn mode(pairs: &Pairs) -> WriteMode {
    match first(pairs, "replace") {
        Some(word) if !word.eq_ignore_ascii_case("true") => WriteMode::Update,
        _ => WriteMode::Replace,
    }
}

/// `active`.
pub(crate) fn active(pairs: &Pairs) -> bool {
    first(pairs, "active").is_some()
}

/// Notification attributes: the whole query, as it stands in the URL.
pub(crate) fn attributes(query: Option<&str>) -> Result<Changes, ApiError> {
    let invalid =
        |reason: String| ApiError::new(axum::http::StatusCode::BAD_REQUEST, format!("Invalid attributes: {reason}"));
    let query = query.filter(|query| !query.is_empty()).ok_or_else(|| invalid("none is given".to_owned()))?;
    if let Some(open) = query.split('&').find(|pair| pair.ends_with('=')) {
        return Err(invalid(format!("'{open}' has no value; to remove an attribute, leave '=' out too")));
    }
    Changes::parse(query.split('&')).map_err(|error| invalid(error.to_string()))
}
