use super::List16;
use crate::credentials::CertificateType;
use crate::wire::{Reader, put_vector8, put_vector16, put_vector24};

/// The types of handshake messages (RFC 5246 section 7.4, RFC 6347 section 4.3.2, RFC 5077 section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HandshakeType {
    /// The server would like a handshake.
    HelloRequest = 0,
    /// The client begins a handshake.
    ClientHello = 1,
    /// The server's choice.
    ServerHello = 2,
    /// The client must show that its address is its own.
    HelloVerifyRequest = 3,
    /// Something to resume the session with.
    NewSessionTicket = 4,
    /// Certificates, or a raw public key.
    Certificate = 11,
    /// The server's share of the key, or its hint for the pre-shared key's identity.
    ServerKeyExchange = 12,
    /// The client must show a certificate.
    CertificateRequest = 13,
    /// The server's flight is complete.
    ServerHelloDone = 14,
    /// The client holds the key of its certificate.
    CertificateVerify = 15,
    /// The client's share of the key, or the pre-shared key's identity.
    ClientKeyExchange = 16,
    /// All of the handshake is authentic.
    Finished = 20,
}

impl HandshakeType {
    /// The type with this number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::HelloRequest,
            1 => Self::ClientHello,
            2 => Self::ServerHello,
            3 => Self::HelloVerifyRequest,
            4 => Self::NewSessionTicket,
            11 => Self::Certificate,
            12 => Self::ServerKeyExchange,
            13 => Self::CertificateRequest,
            14 => Self::ServerHelloDone,
            15 => Self::CertificateVerify,
            16 => Self::ClientKeyExchange,
            20 => Self::Finished,
            _ => return None,
        })
    }
}

/// The body of a Certificate message (RFC 5246 section 7.4.2, RFC 7250 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates<'a> {
    /// Certificates in DER, the holder's first. May be empty from a client.
    X509(Chain<'a>),
    /// A SubjectPublicKeyInfo in DER.
    RawPublicKey(&'a [u8]),
}

/// Certificates in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain<'a>(&'a [u8]);

impl<'a> Chain<'a> {
    /// The certificates, in DER.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader(self.0);
        core::iter::from_fn(move || reader.vector24())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Certificates<'a> {
    /// Reads a body of the type that the hellos have agreed on.
    #[must_use]
    pub fn parse(body: &'a [u8], kind: CertificateType) -> Option<Self> {
        let mut reader = Reader(body);
        let list = reader.vector24()?;
        reader.end(())?;
        if kind == CertificateType::RawPublicKey {
            return (!list.is_empty()).then_some(Self::RawPublicKey(list));
        }
        let mut certificates = Reader(list);
        while !certificates.is_empty() {
            certificates.vector24().filter(|certificate| !certificate.is_empty())?;
        }
        Some(Self::X509(Chain(list)))
    }

    /// Writes a chain of certificates in DER.
    ///
    /// # Panics
    /// When one of them, or all together, have 16 MiB or more.
    pub fn put_x509<'c>(buffer: &mut Vec<u8>, chain: impl IntoIterator<Item = &'c [u8]>) {
        put_vector24(buffer, |buffer| {
            for certificate in chain {
                put_vector24(buffer, |buffer| buffer.extend_from_slice(certificate));
            }
        });
    }

    /// Writes a raw public key, in DER.
    ///
    /// # Panics
    /// When it has 16 MiB or more.
    pub fn put_raw_public_key(buffer: &mut Vec<u8>, key: &[u8]) {
        put_vector24(buffer, |buffer| buffer.extend_from_slice(key));
    }
}

/// The body of a CertificateRequest message (RFC 5246 section 7.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateRequest<'a> {
    /// Types of keys, as in `ecdsa_sign` (64).
    pub types: &'a [u8],
    /// Signature schemes that the server can verify.
    pub signature_schemes: List16<'a>,
    /// Distinguished names of authorities in DER, each with a length of two bytes; often empty.
    pub authorities: &'a [u8],
}

impl<'a> CertificateRequest<'a> {
    /// The type of an ECDSA key (RFC 4492 section 5.5).
    pub const ECDSA_SIGN: u8 = 64;

    /// Reads a body.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let types = reader.vector8().filter(|types| !types.is_empty())?;
        let signature_schemes = List16::new(reader.vector16()?).filter(|list| !list.is_empty())?;
        let authorities = reader.vector16()?;
        let mut names = Reader(authorities);
        while !names.is_empty() {
            names.vector16()?;
        }
        reader.end(Self { types, signature_schemes, authorities })
    }

    /// Writes a body that names no authorities.
    ///
    /// # Panics
    /// When there are more than 255 types or 32,767 schemes.
    pub fn put(buffer: &mut Vec<u8>, types: &[u8], signature_schemes: &[u16]) {
        put_vector8(buffer, |buffer| buffer.extend_from_slice(types));
        put_vector16(buffer, |buffer| List16::put(buffer, signature_schemes));
        buffer.extend_from_slice(&[0; 2]);
    }
}

/// The body of a NewSessionTicket message (RFC 5077 section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSessionTicket<'a> {
    /// How many seconds the server will take the ticket for, about; 0 where it does not say.
    pub lifetime_hint: u32,
    /// The ticket; empty where the server has none after all.
    pub ticket: &'a [u8],
}

impl<'a> NewSessionTicket<'a> {
    /// Reads a body.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let lifetime_hint = reader.u32()?;
        let ticket = reader.vector16()?;
        reader.end(Self { lifetime_hint, ticket })
    }

    /// Writes it.
    ///
    /// # Panics
    /// When the ticket is longer than 65,535 bytes.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.lifetime_hint.to_be_bytes());
        put_vector16(buffer, |buffer| buffer.extend_from_slice(self.ticket));
    }
}
