use std::{collections::BTreeMap, ops::Range, time::Duration};

use lapwing_coap::{
    Code, ContentFormat, Token,
    peer::{self, ExchangeId, NotificationId, Outcome, RequestId, Response},
};
use lapwing_dtls as dtls;

use super::{
    FlowError, FlowEvent, FlowId, Loss, Offset, OperationId, OperationKind, Origin, Reason, Why,
    association::Association,
    backoff::Backoff,
    bootstrap::Cause,
    changes::Changes,
    context::{Context, Item},
    dispatch::{self, Body, Observe, Plan, View},
    observation::Observation,
    operations::{Pending, Phase, Work},
    registration::State,
    resume::Keeping,
};
use crate::{
    account::{Saved, ServerAccount},
    attributes::AttributeTable,
    connection::{self, Connection, Timer},
    definitions::server,
    model::{InstanceId, Path},
};

/// One server: its account, its connection, its registration, and what it observes.
pub(super) struct Session {
    /// Tells it from all other sessions, also from those that were.
    pub(super) index: usize,
    /// Its account has gone: it says farewell and is no more.
    pub(super) retired: bool,
    pub(super) account: ServerAccount,
    /// The account as it was configured: stored changes of a server hold as long as this stays.
    pub(super) configured: ServerAccount,
    /// The bootstraps that the account came through.
    pub(super) generation: u32,
    /// Its instance of the Server object.
    pub(super) instance: InstanceId,
    pub(super) connection: Connection,
    pub(super) association: Association,
    pub(super) flow: Option<FlowId>,
    pub(super) state: State,
    pub(super) backoff: Backoff,
    /// Attempts to register that have failed since one succeeded, or the bootstrap server was asked for it.
    pub(super) failures: u32,
    pub(super) observations: Vec<Observation>,
    pub(super) attributes: AttributeTable,
    pub(super) changes: Changes,
    pub(super) keeping: Keeping,
    /// The Execute of Disable, while its answer settles.
    pub(super) disabling: Option<ExchangeId>,
    /// The Execute of the Bootstrap-Request Trigger, while its answer settles.
    pub(super) triggering: Option<ExchangeId>,
    /// What earlier runs stored, until the objects are declared by which attributes are checked.
    pub(super) saved: Option<Saved>,
}

/// An event of the message layer with everything taken out of the datagram.
enum Digest {
    Nothing,
    Request { exchange: ExchangeId, token: Token, plan: Plan },
    Chunk { exchange: ExchangeId, bytes: Vec<u8>, last: bool },
    Pull { exchange: ExchangeId, offset: Offset, length: usize },
    Aborted { exchange: ExchangeId, why: peer::Abort },
    Settled(ExchangeId),
    Answer { request: RequestId, code: Code, location: Vec<String> },
    Failed { request: RequestId, why: peer::Failure },
    Notified { notification: NotificationId, token: Token, outcome: Outcome },
    Established(Box<dtls::Established>),
    HandshakeFailed(dtls::Failure),
    Closed(dtls::Closed),
}

fn digest(event: connection::Event<'_>, view: &View<'_>) -> Digest {
    match event {
        connection::Event::Message(event) => digest_message(event, view),
        connection::Event::Nothing => Digest::Nothing,
        connection::Event::Established(established) => Digest::Established(Box::new(established)),
        connection::Event::Failed(why) => Digest::HandshakeFailed(why),
        connection::Event::Closed(why) => Digest::Closed(why),
    }
}

fn digest_message(event: peer::Event<'_>, view: &View<'_>) -> Digest {
    let request = |request: peer::Request<'_>, body| Digest::Request {
        exchange: request.exchange,
        token: request.message.token,
        plan: dispatch::plan(&request, body, view),
    };
    match event {
        peer::Event::Request(whole) => request(whole, Body::Whole),
        peer::Event::Upload(begun) => request(begun, Body::Begun),
        peer::Event::Chunk { exchange, bytes, last, .. } => Digest::Chunk { exchange, bytes: bytes.to_vec(), last },
        peer::Event::Pull { exchange, offset, length } => Digest::Pull { exchange, offset, length },
        peer::Event::Aborted { exchange, why } => Digest::Aborted { exchange, why },
        peer::Event::Settled(exchange) => Digest::Settled(exchange),
        peer::Event::Response { request, response } => answer(request, &response),
        peer::Event::Failed { request, why } => Digest::Failed { request, why },
        peer::Event::Notified { notification, token, outcome } => Digest::Notified { notification, token, outcome },
        _ => Digest::Nothing,
    }
}

