use std::fmt;
use std::str::FromStr;

use super::{InstanceId, MAX_ID, ObjectId, ResourceId, ResourceInstanceId};

/// How deep a [`Path`] goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `/`
    Root,
    /// `/3`
    Object,
    /// `/3/0`
    Instance,
    /// `/3/0/6`
    Resource,
    /// `/3/0/6/1`
    ResourceInstance,
}

/// Where a node is: `/`, `/object`, `/object/instance`, `/object/instance/resource` or
/// `/object/instance/resource/resource instance`.
///
/// Paths are ordered by their numbers, a parent before what is below it. They are small and `Copy`.
///
/// ```
/// use lapwing_lwm2m::model::Path;
///
/// let manufacturer = Path::object(3).instance(0).resource(0);
/// assert_eq!("/3/0/0".parse(), Ok(manufacturer));
/// assert!(Path::object(3).contains(&manufacturer));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Path {
    ids: [u16; 4],
    depth: u8,
}

impl Path {
    /// The root, `/`.
    pub const ROOT: Path = Path { ids: [0; 4], depth: 0 };

    /// The path of an object.
    pub const fn object(object: ObjectId) -> Path {
        Path { ids: [object, 0, 0, 0], depth: 1 }
    }

    /// The path of an instance in this path's object; what this path has below its object is replaced.
    ///
    /// # Panics
    /// If this path is the root.
    pub const fn instance(self, instance: InstanceId) -> Path {
        assert!(self.depth >= 1, "an instance needs an object above it");
        Path { ids: [self.ids[0], instance, 0, 0], depth: 2 }
    }

    /// The path of a resource in this path's instance; what this path has below its instance is replaced.
    ///
    /// # Panics
    /// If this path is shorter than an instance's.
    pub const fn resource(self, resource: ResourceId) -> Path {
        assert!(self.depth >= 2, "a resource needs an instance above it");
        Path { ids: [self.ids[0], self.ids[1], resource, 0], depth: 3 }
    }

    /// The path of an instance of this path's resource.
    ///
    /// # Panics
    /// If this path is shorter than a resource's.
    pub const fn resource_instance(self, resource_instance: ResourceInstanceId) -> Path {
        assert!(self.depth >= 3, "a resource instance needs a resource above it");
        Path { ids: [self.ids[0], self.ids[1], self.ids[2], resource_instance], depth: 4 }
    }

    /// The path with these numbers from the object downwards; `None` if there are more than four, or one is 65535.
    pub fn from_ids(ids: &[u16]) -> Option<Path> {
        if ids.len() > 4 || ids.contains(&MAX_ID) {
            return None;
        }
        let mut path = Path { ids: [0; 4], depth: ids.len() as u8 };
        path.ids[..ids.len()].copy_from_slice(ids);
        Some(path)
    }

    /// The path that Uri-Path options (or the segments of any URI) spell. No segment is the root; one empty segment, as
    /// `coap://host/` gives with some clients, is the root too.
    ///
    /// # Errors
    /// As for parsing from a string.
    pub fn from_segments<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Path, PathError> {
        let mut path = Path::ROOT;
        let mut segments = segments.into_iter().peekable();
        if segments.next_if_eq(&"").is_some() {
            return if segments.next().is_none() { Ok(path) } else { Err(PathError::NotANumber) };
        }
        for segment in segments {
            let id = parse_id(segment)?;
            path = path.child(id).ok_or(PathError::TooDeep)?;
        }
        Ok(path)
    }

    /// How deep this path goes.
    pub const fn level(&self) -> Level {
        match self.depth {
            0 => Level::Root,
            1 => Level::Object,
            2 => Level::Instance,
            3 => Level::Resource,
            _ => Level::ResourceInstance,
        }
    }

    /// The numbers of this path, from the object downwards.
    pub fn ids(&self) -> &[u16] {
        &self.ids[..usize::from(self.depth)]
    }

    /// The object's number, unless this is the root.
    pub fn object_id(&self) -> Option<ObjectId> {
        self.ids().first().copied()
    }

    /// The instance's number, if this path goes so deep.
    pub fn instance_id(&self) -> Option<InstanceId> {
        self.ids().get(1).copied()
    }

    /// The resource's number, if this path goes so deep.
    pub fn resource_id(&self) -> Option<ResourceId> {
        self.ids().get(2).copied()
    }

    /// The resource instance's number, if this path goes so deep.
    pub fn resource_instance_id(&self) -> Option<ResourceInstanceId> {
        self.ids().get(3).copied()
    }

    /// The path one level up; `None` for the root.
    pub fn parent(&self) -> Option<Path> {
        let depth = self.depth.checked_sub(1)?;
        Path::from_ids(&self.ids[..usize::from(depth)])
    }

    /// The path of `id` one level down; `None` below a resource instance, or for 65535.
    pub fn child(&self, id: u16) -> Option<Path> {
        if self.depth == 4 || id == MAX_ID {
            return None;
        }
        let mut path = Path { ids: self.ids, depth: self.depth + 1 };
        path.ids[usize::from(self.depth)] = id;
        Some(path)
    }

    /// This path cut off at `level`; unchanged if it is not longer.
    pub fn up_to(&self, level: Level) -> Path {
        let depth = self.depth.min(level as u8);
        let mut path = Path { ids: [0; 4], depth };
        path.ids[..usize::from(depth)].copy_from_slice(&self.ids[..usize::from(depth)]);
        path
    }

