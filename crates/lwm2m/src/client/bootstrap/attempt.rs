//! One conversation with the bootstrap server, from its flow to the answer to its Finish.

use std::{ops::Range, time::Duration};

use lapwing_coap::{
    Code, ContentFormat,
    peer::{self, ExchangeId, Outgoing, RequestId},
};
use lapwing_dtls as dtls;

use super::{
    Bootstrap, discover,
    operations::{self, Plan},
    staging::Staging,
};
use crate::{
    account::{Accounts, BootstrapAccount, ServerId, Stored},
    client::{
        Event, Failure, FlowError, FlowId, LwM2mVersion, OperationId, PersistId, Reason,
        context::{Context, Item},
        dispatch::Body,
        session::Session,
    },
    connection::{self, Connection, Timer},
    format,
    model::{Instances, Node, Path},
};

pub(super) struct Attempt {
    pub(super) flow: Option<FlowId>,
    connection: Connection,
    pub(super) step: Step,
    since: Duration,
    /// The Bootstrap-Request, until it is answered.
    request: Option<RequestId>,
    /// When the bootstrap has failed without a Finish: EXCHANGE_LIFETIME (LwM2M Core 1.1 section 6.1.3.3).
    deadline: Option<Duration>,
    /// From the Bootstrap-Request on.
    pub(super) staging: Option<Staging>,
}

pub(super) enum Step {
    /// The driver was asked for a flow.
    Opening,
    /// The DTLS handshake is under way.
    Securing,
    /// The bootstrap server was asked, and writes.
    Open,
    /// Its Finish was found consistent, and the application does its part.
    Applying { exchange: ExchangeId, operation: OperationId, path: Path },
    /// The accounts are on their way to the disk.
    Storing { exchange: ExchangeId, id: PersistId, next: Box<(Stored, Accounts)> },
    /// The answer to the Finish settles.
    Leaving(ExchangeId),
}

/// An event of the message layer with everything taken out of the datagram.
pub(super) enum Digest {
    Nothing,
    Request { exchange: ExchangeId, plan: Plan },
    Answer { request: RequestId, answer: Result<Code, peer::Failure> },
    Settled(ExchangeId),
    Established { validity_unchecked: bool },
    HandshakeFailed(dtls::Failure),
    Closed(dtls::Closed),
}

fn digest(event: connection::Event<'_>, cx: &Context) -> Digest {
    match event {
        connection::Event::Message(event) => digest_message(event, cx),
        connection::Event::Nothing => Digest::Nothing,
        connection::Event::Established(established) => {
            Digest::Established { validity_unchecked: established.validity_unchecked }
        }
        connection::Event::Failed(why) => Digest::HandshakeFailed(why),
        connection::Event::Closed(why) => Digest::Closed(why),
    }
}

fn digest_message(event: peer::Event<'_>, cx: &Context) -> Digest {
    let request = |request: peer::Request<'_>, body| Digest::Request {
        exchange: request.exchange,
        plan: operations::plan(&request, body, &cx.tree, cx.settings.version),
    };
    match event {
        peer::Event::Request(whole) => request(whole, Body::Whole),
        peer::Event::Upload(begun) => request(begun, Body::Begun),
        peer::Event::Response { request, response } => Digest::Answer { request, answer: Ok(response.message.code) },
        peer::Event::Failed { request, why } => Digest::Answer { request, answer: Err(why) },
        peer::Event::Settled(exchange) => Digest::Settled(exchange),
        _ => Digest::Nothing,
    }
}

impl Attempt {
    /// Asks for a flow, with a connection of its own: a bootstrap begins with nothing that an earlier one left
    /// (LwM2M 1.0 section 5.2.5).
    pub(super) fn new(cx: &mut Context, account: &BootstrapAccount) -> Attempt {
        let dtls = cx.settings.profile.client_config(&account.security, &account.uri);
        let connection = Connection::new(cx.settings.coap.clone(), dtls, cx.seed());
        Attempt {
            flow: Some(cx.open(ServerId::Bootstrap, &account.uri, None)),
            connection,
            step: Step::Opening,
            since: cx.now,
            request: None,
            deadline: None,
            staging: None,
        }
    }

