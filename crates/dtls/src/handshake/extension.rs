//! The extensions of the hellos that this crate knows (RFC 5246 section 7.4.1.4).

use crate::record::ConnectionId;
use crate::wire::{Reader, put_vector8, put_vector16};

/// Numbers of two bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct List16<'a>(&'a [u8]);

impl<'a> List16<'a> {
    /// A list of what was encoded in `bytes`; `None` where their number is odd.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len().is_multiple_of(2) { Some(Self(bytes)) } else { None }
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.0.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// Whether `number` is among them.
    #[must_use]
    pub fn contains(&self, number: u16) -> bool {
        self.iter().any(|other| other == number)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As encoded, without a length.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Encodes numbers, without a length.
    pub(crate) fn put(buffer: &mut Vec<u8>, numbers: &[u16]) {
        buffer.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }
}

/// The extensions of a hello; those that are not known are left out. One that comes twice makes the hello unreadable
/// (RFC 5246 section 7.4.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    /// A host's name (RFC 6066 section 3), from a client. A server's answer is empty.
    pub server_name: Option<&'a [u8]>,
    /// Groups, the preferred one first (RFC 8422 section 5.1.1). Only from a client.
    pub groups: Option<List16<'a>>,
    /// Whether uncompressed points are among the formats, where formats are given (RFC 8422 section 5.1.2).
    pub uncompressed_points: Option<bool>,
    /// Signature schemes (RFC 5246 section 7.4.1.4.1). Only from a client.
    pub signature_schemes: Option<List16<'a>>,
    /// Types of certificates of the client: those that it has, or the server's choice (RFC 7250 section 3).
    pub client_certificate_types: Option<&'a [u8]>,
    /// Types of certificates of the server: those that the client takes, or the server's choice.
    pub server_certificate_types: Option<&'a [u8]>,
    /// Encrypt-then-MAC (RFC 7366 section 2).
    pub encrypt_then_mac: bool,
    /// Extended master secret (RFC 7627 section 5.1).
    pub extended_master_secret: bool,
    /// A session ticket to be resumed, or empty to ask for one or promise one (RFC 5077 section 3.2).
    pub session_ticket: Option<&'a [u8]>,
    /// The Connection ID that records to the sender of this hello shall carry (RFC 9146 section 3).
    pub connection_id: Option<ConnectionId>,
    /// A renegotiated connection; in a first handshake this is empty (RFC 5746 section 3.2).
    pub renegotiation_info: Option<&'a [u8]>,
}

mod number {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const EC_POINT_FORMATS: u16 = 11;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const CLIENT_CERTIFICATE_TYPE: u16 = 19;
    pub(super) const SERVER_CERTIFICATE_TYPE: u16 = 20;
    pub(super) const ENCRYPT_THEN_MAC: u16 = 22;
    pub(super) const EXTENDED_MASTER_SECRET: u16 = 23;
    pub(super) const SESSION_TICKET: u16 = 35;
    pub(super) const CONNECTION_ID: u16 = 54;
    pub(super) const RENEGOTIATION_INFO: u16 = 0xff01;
}

/// More extensions than any stack sends make a hello unreadable, so that looking for doubles stays cheap.
const MOST: usize = 64;

impl<'a> Extensions<'a> {
    /// Reads what follows the fixed part of a hello: nothing, or the extensions.
    pub(super) fn parse(reader: &mut Reader<'a>, from_server: bool) -> Option<Self> {
        let mut extensions = Self::default();
        if reader.is_empty() {
            return Some(extensions);
        }
        let mut list = Reader(reader.vector16()?);
        let (mut seen, mut count) = ([0u16; MOST], 0);
        while !list.is_empty() {
            let (number, data) = (list.u16()?, list.vector16()?);
            if seen[..count].contains(&number) {
                return None;
            }
            *seen.get_mut(count)? = number;
            count += 1;
            extensions.read(number, data, from_server)?;
        }
        Some(extensions)
    }

    fn read(&mut self, number: u16, data: &'a [u8], from_server: bool) -> Option<()> {
        let mut reader = Reader(data);
        match number {
            number::SERVER_NAME => self.server_name = Some(server_name(&mut reader, from_server)?),
            number::SUPPORTED_GROUPS => self.groups = Some(list16(&mut reader)?),
            number::EC_POINT_FORMATS => self.uncompressed_points = Some(reader.vector8()?.contains(&0)),
            number::SIGNATURE_ALGORITHMS => self.signature_schemes = Some(list16(&mut reader)?),
            number::CLIENT_CERTIFICATE_TYPE => {
                self.client_certificate_types = Some(certificate_types(&mut reader, from_server)?);
            }
            number::SERVER_CERTIFICATE_TYPE => {
                self.server_certificate_types = Some(certificate_types(&mut reader, from_server)?);
            }
            number::ENCRYPT_THEN_MAC => self.encrypt_then_mac = true,
            number::EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            number::SESSION_TICKET => {
                self.session_ticket = Some(data);
                return Some(());
            }
            number::CONNECTION_ID => self.connection_id = connection_id(reader.vector8()?, from_server)?,
            number::RENEGOTIATION_INFO => self.renegotiation_info = Some(reader.vector8()?),
            _ => return Some(()),
        }
        reader.end(())
    }

