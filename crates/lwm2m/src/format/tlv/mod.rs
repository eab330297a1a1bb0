//! The TLV format (LwM2M Core 1.1 section 7.4.4).
//!
//! Written is the shortest form of everything but one: an Unsigned Integer gets a length at which its first bit is clear
//! where there is one, because Leshan reads these as signed. A Float is written in 4 octets if that loses nothing.
//!
//! Read is every form that the section allows: lengths and numbers may be longer than they need to be, the instance may
//! be left out around the resources of an instance that the path names, and the resource around its instances. Not
//! accepted are doubled ids, the reserved id 65535, ids other than the path's, entries at a level where they do not belong, and
//! values of a length that their type has not.

mod entry;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;

use super::FormatError;
use crate::model::{
    CheckError, Instance, InstanceId, Instances, Level, MAX_ID, Node, ObjectDefinition, Path, PathError, Resource,
    ResourceDefinition, ResourceType, Value,
};
use entry::{Entries, Entry, Kind, MAX_LENGTH, header_length, put_header};

/// Writes the content of an object, instance, resource or resource instance behind what `out` has.
///
/// The content of an object has an entry for each instance, that of an instance starts with its resources.
///
/// # Errors
/// [`FormatError::Level`] if node and path are not of one level, [`FormatError::NotAcceptable`] if an entry is longer than
/// 24 bits can say, [`FormatError::Path`] for an id of 65535. `out` is then as it was.
pub fn encode(path: &Path, node: &Node, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let before = out.len();
    let written = match (node, path.ids()) {
        (Node::Object(instances), [_]) => {
            instances.iter().try_for_each(|(id, instance)| put_instance(*id, instance, out))
        }
        (Node::Instance(instance), [_, _]) => put_resources(instance, out),
        (Node::Resource(resource), [_, _, id]) => put_resource(*id, resource, out),
        (Node::Value(value), [_, _, _, id]) => put_value(Kind::ResourceInstance, *id, value, out),
        _ => Err(FormatError::Level { expected: path.level(), found: node.level() }),
    };
    written.inspect_err(|_| out.truncate(before))
}

/// Writes the payload of a Create: the resources of the new instance, inside an entry for it if its number is given.
///
/// # Errors
/// As for [`encode`].
pub fn encode_create(id: Option<InstanceId>, instance: &Instance, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let before = out.len();
    let written = match id {
        Some(id) => put_instance(id, instance, out),
        None => put_resources(instance, out),
    };
    written.inspect_err(|_| out.truncate(before))
}

/// Where the value of the resource at `path` begins in its content, and how many octets it has: of a content that is nothing but this
/// resource, of which at least the header is in `begun`. `None` for any other.
pub fn value_of_resource(path: &Path, begun: &[u8]) -> Option<(usize, usize)> {
    let mut entries = Entries::new(begun);
    match entries.header() {
        Ok((Kind::Resource, id, length)) if Some(id) == path.resource_id() => Some((entries.offset(), length)),
        _ => None,
    }
}

fn put_instance(id: InstanceId, instance: &Instance, out: &mut Vec<u8>) -> Result<(), FormatError> {
    put_entry(Kind::ObjectInstance, id, resources_length(instance), out)?;
    put_resources(instance, out)
}

fn put_resources(instance: &Instance, out: &mut Vec<u8>) -> Result<(), FormatError> {
    instance.iter().try_for_each(|(id, resource)| put_resource(*id, resource, out))
}

fn put_resource(id: u16, resource: &Resource, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match resource {
        Resource::Single(value) => put_value(Kind::Resource, id, value, out),
        Resource::Multiple(values) => {
            put_entry(Kind::MultipleResource, id, values_length(values), out)?;
            values.iter().try_for_each(|(id, value)| put_value(Kind::ResourceInstance, *id, value, out))
        }
    }
}

