//! Keyed digests of 64 bits.

/// Makes digests that nobody without the key can aim at: of datagrams, to tell duplicates, and of requests, to find their transfer.
///
/// A folded multiplication for each eight bytes, as in wyhash and foldhash: a datagram of 30 bytes takes 3 ns where std's SipHash
/// takes 20, and a collision only ever harms the peer that sent both datagrams.
#[derive(Clone, Copy)]
pub(crate) struct Digester {
    start: u64,
    factor: u64,
}

impl Digester {
    pub(crate) fn new(start: u64, factor: u64) -> Self {
        Self { start, factor: factor | 1 }
    }

    /// The digest of `bytes`.
    #[inline]
    pub(crate) fn of(&self, bytes: &[u8]) -> u64 {
        self.begin().with(bytes).finish()
    }

    /// A digest of several parts.
    #[inline]
    pub(crate) fn begin(&self) -> Digest {
        Digest { state: self.start, factor: self.factor }
    }
}

/// A digest in the making.
#[derive(Clone, Copy)]
pub(crate) struct Digest {
    state: u64,
    factor: u64,
}

impl Digest {
    /// Adds a part; its length counts too, so that parts cannot be shifted against each other.
    #[inline]
    #[must_use]
    pub(crate) fn with(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self = self.with_word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.with_word(u64::from_le_bytes(last)).with_word(bytes.len() as u64)
    }

    /// Adds a number.
    #[inline]
    #[must_use]
    pub(crate) fn with_word(self, word: u64) -> Self {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        Self { state: (product as u64) ^ (product >> 64) as u64, ..self }
    }

    #[inline]
    pub(crate) fn finish(self) -> u64 {
        self.with_word(self.factor.rotate_left(32)).state
    }
}
