//! What a bootstrap server has written and deleted, of which nothing counts before its Finish.

use std::collections::{BTreeMap, VecDeque};

use lapwing_coap::Code;

use crate::{
    account::{AccountObjects, clear, is_bootstrap},
    client::{OperationKind, WriteMode},
    definitions::{device, security},
    model::{Instance, InstanceId, Node, ObjectId, Path, Resource, Tree, Value},
};

/// Octets that a value counts for beside its own: its number, and what holds it.
const PER_VALUE: usize = 32;
/// The same for an instance.
const PER_INSTANCE: usize = 64;

/// The configuration as it will be.
pub(super) struct Staging {
    /// The accounts: all of it, as it will be.
    pub(super) accounts: AccountObjects,
    /// The instance of the Security object by which the client speaks to this bootstrap server.
    own: Option<InstanceId>,
    /// What will be done to instances of the application's objects.
    others: BTreeMap<(ObjectId, InstanceId), Change>,
    /// Bound of the octets staged.
    limit: usize,
}

/// What is to become of an instance of an application's object.
#[derive(Clone)]
enum Change {
    /// It goes.
    Delete,
    /// It has these resources and no other.
    Replace(Instance),
    /// It has these resources, too.
    Update(Instance),
}

impl Staging {
    pub(super) fn new(accounts: AccountObjects, limit: usize) -> Staging {
        let own = accounts.bootstrap_instance();
        Staging { accounts, own, others: BTreeMap::new(), limit }
    }

    /// Bootstrap-Write (LwM2M Core 1.1 section 6.1.7.5): whatever is there or not; an instance is replaced as a whole.
    ///
    /// # Errors
    /// 4.13 where more would be staged than may be, with nothing changed.
    pub(super) fn write(&mut self, path: &Path, node: Node, tree: &Tree) -> Result<(), Code> {
        let (Some(object), added) = (path.object_id(), size(&node)) else { return Err(Code::METHOD_NOT_ALLOWED) };
        if self.size().saturating_add(added) > self.limit {
            return Err(Code::REQUEST_ENTITY_TOO_LARGE);
        }
        match node {
            Node::Object(instances) => {
                for (instance, content) in instances {
                    self.write_instance(object, instance, content);
                }
            }
            Node::Instance(content) => {
                let instance = path.instance_id().ok_or(Code::BAD_REQUEST)?;
                self.write_instance(object, instance, content);
            }
            Node::Resource(content) => {
                let instance = path.instance_id().zip(path.resource_id()).ok_or(Code::BAD_REQUEST)?;
                self.write_resource(object, instance, content, tree);
            }
            Node::Value(_) => return Err(Code::BAD_REQUEST),
        }
        Ok(())
    }

    fn write_instance(&mut self, object: ObjectId, instance: InstanceId, content: Instance) {
        match self.accounts.get_mut(object) {
            Some(instances) => {
                if let Some(mut before) = instances.insert(instance, content) {
                    clear(&mut before);
                }
            }
            None => drop(self.others.insert((object, instance), Change::Replace(content))),
        }
    }

    fn write_resource(
        &mut self,
        object: ObjectId,
        (instance, resource): (InstanceId, u16),
        content: Resource,
        tree: &Tree,
    ) {
        let resources = match self.accounts.get_mut(object) {
            Some(instances) => instances.entry(instance).or_default(),
            None => {
                let there = tree.has(&Path::object(object).instance(instance));
                let change = self.others.entry((object, instance)).or_insert_with(|| {
                    if there { Change::Update(Instance::new()) } else { Change::Replace(Instance::new()) }
                });
                if let Change::Delete = change {
                    *change = Change::Replace(Instance::new());
                }
                let (Change::Replace(resources) | Change::Update(resources)) = change else { return };
                resources
            }
        };
        resources.insert(resource, content);
    }

    /// Bootstrap-Delete (section 6.1.7.6). The account of this bootstrap server and the device (/3/0) stay.
    ///
    /// # Errors
    /// 4.00 for one of these by name, 4.04 for what is not there.
    pub(super) fn delete(&mut self, path: &Path, tree: &Tree) -> Result<(), Code> {
        match (path.object_id(), path.instance_id()) {
            (None, _) => {
                let others: Vec<ObjectId> = tree.objects.keys().copied().filter(|id| is_other(*id)).collect();
                AccountObjects::ALL.into_iter().chain(others).for_each(|object| self.delete_object(object, tree));
            }
            (Some(object), None) => self.delete_object(object, tree),
            (Some(object), Some(instance)) => {
                if !self.has(object, instance, tree) {
                    return Err(Code::NOT_FOUND);
                }
                if object == device::OBJECT_ID || object == security::OBJECT_ID && self.own == Some(instance) {
                    return Err(Code::BAD_REQUEST);
                }
                self.delete_instance(object, instance, tree);
            }
        }
        Ok(())
    }

    fn delete_object(&mut self, object: ObjectId, tree: &Tree) {
        let instances = self.instances(object, tree);
        for instance in instances {
            let account = object == security::OBJECT_ID
                && (self.own == Some(instance) || self.accounts.security.get(&instance).is_some_and(is_bootstrap));
            if !account && object != device::OBJECT_ID {
                self.delete_instance(object, instance, tree);
            }
        }
    }

