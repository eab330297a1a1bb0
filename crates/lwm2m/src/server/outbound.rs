//! Requests to clients, and asking for observations again.

use std::{sync::Arc, time::Duration};

use lapwing_coap::peer;

use super::{
    ObservationEnd, Registration, RegistrationId, Remote, Request, RequestError, RequestId, Server, ServerEvent,
    endpoint::Slot,
    exchange::{Payload, Prepared, Shape},
    observation::Outcome,
};
use crate::{Now, model::Path};

/// Whom a request to a peer is for.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    /// Who waits for the answer.
    pub(super) request: Option<RequestId>,
    /// Which observation it begins, or began.
    pub(super) observation: Option<(Arc<str>, Path)>,
    /// How to read what comes.
    pub(super) shape: Shape,
    /// Where what is sent is.
    pub(super) payload: Payload,
}

/// Where an open request is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    registration: RegistrationId,
    remote: Remote,
    request: peer::RequestId,
    /// How long it may take; a push, from block to block.
    timeout: Duration,
}

impl Server {
    /// Asks a client. [`ServerOutput::Answer`](super::ServerOutput::Answer) follows, at the latest after `timeout`, or
    /// [`ServerConfig::request_timeout`](super::ServerConfig::request_timeout) without it. Requests to one client queue
    /// (NSTART, RFC 7252 section 4.7).
    pub fn request(
        &mut self,
        now: Now,
        registration: RegistrationId,
        request: Request,
        timeout: Option<Duration>,
    ) -> RequestId {
        self.now = now;
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let timeout = timeout.unwrap_or(self.config.request_timeout);
        match self.begin(id, registration, &request, timeout) {
            Ok(pending) => {
                self.pending.insert(id, pending);
                self.deadlines.set(id, Some(now.elapsed.saturating_add(timeout)));
            }
            Err(error) => self.answers.push_back((id, Err(error))),
        }
        id
    }

    fn begin(
        &mut self,
        id: RequestId,
        registration: RegistrationId,
        request: &Request,
        timeout: Duration,
    ) -> Result<Pending, RequestError> {
        let registration = Arc::clone(self.registry.get(registration).ok_or(RequestError::NotRegistered)?);
        let prepared = Prepared::new(&registration, request)?;
        let remote = registration.remote;
        let coap = match request {
            Request::Observe { path, format } => {
                let observed = self.observations.get(&registration.endpoint, path).is_some();
                if !observed && self.observations.count(&registration.endpoint) >= self.config.observations {
                    return Err(RequestError::TooMany);
                }
                let coap = self.observe(&registration, *path, &prepared, Some(id)).ok_or(RequestError::NotConnected)?;
                if let Some(replaced) = self.observations.ask(&registration.endpoint, *path, *format, coap) {
                    self.abandon(remote, replaced);
                }
                coap
            }
            Request::CancelObservation { path } => self.cancel_actively(id, &registration, *path, prepared)?,
            _ => self.send(remote, &prepared, Owner::of(&prepared, Some(id))).ok_or(RequestError::NotConnected)?,
        };
        Ok(Pending { registration: registration.id, remote, request: coap, timeout })
    }

    /// GET with Observe 1, of the token by which the client notifies. One that is not established is only forgotten, and
    /// its value read.
    fn cancel_actively(
        &mut self,
        id: RequestId,
        registration: &Registration,
        path: Path,
        mut prepared: Prepared,
    ) -> Result<peer::RequestId, RequestError> {
        let endpoint = &registration.endpoint;
        let observation = self.observations.get(endpoint, &path).ok_or(RequestError::NotObserved(path))?;
        self.endpoint.get(registration.remote).ok_or(RequestError::NotConnected)?;
        prepared.accept_also(observation.format);
        let active = self.observations.active(endpoint, &path);
        for other in self.observations.remove(endpoint, &path).into_iter().flatten() {
            if Some(other) != active {
                self.abandon(registration.remote, other);
            }
        }
        let why = ObservationEnd::Cancelled;
        self.events.push_back(ServerEvent::ObservationEnded { endpoint: Arc::clone(endpoint), path, why });
        let now = self.now.elapsed;
        let slot = self.endpoint.use_slot(registration.remote).ok_or(RequestError::NotConnected)?;
        let coap = prepared.send(|outgoing| match active {
            Some(active) => slot.peer.cancel_observation(now, active, outgoing),
            None => slot.peer.request(now, outgoing),
        });
        if let Some(active) = active {
            slot.owners.remove(&active);
        }
        slot.owners.insert(coap, Owner::of(&prepared, Some(id)));
        Ok(coap)
    }

    fn observe(
        &mut self,
        registration: &Registration,
        path: Path,
        prepared: &Prepared,
        request: Option<RequestId>,
    ) -> Option<peer::RequestId> {
        let observation = Some((Arc::clone(&registration.endpoint), path));
        self.send(registration.remote, prepared, Owner { observation, ..Owner::of(prepared, request) })
    }

    fn send(&mut self, remote: Remote, prepared: &Prepared, owner: Owner) -> Option<peer::RequestId> {
        let now = self.now.elapsed;
        let slot = self.endpoint.use_slot(remote)?;
        let request = prepared.send(|outgoing| {
            let outgoing = match &owner.payload {
                Payload::Peer => outgoing,
                Payload::Held(body) => outgoing.streamed_body(Some(body.len() as u64)),
                Payload::Supplied(size) => outgoing.streamed_body(Some(*size)),
            };
            slot.peer.request(now, outgoing)
        });
        slot.owners.insert(request, owner);
        Some(request)
    }

