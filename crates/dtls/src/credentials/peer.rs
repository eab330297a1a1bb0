//! Who the other end is.

use core::fmt;

use sha2::{Digest as _, Sha256};

use super::common_name;
use crate::wire::{Reader, put_vector16};

/// Who the other end has shown to be. It is public: what was sent in the clear, or in a certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerIdentity {
    /// The identity of the pre-shared key that both ends hold (RFC 4279). With a client, the one it was configured with.
    Psk(Vec<u8>),
    /// A raw public key: the SubjectPublicKeyInfo in DER (RFC 7250).
    RawPublicKey(Vec<u8>),
    /// Certificates in DER, the end's own first. The others, those of its issuers, are kept only as long as validity went
    /// unchecked, since they are needed to check it.
    Certificate(Vec<Vec<u8>>),
}

impl PeerIdentity {
    const PSK: u8 = 0;
    const RAW_PUBLIC_KEY: u8 = 1;
    const CERTIFICATE: u8 = 2;

    /// Whether both are the same end, however many certificates of issuers are kept.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Certificate(own), Self::Certificate(others)) => own.first() == others.first(),
            _ => self == other,
        }
    }

    /// Leaves only the end's own certificate.
    pub(crate) fn shorten(&mut self) {
        if let Self::Certificate(chain) = self {
            chain.truncate(1);
        }
    }

    /// The parts, to be written or verified.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Psk(bytes) | Self::RawPublicKey(bytes) => vec![bytes],
            Self::Certificate(chain) => chain.iter().map(Vec::as_slice).collect(),
        }
    }

    /// How many bytes it holds.
    pub(crate) fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        let parts = self.parts();
        buffer.push(match self {
            Self::Psk(_) => Self::PSK,
            Self::RawPublicKey(_) => Self::RAW_PUBLIC_KEY,
            Self::Certificate(_) => Self::CERTIFICATE,
        });
        buffer.push(u8::try_from(parts.len()).expect("a chain of few certificates"));
        for part in parts {
            put_vector16(buffer, |buffer| buffer.extend_from_slice(part));
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (kind, count) = (reader.u8()?, reader.u8()?);
        let mut parts = Vec::new();
        for _ in 0..count {
            parts.push(reader.vector16()?.to_vec());
        }
        match (kind, count) {
            (Self::PSK, 1) => Some(Self::Psk(parts.concat())),
            (Self::RAW_PUBLIC_KEY, 1) => Some(Self::RawPublicKey(parts.concat())),
            (Self::CERTIFICATE, 1..) => Some(Self::Certificate(parts)),
            _ => None,
        }
    }
}

/// In a few words, for a log: the identity, a key's fingerprint (the beginning of its SHA-256 hash), or the name in a certificate.
impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psk(identity) => write!(f, "pre-shared key \"{}\"", identity.escape_ascii()),
            Self::RawPublicKey(key) => {
                f.write_str("raw public key ")?;
                Sha256::digest(key).iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Certificate(chain) => {
                let name = chain.first().and_then(|own| common_name(own)).unwrap_or_default();
                write!(f, "certificate \"{}\"", name.escape_debug())
            }
        }
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerIdentity({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_the_same_with_and_without_its_issuers() {
        let whole = PeerIdentity::Certificate(vec![vec![1], vec![2]]);
        let mut own = whole.clone();
        own.shorten();
        assert!(own != whole && own.is_same(&whole) && whole.is_same(&own));
        assert!(!own.is_same(&PeerIdentity::Certificate(vec![vec![2]])));
        assert!(!own.is_same(&PeerIdentity::RawPublicKey(vec![1])));
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else_is() {
        let chain = vec![include_bytes!("../../tests/vectors/x509/client.der").to_vec(), vec![7; 300]];
        let identities = [
            (PeerIdentity::Psk(Vec::new()), "pre-shared key \"\""),
            (PeerIdentity::Psk(b"gw\xff".to_vec()), "pre-shared key \"gw\\xff\""),
            (PeerIdentity::RawPublicKey(b"abc".to_vec()), "raw public key ba7816bf8f01cfea"),
            (PeerIdentity::Certificate(chain), "certificate \"urn:imei:490154203237518\""),
        ];
        for (identity, text) in identities {
            let mut bytes = Vec::new();
            identity.put(&mut bytes);
            for length in 0..bytes.len() {
                assert_eq!(PeerIdentity::read(&mut Reader(&bytes[..length])), None);
            }
            assert_eq!(PeerIdentity::read(&mut Reader(&bytes)), Some(identity.clone()));
            assert_eq!(identity.to_string(), text);
        }
        assert_eq!(PeerIdentity::read(&mut Reader(&[2, 0])), None, "no certificate");
        assert_eq!(PeerIdentity::read(&mut Reader(&[3, 1, 0, 0])), None, "no such kind");
    }
}