fn put_value(kind: Kind, id: u16, value: &Value, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let octets = value::encode(value);
    put_entry(kind, id, octets.len(), out)?;
    out.extend_from_slice(&octets);
    Ok(())
}

fn put_entry(kind: Kind, id: u16, length: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    if id == MAX_ID {
        return Err(PathError::Reserved.into());
    }
    if length > MAX_LENGTH {
        return Err(FormatError::NotAcceptable);
    }
    put_header(kind, id, length, out);
    Ok(())
}

fn resources_length(instance: &Instance) -> usize {
    let entry = |(id, resource): (&u16, &Resource)| {
        let length = match resource {
            Resource::Single(value) => value::length(value),
            Resource::Multiple(values) => values_length(values),
        };
        header_length(*id, length) + length
    };
    instance.iter().map(entry).sum()
}

fn values_length(values: &BTreeMap<u16, Value>) -> usize {
    let entry = |(id, value): (&u16, &Value)| {
        let length = value::length(value);
        header_length(*id, length) + length
    };
    values.iter().map(entry).sum()
}

/// Reads the content of `path`.
///
/// What the definition does not know is read as an Opaque, and so is what it says to be executable.
///
/// # Errors
/// [`FormatError::Malformed`], [`FormatError::Mismatch`] for single where the definition says multiple or the reverse,
/// [`FormatError::UnsupportedFormat`] for the root.
pub fn decode(path: &Path, definition: &ObjectDefinition, payload: &[u8]) -> Result<Node, FormatError> {
    let entries = Entries::new(payload);
    match *path.ids() {
        [_] => object(path, definition, entries).map(Node::Object),
        [_, id] => instance(path, id, definition, entries).map(Node::Instance),
        [_, _, id] => resource(path, id, definition, entries).map(Node::Resource),
        [_, _, resource, id] => resource_instance(path, resource, id, definition, entries).map(Node::Value),
        _ => Err(FormatError::UnsupportedFormat),
    }
}

/// Reads the payload of a Create: one instance, and its number if the payload has it; else the client chooses one.
///
/// # Errors
/// As for [`decode`].
pub fn decode_create(
    definition: &ObjectDefinition,
    payload: &[u8],
) -> Result<(Option<InstanceId>, Instance), FormatError> {
    let path = Path::object(definition.id);
    let mut entries = Entries::new(payload);
    let Some(Entry { kind: Kind::ObjectInstance, id, .. }) = entries.peek()? else {
        return Ok((None, resources(&path, definition, entries)?));
    };
    let first = entries.next_entry()?.expect("it was peeked");
    nothing_after(&mut entries)?;
    Ok((Some(id), resources(&path.instance(id), definition, first.inside())?))
}

fn object(path: &Path, definition: &ObjectDefinition, mut entries: Entries<'_>) -> Result<Instances, FormatError> {
    if !definition.multiple && entries.peek()?.is_some_and(|entry| entry.kind != Kind::ObjectInstance) {
        return Ok([(0, resources(&path.instance(0), definition, entries)?)].into());
    }
    let mut instances = Instances::new();
    while let Some(entry) = entries.next_entry()? {
        entry.expect(Kind::ObjectInstance)?;
        let content = resources(&path.instance(entry.id), definition, entry.inside())?;
        entry.only_once(instances.insert(entry.id, content))?;
    }
    Ok(instances)
}

fn instance(
    path: &Path,
    id: u16,
    definition: &ObjectDefinition,
    mut entries: Entries<'_>,
) -> Result<Instance, FormatError> {
    if entries.peek()?.is_none_or(|entry| entry.kind != Kind::ObjectInstance) {
        return resources(path, definition, entries);
    }
    let wrapper = entries.next_entry()?.expect("it was peeked");
    wrapper.expect_id(id)?;
    nothing_after(&mut entries)?;
    resources(path, definition, wrapper.inside())
}

