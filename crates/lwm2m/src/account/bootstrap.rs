use super::{Security, ServerUri};
use crate::model::InstanceId;

/// What the client knows of its bootstrap server: the instance of the Security object (0) whose Bootstrap-Server (0/x/1) is
/// true (LwM2M Core 1.1 section 6.1.3 and Appendix E.1).
///
/// ```
/// use lapwing_lwm2m::account::BootstrapAccount;
///
/// let account = BootstrapAccount::new("coap://bootstrap.example:5783".parse()?).hold_off(10);
/// assert_eq!(account.hold_off, Some(10));
/// # Ok::<(), lapwing_lwm2m::account::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootstrapAccount {
    /// Number of its instance of the Security object (0); the first that no server's has unless it is set.
    pub instance: Option<InstanceId>,
    /// Where the bootstrap server is (0/x/0).
    pub uri: ServerUri,
    /// How it and the client prove who they are.
    pub security: Security,
    /// Client Hold Off Time in seconds (0/x/11): how long the client waits before it asks to be bootstrapped by itself.
    /// Unset: not at all.
    pub hold_off: Option<u32>,
    /// Bootstrap-Server Account Timeout in seconds (0/x/12): how long after a success the client forgets this account.
    /// Unset or 0: never.
    pub account_timeout: Option<u32>,
}

impl BootstrapAccount {
    /// An account without security, hold-off and time-out.
    pub fn new(uri: ServerUri) -> BootstrapAccount {
        BootstrapAccount { instance: None, uri, security: Security::default(), hold_off: None, account_timeout: None }
    }

    /// The same with security, which a `coaps` URI needs.
    #[must_use]
    pub fn security(mut self, security: Security) -> BootstrapAccount {
        self.security = security;
        self
    }

    /// The same with a hold-off time in seconds.
    #[must_use]
    pub fn hold_off(mut self, seconds: u32) -> BootstrapAccount {
        self.hold_off = Some(seconds);
        self
    }

    /// The same with an account time-out in seconds.
    #[must_use]
    pub fn account_timeout(mut self, seconds: u32) -> BootstrapAccount {
        self.account_timeout = Some(seconds);
        self
    }
}
