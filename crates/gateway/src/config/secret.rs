//! Secrets, and the files that hold them and certificates.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use super::ConfigError;

/// No file of keys or certificates is longer, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// A text that is not to be printed: its `Debug` says nothing of it, and it is cleared from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text; spaces around it do not count.
    pub fn new(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file of its own.
    File(PathBuf),
    /// Given itself.
    Given(Secret),
}

/// The content of a file that `key` names; the file of a secret that everybody may read is warned of.
pub(super) fn read(key: &'static str, path: &Path, secret: bool) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let unreadable = |error| ConfigError::UnreadableKey { key, path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if secret && about.permissions().mode() & 0o007 != 0 {
        let path = path.display();
        tracing::warn!(
            "`{key}`: {path} holds a secret, and other users may read or change it: `chmod o= {path}` keeps them out"
        );
    }
    if about.len() > MAX_FILE {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    // Room for all of it, so that no part of a secret is left behind by a buffer that grows.
    let mut content = Zeroizing::new(Vec::with_capacity(about.len() as usize + 1));
    file.take(MAX_FILE).read_to_end(&mut content).map_err(unreadable)?;
    Ok(content)
}

/// The content of a file that holds secrets; where everybody may read it, that is warned of. `key` names what it is for.
///
/// # Errors
/// When it cannot be read.
pub fn read_secret(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    read(key, path, true)
}

/// Bytes as pairs of hexadecimal digits, with any white space between them.
pub(super) fn hexadecimal(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digits = || text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let count = digits().count();
    if count == 0 || count % 2 != 0 {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(count / 2));
    let mut high = None;
    for digit in digits() {
        let value = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(value << 4),
            Some(high) => bytes.push(high | value),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_read_in_pairs() {
        assert_eq!(hexadecimal(b"00ff\tA5\n").unwrap().as_slice(), [0, 0xff, 0xa5]);
        for text in ["", " ", "f", "0g", "0x12", "\u{ff11}\u{ff12}"] {
            assert_eq!(hexadecimal(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let source = SecretSource::Given(Secret::new(" 73656372 \n"));
        assert_eq!(format!("{source:?}"), "Given(Secret(..))");
        assert_eq!(source, SecretSource::Given("73656372".parse().unwrap()));
    }
}
