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
//! - A *peer* for each address it speaks with: at most [`ServerConfig::strangers`] of those without a registration.

mod config;
mod event;
mod exchange;
mod inbound;
mod interface;
mod log;
mod observation;
mod operation;
mod outbound;
mod parameters;
mod peers;
mod registration;
mod registry;
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
    event::{Deregistration, ObservationEnd, Reason, ServerEvent, ServerOutput},
    log::{Direction, LogEntry},
    operation::{Content, Request, RequestError, RequestId, Response, WriteMode},
    registration::{NotAnId, Offer, Registration, RegistrationId, Update},
};
use self::{log::Log, observation::Observations, outbound::Pending, peers::Peers, registry::Registry, timers::Timers};
use crate::{Now, model::Path};

/// All state of a server: see the [module](self).
pub struct Server {
    config: ServerConfig,
    now: Now,
    rng: ChaCha12Rng,
    peers: Peers,
    registry: Registry,
    observations: Observations,
    pending: HashMap<RequestId, Pending>,
    deadlines: Timers<RequestId>,
    next_request: u64,
    answers: VecDeque<(RequestId, Result<Response, RequestError>)>,
    events: VecDeque<ServerEvent>,
    log: Log,
    log_events: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("registrations", &self.registry.len())
            .field("peers", &self.peers.len())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server without clients. `seed` must be unpredictable: registration ids, tokens and message IDs are drawn from it.
    pub fn new(now: Now, config: ServerConfig, seed: [u8; 32]) -> Server {
        Server {
            now,
            rng: ChaCha12Rng::from_seed(seed),
            peers: Peers::new(Arc::clone(&config.coap), config.strangers),
            registry: Registry::new(config.grace),
            observations: Observations::new(config.remembered),
            pending: HashMap::new(),
            deadlines: Timers::new(),
            next_request: 0,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            log: Log::new(config.log),
            log_events: false,
            config,
        }
    }

    /// Takes in one datagram.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        self.now = now;
        self.record(Direction::In, from, datagram);
        self.hear(from, datagram);
    }

    /// Does what is due. Call at the time that [`ServerOutput::Wait`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        let elapsed = now.elapsed;
        self.peers.handle_timeout(elapsed);
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
            if let Some(event) = self.events.pop_front() {
                return ServerOutput::Event(event);
            }
            let Some(address) = self.peers.front() else { break };
            if self.hear_later(address) {
                continue;
            }
            let slot = self.peers.use_slot(address);
            match slot.and_then(|slot| slot.peer.poll_transmit(self.now.elapsed, buffer)) {
                Some(range) => {
                    self.record(Direction::Out, address, &buffer[range.clone()]);
                    return ServerOutput::Transmit(address, &buffer[range]);
                }
                None => self.peers.settle_front(),
            }
        }
        let timers = [
            (self.peers.next_timeout(), Reason::Peer),
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

    /// How many peers without a registration are remembered; at most [`ServerConfig::strangers`].
    pub fn strangers(&self) -> usize {
        self.peers.strangers()
    }

    /// What the message layer holds for one address, `None` when it is not remembered.
    pub fn peer_memory(&self, address: SocketAddr) -> Option<Memory> {
        self.peers.get(address).map(|slot| slot.peer.memory())
    }

    fn record(&mut self, direction: Direction, peer: SocketAddr, datagram: &[u8]) {
        if self.log.is_off() && !self.log_events {
            return;
        }
        let endpoint = self.peers.get(peer).and_then(|slot| slot.endpoint.clone());
        let entry = Arc::new(LogEntry { time: self.now, direction, peer, endpoint, datagram: datagram.into() });
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
