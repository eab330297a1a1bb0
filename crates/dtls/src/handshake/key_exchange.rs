//! How the ends agree on a key, and show that they hold those of their certificates (RFC 4279 section 2, RFC 8422 section 5,
//! RFC 5246 section 7.4.8).

use crate::crypto::{Kind, SECP256R1};
use crate::wire::{Reader, put_vector8, put_vector16};

/// A signature and how it was made (RFC 5246 section 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The signature scheme: the hash's number, then the signature's.
    pub scheme: u16,
    /// The signature; with ECDSA in DER.
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self { scheme: reader.u16()?, signature: reader.vector16()? })
    }

    /// Reads the body of a CertificateVerify message (RFC 5246 section 7.4.8).
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let signed = Self::read(&mut reader)?;
        reader.end(signed)
    }

    /// Writes it, as in CertificateVerify.
    ///
    /// # Panics
    /// When the signature is longer than 65,535 bytes.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.scheme.to_be_bytes());
        put_vector16(buffer, |buffer| buffer.extend_from_slice(self.signature));
    }
}

/// The server's half of an ephemeral key exchange (RFC 8422 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcdheParameters<'a> {
    /// The curve, by its number.
    pub curve: u16,
    /// The public half of the server's key.
    pub point: &'a [u8],
    /// Both as they were sent, which is what was signed.
    pub encoded: &'a [u8],
    /// Made with the key of the server's certificate.
    pub signed: Signed<'a>,
}

impl<'a> EcdheParameters<'a> {
    /// The only kind of curve that RFC 8422 has left.
    const NAMED_CURVE: u8 = 3;

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let whole = reader.0;
        reader.u8().filter(|kind| *kind == Self::NAMED_CURVE)?;
        let (curve, point) = (reader.u16()?, reader.vector8()?);
        let encoded = &whole[..whole.len() - reader.0.len()];
        Some(Self { curve, point, encoded, signed: Signed::read(reader)? })
    }

    /// Writes curve and point, which are to be signed, for P-256.
    ///
    /// # Panics
    /// When the point is longer than 255 bytes.
    pub fn put(buffer: &mut Vec<u8>, point: &[u8]) {
        buffer.push(Self::NAMED_CURVE);
        buffer.extend_from_slice(&SECP256R1.to_be_bytes());
        put_vector8(buffer, |buffer| buffer.extend_from_slice(point));
    }
}

/// The body of a ServerKeyExchange message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKeyExchange<'a> {
    /// A hint to the identity of the pre-shared key (RFC 4279 section 2).
    Psk(&'a [u8]),
    /// The server's half of the key.
    EcdheEcdsa(EcdheParameters<'a>),
}

impl<'a> ServerKeyExchange<'a> {
    /// Reads a body of a suite of this kind.
    #[must_use]
    pub fn parse(body: &'a [u8], kind: Kind) -> Option<Self> {
        let mut reader = Reader(body);
        let exchange = match kind {
            Kind::Psk => Self::Psk(reader.vector16()?),
            Kind::EcdheEcdsa => Self::EcdheEcdsa(EcdheParameters::read(&mut reader)?),
        };
        reader.end(exchange)
    }

    /// Writes it.
    ///
    /// # Panics
    /// When a field is longer than its length can say.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Psk(hint) => put_vector16(buffer, |buffer| buffer.extend_from_slice(hint)),
            Self::EcdheEcdsa(parameters) => {
                buffer.extend_from_slice(parameters.encoded);
                parameters.signed.put(buffer);
            }
        }
    }
}

/// The body of a ClientKeyExchange message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKeyExchange<'a> {
    /// The identity of the pre-shared key (RFC 4279 section 2).
    Psk(&'a [u8]),
    /// The public half of the client's key (RFC 8422 section 5.7).
    EcdheEcdsa(&'a [u8]),
}

impl<'a> ClientKeyExchange<'a> {
    /// Reads a body of a suite of this kind.
    #[must_use]
    pub fn parse(body: &'a [u8], kind: Kind) -> Option<Self> {
        let mut reader = Reader(body);
        let exchange = match kind {
            Kind::Psk => Self::Psk(reader.vector16()?),
            Kind::EcdheEcdsa => Self::EcdheEcdsa(reader.vector8()?),
        };
        reader.end(exchange)
    }

    /// Writes it.
    ///
    /// # Panics
    /// When an identity is longer than 65,535 bytes, or a point longer than 255.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Psk(identity) => put_vector16(buffer, |buffer| buffer.extend_from_slice(identity)),
            Self::EcdheEcdsa(point) => put_vector8(buffer, |buffer| buffer.extend_from_slice(point)),
        }
    }
}
