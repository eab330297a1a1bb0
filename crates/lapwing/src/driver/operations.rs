use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lapwing_lwm2m::Now;
use lapwing_lwm2m::client::{self, Client, ErrorCode, OperationId, OperationKind, Reply, Why, WriteMode};
use lapwing_lwm2m::model::{Instance, Level, Node, ObjectId, Path, Resource};

use super::objects::{Asked, Objects};
use super::signal::Signal;
use super::tasks::Tasks;
use crate::object::{After, Error, Feed, Mutation, Outcome, Result, Task, WriteSet};

/// What operations work on and report to.
pub(super) struct Sides<'a> {
    pub(super) engine: &'a mut Client,
    pub(super) objects: &'a mut Objects,
    pub(super) now: Now,
}

/// What servers want of the objects, all beside each other but for the mutations of one object.
pub(super) struct Operations {
    tasks: Tasks<Running>,
    /// What executed resources left for the time when their answers have settled.
    after: Vec<(OperationId, After)>,
    /// Objects whose mutation has ended: the next may begin.
    turns: Vec<ObjectId>,
}

enum Running {
    Operation(Operation),
    After(Pin<Box<dyn Future<Output = ()> + Send>>),
}

struct Operation {
    asked: Asked,
    path: Path,
    kind: Kind,
    /// The engine has given it up: its answer goes nowhere.
    aborted: bool,
    task: Task,
}

enum Kind {
    Read,
    Measure,
    Mutation(Touched),
    Receive(Feed),
}

/// What a mutation changes if it succeeds.
enum Touched {
    Values(Vec<Path>),
    Instances,
    Unknown,
}

