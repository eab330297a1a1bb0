//! Who may call: whoever reaches the server, except web pages that are not its own.
//!
//! A browser runs pages of strangers, and lets them send requests to any address, this one too. What they send can be told:
//! browsers name the page's `Origin`, and say with `Sec-Fetch-Site` whether it is the same. A page whose name the
//! attacker's DNS points to this address (DNS rebinding) has the same origin, but then `Host` is a public name.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;

const FOREIGN: &str = "Refused: only pages of this server itself may call it from a browser";

/// Refuses foreign pages, and adds the headers that every answer has.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api");
    let mut response = match refuse(request.headers(), api) {
        Some(text) => ApiError::new(StatusCode::FORBIDDEN, text).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What a client answers is true only now, and the page's files change with the program.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(if api { "no-store" } else { "no-cache" }));
    response
}

fn refuse(headers: &HeaderMap, api: bool) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    // HTTP/1.0 has no Host, and no browser speaks it.
    let host = text(header::HOST);
    if host.is_some_and(|host| !is_private(host)) {
        return Some("Refused: the server is asked for by a public name; use its IP address or localhost");
    }
    if let Some(origin) = text(header::ORIGIN) {
        let same = origin.strip_prefix("http://").is_some_and(|origin| host == Some(origin));
        if !same {
            return Some(FOREIGN);
        }
    }
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some("cross-site" | "same-site") if api => Some(FOREIGN),
        _ => None,
    }
}

/// Whether a `Host` cannot be a name that strangers have in the DNS.
pub(super) fn is_private(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if let Some((ip, _)) = bracketed {
        return ip.parse::<IpAddr>().is_ok();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts_are_addresses_and_names_that_no_stranger_has() {
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.168.1.2",
            "localhost",
            "LOCALHOST.:8080",
            "gateway",
            "lab.local:80",
            "lapwing.internal",
            "x.localhost",
            "x.home.arpa",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in
            ["example.com", "127.0.0.1.example.com:8080", "local.example.com", "evil.locals", "[evil.com]", "?.x"]
        {
            assert!(!is_private(host), "{host}");
        }
    }

    #[test]
    fn pages_of_others_are_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect::<HeaderMap>()
        };
        let host = ("host", "127.0.0.1:8080");
        assert!(refuse(&headers(&[host]), true).is_none());
        assert!(
            refuse(&headers(&[host, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")]), true)
                .is_none()
        );
        assert!(refuse(&headers(&[host, ("sec-fetch-site", "none")]), true).is_none());
        for origin in
            ["http://example.com", "null", "http://127.0.0.1:9090", "https://127.0.0.1:8080", "http://localhost:8080"]
        {
            assert!(refuse(&headers(&[host, ("origin", origin)]), true).is_some(), "{origin}");
        }
        assert!(refuse(&headers(&[host, ("sec-fetch-site", "cross-site")]), true).is_some());
        assert!(refuse(&headers(&[host, ("sec-fetch-site", "same-site")]), true).is_some());
        // A link from elsewhere may open the page.
        assert!(refuse(&headers(&[host, ("sec-fetch-site", "cross-site")]), false).is_none());
    }
}
