//! Records protected and opened (RFC 5246 section 6.2.3, RFC 6655 section 3, RFC 5288 section 3, RFC 9146 section 5).

use core::{fmt, ops::Range};

use aes::{Aes128, cipher::KeyInit as _};
use aes_gcm::Aes128Gcm;
use ccm::{
    Ccm,
    aead::{AeadInOut, array::typenum::Unsigned, inout::InOutBuf},
    consts::{U8, U12},
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    cbc::{CbcOpen, CbcSeal},
    schedule::MasterSecret,
    suite::{Cipher, CipherSuite},
};
use crate::record::{ConnectionId, VERSION};

type Aes128Ccm8 = Ccm<Aes128, U8, U12>;

const TLS12_CID: u8 = 25;

/// What of a record's header goes into its protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// The content type on the wire: 25 (`tls12_cid`) exactly where there is a Connection ID.
    pub content_type: u8,
    /// The epoch.
    pub epoch: u16,
    /// The record number, below 2^48. For sealing: never the same twice with the same keys.
    pub sequence: u64,
    /// The Connection ID, at most [`ConnectionId::MAX_LENGTH`] bytes.
    pub cid: &'a [u8],
    /// Whether the MAC covers what was encrypted (RFC 7366). Without meaning for suites with authenticated encryption.
    pub encrypt_then_mac: bool,
}

impl RecordHeader<'_> {
    /// Epoch and record number as 64 bits, as RFC 6347 section 4.1.2.1 puts them in the place of TLS's counter.
    pub(super) fn number(&self) -> [u8; 8] {
        debug_assert!(self.sequence >> 48 == 0, "record number {}", self.sequence);
        (u64::from(self.epoch) << 48 | self.sequence).to_be_bytes()
    }

    /// What is authenticated beside the content: of `length` bytes, which may be secret (RFC 5246 section 6.2.3.3 and,
    /// with a Connection ID, RFC 9146 section 5.3, 5.1 and 5.2, which have the same fields).
    ///
    /// # Panics
    /// When the Connection ID is longer than [`ConnectionId::MAX_LENGTH`].
    pub(super) fn additional(&self, length: usize) -> Additional {
        let mut data = Additional { bytes: [0; Additional::MOST], length: 0 };
        let length = (length as u16).to_be_bytes();
        let version = VERSION.to_be_bytes();
        if self.content_type == TLS12_CID {
            let cid_length = [u8::try_from(self.cid.len()).expect("a Connection ID of at most 255 bytes")];
            data.put(&[0xff; 8]).put(&[TLS12_CID]).put(&cid_length).put(&[TLS12_CID]).put(&version);
            data.put(&self.number()).put(self.cid).put(&length);
        } else {
            data.put(&self.number()).put(&[self.content_type]).put(&version).put(&length);
        }
        data
    }
}

/// Additional data of one record.
pub(super) struct Additional {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl Additional {
    const MOST: usize = 23 + ConnectionId::MAX_LENGTH;

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
        self
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A record is not authentic. Why is not said, since an attacker must not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is not authentic")]
pub struct Unauthentic;

/// An authenticated cipher with the implicit half of its nonces.
struct Aead<C> {
    cipher: C,
    salt: [u8; 4],
}

impl<C> Drop for Aead<C> {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

const EXPLICIT_NONCE: usize = 8;

impl<C: AeadInOut<NonceSize = U12>> Aead<C> {
    fn nonce(&self, explicit: [u8; EXPLICIT_NONCE]) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[4..].copy_from_slice(&explicit);
        nonce
    }

    fn seal(&self, header: &RecordHeader<'_>, plaintext: &[u8], buffer: &mut Vec<u8>) {
        // The record number is a nonce that never comes again.
        let explicit = header.number();
        buffer.extend_from_slice(&explicit);
        let start = buffer.len();
        buffer.extend_from_slice(plaintext);
        let additional = header.additional(plaintext.len());
        let nonce = self.nonce(explicit).into();
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce, additional.as_bytes(), InOutBuf::from(&mut buffer[start..]))
            .expect("a record is shorter than what the cipher can take");
        buffer.extend_from_slice(&tag);
    }

