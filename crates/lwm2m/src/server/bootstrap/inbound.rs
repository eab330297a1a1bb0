//! What comes from clients: Bootstrap-Requests, and answers to tasks.

use std::{collections::HashMap, sync::Arc};

use lapwing_coap::{
    ContentFormat,
    peer::{self, Event as PeerEvent, ExchangeId, Reply},
    wire::Code,
};

use super::{
    Event, Failure, Happening, Server, SessionId, Task, exchange,
    interface::{self, Call, Parameters},
    session::{Next, Session},
};
use crate::server::{
    Remote, RequestError, Response,
    endpoint::{self, Slot},
    exchange::Shape,
    inbound::check_attributes,
    parameters::Refusal,
};

/// Whom a request to a client is for, and how to read its answer.
#[derive(Debug)]
pub(super) struct Owner {
    session: SessionId,
    shape: Shape,
}

/// What was read out of an event, free of the datagram it came in.
enum Heard {
    Call(ExchangeId, Result<Call, Refusal>),
    Answer(SessionId, Result<Response, RequestError>),
    Nothing,
}

impl Heard {
    fn of(event: PeerEvent<'_>, owners: &mut HashMap<peer::RequestId, Owner>) -> Heard {
        match event {
            PeerEvent::Request(request) => Heard::Call(request.exchange, interface::parse(&request)),
            PeerEvent::Upload(request) => Heard::Call(request.exchange, Err(interface::refuse_upload())),
            PeerEvent::Response { request, response } => match owners.remove(&request) {
                Some(owner) => Heard::Answer(owner.session, owner.shape.understand(&response)),
                None => Heard::Nothing,
            },
            PeerEvent::Failed { request, why } => match owners.remove(&request) {
                Some(owner) => Heard::Answer(owner.session, Err(why.into())),
                None => Heard::Nothing,
            },
            // Nothing is streamed or observed here.
            _ => Heard::Nothing,
        }
    }
}

impl Server {
    pub(super) fn hear(&mut self, remote: Remote, message: &[u8]) {
        let Slot { peer, owners, unproven, .. } = self.remotes.seen(remote);
        let Some(event) = peer.handle_datagram(self.now.elapsed, message) else { return };
        let proves = endpoint::proves_address(*unproven, &event);
        let heard = Heard::of(event, owners);
        if proves {
            self.remotes.prove_address(remote);
        }
        self.act(remote, heard);
    }

    /// Acts on an event that a timer or a call has caused; tells whether there was one.
    pub(super) fn hear_later(&mut self, remote: Remote) -> bool {
        let Some(Slot { peer, owners, .. }) = self.remotes.use_slot(remote) else { return false };
        let Some(event) = peer.poll_event() else { return false };
        let heard = Heard::of(event, owners);
        self.act(remote, heard);
        true
    }

    /// Acts on what has come over DTLS.
    pub(super) fn hear_associations(&mut self) {
        let mut plaintext = std::mem::take(&mut self.plaintext);
        while let Some(event) = self.remotes.poll_event(self.now.elapsed, &mut plaintext) {
            match event {
                endpoint::Event::Message(remote) => self.hear(remote, &plaintext),
                endpoint::Event::Closed { remote, .. } => self.closed(remote),
                // The association is what a session is with, wherever that is.
                endpoint::Event::Moved { .. } => {}
            }
        }
        self.plaintext = plaintext;
    }

    fn closed(&mut self, remote: Remote) {
        let of_remote = self.sessions.iter().filter(|(_, session)| session.remote == remote);
        let ids: Vec<SessionId> = of_remote.map(|(id, _)| *id).collect();
        for id in ids {
            self.unanswered(id, RequestError::NotConnected);
        }
    }

    fn act(&mut self, remote: Remote, heard: Heard) {
        match heard {
            Heard::Call(exchange, Ok(Call::Resources)) => {
                let format = ContentFormat::LINK_FORMAT;
                let reply = Reply::new(Code::CONTENT).content_format(format).body(interface::RESOURCES);
                self.respond(remote, exchange, reply);
            }
            Heard::Call(exchange, Ok(Call::Bootstrap(parameters))) => match self.asked(remote, parameters) {
                Ok(id) => {
                    self.respond(remote, exchange, Reply::new(Code::CHANGED));
                    if let Some(next) = self.sessions.get_mut(&id).map(Session::next) {
                        self.go_on(id, next);
                    }
                }
                Err(refusal) => self.refuse(remote, exchange, &refusal),
            },
            Heard::Call(exchange, Err(refusal)) => self.refuse(remote, exchange, &refusal),
            Heard::Answer(id, Ok(response)) => self.answered(id, response),
            Heard::Answer(id, Err(why)) => self.unanswered(id, why),
            Heard::Nothing => {}
        }
    }

    fn respond(&mut self, to: Remote, exchange: ExchangeId, reply: Reply<'_>) {
        if let Some(slot) = self.remotes.use_slot(to) {
            slot.peer.respond(self.now.elapsed, exchange, reply);
        }
    }

    fn refuse(&mut self, to: Remote, exchange: ExchangeId, refusal: &Refusal) {
        tracing::debug!(?to, code = %refusal.code, reason = refusal.reason, "refused");
        self.respond(to, exchange, Reply::new(refusal.code).body(refusal.reason.as_bytes()));
    }

