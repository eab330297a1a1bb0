//! What comes from clients: the registration interface, answers and notifications.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use lapwing_coap::{
    ContentFormat,
    peer::{self, Event, ExchangeId, Offer, Receive, Reply},
    wire::Code,
};

use super::{
    Channel, Content, Deregistration, Direction, ObservationEnd, Registration, RegistrationId, Remote, RequestError,
    Response, Server, ServerEvent, Update,
    endpoint::{self, Slot},
    interface::{self, Call},
    observation::{Outcome, Suspended},
    outbound::Owner,
    parameters::{Parameters, Refusal, offers},
};
use crate::{format::link::RegistrationLinks, model::Path};

/// Seconds, where a Register names none (LwM2M core 1.1 section 6.2.1).
const DEFAULT_LIFETIME: u32 = 86_400;

/// Bytes of query parameters that the standard does not name: each Update may add some.
const MAX_ATTRIBUTES: usize = 4 * 1024;

/// What was read out of an event, free of the datagram it came in.
enum Heard {
    Call(ExchangeId, Result<Call, Refusal>),
    Upload(ExchangeId, Result<(), Refusal>),
    Answer {
        request: peer::RequestId,
        result: Result<Response, RequestError>,
        goes_on: bool,
    },
    /// A block of what is being sent is wanted.
    Wanted {
        request: peer::RequestId,
        offset: u64,
        length: usize,
    },
    Nothing,
}

impl Heard {
    fn of(event: Event<'_>, owners: &HashMap<peer::RequestId, Owner>) -> Heard {
        match event {
            Event::Request(request) => Heard::Call(request.exchange, interface::parse(&request)),
            Event::Upload(request) => Heard::Upload(request.exchange, interface::accepts_upload(&request)),
            Event::Response { request, response } | Event::Notification { request, response } => {
                let Some(owner) = owners.get(&request) else { return Heard::Nothing };
                let goes_on = response.observe.is_some() && response.message.code.is_success();
                Heard::Answer { request, result: owner.shape.understand(&response), goes_on }
            }
            Event::Failed { request, why } => Heard::Answer { request, result: Err(why.into()), goes_on: false },
            Event::PullRequest { request, offset, length } => Heard::Wanted { request, offset, length },
            // Nothing that comes is streamed, no answer's settling is asked for, nobody observes this server.
            _ => Heard::Nothing,
        }
    }
}

/// An answer to a request of the registration interface.
struct Answer {
    code: Code,
    location: Option<RegistrationId>,
    /// Whose observations are to be asked for once the answer has left.
    resume: Option<Arc<str>>,
}

impl Answer {
    fn new(code: Code) -> Answer {
        Answer { code, location: None, resume: None }
    }
}

impl Server {
    /// Takes in a message.
    pub(super) fn hear(&mut self, from: Remote, message: &[u8]) {
        self.record(Direction::In, from, message);
        let Slot { peer, owners, unproven, .. } = self.endpoint.seen(from);
        peer.offer_q_block2(match from.channel() {
            _ if !self.config.hosts => Offer::Nobody,
            Channel::Plain => Offer::Reachable,
            Channel::Secure if unproven.is_none() => Offer::Anybody,
            // It has moved, and not yet shown that it is there (RFC 9146 section 6).
            Channel::Secure => Offer::Nobody,
        });
        let Some(event) = peer.handle_datagram(self.now.elapsed, message) else { return };
        let proves = endpoint::proves_address(*unproven, &event);
        let heard = Heard::of(event, owners);
        self.act(from, heard, proves);
    }

    /// Acts on what has come in over DTLS.
    pub(super) fn hear_sessions(&mut self) {
        let mut plaintext = std::mem::take(&mut self.plaintext);
        while let Some(event) = self.endpoint.poll_event(self.now.elapsed, &mut plaintext) {
            match event {
                endpoint::Event::Message(remote) => self.hear(remote, &plaintext),
                endpoint::Event::Moved { remote, to, endpoint } => self.follow(remote, to, endpoint.as_deref()),
                endpoint::Event::Closed { remote, endpoint } => self.disconnected(remote, endpoint.as_ref()),
            }
        }
        self.plaintext = plaintext;
    }

    /// A client goes on at another address: all that is under way with it is the association's, not the address's.
    fn follow(&mut self, remote: Remote, to: SocketAddr, endpoint: Option<&str>) {
        let registration = endpoint.and_then(|endpoint| self.registry.of_endpoint(endpoint));
        let Some(previous) = registration.filter(|registration| registration.remote == remote).cloned() else { return };
        let registration = Arc::new(Registration { address: to, ..Registration::clone(&previous) });
        self.registry.put(Arc::clone(&registration));
        self.events.push_back(ServerEvent::Moved { registration, previous });
    }

