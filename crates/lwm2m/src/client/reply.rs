//! Answers: what the application, or the engine itself, has to say to a request.

use std::collections::BTreeMap;

use lapwing_coap::{
    Code, ContentFormat, Token,
    peer::{self, ExchangeId},
};

use super::{
    ErrorCode, LwM2mVersion, Offset, OperationId, Reply, Why,
    context::{Context, Item},
    observation::Observation,
    operations::{Phase, Work},
    session::Session,
};
use crate::{
    definitions::server,
    format,
    model::{Instances, Level, Node, Path, Resource, ResourceInstanceId, Tree},
};

impl Session {
    /// The application has answered.
    pub(super) fn complete(&mut self, cx: &mut Context, id: OperationId, reply: Result<Reply, ErrorCode>) {
        let Some(pending) = cx.operations.get_mut(id) else { return };
        let (exchange, phase, work) = (pending.exchange, pending.phase, pending.work.clone());
        if phase == Phase::Late {
            tracing::info!(
                server = self.account.ssid,
                operation = id.0,
                success = reply.is_ok(),
                "a mutation ended late"
            );
            cx.operations.remove(id);
        }
        if phase != Phase::Open {
            return;
        }
        if let Work::Notify { token } = work {
            cx.operations.remove(id);
            return self.observed_read(cx, token, reply);
        }
        let Some(exchange) = exchange else { return };
        match (work, reply) {
            (Work::Execute, Ok(Reply::Done)) => {
                cx.operations.set_phase(id, Phase::Settling);
                self.connection.peer().respond(cx.now, exchange, peer::Reply::new(Code::CHANGED).settle());
            }
            (Work::Read { .. }, Ok(Reply::Stream { size, etag })) => {
                cx.operations.set_phase(id, Phase::Serving);
                let head = peer::Reply::new(Code::CONTENT).content_format(ContentFormat::OPAQUE).etag(&etag).settle();
                self.connection.peer().respond_streamed(cx.now, exchange, head, size);
            }
            (work, reply) => {
                cx.operations.remove(id);
                self.answer(cx, exchange, work, reply);
            }
        }
    }

    /// The application took too long: its server is told, a read is dropped, a mutation runs to its end.
    pub(super) fn complete_late(&mut self, cx: &mut Context, id: OperationId) {
        let Some(pending) = cx.operations.get_mut(id) else { return };
        let exchange = pending.exchange.take();
        cx.outputs.push_back(Item::Abort(id, Why::Deadline));
        if pending.work.is_mutation() {
            pending.phase = Phase::Late;
        } else if let Some(Work::Notify { token }) = cx.operations.remove(id).map(|pending| pending.work) {
            self.observed_read(cx, token, Err(ErrorCode::Unavailable));
        }
        if let Some(exchange) = exchange {
            self.respond(cx, exchange, Code::SERVICE_UNAVAILABLE);
        }
    }

    fn answer(&mut self, cx: &mut Context, exchange: ExchangeId, work: Work, reply: Result<Reply, ErrorCode>) {
        match (work, reply) {
            (_, Err(error)) => self.respond(cx, exchange, error.code()),
            (Work::Read { path, accept, observe }, Ok(Reply::Content(node))) => {
                self.answer_read(cx, exchange, path, accept, observe, node);
            }
            (Work::Write | Work::Receive { .. }, Ok(Reply::Done)) => self.respond(cx, exchange, Code::CHANGED),
            (Work::Delete, Ok(Reply::Done)) => self.respond(cx, exchange, Code::DELETED),
            (Work::Create { object }, Ok(Reply::Created(instance))) => {
                let (object, instance) = (object.to_string(), instance.to_string());
                let location = [object.as_str(), instance.as_str()];
                let reply = peer::Reply::new(Code::CREATED).location(&location);
                self.connection.peer().respond(cx.now, exchange, reply);
            }
            (Work::Discover { path }, Ok(Reply::Dimensions(dimensions))) => {
                self.answer_discover(cx, exchange, path, dimensions.into_iter().collect());
            }
            (work, Ok(reply)) => {
                tracing::error!(?work, ?reply, "an operation was answered with something else than it asks for");
                self.respond(cx, exchange, Code::INTERNAL_SERVER_ERROR);
            }
        }
    }