    /// Writes the extensions with their length; nothing at all where there are none.
    pub(super) fn put(&self, buffer: &mut Vec<u8>, from_server: bool) {
        let start = buffer.len();
        put_vector16(buffer, |buffer| self.put_each(buffer, from_server));
        if buffer.len() == start + 2 {
            buffer.truncate(start);
        }
    }

    fn put_each(&self, buffer: &mut Vec<u8>, from_server: bool) {
        let mut put = |number: u16, write: &dyn Fn(&mut Vec<u8>)| {
            buffer.extend_from_slice(&number.to_be_bytes());
            put_vector16(buffer, write);
        };
        if let Some(name) = self.server_name {
            put(number::SERVER_NAME, &|buffer| put_server_name(buffer, name, from_server));
        }
        if self.extended_master_secret {
            put(number::EXTENDED_MASTER_SECRET, &|_| {});
        }
        if let Some(info) = self.renegotiation_info {
            put(number::RENEGOTIATION_INFO, &|buffer| put_vector8(buffer, |buffer| buffer.extend_from_slice(info)));
        }
        if let Some(groups) = self.groups {
            put(number::SUPPORTED_GROUPS, &|buffer| {
                put_vector16(buffer, |buffer| buffer.extend_from_slice(groups.as_bytes()));
            });
        }
        if self.uncompressed_points == Some(true) {
            put(number::EC_POINT_FORMATS, &|buffer| buffer.extend_from_slice(&[1, 0]));
        }
        if let Some(schemes) = self.signature_schemes {
            put(number::SIGNATURE_ALGORITHMS, &|buffer| {
                put_vector16(buffer, |buffer| buffer.extend_from_slice(schemes.as_bytes()));
            });
        }
        let types = [
            (number::CLIENT_CERTIFICATE_TYPE, self.client_certificate_types),
            (number::SERVER_CERTIFICATE_TYPE, self.server_certificate_types),
        ];
        for (number, types) in types {
            if let Some(types) = types {
                put(number, &|buffer| put_certificate_types(buffer, types, from_server));
            }
        }
        if self.encrypt_then_mac {
            put(number::ENCRYPT_THEN_MAC, &|_| {});
        }
        if let Some(ticket) = self.session_ticket {
            put(number::SESSION_TICKET, &|buffer| buffer.extend_from_slice(ticket));
        }
        if let Some(id) = self.connection_id {
            put(number::CONNECTION_ID, &|buffer| {
                put_vector8(buffer, |buffer| buffer.extend_from_slice(id.as_bytes()));
            });
        }
    }
}

/// A client that asks for an id longer than this crate uses gets none, as from a server that does not know Connection IDs. A server's is
/// settled, and cannot be left out.
fn connection_id(bytes: &[u8], from_server: bool) -> Option<Option<ConnectionId>> {
    let id = ConnectionId::new(bytes);
    (id.is_some() || !from_server).then_some(id)
}

fn list16<'a>(reader: &mut Reader<'a>) -> Option<List16<'a>> {
    List16::new(reader.vector16()?).filter(|list| !list.is_empty())
}

/// The one host name of a list of names; a server's answer is empty (RFC 6066 section 3).
fn server_name<'a>(reader: &mut Reader<'a>, from_server: bool) -> Option<&'a [u8]> {
    if from_server && reader.is_empty() {
        return Some(&[]);
    }
    let mut names = Reader(reader.vector16()?);
    let mut host = None;
    while !names.is_empty() {
        let (kind, name) = (names.u8()?, names.vector16()?);
        if kind == 0 && host.replace(name).is_some() {
            return None;
        }
    }
    host.filter(|name| !name.is_empty())
}

fn put_server_name(buffer: &mut Vec<u8>, name: &[u8], from_server: bool) {
    if from_server {
        return;
    }
    put_vector16(buffer, |buffer| {
        buffer.push(0);
        put_vector16(buffer, |buffer| buffer.extend_from_slice(name));
    });
}

/// A client sends a list, a server its choice (RFC 7250 section 3).
fn certificate_types<'a>(reader: &mut Reader<'a>, from_server: bool) -> Option<&'a [u8]> {
    if from_server { reader.take(1) } else { reader.vector8().filter(|types| !types.is_empty()) }
}

fn put_certificate_types(buffer: &mut Vec<u8>, types: &[u8], from_server: bool) {
    if from_server {
        buffer.extend_from_slice(types);
    } else {
        put_vector8(buffer, |buffer| buffer.extend_from_slice(types));
    }
}