impl Operations {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self { tasks: Tasks::new(signal), after: Vec::new(), turns: Vec::new() }
    }

    /// Begins an operation; it may end at once.
    pub(super) fn begin(&mut self, sides: &mut Sides<'_>, id: OperationId, operation: client::Operation) {
        let path = operation.kind.path();
        let span = tracing::debug_span!("server", ssid = %operation.origin.server());
        let asked = Asked { id, span: span.in_scope(|| tracing::debug_span!("operation", ?id, %path)) };
        let Some(entry) = sides.objects.get(&path) else {
            return sides.engine.complete(sides.now, id, Err(ErrorCode::NotFound));
        };
        let (kind, task) = match operation.kind {
            OperationKind::Read { path } => (Kind::Read, entry.read(path)),
            OperationKind::Discover { path } => (Kind::Measure, Arc::clone(&entry.object).measure(path)),
            OperationKind::Receive { path, format, size } => {
                let (feed, body) = Feed::new(format, size);
                (Kind::Receive(feed), Arc::clone(&entry.object).receive(path, body))
            }
            mutation => {
                let Some(mutation) = as_mutation(mutation) else {
                    return sides.engine.complete(sides.now, id, Err(ErrorCode::NotImplemented));
                };
                entry.waiting.push_back((asked, mutation));
                if !entry.mutating {
                    self.turns.extend(path.object_id());
                }
                return self.take_turns(sides);
            }
        };
        self.start(sides, asked, path, kind, task);
        self.take_turns(sides);
    }

    /// Goes on with all that were woken, once each.
    pub(super) fn poll(&mut self, sides: &mut Sides<'_>) {
        let mut turns = self.tasks.woken();
        while let Some((running, result)) = self.tasks.poll_woken(&mut turns, |running, cx| running.poll(cx, sides)) {
            self.end(sides, running, result);
        }
        self.take_turns(sides);
    }

    /// A block of a streamed body has come.
    pub(super) fn chunk(&mut self, id: OperationId, bytes: &[u8], last: bool) {
        if let Some(Running::Operation(Operation { kind: Kind::Receive(feed), .. })) = self.find(id) {
            feed.give(bytes, last);
        }
    }

    /// The engine gives an operation up.
    pub(super) fn abort(&mut self, sides: &mut Sides<'_>, id: OperationId, why: Why) {
        tracing::debug!(?id, ?why, "operation given up");
        if sides.objects.forget_waiting(id) {
            // The server was told that it was not done, so it must not be done later.
            sides.engine.complete(sides.now, id, Err(ErrorCode::Unavailable));
        }
        let droppable = match self.find(id) {
            Some(Running::Operation(operation)) => {
                operation.aborted = true;
                if let Kind::Receive(feed) = &operation.kind {
                    feed.abort();
                }
                matches!(operation.kind, Kind::Read | Kind::Measure)
            }
            _ => false,
        };
        if droppable {
            self.tasks.remove(|running| running.is(id));
        }
        self.settled(sides, id);
    }

    /// An answer has reached its server as far as can be known.
    pub(super) fn settled(&mut self, sides: &mut Sides<'_>, id: OperationId) {
        if let Some(index) = self.after.iter().position(|(waiting, _)| *waiting == id) {
            let (_, after) = self.after.swap_remove(index);
            self.run_after(sides, after);
        }
    }

    fn run_after(&mut self, sides: &mut Sides<'_>, after: After) {
        if let Some(future) = after.into_future() {
            self.tasks.start(Running::After(future), |running, cx| running.poll(cx, sides));
        }
    }

    fn find(&mut self, id: OperationId) -> Option<&mut Running> {
        self.tasks.find(|running| running.is(id))
    }

    fn take_turns(&mut self, sides: &mut Sides<'_>) {
        while let Some(object) = self.turns.pop() {
            let Some(entry) = sides.objects.get(&Path::object(object)) else { continue };
            entry.mutating = false;
            if let Some((asked, mutation)) = entry.waiting.pop_front() {
                entry.mutating = true;
                let (path, touched) = touched_by(object, &mutation);
                let task = Arc::clone(&entry.object).mutate(mutation);
                self.start(sides, asked, path, Kind::Mutation(touched), task);
            }
        }
    }

    fn start(&mut self, sides: &mut Sides<'_>, asked: Asked, path: Path, kind: Kind, task: Task) {
        let running = Running::Operation(Operation { asked, path, kind, aborted: false, task });
        if let Some((running, result)) = self.tasks.start(running, |running, cx| running.poll(cx, sides)) {
            self.end(sides, running, result);
        }
    }

    fn end(&mut self, sides: &mut Sides<'_>, running: Running, result: Option<Result<Outcome>>) {
        let (Running::Operation(operation), Some(mut result)) = (running, result) else { return };
        let Operation { asked: Asked { id, span }, path, kind, aborted, task } = operation;
        let _entered = span.enter();
        let mut touched = Touched::Unknown;
        match kind {
            Kind::Read => {
                if let Some(entry) = sides.objects.get(&path) {
                    entry.recycle(task);
                }
            }
            Kind::Measure => {}
            Kind::Receive(feed) => match result {
                Ok(_) if aborted => {}
                Ok(_) if feed.is_complete() => sides.engine.chunk_done(sides.now, id, Ok(())),
                Ok(_) => result = Err(Error::internal("the object did not take the whole body")),
                Err(_) => {}
            },
            Kind::Mutation(changes) => {
                self.turns.extend(path.object_id());
                touched = changes;
            }
        }
        if let Err(error) = &result {
            match error {
                Error::Internal(_) => tracing::warn!(%path, %error, "an object failed"),
                _ => tracing::debug!(%error, "refused"),
            }
        }
        let succeeded = result.is_ok();
        let reply = self.reply(sides, id, aborted, result);
        if aborted {
            tracing::info!(%path, ?reply, "ended too late for its answer");
        }
        sides.engine.complete(sides.now, id, reply);
        if succeeded {
            tell(sides, path, touched);
        }
    }

    fn reply(
        &mut self,
        sides: &mut Sides<'_>,
        id: OperationId,
        aborted: bool,
        result: Result<Outcome>,
    ) -> Result<Reply, ErrorCode> {
        Ok(match result.map_err(|error| error.code())? {
            Outcome::Content(node) => Reply::Content(node),
            Outcome::Dimensions(dimensions) => Reply::Dimensions(dimensions),
            Outcome::Changed => Reply::Done,
            Outcome::Created(instance) => Reply::Created(instance),
            Outcome::Executed(after) => {
                if aborted {
                    self.run_after(sides, after);
                } else {
                    self.after.push((id, after));
                }
                Reply::Done
            }
        })
    }
}