fn answer(request: RequestId, response: &Response<'_>) -> Digest {
    let location = response.message.options.location_path().map(str::to_owned).collect();
    Digest::Answer { request, code: response.message.code, location }
}

impl Session {
    pub(super) fn new(
        cx: &mut Context,
        index: usize,
        configured: ServerAccount,
        generation: u32,
        saved: Saved,
    ) -> Session {
        let account = configured.restored(&saved, generation);
        let dtls = cx.settings.profile.client_config(&account.security, &account.uri);
        let mut session = Session {
            index,
            retired: false,
            instance: configured.instance.unwrap_or_default(),
            account,
            configured,
            generation,
            connection: Connection::new(cx.settings.coap.clone(), dtls, cx.seed()),
            association: Association::default(),
            flow: None,
            state: State::Stopped,
            backoff: Backoff::default(),
            failures: 0,
            observations: Vec::new(),
            attributes: AttributeTable::new(),
            changes: Changes::default(),
            keeping: Keeping::default(),
            disabling: None,
            triggering: None,
            saved: None,
        };
        session.import(cx, &saved);
        session.import_registration(cx, &saved);
        session.saved = Some(saved);
        session
    }

    /// The application's objects are known, or have changed.
    pub(super) fn declared(&mut self, cx: &mut Context) {
        if let Some(saved) = self.saved.take() {
            let definition = |path: &Path| cx.tree.object(path).map(|object| &*object.definition);
            self.attributes = self.account.restored_attributes(&saved, definition);
            return;
        }
        self.end_observations_of_what_has_gone(cx);
        let gone = |path: &Path| !cx.tree.has(&path.up_to(crate::model::Level::Instance));
        let paths: Vec<Path> = self.attributes.iter().map(|(path, _)| path).filter(gone).collect();
        paths.iter().for_each(|path| self.attributes.remove_below(path));
        self.update_if_changed(cx);
    }

    pub(super) fn end_observations_of_what_has_gone(&mut self, cx: &mut Context) {
        for index in (0..self.observations.len()).rev() {
            if !cx.tree.has(&self.observations[index].path) {
                self.end_observation(cx, index, Some(Code::NOT_FOUND));
            }
        }
    }

    pub(super) fn handle_datagram(&mut self, cx: &mut Context, datagram: &[u8]) {
        self.connection.set_time(cx.unix);
        let view = View { tree: &cx.tree, version: cx.settings.version, own_instance: self.instance };
        if let Some(event) = self.connection.handle_datagram(cx.now, datagram) {
            let digest = digest(event, &view);
            self.act(cx, digest);
        }
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context) {
        self.connection.set_time(cx.unix);
        self.connection.handle_timeout(cx.now);
        if self.doubt_due().is_some_and(|due| due <= cx.now) {
            self.doubted(cx);
        }
        self.registration_timeout(cx);
    }

    pub(super) fn handle_flow(&mut self, cx: &mut Context, event: FlowEvent) {
        self.connection.set_time(cx.unix);
        match event {
            FlowEvent::Bound(port) => self.bound(port),
            FlowEvent::Opened => self.flow_opened(cx),
            FlowEvent::Moved => self.flow_moved(cx),
            FlowEvent::Closed => {
                self.flow = None;
                self.flow_lost(cx, Some(FlowError::Unreachable));
            }
            FlowEvent::Failed(error) => self.flow_failed(cx, error),
        }
    }

    /// Does what timers and calls have caused. Returns whether there was anything.
    pub(super) fn pump(&mut self, cx: &mut Context) -> bool {
        let mut busy = false;
        loop {
            let view = View { tree: &cx.tree, version: cx.settings.version, own_instance: self.instance };
            let Some(event) = self.connection.poll_event(cx.now) else { break };
            let digest = digest(event, &view);
            self.act(cx, digest);
            busy = true;
        }
        self.watch_numbers(cx) | self.keep(cx) | self.run_observations(cx) || busy
    }