    /// Whether the Finish is answered, and only its answer has to settle.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.step, Step::Leaving(_))
    }

    /// Whether the bootstrap server knows the client wherever it is (RFC 9146).
    pub(super) fn outlives_addresses(&self) -> bool {
        self.connection.secure().is_some_and(|secure| secure.outlives_addresses())
    }

    pub(super) fn handle_datagram(&mut self, cx: &Context, datagram: &[u8]) -> Option<Digest> {
        self.connection.set_time(cx.unix);
        self.connection.handle_datagram(cx.now, datagram).map(|event| digest(event, cx))
    }

    pub(super) fn poll(&mut self, cx: &Context) -> Option<Digest> {
        self.connection.poll_event(cx.now).map(|event| digest(event, cx))
    }

    pub(super) fn handle_timeout(&mut self, cx: &Context) {
        self.connection.set_time(cx.unix);
        self.connection.handle_timeout(cx.now);
    }

    /// Why there is no use in waiting any longer.
    pub(super) fn overdue(&self, now: Duration, opening_limit: Duration) -> Option<Failure> {
        let (due, _) = self.own_timeout(opening_limit).filter(|(due, _)| *due <= now)?;
        tracing::debug!(since = ?self.since, ?due, "out of patience with the bootstrap server");
        match self.step {
            Step::Opening => Some(Failure::Flow(FlowError::Unresolved)),
            _ => Some(Failure::Unfinished),
        }
    }

    /// What the application does and what is on its way to the disk is waited for.
    fn own_timeout(&self, opening_limit: Duration) -> Option<(Duration, Reason)> {
        let due = match self.step {
            Step::Opening => Some(self.since + opening_limit),
            Step::Open => self.deadline,
            _ => None,
        };
        due.map(|due| (due, Reason::Bootstrap))
    }

    pub(super) fn poll_timeout(&self, opening_limit: Duration) -> Option<(Duration, Reason)> {
        let connection = self.connection.poll_timeout().map(|(due, timer)| match timer {
            Timer::Message(timer) => (due, Reason::Peer(timer)),
            Timer::Dtls(timer) => (due, Reason::Dtls(timer)),
        });
        connection.into_iter().chain(self.own_timeout(opening_limit)).min_by_key(|(due, _)| *due)
    }

    /// The next datagram; one for which there is no flow is lost.
    pub(super) fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<(FlowId, Range<usize>)> {
        let Some(flow) = self.flow.filter(|_| !matches!(self.step, Step::Opening)) else {
            self.connection.discard_transmits(now, buffer);
            return None;
        };
        self.connection.poll_transmit(now, buffer).map(|range| (flow, range))
    }

    pub(super) fn close_flow(&mut self, cx: &mut Context) {
        let Some(flow) = self.flow.take() else { return };
        let mut farewell = Vec::new();
        if self.connection.secure_mut().is_some_and(|secure| secure.close(&mut farewell).is_some()) {
            cx.outputs.push_back(Item::Transmit(flow, farewell));
        }
        cx.outputs.push_back(Item::Close(flow));
    }

    /// Ends it; what the application is doing for it runs to its end.
    pub(super) fn close(&mut self, cx: &mut Context) {
        self.close_flow(cx);
        if let Step::Applying { operation, .. } = self.step {
            cx.abandon(operation);
        }
    }

    pub(super) fn respond(&mut self, cx: &Context, exchange: ExchangeId, reply: peer::Reply<'_>) {
        self.connection.peer().respond(cx.now, exchange, reply);
    }

    /// The bootstrap is over but for its last answer.
    pub(super) fn leave(&mut self, cx: &mut Context, exchange: ExchangeId) {
        if let Some(request) = self.request.take() {
            self.connection.peer().cancel(request);
        }
        self.staging = None;
        self.respond(cx, exchange, peer::Reply::new(Code::CHANGED).settle());
        self.step = Step::Leaving(exchange);
    }

    fn discover(&mut self, cx: &mut Context, exchange: ExchangeId, path: &Path) {
        let Some(staging) = &self.staging else { return };
        let mut links = Vec::new();
        discover::emit(path, staging, &cx.tree, cx.settings.version, &mut links);
        let reply = peer::Reply::new(Code::CONTENT).content_format(ContentFormat::LINK_FORMAT).body(&links);
        self.respond(cx, exchange, reply);
    }

    fn read(&mut self, cx: &mut Context, exchange: ExchangeId, path: &Path, accept: Option<ContentFormat>) {
        let instances = path.object_id().zip(self.staging.as_ref());
        let instances =
            instances.and_then(|(object, staging)| staging.accounts.get(object)).filter(|all| !all.is_empty());
        let node = match path.instance_id() {
            None => instances.map(|all: &Instances| Node::Object(all.clone())),
            Some(id) => instances.and_then(|all| all.get(&id)).map(|instance| Node::Instance(instance.clone())),
        };
        let Some(node) = node else { return self.respond(cx, exchange, peer::Reply::new(Code::NOT_FOUND)) };
        let format = accept.unwrap_or(ContentFormat::TLV);
        let mut body = Vec::new();
        match format::encode(format, path, &node, &mut body) {
            Ok(()) => self.respond(cx, exchange, peer::Reply::new(Code::CONTENT).content_format(format).body(&body)),
            Err(error) => self.respond(cx, exchange, peer::Reply::new(error.code())),
        }
    }
}

impl Bootstrap {
    /// The flow is open: begins a handshake, or asks.
    pub(super) fn opened(&mut self, cx: &mut Context, sessions: &[Session]) {
        let Some(attempt) = self.active().filter(|attempt| matches!(attempt.step, Step::Opening)) else { return };
        attempt.connection.set_time(cx.unix);
        match attempt.connection.secure_mut() {
            None => self.ask(cx, sessions),
            Some(secure) => {
                secure.connect(cx.now);
                attempt.step = Step::Securing;
            }
        }
    }

