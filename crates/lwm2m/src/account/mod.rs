//! Objects 0 and 1 as Server Accounts: what a client knows of each of its servers (LwM2M Core 1.1 section 6.1.3,
//! Appendices E.1 and E.2).
//!
//! A Server Account comes from the configuration or from a bootstrap server. What a server may change of it (object 1) is
//! kept as a [`Record`], which the driver makes durable before the change is acknowledged.

mod bootstrap;
mod consistency;
mod objects;
mod record;
mod security;
mod security_object;
mod server_object;
mod stored;
mod uri;

pub use bootstrap::BootstrapAccount;
pub use consistency::Inconsistency;
pub(crate) use record::fingerprint as checksum;
pub use record::{Record, RecordKey, Saved, UnknownKey};
pub use security::{Security, SecurityError, SecurityMode};
pub use uri::{ServerUri, UriError};

pub(crate) use consistency::Accounts;
pub(crate) use objects::{AccountObjects, clear, is_bootstrap, single};
pub(crate) use server_object::BINDING;
pub(crate) use stored::{Purge, Stored};

use crate::model::{InstanceId, MAX_ID};

/// Short Server ID (1/x/0): names a server within this client, 1 to 65534.
pub type ShortServerId = u16;

/// One of a client's servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerId {
    /// An LwM2M Server.
    Server(ShortServerId),
    /// The LwM2M Bootstrap-Server.
    Bootstrap,
}

impl std::fmt::Display for ServerId {
    /// `1`, `bootstrap`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServerId::Server(ssid) => std::fmt::Display::fmt(ssid, f),
            ServerId::Bootstrap => f.pad("bootstrap"),
        }
    }
}

/// Lifetime of a registration that lapses never (LwM2M Core 1.1 section 6.2.1).
pub const NEVER_LAPSES: u32 = 0;

/// What the client knows of one server: its Security (0) and Server (1) object instances.
///
/// ```
/// use lapwing_lwm2m::account::ServerAccount;
///
/// let account = ServerAccount::new(1, "coap://leshan.example:5683".parse()?).lifetime(300);
/// assert_eq!(account.lifetime, 300);
/// # Ok::<(), lapwing_lwm2m::account::UriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAccount {
    /// Short Server ID (1/x/0, 0/x/10), 1 to 65534.
    pub ssid: ShortServerId,
    /// Number of its instance of the Server object (1); the position among the accounts unless it is set.
    pub instance: Option<InstanceId>,
    /// Where the server is (0/x/0).
    pub uri: ServerUri,
    /// How the server and the client prove who they are: NoSec with a `coap` URI, something else with `coaps`.
    pub security: Security,
    /// Lifetime of the registration in seconds (1/x/1); [`NEVER_LAPSES`] lapses never. Default 86,400.
    pub lifetime: u32,
    /// Default Minimum Period in seconds (1/x/2): pmin where no attribute says otherwise.
    pub default_pmin: Option<u32>,
    /// Default Maximum Period in seconds (1/x/3): pmax where no attribute says otherwise.
    pub default_pmax: Option<u32>,
    /// Disable Timeout in seconds (1/x/5): how long the client is silent after Disable. 86,400 where it is not set.
    pub disable_timeout: Option<u32>,
    /// Notification Storing When Disabled or Offline (1/x/6). Without a queue mode observations end with the
    /// registration, so there is nothing to store; the value is kept for the server. Default true.
    pub notification_storing: bool,
    /// When and how often to try again when the server cannot be reached.
    pub retry: Retry,
    /// Bootstrap on Registration Failure (1/x/16): whether the bootstrap server is asked when this server cannot be registered with.
    /// Default true.
    pub bootstrap_on_failure: bool,
}

/// Gives an instance of the Server object to each account that has none: its position, or the next that is free.
pub(crate) fn number(accounts: &mut [ServerAccount]) {
    for position in 0..accounts.len() {
        if accounts[position].instance.is_none() {
            let is_free = |instance: &InstanceId| accounts.iter().all(|account| account.instance != Some(*instance));
            accounts[position].instance = (position as InstanceId..MAX_ID).find(is_free);
        }
    }
}

impl ServerAccount {
    /// An account with the standard's defaults, without security.
    pub fn new(ssid: ShortServerId, uri: ServerUri) -> ServerAccount {
        ServerAccount {
            ssid,
            instance: None,
            uri,
            security: Security::default(),
            lifetime: 86_400,
            default_pmin: None,
            default_pmax: None,
            disable_timeout: None,
            notification_storing: true,
            retry: Retry::UNSET,
            bootstrap_on_failure: true,
        }
    }

    /// The same with security, which a `coaps` URI needs.
    #[must_use]
    pub fn security(mut self, security: Security) -> ServerAccount {
        self.security = security;
        self
    }

    /// The same with a lifetime in seconds.
    #[must_use]
    pub fn lifetime(mut self, seconds: u32) -> ServerAccount {
        self.lifetime = seconds;
        self
    }

    /// The same with retry resources.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> ServerAccount {
        self.retry = retry;
        self
    }
}

/// The Communication Retry resources of the Server object (1/x/17 to 1/x/20, LwM2M Core 1.1 section 6.2.1.1).
///
/// Each is obeyed where it is set. Where it is not, the standard's defaults do *not* apply, for they leave a gateway silent
/// for a day after half an hour's outage: attempts then follow after 2 s, doubling up to 5 min, each a random quarter
/// less at most, without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Retry {
    /// Communication Retry Count (1/x/17): attempts in a sequence; 0 counts as 1. Unset: a sequence has no end.
    pub count: Option<u32>,
    /// Communication Retry Timer in seconds (1/x/18): the delay after a sequence's first attempt, doubled after each
    /// further one. Unset: 2 s, doubled up to 5 min.
    pub timer: Option<u32>,
    /// Communication Sequence Delay Timer in seconds (1/x/19): the delay between two sequences. Unset: 5 min.
    pub sequence_delay: Option<u32>,
    /// Communication Sequence Retry Count (1/x/20): sequences before the client gives up until the network changes or a
    /// command says so; 0 counts as 1. Unset: it never gives up.
    pub sequence_count: Option<u32>,
}

impl Retry {
    /// None of the resources is set.
    pub const UNSET: Retry = Retry { count: None, timer: None, sequence_delay: None, sequence_count: None };

    /// The same with a Communication Retry Count.
    pub const fn count(mut self, attempts: u32) -> Retry {
        self.count = Some(attempts);
        self
    }

    /// The same with a Communication Retry Timer in seconds.
    pub const fn timer(mut self, seconds: u32) -> Retry {
        self.timer = Some(seconds);
        self
    }

    /// The same with a Communication Sequence Delay Timer in seconds.
    pub const fn sequence_delay(mut self, seconds: u32) -> Retry {
        self.sequence_delay = Some(seconds);
        self
    }

    /// The same with a Communication Sequence Retry Count.
    pub const fn sequence_count(mut self, sequences: u32) -> Retry {
        self.sequence_count = Some(sequences);
        self
    }
}
