use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use super::{ObjectId, ResourceId, ResourceType};

/// A version of an object or of LwM2M itself, such as `1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// A change of this number is not compatible.
    pub major: u16,
    /// A change of this number only adds.
    pub minor: u16,
}

impl Version {
    /// Version 1.0, which an object has when nothing else is said.
    pub const V1_0: Version = Version::new(1, 0);
    /// Version 1.1.
    pub const V1_1: Version = Version::new(1, 1);
    /// Version 1.2.
    pub const V1_2: Version = Version::new(1, 2);

    /// The version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Version {
        Version { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Version, VersionError> {
        let digits = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse().map_err(|_| VersionError) } else { Err(VersionError) }
        };
        let (major, minor) = text.split_once('.').ok_or(VersionError)?;
        Ok(Version { major: digits(major)?, minor: digits(minor)? })
    }
}

/// The text is not a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is two decimal numbers with a dot between")]
pub struct VersionError;

/// What a server may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operations {
    /// Nothing: only a bootstrap server writes it.
    None,
    /// Read (and observe, discover).
    Read,
    /// Write.
    Write,
    /// Read and write.
    ReadWrite,
    /// Execute.
    Execute,
}

impl Operations {
    /// Whether a server may read and observe the resource.
    pub const fn readable(self) -> bool {
        matches!(self, Operations::Read | Operations::ReadWrite)
    }

    /// Whether a server may write the resource.
    pub const fn writable(self) -> bool {
        matches!(self, Operations::Write | Operations::ReadWrite)
    }

    /// Whether a server may execute the resource.
    pub const fn executable(self) -> bool {
        matches!(self, Operations::Execute)
    }
}

impl fmt::Display for Operations {
    /// The letters that object definitions use: nothing, `R`, `W`, `RW` or `E`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Operations::None => "",
            Operations::Read => "R",
            Operations::Write => "W",
            Operations::ReadWrite => "RW",
            Operations::Execute => "E",
        })
    }
}

/// What a resource is: its name, type and use (LwM2M Core 1.1 Appendix D).
///
/// Built in constants and at run time alike; see [`ObjectDefinition::new`] for an example.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ResourceDefinition {
    /// The resource's number.
    pub id: ResourceId,
    /// Its name.
    pub name: Cow<'static, str>,
    /// What a server may do with it.
    pub operations: Operations,
    /// Whether it has instances.
    pub multiple: bool,
    /// Whether each instance of the object has it.
    pub mandatory: bool,
    /// The type of its values.
    pub kind: ResourceType,
    /// The range or enumeration as the definition writes it, such as `0..255` or `0..255 bytes`; may be empty.
    pub range: Cow<'static, str>,
    /// The unit as the definition writes it, such as `s` or `mV`; may be empty.
    pub units: Cow<'static, str>,
}

impl ResourceDefinition {
    /// A single, optional resource without range and unit.
    pub const fn new(id: ResourceId, name: &'static str, operations: Operations, kind: ResourceType) -> Self {
        ResourceDefinition {
            id,
            name: Cow::Borrowed(name),
            operations,
            multiple: false,
            mandatory: false,
            kind,
            range: Cow::Borrowed(""),
            units: Cow::Borrowed(""),
        }
    }

    /// The same with instances.
    pub const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }

    /// The same, and each instance of the object has it.
    pub const fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// The same with a range or enumeration, as definitions write it.
    pub const fn range(mut self, range: &'static str) -> Self {
        set(&mut self.range, range);
        self
    }

    /// The same with a unit, as definitions write it.
    pub const fn units(mut self, units: &'static str) -> Self {
        set(&mut self.units, units);
        self
    }
}

/// What an object is: its name, version and resources (LwM2M Core 1.1 Appendix D).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ObjectDefinition {
    /// The object's number.
    pub id: ObjectId,
    /// Its name.
    pub name: Cow<'static, str>,
    /// The version of the object.
    pub version: Version,
    /// The lowest version of LwM2M that it needs.
    pub lwm2m: Version,
    /// Its URN, such as `urn:oma:lwm2m:oma:3:1.1`.
    pub urn: Cow<'static, str>,
    /// Whether there may be more than one instance.
    pub multiple: bool,
    /// Whether each client has the object.
    pub mandatory: bool,
    /// Its resources, ascending by number.
    pub resources: Cow<'static, [ResourceDefinition]>,
}

