//! The answer to Discover.

use std::collections::BTreeMap;

use lapwing_coap::link::{LinkRef, Links};

use super::{malformed, path_below, put, put_version, version};
use crate::attributes::{AttributeTable, Attributes};
use crate::format::FormatError;
use crate::model::{Level, Path, ResourceInstanceId, Tree, Version};

/// One line of the answer to Discover.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DiscoverEntry {
    /// Where this is.
    pub path: Path,
    /// `ver`: the version of an object.
    pub version: Option<Version>,
    /// `dim`: how many instances a multiple resource has.
    pub dimension: Option<u16>,
    /// The notification attributes.
    pub attributes: Attributes,
}

impl DiscoverEntry {
    /// A line that says no more than that `path` exists.
    pub const fn new(path: Path) -> DiscoverEntry {
        DiscoverEntry { path, version: None, dimension: None, attributes: Attributes::NONE }
    }
}

/// The lines of the answer to a Discover of `path`, with the attributes that one server has set; empty if there is
/// nothing at `path`, or it is the root or a resource instance, which cannot be discovered.
///
/// What is listed with which attributes is how Anjay reads LwM2M 1.0 and 1.1:
/// - of an object, the object with its version and its own attributes, then its instances and their resources, bare;
/// - of an instance, the instance with all attributes that count for it, inherited ones too, then its resources with
///   `dim` and their own;
/// - of a resource, the resource with `dim` and all attributes that count for it, then, in LwM2M 1.1, its instances with
///   their own.
///
/// `instances` holds the resource instances of multiple resources by the path of the resource; one that is not in there
/// has no `dim`.
pub fn discover(
    path: &Path,
    lwm2m: Version,
    tree: &Tree,
    attributes: &AttributeTable,
    instances: &BTreeMap<Path, Vec<ResourceInstanceId>>,
) -> Vec<DiscoverEntry> {
    let Some(object) = tree.object(path).filter(|_| tree.has(path)) else { return Vec::new() };
    let bare = DiscoverEntry::new;
    let dimension = |path: &Path| instances.get(path).and_then(|ids| u16::try_from(ids.len()).ok());
    let resources = |instance: Path| {
        let ids = instance.instance_id().and_then(|id| object.instances.get(&id));
        ids.into_iter().flatten().map(move |id| instance.resource(*id))
    };
    match path.level() {
        Level::Object => {
            let version = Some(object.definition.version).filter(|version| *version != Version::V1_0);
            let mut entries = vec![DiscoverEntry { version, attributes: attributes.at(path), ..bare(*path) }];
            for instance in object.instances.keys().map(|id| path.instance(*id)) {
                entries.push(bare(instance));
                entries.extend(resources(instance).map(bare));
            }
            entries
        }
        Level::Instance => {
            let mut entries = vec![DiscoverEntry { attributes: attributes.effective(path), ..bare(*path) }];
            entries.extend(resources(*path).map(|resource| DiscoverEntry {
                dimension: dimension(&resource),
                attributes: attributes.at(&resource),
                ..bare(resource)
            }));
            entries
        }
        Level::Resource => {
            let resource =
                DiscoverEntry { dimension: dimension(path), attributes: attributes.effective(path), ..bare(*path) };
            let mut entries = vec![resource];
            if lwm2m > Version::V1_0 {
                let below = instances.get(path).into_iter().flatten().map(|id| path.resource_instance(*id));
                entries.extend(below.map(|path| DiscoverEntry { attributes: attributes.at(&path), ..bare(path) }));
            }
            entries
        }
        Level::Root | Level::ResourceInstance => Vec::new(),
    }
}

/// Writes the answer to Discover behind what `out` has; `ver` is quoted in LwM2M 1.0, bare later.
pub fn emit_discover<'a>(entries: impl IntoIterator<Item = &'a DiscoverEntry>, lwm2m: Version, out: &mut Vec<u8>) {
    for (index, entry) in entries.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        put(out, format_args!("{comma}<{}>", entry.path));
        if let Some(version) = entry.version {
            put_version(version, lwm2m, out);
        }
        if let Some(dimension) = entry.dimension {
            put(out, format_args!(";dim={dimension}"));
        }
        put(out, format_args!("{}", entry.attributes));
    }
}

/// Reads the answer to Discover of a client whose objects are under `root` (empty, or [`RegistrationLinks::root`]).
///
/// Links that lead elsewhere, and attributes that are not known here, are passed over.
///
/// [`RegistrationLinks::root`]: super::RegistrationLinks::root
///
/// # Errors
/// [`FormatError::Link`], [`FormatError::Path`], [`FormatError::Malformed`] for an attribute whose value is none.
pub fn parse_discover(root: &str, payload: &[u8]) -> Result<Vec<DiscoverEntry>, FormatError> {
    let mut entries = Vec::new();
    for link in Links::parse(payload)?.iter() {
        if let Some(path) = path_below(root, link.target)? {
            entries.push(entry(path, &link).map_err(|what| malformed(payload, &link, what))?);
        }
    }
    Ok(entries)
}

fn entry(path: Path, link: &LinkRef<'_>) -> Result<DiscoverEntry, &'static str> {
    let mut entry = DiscoverEntry { version: version(link)?, ..DiscoverEntry::new(path) };
    for attribute in link.attributes() {
        let text = attribute.value.map(|value| value.text()).unwrap_or_default();
        let attributes = &mut entry.attributes;
        match attribute.name {
            "dim" => entry.dimension = Some(text.parse().map_err(|_| "dim is a number")?),
            "pmin" => attributes.pmin = Some(seconds(&text)?),
            "pmax" => attributes.pmax = Some(seconds(&text)?),
            "epmin" => attributes.epmin = Some(seconds(&text)?),
            "epmax" => attributes.epmax = Some(seconds(&text)?),
            "gt" => attributes.gt = Some(number(&text)?),
            "lt" => attributes.lt = Some(number(&text)?),
            "st" => attributes.st = Some(number(&text)?),
            _ => {}
        }
    }
    Ok(entry)
}

fn seconds(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "a period is a number of seconds")
}

/// More liberal than what is taken from a server: Anjay prints an exponent where numbers are very large or small.
fn number(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("a threshold is a number")
}
