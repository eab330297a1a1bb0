use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Credentials;
#[cfg(feature = "http")]
use super::HttpsIdentity;
use crate::credentials::Identity;

/// How packages are pulled.
#[derive(Clone)]
#[non_exhaustive]
pub struct PullConfig {
    /// How long no byte may come before a pull fails. Default 10 minutes.
    pub give_up: Duration,
    /// Bytes per second at most; `None` (the default): as many as come. At least 1.
    pub max_rate: Option<u64>,
    /// Whether CoAP servers of packages of more than 64 KiB are asked if they have Q-Block2 (RFC 9177), to ask for several blocks at a time. Default yes.
    pub q_block2: bool,
    /// How long to wait before the first new attempt after a lost connection; it doubles each time up to [`Self::longest_pause`],
    /// and begins anew when a byte has come. Default 1 s.
    pub first_pause: Duration,
    /// The longest time between two attempts. Default 60 s.
    pub longest_pause: Duration,
    /// How long HTTP may take to connect, and as long again for TLS. Default 15 s.
    pub connect_timeout: Duration,
    /// How long HTTP waits for the head of an answer, and then for each further byte, before it connects anew. Default 60 s.
    pub read_timeout: Duration,
    /// How http and https go through a proxy. Default [`Proxy::Environment`].
    pub proxy: Proxy,
    /// Whether https servers with a certificate of the authorities that the system trusts are believed. Default yes.
    pub system_authorities: bool,
    /// Certificates in DER of authorities whose https and coaps servers are believed, beside those of the system. Default none.
    pub authorities: Vec<Vec<u8>>,
    /// What https servers that ask for it are shown. Default none.
    #[cfg(feature = "http")]
    pub https_identity: Option<HttpsIdentity>,
    /// What coaps servers are shown that no account has credentials for. They are believed with a certificate of one of
    /// [`Self::authorities`]. Default none.
    pub coaps_identity: Option<Identity>,
    /// Lends credentials for coaps servers, such as [`Accounts`](super::Accounts) do. Default none.
    pub credentials: Option<Arc<dyn Credentials>>,
}

impl Default for PullConfig {
    fn default() -> Self {
        Self {
            give_up: Duration::from_secs(600),
            max_rate: None,
            q_block2: true,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(60),
            proxy: Proxy::Environment,
            system_authorities: true,
            authorities: Vec::new(),
            #[cfg(feature = "http")]
            https_identity: None,
            coaps_identity: None,
            credentials: None,
        }
    }
}

impl fmt::Debug for PullConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullConfig")
            .field("give_up", &self.give_up)
            .field("max_rate", &self.max_rate)
            .field("authorities", &self.authorities.len())
            .finish_non_exhaustive()
    }
}

/// How http and https go through a proxy.
///
/// All goes through a tunnel (CONNECT, RFC 9110 section 9.3.6; or SOCKS), http as well: a proxy must permit it to port 80.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The one in `http_proxy` or `https_proxy`, as the URI's scheme is, or else in `all_proxy`, except for what `no_proxy` names. Upper
    /// case does as well.
    #[default]
    Environment,
    /// None.
    Direct,
    /// The one at this URI: http, https, socks4, socks4a or socks5, with user and password if need be.
    At(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::At(_) => "At(..)",
        })
    }
}

/// User and password for http and https (9/x/14, 9/x/15; RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub(super) user: String,
    pub(super) password: Zeroizing<String>,
}

impl Login {
    /// Both in UTF-8. A user cannot have a colon.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: Zeroizing::new(password.into()) }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}
