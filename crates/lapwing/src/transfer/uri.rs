use std::fmt;
use std::str::FromStr;

use lapwing_lwm2m::account::ServerUri;

use super::{Cause, Login};

/// How a package is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// CoAP over UDP (RFC 7252 section 6.1).
    Coap,
    /// CoAP over DTLS (RFC 7252 section 6.2).
    Coaps,
    /// HTTP over TCP (RFC 9110 section 4.2.1).
    Http,
    /// HTTP over TLS (RFC 9110 section 4.2.2).
    Https,
}

impl Scheme {
    /// All that packages can be fetched by: http and https with the feature `http`.
    #[cfg(feature = "http")]
    pub const ALL: &[Self] = &[Self::Coap, Self::Coaps, Self::Http, Self::Https];
    /// All that packages can be fetched by: http and https with the feature `http`.
    #[cfg(not(feature = "http"))]
    pub const ALL: &[Self] = &[Self::Coap, Self::Coaps];

    /// As a URI begins.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coap => "coap",
            Self::Coaps => "coaps",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a package lies (5/0/1, 9/x/3).
///
/// Printed, it has neither user and password nor query, which often hold secrets.
///
/// ```
/// use lapwing::transfer::{Scheme, Uri};
///
/// let uri: Uri = "coaps://files.example/image?token=1".parse()?;
/// assert_eq!((uri.scheme(), uri.to_string().as_str()), (Scheme::Coaps, "coaps://files.example/image"));
/// # Ok::<(), lapwing::transfer::Cause>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    scheme: Scheme,
    /// Host and port as they were written, without the user.
    authority: String,
    /// The same as a server's URI: the host is checked, the port is that of CoAP where none was written.
    server: ServerUri,
    path: String,
    query: Option<String>,
    login: Option<Login>,
}

impl Uri {
    /// The longest value of an option of CoAP that is a part of a URI, in bytes (RFC 7252 section 5.10).
    const LONGEST_OPTION: usize = 255;

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port of a coap or coaps URI.
    pub(super) fn server(&self) -> &ServerUri {
        &self.server
    }

    /// User and password, where they stand in the URI.
    pub(super) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The segments of the path, decoded (RFC 7252 section 6.4).
    pub(super) fn segments(&self) -> Result<Vec<String>, Cause> {
        match self.path.as_str() {
            "/" => Ok(Vec::new()),
            path => path.split('/').skip(1).map(option).collect(),
        }
    }

    /// The arguments of the query, decoded (RFC 7252 section 6.4).
    pub(super) fn arguments(&self) -> Result<Vec<String>, Cause> {
        self.query.iter().flat_map(|query| query.split('&')).map(option).collect()
    }
}

/// What HTTP needs to know.
#[cfg(feature = "http")]
impl Uri {
    /// What is asked for over HTTP: without user, password and fragment.
    pub(super) fn request(&self) -> String {
        match &self.query {
            Some(query) => format!("{self}?{query}"),
            None => self.to_string(),
        }
    }

    /// Where a server sends to (RFC 3986 section 5.2, but that dots stay for it to resolve).
    pub(super) fn join(&self, location: &str) -> Result<Uri, Cause> {
        let scheme = location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
        let here = |rest: &str| format!("{}://{}{rest}", self.scheme.name(), self.authority);
        let folder = self.path.rfind('/').map_or("", |last| &self.path[..=last]);
        let text = match location {
            _ if scheme => location.to_owned(),
            _ if location.starts_with("//") => format!("{}:{location}", self.scheme.name()),
            _ if location.starts_with('/') => here(location),
            _ if location.starts_with('?') => here(&format!("{}{location}", self.path)),
            _ => here(&format!("{folder}{location}")),
        };
        text.parse()
    }

    /// Whether both are of the same server, as far as their texts tell.
    pub(super) fn same_origin(&self, other: &Uri) -> bool {
        self.scheme == other.scheme && self.authority.eq_ignore_ascii_case(&other.authority)
    }
}

/// A part of a URI as the value of an option.
fn option(part: &str) -> Result<String, Cause> {
    let decoded = decode(part).ok_or(Cause::Malformed("a percent sign without two digits, or no UTF-8"))?;
    if decoded.len() > Uri::LONGEST_OPTION { Err(Cause::Malformed("a part is too long for CoAP")) } else { Ok(decoded) }
}

/// Percent-decodes (RFC 3986 section 2.1).
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority, self.path)
    }
}

/// A URI that a server has written, as it may be printed: one that cannot be understood is not.
pub(crate) fn shown(uri: &str) -> String {
    uri.parse::<Uri>().map_or_else(|_| "a URI that cannot be used".to_owned(), |uri| uri.to_string())
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({self})")
    }
}

impl FromStr for Uri {
    type Err = Cause;

