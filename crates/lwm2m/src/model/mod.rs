//! The data model of LwM2M: paths, values, nodes, and the definitions of objects and resources.
//!
//! Nothing in here knows a message or a clock; the content formats ([`crate::format`]), the engines and the objects
//! of an application all speak in these types (LwM2M Core 1.1 section 7, Appendix C).

mod check;
mod definition;
mod node;
mod path;
mod tree;
mod value;
mod xml;

pub use check::CheckError;
pub use definition::{DefinitionRef, ObjectDefinition, Operations, ResourceDefinition, Version, VersionError};
pub use node::{Instance, Instances, Node, Resource, Values};
pub use path::{Level, Path, PathError};
pub use tree::{Tree, TreeObject};
pub use value::{ObjectLink, ResourceType, Value};
pub use xml::lwm2m_xml;

/// Number of an object, as OMA registered it; 65535 is reserved.
pub type ObjectId = u16;
/// Number of an instance of an object; 65535 is reserved.
pub type InstanceId = u16;
/// Number of a resource in its object; 65535 is reserved.
pub type ResourceId = u16;
/// Number of an instance of a multiple resource; 65535 is reserved.
pub type ResourceInstanceId = u16;

/// The reserved number (MAX_ID): it identifies nothing. An object link uses it twice to link to nothing.
pub const MAX_ID: u16 = u16::MAX;
