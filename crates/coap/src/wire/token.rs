use core::fmt;

/// A token of zero to eight bytes, which relates a response to its request (RFC 7252 section 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token {
    // The bytes past `length` are zero, so that derived equality and hashing are those of the token.
    bytes: [u8; 8],
    length: u8,
}

/// A token was made of more than eight bytes (RFC 7252 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has at most 8 bytes, not {0}")]
pub struct TokenTooLong(pub usize);

impl Token {
    /// The token without a byte; also what an empty message carries.
    pub const EMPTY: Self = Self { bytes: [0; 8], length: 0 };

    /// The greatest length of a token in bytes.
    pub const MAX_LENGTH: usize = 8;

    /// A token of these bytes.
    ///
    /// # Errors
    /// When there are more than eight.
    pub fn new(bytes: &[u8]) -> Result<Self, TokenTooLong> {
        let mut token = Self::EMPTY;
        let Some(start) = token.bytes.get_mut(..bytes.len()) else {
            return Err(TokenTooLong(bytes.len()));
        };
        start.copy_from_slice(bytes);
        token.length = bytes.len() as u8;
        Ok(token)
    }

    /// The first `length` bytes of `window`, where a whole window of eight is at hand: a copy of constant size.
    pub(super) fn from_window(window: [u8; 8], length: usize) -> Self {
        debug_assert!(length <= Self::MAX_LENGTH);
        let kept = u64::MAX.checked_shl(64 - 8 * length as u32).unwrap_or(0);
        Self { bytes: (u64::from_be_bytes(window) & kept).to_be_bytes(), length: length as u8 }
    }

    /// The bytes of the token.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The number of bytes, 0 to 8.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether the token has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl From<[u8; 8]> for Token {
    fn from(bytes: [u8; 8]) -> Self {
        Self { bytes, length: 8 }
    }
}

impl TryFrom<&[u8]> for Token {
    type Error = TokenTooLong;

    fn try_from(bytes: &[u8]) -> Result<Self, TokenTooLong> {
        Self::new(bytes)
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The bytes in hexadecimal; nothing for the empty token.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}
