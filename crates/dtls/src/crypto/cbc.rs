//! AES-128-CBC with HMAC-SHA-256: the MAC over the content and then encryption (RFC 5246 section 6.2.3.2), or encryption and then
//! the MAC over what was encrypted (RFC 7366).

use core::ops::Range;

use aes::{
    Aes128Dec, Aes128Enc,
    cipher::{BlockCipherEncrypt as _, BlockModeDecrypt as _, BlockModeEncrypt as _, InnerIvInit, Key, KeyInit as _},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

use super::{
    mac::{MacKey, less},
    protect::{RecordHeader, Unauthentic},
};

const BLOCK: usize = 16;
const MAC: usize = 32;
/// The most that padding takes, with the byte that says how much there is.
const MOST_PADDING: usize = 256;

pub(super) struct CbcSeal {
    cipher: Aes128Enc,
    mac: Hmac<Sha256>,
}

impl CbcSeal {
    pub(super) fn new(mac_key: &[u8], key: &Key<Aes128Enc>) -> Self {
        Self { cipher: Aes128Enc::new(key), mac: hmac(mac_key) }
    }

    /// An IV that nobody can foretell: a nonce, encrypted with the key (NIST SP 800-38A appendix C). The nonce is the
    /// record number, which never comes again.
    fn iv(&self, header: &RecordHeader<'_>) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[8..].copy_from_slice(&header.number());
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }

    pub(super) fn seal(&self, header: &RecordHeader<'_>, content: &[u8], buffer: &mut Vec<u8>) {
        let iv = self.iv(header);
        let begin = buffer.len();
        buffer.extend_from_slice(&iv);
        buffer.extend_from_slice(content);
        if !header.encrypt_then_mac {
            let mac = self.mac.clone().chain_update(header.additional(content.len()).as_bytes()).chain_update(content);
            buffer.extend_from_slice(&mac.finalize().into_bytes());
        }
        let padding = BLOCK - (buffer.len() - begin) % BLOCK;
        buffer.resize(buffer.len() + padding, (padding - 1) as u8);
        let (blocks, _) = as_blocks(&mut buffer[begin + BLOCK..]);
        cbc::Encryptor::inner_iv_init(self.cipher.clone(), &iv.into()).encrypt_blocks(blocks);
        if header.encrypt_then_mac {
            let sealed = &buffer[begin..];
            let mac = self.mac.clone().chain_update(header.additional(sealed.len()).as_bytes()).chain_update(sealed);
            let mac = mac.finalize().into_bytes();
            buffer.extend_from_slice(&mac);
        }
    }
}

pub(super) struct CbcOpen {
    cipher: Aes128Dec,
    /// For MACs over what was encrypted.
    mac: Hmac<Sha256>,
    /// For MACs over content of secret length.
    secret: MacKey,
}

impl CbcOpen {
    pub(super) fn new(mac_key: &[u8], key: &Key<Aes128Dec>) -> Self {
        Self { cipher: Aes128Dec::new(key), mac: hmac(mac_key), secret: MacKey::new(mac_key) }
    }

    pub(super) fn open(&self, header: &RecordHeader<'_>, body: &mut [u8]) -> Result<Range<usize>, Unauthentic> {
        let content =
            if header.encrypt_then_mac { self.open_authentic(header, body) } else { self.open_padded(header, body) }?;
        Ok(BLOCK..BLOCK + content)
    }

    /// Decrypts what follows the IV. Gives that.
    fn decrypt<'a>(&self, body: &'a mut [u8]) -> Result<&'a [u8], Unauthentic> {
        let (iv, rest) = body.split_first_chunk_mut::<BLOCK>().ok_or(Unauthentic)?;
        let (blocks, tail) = as_blocks(rest);
        if !tail.is_empty() {
            return Err(Unauthentic);
        }
        cbc::Decryptor::inner_iv_init(self.cipher.clone(), &(*iv).into()).decrypt_blocks(blocks);
        Ok(rest)
    }

    /// Checks the MAC over what was encrypted, then decrypts. Gives the content's length.
    fn open_authentic(&self, header: &RecordHeader<'_>, body: &mut [u8]) -> Result<usize, Unauthentic> {
        let (sealed, mac) = body.split_last_chunk_mut::<MAC>().ok_or(Unauthentic)?;
        let expected = self.mac.clone().chain_update(header.additional(sealed.len()).as_bytes()).chain_update(&*sealed);
        expected.verify_slice(mac).map_err(|_| Unauthentic)?;
        let plaintext = self.decrypt(sealed)?;
        let padding = *plaintext.last().ok_or(Unauthentic)?;
        let length = plaintext.len().checked_sub(usize::from(padding) + 1).ok_or(Unauthentic)?;
        let right = plaintext[length..].iter().all(|byte| *byte == padding);
        right.then_some(length).ok_or(Unauthentic)
    }

    /// Decrypts, then checks padding and MAC together: what is done, and on which memory, depends on public lengths only, and a
    /// failure does not say which of both failed. Gives the content's length.
    fn open_padded(&self, header: &RecordHeader<'_>, body: &mut [u8]) -> Result<usize, Unauthentic> {
        let plaintext = self.decrypt(body)?;
        // The longest content there may be; the shortest.
        let most = plaintext.len().checked_sub(MAC + 1).ok_or(Unauthentic)?;
        let least = plaintext.len().saturating_sub(MAC + MOST_PADDING);
        let (padding, padded) = padding(plaintext, most);
        let length = most - padding;
        let additional = header.additional(length);
        let mut mac = self.secret.mac(additional.as_bytes(), &plaintext[..most], least, length);
        let same = is_at(&mut mac, &plaintext[least..most + MAC], length - least);
        if bool::from(padded & same) { Ok(length) } else { Err(Unauthentic) }
    }
}

/// How many bytes of padding there are before the last byte, and whether all is right. Where it is not, none: the MAC is
/// checked all the same (RFC 5246 section 6.2.3.2).
fn padding(plaintext: &[u8], most: usize) -> (usize, Choice) {
    let last = plaintext[plaintext.len() - 1];
    let padding = u64::from(last);
    let mut right = !less(most, usize::from(last));
    for (from_end, byte) in plaintext.iter().rev().take(MOST_PADDING).enumerate() {
        let beyond = less(usize::from(last), from_end);
        right &= byte.ct_eq(&last) | beyond;
    }
    (u64::conditional_select(&0, &padding, right) as usize, right)
}

/// Whether `mac` is in `window` at the secret `offset`.
fn is_at(mac: &mut [u8; MAC], window: &[u8], offset: usize) -> Choice {
    // Turned so that the byte which belongs at a place of the window is found by the place alone.
    for bit in 0..5 {
        let turned: [u8; MAC] = core::array::from_fn(|at| mac[(at + MAC - (1 << bit)) % MAC]);
        let turn = Choice::from((offset >> bit & 1) as u8);
        mac.iter_mut().zip(&turned).for_each(|(byte, turned)| byte.conditional_assign(turned, turn));
    }
    let mut same = Choice::from(1);
    for (at, byte) in window.iter().enumerate() {
        let outside = less(at, offset) | !less(at, offset + MAC);
        same &= byte.ct_eq(&mac[at % MAC]) | outside;
    }
    mac.zeroize();
    same
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn as_blocks(bytes: &mut [u8]) -> (&mut [aes::Block], &mut [u8]) {
    aes::Block::slice_as_chunks_mut(bytes)
}

#[cfg(test)]
#[path = "cbc_tests.rs"]
mod tests;
