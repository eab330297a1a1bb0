//! What a client is to be configured with.

use std::collections::{BTreeMap, BTreeSet};

use lapwing_coap::ContentFormat;

use super::{SecretNode, Task};
use crate::{
    definitions::{self, security, server},
    model::{CheckError, Instance, InstanceId, Level, Path, Resource, Value, Version},
};

/// The accounts and other instances that a bootstrap writes, and what it deletes before: what Leshan calls a bootstrap
/// configuration. [`Configuration::check`] tells whether a client could live with it.
///
/// ```
/// use lapwing_lwm2m::definitions::{security, server};
/// use lapwing_lwm2m::model::Path;
/// use lapwing_lwm2m::server::bootstrap::Configuration;
///
/// let configuration = Configuration::new()
///     .delete(Path::object(1))
///     .instance(0, 1, [
///         (security::LWM2M_SERVER_URI, "coap://192.0.2.1".into()),
///         (security::BOOTSTRAP_SERVER, false.into()),
///         (security::SECURITY_MODE, 3.into()),
///         (security::SHORT_SERVER_ID, 101.into()),
///     ])
///     .instance(1, 0, [(server::SHORT_SERVER_ID, 101.into()), (server::LIFETIME, 300.into())]);
/// assert_eq!(configuration.check(), Ok(()));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Configuration {
    /// Whether the client is asked first (Bootstrap-Discover) which Security instance is its account of this server, so that
    /// the ids of the Security instances here are only an order: that instance stays in its place, the others take the free
    /// numbers from 0 on.
    pub auto_id: bool,
    /// The content format of the writes; without it the one that the client prefers (`pct`), if it can be written here,
    /// else TLV.
    pub format: Option<ContentFormat>,
    /// What is deleted before anything is written, in this order.
    pub delete: Vec<Path>,
    instances: BTreeMap<Path, SecretNode>,
}

/// Why a client could not live with a [`Configuration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// A resource is not as its definition has it.
    #[error("{path}: {why}")]
    Mismatch {
        /// Which.
        path: Path,
        /// What does not fit.
        why: CheckError,
    },
    /// A resource is missing without which the account cannot be used.
    #[error("{path} is missing: {what}")]
    Missing {
        /// Which.
        path: Path,
        /// What it is needed for.
        what: &'static str,
    },
    /// The security mode cannot be had.
    #[error("{0}: there is no certificate enrolment (EST)")]
    Est(Path),
    /// An instance of the Server object has no account.
    #[error("{path}: no Security instance has the Short Server ID {ssid}")]
    NoSecurity {
        /// The instance.
        path: Path,
        /// Its Short Server ID.
        ssid: u16,
    },
    /// Two instances have the same Short Server ID.
    #[error("{path}: the Short Server ID {ssid} stands twice")]
    Twice {
        /// The second one.
        path: Path,
        /// The Short Server ID.
        ssid: u16,
    },
    /// Only the root, objects and instances can be deleted.
    #[error("{0} cannot be deleted by a bootstrap server")]
    Delete(Path),
}

impl Configuration {
    /// A configuration that changes nothing.
    pub fn new() -> Configuration {
        Configuration::default()
    }

    /// The same with an instance of an object. Integers may stand for values of another kind where nothing is lost by that
    /// ([`adapt`](crate::model::ResourceDefinition::adapt)).
    #[must_use]
    pub fn instance(
        mut self,
        object: u16,
        instance: InstanceId,
        resources: impl IntoIterator<Item = (u16, Resource)>,
    ) -> Configuration {
        let resources = resources.into_iter().map(|(id, resource)| (id, adapted(object, id, resource)));
        let resources: Instance = resources.collect();
        self.instances.insert(Path::object(object).instance(instance), resources.into());
        self
    }

    /// The same, with the numbers of the Security instances left to what the client has ([`auto_id`](#structfield.auto_id)).
    #[must_use]
    pub fn auto_id(mut self) -> Configuration {
        self.auto_id = true;
        self
    }

    /// The same with a path that is deleted first, behind those before.
    #[must_use]
    pub fn delete(mut self, path: Path) -> Configuration {
        self.delete.push(path);
        self
    }

    /// The instances of one object, in order.
    pub fn instances(&self, object: u16) -> impl Iterator<Item = (InstanceId, &Instance)> {
        let of_object =
            self.instances.range(Path::object(object)..).take_while(move |(path, _)| path.object_id() == Some(object));
        of_object.filter_map(|(path, content)| Some((path.instance_id()?, content.instance()?)))
    }

