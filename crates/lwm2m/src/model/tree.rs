use std::collections::{BTreeMap, BTreeSet};

use super::{DefinitionRef, InstanceId, Level, ObjectId, Path, ResourceId};

/// What a client offers now: its objects, their instances and which resources each instance has.
///
/// It carries no values. Registration, Discover and the checks of every request are made from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// The objects by number.
    pub objects: BTreeMap<ObjectId, TreeObject>,
}

/// One object of a [`Tree`].
#[derive(Debug, Clone, PartialEq)]
pub struct TreeObject {
    /// What the object is.
    pub definition: DefinitionRef,
    /// The resources whose content is streamed block by block, never held whole.
    pub streamed: BTreeSet<ResourceId>,
    /// The instances, each with the resources that it has, ascending.
    pub instances: BTreeMap<InstanceId, Vec<ResourceId>>,
}

impl TreeObject {
    /// An object that has no instances yet.
    pub fn new(definition: impl Into<DefinitionRef>) -> TreeObject {
        TreeObject { definition: definition.into(), streamed: BTreeSet::new(), instances: BTreeMap::new() }
    }

    /// The same with an instance that has these resources.
    pub fn with_instance(mut self, id: InstanceId, resources: impl IntoIterator<Item = ResourceId>) -> TreeObject {
        let mut resources: Vec<ResourceId> = resources.into_iter().collect();
        resources.sort_unstable();
        resources.dedup();
        self.instances.insert(id, resources);
        self
    }

    /// The same with a streamed resource.
    pub fn with_streamed(mut self, resource: ResourceId) -> TreeObject {
        self.streamed.insert(resource);
        self
    }
}

impl Tree {
    /// A tree without objects.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Adds an object, in place of the one with its number.
    pub fn insert(&mut self, object: TreeObject) {
        self.objects.insert(object.definition.id, object);
    }

    /// The object at or above `path`.
    pub fn object(&self, path: &Path) -> Option<&TreeObject> {
        self.objects.get(&path.object_id()?)
    }

    /// Whether there is something at `path`: the root, an object, an instance, or a resource of one. For a resource
    /// instance it says whether its resource is there and multiple; which instances that has, only the object knows.
    pub fn has(&self, path: &Path) -> bool {
        if path.level() == Level::Root {
            return true;
        }
        let Some(object) = self.object(path) else { return false };
        let Some(instance) = path.instance_id() else { return true };
        let Some(resources) = object.instances.get(&instance) else { return false };
        let Some(resource) = path.resource_id() else { return true };
        resources.binary_search(&resource).is_ok()
            && (path.level() == Level::Resource
                || object.definition.resource(resource).is_some_and(|definition| definition.multiple))
    }

    /// Whether the resource at or above `path` is streamed.
    pub fn is_streamed(&self, path: &Path) -> bool {
        match (self.object(path), path.resource_id()) {
            (Some(object), Some(resource)) => object.streamed.contains(&resource),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{device, firmware_update};

    fn tree() -> Tree {
        let mut tree = Tree::new();
        tree.insert(TreeObject::new(&device::V1_0).with_instance(0, [device::ERROR_CODE, device::MANUFACTURER]));
        tree.insert(TreeObject::new(&firmware_update::V1_0).with_streamed(firmware_update::PACKAGE));
        tree
    }

    #[test]
    fn has_what_was_put_in_at_every_level() {
        let tree = tree();
        for (path, there) in [
            ("/", true),
            ("/3", true),
            ("/5", true),
            ("/4", false),
            ("/3/0", true),
            ("/3/1", false),
            ("/5/0", false),
            ("/3/0/0", true),
            ("/3/0/11", true),
            ("/3/0/1", false),
            ("/3/0/11/7", true),
            ("/3/0/0/0", false),
            ("/4/0/0", false),
        ] {
            assert_eq!(tree.has(&path.parse().unwrap()), there, "{path}");
        }
        assert!(tree.object(&Path::object(3).instance(9)).is_some_and(|object| object.definition.id == 3));
        assert!(tree.object(&Path::ROOT).is_none());
    }

    #[test]
    fn resources_ascend_and_objects_replace_each_other() {
        let mut tree = tree();
        assert_eq!(tree.objects[&3].instances[&0], [device::MANUFACTURER, device::ERROR_CODE]);
        tree.insert(TreeObject::new(&device::V1_1).with_instance(0, [5, 5, 2]));
        assert_eq!(tree.objects[&3].instances[&0], [2, 5]);
        assert_eq!(tree.objects.len(), 2);
    }

    #[test]
    fn streams_what_is_declared_so() {
        let (tree, package) = (tree(), Path::object(5).instance(0).resource(firmware_update::PACKAGE));
        assert!(tree.is_streamed(&package));
        assert!(!tree.is_streamed(&package.instance(0)));
        assert!(!tree.is_streamed(&Path::object(3).instance(0).resource(firmware_update::PACKAGE)));
    }
}