    /// The client's address has changed. Where the bootstrap server knows it by that, nothing is left to go on with.
    pub(super) fn moved(&mut self, cx: &mut Context, sessions: &[Session]) {
        if self.active().is_some_and(|attempt| !attempt.outlives_addresses()) {
            self.flow_lost(cx, sessions, FlowError::Unreachable);
        }
    }

    /// Sends the Bootstrap-Request. From now on the bootstrap server may write.
    fn ask(&mut self, cx: &mut Context, sessions: &[Session]) {
        let mut accounts = self.stored.objects.clone();
        sessions.iter().filter(|session| !session.retired).for_each(|session| accounts.overlay(&session.account));
        let Some(attempt) = self.active() else { return };
        let endpoint = format!("ep={}", cx.settings.endpoint);
        let preferred = format!("pct={}", ContentFormat::TLV.0);
        let query = [endpoint.as_str(), preferred.as_str()];
        // The preferred format came with LwM2M 1.1.
        let query = if cx.settings.version == LwM2mVersion::V1_0 { &query[..1] } else { &query };
        let peer = attempt.connection.peer();
        peer.set_silent(false);
        attempt.request = Some(peer.request(cx.now, Outgoing::new(Code::POST).path(&["bs"]).query(query)));
        attempt.staging = Some(Staging::new(accounts, cx.settings.max_bootstrap));
        attempt.deadline = Some(cx.now + cx.settings.coap.transmission.exchange_lifetime());
        attempt.step = Step::Open;
    }

    pub(super) fn flow_lost(&mut self, cx: &mut Context, sessions: &[Session], error: FlowError) {
        self.ended(cx, sessions, Failure::Flow(error));
    }

    /// Nobody is there any more. What is on its way to the disk is waited for all the same: it will count.
    fn ended(&mut self, cx: &mut Context, sessions: &[Session], reason: Failure) {
        let Some(attempt) = self.active() else { return };
        match attempt.step {
            Step::Storing { .. } => attempt.close_flow(cx),
            Step::Leaving(_) => self.close(cx),
            _ => self.fail(cx, sessions, reason),
        }
    }

    pub(super) fn act(&mut self, cx: &mut Context, sessions: &[Session], digest: Digest) {
        match digest {
            Digest::Nothing => {}
            Digest::Request { exchange, plan } => self.request(cx, exchange, plan),
            Digest::Answer { request, answer } => self.answered(cx, sessions, request, answer),
            Digest::Established { validity_unchecked } => {
                if validity_unchecked {
                    cx.event(Event::ValidityUnchecked { server: ServerId::Bootstrap });
                }
                if self.active().is_some_and(|attempt| matches!(attempt.step, Step::Securing)) {
                    self.ask(cx, sessions);
                }
            }
            Digest::HandshakeFailed(why) => self.ended(cx, sessions, Failure::Handshake(why)),
            Digest::Closed(why) => self.ended(cx, sessions, Failure::Closed(why)),
            Digest::Settled(exchange) => {
                if self.active().is_some_and(|attempt| matches!(attempt.step, Step::Leaving(last) if last == exchange))
                {
                    self.close(cx);
                }
            }
        }
    }

    fn answered(
        &mut self,
        cx: &mut Context,
        sessions: &[Session],
        request: RequestId,
        answer: Result<Code, peer::Failure>,
    ) {
        let Some(attempt) = self.active().filter(|attempt| attempt.request == Some(request)) else { return };
        attempt.request = None;
        let reason = match answer {
            Ok(code) if code.is_success() => {
                attempt.deadline = Some(cx.now + cx.settings.coap.transmission.exchange_lifetime());
                return;
            }
            Ok(code) => Failure::Refused(code),
            Err(peer::Failure::TimedOut) => Failure::TimedOut,
            Err(peer::Failure::Reset) => Failure::Reset,
            Err(_) => Failure::Protocol,
        };
        // A Finish says more than a lost answer.
        if matches!(attempt.step, Step::Open) {
            self.fail(cx, sessions, reason);
        }
    }

    fn request(&mut self, cx: &mut Context, exchange: ExchangeId, plan: Plan) {
        let Some(attempt) = self.active() else { return };
        let Some(staging) = attempt.staging.as_mut().filter(|_| matches!(attempt.step, Step::Open)) else {
            // After the Finish there is nothing to be written any more.
            return attempt.respond(cx, exchange, peer::Reply::new(Code::BAD_REQUEST));
        };
        let reply = match plan {
            Plan::Refuse(code) => code,
            Plan::Reassemble => return attempt.connection.peer().receive(cx.now, exchange, peer::Receive::Reassemble),
            Plan::Discover(path) => return attempt.discover(cx, exchange, &path),
            Plan::Read { path, accept } => return attempt.read(cx, exchange, &path, accept),
            Plan::Write { path, node } => staging.write(&path, node, &cx.tree).err().unwrap_or(Code::CHANGED),
            Plan::Delete(path) => staging.delete(&path, &cx.tree).err().unwrap_or(Code::DELETED),
            Plan::Finish => return self.finish(cx, exchange),
        };
        tracing::debug!(code = %reply, "bootstrap request");
        attempt.respond(cx, exchange, peer::Reply::new(reply));
    }
}