    /// The association of a client has ended. Its registration stays, and can be updated over a new one.
    fn disconnected(&mut self, remote: Remote, endpoint: Option<&Arc<str>>) {
        let registration = endpoint.and_then(|endpoint| self.registry.of_endpoint(endpoint));
        let Some(registration) = registration.filter(|registration| registration.remote == remote).cloned() else {
            return;
        };
        self.fail_requests(registration.id, &RequestError::NotConnected);
        self.restart_observations(&registration.endpoint, remote);
    }

    /// Acts on an event that did not come with a message, or not first; tells whether there was one.
    pub(super) fn hear_later(&mut self, remote: Remote) -> bool {
        let Some(Slot { peer, owners, unproven, .. }) = self.endpoint.use_slot(remote) else { return false };
        let Some(event) = peer.poll_event() else { return false };
        let proves = endpoint::proves_address(*unproven, &event);
        let heard = Heard::of(event, owners);
        self.act(remote, heard, proves);
        true
    }

    fn act(&mut self, from: Remote, heard: Heard, proves_address: bool) {
        if proves_address {
            self.endpoint.prove_address(from);
        }
        match heard {
            Heard::Call(exchange, call) => self.serve(from, exchange, call),
            Heard::Upload(exchange, Err(refusal)) => self.serve(from, exchange, Err(refusal)),
            Heard::Upload(exchange, Ok(())) => {
                if let Some(slot) = self.endpoint.use_slot(from) {
                    slot.peer.receive(self.now.elapsed, exchange, Receive::Reassemble);
                }
            }
            Heard::Answer { request, result, goes_on } => self.answered(from, request, result, goes_on),
            Heard::Wanted { request, offset, length } => self.wanted(from, request, offset, length),
            Heard::Nothing => {}
        }
    }

    fn serve(&mut self, from: Remote, exchange: ExchangeId, call: Result<Call, Refusal>) {
        if let Ok(Call::Fetch { path, query }) = call {
            return self.look_up(from, exchange, path, query);
        }
        if matches!(call, Ok(Call::Resources)) {
            let reply = Reply::new(Code::CONTENT).content_format(ContentFormat::LINK_FORMAT).body(interface::RESOURCES);
            return self.respond(from, exchange, reply);
        }
        match call.and_then(|call| self.dispatch(from, call)) {
            Ok(answer) => {
                match &answer.location {
                    Some(id) => self.respond(from, exchange, Reply::new(answer.code).location(&["rd", id.as_str()])),
                    None => self.respond(from, exchange, Reply::new(answer.code)),
                }
                if let Some(endpoint) = answer.resume {
                    self.ask_due(&endpoint);
                }
            }
            Err(refusal) => {
                tracing::debug!(?from, code = %refusal.code, reason = refusal.reason, "refused");
                self.respond(from, exchange, Reply::new(refusal.code).body(refusal.reason.as_bytes()));
            }
        }
    }

    pub(super) fn respond(&mut self, to: Remote, exchange: ExchangeId, reply: Reply<'_>) {
        if let Some(slot) = self.endpoint.use_slot(to) {
            slot.peer.respond(self.now.elapsed, exchange, reply);
        }
    }

    fn dispatch(&mut self, from: Remote, call: Call) -> Result<Answer, Refusal> {
        match call {
            Call::Resources | Call::Fetch { .. } => Ok(Answer::new(Code::CONTENT)),
            Call::Register { parameters, links } => self.register(from, parameters, links),
            Call::Update { id, parameters, links } => self.update(from, id, parameters, links),
            Call::Deregister { id } => {
                self.owned(from, id)?;
                let registration = self.registry.remove(id).ok_or_else(unknown)?;
                self.registration_ended(registration, Deregistration::Asked);
                Ok(Answer::new(Code::DELETED))
            }
        }
    }

    /// The registration of this id, for whom it belongs to (LwM2M core 1.1 section 6.2: to others it does not exist).
    fn owned(&self, from: Remote, id: RegistrationId) -> Result<&Arc<Registration>, Refusal> {
        let registration = self.registry.get(id).ok_or_else(unknown)?;
        let identity = self.endpoint.identity(from);
        if registration.identity.as_ref() != identity || self.security.check(&registration.endpoint, identity).is_err()
        {
            tracing::info!(endpoint = %registration.endpoint, ?from, ?identity, "refused: the registration is another's");
            return Err(unknown());
        }
        Ok(registration)
    }

