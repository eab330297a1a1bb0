//! The list of `sha256sum`, as `sha256sum --check` takes it, without the latitude: a line that is none is an error there too.

use std::collections::{BTreeMap, BTreeSet};

use super::archive::plain_name;
use super::{CHECKSUMS, PackageError, SIGNATURE};

/// The longest value of a comment, in bytes.
const MAX_COMMENT: usize = 255;

/// Whether every file is listed, with the right checksum, and nothing else is.
pub(super) fn verify(list: &[u8], files: &BTreeMap<String, [u8; 32]>) -> Result<(), PackageError> {
    let damaged = |what: String| Err(PackageError::Integrity(what));
    let Ok(list) = str::from_utf8(list) else { return damaged(format!("{CHECKSUMS} is no text")) };
    let mut listed = BTreeSet::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((sha256, name)) = parse(line) else {
            return damaged(format!("{CHECKSUMS} has a line that sha256sum does not write"));
        };
        match files.get(&name) {
            None => return damaged(format!("{name:?} is listed and not there")),
            Some(found) if *found != sha256 => return damaged(format!("{name:?} does not have its checksum")),
            Some(_) => listed.insert(name),
        };
    }
    // A list cannot have its own checksum, nor that of what is made of it later.
    match files.keys().find(|name| !matches!(name.as_str(), CHECKSUMS | SIGNATURE) && !listed.contains(*name)) {
        Some(name) => damaged(format!("{name:?} has no checksum")),
        None => Ok(()),
    }
}

/// What stands behind `# KEY:`, if it is a short text.
pub(super) fn comment(list: &[u8], key: &str) -> Option<String> {
    let mut lines = str::from_utf8(list).ok()?.lines();
    let value = lines.find_map(|line| line.strip_prefix('#')?.trim_start().strip_prefix(key)?.strip_prefix(':'))?;
    let value = value.trim();
    let fits = (1..=MAX_COMMENT).contains(&value.len()) && !value.contains(char::is_control);
    fits.then(|| value.to_owned())
}

/// `HASH  NAME`, `HASH *NAME` or, as `sha256sum --tag` writes it, `SHA256 (NAME) = HASH`.
fn parse(line: &str) -> Option<([u8; 32], String)> {
    let (hash, name) = match line.strip_prefix("SHA256 (") {
        Some(rest) => rest.rsplit_once(") = ").map(|(name, hash)| (hash, name))?,
        None => {
            let (hash, rest) = line.split_at_checked(64)?;
            (hash, rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"))?)
        }
    };
    Some((unhex(hash)?, plain_name(name.as_bytes()).ok()?))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}
