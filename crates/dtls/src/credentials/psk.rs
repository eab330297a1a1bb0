//! Pre-shared keys.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A pre-shared key and its identity (RFC 4279).
///
/// The identity is what LwM2M has in 0/x/3, byte for byte: neither need it be text, nor the endpoint's name.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Psk {
    identity: Vec<u8>,
    key: Vec<u8>,
}

/// Why identity and key are not a [`Psk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PskError {
    /// The identity is longer than what ClientKeyExchange can carry.
    #[error("the identity has {0} bytes, at most 65,535 can be sent")]
    IdentityTooLong(usize),
    /// An empty key is no secret.
    #[error("the pre-shared key is empty")]
    KeyEmpty,
    /// The key is longer than what can be used (RFC 4279 section 2).
    #[error("the pre-shared key has {0} bytes, at most 65,535 can be used")]
    KeyTooLong(usize),
}

impl Psk {
    /// A key and the identity that names it, which may be empty.
    ///
    /// # Errors
    /// When the key is empty, or one of both is longer than 65,535 bytes.
    pub fn new(identity: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Self, PskError> {
        // Made first, so that the key is cleared whatever is wrong.
        let psk = Self { identity: identity.into(), key: key.into() };
        let most = usize::from(u16::MAX);
        match (psk.identity.len(), psk.key.len()) {
            (identity, _) if identity > most => Err(PskError::IdentityTooLong(identity)),
            (_, 0) => Err(PskError::KeyEmpty),
            (_, key) if key > most => Err(PskError::KeyTooLong(key)),
            _ => Ok(psk),
        }
    }

    /// The identity, which is sent in the clear.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Psk {{ identity: \"{}\", .. }}", self.identity.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(Psk::new("id", []), Err(PskError::KeyEmpty));
        assert_eq!(Psk::new(vec![0; 65_536], [1]), Err(PskError::IdentityTooLong(65_536)));
        assert_eq!(Psk::new("id", vec![0; 65_536]), Err(PskError::KeyTooLong(65_536)));
        let psk = Psk::new([], vec![1; 65_535]).unwrap();
        assert_eq!((psk.identity().len(), psk.key().len()), (0, 65_535));
    }

    #[test]
    fn the_key_is_not_printed() {
        let psk = Psk::new(b"gw\xff1", *b"secret").unwrap();
        assert_eq!(format!("{psk:?}"), "Psk { identity: \"gw\\xff1\", .. }");
    }
}