    fn register(&mut self, from: Remote, parameters: Parameters, links: RegistrationLinks) -> Result<Answer, Refusal> {
        let version = parameters.lwm2m_version()?;
        let Some(endpoint) = parameters.endpoint else {
            return Err(Refusal::new(Code::BAD_REQUEST, "ep is missing"));
        };
        let identity = self.endpoint.identity(from).cloned();
        if let Err(why) = self.security.check(&endpoint, identity.as_ref()) {
            tracing::info!(endpoint, ?from, ?identity, %why, "registration refused");
            return Err(Refusal::new(Code::BAD_REQUEST, why.to_string()));
        }
        let Some(address) = self.endpoint.address(from) else {
            return Err(Refusal::new(Code::BAD_REQUEST, "the session has ended"));
        };
        check_attributes(&parameters.others)?;
        let objects = offers(links.objects, version);
        if objects.is_empty() {
            return Err(Refusal::new(Code::BAD_REQUEST, "no object is offered"));
        }
        let previous = self.registry.of_endpoint(&endpoint).cloned();
        if previous.is_none() && self.registry.len() >= self.config.registrations {
            return Err(Refusal::new(Code::SERVICE_UNAVAILABLE, "too many registrations"));
        }
        let endpoint = previous.as_ref().map_or_else(|| endpoint.into(), |previous| Arc::clone(&previous.endpoint));
        let binding = parameters.binding.unwrap_or_else(|| "U".to_owned());
        let registration = Arc::new(Registration {
            id: RegistrationId::from_random(self.random()),
            endpoint: Arc::clone(&endpoint),
            address,
            remote: from,
            identity,
            lifetime: parameters.lifetime.unwrap_or(DEFAULT_LIFETIME),
            version,
            queue_mode: parameters.queue || binding.contains('Q'),
            binding,
            sms: parameters.sms,
            root: format!("{}/", links.root),
            links: links.links,
            objects,
            formats: links.formats,
            attributes: parameters.others,
            registered: self.now,
            updated: self.now,
        });
        // Before the old one is dismissed, so that a peer which registers anew is never a stranger.
        self.endpoint.admit(from, &endpoint);
        if let Some(previous) = previous.as_ref().and_then(|previous| self.registry.remove(previous.id)) {
            self.registration_ended(previous, Deregistration::Replaced);
        }
        self.restart_observations(&endpoint, from);
        tracing::info!(%endpoint, %address, identity = ?registration.identity, %version, lifetime = registration.lifetime, "registered");
        self.registry.put(Arc::clone(&registration));
        let location = Some(registration.id);
        self.events.push_back(ServerEvent::Registered { registration, previous });
        Ok(Answer { code: Code::CREATED, location, resume: Some(endpoint) })
    }

    fn update(
        &mut self,
        from: Remote,
        id: RegistrationId,
        parameters: Parameters,
        links: Option<RegistrationLinks>,
    ) -> Result<Answer, Refusal> {
        let previous = Arc::clone(self.owned(from, id)?);
        let address = self.endpoint.address(from).ok_or_else(unknown)?;
        let differs = |given: &Option<String>, held: &str| given.as_deref().is_some_and(|given| given != held);
        if differs(&parameters.endpoint, &previous.endpoint)
            || differs(&parameters.version, &previous.version.to_string())
        {
            return Err(Refusal::new(Code::BAD_REQUEST, "ep and lwm2m cannot change in an Update"));
        }
        let mut next = Registration { address, remote: from, updated: self.now, ..Registration::clone(&previous) };
        let update = Update {
            lifetime: parameters.lifetime,
            binding: parameters.binding,
            sms: parameters.sms,
            links: links.as_ref().map(|links| links.links.clone()),
            attributes: parameters.others,
            moved: from != previous.remote,
        };
        next.lifetime = update.lifetime.unwrap_or(next.lifetime);
        next.sms = update.sms.clone().or(next.sms);
        next.attributes.extend(update.attributes.clone());
        check_attributes(&next.attributes)?;
        if let Some(binding) = &update.binding {
            next.queue_mode = parameters.queue || binding.contains('Q');
            next.binding.clone_from(binding);
        }
        if let Some(links) = links {
            next.objects = offers(links.objects, next.version);
            if next.objects.is_empty() {
                return Err(Refusal::new(Code::BAD_REQUEST, "no object is offered"));
            }
            next.root = format!("{}/", links.root);
            next.formats = links.formats;
            next.links = links.links;
        }
        let registration = Arc::new(next);
        if update.moved {
            self.moved(&previous, &registration);
        }
        self.observations.hurry(&registration.endpoint);
        self.registry.put(Arc::clone(&registration));
        let resume = Some(Arc::clone(&registration.endpoint));
        self.events.push_back(ServerEvent::Updated { registration, previous, update: Arc::new(update) });
        Ok(Answer { code: Code::CHANGED, location: None, resume })
    }

    /// A registration goes on with another remote. Observations are asked for again there: a notification that came from
    /// it before the Update was a stranger's, and its RST has ended the observation at the client.
    fn moved(&mut self, previous: &Registration, next: &Registration) {
        tracing::info!(endpoint = %previous.endpoint, from = %previous.address, to = %next.address, "moved");
        self.endpoint.admit(next.remote, &previous.endpoint);
        self.restart_observations(&previous.endpoint, previous.remote);
        if self.endpoint.leave(previous.remote) {
            self.fail_requests(previous.id, &RequestError::NotConnected);
        }
    }

