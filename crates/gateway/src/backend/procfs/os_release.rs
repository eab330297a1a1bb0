//! os-release(5): which operating system image runs.

use std::path::Path;

use super::read_optional;
use crate::platform::{Result, Versions};

/// Reads /etc/os-release, or /usr/lib/os-release where that is missing (os-release(5): only one of them is used).
///
/// The firmware version is `IMAGE_VERSION` where the system is an image, else `VERSION_ID`, else `BUILD_ID` (rolling systems).
pub(super) fn read(root: &Path) -> Result<Versions> {
    let text = match read_optional(&root.join("etc/os-release"))? {
        Some(text) => text,
        None => read_optional(&root.join("usr/lib/os-release"))?.unwrap_or_default(),
    };
    let field = |name: &str| {
        let assigned = text.lines().rev().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='))?;
        Some(unquote(assigned.trim_end())).filter(|value| !value.is_empty())
    };
    Ok(Versions { firmware: field("IMAGE_VERSION").or_else(|| field("VERSION_ID")).or_else(|| field("BUILD_ID")) })
}

/// Takes off shell quoting: single quotes keep everything, double quotes and bare words take backslash escapes.
fn unquote(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}