    fn open(&self, header: &RecordHeader<'_>, body: &mut [u8]) -> Result<Range<usize>, Unauthentic> {
        let tag_length = C::TagSize::USIZE;
        let length = body.len().checked_sub(EXPLICIT_NONCE + tag_length).ok_or(Unauthentic)?;
        let (explicit, rest) = body.split_first_chunk_mut::<EXPLICIT_NONCE>().ok_or(Unauthentic)?;
        let (content, tag) = rest.split_at_mut(length);
        let tag = (&*tag).try_into().map_err(|_| Unauthentic)?;
        let additional = header.additional(length);
        let nonce = self.nonce(*explicit).into();
        self.cipher
            .decrypt_inout_detached(&nonce, additional.as_bytes(), InOutBuf::from(content), tag)
            .map_err(|_| Unauthentic)?;
        Ok(EXPLICIT_NONCE..EXPLICIT_NONCE + length)
    }
}

/// Keys of one direction, to protect records.
pub struct Seal(SealWith);

enum SealWith {
    Ccm8(Box<Aead<Aes128Ccm8>>),
    Gcm(Box<Aead<Aes128Gcm>>),
    Cbc(Box<CbcSeal>),
}

impl Seal {
    /// Appends the body of a record with this content to `buffer`; header and body may be in one buffer.
    ///
    /// Of a record with Connection ID the content ends with the true type (RFC 9146 section 4).
    pub fn seal(&self, header: &RecordHeader<'_>, content: &[u8], buffer: &mut Vec<u8>) {
        match &self.0 {
            SealWith::Ccm8(aead) => aead.seal(header, content, buffer),
            SealWith::Gcm(aead) => aead.seal(header, content, buffer),
            SealWith::Cbc(cbc) => cbc.seal(header, content, buffer),
        }
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

/// Keys of one direction, to open records.
pub struct Open(OpenWith);

enum OpenWith {
    Ccm8(Box<Aead<Aes128Ccm8>>),
    Gcm(Box<Aead<Aes128Gcm>>),
    Cbc(Box<CbcOpen>),
}

impl Open {
    /// Decrypts the body of a record in place, and gives where in it the content is.
    ///
    /// Of a record with Connection ID the content ends with the true type and perhaps zeros (RFC 9146 section 4).
    ///
    /// # Errors
    /// When the record is not authentic. What is then in `body` is of no use, and must go nowhere.
    pub fn open(&self, header: &RecordHeader<'_>, body: &mut [u8]) -> Result<Range<usize>, Unauthentic> {
        match &self.0 {
            OpenWith::Ccm8(aead) => aead.open(header, body),
            OpenWith::Gcm(aead) => aead.open(header, body),
            OpenWith::Cbc(cbc) => cbc.open(header, body),
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open(..)")
    }
}

/// The keys of one end: it seals with `seal`, the other end opens with `open`.
#[derive(Debug)]
pub struct RecordKeys {
    /// For the end itself.
    pub seal: Seal,
    /// For the other end.
    pub open: Open,
}

impl RecordKeys {
    fn new(cipher: Cipher, mac_key: &[u8], key: &[u8; 16], salt: [u8; 4]) -> Self {
        let key = key.into();
        let (seal, open) = match cipher {
            Cipher::Ccm8 => {
                let aead = || Box::new(Aead { cipher: Aes128Ccm8::new(key), salt });
                (SealWith::Ccm8(aead()), OpenWith::Ccm8(aead()))
            }
            Cipher::Gcm => {
                let aead = || Box::new(Aead { cipher: Aes128Gcm::new(key), salt });
                (SealWith::Gcm(aead()), OpenWith::Gcm(aead()))
            }
            Cipher::CbcSha256 => {
                let seal = SealWith::Cbc(Box::new(CbcSeal::new(mac_key, key)));
                (seal, OpenWith::Cbc(Box::new(CbcOpen::new(mac_key, key))))
            }
        };
        Self { seal: Seal(seal), open: Open(open) }
    }
}

/// The keys of client and server, in this order (RFC 5246 section 6.3).
#[must_use]
pub fn record_keys(
    master: &MasterSecret,
    suite: CipherSuite,
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> (RecordKeys, RecordKeys) {
    let cipher = suite.cipher();
    // TLS 1.2 has the IV of CBC in each record, and none in the key block (RFC 5246 section 6.2.3.2).
    let (mac, salt) = if cipher == Cipher::CbcSha256 { (32, 0) } else { (0, 4) };
    let mut block = Zeroizing::new([0; 2 * (32 + 16 + 4)]);
    let block = &mut block[..2 * (mac + 16 + salt)];
    master.key_block(client_random, server_random, block);
    let (macs, rest) = block.split_at(2 * mac);
    let (keys, salts) = rest.split_at(32);
    let end = |index: usize| {
        let mut own_salt = [0; 4];
        own_salt[..salt].copy_from_slice(&salts[index * salt..][..salt]);
        let key = Zeroizing::new(<[u8; 16]>::try_from(&keys[index * 16..][..16]).expect("16 bytes"));
        RecordKeys::new(cipher, &macs[index * mac..][..mac], &key, own_salt)
    };
    (end(0), end(1))
}

#[cfg(test)]
#[path = "protect_tests.rs"]
mod tests;
