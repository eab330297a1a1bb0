//! HMAC-SHA-256 over a message whose length is secret.
//!
//! A record that was encrypted with CBC over content, MAC and padding says only after decryption how long its content is. How many
//! blocks a MAC over it compresses then tells an attacker how much padding there was, and with it the plaintext (Lucky
//! Thirteen, AlFardan and Paterson 2013). Here blocks are made and compressed for the longest content that is possible, and the right
//! state is picked without a branch: neither compressions nor memory accesses depend on anything but public lengths. The hash crate
//! hashes messages of known length only, so that this builds on its compression function.

use sha2::block_api::compress256;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

const BLOCK: usize = 64;

/// The state before the first block (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A MAC key: the states after the inner and the outer padded key (RFC 2104 section 4).
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct MacKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

/// Whether `left` is less than `right`. Both are lengths, far below 2^63, so that the difference's sign tells.
pub(super) fn less(left: usize, right: usize) -> Choice {
    Choice::from(((left as u64).wrapping_sub(right as u64) >> 63) as u8)
}

/// `byte` where `choice` is true, otherwise 0.
fn masked(byte: u8, choice: Choice) -> u8 {
    u8::conditional_select(&0, &byte, choice)
}

fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

impl MacKey {
    /// # Panics
    /// When the key is longer than a block of 64 bytes.
    pub(super) fn new(key: &[u8]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            block.zeroize();
            state
        };
        assert!(key.len() <= BLOCK, "a MAC key of {} bytes", key.len());
        Self { inner: state(0x36), outer: state(0x5c) }
    }

    /// The MAC over `prefix` and the first `length` bytes of `data`. `length` is secret: at least `least` and at most all of `data`.
    pub(super) fn mac(&self, prefix: &[u8], data: &[u8], least: usize, length: usize) -> [u8; 32] {
        self.mac_with(prefix, data, least, length, |state, block| compress256(state, &[*block]))
    }

    /// [`MacKey::mac`] with a compression function that a test can count.
    fn mac_with(
        &self,
        prefix: &[u8],
        data: &[u8],
        least: usize,
        length: usize,
        mut compress: impl FnMut(&mut [u32; 8], &[u8; BLOCK]),
    ) -> [u8; 32] {
        debug_assert!(least <= length && length <= data.len());
        let end = prefix.len() + length;
        // The end marker and the length in bits, 9 bytes, are in this block, or at most in that.
        let last = (end + 8) / BLOCK;
        let most = (prefix.len() + data.len() + 8) / BLOCK;
        // Blocks before this one are all content, whatever the length.
        let plain = (prefix.len() + least) / BLOCK;
        let bits = (((BLOCK + end) * 8) as u64).to_be_bytes();
        let byte = |at: usize| match at.checked_sub(prefix.len()) {
            None => prefix[at],
            Some(at) => data.get(at).copied().unwrap_or(0),
        };

        let mut state = self.inner;
        let mut found = [0; 8];
        for index in 0..=most {
            let mut block = core::array::from_fn(|offset| byte(index * BLOCK + offset));
            if index >= plain {
                let is_last = index.ct_eq(&last);
                for (offset, byte) in block.iter_mut().enumerate() {
                    let at = index * BLOCK + offset;
                    *byte = masked(*byte, less(at, end)) | masked(0x80, at.ct_eq(&end));
                }
                for (byte, bits) in block[BLOCK - 8..].iter_mut().zip(bits) {
                    *byte |= masked(bits, is_last);
                }
                compress(&mut state, &block);
                found.iter_mut().zip(&state).for_each(|(found, word)| found.conditional_assign(word, is_last));
            } else {
                compress(&mut state, &block);
            }
        }

        let mut block = [0; BLOCK];
        block[..32].copy_from_slice(&to_bytes(&found));
        block[32] = 0x80;
        block[BLOCK - 8..].copy_from_slice(&((BLOCK + 32) as u64 * 8).to_be_bytes());
        let mut state = self.outer;
        compress(&mut state, &block);
        to_bytes(&state)
    }
}

#[cfg(test)]
#[path = "mac_tests.rs"]
mod tests;