    /// Decides about a Bootstrap-Request, and makes its session. A refused one has a session that has failed at once.
    fn asked(&mut self, remote: Remote, parameters: Parameters) -> Result<SessionId, Refusal> {
        let identity = self.remotes.identity(remote).cloned();
        let owner = identity.as_ref().and_then(|identity| self.security.owner(identity));
        // A name that the credentials tell need not be given (LwM2M core 1.1 section 6.1.7.1).
        let endpoint = parameters.endpoint.as_deref().map(Arc::from).or_else(|| owner.cloned());
        let endpoint = endpoint.ok_or_else(|| Refusal::new(Code::BAD_REQUEST, "ep is missing"))?;
        check_attributes(&parameters.others)?;
        let address = self.remotes.address(remote).ok_or_else(|| Refusal::new(Code::BAD_REQUEST, "gone"))?;
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let attributes = Arc::new(parameters.others);
        let checked = self.security.check(&endpoint, identity.as_ref());
        self.tell(id, &endpoint, Happening::Requested { address, identity, format: parameters.format, attributes });
        let (failure, code) = match self.plans.get(&endpoint).cloned() {
            _ if checked.is_err() => (Failure::Unauthorized, Code::BAD_REQUEST),
            None => (Failure::NoPlan, Code::BAD_REQUEST),
            Some(_) if self.is_full_for(&endpoint) => (Failure::TooMany, Code::SERVICE_UNAVAILABLE),
            Some(plan) => {
                self.begin(id, Session::new(endpoint, remote, plan, parameters.format));
                return Ok(id);
            }
        };
        let refusal = Refusal::new(code, failure.to_string());
        self.tell(id, &endpoint, Happening::Failed(failure));
        Err(refusal)
    }

    /// Whether there is no room for a session, unless in the place of the endpoint's own.
    fn is_full_for(&self, endpoint: &str) -> bool {
        self.sessions.len() >= self.config.sessions && !self.by_endpoint.contains_key(endpoint)
    }

    fn begin(&mut self, id: SessionId, session: Session) {
        let endpoint = Arc::clone(&session.endpoint);
        // Before the old one is dismissed, so that a remote which asks anew is never a stranger.
        self.remotes.admit(session.remote, &endpoint);
        if let Some(&previous) = self.by_endpoint.get(&endpoint) {
            self.end(previous, Happening::Failed(Failure::Replaced));
        }
        self.by_endpoint.insert(Arc::clone(&endpoint), id);
        self.sessions.insert(id, session);
        self.tell(id, &endpoint, Happening::Begun);
    }

    fn answered(&mut self, id: SessionId, response: Response) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some((_, task)) = session.current.take() else { return };
        let next = session.answered(&task, &response);
        let endpoint = Arc::clone(&session.endpoint);
        let task = task.step();
        self.tell(id, &endpoint, Happening::Answered { task, response: Arc::new(response) });
        self.go_on(id, next);
    }

    pub(super) fn unanswered(&mut self, id: SessionId, why: RequestError) {
        let task = self.sessions.get(&id).and_then(|session| session.current.as_ref()).map(|(_, task)| task.step());
        if let Some(task) = task {
            self.end(id, Happening::Failed(Failure::Unanswered { task, why }));
        }
    }

    fn go_on(&mut self, id: SessionId, next: Next) {
        match next {
            Next::Task(task) => self.send(id, task),
            Next::Finished => self.end(id, Happening::Finished),
            Next::Failed(why) => self.end(id, Happening::Failed(why)),
        }
    }

    fn send(&mut self, id: SessionId, task: Task) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let endpoint = Arc::clone(&session.endpoint);
        let prepared = match exchange::prepare(&task, session.format) {
            Ok(prepared) => prepared,
            Err(why) => return self.end(id, Happening::Failed(Failure::Unanswered { task: task.step(), why })),
        };
        let Some(slot) = self.remotes.use_slot(session.remote) else {
            let (task, why) = (task.step(), RequestError::NotConnected);
            return self.end(id, Happening::Failed(Failure::Unanswered { task, why }));
        };
        let now = self.now.elapsed;
        let request = prepared.send(|outgoing| slot.peer.request(now, outgoing));
        slot.owners.insert(request, Owner { session: id, shape: prepared.shape.clone() });
        self.deadlines.set(id, Some(now.saturating_add(self.config.task_timeout)));
        let (step, format) = (task.step(), exchange::payload_format(&task, session.format));
        session.current = Some((request, task));
        self.tell(id, &endpoint, Happening::Sent { task: step, format });
    }

    /// Takes a session out. An answer that still comes is rejected with RST.
    pub(super) fn end(&mut self, id: SessionId, how: Happening) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.by_endpoint.remove(&session.endpoint);
        self.deadlines.set(id, None);
        if let Some(slot) = self.remotes.use_slot(session.remote)
            && let Some((request, _)) = session.current
        {
            slot.peer.cancel(request);
            slot.owners.remove(&request);
        }
        self.remotes.dismiss(session.remote);
        match &how {
            Happening::Failed(why) => tracing::info!(endpoint = %session.endpoint, %why, "bootstrap failed"),
            _ => tracing::info!(endpoint = %session.endpoint, "bootstrapped"),
        }
        self.tell(id, &session.endpoint, how);
    }

    fn tell(&mut self, session: SessionId, endpoint: &Arc<str>, what: Happening) {
        self.events.push_back(Event { session, endpoint: Arc::clone(endpoint), time: self.now, what });
    }
}
