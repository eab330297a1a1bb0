use lapwing_coap::Code;

use super::{
    Inconsistency, Retry, Security, ServerAccount, ServerUri, ShortServerId,
    objects::{Builder, single},
};
use crate::{
    definitions::server,
    model::{Instance, InstanceId, Resource, ResourceId, Value},
};

/// The only binding there is yet: UDP without queue mode.
pub(crate) const BINDING: &str = "U";

/// An account as an instance of the Server object (1), for the server itself (LwM2M Core 1.1 Appendix E.2).
///
/// What a management server may not see of it in object version 1.1, such as the retry resources, is left out.
impl ServerAccount {
    /// The resources that the instance has, ascending.
    pub(crate) fn resources(&self) -> Vec<ResourceId> {
        let present = |id: &ResourceId| match *id {
            server::DEFAULT_MINIMUM_PERIOD => self.default_pmin.is_some(),
            server::DEFAULT_MAXIMUM_PERIOD => self.default_pmax.is_some(),
            server::DISABLE_TIMEOUT => self.disable_timeout.is_some(),
            _ => true,
        };
        (server::SHORT_SERVER_ID..=server::REGISTRATION_UPDATE_TRIGGER).filter(present).collect()
    }

    /// The value of a readable resource.
    pub(crate) fn value(&self, resource: ResourceId) -> Option<Value> {
        let seconds = |seconds: u32| Value::Integer(seconds.into());
        match resource {
            server::SHORT_SERVER_ID => Some(Value::Integer(self.ssid.into())),
            server::LIFETIME => Some(seconds(self.lifetime)),
            server::DEFAULT_MINIMUM_PERIOD => self.default_pmin.map(seconds),
            server::DEFAULT_MAXIMUM_PERIOD => self.default_pmax.map(seconds),
            server::DISABLE_TIMEOUT => self.disable_timeout.map(seconds),
            server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE => Some(Value::Boolean(self.notification_storing)),
            server::BINDING => Some(Value::from(BINDING)),
            _ => None,
        }
    }

    /// The whole account, as a bootstrap server sees and writes it.
    pub(super) fn server_instance(&self) -> Instance {
        let whole = Builder::new(&server::DEFINITION)
            .set_some(server::BOOTSTRAP_ON_REGISTRATION_FAILURE, (!self.bootstrap_on_failure).then_some(false))
            .set_some(server::COMMUNICATION_RETRY_COUNT, self.retry.count)
            .set_some(server::COMMUNICATION_RETRY_TIMER, self.retry.timer)
            .set_some(server::COMMUNICATION_SEQUENCE_DELAY_TIMER, self.retry.sequence_delay)
            .set_some(server::COMMUNICATION_SEQUENCE_RETRY_COUNT, self.retry.sequence_count);
        let mut whole = whole.build();
        whole.extend(self.content());
        whole
    }

    /// The account that an instance of the Server object makes, together with what the Security object says.
    pub(super) fn from_instance(
        number: InstanceId,
        instance: &Instance,
        uri: ServerUri,
        security: Security,
    ) -> Result<ServerAccount, Inconsistency> {
        let mandatory = |resource| single(instance, resource).ok_or(Inconsistency::Missing { number, resource });
        let invalid = |resource| Inconsistency::Invalid { number, resource };
        let seconds = |resource| match single(instance, resource) {
            None => Ok(None),
            Some(value) => {
                value.as_unsigned().and_then(|number| number.try_into().ok()).map(Some).ok_or(invalid(resource))
            }
        };
        let binding = mandatory(server::BINDING)?.as_str().unwrap_or_default();
        if !binding.contains(BINDING) {
            return Err(Inconsistency::Binding { number });
        }
        mandatory(server::LIFETIME)?;
        let storing = server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE;
        let on_failure = single(instance, server::BOOTSTRAP_ON_REGISTRATION_FAILURE);
        Ok(ServerAccount {
            ssid: short_server_id(mandatory(server::SHORT_SERVER_ID)?).ok_or(invalid(server::SHORT_SERVER_ID))?,
            instance: Some(number),
            uri,
            security,
            lifetime: seconds(server::LIFETIME)?.ok_or(invalid(server::LIFETIME))?,
            default_pmin: seconds(server::DEFAULT_MINIMUM_PERIOD)?,
            default_pmax: seconds(server::DEFAULT_MAXIMUM_PERIOD)?,
            disable_timeout: seconds(server::DISABLE_TIMEOUT)?,
            notification_storing: mandatory(storing)?.as_bool().ok_or(invalid(storing))?,
            retry: Retry {
                count: seconds(server::COMMUNICATION_RETRY_COUNT)?,
                timer: seconds(server::COMMUNICATION_RETRY_TIMER)?,
                sequence_delay: seconds(server::COMMUNICATION_SEQUENCE_DELAY_TIMER)?,
                sequence_count: seconds(server::COMMUNICATION_SEQUENCE_RETRY_COUNT)?,
            },
            bootstrap_on_failure: on_failure.and_then(Value::as_bool) != Some(false),
        })
    }

