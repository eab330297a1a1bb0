use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

/// A server's URI, `coap://host[:port]` or `coaps://host[:port]` (0/x/0; RFC 7252 sections 6.1 and 6.2).
///
/// The host is a name, an IPv4 address or an IPv6 address in brackets, with a zone (`[fe80::1%25eth0]`, RFC 6874) if
/// need be. Where no port is named it is 5683, with `coaps` 5684.
///
/// ```
/// use lapwing_lwm2m::account::ServerUri;
///
/// let uri: ServerUri = "coap://[::1]:5684".parse()?;
/// assert_eq!((uri.host(), uri.port()), ("::1", 5684));
/// # Ok::<(), lapwing_lwm2m::account::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUri {
    text: Arc<str>,
    host: Arc<str>,
    port: u16,
    secure: bool,
}

impl ServerUri {
    /// Port of CoAP over UDP (RFC 7252 section 6.1).
    pub const DEFAULT_PORT: u16 = 5683;
    /// Port of CoAP over DTLS (RFC 7252 section 6.2).
    pub const DEFAULT_SECURE_PORT: u16 = 5684;
    /// A Security object holds at most 255 bytes of URI (0/x/0).
    const MAX_LENGTH: usize = 255;

    /// The URI as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Name or address of the host, without brackets; a zone follows `%`, as in `fe80::1%eth0`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the server is spoken to over DTLS: `coaps`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

impl fmt::Display for ServerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for ServerUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<ServerUri, UriError> {
        if text.len() > ServerUri::MAX_LENGTH {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UriError::NoScheme)?;
        let (secure, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "coap" => (false, ServerUri::DEFAULT_PORT),
            "coaps" => (true, ServerUri::DEFAULT_SECURE_PORT),
            "coap+tcp" | "coaps+tcp" | "coap+ws" | "coaps+ws" => {
                return Err(UriError::NotBuilt(scheme.to_ascii_lowercase()));
            }
            _ => return Err(UriError::Scheme(scheme.into())),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(UriError::Extra);
        }
        let (host, port) = split_port(authority)?;
        let port = port.map_or(Ok(default_port), parse_port)?;
        Ok(ServerUri { text: text.into(), host: host.into(), port, secure })
    }
}

/// The host without brackets, and what follows its colon.
fn split_port(authority: &str) -> Result<(String, Option<&str>), UriError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (literal, after) = rest.split_once(']').ok_or(UriError::Host)?;
        let (address, zone) = match literal.split_once("%25") {
            Some((address, zone)) if !zone.is_empty() => (address, Some(zone)),
            Some(_) => return Err(UriError::Host),
            None => (literal, None),
        };
        address.parse::<Ipv6Addr>().map_err(|_| UriError::Host)?;
        let host = zone.map_or_else(|| address.into(), |zone| format!("{address}%{zone}"));
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UriError::Host),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) { Err(UriError::Host) } else { Ok((host.into(), port)) }
}

fn parse_port(port: &str) -> Result<u16, UriError> {
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UriError::Port);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(UriError::Port),
        Ok(port) => Ok(port),
    }
}

/// Why a text is not the URI of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// There is no `://`.
    #[error("a server URI looks like coap://host:port")]
    NoScheme,
    /// A scheme that LwM2M does not use.
    #[error("unknown scheme '{0}': a server URI looks like coap://host:port")]
    Scheme(String),
    /// A transport that this version does not speak.
    #[error("'{0}' is not built yet: only coap and coaps (CoAP over UDP, plain and over DTLS) are")]
    NotBuilt(String),
    /// The host is empty or not a name, an IPv4 address or an IPv6 address in brackets.
    #[error("the host is not a name, an IPv4 address or an IPv6 address in brackets")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Something else than host and port follows.
    #[error("a server URI has only a host and a port")]
    Extra,
    /// Longer than a Security object can hold.
    #[error("a server URI has at most 255 bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_addresses() {
        for (text, host, port) in [
            ("coap://leshan.example", "leshan.example", 5683),
            ("COAP://127.0.0.1:5700", "127.0.0.1", 5700),
            ("coap://[::1]", "::1", 5683),
            ("coap://[2001:db8::7]:61616/", "2001:db8::7", 61616),
            ("coap://[fe80::1%25eth0]:5683", "fe80::1%eth0", 5683),
            ("coaps://h", "h", 5684),
            ("coapS://h:5683", "h", 5683),
        ] {
            let uri: ServerUri = text.parse().unwrap();
            assert_eq!((uri.host(), uri.port(), uri.as_str()), (host, port, text));
            assert_eq!(uri.is_secure(), text.to_lowercase().starts_with("coaps"));
        }
    }

    #[test]
    fn refuses_what_it_cannot_reach() {
        for (text, why) in [
            ("leshan.example", UriError::NoScheme),
            ("http://leshan.example", UriError::Scheme("http".into())),
            ("coap+tcp://leshan.example", UriError::NotBuilt("coap+tcp".into())),
            ("coap://", UriError::Host),
            ("coap://:5683", UriError::Host),
            ("coap://::1", UriError::Host),
            ("coap://[::1", UriError::Host),
            ("coap://[::1]x", UriError::Host),
            ("coap://[fe80::1%25]", UriError::Host),
            ("coap://a b", UriError::Host),
            ("coap://host:", UriError::Port),
            ("coap://host:0", UriError::Port),
            ("coap://host:65536", UriError::Port),
            ("coap://host:+1", UriError::Port),
            ("coap://user@host", UriError::Extra),
            ("coap://host/rd", UriError::Extra),
            ("coap://host?x", UriError::Extra),
        ] {
            assert_eq!(text.parse::<ServerUri>(), Err(why), "{text}");
        }
        assert_eq!(format!("coap://{}", "a".repeat(250)).parse::<ServerUri>(), Err(UriError::TooLong));
    }
}