/// The resources of one instance. `path` is the instance's, or the object's for an instance without a number.
fn resources(path: &Path, definition: &ObjectDefinition, mut entries: Entries<'_>) -> Result<Instance, FormatError> {
    let mut resources = Instance::new();
    while let Some(entry) = entries.next_entry()? {
        let at = if path.level() == Level::Instance { path.resource(entry.id) } else { *path };
        let content = match entry.kind {
            Kind::Resource | Kind::MultipleResource => content(&at, &entry, definition.resource(entry.id))?,
            _ => return Err(entry.misplaced()),
        };
        entry.only_once(resources.insert(entry.id, content))?;
    }
    Ok(resources)
}

fn resource(
    path: &Path,
    id: u16,
    definition: &ObjectDefinition,
    mut entries: Entries<'_>,
) -> Result<Resource, FormatError> {
    let known = definition.resource(id);
    match entries.peek()? {
        Some(entry) if matches!(entry.kind, Kind::Resource | Kind::MultipleResource) => {
            entries.next_entry()?;
            entry.expect_id(id)?;
            nothing_after(&mut entries)?;
            content(path, &entry, known)
        }
        Some(entry) if entry.kind == Kind::ResourceInstance => {
            expect_multiplicity(path, known, true)?;
            values(kind_of(known), entries).map(Resource::Multiple)
        }
        Some(entry) => Err(entry.misplaced()),
        None if known.is_some_and(|known| known.multiple) => Ok(Resource::Multiple(BTreeMap::new())),
        None => Err(FormatError::Malformed { offset: 0, what: "a resource is missing" }),
    }
}

fn resource_instance(
    path: &Path,
    resource: u16,
    id: u16,
    definition: &ObjectDefinition,
    mut entries: Entries<'_>,
) -> Result<Value, FormatError> {
    let known = definition.resource(resource);
    expect_multiplicity(path, known, true)?;
    let missing = FormatError::Malformed { offset: 0, what: "a resource instance is missing" };
    let entry = entries.next_entry()?.ok_or(missing)?;
    entry.expect(Kind::ResourceInstance)?;
    entry.expect_id(id)?;
    nothing_after(&mut entries)?;
    value::decode(kind_of(known), &entry)
}

/// The content of a Resource or MultipleResource entry.
fn content(path: &Path, entry: &Entry<'_>, known: Option<&ResourceDefinition>) -> Result<Resource, FormatError> {
    let multiple = entry.kind == Kind::MultipleResource;
    expect_multiplicity(path, known, multiple)?;
    if multiple {
        values(kind_of(known), entry.inside()).map(Resource::Multiple)
    } else {
        value::decode(kind_of(known), entry).map(Resource::Single)
    }
}

fn values(kind: ResourceType, mut entries: Entries<'_>) -> Result<BTreeMap<u16, Value>, FormatError> {
    let mut values = BTreeMap::new();
    while let Some(entry) = entries.next_entry()? {
        entry.expect(Kind::ResourceInstance)?;
        entry.only_once(values.insert(entry.id, value::decode(kind, &entry)?))?;
    }
    Ok(values)
}

fn kind_of(known: Option<&ResourceDefinition>) -> ResourceType {
    match known.map(|known| known.kind) {
        Some(ResourceType::None) | None => ResourceType::Opaque,
        Some(kind) => kind,
    }
}

fn expect_multiplicity(path: &Path, known: Option<&ResourceDefinition>, multiple: bool) -> Result<(), FormatError> {
    match known {
        Some(known) if known.multiple != multiple => {
            Err(FormatError::Mismatch { path: *path, why: CheckError::Multiplicity })
        }
        _ => Ok(()),
    }
}

fn nothing_after(entries: &mut Entries<'_>) -> Result<(), FormatError> {
    match entries.next_entry()? {
        None => Ok(()),
        Some(entry) => Err(FormatError::Malformed { offset: entry.offset, what: "one entry too many" }),
    }
}