    /// The next datagram. One for which there is no flow is lost, as in a network that is down: if it stayed, the message
    /// layer would wait for it to leave and be due for ever.
    pub(super) fn poll_transmit(&mut self, cx: &Context, buffer: &mut Vec<u8>) -> Option<(FlowId, Range<usize>)> {
        let Some(flow) = self.flow.filter(|_| !matches!(self.state, State::Opening { .. })) else {
            self.connection.discard_transmits(cx.now, buffer);
            return None;
        };
        self.connection.poll_transmit(cx.now, buffer).map(|range| (flow, range))
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<(Duration, Reason)> {
        let connection = self.connection.poll_timeout().map(|(due, timer)| match timer {
            Timer::Message(timer) => (due, Reason::Peer(timer)),
            Timer::Dtls(timer) => (due, Reason::Dtls(timer)),
        });
        let association = self.doubt_due().map(|due| (due, Reason::Association));
        let observed = if self.holds_back() { &[][..] } else { &self.observations };
        let observation = observed.iter().filter_map(Observation::next_due).min();
        let observation = observation.map(|due| (due, Reason::Observation));
        [connection, association, observation, self.registration_due()]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due)
    }

    fn act(&mut self, cx: &mut Context, digest: Digest) {
        match digest {
            Digest::Nothing => {}
            Digest::Request { exchange, token, plan } => self.request(cx, exchange, token, plan),
            Digest::Chunk { exchange, bytes, last } => {
                if let Some(id) = cx.operations.by_exchange(self.index, exchange) {
                    chunk(cx, id, bytes, last);
                }
            }
            Digest::Pull { exchange, offset, length } => {
                if let Some(id) = cx.operations.by_exchange(self.index, exchange) {
                    cx.outputs.push_back(Item::Pull(id, offset, length));
                }
            }
            Digest::Aborted { exchange, why } => self.aborted(cx, exchange, why),
            Digest::Settled(exchange) => self.settled(cx, exchange),
            Digest::Answer { request, code, location } => self.answered(cx, request, Ok((code, location))),
            Digest::Failed { request, why } => self.answered(cx, request, Err(why)),
            Digest::Notified { notification, token, outcome } => self.notified(cx, notification, token, outcome),
            Digest::Established(established) => self.established(cx, &established),
            Digest::HandshakeFailed(why) => self.handshake_failed(cx, why),
            Digest::Closed(why) => self.association_closed(cx, why),
        }
    }

    fn request(&mut self, cx: &mut Context, exchange: ExchangeId, token: Token, plan: Plan) {
        let own = |path: &Path| path.object_id() == Some(server::OBJECT_ID);
        match plan {
            Plan::Refuse(code) => {
                tracing::debug!(server = self.account.ssid, %code, "request refused");
                self.respond(cx, exchange, code);
            }
            Plan::Reassemble => self.connection.peer().receive(cx.now, exchange, peer::Receive::Reassemble),
            Plan::Read { path, accept, observe } => {
                if observe != Observe::No {
                    self.forget_observation(cx, token);
                }
                let begin = (observe == Observe::Begin).then_some(token);
                let observed = self.observations.len() + self.observations_wanted();
                match begin {
                    Some(_) if observed >= cx.settings.max_observations => {
                        self.respond(cx, exchange, Code::SERVICE_UNAVAILABLE);
                    }
                    Some(token) if cx.settings.resume => self.want_observation(exchange, token, path, accept),
                    _ => self.read(cx, exchange, path, accept, begin),
                }
            }
            Plan::Discover { path } if own(&path) || !has_dimensions(cx, &path) => {
                self.answer_discover(cx, exchange, path, BTreeMap::new());
            }
            Plan::Discover { path } => {
                self.operate(cx, exchange, OperationKind::Discover { path }, Work::Discover { path })
            }
            Plan::Write { path, mode, node } if own(&path) => self.write_account(cx, exchange, path, mode, node),
            Plan::Write { path, mode, node } => {
                self.operate(cx, exchange, OperationKind::Write { path, mode, node }, Work::Write);
            }
            Plan::WriteAttributes { path, changes } => self.write_attributes(cx, exchange, path, changes),
            Plan::Execute { path, .. } if own(&path) => self.execute_own(cx, exchange, &path),
            Plan::Execute { path, arguments } => {
                self.operate(cx, exchange, OperationKind::Execute { path, arguments }, Work::Execute);
            }
            Plan::Create { object, instance, resources } => {
                let kind = OperationKind::Create { object, instance, resources };
                self.operate(cx, exchange, kind, Work::Create { object });
            }
            Plan::Delete { path } => self.operate(cx, exchange, OperationKind::Delete { path }, Work::Delete),
            Plan::Receive { path, format, size, first, whole } => {
                let kind = OperationKind::Receive { path, format, size };
                let Some(id) = self.begin(cx, exchange, kind, Work::Receive { whole, last: false }) else { return };
                if !whole {
                    self.connection.peer().receive(cx.now, exchange, peer::Receive::Stream);
                }
                chunk(cx, id, first, whole);
            }
        }
    }

