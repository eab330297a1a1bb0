//! What an operator may set.

use std::{sync::Arc, time::Duration};

use lapwing_coap::peer;
use lapwing_dtls as dtls;

/// Limits and times of a [`Server`](super::Server). `ServerConfig::default()` suits a development server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Message layer of every peer (RFC 7252 section 4.8, RFC 7959).
    pub coap: Arc<peer::Config>,
    /// What the secure socket takes; `None` has none. Default `None`. Keys of clients are in the security store
    /// ([`Server::set_security`](super::Server::set_security)). Its `max_associations` are as many as there may be registrations and
    /// strangers, whatever it says here.
    pub dtls: Option<dtls::ServerConfig>,
    /// How long a request waits for its answer when the caller names no time. Default 93 s (MAX_TRANSMIT_WAIT,
    /// RFC 7252 section 4.8.2).
    pub request_timeout: Duration,
    /// The most that is granted beyond a lifetime before a registration lapses; it is a tenth of the lifetime where that
    /// is less. Default 45 s (MAX_TRANSMIT_SPAN): an Update that left in time may be retransmitted that long.
    pub grace: Duration,
    /// Remotes without a registration that are remembered at most, so many of either [`Channel`](super::Channel); the least
    /// recently seen goes first. Default 1,024.
    pub strangers: usize,
    /// Registrations held at most; a Register beyond is answered 5.03. Default 10,000.
    pub registrations: usize,
    /// Observations of one endpoint at most; a request beyond fails with
    /// [`RequestError::TooMany`](super::RequestError::TooMany). Default 1,024.
    pub observations: usize,
    /// Endpoints without a registration whose observations are remembered at most, the first to leave goes first.
    /// Default 1,024.
    pub remembered: usize,
    /// Messages that the exchange log holds at most, of together at most 1 MiB; 0 keeps none and costs nothing. Default 500.
    pub log: usize,
    /// Whether a GET of what is not the registration interface's own is handed out as a
    /// [`ServerOutput::Fetch`](super::ServerOutput::Fetch); without, it is answered 4.04. Default `false`.
    pub hosts: bool,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            coap: Arc::new(peer::Config::default()),
            dtls: None,
            request_timeout: Duration::from_secs(93),
            grace: Duration::from_secs(45),
            strangers: 1_024,
            registrations: 10_000,
            observations: 1_024,
            remembered: 1_024,
            log: 500,
            hosts: false,
        }
    }
}

impl ServerConfig {
    /// That of DTLS, with room for every association that the registry and the bound on strangers let be: then it is those that
    /// choose which one has to go.
    pub(super) fn dtls(&self) -> Option<Arc<dtls::ServerConfig>> {
        let mut dtls = self.dtls.clone()?;
        dtls.max_associations = self.registrations.saturating_add(self.strangers).saturating_add(1);
        Some(Arc::new(dtls))
    }
}
