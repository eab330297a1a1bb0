//! Whether the objects 0, 1 and 2 make accounts that a client can work with (LwM2M Core 1.1 sections 6.1.2 and 6.1.6).

use super::{
    AccountObjects, BootstrapAccount, Security, SecurityError, ServerAccount, ServerUri, ShortServerId, UriError,
    is_bootstrap, objects::single, server_object::short_server_id,
};
use crate::{
    definitions::{security, server},
    model::{Instance, InstanceId, ResourceId, Value},
};

/// The accounts that the objects make.
pub(crate) struct Accounts {
    /// In the order of their instances of the Server object.
    pub(crate) servers: Vec<ServerAccount>,
    pub(crate) bootstrap: Option<BootstrapAccount>,
}

/// Why what a bootstrap server wrote makes no accounts that a client can work with; its Finish is then refused with 4.06.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// There is no account of a server.
    #[error("there is no server account")]
    NoServer,
    /// There is more than one account of a bootstrap server.
    #[error("/0/{0} and /0/{1} are both the bootstrap server's account")]
    TwoBootstrapServers(InstanceId, InstanceId),
    /// An instance of the Security object lacks its URI or Bootstrap-Server.
    #[error("/0/{number}/{resource} is missing")]
    Incomplete {
        /// The instance.
        number: InstanceId,
        /// The resource.
        resource: ResourceId,
    },
    /// An instance of the Security object has a URI that leads nowhere.
    #[error("/0/{0}/0: {1}")]
    Uri(InstanceId, UriError),
    /// An instance of the Security object cannot be used.
    #[error("/0/{0}: {1}")]
    Security(InstanceId, SecurityError),
    /// The scheme of an instance's URI and its Security Mode do not go together.
    #[error("/0/{0}: NoSec goes with coap, everything else with coaps")]
    Scheme(InstanceId),
    /// An instance has no Short Server ID from 1 to 65534.
    #[error("/{0}/{1} has no Short Server ID from 1 to 65534")]
    Ssid(u16, InstanceId),
    /// Two instances of one object have the same Short Server ID.
    #[error("two instances of object {0} have the Short Server ID {1}")]
    DuplicateSsid(u16, ShortServerId),
    /// A Security object instance has no partner in the Server object, or the other way round.
    #[error("Short Server ID {0} is in one of the objects 0 and 1 only")]
    Unpaired(ShortServerId),
    /// An instance of the Server object lacks a resource that it must have.
    #[error("/1/{number}/{resource} is missing")]
    Missing {
        /// The instance.
        number: InstanceId,
        /// The resource.
        resource: ResourceId,
    },
    /// A resource of the Server object has a value that it cannot have.
    #[error("/1/{number}/{resource} has a value that it cannot have")]
    Invalid {
        /// The instance.
        number: InstanceId,
        /// The resource.
        resource: ResourceId,
    },
    /// The Binding of a Server object instance lacks UDP.
    #[error("/1/{number}/7 lacks U, the only binding there is")]
    Binding {
        /// The instance.
        number: InstanceId,
    },
    /// Rights of several servers, which this client does not tell apart (section 6.1.6 has this example).
    #[error("access control (object 2) for several servers is not supported")]
    AccessControl,
}

/// One instance of the Security object.
struct Secured {
    ssid: ShortServerId,
    uri: ServerUri,
    security: Security,
}

impl AccountObjects {
    /// The accounts that the objects make.
    pub(crate) fn accounts(&self) -> Result<Accounts, Inconsistency> {
        let mut secured: Vec<Secured> = Vec::new();
        let mut bootstrap: Option<(InstanceId, BootstrapAccount)> = None;
        for (&number, instance) in &self.security {
            let resource = security::BOOTSTRAP_SERVER;
            single(instance, resource).ok_or(Inconsistency::Incomplete { number, resource })?;
            let (uri, security) = connection(number, instance)?;
            if is_bootstrap(instance) {
                if let Some((first, _)) = bootstrap {
                    return Err(Inconsistency::TwoBootstrapServers(first, number));
                }
                bootstrap = Some((number, bootstrap_account(number, instance, uri, security)));
                continue;
            }
            let ssid = ssid(security::OBJECT_ID, number, instance, security::SHORT_SERVER_ID)?;
            if secured.iter().any(|other| other.ssid == ssid) {
                return Err(Inconsistency::DuplicateSsid(security::OBJECT_ID, ssid));
            }
            secured.push(Secured { ssid, uri, security });
        }
        let servers = self.servers(secured)?;
        if servers.is_empty() {
            return Err(Inconsistency::NoServer);
        }
        if servers.len() > 1 && !self.access.is_empty() {
            return Err(Inconsistency::AccessControl);
        }
        Ok(Accounts { servers, bootstrap: bootstrap.map(|(_, account)| account) })
    }

    /// Pairs the instances of the Server object with those of the Security object.
    fn servers(&self, mut secured: Vec<Secured>) -> Result<Vec<ServerAccount>, Inconsistency> {
        let mut servers: Vec<ServerAccount> = Vec::new();
        for (&number, instance) in &self.server {
            let ssid = ssid(server::OBJECT_ID, number, instance, server::SHORT_SERVER_ID)?;
            if servers.iter().any(|other| other.ssid == ssid) {
                return Err(Inconsistency::DuplicateSsid(server::OBJECT_ID, ssid));
            }
            let partner = secured.iter().position(|other| other.ssid == ssid).ok_or(Inconsistency::Unpaired(ssid))?;
            let Secured { uri, security, .. } = secured.swap_remove(partner);
            servers.push(ServerAccount::from_instance(number, instance, uri, security)?);
        }
        match secured.first() {
            Some(alone) => Err(Inconsistency::Unpaired(alone.ssid)),
            None => Ok(servers),
        }
    }
}

fn connection(number: InstanceId, instance: &Instance) -> Result<(ServerUri, Security), Inconsistency> {
    let resource = security::LWM2M_SERVER_URI;
    let uri = single(instance, resource).and_then(Value::as_str).filter(|uri| !uri.is_empty());
    let uri: ServerUri = uri
        .ok_or(Inconsistency::Incomplete { number, resource })?
        .parse()
        .map_err(|error| Inconsistency::Uri(number, error))?;
    let security = Security::from_instance(instance).map_err(|error| Inconsistency::Security(number, error))?;
    if uri.is_secure() == security.is_secure() { Ok((uri, security)) } else { Err(Inconsistency::Scheme(number)) }
}

fn bootstrap_account(number: InstanceId, instance: &Instance, uri: ServerUri, security: Security) -> BootstrapAccount {
    // A time that is negative or longer than 136 years is none that anybody means.
    let seconds = |resource| single(instance, resource)?.as_integer()?.try_into().ok();
    BootstrapAccount {
        instance: Some(number),
        uri,
        security,
        hold_off: seconds(security::CLIENT_HOLD_OFF_TIME),
        account_timeout: seconds(security::BOOTSTRAP_SERVER_ACCOUNT_TIMEOUT),
    }
}

fn ssid(
    object: u16,
    number: InstanceId,
    instance: &Instance,
    resource: ResourceId,
) -> Result<ShortServerId, Inconsistency> {
    single(instance, resource).and_then(short_server_id).ok_or(Inconsistency::Ssid(object, number))
}
