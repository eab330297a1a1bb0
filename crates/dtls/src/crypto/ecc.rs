//! Key exchange and signatures on P-256 (RFC 8422 sections 5.4, 5.7, 5.8 and 5.10).

use core::fmt;

use p256::{
    PublicKey as Point, SecretKey,
    ecdsa::{
        Signature, SigningKey, VerifyingKey,
        signature::{
            Signer as _, Verifier as _,
            hazmat::{PrehashSigner as _, PrehashVerifier as _},
        },
    },
    elliptic_curve::{Generate as _, sec1::ToSec1Point as _},
    pkcs8::{DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{CryptoRng, Rng as _, SeedableRng as _},
};
use zeroize::Zeroizing;

use super::schedule::Premaster;

/// The number of secp256r1 among named curves (RFC 8422 section 5.1.1).
pub const SECP256R1: u16 = 23;
/// The number of ECDSA with SHA-256 among signature algorithms (RFC 5246 section 7.4.1.4.1): the hash's, then the signature's.
pub const ECDSA_SHA256: u16 = 0x0403;
/// The length of a public key on P-256 as both ends send it: uncompressed, in bytes.
pub const POINT: usize = 65;

/// Something that the other end sent is not what it should be: a point that is not on the curve, or a signature that is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EccError {
    /// Not an uncompressed point of P-256 (RFC 8422 section 5.11).
    #[error("not an uncompressed point of P-256")]
    Point,
    /// The signature is not one of this key over this message.
    #[error("the signature does not verify")]
    Signature,
}

/// Our half of a key exchange, for one handshake.
pub struct KeyShare {
    secret: SecretKey,
    point: [u8; POINT],
}

impl KeyShare {
    /// Draws a new one, and leaves `rng` in a state that does not tell what was drawn before: whoever reads our memory later cannot
    /// read what was sent by then. `rng` has to be seeded with secret randomness.
    #[must_use]
    pub fn generate(rng: &mut ChaCha20Rng) -> Self {
        let share = Self::new(SecretKey::generate_from_rng(rng));
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        *rng = ChaCha20Rng::from_seed(*seed);
        share
    }

    fn new(secret: SecretKey) -> Self {
        let mut point = [0; POINT];
        point.copy_from_slice(secret.public_key().to_sec1_point(false).as_bytes());
        Self { secret, point }
    }

    /// The public half, to be sent.
    #[must_use]
    pub const fn public(&self) -> &[u8; POINT] {
        &self.point
    }

    /// What both halves give: the x-coordinate, leading zeros included (RFC 8422 section 5.10).
    ///
    /// # Errors
    /// When `peer` is not an uncompressed point of the curve.
    pub fn agree(&self, peer: &[u8]) -> Result<Premaster, EccError> {
        let shared = self.secret.diffie_hellman(&point(peer)?);
        Ok(Premaster::shared(shared.raw_secret_bytes()))
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyShare(..)")
    }
}

/// A public key on P-256, from the uncompressed form alone: it is what RFC 8422 section 5.4.1 has left, and what the peers send.
fn point(bytes: &[u8]) -> Result<Point, EccError> {
    if bytes.len() != POINT || bytes[0] != 4 {
        return Err(EccError::Point);
    }
    Point::from_sec1_bytes(bytes).map_err(|_| EccError::Point)
}

/// A long-term private key on P-256, which proves who we are.
///
/// Signatures need no randomness (RFC 6979).
#[derive(Clone)]
pub struct PrivateKey(SecretKey);

/// Why bytes are not a private key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key on P-256 in PKCS#8, SEC1 or as 32 bytes")]
pub struct PrivateKeyError;

impl PrivateKey {
    /// A key in DER: PKCS#8 (RFC 5958), as LwM2M has it in 0/x/5, or SEC1 (RFC 5915). The scalar alone, in 32 bytes, is taken
    /// too.
    ///
    /// # Errors
    /// When it is something else, encrypted, or on another curve.
    pub fn from_der(bytes: &[u8]) -> Result<Self, PrivateKeyError> {
        if bytes.len() == 32 {
            return SecretKey::from_slice(bytes).map(Self).map_err(|_| PrivateKeyError);
        }
        // Reads SEC1 too.
        SecretKey::from_der(bytes).map(Self).map_err(|_| PrivateKeyError)
    }