    /// # Errors
    /// [`Cause::Malformed`] and [`Cause::Scheme`].
    fn from_str(text: &str) -> Result<Uri, Cause> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Cause::Malformed("a blank, or a character that is not ASCII"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(Cause::Malformed("there is no scheme"))?;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(letters) {
            return Err(Cause::Malformed("there is no scheme"));
        }
        let known = Scheme::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(scheme));
        let scheme = *known.ok_or_else(|| Cause::Scheme(scheme.to_ascii_lowercase()))?;
        let rest = rest.strip_prefix("//").ok_or(Cause::Malformed("there is no host"))?;
        let coap = matches!(scheme, Scheme::Coap | Scheme::Coaps);
        let (rest, fragment) = split(rest, '#');
        if coap && fragment.is_some() {
            return Err(Cause::Malformed("a URI of CoAP has no fragment"));
        }
        let (rest, query) = split(rest, '?');
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        if coap && user.is_some() {
            return Err(Cause::Malformed("a URI of CoAP has no user"));
        }
        let server = format!("{}://{authority}", if scheme == Scheme::Coaps { "coaps" } else { "coap" });
        let server = server.parse().map_err(|_| Cause::Malformed("host or port is not one"))?;
        let login = user.map(login).transpose()?;
        let uri = Uri {
            scheme,
            authority: authority.to_owned(),
            server,
            path: path.to_owned(),
            query: query.map(str::to_owned),
            login,
        };
        if coap {
            uri.segments()?;
            uri.arguments()?;
        } else if authority.contains('%') {
            return Err(Cause::Malformed("a URI of HTTP has no zone"));
        } else if text.contains(['<', '>', '`', '"']) {
            return Err(Cause::Malformed("a character that no URI has"));
        }
        Ok(uri)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn login(text: &str) -> Result<Login, Cause> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decode = |part| decode(part).ok_or(Cause::Malformed("user or password cannot be decoded"));
    Ok(Login::new(decode(user)?, decode(password)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_can_be_fetched() {
        let uri: Uri = "coap://[::1]:5700/a%20b//%C3%A9?x=1&y%26".parse().unwrap();
        assert_eq!((uri.scheme(), uri.server().host(), uri.server().port()), (Scheme::Coap, "::1", 5700));
        assert_eq!(uri.segments().unwrap(), ["a b", "", "é"]);
        assert_eq!(uri.arguments().unwrap(), ["x=1", "y&"]);
        let uri: Uri = "COAPS://host".parse().unwrap();
        assert_eq!((uri.scheme(), uri.server().port(), uri.segments().unwrap().len()), (Scheme::Coaps, 5684, 0));
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_uri_of_http_has_a_user_and_a_fragment() {
        let uri: Uri = "http://me:p%40ss@host:8080/a?b#c".parse().unwrap();
        assert_eq!(uri.request(), "http://host:8080/a?b");
        assert_eq!(uri.login(), Some(&Login::new("me", "p@ss")));
        assert_eq!(format!("{uri} {uri:?}"), "http://host:8080/a Uri(http://host:8080/a)");
    }

    #[cfg(feature = "http")]
    #[test]
    fn follows_where_a_server_sends() {
        let from: Uri = "http://host:80/a/b?c".parse().unwrap();
        for (location, to) in [
            ("https://other/x?y", "https://other/x?y"),
            ("//other/x", "http://other/x"),
            ("/x?a:b", "http://host:80/x?a:b"),
            ("x", "http://host:80/a/x"),
            ("?d", "http://host:80/a/b?d"),
            ("", "http://host:80/a/"),
        ] {
            assert_eq!(from.join(location).unwrap().request(), to, "{location}");
        }
        assert!(from.join("file:///etc/passwd").is_err() && from.join("/a b").is_err());
        let same = |one: &str, other: &str| one.parse::<Uri>().unwrap().same_origin(&other.parse().unwrap());
        assert!(same("http://host/a", "http://u:p@HOST/b"));
        assert!(!same("http://host/", "https://host/") && !same("http://host/", "http://host:8080/"));
    }

    #[cfg(feature = "http")]
    #[test]
    fn what_http_cannot_ask_for_is_no_uri() {
        for text in ["http://host/<a>", "https://host/?a=\"", "http://[fe80::1%25eth0]/", "http://host:0/"] {
            assert!(matches!(text.parse::<Uri>(), Err(Cause::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn tells_an_unknown_scheme_from_no_uri() {
        for text in ["ftp://host/a", "coap+tcp://host/a", "file:///etc/passwd", "mailto:somebody"] {
            assert!(matches!(text.parse::<Uri>(), Err(Cause::Scheme(_))), "{text}");
        }
        #[cfg(not(feature = "http"))]
        assert!(matches!("http://host/a".parse::<Uri>(), Err(Cause::Scheme(_))));
        let long = format!("coap://host/{}", "a".repeat(256));
        for text in [
            "",
            "host/a",
            "://host",
            "1coap://host",
            "coap:/host",
            "coap://",
            "coap:///a",
            "coap://host:x/",
            "coap://a b/",
            "coap://host:99999/",
            "coap://[::1/",
            "coap://host/%4",
            "coap://host/%zz",
            "coap://host/%ff",
            "coap://host/#a",
            "coap://user@host/",
            "coap://\u{e9}/",
            "coap://host/\r\nX-Header: 1",
            &long,
        ] {
            assert!(matches!(text.parse::<Uri>(), Err(Cause::Malformed(_))), "{text}");
        }
    }
}