impl ObjectDefinition {
    /// A definition of version 1.0 of an object with a single, optional instance, for LwM2M 1.0.
    ///
    /// ```
    /// use lapwing_lwm2m::model::{ObjectDefinition, Operations, ResourceDefinition, ResourceType};
    ///
    /// static RESOURCES: &[ResourceDefinition] = &[
    ///     ResourceDefinition::new(0, "Water Temperature", Operations::Read, ResourceType::Float).units("Cel").mandatory(),
    ///     ResourceDefinition::new(1, "Boil", Operations::Execute, ResourceType::None),
    /// ];
    /// static KETTLE: ObjectDefinition = ObjectDefinition::new(33_000, "Kettle", RESOURCES);
    /// assert_eq!(KETTLE.resource(1).unwrap().name, "Boil");
    /// ```
    ///
    /// # Panics
    /// If the resources are not ascending by number.
    pub const fn new(id: ObjectId, name: &'static str, resources: &'static [ResourceDefinition]) -> Self {
        let mut i = 1;
        while i < resources.len() {
            assert!(resources[i - 1].id < resources[i].id, "resources ascend by number");
            i += 1;
        }
        ObjectDefinition {
            id,
            name: Cow::Borrowed(name),
            version: Version::V1_0,
            lwm2m: Version::V1_0,
            urn: Cow::Borrowed(""),
            multiple: false,
            mandatory: false,
            resources: Cow::Borrowed(resources),
        }
    }

    /// A definition of an object of which nothing but the number is known: what is decoded by it becomes Opaque.
    pub const fn unknown(id: ObjectId) -> Self {
        ObjectDefinition::new(id, "", &[]).multiple()
    }

    /// The same in another version of the object.
    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The same, needing this version of LwM2M.
    pub const fn lwm2m(mut self, lwm2m: Version) -> Self {
        self.lwm2m = lwm2m;
        self
    }

    /// The same with a URN.
    pub const fn urn(mut self, urn: &'static str) -> Self {
        set(&mut self.urn, urn);
        self
    }

    /// The same with any number of instances.
    pub const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }

    /// The same, and each client has it.
    pub const fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// The definition of one resource.
    pub fn resource(&self, id: ResourceId) -> Option<&ResourceDefinition> {
        let at = self.resources.binary_search_by_key(&id, |resource| resource.id).ok()?;
        Some(&self.resources[at])
    }
}

/// Constants cannot drop; what is replaced here was borrowed, or is lost to a builder misused at run time.
const fn set(field: &mut Cow<'static, str>, text: &'static str) {
    std::mem::forget(std::mem::replace(field, Cow::Borrowed(text)));
}

/// A definition that is either built in or made at run time; cheap to clone.
#[derive(Debug, Clone)]
pub enum DefinitionRef {
    /// A constant, as in [`definitions`](crate::definitions).
    Static(&'static ObjectDefinition),
    /// One made at run time.
    Shared(Arc<ObjectDefinition>),
}

impl Deref for DefinitionRef {
    type Target = ObjectDefinition;

    fn deref(&self) -> &ObjectDefinition {
        match self {
            DefinitionRef::Static(definition) => definition,
            DefinitionRef::Shared(definition) => definition,
        }
    }
}

impl PartialEq for DefinitionRef {
    fn eq(&self, other: &DefinitionRef) -> bool {
        std::ptr::eq::<ObjectDefinition>(&**self, &**other) || **self == **other
    }
}

impl From<&'static ObjectDefinition> for DefinitionRef {
    fn from(definition: &'static ObjectDefinition) -> DefinitionRef {
        DefinitionRef::Static(definition)
    }
}

impl From<Arc<ObjectDefinition>> for DefinitionRef {
    fn from(definition: Arc<ObjectDefinition>) -> DefinitionRef {
        DefinitionRef::Shared(definition)
    }
}

impl From<ObjectDefinition> for DefinitionRef {
    fn from(definition: ObjectDefinition) -> DefinitionRef {
        DefinitionRef::Shared(Arc::new(definition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_plain_numbers() {
        assert_eq!("1.10".parse(), Ok(Version::new(1, 10)));
        assert!(Version::new(1, 10) > Version::new(1, 9));
        for text in ["", "1", "1.", ".1", "1.1.1", "+1.0", "1.-1", "1.0 ", "a.b", "65536.0"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text:?}");
        }
    }

    #[test]
    fn definitions_are_built_at_run_time_too() {
        let mut resource =
            ResourceDefinition::new(4, "", Operations::ReadWrite, ResourceType::Float).units("V").mandatory();
        resource.name = Cow::Owned("Voltage".to_owned());
        let mut object = ObjectDefinition::unknown(33_000);
        object.resources = Cow::Owned(vec![resource]);
        let shared = DefinitionRef::from(object);
        assert_eq!(shared.resource(4).map(|resource| resource.name.as_ref()), Some("Voltage"));
        assert_eq!(shared.resource(5), None);
        assert_eq!(shared.clone(), shared);
    }

    #[test]
    #[should_panic(expected = "ascend")]
    fn resources_out_of_order_are_refused() {
        static RESOURCES: &[ResourceDefinition] = &[
            ResourceDefinition::new(1, "", Operations::Read, ResourceType::String),
            ResourceDefinition::new(0, "", Operations::Read, ResourceType::String),
        ];
        let _ = ObjectDefinition::new(1, "", RESOURCES);
    }
}
