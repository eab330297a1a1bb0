//! The client engine: bootstrap, registration, device management and information reporting (LwM2M Core 1.1 section 6). Sans-IO.
//!
//! [`Client`] is fed datagrams, times, answers of the application and changes of its values, and polled for what is to be
//! done: after every call, poll [`Client::poll_output`] until it says [`Output::Wait`]. It reads no clock and opens no socket.
//! Everything that comes from a server may be hostile: it never fails for the caller.

mod adopt;
mod arguments;
mod association;
mod backoff;
mod bootstrap;
mod changes;
mod config;
mod context;
mod dispatch;
mod event;
mod notify;
mod observation;
mod operation;
mod operations;
mod output;
mod registration;
mod reply;
mod resume;
mod session;

pub use self::{
    arguments::{Arguments, ArgumentsError},
    config::{Config, ConfigError, DtlsParameters, LwM2mVersion, Notifications},
    event::{Command, Event, Failure, Loss},
    operation::{ErrorCode, Operation, OperationKind, Origin, Reply, StoreError, WriteMode},
    output::{FlowError, FlowEvent, FlowId, Last, Offset, OperationId, Output, PersistId, Reason, Target, Why},
};
pub use crate::connection::dtls_config;

use self::{
    bootstrap::{Bootstrap, Cause},
    context::{Context, Item},
    registration::Then,
    session::Session,
};
use crate::{
    Now,
    account::{BootstrapAccount, Saved, ServerAccount, ShortServerId},
    model::{Path, Tree, Value},
};

/// The state of one server's registration, see [`Client::status`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// An attempt to register is under way.
    Registering,
    /// The server has the registration.
    Registered,
    /// The next attempt waits for its time.
    Waiting,
    /// The server disabled the client for a while.
    Disabled,
    /// De-registered, or out of attempts: nothing happens by itself.
    Stopped,
}

/// An LwM2M client: all its servers, in one state machine.
pub struct Client {
    cx: Context,
    sessions: Vec<Session>,
    next_session: usize,
    bootstrap: Bootstrap,
    declared: bool,
    /// [`Command::Deregister`] was given: [`Event::Stopped`] is due when all sessions have.
    stopping: bool,
    /// [`Event::Stopped`] was given.
    stopped: bool,
}

impl Client {
    /// A client that begins to register as soon as its tree is [declared](Client::declare).
    ///
    /// `seed` must be unpredictable: tokens, message IDs and times are drawn from it. `saved` is what earlier
    /// [`Output::Persist`] stored.
    ///
    /// # Errors
    /// As for [`Config::validate`].
    pub fn new(now: Now, config: Config, seed: [u8; 32], saved: Saved) -> Result<Client, ConfigError> {
        config.validate()?;
        let mut cx = Context::new(now, &config, seed);
        let (bootstrap, servers) = Bootstrap::new(&mut cx, &config, &saved);
        let generation = bootstrap.generation();
        let mut client = Client {
            cx,
            sessions: Vec::new(),
            next_session: 0,
            bootstrap,
            declared: false,
            stopping: false,
            stopped: false,
        };
        for account in servers {
            client.begin(account, generation, saved.clone());
        }
        if !client.sessions.is_empty() {
            client.show_accounts();
        }
        Ok(client)
    }

    /// A datagram came on a flow.
    pub fn handle_datagram(&mut self, now: Now, flow: FlowId, datagram: &[u8]) {
        self.cx.at(now);
        if let Some(session) = self.sessions.iter_mut().find(|session| session.flow == Some(flow)) {
            session.handle_datagram(&mut self.cx, datagram);
        } else if self.bootstrap.has_flow(flow) {
            self.bootstrap.handle_datagram(&mut self.cx, &self.sessions, datagram);
        }
    }

    /// Something became of a flow.
    pub fn handle_flow(&mut self, now: Now, flow: FlowId, event: FlowEvent) {
        self.cx.at(now);
        if let Some(session) = self.sessions.iter_mut().find(|session| session.flow == Some(flow)) {
            session.handle_flow(&mut self.cx, event);
        } else if self.bootstrap.has_flow(flow) {
            self.bootstrap.handle_flow(&mut self.cx, &self.sessions, event);
        }
    }

