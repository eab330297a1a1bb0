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
mod log;
mod operation;
mod registration;

pub use self::{
    config::ServerConfig,
    event::{Deregistration, ObservationEnd, Reason, ServerEvent, ServerOutput},
    log::{Direction, LogEntry},
    operation::{Content, Request, RequestError, RequestId, Response, WriteMode},
    registration::{NotAnId, Offer, Registration, RegistrationId, Update},
};

use std::{net::SocketAddr, sync::Arc, time::Duration};

use crate::{Now, model::Path};

/// All state of a server: see the [module](self).
#[derive(Debug)]
pub struct Server {}

impl Server {
    /// A server without clients. `seed` must be unpredictable: registration ids, tokens and message IDs are drawn from it.
    pub fn new(now: Now, config: ServerConfig, seed: [u8; 32]) -> Server {
        todo!("{now:?} {config:?} {seed:?}")
    }

    /// Takes in one datagram.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, datagram: &[u8]) {
        todo!("{now:?} {from:?} {datagram:?}")
    }

    /// Does what is due. Call at the time that [`ServerOutput::Wait`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        todo!("{now:?}")
    }

    /// What to do next. `buffer` is scratch space, cleared here.
    pub fn poll_output<'a>(&mut self, buffer: &'a mut Vec<u8>) -> ServerOutput<'a> {
        todo!("{buffer:?}")
    }

    /// Every registration, in no order.
    pub fn registrations(&self) -> impl ExactSizeIterator<Item = &Arc<Registration>> {
        [].into_iter()
    }

    /// The registration of an endpoint.
    pub fn registration(&self, endpoint: &str) -> Option<&Arc<Registration>> {
        todo!("{endpoint}")
    }

    /// Asks a client. [`ServerOutput::Answer`] follows, at the latest after `timeout`, or
    /// [`ServerConfig::request_timeout`] without it. Requests of one client queue (NSTART, RFC 7252 section 4.7).
    pub fn request(
        &mut self,
        now: Now,
        registration: RegistrationId,
        request: Request,
        timeout: Option<Duration>,
    ) -> RequestId {
        todo!("{now:?} {registration} {request:?} {timeout:?}")
    }

    /// Forgets a request: no answer follows, and one that comes is rejected with RST. Tells whether it was open.
    pub fn cancel(&mut self, now: Now, request: RequestId) -> bool {
        todo!("{now:?} {request:?}")
    }

    /// Drops a registration without telling the client; its next Update is answered 4.04. Tells whether there was one.
    pub fn forget(&mut self, now: Now, registration: RegistrationId) -> bool {
        todo!("{now:?} {registration:?}")
    }

    /// Forgets an observation without telling the client: its next notification is rejected with RST, which ends the
    /// observation there (RFC 7641 section 3.6). Tells whether there was one.
    pub fn forget_observation(&mut self, now: Now, endpoint: &str, path: Path) -> bool {
        todo!("{now:?} {endpoint} {path}")
    }

    /// What is observed of an endpoint, registered or not, in order.
    pub fn observations(&self, endpoint: &str) -> impl Iterator<Item = Path> + '_ {
        let _ = endpoint;
        [].into_iter()
    }

    /// The exchange log, oldest first.
    pub fn log(&self) -> impl Iterator<Item = &Arc<LogEntry>> {
        [].into_iter()
    }

    /// Whether each message becomes a [`ServerEvent::Exchanged`]; off at first.
    pub fn set_log_events(&mut self, on: bool) {
        todo!("{on}")
    }
}
