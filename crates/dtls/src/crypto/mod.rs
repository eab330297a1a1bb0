//! What the protocol makes of RustCrypto's primitives: secrets, the protection of records, key exchange and signatures.
//!
//! There is no primitive here. What holds key material clears it when it is dropped, and prints none of it.
//!
//! - [`CipherSuite`]: the suites of LwM2M (RFC 7925 section 4).
//! - [`MasterSecret`], [`Transcript`], [`verify_data`]: the key schedule of TLS 1.2 (RFC 5246 sections 5 to 8, RFC 7627).
//! - [`KeyShare`], [`PrivateKey`], [`PublicKey`]: key exchange and signatures on P-256 (RFC 8422).
//! - [`Seal`], [`Open`]: records protected and opened (RFC 5246 section 6.2.3, RFC 6655, RFC 5288, RFC 7366, RFC 9146).

mod cbc;
mod ecc;
mod mac;
mod protect;
mod schedule;
mod suite;

pub use ecc::{
    ECDSA_SHA256, EccError, KeyShare, POINT, PrivateKey, PrivateKeyError, PublicKey, PublicKeyError, SECP256R1,
    signed_parameters,
};
pub use protect::{Open, RecordHeader, RecordKeys, Seal, Unauthentic, record_keys};
pub use schedule::{MasterSecret, Premaster, Transcript, VERIFY_DATA, psk_premaster, verify_data};
pub use suite::{CipherSuite, Kind};

use subtle::ConstantTimeEq;

/// Whether both are the same, found out in a time that depends on their lengths only.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}