    /// A block of what is being sent is wanted: of what is held here, or of what the caller has.
    pub(super) fn wanted(&mut self, to: Remote, request: peer::RequestId, offset: u64, length: usize) {
        let now = self.now.elapsed;
        let Some(Slot { peer, owners, .. }) = self.endpoint.use_slot(to) else { return };
        match owners.get(&request) {
            Some(Owner { payload: Payload::Held(body), .. }) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| body.get(offset..)).unwrap_or_default();
                let (block, after) = rest.split_at(length.min(rest.len()));
                peer.supply_request(now, request, offset, block, after.is_empty());
            }
            Some(Owner { payload: Payload::Supplied(size), request: Some(id), .. }) => {
                let length = usize::try_from(size.saturating_sub(offset)).unwrap_or(length).min(length);
                let Some(pending) = self.pending.get(id) else { return };
                self.deadlines.set(*id, Some(now.saturating_add(pending.timeout)));
                self.pulls.push_back((*id, offset, length));
            }
            _ => {}
        }
    }

    /// Gives the bytes of a [`Request::Push`] that [`ServerOutput::Pull`](super::ServerOutput::Pull) asked for, all of them: fewer or more
    /// end the request with [`RequestError::Failed`]. What was not asked for is ignored. Who cannot give them calls [`Server::cancel`].
    pub fn supply(&mut self, now: Now, request: RequestId, offset: u64, bytes: &[u8]) {
        self.now = now;
        let Some(pending) = self.pending.get(&request).copied() else { return };
        let Some(Slot { peer, owners, .. }) = self.endpoint.use_slot(pending.remote) else { return };
        let Some(Owner { payload: Payload::Supplied(size), .. }) = owners.get(&pending.request) else { return };
        let last = offset.saturating_add(bytes.len() as u64) >= *size;
        peer.supply_request(now.elapsed, pending.request, offset, bytes, last);
    }

    /// Forgets a request: no answer follows, and one that comes is rejected with RST. Tells whether it was open.
    pub fn cancel(&mut self, now: Now, request: RequestId) -> bool {
        self.now = now;
        self.withdraw(request)
    }

    /// Ends a request without the client.
    pub(super) fn give_up(&mut self, request: RequestId, why: RequestError) {
        if self.withdraw(request) {
            self.answers.push_back((request, Err(why)));
        }
    }

    fn withdraw(&mut self, request: RequestId) -> bool {
        let Some(pending) = self.pending.remove(&request) else { return false };
        self.deadlines.set(request, None);
        if let Some((endpoint, path)) =
            self.abandon(pending.remote, pending.request).and_then(|owner| owner.observation)
        {
            let now = self.now.elapsed;
            let consequence = self.observations.settle(now, &endpoint, &path, pending.request, Outcome::Failed);
            if let Some(cancel) = consequence.cancel {
                self.abandon(pending.remote, cancel);
            }
        }
        true
    }

    pub(super) fn fail_requests(&mut self, registration: RegistrationId, why: &RequestError) {
        let open = self.pending.iter().filter(|(_, pending)| pending.registration == registration);
        let mut open: Vec<RequestId> = open.map(|(&request, _)| request).collect();
        open.sort_unstable();
        for request in open {
            self.give_up(request, why.clone());
        }
    }

    /// Lets the message layer forget a request or an observation; what still comes for it is rejected with RST.
    pub(super) fn abandon(&mut self, remote: Remote, request: peer::RequestId) -> Option<Owner> {
        let slot = self.endpoint.use_slot(remote)?;
        slot.peer.cancel(request);
        slot.owners.remove(&request)
    }

    /// Forgets an observation without telling the client: its next notification is rejected with RST, which ends the
    /// observation there (RFC 7641 section 3.6). Tells whether there was one.
    pub fn forget_observation(&mut self, now: Now, endpoint: &str, path: Path) -> bool {
        self.now = now;
        let Some(requests) = self.observations.remove(endpoint, &path) else { return false };
        let registration = self.registry.of_endpoint(endpoint).cloned();
        if let Some(registration) = &registration {
            for request in requests {
                self.forgotten(registration.remote, request);
            }
        }
        let endpoint = registration.map_or_else(|| endpoint.into(), |registration| Arc::clone(&registration.endpoint));
        let why = ObservationEnd::Cancelled;
        self.events.push_back(ServerEvent::ObservationEnded { endpoint, path, why });
        true
    }

    /// As [`Server::abandon`], but someone may wait for the answer that began the observation.
    fn forgotten(&mut self, remote: Remote, request: peer::RequestId) {
        let owner = self.abandon(remote, request);
        if let Some(id) = owner.and_then(|owner| owner.request) {
            self.pending.remove(&id);
            self.deadlines.set(id, None);
            self.answers.push_back((id, Err(RequestError::Failed("the observation was cancelled".into()))));
        }
    }

    /// Asks for the observations of a registered endpoint that are due.
    pub(super) fn ask_due(&mut self, endpoint: &Arc<str>) {
        let Some(registration) = self.registry.of_endpoint(endpoint).cloned() else { return };
        for path in self.observations.due(endpoint) {
            let Some(observation) = self.observations.get(endpoint, &path) else { continue };
            let format = observation.format;
            let Ok(prepared) = Prepared::new(&registration, &Request::Observe { path, format }) else { continue };
            if let Some(request) = self.observe(&registration, path, &prepared, None) {
                let replaced = self.observations.ask(endpoint, path, format, request);
                debug_assert_eq!(replaced, None, "what is due has not been asked for");
            }
        }
    }
}

impl Owner {
    fn of(prepared: &Prepared, request: Option<RequestId>) -> Owner {
        Owner { request, observation: None, shape: prepared.shape.clone(), payload: prepared.payload() }
    }
}
