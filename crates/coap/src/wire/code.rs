use core::fmt;

/// The code of a message: a class of three bits and a detail of five, written `c.dd` (RFC 7252 section 3).
///
/// Class 0 with a detail is a request method, classes 2 to 5 are responses, 0.00 is the empty message. Every byte is
/// representable, so that a method or response code that is unknown here can still be answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

macro_rules! codes {
    ($($name:ident = $class:literal . $detail:literal $text:literal $section:literal;)*) => {
        impl Code {
            $(
                #[doc = concat!($text, " (", $section, ").")]
                pub const $name: Self = Self::new($class, $detail);
            )*

            /// The name a specification gives to this code, or `None` for one that is unknown here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    EMPTY = 0 . 0 "Empty" "RFC 7252 section 4.1";
    GET = 0 . 1 "GET" "RFC 7252 section 5.8.1";
    POST = 0 . 2 "POST" "RFC 7252 section 5.8.2";
    PUT = 0 . 3 "PUT" "RFC 7252 section 5.8.3";
    DELETE = 0 . 4 "DELETE" "RFC 7252 section 5.8.4";
    FETCH = 0 . 5 "FETCH" "RFC 8132 section 2";
    PATCH = 0 . 6 "PATCH" "RFC 8132 section 3";
    IPATCH = 0 . 7 "iPATCH" "RFC 8132 section 3";
    CREATED = 2 . 1 "Created" "RFC 7252 section 5.9.1.1";
    DELETED = 2 . 2 "Deleted" "RFC 7252 section 5.9.1.2";
    VALID = 2 . 3 "Valid" "RFC 7252 section 5.9.1.3";
    CHANGED = 2 . 4 "Changed" "RFC 7252 section 5.9.1.4";
    CONTENT = 2 . 5 "Content" "RFC 7252 section 5.9.1.5";
    CONTINUE = 2 . 31 "Continue" "RFC 7959 section 2.9.1";
    BAD_REQUEST = 4 . 0 "Bad Request" "RFC 7252 section 5.9.2.1";
    UNAUTHORIZED = 4 . 1 "Unauthorized" "RFC 7252 section 5.9.2.2";
    BAD_OPTION = 4 . 2 "Bad Option" "RFC 7252 section 5.9.2.3";
    FORBIDDEN = 4 . 3 "Forbidden" "RFC 7252 section 5.9.2.4";
    NOT_FOUND = 4 . 4 "Not Found" "RFC 7252 section 5.9.2.5";
    METHOD_NOT_ALLOWED = 4 . 5 "Method Not Allowed" "RFC 7252 section 5.9.2.6";
    NOT_ACCEPTABLE = 4 . 6 "Not Acceptable" "RFC 7252 section 5.9.2.7";
    REQUEST_ENTITY_INCOMPLETE = 4 . 8 "Request Entity Incomplete" "RFC 7959 section 2.9.2";
    CONFLICT = 4 . 9 "Conflict" "RFC 8132 section 4";
    PRECONDITION_FAILED = 4 . 12 "Precondition Failed" "RFC 7252 section 5.9.2.8";
    REQUEST_ENTITY_TOO_LARGE = 4 . 13 "Request Entity Too Large" "RFC 7252 section 5.9.2.9, RFC 7959 section 2.9.3";
    UNSUPPORTED_CONTENT_FORMAT = 4 . 15 "Unsupported Content-Format" "RFC 7252 section 5.9.2.10";
    UNPROCESSABLE_ENTITY = 4 . 22 "Unprocessable Entity" "RFC 8132 section 4";
    TOO_MANY_REQUESTS = 4 . 29 "Too Many Requests" "RFC 8516 section 3";
    INTERNAL_SERVER_ERROR = 5 . 0 "Internal Server Error" "RFC 7252 section 5.9.3.1";
    NOT_IMPLEMENTED = 5 . 1 "Not Implemented" "RFC 7252 section 5.9.3.2";
    BAD_GATEWAY = 5 . 2 "Bad Gateway" "RFC 7252 section 5.9.3.3";
    SERVICE_UNAVAILABLE = 5 . 3 "Service Unavailable" "RFC 7252 section 5.9.3.4";
    GATEWAY_TIMEOUT = 5 . 4 "Gateway Timeout" "RFC 7252 section 5.9.3.5";
    PROXYING_NOT_SUPPORTED = 5 . 5 "Proxying Not Supported" "RFC 7252 section 5.9.3.6";
    HOP_LIMIT_REACHED = 5 . 8 "Hop Limit Reached" "RFC 8768 section 3";
}

impl Code {
    /// The code `class.detail`. A class above 7 or a detail above 31 loses its upper bits.
    #[must_use]
    pub const fn new(class: u8, detail: u8) -> Self {
        Self((class & 0x7) << 5 | detail & 0x1f)
    }

    /// The class, 0 to 7.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The detail, 0 to 31.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 0x1f
    }

    /// Whether this is a request method: class 0 and not empty. The method may be one that is unknown here.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.detail() != 0
    }

    /// Whether this is a response: classes 2 to 5, of which 3 has no codes yet (RFC 7252 section 12.1).
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2..=5)
    }

    /// Whether this is a response that says the request was received, understood and accepted: class 2.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Whether this is a response that blames the client: class 4.
    #[must_use]
    pub const fn is_client_error(self) -> bool {
        self.class() == 4
    }

    /// Whether this is a response that blames the server: class 5.
    #[must_use]
    pub const fn is_server_error(self) -> bool {
        self.class() == 5
    }

    /// Whether the class is one that RFC 7252 section 3 reserves (1, 6 and 7; the last is for reliable transports, RFC 8323).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self.class(), 1 | 6 | 7)
    }
}

impl From<u8> for Code {
    fn from(byte: u8) -> Self {
        Self(byte)
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code.0
    }
}

/// The code in the `c.dd` notation, as in `2.05`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "Code({self} {name})"),
            None => write!(f, "Code({self})"),
        }
    }
}
