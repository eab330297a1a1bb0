//! The cipher suites.

use core::fmt;

/// A cipher suite of DTLS 1.2. All of them use the PRF with SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum CipherSuite {
    /// TLS_PSK_WITH_AES_128_CCM_8 (RFC 6655 section 4), which every LwM2M client with pre-shared keys has.
    PskAes128Ccm8 = 0xc0a8,
    /// TLS_PSK_WITH_AES_128_CBC_SHA256 (RFC 5487 section 3.1).
    PskAes128CbcSha256 = 0x00ae,
    /// TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8 (RFC 7251 section 2), which every one with public keys or certificates has.
    EcdheEcdsaAes128Ccm8 = 0xc0ae,
    /// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (RFC 5289 section 3.2).
    EcdheEcdsaAes128GcmSha256 = 0xc02b,
    /// TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 (RFC 5289 section 3.1).
    EcdheEcdsaAes128CbcSha256 = 0xc023,
}

/// How a suite agrees on keys, and how the ends prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By a pre-shared key (RFC 4279).
    Psk,
    /// By ephemeral Diffie-Hellman on an elliptic curve, signed with ECDSA (RFC 8422).
    EcdheEcdsa,
}

/// How a suite protects records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Ccm8,
    Gcm,
    CbcSha256,
}

impl CipherSuite {
    /// All that this crate has; those with authenticated encryption go first.
    pub const ALL: [Self; 5] = [
        Self::PskAes128Ccm8,
        Self::EcdheEcdsaAes128Ccm8,
        Self::EcdheEcdsaAes128GcmSha256,
        Self::PskAes128CbcSha256,
        Self::EcdheEcdsaAes128CbcSha256,
    ];

    /// Its number in hello messages, and (as two bytes) in the resource `DTLS/TLS Ciphersuite` of LwM2M, 0/x/16.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The suite of this number, if this crate has it.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    /// How it agrees on keys.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::PskAes128Ccm8 | Self::PskAes128CbcSha256 => Kind::Psk,
            Self::EcdheEcdsaAes128Ccm8 | Self::EcdheEcdsaAes128GcmSha256 | Self::EcdheEcdsaAes128CbcSha256 => {
                Kind::EcdheEcdsa
            }
        }
    }

    /// Whether records are encrypted with CBC: only then encrypt-then-MAC means anything (RFC 7366 section 3).
    #[must_use]
    pub const fn is_cbc(self) -> bool {
        matches!(self.cipher(), Cipher::CbcSha256)
    }

    pub(super) const fn cipher(self) -> Cipher {
        match self {
            Self::PskAes128Ccm8 | Self::EcdheEcdsaAes128Ccm8 => Cipher::Ccm8,
            Self::EcdheEcdsaAes128GcmSha256 => Cipher::Gcm,
            Self::PskAes128CbcSha256 | Self::EcdheEcdsaAes128CbcSha256 => Cipher::CbcSha256,
        }
    }

    /// The name in the standards, as in `TLS_PSK_WITH_AES_128_CCM_8`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PskAes128Ccm8 => "TLS_PSK_WITH_AES_128_CCM_8",
            Self::PskAes128CbcSha256 => "TLS_PSK_WITH_AES_128_CBC_SHA256",
            Self::EcdheEcdsaAes128Ccm8 => "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            Self::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Self::EcdheEcdsaAes128CbcSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        }
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<CipherSuite> for u16 {
    fn from(suite: CipherSuite) -> Self {
        suite.number()
    }
}
