//! Credentials as JSON: those of clients, and what the server shows of itself.

use lapwing_dtls::{credentials::Psk, crypto::PublicKey};
use lapwing_lwm2m::server::SecurityInfo;
use serde_json::{Value as Json, json};

use super::{
    super::error::ApiError,
    value::{bytes, hex},
};
use crate::Presented;

/// As Java names P-256.
const P256: &str = "secp256r1 [NIST P-256, X9.62 prime256v1] (1.2.840.10045.3.1.7)";

/// What an endpoint has to show; the key of a pre-shared one only on request.
pub(crate) fn security(endpoint: &str, info: &SecurityInfo, with_keys: bool) -> Json {
    let tls = match info {
        SecurityInfo::Psk(psk) => {
            let mut details = json!({"identity": String::from_utf8_lossy(psk.identity())});
            if with_keys {
                details["key"] = json!(hex(psk.key()));
            }
            json!({"mode": "psk", "details": details})
        }
        SecurityInfo::RawPublicKey(key) => json!({"mode": "rpk", "details": {"key": hex(key)}}),
        _ => json!({"mode": "x509"}),
    };
    json!({"endpoint": endpoint, "tls": tls})
}

/// As [`parse_security`], of a body.
pub(crate) fn parse_security_body(body: &[u8]) -> Result<(String, SecurityInfo), ApiError> {
    // What is wrong is not told by the parser, which might quote a key.
    parse_security(&serde_json::from_slice(body).map_err(|_| invalid("it is not JSON"))?)
}

fn invalid(reason: &str) -> ApiError {
    ApiError::new(axum::http::StatusCode::BAD_REQUEST, format!("Invalid request body: {reason}"))
}

/// The endpoint, and what it is to show.
pub(crate) fn parse_security(json: &Json) -> Result<(String, SecurityInfo), ApiError> {
    let endpoint = json["endpoint"].as_str().filter(|endpoint| !endpoint.is_empty());
    let endpoint = endpoint.ok_or_else(|| invalid("Missing endpoint"))?;
    if json.get("oscore").is_some() {
        return Err(ApiError::not_implemented("OSCORE"));
    }
    let details = &json["tls"]["details"];
    let text = |name: &str| details[name].as_str();
    let info = match json["tls"]["mode"].as_str() {
        Some("psk") => {
            let identity = text("identity").ok_or_else(|| invalid("Missing PSK identity"))?;
            let key = text("key").and_then(bytes).ok_or_else(|| invalid("key parameter must be a valid hex string"))?;
            SecurityInfo::Psk(Psk::new(identity, key).map_err(|error| invalid(&error.to_string()))?)
        }
        Some("rpk") => {
            let key = text("key").and_then(bytes).filter(|key| PublicKey::from_der(key).is_ok());
            SecurityInfo::RawPublicKey(key.ok_or_else(|| invalid("key must be a P-256 SubjectPublicKeyInfo in hex"))?)
        }
        Some("x509") => SecurityInfo::X509,
        _ => return Err(invalid("tls.mode must be psk, rpk or x509")),
    };
    Ok((endpoint.to_owned(), info))
}

/// What the server shows of itself; a member for each kind that it has.
pub(crate) fn presented(presented: &Presented) -> Json {
    let mut json = json!({});
    if let Some(key) = &presented.public_key {
        json["pubkey"] = public_key(key);
    }
    if let Some((certificate, key)) = &presented.certificate {
        json["certificate"] = json!({"pubkey": public_key(key), "b64Der": base64(certificate)});
    }
    json
}

/// The last 64 bytes of the SubjectPublicKeyInfo of an uncompressed point are its coordinates (RFC 5480 section 2.2).
fn public_key(der: &[u8]) -> Json {
    let (x, y) = der.split_last_chunk::<64>().map_or((&[][..], &[][..]), |(_, point)| point.split_at(32));
    json!({"x": hex(x), "y": hex(y), "params": P256, "b64Der": base64(der)})
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0usize, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        std::array::from_fn::<char, 4, _>(|at| match at <= chunk.len() {
            true => char::from(ALPHABET[bits >> (18 - 6 * at) & 63]),
            false => '=',
        })
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 section 10.
    #[test]
    fn base64_as_in_the_standard() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn no_error_quotes_a_key() {
        for body in [
            json!({"endpoint": "a", "tls": {"mode": "psk", "details": {"identity": "i", "key": "c0ffee0"}}}),
            json!({"endpoint": "a", "tls": {"mode": "rpk", "details": {"key": "c0ffee"}}}),
        ] {
            let error = parse_security(&body).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(!error.text.contains("c0ff"), "{}", error.text);
        }
    }
}
