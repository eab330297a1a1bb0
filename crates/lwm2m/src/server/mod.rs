//! The server engine: a registry of clients, requests to them, their observations. Sans-IO.
//!
//! [`Server`] is fed datagrams, times and requests, and polled for what is to be sent and what happened:
//! after every call, poll [`Server::poll_output`] until it says [`ServerOutput::Wait`]. It reads no clock and opens no
//! socket. Everything that comes from a peer may be hostile: it never fails for the caller, it is answered as the
//! standard says, or dropped.
//!
//! # What it keeps
//! - A *registration* for each endpoint (LwM2M core 1.1 section 6.2), until it lapses or ends. A Register of the same
//!   endpoint replaces it; an Update may come from another address (see `docs/adr`), which counts as a new path to the
//!   same client.
//! - An *observation* for each endpoint and path that [`Request::Observe`] established. It outlives registrations: after
//!   each Register it is asked for again (LwM2M core 1.1 section 6.4.1), and whenever asking failed, at the next Update or
//!   after 5 s doubling to 5 min.
//! - A *peer* for each [`Remote`] it speaks with, an address or a DTLS association: at most [`ServerConfig::strangers`] of those
//!   without a registration, of either [`Channel`]. What is under way with a client over DTLS goes on at another address,
//!   where it has a Connection ID (RFC 9146); a new handshake takes over nothing but the right to update the
//!   registration.
//! - A *security store*: which endpoint has to show which [`Identity`]; see [`Server::set_security`].

pub mod bootstrap;
mod config;
mod endpoint;
mod event;
mod exchange;
mod hosting;
mod inbound;
mod interface;
mod log;
mod observation;
mod operation;
mod outbound;
mod parameters;
mod registration;
mod registry;
mod security;
mod timers;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::SocketAddr,
    sync::Arc,
};

use lapwing_coap::peer::Memory;
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

pub use self::{
    config::ServerConfig,
    endpoint::{Channel, Identity, Remote},
    event::{Deregistration, ObservationEnd, Reason, ServerEvent, ServerOutput},
    hosting::{Fetch, FetchId, Part},
    log::{Direction, LogEntry},
    operation::{Content, Request, RequestError, RequestId, Response, WriteMode},
    registration::{NotAnId, Offer, Registration, RegistrationId, Update},
    security::{SecurityError, SecurityInfo},
};
use self::{
    endpoint::Endpoint,
    log::Log,
    observation::Observations,
    outbound::{Owner, Pending},
    registry::Registry,
    security::SecurityStore,
    timers::Timers,
};
use crate::{Now, model::Path};

/// All state of a server: see the [module](self).
pub struct Server {
    config: ServerConfig,
    now: Now,
    rng: ChaCha12Rng,
    endpoint: Endpoint<Owner>,
    security: SecurityStore,
    registry: Registry,
    observations: Observations,
    pending: HashMap<RequestId, Pending>,
    deadlines: Timers<RequestId>,
    next_request: u64,
    answers: VecDeque<(RequestId, Result<Response, RequestError>)>,
    /// Blocks of pushes that are wanted.
    pulls: VecDeque<(RequestId, u64, usize)>,
    fetches: VecDeque<Fetch>,
    events: VecDeque<ServerEvent>,
    /// What was decrypted last.
    plaintext: Vec<u8>,
    log: Log,
    log_events: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("registrations", &self.registry.len())
            .field("remotes", &self.endpoint.len())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server without clients. `seed` must be unpredictable: registration ids, tokens and message IDs are drawn from it.
    pub fn new(now: Now, config: ServerConfig, seed: [u8; 32]) -> Server {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let below = ChaCha12Rng::from_rng(&mut rng);
        Server {
            now,
            rng,
            endpoint: Endpoint::new(Arc::clone(&config.coap), config.strangers, config.dtls(), below),
            security: SecurityStore::default(),
            registry: Registry::new(config.grace),
            observations: Observations::new(config.remembered),
            pending: HashMap::new(),
            deadlines: Timers::new(),
            next_request: 0,
            answers: VecDeque::new(),
            pulls: VecDeque::new(),
            fetches: VecDeque::new(),
            events: VecDeque::new(),
            plaintext: Vec::new(),
            log: Log::new(config.log),
            log_events: false,
            config,
        }
    }

    /// Takes in one datagram of one of the two sockets. Without [`ServerConfig::dtls`](ServerConfig#structfield.dtls), those of [`Channel::Secure`] are dropped.
    pub fn handle_datagram(&mut self, now: Now, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.now = now;
        match self.endpoint.handle_datagram(now, channel, from, datagram) {
            Some(remote) => self.hear(remote, datagram),
            None => self.hear_sessions(),
        }
    }

