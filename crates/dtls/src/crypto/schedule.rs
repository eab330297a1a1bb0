//! From a premaster secret to keys and Finished messages (RFC 5246 sections 5, 6.3, 7.4.9 and 8.1).

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The length of what a Finished message carries, in bytes (RFC 5246 section 7.4.9).
pub const VERIFY_DATA: usize = 12;

/// Fills `output` with the pseudo-random function of TLS 1.2 with SHA-256; the seed is the concatenation of `seeds`
/// (RFC 5246 section 5).
pub(super) fn prf(secret: &[u8], label: &[u8], seeds: &[&[u8]], output: &mut [u8]) {
    let keyed = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    let seeded = |mac: Hmac<Sha256>| seeds.iter().fold(mac.chain_update(label), |mac, seed| mac.chain_update(seed));
    let mut a = Zeroizing::new(<[u8; 32]>::from(seeded(keyed.clone()).finalize().into_bytes()));
    for chunk in output.chunks_mut(32) {
        let block = seeded(keyed.clone().chain_update(*a)).finalize().into_bytes();
        let block = Zeroizing::new(<[u8; 32]>::from(block));
        chunk.copy_from_slice(&block[..chunk.len()]);
        *a = keyed.clone().chain_update(*a).finalize().into_bytes().into();
    }
}

/// What the key exchange gave, of which the master secret is made.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Premaster(Vec<u8>);

impl Premaster {
    /// The shared secret of a Diffie-Hellman exchange (RFC 8422 section 5.10).
    #[must_use]
    pub(super) fn shared(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }
}

impl fmt::Debug for Premaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Premaster(..)")
    }
}

/// The premaster secret of a plain pre-shared key: as many zeros as the key has bytes, and the key, each with its length
/// (RFC 4279 section 2).
///
/// # Panics
/// When the key has more than 65,535 bytes.
#[must_use]
pub fn psk_premaster(key: &[u8]) -> Premaster {
    let length = u16::try_from(key.len()).expect("a key of at most 65,535 bytes").to_be_bytes();
    let mut secret = Vec::with_capacity(2 * (2 + key.len()));
    secret.extend_from_slice(&length);
    secret.resize(2 + key.len(), 0);
    secret.extend_from_slice(&length);
    secret.extend_from_slice(key);
    Premaster(secret)
}

/// The secret that both ends of a session share. Whoever has it can read and forge everything in the session.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterSecret([u8; Self::LENGTH]);

impl MasterSecret {
    /// Its length in bytes.
    pub const LENGTH: usize = 48;

    /// By the original derivation (RFC 5246 section 8.1), which does not bind it to the handshake.
    #[must_use]
    pub fn derive(premaster: &Premaster, client_random: &[u8; 32], server_random: &[u8; 32]) -> Self {
        let mut secret = Self([0; Self::LENGTH]);
        prf(&premaster.0, b"master secret", &[client_random, server_random], &mut secret.0);
        secret
    }

    /// By the derivation of Extended Master Secret (RFC 7627 section 4). `session_hash` is that of all messages up to and with the
    /// ClientKeyExchange.
    #[must_use]
    pub fn extended(premaster: &Premaster, session_hash: &[u8; 32]) -> Self {
        let mut secret = Self([0; Self::LENGTH]);
        prf(&premaster.0, b"extended master secret", &[session_hash], &mut secret.0);
        secret
    }

    /// One that was stored.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(*bytes)
    }

    /// Its bytes, to be stored where only we can read them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Fills `block` with keys (RFC 5246 section 6.3).
    pub(super) fn key_block(&self, client_random: &[u8; 32], server_random: &[u8; 32], block: &mut [u8]) {
        prf(&self.0, b"key expansion", &[server_random, client_random], block);
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(..)")
    }
}

/// What a Finished message carries (RFC 5246 section 7.4.9). `label` is `b"client finished"` or `b"server finished"`;
/// `transcript` the hash of all messages before.
#[must_use]
pub fn verify_data(master: &MasterSecret, label: &[u8], transcript: &[u8; 32]) -> [u8; VERIFY_DATA] {
    let mut data = [0; VERIFY_DATA];
    prf(&master.0, label, &[transcript], &mut data);
    data
}

/// The running hash of a handshake's messages, each as if it had been sent in one fragment (RFC 6347 section 4.2.6).
///
/// Neither HelloVerifyRequest nor the ClientHello before it belong to it.
#[derive(Clone, Default)]
pub struct Transcript(Sha256);

impl Transcript {
    /// That of no message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message, with its header.
    pub fn update(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    /// The hash of what was added so far.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcript(..)")
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