    /// A key in PEM: `PRIVATE KEY` (PKCS#8) or `EC PRIVATE KEY` (SEC1). What comes before, such as `EC PARAMETERS`, is passed over.
    ///
    /// # Errors
    /// When there is no such key, or it is encrypted or on another curve.
    pub fn from_pem(text: &str) -> Result<Self, PrivateKeyError> {
        let begin = ["-----BEGIN PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----"];
        let begin = begin.iter().find_map(|label| text.find(label)).ok_or(PrivateKeyError)?;
        SecretKey::from_pem(text[begin..].trim_end()).map(Self).map_err(|_| PrivateKeyError)
    }

    /// The key in DER, as PKCS#8.
    ///
    /// # Panics
    /// Never: such a key can be encoded.
    #[must_use]
    pub fn to_der(&self) -> zeroize::Zeroizing<Vec<u8>> {
        self.0.to_pkcs8_der().expect("138 bytes").to_bytes()
    }

    /// Draws a new one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(SecretKey::generate_from_rng(rng))
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().into())
    }

    /// Signs with ECDSA and SHA-256, as in ServerKeyExchange. Gives the signature in DER (RFC 8422 section 5.4).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = SigningKey::from(&self.0).sign(message);
        signature.to_der().as_bytes().to_vec()
    }

    /// Signs a message of which the SHA-256 hash is known: a [`Transcript`](super::Transcript), as in CertificateVerify
    /// (RFC 5246 section 7.4.8).
    ///
    /// # Panics
    /// Never: a hash of 32 bytes is what the curve asks for.
    #[must_use]
    pub fn sign_hash(&self, hash: &[u8; 32]) -> Vec<u8> {
        let signature: Signature = SigningKey::from(&self.0).sign_prehash(hash).expect("a hash as long as the order");
        signature.to_der().as_bytes().to_vec()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A public key on P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why bytes are not a public key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SubjectPublicKeyInfo with a key on P-256")]
pub struct PublicKeyError;

impl PublicKey {
    /// A SubjectPublicKeyInfo in DER: a raw public key (RFC 7250 section 3), or part of a certificate.
    ///
    /// # Errors
    /// When it is something else, or a key of another kind or curve.
    pub fn from_der(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        Point::from_public_key_der(bytes).map(|key| Self(key.into())).map_err(|_| PublicKeyError)
    }

    /// From the uncompressed point.
    ///
    /// # Errors
    /// When it is something else, or not on the curve.
    pub fn from_point(bytes: &[u8]) -> Result<Self, EccError> {
        point(bytes).map(|key| Self(key.into()))
    }

    /// The SubjectPublicKeyInfo in DER, as LwM2M has it in 0/x/3 and 0/x/4 with raw public keys.
    ///
    /// # Panics
    /// Never: such a key can be encoded.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        Point::from(&self.0).to_public_key_der().expect("91 bytes").into_vec()
    }

    /// Checks a signature in DER over `message`, with ECDSA and SHA-256.
    ///
    /// # Errors
    /// When it is not one of this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), EccError> {
        let signature = Signature::from_der(signature).map_err(|_| EccError::Signature)?;
        self.0.verify(message, &signature).map_err(|_| EccError::Signature)
    }

    /// Checks a signature in DER over a message of which the SHA-256 hash is known.
    ///
    /// # Errors
    /// When it is not one of this key.
    pub fn verify_hash(&self, hash: &[u8; 32], signature: &[u8]) -> Result<(), EccError> {
        let signature = Signature::from_der(signature).map_err(|_| EccError::Signature)?;
        self.0.verify_prehash(hash, &signature).map_err(|_| EccError::Signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.0.to_sec1_point(true).as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// What a server signs in ServerKeyExchange: both randoms, then its parameters as they are sent (RFC 8422 section 5.4).
#[must_use]
pub fn signed_parameters(client_random: &[u8; 32], server_random: &[u8; 32], parameters: &[u8]) -> Vec<u8> {
    [&client_random[..], server_random, parameters].concat()
}

#[cfg(test)]
#[path = "ecc_tests.rs"]
mod tests;