impl Running {
    fn is(&self, id: OperationId) -> bool {
        matches!(self, Running::Operation(operation) if operation.asked.id == id)
    }

    fn poll(&mut self, cx: &mut Context<'_>, sides: &mut Sides<'_>) -> Poll<Option<Result<Outcome>>> {
        match self {
            Running::After(future) => future.as_mut().poll(cx).map(|()| None),
            Running::Operation(operation) => {
                let _entered = operation.asked.span.enter();
                let result = operation.task.poll(cx);
                if let Kind::Receive(feed) = &operation.kind
                    && feed.take_stored()
                {
                    sides.engine.chunk_done(sides.now, operation.asked.id, Ok(()));
                }
                result.map(Some)
            }
        }
    }
}

/// Tells the engine what a mutation has changed.
fn tell(sides: &mut Sides<'_>, path: Path, touched: Touched) {
    match touched {
        Touched::Unknown => {}
        Touched::Values(paths) => paths.into_iter().for_each(|path| sides.engine.notify(sides.now, path, None)),
        Touched::Instances => {
            sides.engine.declare(sides.now, sides.objects.tree());
            sides.engine.notify(sides.now, path.up_to(Level::Object), None);
        }
    }
}

/// Where a mutation takes place, and what it changes.
fn touched_by(object: ObjectId, mutation: &Mutation) -> (Path, Touched) {
    let object = Path::object(object);
    match mutation {
        Mutation::Write(set) => {
            let resource = |write: crate::Write<'_>| object.instance(write.instance).resource(write.resource);
            let replaced = set.replaced().map(|instance| object.instance(instance));
            (object, Touched::Values(set.iter().map(resource).chain(replaced).collect()))
        }
        Mutation::Execute { instance, resource, .. } => {
            (object.instance(*instance).resource(*resource), Touched::Unknown)
        }
        Mutation::Create { .. } => (object, Touched::Instances),
        Mutation::Delete { instance } => (object.instance(*instance), Touched::Instances),
    }
}

/// What the engine wants, as an object is told it; `None` for what this version does not know.
fn as_mutation(operation: OperationKind) -> Option<Mutation> {
    match operation {
        OperationKind::Write { path, mode, node } => write_set(&path, mode, node).map(Mutation::Write),
        OperationKind::Execute { path, arguments } => {
            let (instance, resource) = (path.instance_id()?, path.resource_id()?);
            Some(Mutation::Execute { instance, resource, arguments })
        }
        OperationKind::Create { instance, resources, .. } => Some(Mutation::Create { instance, values: resources }),
        OperationKind::Delete { path } => Some(Mutation::Delete { instance: path.instance_id()? }),
        _ => None,
    }
}

fn write_set(path: &Path, mode: WriteMode, node: Node) -> Option<WriteSet> {
    let instance = path.instance_id()?;
    match (node, path.resource_id(), path.resource_instance_id()) {
        (Node::Instance(values), None, _) => Some(WriteSet::new(instance, mode, true, values)),
        (Node::Resource(value), Some(resource), None) => {
            Some(WriteSet::new(instance, mode, false, Instance::from([(resource, value)])))
        }
        // The other instances of the resource stay, whatever the method.
        (Node::Value(value), Some(resource), Some(id)) => {
            let value = Resource::multiple([(id, value)]);
            Some(WriteSet::new(instance, WriteMode::Update, false, Instance::from([(resource, value)])))
        }
        _ => None,
    }
}
