//! The bootstrap server engine: tells clients which servers are theirs (LwM2M core 1.1 section 6.1). Sans-IO.
//!
//! [`Server`] is used as the engine for management is ([`crate::server`]): it is fed datagrams and times, and after every
//! call polled with [`Server::poll_output`] until it says [`Output::Wait`]. Who may ask is known by
//! [`Server::set_security`], what they get by [`Server::set_plan`].
//!
//! A Bootstrap-Request (`POST /bs?ep=..`) of an endpoint that has a [`Plan`] is answered 2.04, any other 4.00. Then a
//! *session* sends the plan's [`Task`]s, one at a time, each after the answer to the one before, and ends with the Finish.
//! An endpoint has one session; when it asks anew the old one is over. A task that has no answer ends the session, and so
//! does a refused Finish; what the client does then is its own affair: its old configuration stays in force.
//!
//! Whoever may ask without DTLS gets the plan by naming the endpoint, with every key that is in it: only a network that is
//! trusted otherwise should see such.

mod config;
mod configuration;
mod event;
mod exchange;
mod inbound;
mod interface;
mod output;
mod plan;
mod secret;
mod session;
mod task;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    net::SocketAddr,
    sync::Arc,
};

use lapwing_coap::peer::Memory;
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

pub use self::{
    config::Config,
    configuration::{Configuration, ConfigurationError},
    event::{Event, Failure, Happening, SessionId},
    output::{Output, Reason},
    plan::{OnRefusal, Plan},
    secret::SecretNode,
    task::{Operation, Step, Task},
};
use self::{inbound::Owner, session::Session};
use super::{
    Channel, Remote, RequestError, SecurityError, SecurityInfo, endpoint::Endpoint, security::SecurityStore,
    timers::Timers,
};
use crate::Now;

/// All state of a bootstrap server: see the [module](self).
pub struct Server {
    config: Config,
    now: Now,
    remotes: Endpoint<Owner>,
    security: SecurityStore,
    plans: BTreeMap<Arc<str>, Arc<Plan>>,
    sessions: HashMap<SessionId, Session>,
    by_endpoint: HashMap<Arc<str>, SessionId>,
    deadlines: Timers<SessionId>,
    next_session: u64,
    events: VecDeque<Event>,
    /// What was decrypted last.
    plaintext: Vec<u8>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("plans", &self.plans.len())
            .field("sessions", &self.sessions.len())
            .field("remotes", &self.remotes.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server that knows no client. `seed` must be unpredictable: tokens and message IDs are drawn from it.
    pub fn new(now: Now, config: Config, seed: [u8; 32]) -> Server {
        let rng = ChaCha12Rng::from_seed(seed);
        Server {
            now,
            remotes: Endpoint::new(Arc::clone(&config.coap), config.strangers, config.dtls(), rng),
            security: SecurityStore::default(),
            plans: BTreeMap::new(),
            sessions: HashMap::new(),
            by_endpoint: HashMap::new(),
            deadlines: Timers::new(),
            next_session: 0,
            events: VecDeque::new(),
            plaintext: Vec::new(),
            config,
        }
    }

    /// Sets what an endpoint gets when it asks, or with `None` that it gets nothing. A session that is under way goes on
    /// with what it began with, but ends when there is nothing any more.
    pub fn set_plan(&mut self, now: Now, endpoint: &str, plan: Option<Plan>) {
        self.now = now;
        match plan {
            Some(plan) => drop(self.plans.insert(endpoint.into(), Arc::new(plan))),
            None => {
                self.plans.remove(endpoint);
                self.cancel(now, endpoint);
            }
        }
    }

    /// What an endpoint gets when it asks.
    pub fn plan(&self, endpoint: &str) -> Option<&Arc<Plan>> {
        self.plans.get(endpoint)
    }

    /// What every endpoint gets, by its name.
    pub fn plans(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Plan>)> {
        self.plans.iter()
    }

    /// Says what an endpoint has to show: from now on it is bootstrapped over DTLS and with this identity only. With `None`,
    /// and for an endpoint of which nothing was said, its name is enough, but only over plain CoAP. Gives what was said
    /// before. An association that was established by what is no longer so is closed, and its session fails.
    ///
    /// # Errors
    /// The identity is another endpoint's. Nothing has changed then.
    pub fn set_security(
        &mut self,
        now: Now,
        endpoint: &str,
        info: Option<SecurityInfo>,
    ) -> Result<Option<SecurityInfo>, SecurityError> {
        self.now = now;
        let previous = self.security.set(&mut self.remotes, endpoint, info)?;
        self.hear_associations();
        Ok(previous)
    }

    /// What an endpoint has to show, `None` when nothing was said of it.
    pub fn security(&self, endpoint: &str) -> Option<&SecurityInfo> {
        self.security.get(endpoint)
    }

    /// The whole security store, in the order of the endpoints' names.
    pub fn securities(&self) -> impl Iterator<Item = (&str, &SecurityInfo)> {
        self.security.iter()
    }

    /// How many sessions are under way; at most [`Config::sessions`].
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many remotes without a session are remembered; at most [`Config::strangers`] of either [`Channel`].
    pub fn strangers(&self) -> usize {
        self.remotes.strangers()
    }

    /// What the message layer holds for one remote, `None` when it is not remembered.
    pub fn peer_memory(&self, remote: Remote) -> Option<Memory> {
        self.remotes.get(remote).map(|slot| slot.peer.memory())
    }

    /// Ends the session of an endpoint without telling the client. Tells whether there was one.
    pub fn cancel(&mut self, now: Now, endpoint: &str) -> bool {
        self.now = now;
        let Some(&id) = self.by_endpoint.get(endpoint) else { return false };
        self.end(id, Happening::Failed(Failure::Cancelled));
        true
    }

    /// Takes in one datagram of one of the two sockets. Without [`Config::dtls`](Config#structfield.dtls), those of [`Channel::Secure`] are dropped.
    pub fn handle_datagram(&mut self, now: Now, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.now = now;
        match self.remotes.handle_datagram(now, channel, from, datagram) {
            Some(remote) => self.hear(remote, datagram),
            None => self.hear_associations(),
        }
    }

    /// Does what is due. Call at the time that [`Output::Wait`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.remotes.handle_timeout(now);
        self.hear_associations();
        while let Some(id) = self.deadlines.expire(now.elapsed) {
            self.unanswered(id, RequestError::TimedOut);
        }
    }

    /// What to do next. `buffer` is scratch space, cleared here.
    pub fn poll_output<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Output<'a> {
        buffer.clear();
        loop {
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            if let Some(record) = self.remotes.poll_records(buffer) {
                return Output::Transmit(record.channel, record.to, &buffer[record.datagram]);
            }
            let Some(remote) = self.remotes.front() else { break };
            if self.hear_later(remote) {
                continue;
            }
            if let Some(sent) = self.remotes.poll_message(self.now.elapsed, buffer) {
                return Output::Transmit(sent.channel, sent.to, &buffer[sent.datagram]);
            }
        }
        let timers = [(self.remotes.next_timeout(), Reason::Remote), (self.deadlines.next(), Reason::Task)];
        let next = timers.into_iter().filter_map(|(at, reason)| Some((at?, reason))).min_by_key(|(at, _)| *at);
        next.map_or(Output::Wait(None, Reason::Idle), |(at, reason)| Output::Wait(Some(at), reason))
    }
}