    /// Answers a Read; with a token, an observation begins.
    pub(super) fn answer_read(
        &mut self,
        cx: &mut Context,
        exchange: ExchangeId,
        path: Path,
        accept: Option<ContentFormat>,
        observe: Option<Token>,
        mut node: Node,
    ) {
        let format = match encode(cx, &path, accept, &mut node) {
            Ok(format) => format,
            Err(code) => return self.respond(cx, exchange, code),
        };
        let reply = peer::Reply::new(Code::CONTENT).content_format(format).body(&cx.scratch).observe(observe.is_some());
        self.connection.peer().respond(cx.now, exchange, reply);
        if let Some(token) = observe
            && self.connection.peer().is_observing(token)
        {
            let mut observation = Observation::new(cx.now, token, path, accept, cx.is_numeric(&path), &node);
            observation.set_attributes(&self.effective(&path));
            self.observations.push(observation);
            cx.observed_changed = true;
        }
    }

    /// Answers a Discover with the attributes that this server has set.
    pub(super) fn answer_discover(
        &mut self,
        cx: &mut Context,
        exchange: ExchangeId,
        path: Path,
        instances: BTreeMap<Path, Vec<ResourceInstanceId>>,
    ) {
        let lwm2m = cx.settings.version.version();
        let mut entries = format::link::discover(&path, lwm2m, &cx.tree, &self.attributes, &instances);
        if path.object_id() == Some(server::OBJECT_ID) {
            entries.retain(|entry| entry.path.instance_id().is_none_or(|instance| instance == self.instance));
        }
        cx.scratch.clear();
        format::link::emit_discover(&entries, lwm2m, &mut cx.scratch);
        let reply = peer::Reply::new(Code::CONTENT).content_format(ContentFormat::LINK_FORMAT).body(&cx.scratch);
        self.connection.peer().respond(cx.now, exchange, reply);
    }

    /// What the server reads of its own account; `None` for an optional resource that is not set.
    pub(super) fn own_content(&self, path: &Path) -> Option<Node> {
        Some(match path.level() {
            Level::Resource => Node::single(self.account.value(path.resource_id()?)?),
            Level::Instance => Node::Instance(self.account.content()),
            _ => Node::Object(Instances::from([(self.instance, self.account.content())])),
        })
    }

    pub(super) fn chunk_done(&mut self, cx: &mut Context, id: OperationId, result: Result<(), ErrorCode>) {
        let Some(pending) = cx.operations.get_mut(id) else { return };
        let (Work::Receive { whole, last }, Some(exchange)) = (&pending.work, pending.exchange) else { return };
        match result {
            Ok(()) if *whole || *last => {}
            Ok(()) => self.connection.peer().chunk_done(cx.now, exchange, Ok(())),
            Err(error) => {
                cx.operations.remove(id);
                self.respond(cx, exchange, error.code());
            }
        }
    }

    pub(super) fn supply(&mut self, cx: &mut Context, id: OperationId, offset: Offset, bytes: &[u8], last: bool) {
        let Some(pending) = cx.operations.get_mut(id) else { return };
        if let (Phase::Serving, Some(exchange)) = (pending.phase, pending.exchange) {
            self.connection.peer().supply(cx.now, exchange, offset, bytes, last);
        }
    }
}

/// Encodes content into the scratch buffer, in the format asked for or else in the path's default one.
pub(super) fn encode(
    cx: &mut Context,
    path: &Path,
    accept: Option<ContentFormat>,
    node: &mut Node,
) -> Result<ContentFormat, Code> {
    let object = cx.tree.object(path).ok_or(Code::NOT_FOUND)?;
    let format = accept.unwrap_or_else(|| format::default_for(path, &object.definition));
    if cx.settings.version == LwM2mVersion::V1_0 && node.level() == path.level() {
        leave_out_what_is_not_offered(&cx.tree, path, node);
    }
    cx.scratch.clear();
    format::encode(format, path, node, &mut cx.scratch).map_err(|error| error.code())?;
    Ok(format)
}

/// The application knows the newer version of an object, the server of LwM2M 1.0 only the old one.
fn leave_out_what_is_not_offered(tree: &Tree, path: &Path, node: &mut Node) {
    let retain = |instance: &Path, resources: &mut std::collections::BTreeMap<u16, Resource>| {
        resources.retain(|&id, _| tree.has(&instance.resource(id)));
    };
    match node {
        Node::Instance(resources) => retain(path, resources),
        Node::Object(instances) => {
            instances.iter_mut().for_each(|(&id, resources)| retain(&path.instance(id), resources))
        }
        Node::Value(_) | Node::Resource(_) => {}
    }
}