    /// All readable resources.
    pub(crate) fn content(&self) -> Instance {
        let value = |id| Some((id, Resource::Single(self.value(id)?)));
        self.resources().into_iter().filter_map(value).collect()
    }

    /// The account after a write of these resources; with `replace`, optional ones that are not named are removed.
    ///
    /// # Errors
    /// The answer to the write.
    pub(crate) fn written(&self, content: &Instance, replace: bool) -> Result<ServerAccount, Code> {
        let mut account = self.clone();
        if replace {
            let mandatory = [server::LIFETIME, server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE, server::BINDING];
            if mandatory.iter().any(|id| !content.contains_key(id)) {
                return Err(Code::BAD_REQUEST);
            }
            (account.default_pmin, account.default_pmax, account.disable_timeout) = (None, None, None);
        }
        for (&id, resource) in content {
            account.write(id, resource.value().ok_or(Code::BAD_REQUEST)?)?;
        }
        Ok(account)
    }

    fn write(&mut self, resource: ResourceId, value: &Value) -> Result<(), Code> {
        let seconds = || value.as_integer().and_then(|number| u32::try_from(number).ok()).ok_or(Code::BAD_REQUEST);
        match resource {
            server::LIFETIME => self.lifetime = seconds()?,
            server::DEFAULT_MINIMUM_PERIOD => self.default_pmin = Some(seconds()?),
            server::DEFAULT_MAXIMUM_PERIOD => self.default_pmax = Some(seconds()?),
            server::DISABLE_TIMEOUT => self.disable_timeout = Some(seconds()?),
            server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE => {
                self.notification_storing = value.as_bool().ok_or(Code::BAD_REQUEST)?;
            }
            server::BINDING if value.as_str() == Some(BINDING) => {}
            server::BINDING => return Err(Code::BAD_REQUEST),
            server::SHORT_SERVER_ID | server::DISABLE | server::REGISTRATION_UPDATE_TRIGGER => {
                return Err(Code::METHOD_NOT_ALLOWED);
            }
            _ => return Err(Code::NOT_FOUND),
        }
        Ok(())
    }

    /// Whether a server may write the resource, also if the account does not have it yet.
    pub(crate) const fn is_writable(resource: ResourceId) -> bool {
        matches!(
            resource,
            server::LIFETIME
                | server::DEFAULT_MINIMUM_PERIOD
                | server::DEFAULT_MAXIMUM_PERIOD
                | server::DISABLE_TIMEOUT
                | server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE
                | server::BINDING
        )
    }
}

/// A Short Server ID that names a server: 1 to 65534.
pub(super) fn short_server_id(value: &Value) -> Option<ShortServerId> {
    let number = value.as_integer()?.try_into().ok()?;
    (1..=65_534).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> ServerAccount {
        ServerAccount::new(101, "coap://h".parse().unwrap()).lifetime(60)
    }

    #[test]
    fn shows_what_is_set() {
        assert_eq!(account().resources(), [0, 1, 4, 6, 7, 8]);
        assert_eq!(account().content().keys().copied().collect::<Vec<_>>(), [0, 1, 6, 7]);
        let written = account().written(&Instance::from([(5, 7.into()), (2, 1.into())]), false).unwrap();
        assert_eq!(written.resources(), [0, 1, 2, 4, 5, 6, 7, 8]);
        assert_eq!(written.value(5), Some(Value::Integer(7)));
    }

    #[test]
    fn a_replacement_removes_what_is_optional_and_needs_what_is_not() {
        let before = account().written(&Instance::from([(2, 5.into())]), false).unwrap();
        let whole = Instance::from([(1, 90.into()), (6, false.into()), (7, "U".into())]);
        let after = before.written(&whole, true).unwrap();
        assert_eq!((after.lifetime, after.default_pmin, after.notification_storing), (90, None, false));
        assert_eq!(before.written(&Instance::from([(1, 90.into())]), true), Err(Code::BAD_REQUEST));
    }

    #[test]
    fn refuses_what_it_cannot_be() {
        for (id, value, code) in [
            (0, Resource::from(2), Code::METHOD_NOT_ALLOWED),
            (1, (-1).into(), Code::BAD_REQUEST),
            (1, 4_294_967_296_i64.into(), Code::BAD_REQUEST),
            (7, "UQ".into(), Code::BAD_REQUEST),
            (8, 1.into(), Code::METHOD_NOT_ALLOWED),
            (10, 1.into(), Code::NOT_FOUND),
            (1, Resource::multiple([(0, 1)]), Code::BAD_REQUEST),
        ] {
            assert_eq!(account().written(&Instance::from([(id, value)]), false), Err(code), "{id}");
        }
    }
}
