//! What an operator may set.

use std::{sync::Arc, time::Duration};

use lapwing_coap::peer;
use lapwing_dtls as dtls;

/// Limits and times of a [`Server`](super::Server). `Config::default()` suits a development server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Message layer of every peer (RFC 7252 section 4.8, RFC 7959).
    pub coap: Arc<peer::Config>,
    /// What the secure socket takes; `None` has none. Default `None`. Keys of clients are in the security store
    /// ([`Server::set_security`](super::Server::set_security)). Its `max_associations` are as many as there may be sessions
    /// and strangers, whatever it says here.
    pub dtls: Option<dtls::ServerConfig>,
    /// How long a task waits for its answer. Default 93 s (MAX_TRANSMIT_WAIT, RFC 7252 section 4.8.2): shorter than the
    /// EXCHANGE_LIFETIME for which a client waits for the Finish.
    pub task_timeout: Duration,
    /// Sessions at one time at most; a Bootstrap-Request beyond is answered 5.03. Default 1,000.
    pub sessions: usize,
    /// Remotes without a session that are remembered at most, so many of either [`Channel`](crate::server::Channel); the
    /// least recently seen goes first. Default 1,024.
    pub strangers: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            coap: Arc::default(),
            dtls: None,
            task_timeout: Duration::from_secs(93),
            sessions: 1_000,
            strangers: 1_024,
        }
    }
}

impl Config {
    /// That of DTLS, with room for every association that the bounds on sessions and strangers let be.
    pub(super) fn dtls(&self) -> Option<Arc<dtls::ServerConfig>> {
        let mut dtls = self.dtls.clone()?;
        dtls.max_associations = self.sessions.saturating_add(self.strangers).saturating_add(1);
        Some(Arc::new(dtls))
    }
}