    /// Does what is due. Call at the time that [`ServerOutput::Wait`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        let elapsed = now.elapsed;
        self.endpoint.handle_timeout(now);
        self.hear_sessions();
        while let Some(registration) = self.registry.lapse(elapsed) {
            self.registration_ended(registration, Deregistration::Expired);
        }
        while let Some(request) = self.deadlines.expire(elapsed) {
            self.give_up(request, RequestError::TimedOut);
        }
        while let Some(endpoint) = self.observations.expire(elapsed) {
            self.ask_due(&endpoint);
        }
    }

    /// What to do next. `buffer` is scratch space, cleared here.
    pub fn poll_output<'a>(&mut self, buffer: &'a mut Vec<u8>) -> ServerOutput<'a> {
        buffer.clear();
        loop {
            if let Some((request, result)) = self.answers.pop_front() {
                return ServerOutput::Answer(request, result);
            }
            if let Some((request, offset, length)) = self.pulls.pop_front() {
                return ServerOutput::Pull(request, offset, length);
            }
            if let Some(fetch) = self.fetches.pop_front() {
                return ServerOutput::Fetch(fetch);
            }
            if let Some(event) = self.events.pop_front() {
                return ServerOutput::Event(event);
            }
            if let Some(record) = self.endpoint.poll_records(buffer) {
                return ServerOutput::Transmit(record.channel, record.to, &buffer[record.datagram]);
            }
            let Some(remote) = self.endpoint.front() else { break };
            if self.hear_later(remote) {
                continue;
            }
            if let Some(sent) = self.endpoint.poll_message(self.now.elapsed, buffer) {
                self.record(Direction::Out, remote, &buffer[sent.message]);
                return ServerOutput::Transmit(sent.channel, sent.to, &buffer[sent.datagram]);
            }
        }
        let timers = [
            (self.endpoint.next_timeout(), Reason::Peer),
            (self.registry.next_lapse(), Reason::Lifetime),
            (self.deadlines.next(), Reason::Request),
            (self.observations.next_retry(), Reason::Observation),
        ];
        let next = timers.into_iter().filter_map(|(at, reason)| Some((at?, reason))).min_by_key(|(at, _)| *at);
        next.map_or(ServerOutput::Wait(None, Reason::Idle), |(at, reason)| ServerOutput::Wait(Some(at), reason))
    }

    /// Every registration, in no order.
    pub fn registrations(&self) -> impl Iterator<Item = &Arc<Registration>> {
        self.registry.iter()
    }

    /// The registration of an endpoint.
    pub fn registration(&self, endpoint: &str) -> Option<&Arc<Registration>> {
        self.registry.of_endpoint(endpoint)
    }

    /// Drops a registration without telling the client; its next Update is answered 4.04. Tells whether there was one.
    pub fn forget(&mut self, now: Now, registration: RegistrationId) -> bool {
        self.now = now;
        let Some(registration) = self.registry.remove(registration) else { return false };
        self.registration_ended(registration, Deregistration::Forgotten);
        true
    }

    /// What is observed of an endpoint, registered or not, in order.
    pub fn observations(&self, endpoint: &str) -> impl Iterator<Item = Path> + '_ {
        self.observations.paths(endpoint)
    }

    /// The exchange log, oldest first.
    pub fn log(&self) -> impl Iterator<Item = &Arc<LogEntry>> {
        self.log.iter()
    }

    /// Whether each message becomes a [`ServerEvent::Exchanged`]; off at first.
    pub fn set_log_events(&mut self, on: bool) {
        self.log_events = on;
    }

    /// How many remotes without a registration are remembered; at most [`ServerConfig::strangers`] of either [`Channel`].
    pub fn strangers(&self) -> usize {
        self.endpoint.strangers()
    }

    /// What the message layer holds for one remote, `None` when it is not remembered.
    pub fn peer_memory(&self, remote: Remote) -> Option<Memory> {
        self.endpoint.get(remote).map(|slot| slot.peer.memory())
    }

    /// How many bytes DTLS holds, about: handshakes, associations, sessions that can be resumed.
    pub fn secure_memory(&self) -> usize {
        self.endpoint.secure_memory()
    }

    fn record(&mut self, direction: Direction, remote: Remote, datagram: &[u8]) {
        if self.log.is_off() && !self.log_events {
            return;
        }
        let Some(peer) = self.endpoint.address(remote) else { return };
        let endpoint = self.endpoint.get(remote).and_then(|slot| slot.endpoint.clone());
        let secure = remote.channel() == Channel::Secure;
        let entry = Arc::new(LogEntry { time: self.now, direction, peer, secure, endpoint, datagram: datagram.into() });
        if self.log_events {
            self.events.push_back(ServerEvent::Exchanged(Arc::clone(&entry)));
        }
        if !self.log.is_off() {
            self.log.push(entry);
        }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
