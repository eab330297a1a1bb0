//! The accounts as the objects that a bootstrap server writes: Security (0), Server (1) and Access Control (2).

use std::fmt;

use zeroize::Zeroize;

use super::{BootstrapAccount, ServerAccount};
use crate::{
    definitions::{access_control, security, server},
    model::{Instance, InstanceId, Instances, ObjectDefinition, ObjectId, Resource, ResourceId, Value},
};

/// Everything that a bootstrap server wrote or will have written, also what this client has no use for.
///
/// Holds secrets: its `Debug` prints none, and what is in object 0 is cleared when it is dropped.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct AccountObjects {
    pub(crate) security: Instances,
    pub(crate) server: Instances,
    /// Stored, and read by the bootstrap server. Nothing is decided by it: each server has rights on everything but the others'
    /// accounts.
    pub(crate) access: Instances,
}

impl AccountObjects {
    /// The objects in the order of their numbers.
    pub(crate) const ALL: [ObjectId; 3] = [security::OBJECT_ID, server::OBJECT_ID, access_control::OBJECT_ID];

    /// The accounts of a configuration, [numbered](super::number).
    pub(crate) fn configured(servers: &[ServerAccount], bootstrap: Option<&BootstrapAccount>) -> AccountObjects {
        let mut objects = AccountObjects::default();
        let taken = bootstrap.and_then(|account| account.instance);
        let mut free = (0..InstanceId::MAX).filter(|instance| Some(*instance) != taken);
        for account in servers {
            objects.security.extend(free.next().map(|instance| (instance, account.security_instance())));
            objects.server.extend(account.instance.map(|instance| (instance, account.server_instance())));
        }
        if let Some(account) = bootstrap {
            let instance = account.instance.or_else(|| free.next());
            objects.security.extend(instance.map(|instance| (instance, account.security_instance())));
        }
        objects
    }

    /// One of the objects.
    pub(crate) fn get(&self, object: ObjectId) -> Option<&Instances> {
        match object {
            security::OBJECT_ID => Some(&self.security),
            server::OBJECT_ID => Some(&self.server),
            access_control::OBJECT_ID => Some(&self.access),
            _ => None,
        }
    }

    /// One of the objects, to be changed.
    pub(crate) fn get_mut(&mut self, object: ObjectId) -> Option<&mut Instances> {
        match object {
            security::OBJECT_ID => Some(&mut self.security),
            server::OBJECT_ID => Some(&mut self.server),
            access_control::OBJECT_ID => Some(&mut self.access),
            _ => None,
        }
    }

    /// What the objects are: in the newest version, so that nothing of use to a later version of this client is lost.
    pub(crate) fn definition(object: ObjectId) -> Option<&'static ObjectDefinition> {
        match object {
            security::OBJECT_ID => Some(&security::DEFINITION),
            server::OBJECT_ID => Some(&server::DEFINITION),
            access_control::OBJECT_ID => Some(&access_control::DEFINITION),
            _ => None,
        }
    }

    /// Takes over what a server has changed of its account since it was configured.
    pub(crate) fn overlay(&mut self, account: &ServerAccount) {
        let Some(instance) = account.instance.and_then(|instance| self.server.get_mut(&instance)) else { return };
        instance.retain(|resource, _| !ServerAccount::is_writable(*resource) || *resource == server::BINDING);
        let changed = account.content().into_iter().filter(|(resource, _)| *resource != server::BINDING);
        instance.extend(changed);
    }

    /// The instance of the Security object that is the bootstrap server's account.
    pub(crate) fn bootstrap_instance(&self) -> Option<InstanceId> {
        self.security.iter().find(|(_, instance)| is_bootstrap(instance)).map(|(&id, _)| id)
    }
}

/// Whether an instance of the Security object is the account of a bootstrap server (0/x/1).
pub(crate) fn is_bootstrap(instance: &Instance) -> bool {
    single(instance, security::BOOTSTRAP_SERVER).and_then(Value::as_bool) == Some(true)
}

/// The value of a single resource.
pub(crate) fn single(instance: &Instance, resource: ResourceId) -> Option<&Value> {
    instance.get(&resource).and_then(Resource::value)
}

/// An instance, built value by value in the types that the definition has.
pub(super) struct Builder {
    definition: &'static ObjectDefinition,
    instance: Instance,
}

impl Builder {
    pub(super) fn new(definition: &'static ObjectDefinition) -> Builder {
        Builder { definition, instance: Instance::new() }
    }

    /// A resource of this value.
    pub(super) fn set(self, resource: ResourceId, value: impl Into<Value>) -> Builder {
        self.set_some(resource, Some(value))
    }

    /// A resource of this value, if there is one.
    pub(super) fn set_some(mut self, resource: ResourceId, value: Option<impl Into<Value>>) -> Builder {
        if let (Some(value), Some(definition)) = (value, self.definition.resource(resource))
            && let Ok(value) = definition.adapt(value.into())
        {
            self.instance.insert(resource, Resource::Single(value));
        }
        self
    }

    /// A multiple resource; none without values.
    pub(super) fn set_all(mut self, resource: ResourceId, values: impl IntoIterator<Item = u64>) -> Builder {
        let values = Resource::multiple((0..).zip(values));
        if values.dimension() > Some(0) {
            self.instance.insert(resource, values);
        }
        self
    }

    pub(super) fn build(self) -> Instance {
        self.instance
    }
}

impl Drop for AccountObjects {
    fn drop(&mut self) {
        self.security.values_mut().for_each(clear);
    }
}

/// Clears the octets of an instance.
pub(crate) fn clear(instance: &mut Instance) {
    for resource in instance.values_mut() {
        match resource {
            Resource::Single(Value::Opaque(octets)) => octets.zeroize(),
            Resource::Multiple(values) => {
                for value in values.values_mut() {
                    if let Value::Opaque(octets) = value {
                        octets.zeroize();
                    }
                }
            }
            Resource::Single(_) => {}
        }
    }
}

impl fmt::Debug for AccountObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountObjects")
            .field("security", &self.security.keys().collect::<Vec<_>>())
            .field("server", &self.server.keys().collect::<Vec<_>>())
            .field("access", &self.access.keys().collect::<Vec<_>>())
            .finish()
    }
}
