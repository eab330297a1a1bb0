//! Which time zone the machine is in (localtime(5)).

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::tzif::Zone;
use super::{is_absent, read_value};
use crate::platform::{Error, Result};

/// Follows at most this many links from /etc/localtime to the zone's file.
const MAX_LINKS: usize = 8;

/// 9999-12-31T23:59:59Z: rules are not asked about later times.
const END_OF_9999: i64 = 253_402_300_799;

/// The offset from UTC at `unix`, in seconds, and the zone's name.
///
/// The name comes from where the link /etc/localtime points, or from Debian's /etc/timezone where that is a plain file.
/// Without either the zone is UTC, as localtime(5) has it.
pub(super) fn read(root: &Path, unix: Duration) -> Result<(i32, Option<String>)> {
    let localtime = root.join("etc/localtime");
    let (file, name) = resolve(root, localtime);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if is_absent(&error) => return Ok((0, Some("UTC".to_owned()))),
        Err(error) => return Err(Error::failed(file.display().to_string(), error)),
    };
    let zone = Zone::parse(&bytes)
        .ok_or_else(|| Error::failed(file.display().to_string(), "it is not a time zone file (RFC 9636)"))?;
    let name = match name {
        Some(name) => Some(name),
        None => read_value(&root.join("etc/timezone"))?,
    };
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX).min(END_OF_9999);
    Ok((zone.offset_at(seconds), name))
}

/// Follows links by hand, since absolute ones start at `root`; returns the file and the zone's name when a link shows it.
fn resolve(root: &Path, mut file: PathBuf) -> (PathBuf, Option<String>) {
    let mut name = None;
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&file) else { break };
        // The first link that leads into the database names the zone; further ones are aliases inside it.
        name = name.or_else(|| zone_name(&target));
        file = match target.strip_prefix("/") {
            Ok(relative) => root.join(relative),
            Err(_) => file.parent().unwrap_or(root).join(target),
        };
    }
    (file, name)
}

fn zone_name(target: &Path) -> Option<String> {
    let mut parts = target.components();
    parts.find(|part| *part == Component::Normal("zoneinfo".as_ref()))?;
    let name = parts.as_path().to_str()?;
    let name = name.strip_prefix("posix/").or_else(|| name.strip_prefix("right/")).unwrap_or(name);
    (!name.is_empty()).then(|| name.to_owned())
}
