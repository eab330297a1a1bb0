use std::{sync::Arc, time::Duration};

use lapwing_coap::peer;
use lapwing_dtls::credentials::UnknownTime;

use crate::{
    account::{BootstrapAccount, Security, ServerAccount, ServerUri, ShortServerId},
    model::{InstanceId, MAX_ID, Version},
};

pub use crate::connection::DtlsParameters;

/// The version of LwM2M that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum LwM2mVersion {
    /// LwM2M 1.0: objects 1, 3 and 4 are offered in their version 1.0.
    V1_0,
    /// LwM2M 1.1.
    #[default]
    V1_1,
}

impl LwM2mVersion {
    /// As the model writes it.
    pub const fn version(self) -> Version {
        match self {
            LwM2mVersion::V1_0 => Version::V1_0,
            LwM2mVersion::V1_1 => Version::V1_1,
        }
    }
}

/// How notifications are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notifications {
    /// Each as a confirmable message: the next one of an observation waits for it, so that no value is lost without
    /// being reported, and a lost server is found out. The default.
    #[default]
    Confirmable,
    /// As non-confirmable messages, with a confirmable one every 24 h (RFC 7641 section 4.5): fewer messages, and values that
    /// are lost without anybody knowing.
    NonConfirmable,
}

/// What a client is, and how it behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Endpoint Client Name (LwM2M Core 1.1 section 7.3): 1 to 252 bytes without control characters.
    pub endpoint: String,
    /// The version of LwM2M to register with.
    pub version: LwM2mVersion,
    /// The Server Accounts, which hold until a bootstrap server has written others.
    pub servers: Vec<ServerAccount>,
    /// The account of the bootstrap server, which holds as long.
    pub bootstrap: Option<BootstrapAccount>,
    /// Whether accounts that a bootstrap server wrote in an earlier run are forgotten, so that those here hold. Default no.
    pub reset_accounts: bool,
    /// Certificates in DER that are trusted where an account's certificate usage (0/x/15) is 0 or 1. Default none.
    pub trust_anchors: Vec<Vec<u8>>,
    /// What becomes of a server's certificate while the time is not known, where its validity counts. Default: it is
    /// refused.
    pub unknown_time: UnknownTime,
    /// How associations with servers behave that are reached over DTLS.
    pub dtls: DtlsParameters,
    /// Message layer of each server's connection, and its bounds.
    pub coap: Arc<peer::Config>,
    /// How notifications are sent.
    pub notifications: Notifications,
    /// How long the application may take for an operation. Then the server gets 5.03; a read is dropped, a mutation
    /// runs on. Default 60 s.
    pub operation_timeout: Duration,
    /// Whether registrations, and what servers observe, outlive the process where it ends without de-registering: a client that is made
    /// with the same records then goes on with them, as far as its servers can know it by its association or its address. Otherwise it
    /// registers, and servers observe anew. Default no.
    pub resume: bool,
    /// How many operations one server may have open at a time, beyond which it gets 5.03. Default 32.
    pub max_operations: usize,
    /// How many observations one server may have, beyond which it gets 5.03. Default 256; the bound in
    /// [`coap`](Config::coap) counts too.
    pub max_observations: usize,
    /// How many bytes a bootstrap server may write before its Finish, beyond which it gets 4.13; each value and instance
    /// counts for 32 to 64 bytes more than its content. Default 65,536.
    pub max_bootstrap: usize,
}

impl Config {
    /// The defaults for this endpoint and these servers.
    pub fn new(endpoint: impl Into<String>, servers: Vec<ServerAccount>) -> Config {
        Config {
            endpoint: endpoint.into(),
            version: LwM2mVersion::default(),
            servers,
            bootstrap: None,
            reset_accounts: false,
            trust_anchors: Vec::new(),
            unknown_time: UnknownTime::default(),
            dtls: DtlsParameters::default(),
            coap: Arc::new(peer::Config::default()),
            notifications: Notifications::default(),
            operation_timeout: Duration::from_secs(60),
            resume: false,
            max_operations: 32,
            max_observations: 256,
            max_bootstrap: 64 * 1024,
        }
    }

    /// Checks that the parts make sense together.
    ///
    /// # Errors
    /// The first part that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // A Uri-Query option has at most 255 bytes, three of which are `ep=` (RFC 7252 section 5.10).
        if self.endpoint.is_empty() || self.endpoint.len() > 252 || self.endpoint.chars().any(char::is_control) {
            return Err(ConfigError::Endpoint(self.endpoint.clone()));
        }
        let mut seen = Vec::new();
        for account in &self.servers {
            if account.ssid == 0 || account.ssid == MAX_ID {
                return Err(ConfigError::Ssid(account.ssid));
            }
            if seen.contains(&account.ssid) {
                return Err(ConfigError::DuplicateSsid(account.ssid));
            }
            seen.push(account.ssid);
            check_security(&account.uri, &account.security)?;
        }
        let instances = || self.servers.iter().filter_map(|account| account.instance);
        for (position, instance) in instances().enumerate() {
            if instance == MAX_ID || instances().take(position).any(|other| other == instance) {
                return Err(ConfigError::Instance(instance));
            }
        }
        if let Some(account) = &self.bootstrap {
            check_security(&account.uri, &account.security)?;
            if account.instance == Some(MAX_ID) {
                return Err(ConfigError::Instance(MAX_ID));
            }
        }
        Ok(())
    }
}

/// Whether the scheme and the Security Mode say the same.
fn check_security(uri: &ServerUri, security: &Security) -> Result<(), ConfigError> {
    match (uri.is_secure(), security.is_secure()) {
        (true, false) => Err(ConfigError::NoSecurity(uri.clone())),
        (false, true) => Err(ConfigError::SecurityUnused(uri.clone())),
        (true, true) | (false, false) => Ok(()),
    }
}

/// A configuration that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint is empty, too long, or has control characters.
    #[error("endpoint {0:?}: expected 1 to 252 bytes of text without control characters")]
    Endpoint(String),
    /// A Short Server ID is reserved.
    #[error("Short Server ID {0}: expected 1 to 65534")]
    Ssid(ShortServerId),
    /// Two accounts have the same Short Server ID.
    #[error("Short Server ID {0} is there twice")]
    DuplicateSsid(ShortServerId),
    /// Two accounts have the same instance of the Server object, or an account has a reserved one.
    #[error("instance {0} is there twice, or reserved")]
    Instance(InstanceId),
    /// A `coaps` URI without key or certificate.
    #[error("{0} is reached over DTLS, which needs a key or a certificate, and there is none")]
    NoSecurity(ServerUri),
    /// A key or certificate for a `coap` URI.
    #[error("{0} is plain CoAP, which has no use for a key or a certificate: did you mean coaps?")]
    SecurityUnused(ServerUri),
}
