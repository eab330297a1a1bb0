//! Option numbers, and what the registry says of each (RFC 7252 sections 5.4 and 12.2).

use core::str;

/// How the value of an option is to be read (RFC 7252 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// No bytes.
    Empty,
    /// Any bytes.
    Opaque,
    /// An unsigned integer in network byte order; leading zero bytes are superfluous and allowed.
    Uint,
    /// UTF-8.
    String,
}

/// What the registry says of one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Definition {
    /// The number of the option.
    pub number: u16,
    /// The name of the option.
    pub name: &'static str,
    /// How its value is to be read.
    pub format: Format,
    /// The least length of the value in bytes.
    pub min_length: u16,
    /// The greatest length of the value in bytes.
    pub max_length: u16,
    /// Whether the option may occur more than once in a message.
    pub repeatable: bool,
}

impl Definition {
    /// Whether `value` has a permitted length and, for a string, is UTF-8. An option of which this is false is treated like one
    /// that is not recognized (RFC 7252 section 5.4.3).
    #[must_use]
    pub fn permits(&self, value: &[u8]) -> bool {
        (usize::from(self.min_length)..=usize::from(self.max_length)).contains(&value.len())
            && (self.format != Format::String || str::from_utf8(value).is_ok())
    }
}

macro_rules! options {
    ($($constant:ident $number:literal $name:literal $format:ident $min:literal $max:literal $repeatable:literal $section:literal;)*) => {
        $(
            #[doc = concat!($name, " (", $section, ").")]
            pub const $constant: u16 = $number;
        )*

        /// What the registry says of option `number`, or `None` for a number that is unknown here.
        #[must_use]
        pub const fn definition(number: u16) -> Option<Definition> {
            let (name, format, min_length, max_length, repeatable) = match number {
                $($constant => ($name, Format::$format, $min, $max, $repeatable),)*
                _ => return None,
            };
            Some(Definition { number, name, format, min_length, max_length, repeatable })
        }

        /// All options that are known here, in ascending order.
        pub const ALL: &[u16] = &[$($constant),*];
    };
}

options! {
    IF_MATCH 1 "If-Match" Opaque 0 8 true "RFC 7252 section 5.10.8.1";
    URI_HOST 3 "Uri-Host" String 1 255 false "RFC 7252 section 5.10.1";
    ETAG 4 "ETag" Opaque 1 8 true "RFC 7252 section 5.10.6";
    IF_NONE_MATCH 5 "If-None-Match" Empty 0 0 false "RFC 7252 section 5.10.8.2";
    OBSERVE 6 "Observe" Uint 0 3 false "RFC 7641 section 2";
    URI_PORT 7 "Uri-Port" Uint 0 2 false "RFC 7252 section 5.10.1";
    LOCATION_PATH 8 "Location-Path" String 0 255 true "RFC 7252 section 5.10.7";
    OSCORE 9 "OSCORE" Opaque 0 255 false "RFC 8613 section 2";
    URI_PATH 11 "Uri-Path" String 0 255 true "RFC 7252 section 5.10.1";
    CONTENT_FORMAT 12 "Content-Format" Uint 0 2 false "RFC 7252 section 5.10.3";
    MAX_AGE 14 "Max-Age" Uint 0 4 false "RFC 7252 section 5.10.5";
    URI_QUERY 15 "Uri-Query" String 0 255 true "RFC 7252 section 5.10.1";
    HOP_LIMIT 16 "Hop-Limit" Uint 1 1 false "RFC 8768 section 3";
    ACCEPT 17 "Accept" Uint 0 2 false "RFC 7252 section 5.10.4";
    Q_BLOCK1 19 "Q-Block1" Uint 0 3 false "RFC 9177 section 4.1";
    LOCATION_QUERY 20 "Location-Query" String 0 255 true "RFC 7252 section 5.10.7";
    EDHOC 21 "EDHOC" Empty 0 0 false "RFC 9668 section 3.1";
    BLOCK2 23 "Block2" Uint 0 3 false "RFC 7959 section 2.1";
    BLOCK1 27 "Block1" Uint 0 3 false "RFC 7959 section 2.1";
    SIZE2 28 "Size2" Uint 0 4 false "RFC 7959 section 4";
    Q_BLOCK2 31 "Q-Block2" Uint 0 3 true "RFC 9177 section 4.1";
    PROXY_URI 35 "Proxy-Uri" String 1 1034 false "RFC 7252 section 5.10.2";
    PROXY_SCHEME 39 "Proxy-Scheme" String 1 255 false "RFC 7252 section 5.10.2";
    SIZE1 60 "Size1" Uint 0 4 false "RFC 7252 section 5.10.9, RFC 7959 section 4";
    ECHO 252 "Echo" Opaque 1 40 false "RFC 9175 section 2.2";
    NO_RESPONSE 258 "No-Response" Uint 0 1 false "RFC 7967 section 2";
    REQUEST_TAG 292 "Request-Tag" Opaque 0 8 true "RFC 9175 section 3.2";
}

/// Whether an endpoint that does not understand the option must not ignore it (RFC 7252 section 5.4.6).
#[must_use]
pub const fn is_critical(number: u16) -> bool {
    number & 1 != 0
}

/// Whether a proxy that does not understand the option must not forward it (RFC 7252 section 5.4.6).
#[must_use]
pub const fn is_unsafe(number: u16) -> bool {
    number & 2 != 0
}

/// Whether the option is no part of the cache key (RFC 7252 section 5.4.6). Such an option is always safe to forward.
#[must_use]
pub const fn is_no_cache_key(number: u16) -> bool {
    number & 0x1e == 0x1c
}