    /// Whether `other` is this path or lies below it.
    pub fn contains(&self, other: &Path) -> bool {
        other.ids().starts_with(self.ids())
    }
}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Path) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Path {
    fn cmp(&self, other: &Path) -> std::cmp::Ordering {
        self.ids().cmp(other.ids())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.depth == 0 {
            return f.write_str("/");
        }
        self.ids().iter().try_for_each(|id| write!(f, "/{id}"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Path {
    type Err = PathError;

    /// Parses `/`, `/3`, `/3/0`, ... strictly: a leading slash, no trailing one, decimal digits without leading zeros.
    fn from_str(text: &str) -> Result<Path, PathError> {
        let rest = text.strip_prefix('/').ok_or(PathError::NoLeadingSlash)?;
        Path::from_segments(rest.split('/'))
    }
}

impl TryFrom<&str> for Path {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Path, PathError> {
        text.parse()
    }
}

fn parse_id(digits: &str) -> Result<u16, PathError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PathError::NotANumber);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(PathError::LeadingZero);
    }
    match digits.parse() {
        Ok(MAX_ID) => Err(PathError::Reserved),
        Ok(id) => Ok(id),
        Err(_) => Err(PathError::TooLarge),
    }
}

/// Why a text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("a path begins with '/'")]
    NoLeadingSlash,
    /// A segment is empty or has something else than digits.
    #[error("each part of a path is a decimal number")]
    NotANumber,
    /// A segment has a leading zero.
    #[error("a number in a path has no leading zeros")]
    LeadingZero,
    /// A number does not fit 16 bits.
    #[error("a number in a path is at most 65534")]
    TooLarge,
    /// A number is 65535, which identifies nothing.
    #[error("65535 is reserved")]
    Reserved,
    /// There are more than four numbers.
    #[error("a path has at most four parts")]
    TooDeep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_level_and_prints_it_back() {
        for text in ["/", "/3", "/3/0", "/3/0/6", "/3/0/6/1", "/65534/65534/65534/65534"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!("/3/0/6/1".parse(), Ok(Path::object(3).instance(0).resource(6).resource_instance(1)));
    }

    #[test]
    fn refuses_what_is_not_a_path() {
        for (text, why) in [
            ("", PathError::NoLeadingSlash),
            ("3/0", PathError::NoLeadingSlash),
            ("//", PathError::NotANumber),
            ("/3/", PathError::NotANumber),
            ("/3//1", PathError::NotANumber),
            ("/+3", PathError::NotANumber),
            ("/-1", PathError::NotANumber),
            ("/rd", PathError::NotANumber),
            ("/3 ", PathError::NotANumber),
            ("/\u{0663}", PathError::NotANumber),
            ("/03", PathError::LeadingZero),
            ("/00", PathError::LeadingZero),
            ("/65536", PathError::TooLarge),
            ("/99999999999999999999", PathError::TooLarge),
            ("/65535", PathError::Reserved),
            ("/3/65535", PathError::Reserved),
            ("/3/0/1/65535", PathError::Reserved),
            ("/3/0/1/2/3", PathError::TooDeep),
        ] {
            assert_eq!(text.parse::<Path>(), Err(why), "{text}");
        }
    }

    #[test]
    fn takes_uri_path_segments() {
        assert_eq!(Path::from_segments([]), Ok(Path::ROOT));
        assert_eq!(Path::from_segments([""]), Ok(Path::ROOT));
        assert_eq!(Path::from_segments(["3", "0"]), Ok(Path::object(3).instance(0)));
        assert_eq!(Path::from_segments(["", "3"]), Err(PathError::NotANumber));
    }

    #[test]
    fn orders_parents_before_children() {
        let mut paths: Vec<Path> = ["/4", "/3/0/1", "/", "/3", "/3/1", "/3/0"].map(|path| path.parse().unwrap()).into();
        paths.sort();
        let texts: Vec<String> = paths.iter().map(Path::to_string).collect();
        assert_eq!(texts, ["/", "/3", "/3/0", "/3/0/1", "/3/1", "/4"]);
    }

    #[test]
    fn contains_itself_and_what_is_below() {
        let instance = Path::object(3).instance(0);
        assert!(Path::ROOT.contains(&instance));
        assert!(instance.contains(&instance));
        assert!(instance.contains(&instance.resource(7)));
        assert!(!instance.contains(&Path::object(3)));
        assert!(!instance.contains(&Path::object(3).instance(1)));
    }

    #[test]
    fn goes_up_and_down() {
        let path = Path::object(3).instance(0).resource(6);
        assert_eq!(path.parent(), Some(Path::object(3).instance(0)));
        assert_eq!(Path::ROOT.parent(), None);
        assert_eq!(path.child(1), Some(path.resource_instance(1)));
        assert_eq!(path.child(MAX_ID), None);
        assert_eq!(path.resource_instance(1).child(0), None);
        assert_eq!(path.up_to(Level::Object), Path::object(3));
        assert_eq!(path.up_to(Level::ResourceInstance), path);
        assert_eq!(path.resource_instance(4).instance(2), Path::object(3).instance(2));
    }
}
