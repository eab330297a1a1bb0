use super::options::{self, Options};
use super::{Code, Token};

/// The Message ID: relates an ACK or RST to its message, and detects duplicates (RFC 7252 section 4.4).
pub type MessageId = u16;

/// The four types of message (RFC 7252 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// Confirmable: sent again until it is acknowledged or reset.
    Con,
    /// Non-confirmable: sent once.
    Non,
    /// Acknowledgement, which may carry a piggy-backed response.
    Ack,
    /// Reset: the message was received, but could not be processed.
    Rst,
}

impl MessageType {
    /// The type whose two bits in the header are the lower two of `bits`.
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Con,
            1 => Self::Non,
            2 => Self::Ack,
            _ => Self::Rst,
        }
    }

    /// The name in capitals, as in `CON`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Con => "CON",
            Self::Non => "NON",
            Self::Ack => "ACK",
            Self::Rst => "RST",
        }
    }

    /// Whether Table 1 of RFC 7252 (section 4.3) lets a message of this type carry `code`.
    const fn may_carry(self, code: Code) -> bool {
        match self {
            Self::Con => true,
            Self::Non => code.0 != 0,
            Self::Ack => !code.is_request(),
            Self::Rst => code.0 == 0,
        }
    }
}

/// One message, read from a datagram without copying.
///
/// A message is what [`Message::parse`] found well-formed: nothing in it needs to be checked for format again. What the options
/// mean is for the caller, beginning with [`Options::unrecognized_critical`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The type.
    pub kind: MessageType,
    /// The code; its class is none of the reserved ones, and it goes with the type.
    pub code: Code,
    /// The Message ID.
    pub id: MessageId,
    /// The token; empty where the code is [`Code::EMPTY`].
    pub token: Token,
    /// The options.
    pub options: Options<'a>,
    /// The payload; empty where there is none, since a marker that nothing follows is a format error.
    pub payload: &'a [u8],
}

/// A datagram that is no message, and what must be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// There are fewer than the four bytes of a header: to be ignored.
    #[error("a datagram of {0} bytes is too short for a CoAP header")]
    TooShort(usize),
    /// The version is not 1: to be ignored silently (RFC 7252 section 3).
    #[error("CoAP version {0} is unknown")]
    Version(u8),
    /// The header is that of CoAP, but the message must be rejected (RFC 7252 sections 4.2 and 4.3).
    #[error("{} [{id}] must be rejected: {why}", kind.name())]
    Rejected {
        /// The type of the message.
        kind: MessageType,
        /// Its Message ID.
        id: MessageId,
        /// What is wrong.
        why: FormatError,
    },
}

impl ParseError {
    /// The Message ID that a Reset must echo: that of a Confirmable message. Everything else that is no message is silently
    /// ignored (RFC 7252 sections 4.2 and 4.3).
    #[must_use]
    pub const fn reset(&self) -> Option<MessageId> {
        match *self {
            Self::Rejected { kind: MessageType::Con, id, .. } => Some(id),
            _ => None,
        }
    }
}

/// Why a message must be rejected: it has a format error or a code that cannot be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FormatError {
    /// The token length is one of the reserved 9 to 15 (RFC 7252 section 3).
    #[error("the token length is above 8")]
    TokenLength,
    /// The datagram ends within the token.
    #[error("the token is cut off")]
    TruncatedToken,
    /// An empty message has bytes after its Message ID, or a token length (RFC 7252 section 4.1).
    #[error("bytes follow an empty message")]
    EmptyWithBytes,
    /// The code has one of the reserved classes 1, 6 and 7 (RFC 7252 section 4.2).
    #[error("the class of the code is reserved")]
    ReservedClass,
    /// The type must not carry this code (RFC 7252 section 4.3, Table 1).
    #[error("the type of the message does not go with its code")]
    TypeAndCode,
    /// An option delta has the reserved 15 in a byte that is not the payload marker (RFC 7252 section 3.1).
    #[error("an option delta is the reserved 15")]
    ReservedDelta,
    /// An option length has the reserved 15 (RFC 7252 section 3.1).
    #[error("an option length is the reserved 15")]
    ReservedLength,
    /// The datagram ends within an option.
    #[error("an option is cut off")]
    TruncatedOption,
    /// The sum of the option deltas is above 65535.
    #[error("an option number is above 65535")]
    OptionNumber,
    /// Nothing follows the payload marker (RFC 7252 section 3).
    #[error("no payload follows the payload marker")]
    EmptyPayload,
}

impl<'a> Message<'a> {
    /// The version that every message has.
    pub(super) const VERSION: u8 = 1;

    /// Reads the message that the whole of `datagram` is. Strict; does not allocate and does not panic.
    ///
    /// # Errors
    /// When the datagram is no message that may be processed: [`ParseError::reset`] tells what must be done then.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let &[first, code, high, low, ref rest @ ..] = datagram else {
            return Err(ParseError::TooShort(datagram.len()));
        };
        if first >> 6 != Self::VERSION {
            return Err(ParseError::Version(first >> 6));
        }
        let kind = MessageType::from_bits(first >> 4);
        let id = u16::from_be_bytes([high, low]);
        Self::parse_body(kind, Code(code), id, usize::from(first & 0xf), rest).map_err(|why| ParseError::Rejected {
            kind,
            id,
            why,
        })
    }

    fn parse_body(
        kind: MessageType,
        code: Code,
        id: MessageId,
        token_length: usize,
        rest: &'a [u8],
    ) -> Result<Self, FormatError> {
        if token_length > Token::MAX_LENGTH {
            return Err(FormatError::TokenLength);
        }
        if code.is_reserved() {
            return Err(FormatError::ReservedClass);
        }
        if !kind.may_carry(code) {
            return Err(FormatError::TypeAndCode);
        }
        if code == Code::EMPTY && (token_length != 0 || !rest.is_empty()) {
            return Err(FormatError::EmptyWithBytes);
        }
        let token = match rest.first_chunk() {
            Some(window) => Token::from_window(*window, token_length),
            None => {
                rest.get(..token_length).and_then(|bytes| Token::new(bytes).ok()).ok_or(FormatError::TruncatedToken)?
            }
        };
        let (options, payload) = options::split(&rest[token_length..])?;
        Ok(Self { kind, code, id, token, options, payload })
    }
}