    /// Does what is due. Call at the time that [`Output::Wait`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        self.cx.at(now);
        for session in &mut self.sessions {
            session.handle_timeout(&mut self.cx);
        }
        self.bootstrap.handle_timeout(&mut self.cx, &self.sessions);
        while let Some(id) = self.cx.operations.expired(self.cx.now) {
            self.expire(id);
        }
    }

    /// What the application offers from now on: objects, versions, instances and their resources. Objects 0 and 1 are
    /// the engine's own and passed over. A change of objects or instances is told to the servers by an Update.
    pub fn declare(&mut self, now: Now, tree: Tree) {
        self.cx.at(now);
        self.cx.declare(tree);
        let first = !std::mem::replace(&mut self.declared, true);
        for session in &mut self.sessions {
            session.declared(&mut self.cx);
            if first && !self.stopping {
                session.register(&mut self.cx);
            }
        }
        if first && !self.stopping && self.sessions.is_empty() {
            self.bootstrap.want(&mut self.cx, Cause::NoAccount);
        }
    }

    /// The application asks for something.
    pub fn command(&mut self, now: Now, command: Command) {
        self.cx.at(now);
        match command {
            Command::Deregister => (self.stopping, self.stopped) = (true, false),
            Command::Register => (self.stopping, self.stopped) = (false, false),
            Command::Update(_) | Command::Bootstrap | Command::NetworkChanged => {}
        }
        match command {
            Command::Deregister => self.bootstrap.stop(&mut self.cx),
            Command::Bootstrap if self.declared && !self.stopping => self.bootstrap.want(&mut self.cx, Cause::Wanted),
            Command::Register if self.declared && self.sessions.is_empty() => {
                self.bootstrap.want(&mut self.cx, Cause::NoAccount);
            }
            Command::NetworkChanged if !self.stopping => self.bootstrap.network_changed(&mut self.cx),
            _ => {}
        }
        for session in self.sessions.iter_mut().filter(|session| !session.retired) {
            match command {
                Command::Update(server) => {
                    if server.is_none_or(|server| server == session.account.ssid) {
                        session.update(&mut self.cx);
                    }
                }
                Command::Deregister => session.deregister(&mut self.cx, Then::Stop),
                Command::Register if self.declared => session.register(&mut self.cx),
                Command::NetworkChanged if self.declared && !self.stopping => session.network_changed(&mut self.cx),
                Command::Register | Command::Bootstrap | Command::NetworkChanged => {}
            }
        }
    }

    /// The end of an operation.
    pub fn complete(&mut self, now: Now, id: OperationId, reply: Result<Reply, ErrorCode>) {
        self.cx.at(now);
        match self.session_of(id) {
            Some(bootstrap::SESSION) => self.bootstrap.complete(&mut self.cx, id, reply),
            Some(index) => match self.sessions.iter_mut().find(|session| session.index == index) {
                Some(session) => session.complete(&mut self.cx, id, reply),
                // Its server has gone meanwhile.
                None => drop(self.cx.operations.remove(id)),
            },
            None => {}
        }
    }

    /// A chunk of a streamed body is stored, or could not be: an error is answered and ends the operation. For the last chunk
    /// too; its operation's answer follows by [`Client::complete`].
    pub fn chunk_done(&mut self, now: Now, id: OperationId, result: Result<(), ErrorCode>) {
        self.cx.at(now);
        if let Some(session) = self.session_for(id) {
            self.sessions[session].chunk_done(&mut self.cx, id, result);
        }
    }

    /// The bytes that [`Output::Pull`] asked for.
    pub fn supply(&mut self, now: Now, id: OperationId, offset: Offset, bytes: &[u8], last: Last) {
        self.cx.at(now);
        if let Some(session) = self.session_for(id) {
            self.sessions[session].supply(&mut self.cx, id, offset, bytes, last);
        }
    }

    /// A record is durable, or could not be stored: then a change is refused with 5.00 and the old state stays, and of a DTLS
    /// association no more record numbers are used than were reserved before.
    pub fn persisted(&mut self, now: Now, id: PersistId, result: Result<(), StoreError>) {
        self.cx.at(now);
        if let Some(session) = self.sessions.iter_mut().find(|session| session.is_storing(id)) {
            session.persisted(&mut self.cx, result);
        } else if let Some(session) = self.sessions.iter_mut().find(|session| session.is_reserving(id)) {
            session.reserved(&mut self.cx, result);
        } else if let Some(session) = self.sessions.iter_mut().find(|session| session.is_keeping(id)) {
            session.kept(&mut self.cx, result);
        } else if self.bootstrap.is_storing(id) {
            self.bootstrap.persisted(&mut self.cx, id, result);
        }
    }

    /// The value at `path` has changed; a path of an object or instance says that something below has. With `value`, for a
    /// single resource or a resource instance, no crossing of a threshold is missed and nothing needs to be read to notify
    /// those who observe just that; without, it is read when it is due. What nobody observes costs nothing.
    pub fn notify(&mut self, now: Now, path: Path, value: Option<Value>) {
        self.cx.at(now);
        for session in &mut self.sessions {
            session.notify(now.elapsed, path, value.as_ref());
        }
    }

    /// The next thing to do. What [`Output`] borrows stands in `buffer`, whose content is replaced.
    pub fn poll_output<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Output<'a> {
        buffer.clear();
        loop {
            if let Some(item) = self.cx.outputs.pop_front() {
                return output(item, buffer);
            }
            for session in &mut self.sessions {
                if let Some((flow, range)) = session.poll_transmit(&self.cx, buffer) {
                    return Output::Transmit(flow, &buffer[range]);
                }
            }
            if let Some((flow, range)) = self.bootstrap.poll_transmit(&self.cx, buffer) {
                return Output::Transmit(flow, &buffer[range]);
            }
            if !self.pump() {
                break;
            }
        }
        self.cx.trim();
        let operation = self.cx.operations.next_deadline().map(|due| (due, Reason::Operation));
        let bootstrap = self.bootstrap.poll_timeout(&self.cx);
        let sessions = self.sessions.iter().filter_map(Session::poll_timeout);
        let next = sessions.chain(operation).chain(bootstrap).min_by_key(|(due, _)| *due);
        next.map_or(Output::Wait(None, Reason::Idle), |(due, reason)| Output::Wait(Some(due), reason))
    }

    /// The state of a server's registration.
    pub fn status(&self, server: ShortServerId) -> Option<Status> {
        let mut current = self.sessions.iter().filter(|session| !session.retired);
        current.find(|session| session.account.ssid == server).map(Session::status)
    }

    /// The accounts as they are now: configured or bootstrapped, with what servers have changed.
    pub fn accounts(&self) -> impl Iterator<Item = &ServerAccount> + '_ {
        self.sessions.iter().filter(|session| !session.retired).map(|session| &session.account)
    }

    /// The account of the bootstrap server as it is now.
    pub fn bootstrap_account(&self) -> Option<&BootstrapAccount> {
        self.bootstrap.account()
    }

    /// Does what earlier calls have caused. Returns whether there was anything.
    fn pump(&mut self) -> bool {
        let mut busy = false;
        for session in &mut self.sessions {
            busy |= session.pump(&mut self.cx);
        }
        busy |= self.pump_bootstrap();
        if std::mem::take(&mut self.cx.observed_changed) {
            let mut paths: Vec<Path> = self
                .sessions
                .iter()
                .flat_map(|session| &session.observations)
                .map(|observation| observation.path)
                .collect();
            paths.sort_unstable();
            paths.dedup();
            self.cx.event(Event::Observed(paths));
            busy = true;
        }
        let is_quiet = self.bootstrap.is_idle() && self.sessions.iter().all(Session::is_stopped);
        if self.stopping && !self.stopped && is_quiet {
            self.stopped = true;
            self.cx.event(Event::Stopped);
            busy = true;
        }
        busy
    }

    /// Does what the bootstrap server, or a want of it, has caused.
    fn pump_bootstrap(&mut self) -> bool {
        let mut busy = self.bootstrap.pump(&mut self.cx, &self.sessions);
        for server in self.cx.registered.drain(..) {
            self.bootstrap.registered(server);
        }
        if let Some(cause) = self.cx.bootstrap_wanted.take()
            && !self.stopping
        {
            self.bootstrap.want(&mut self.cx, cause);
            busy = true;
        }
        self.cx.bootstrapping = self.bootstrap.is_open();
        if let Some(accounts) = self.bootstrap.take_adopted() {
            self.adopt(accounts);
            busy = true;
        }
        if !self.cx.accounts_shown {
            self.show_accounts();
        }
        self.bury();
        busy
    }

    /// An operation was not answered in time.
    fn expire(&mut self, id: OperationId) {
        match self.session_for(id) {
            Some(session) => self.sessions[session].complete_late(&mut self.cx, id),
            None => {
                self.cx.abandon(id);
                self.bootstrap.applied(&mut self.cx, id, Err(ErrorCode::Unavailable));
            }
        }
    }

    /// Where the session of an operation stands.
    fn session_for(&mut self, id: OperationId) -> Option<usize> {
        let index = self.session_of(id)?;
        self.sessions.iter().position(|session| session.index == index)
    }

    /// Which session an operation belongs to.
    fn session_of(&mut self, id: OperationId) -> Option<usize> {
        self.cx.operations.get_mut(id).map(|pending| pending.session)
    }
}

fn output(item: Item, buffer: &mut Vec<u8>) -> Output<'_> {
    match item {
        Item::Open(flow, target) => Output::Open(flow, target),
        Item::Transmit(flow, datagram) => {
            *buffer = datagram;
            Output::Transmit(flow, buffer)
        }
        Item::Close(flow) => Output::Close(flow),
        Item::Operation(id, operation) => Output::Operation(id, operation),
        Item::Chunk(id, bytes, last) => {
            *buffer = bytes;
            Output::Chunk(id, buffer, last)
        }
        Item::Pull(id, offset, length) => Output::Pull(id, offset, length),
        Item::Abort(id, why) => Output::Abort(id, why),
        Item::Settled(id) => Output::Settled(id),
        Item::Persist(id, record) => Output::Persist(id, record),
        Item::Event(event) => Output::Event(event),
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let states = self.sessions.iter().map(|session| (session.account.ssid, session.status()));
        f.debug_struct("Client")
            .field("endpoint", &self.cx.settings.endpoint)
            .field("servers", &states.collect::<Vec<_>>())
            .finish()
    }
}