    fn restart_observations(&mut self, endpoint: &Arc<str>, remote: Remote) {
        for request in self.observations.restart(endpoint) {
            self.abandon(remote, request);
        }
    }

    /// What is left to do after a registration has been taken out of the registry.
    pub(super) fn registration_ended(&mut self, registration: Arc<Registration>, why: Deregistration) {
        tracing::info!(endpoint = %registration.endpoint, ?why, "registration ended");
        let Suspended { requests, forgotten } = match why {
            Deregistration::Replaced => {
                Suspended { requests: self.observations.restart(&registration.endpoint), ..Suspended::default() }
            }
            _ => self.observations.suspend(&registration.endpoint),
        };
        for request in requests {
            self.abandon(registration.remote, request);
        }
        self.fail_requests(registration.id, &RequestError::RegistrationEnded);
        if why == Deregistration::Replaced {
            self.endpoint.leave(registration.remote);
        } else {
            self.endpoint.dismiss(registration.remote);
        }
        self.events.push_back(ServerEvent::Deregistered { registration, why });
        for (endpoint, path) in forgotten {
            self.events.push_back(ServerEvent::ObservationEnded { endpoint, path, why: ObservationEnd::Forgotten });
        }
    }

    fn answered(
        &mut self,
        from: Remote,
        request: peer::RequestId,
        result: Result<Response, RequestError>,
        goes_on: bool,
    ) {
        let Some(slot) = self.endpoint.use_slot(from) else { return };
        let Some(owner) = slot.owners.remove(&request) else { return };
        if goes_on && owner.observation.is_some() {
            slot.owners.insert(request, Owner { request: None, ..owner.clone() });
        }
        if let Some((endpoint, path)) = owner.observation {
            let asked = owner.request.is_some();
            self.observed(from, request, (&endpoint, path), &result, goes_on, asked);
        }
        if let Some(id) = owner.request {
            self.pending.remove(&id);
            self.deadlines.set(id, None);
            self.answers.push_back((id, result));
        }
    }

    /// The first answer of an observation, or a notification, or the failure of asking for it. `asked` is whether someone
    /// waits for it as an answer.
    fn observed(
        &mut self,
        from: Remote,
        request: peer::RequestId,
        (endpoint, path): (&Arc<str>, Path),
        result: &Result<Response, RequestError>,
        goes_on: bool,
        asked: bool,
    ) {
        let outcome = match result {
            // Who asked gets an error, and must not be notified behind it.
            Err(RequestError::Unreadable { .. }) if asked => Outcome::Over,
            _ if goes_on => Outcome::Active,
            Ok(response) if response.code.is_server_error() && !asked => Outcome::Failed,
            Ok(_) | Err(RequestError::Unreadable { .. }) => Outcome::Over,
            Err(_) => Outcome::Failed,
        };
        let consequence = self.observations.settle(self.now.elapsed, endpoint, &path, request, outcome);
        let useless = (goes_on && outcome == Outcome::Over).then_some(request);
        for request in consequence.cancel.into_iter().chain(useless) {
            self.abandon(from, request);
        }
        let fresh = goes_on || result.as_ref().is_ok_and(|response| response.code == Code::CONTENT);
        if !asked
            && fresh
            && let Some(registration) = self.registry.of_endpoint(endpoint).cloned()
        {
            let response = Arc::new(notification(result));
            self.events.push_back(ServerEvent::Notification { registration, path, response });
        }
        if consequence.ended {
            let why = match result {
                Ok(response) if !response.code.is_success() => ObservationEnd::Refused(response.code),
                _ => ObservationEnd::NotObservable,
            };
            self.events.push_back(ServerEvent::ObservationEnded { endpoint: Arc::clone(endpoint), path, why });
        }
        self.ask_due(endpoint);
    }
}

/// What subscribers see of a notification: one that cannot be understood, too.
fn notification(result: &Result<Response, RequestError>) -> Response {
    match result {
        Ok(response) => response.clone(),
        Err(RequestError::Unreadable { code, format, payload, reason }) => Response {
            code: *code,
            content: Content::Unknown(reason.clone()),
            format: *format,
            payload: payload.clone(),
            location: None,
            observe: None,
        },
        Err(other) => unreachable!("a notification came: {other}"),
    }
}

pub(super) fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let bytes = attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if bytes > MAX_ATTRIBUTES { Err(Refusal::new(Code::BAD_REQUEST, "too many parameters")) } else { Ok(()) }
}

fn unknown() -> Refusal {
    Refusal::new(Code::NOT_FOUND, "there is no such registration")
}