    fn delete_instance(&mut self, object: ObjectId, instance: InstanceId, tree: &Tree) {
        match self.accounts.get_mut(object) {
            Some(instances) => instances.remove(&instance).iter_mut().for_each(clear),
            None if tree.has(&Path::object(object).instance(instance)) => {
                self.others.insert((object, instance), Change::Delete);
            }
            // It was only staged: nothing is left of it, or writing and deleting in turn would fill the memory.
            None => drop(self.others.remove(&(object, instance))),
        }
    }

    /// The instances that an object will have, ascending.
    pub(super) fn instances(&self, object: ObjectId, tree: &Tree) -> Vec<InstanceId> {
        if let Some(instances) = self.accounts.get(object) {
            return instances.keys().copied().collect();
        }
        let now = tree.objects.get(&object).into_iter().flat_map(|object| object.instances.keys().copied());
        let mut instances: Vec<InstanceId> =
            now.filter(|instance| !matches!(self.others.get(&(object, *instance)), Some(Change::Delete))).collect();
        let written = self.others.range((object, 0)..=(object, InstanceId::MAX));
        instances.extend(written.filter(|(_, change)| !matches!(change, Change::Delete)).map(|((_, id), _)| *id));
        instances.sort_unstable();
        instances.dedup();
        instances
    }

    fn has(&self, object: ObjectId, instance: InstanceId, tree: &Tree) -> bool {
        self.instances(object, tree).binary_search(&instance).is_ok()
    }

    /// What the application has to do, in the order of the instances: deletions first, which may make room.
    pub(super) fn operations(&self, tree: &Tree) -> VecDeque<OperationKind> {
        let mut deletions = VecDeque::new();
        let mut writes = VecDeque::new();
        for (&(object, instance), change) in &self.others {
            let path = Path::object(object).instance(instance);
            match (change, tree.has(&path)) {
                (Change::Delete, true) => deletions.push_back(OperationKind::Delete { path }),
                (Change::Delete, false) => {}
                (Change::Replace(content), true) => {
                    let node = Node::Instance(content.clone());
                    writes.push_back(OperationKind::Write { path, mode: WriteMode::Replace, node });
                }
                (Change::Replace(content), false) => {
                    let (instance, resources) = (Some(instance), content.clone());
                    writes.push_back(OperationKind::Create { object, instance, resources });
                }
                (Change::Update(content), _) => {
                    let node = Node::Instance(content.clone());
                    writes.push_back(OperationKind::Write { path, mode: WriteMode::Update, node });
                }
            }
        }
        deletions.append(&mut writes);
        deletions
    }

    /// Whether an instance of the application is to go.
    pub(super) fn deletes(&self, path: &Path) -> bool {
        let change = path.object_id().zip(path.instance_id()).and_then(|key| self.others.get(&key));
        matches!(change, Some(Change::Delete))
    }

    /// The application has done what was to become of an instance.
    pub(super) fn applied(&mut self, path: &Path) {
        if let Some(key) = path.object_id().zip(path.instance_id()) {
            self.others.remove(&key);
        }
    }

    /// Octets staged, as far as they are bounded.
    fn size(&self) -> usize {
        let accounts = AccountObjects::ALL.iter().filter_map(|id| self.accounts.get(*id)).flat_map(|all| all.values());
        let others = self.others.values().map(|change| match change {
            Change::Delete => 0,
            Change::Replace(content) | Change::Update(content) => size_of_instance(content),
        });
        accounts.map(size_of_instance).chain(others).sum()
    }
}

/// Whether an object is the application's.
fn is_other(object: ObjectId) -> bool {
    !AccountObjects::ALL.contains(&object)
}

fn size(node: &Node) -> usize {
    match node {
        Node::Value(value) => size_of_value(value),
        Node::Resource(resource) => size_of_resource(resource),
        Node::Instance(instance) => size_of_instance(instance),
        Node::Object(instances) => instances.values().map(size_of_instance).sum(),
    }
}

fn size_of_instance(instance: &Instance) -> usize {
    PER_INSTANCE + instance.values().map(size_of_resource).sum::<usize>()
}

fn size_of_resource(resource: &Resource) -> usize {
    PER_VALUE
        + match resource {
            Resource::Single(value) => size_of_value(value),
            Resource::Multiple(values) => values.values().map(size_of_value).sum(),
        }
}

fn size_of_value(value: &Value) -> usize {
    PER_VALUE
        + match value {
            Value::String(text) | Value::CoreLink(text) => text.len(),
            Value::Opaque(octets) => octets.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{definitions::apn_connection_profile, model::TreeObject};

    /// Only what the application has can be left to delete: all else counts for nothing, so that nothing bounds it.
    #[test]
    fn what_was_only_staged_leaves_nothing_when_it_is_deleted() {
        let mut tree = Tree::new();
        tree.insert(TreeObject::new(&apn_connection_profile::V1_0).with_instance(7, [0]));
        let mut staging = Staging::new(AccountObjects::default(), 1024);
        let path = |instance| Path::object(apn_connection_profile::OBJECT_ID).instance(instance);
        for instance in 0..100 {
            staging.write(&path(instance), Node::Instance(Instance::new()), &tree).unwrap();
            staging.delete(&path(instance), &tree).unwrap();
        }
        assert_eq!(staging.others.keys().collect::<Vec<_>>(), [&(apn_connection_profile::OBJECT_ID, 7)]);
        assert!(staging.deletes(&path(7)));
    }
}