    /// Reads what is asked for; with a token, an observation begins.
    pub(super) fn read(
        &mut self,
        cx: &mut Context,
        exchange: ExchangeId,
        path: Path,
        accept: Option<ContentFormat>,
        observe: Option<Token>,
    ) {
        if path.object_id() == Some(server::OBJECT_ID) {
            return match self.own_content(&path) {
                Some(node) => self.answer_read(cx, exchange, path, accept, observe, node),
                None => self.respond(cx, exchange, Code::NOT_FOUND),
            };
        }
        self.operate(cx, exchange, OperationKind::Read { path }, Work::Read { path, accept, observe });
    }

    fn operate(&mut self, cx: &mut Context, exchange: ExchangeId, kind: OperationKind, work: Work) {
        let _ = self.begin(cx, exchange, kind, work);
    }

    /// Hands an operation to the application, unless its server has too many open.
    fn begin(
        &mut self,
        cx: &mut Context,
        exchange: ExchangeId,
        kind: OperationKind,
        work: Work,
    ) -> Option<OperationId> {
        if cx.operations.open(self.index) >= cx.settings.max_operations {
            self.respond(cx, exchange, Code::SERVICE_UNAVAILABLE);
            return None;
        }
        let id = cx.operations.insert(cx.now, Pending::new(self.index, Some(exchange), work));
        let operation = super::Operation { origin: Origin::Server(self.account.ssid), kind };
        cx.outputs.push_back(Item::Operation(id, operation));
        Some(id)
    }

    /// Update Trigger and Disable (LwM2M Core 1.1 Appendix E.2): the answer leaves first.
    fn execute_own(&mut self, cx: &mut Context, exchange: ExchangeId, path: &Path) {
        let reply = peer::Reply::new(Code::CHANGED);
        match path.resource_id() {
            Some(server::DISABLE) => {
                self.disabling = Some(exchange);
                self.connection.peer().respond(cx.now, exchange, reply.settle());
            }
            Some(server::BOOTSTRAP_REQUEST_TRIGGER) => {
                self.triggering = Some(exchange);
                self.connection.peer().respond(cx.now, exchange, reply.settle());
            }
            _ => {
                self.connection.peer().respond(cx.now, exchange, reply);
                self.update(cx);
            }
        }
    }

    /// An answer has reached its server, as far as can be known.
    fn settled(&mut self, cx: &mut Context, exchange: ExchangeId) {
        if self.disabling == Some(exchange) {
            self.disabling = None;
            self.disable(cx);
        } else if self.triggering == Some(exchange) {
            self.triggering = None;
            cx.bootstrap_wanted = Some(Cause::Wanted);
        } else if let Some(id) = cx.operations.by_exchange(self.index, exchange) {
            cx.operations.remove(id);
            cx.outputs.push_back(Item::Settled(id));
        }
    }

