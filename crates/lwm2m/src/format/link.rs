//! Link-format payloads: what a client registers, and the answer to Discover (LwM2M Core 1.1 sections 6.2.1 and 6.3.2).

use std::collections::{BTreeMap, BTreeSet};

use lapwing_coap::ContentFormat;
use lapwing_coap::link::Link;

use super::FormatError;
use crate::attributes::{AttributeTable, Attributes};
use crate::model::{InstanceId, ObjectId, Path, Tree, Version};

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

/// Writes the payload of Register and Update: a root link with `rt` and `ct`, then each object but Security.
///
/// `ver` stands for every object that is not 1.0; LwM2M 1.0 has it quoted, 1.1 not. `formats` are those that the root
/// link names in `ct`.
pub fn emit_registration(tree: &Tree, lwm2m: Version, formats: &[ContentFormat], out: &mut Vec<u8>) {
    todo!("{tree:?} {lwm2m} {formats:?} {out:?}")
}

/// Reads the payload of Register or Update.
///
/// # Errors
/// [`FormatError::Malformed`], [`FormatError::Path`].
pub fn parse_registration(payload: &[u8]) -> Result<RegistrationLinks, FormatError> {
    todo!("{payload:?}")
}

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

/// The lines of the answer to a Discover of `path`; empty if it does not exist.
///
/// `dimensions` holds the number of instances of multiple resources, by their paths.
pub fn discover(
    path: &Path,
    tree: &Tree,
    attributes: &AttributeTable,
    dimensions: &BTreeMap<Path, u16>,
) -> Vec<DiscoverEntry> {
    todo!("{path} {tree:?} {attributes:?} {dimensions:?}")
}

/// Writes the answer to Discover.
pub fn emit_discover<'a>(entries: impl IntoIterator<Item = &'a DiscoverEntry>, lwm2m: Version, out: &mut Vec<u8>) {
    let _ = (entries.into_iter().count(), lwm2m, out);
    todo!()
}

/// Reads the answer to Discover. Attributes that are not known here are passed over.
///
/// # Errors
/// [`FormatError::Malformed`], [`FormatError::Path`].
pub fn parse_discover(payload: &[u8]) -> Result<Vec<DiscoverEntry>, FormatError> {
    todo!("{payload:?}")
}
