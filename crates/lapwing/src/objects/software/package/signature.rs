//! Who has made a package: signatures of minisign (Ed25519), as `minisign -S` writes them.

use std::fmt;
use std::str::FromStr;

use minisign_verify::{Error, Signature};

/// What a signature is checked with: the public key that `minisign -G` writes, as its one line of Base64 or as the whole file.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(minisign_verify::PublicKey);

/// This is no public key of minisign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of minisign, a line of Base64 that begins with RW")]
pub struct PublicKeyError;

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
        let key = minisign_verify::PublicKey::from_base64(line.ok_or(PublicKeyError)?);
        key.map(Self).map_err(|_| PublicKeyError)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// Whether one of these keys has signed the list; or what is wrong.
pub(super) fn verify(keys: &[PublicKey], list: &[u8], signature: &[u8]) -> Result<(), String> {
    if signature.is_empty() {
        return Err(format!("it is not signed: it has no {}", super::SIGNATURE));
    }
    let text = str::from_utf8(signature).ok();
    let Some(signature) = text.and_then(|text| Signature::decode(text).ok()) else {
        return Err("its signature is none of minisign".to_owned());
    };
    let mut why = Error::UnexpectedKeyId;
    for PublicKey(key) in keys {
        match key.verify(list, &signature, false) {
            Ok(()) => return Ok(()),
            Err(Error::UnexpectedKeyId) => {}
            Err(error) => why = error,
        }
    }
    Err(match why {
        Error::UnexpectedKeyId => "it is signed with a key that is not known here".to_owned(),
        Error::UnexpectedAlgorithm => "its signature is of the old form, without -H".to_owned(),
        _ => "its signature is not that of its checksums".to_owned(),
    })
}