    /// Whether a client could live with it: values are of their definition, each account has what its security mode
    /// needs, and each instance of the Server object has an account.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        if let Some(path) = self.delete.iter().find(|path| path.level() > Level::Instance) {
            return Err(ConfigurationError::Delete(*path));
        }
        for (path, content) in &self.instances {
            let known = path.object_id().and_then(|object| definitions::latest_for(object, Version::V1_1));
            let fits = known.map_or(Ok(()), |definition| definition.check(path, content.node()));
            fits.map_err(|(path, why)| ConfigurationError::Mismatch { path, why })?;
        }
        let mut accounts = BTreeSet::new();
        for (id, account) in self.instances(security::OBJECT_ID) {
            let path = Path::object(security::OBJECT_ID).instance(id);
            check_security(path, account)?;
            if let Some(ssid) = ssid_of_account(account)
                && !accounts.insert(ssid)
            {
                return Err(ConfigurationError::Twice { path, ssid });
            }
        }
        let mut servers = BTreeSet::new();
        for (id, instance) in self.instances(server::OBJECT_ID) {
            let path = Path::object(server::OBJECT_ID).instance(id);
            let missing = |resource, what| ConfigurationError::Missing { path: path.resource(resource), what };
            let ssid = number(instance, server::SHORT_SERVER_ID)
                .ok_or_else(|| missing(server::SHORT_SERVER_ID, "it names the server"))?;
            if !instance.contains_key(&server::LIFETIME) {
                return Err(missing(server::LIFETIME, "a registration has one"));
            }
            if !accounts.contains(&ssid) {
                return Err(ConfigurationError::NoSecurity { path, ssid });
            }
            if !servers.insert(ssid) {
                return Err(ConfigurationError::Twice { path, ssid });
            }
        }
        Ok(())
    }

    /// The requests that bring it to a client; `own` is the client's Security instance for this server, with
    /// [`auto_id`](Configuration::auto_id).
    pub(super) fn tasks(&self, own: Option<InstanceId>) -> Vec<Task> {
        let deletes = self.delete.iter().map(|path| Task::Delete(*path));
        let mut free = (0..).filter(|id| Some(*id) != own);
        let writes = self.instances.iter().map(|(path, content)| {
            let path = match (own, content.instance()) {
                (Some(own), Some(account)) if path.object_id() == Some(security::OBJECT_ID) => {
                    let id = if is_bootstrap(account) { Some(own) } else { free.next() };
                    id.map_or(*path, |id| Path::object(security::OBJECT_ID).instance(id))
                }
                _ => *path,
            };
            Task::Write { path, node: content.clone(), format: None }
        });
        deletes.chain(writes).collect()
    }
}

fn adapted(object: u16, resource: u16, content: Resource) -> Resource {
    let definition = definitions::latest_for(object, Version::V1_1);
    let Some(definition) = definition.and_then(|object| object.resource(resource)) else { return content };
    // What cannot be adapted is left for `check` to tell; what may be a key is not copied.
    let adapt = |value: Value| match value {
        Value::Opaque(_) | Value::String(_) => value,
        value => definition.adapt(value.clone()).unwrap_or(value),
    };
    match content {
        Resource::Single(value) => Resource::Single(adapt(value)),
        Resource::Multiple(values) => {
            Resource::Multiple(values.into_iter().map(|(id, value)| (id, adapt(value))).collect())
        }
    }
}

fn number(instance: &Instance, resource: u16) -> Option<u16> {
    instance.get(&resource)?.value()?.as_integer()?.try_into().ok()
}

/// Whether an instance of the Security object is the account of a bootstrap server.
fn is_bootstrap(account: &Instance) -> bool {
    account.get(&security::BOOTSTRAP_SERVER).and_then(Resource::value).and_then(Value::as_bool) == Some(true)
}

fn ssid_of_account(account: &Instance) -> Option<u16> {
    if is_bootstrap(account) { None } else { number(account, security::SHORT_SERVER_ID) }
}

/// What each security mode needs (LwM2M core 1.1 appendix E.1).
fn check_security(path: Path, account: &Instance) -> Result<(), ConfigurationError> {
    let missing = |resource, what| ConfigurationError::Missing { path: path.resource(resource), what };
    let need = |resource, what| {
        let value = account.get(&resource).and_then(Resource::value);
        let empty = match value {
            Some(Value::Opaque(bytes)) => bytes.is_empty(),
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
            None => true,
        };
        if empty { Err(missing(resource, what)) } else { Ok(()) }
    };
    need(security::LWM2M_SERVER_URI, "it is where the server is")?;
    need(security::SECURITY_MODE, "it tells how to reach the server")?;
    if !is_bootstrap(account) {
        need(security::SHORT_SERVER_ID, "it names the server")?;
    }
    match number(account, security::SECURITY_MODE) {
        Some(3) => Ok(()),
        Some(4) => Err(ConfigurationError::Est(path)),
        Some(0) => {
            need(security::PUBLIC_KEY_OR_IDENTITY, "a pre-shared key has an identity")?;
            need(security::SECRET_KEY, "this is the pre-shared key")
        }
        _ => {
            need(security::PUBLIC_KEY_OR_IDENTITY, "this is the client's public key or certificate")?;
            need(security::SERVER_PUBLIC_KEY, "the client knows the server by it")?;
            need(security::SECRET_KEY, "this is the client's private key")
        }
    }
}