    /// A body ends before its time, or an answer could not be delivered.
    fn aborted(&mut self, cx: &mut Context, exchange: ExchangeId, why: peer::Abort) {
        if [self.disabling, self.triggering].contains(&Some(exchange)) {
            // The server does not know that it was heard, but it was: what it wants is done.
            return self.settled(cx, exchange);
        }
        let Some(id) = cx.operations.by_exchange(self.index, exchange) else { return };
        let Some(pending) = cx.operations.get_mut(id) else { return };
        if pending.phase == Phase::Settling {
            return self.settled(cx, exchange);
        }
        cx.operations.remove(id);
        let why = match why {
            peer::Abort::Restarted => Why::Restarted,
            peer::Abort::TimedOut => Why::TransferTimedOut,
            peer::Abort::TooLarge => Why::TooLarge,
            _ => Why::Unreachable,
        };
        cx.outputs.push_back(Item::Abort(id, why));
    }

    pub(super) fn respond(&mut self, cx: &Context, exchange: ExchangeId, code: Code) {
        self.connection.peer().respond(cx.now, exchange, peer::Reply::new(code));
    }

    /// The server is not served any more: its requests are dropped, its observations have ended.
    pub(super) fn end_service(&mut self, cx: &mut Context) {
        self.connection.peer().set_silent(true);
        self.forget_registration();
        self.disabling = None;
        if self.triggering.take().is_some() {
            cx.bootstrap_wanted = Some(Cause::Wanted);
        }
        while !self.observations.is_empty() {
            self.end_observation(cx, self.observations.len() - 1, None);
        }
        let open: Vec<OperationId> = cx.operations.of(self.index).map(|(id, _)| id).collect();
        for id in open {
            let Some(pending) = cx.operations.get_mut(id) else { continue };
            let exchange = pending.exchange.take();
            if let Some(exchange) = exchange {
                self.connection.peer().drop_exchange(exchange);
            }
            match (pending.phase, pending.work.is_mutation()) {
                (Phase::Late, true) => {}
                (Phase::Open, true) => {
                    pending.phase = Phase::Late;
                    cx.outputs.push_back(Item::Abort(id, Why::Unreachable));
                }
                // What waits for its answer to settle, such as a reboot, must not wait for ever.
                (Phase::Settling, _) => {
                    cx.operations.remove(id);
                    cx.outputs.push_back(Item::Settled(id));
                }
                _ => {
                    cx.operations.remove(id);
                    cx.outputs.push_back(Item::Abort(id, Why::Unreachable));
                }
            }
        }
    }

    /// A notification timed out: the server may be gone, and the standard has the client register anew.
    fn notified(&mut self, cx: &mut Context, notification: NotificationId, token: Token, outcome: Outcome) {
        let Some(index) = self.observations.iter().position(|observation| observation.token == token) else { return };
        match outcome {
            Outcome::Reset => self.end_observation(cx, index, None),
            Outcome::TimedOut => {
                let path = self.observations[index].path;
                cx.event(super::Event::NotificationLost { server: self.account.ssid, path });
                self.end_observation(cx, index, None);
                self.lost(cx, Loss::NotificationTimedOut);
            }
            _ => self.observations[index].settled(notification),
        }
    }
}

/// Hands a piece of a streamed body to the application.
fn chunk(cx: &mut Context, id: OperationId, bytes: Vec<u8>, last: bool) {
    if let Some(Pending { work: Work::Receive { last: ends, .. }, .. }) = cx.operations.get_mut(id) {
        *ends = last;
    }
    if last {
        // The body may take as long as it takes; from its end the application has the time of any operation.
        cx.operations.set_deadline(cx.now, id);
    }
    cx.outputs.push_back(Item::Chunk(id, bytes, last));
}

/// Whether a Discover of `path` shows multiple resources, whose instances only the application can count.
fn has_dimensions(cx: &Context, path: &Path) -> bool {
    let Some(object) = cx.tree.object(path) else { return false };
    let multiple = |id: &u16| object.definition.resource(*id).is_some_and(|resource| resource.multiple);
    match (path.instance_id(), path.resource_id()) {
        (Some(_), Some(resource)) => multiple(&resource),
        (Some(instance), None) => object.instances.get(&instance).is_some_and(|ids| ids.iter().any(multiple)),
        _ => object.instances.values().flatten().any(multiple),
    }
}
