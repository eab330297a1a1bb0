//! Link-format payloads: what a client registers, and the answer to Discover (LwM2M Core 1.1 sections 6.2.1 and 6.3.2).

mod discover;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use lapwing_coap::ContentFormat;
use lapwing_coap::link::{Link, LinkRef, Links};

use super::FormatError;
use crate::definitions::{oscore, security};
use crate::model::{InstanceId, ObjectId, Path, Tree, Version};

pub use discover::{DiscoverEntry, discover, emit_discover, parse_discover};

/// What a client says of itself in the payload of Register and Update.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct RegistrationLinks {
    /// The path under which the objects are, without a trailing slash; empty unless a link with `rt="oma.lwm2m"` says else.
    pub root: String,
    /// The formats that the client's root link names in `ct`; empty if it names none.
    pub formats: Vec<ContentFormat>,
    /// The objects with their versions and instances.
    pub objects: BTreeMap<ObjectId, RegisteredObject>,
    /// Every link as it was sent, those that are no objects too.
    pub links: Vec<Link>,
}

/// One object of a [`RegistrationLinks`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RegisteredObject {
    /// The version in `ver`, if there is one; without, the version is 1.0 or that of the LwM2M version's core object.
    pub version: Option<Version>,
    /// Its instances.
    pub instances: BTreeSet<InstanceId>,
}

/// Writes the payload of Register and Update behind what `out` has: a root link with `rt` and `ct`, then each object and
/// its instances. Security and OSCORE hold secrets and are not listed.
///
/// An object stands there itself if it has no instance, or is in another version than 1.0, which `ver` then says (quoted
/// in LwM2M 1.0, bare later). `formats` are those that `ct` names; without, there is no `ct`.
pub fn emit_registration(tree: &Tree, lwm2m: Version, formats: &[ContentFormat], out: &mut Vec<u8>) {
    let mut root = Link::new("/").quoted("rt", "oma.lwm2m");
    root = match formats {
        [] => root,
        [only] => root.token("ct", only.0),
        several => {
            let numbers: Vec<String> = several.iter().map(|format| format.0.to_string()).collect();
            root.quoted("ct", numbers.join(" "))
        }
    };
    put(out, format_args!("{root}"));
    for (id, object) in &tree.objects {
        if [security::OBJECT_ID, oscore::OBJECT_ID].contains(id) {
            continue;
        }
        let version = Some(object.definition.version).filter(|version| *version != Version::V1_0);
        if version.is_some() || object.instances.is_empty() {
            put(out, format_args!(",</{id}>"));
        }
        if let Some(version) = version {
            put_version(version, lwm2m, out);
        }
        for instance in object.instances.keys() {
            put(out, format_args!(",</{id}/{instance}>"));
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

fn put_version(version: Version, lwm2m: Version, out: &mut Vec<u8>) {
    if lwm2m == Version::V1_0 {
        put(out, format_args!(";ver=\"{version}\""));
    } else {
        put(out, format_args!(";ver={version}"));
    }
}

/// Reads the payload of Register or Update.
///
/// Links that do not lead to a number below the root (`</sensors>`) are kept in `links` and mean nothing here.
///
/// # Errors
/// [`FormatError::Link`] for what is not link-format, [`FormatError::Path`] for a path that begins with a number and is
/// none, [`FormatError::Malformed`] for a path below an instance, a `ver` that is no version or contradicts an earlier one,
/// or a `ct` that has no numbers.
pub fn parse_registration(payload: &[u8]) -> Result<RegistrationLinks, FormatError> {
    let links = Links::parse(payload)?;
    let mut registration = RegistrationLinks::default();
    if let Some(root) = links.iter().find(is_root) {
        registration.root = root.target.trim_end_matches('/').to_owned();
        registration.formats = formats(&root).ok_or_else(|| malformed(payload, &root, "ct lists content formats"))?;
    }
    for link in links.iter() {
        if !is_root(&link)
            && let Some(path) = path_below(&registration.root, link.target)?
        {
            add(&mut registration.objects, path, &link).map_err(|what| malformed(payload, &link, what))?;
        }
        registration.links.push(link.to_owned());
    }
    Ok(registration)
}

fn add(objects: &mut BTreeMap<ObjectId, RegisteredObject>, path: Path, link: &LinkRef<'_>) -> Result<(), &'static str> {
    let [object, ref below @ ..] = *path.ids() else { return Ok(()) };
    let object = objects.entry(object).or_default();
    match *below {
        [] => {
            let version = version(link)?;
            if version.is_some() && object.version.is_some_and(|before| Some(before) != version) {
                return Err("an object has one version");
            }
            object.version = object.version.or(version);
        }
        [instance] => {
            object.instances.insert(instance);
        }
        _ => return Err("objects and their instances are registered, not what is below"),
    }
    Ok(())
}

fn is_root(link: &LinkRef<'_>) -> bool {
    // The value of rt is a list with blanks between (RFC 6690 section 3.1).
    link.get("rt").is_some_and(|rt| rt.text().split(' ').any(|kind| kind == "oma.lwm2m"))
}

fn formats(root: &LinkRef<'_>) -> Option<Vec<ContentFormat>> {
    let Some(numbers) = root.get("ct") else { return Some(Vec::new()) };
    numbers.text().split_ascii_whitespace().map(|number| number.parse().ok().map(ContentFormat)).collect()
}

fn version(link: &LinkRef<'_>) -> Result<Option<Version>, &'static str> {
    match link.get("ver") {
        Some(version) => version.text().parse().map(Some).map_err(|_| "ver is a version such as 1.1"),
        None if link.has("ver") => Err("ver is a version such as 1.1"),
        None => Ok(None),
    }
}

/// The path that a link's target has below the root; `None` if it is elsewhere, or what is there is not a number.
fn path_below(root: &str, target: &str) -> Result<Option<Path>, FormatError> {
    let Some(below) = target.strip_prefix(root).filter(|below| below.starts_with('/')) else { return Ok(None) };
    if below.as_bytes().get(1).is_none_or(u8::is_ascii_digit) { Ok(Some(below.parse()?)) } else { Ok(None) }
}

fn malformed(payload: &[u8], link: &LinkRef<'_>, what: &'static str) -> FormatError {
    let offset = (link.target.as_ptr() as usize).saturating_sub(payload.as_ptr() as usize);
    FormatError::Malformed { offset, what }
}
