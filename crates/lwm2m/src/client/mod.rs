//! The client engine: registration, device management and information reporting (LwM2M Core 1.1 section 6). Sans-IO.
//!
//! [`Client`] is fed datagrams, times, answers of the application and changes of its values, and polled for what is to be
//! done: after every call, poll [`Client::poll_output`] until it says [`Output::Wait`]. It reads no clock and opens no socket.
//! Everything that comes from a server may be hostile: it never fails for the caller.

mod arguments;
mod config;
mod event;
mod operation;
mod output;

pub use self::{
    arguments::{Arguments, ArgumentsError},
    config::{Config, ConfigError, LwM2mVersion, Notifications},
    event::{Command, Event, Failure, Loss},
    operation::{ErrorCode, Operation, OperationKind, Origin, Reply, StoreError, WriteMode},
    output::{FlowError, FlowEvent, FlowId, Last, Offset, OperationId, Output, PersistId, Reason, Target, Why},
};

use crate::{
    Now,
    account::{Saved, ServerAccount, ShortServerId},
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
    _todo: (),
}

#[allow(unused_variables)]
impl Client {
    /// A client that begins to register as soon as its tree is [declared](Client::declare).
    ///
    /// `seed` must be unpredictable: tokens, message IDs and times are drawn from it. `saved` is what earlier
    /// [`Output::Persist`] stored.
    ///
    /// # Errors
    /// As for [`Config::validate`].
    pub fn new(now: Now, config: Config, seed: [u8; 32], saved: Saved) -> Result<Client, ConfigError> {
        todo!()
    }

    /// A datagram came on a flow.
    pub fn handle_datagram(&mut self, now: Now, flow: FlowId, datagram: &[u8]) {
        todo!()
    }

    /// Something became of a flow.
    pub fn handle_flow(&mut self, now: Now, flow: FlowId, event: FlowEvent) {
        todo!()
    }

    /// Does what is due. Call at the time that [`Output::Wait`] gave; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Now) {
        todo!()
    }

    /// What the application offers from now on: objects, versions, instances and their resources. Objects 0 and 1 are
    /// the engine's own and passed over. A change of objects or instances is told to the servers by an Update.
    pub fn declare(&mut self, now: Now, tree: Tree) {
        todo!()
    }

    /// The application asks for something.
    pub fn command(&mut self, now: Now, command: Command) {
        todo!()
    }

    /// The end of an operation.
    pub fn complete(&mut self, now: Now, id: OperationId, reply: Result<Reply, ErrorCode>) {
        todo!()
    }

    /// A chunk of a streamed body is stored, or could not be: an error is answered and ends the operation. For the last chunk
    /// too; its operation's answer follows by [`Client::complete`].
    pub fn chunk_done(&mut self, now: Now, id: OperationId, result: Result<(), ErrorCode>) {
        todo!()
    }

    /// The bytes that [`Output::Pull`] asked for.
    pub fn supply(&mut self, now: Now, id: OperationId, offset: Offset, bytes: &[u8], last: Last) {
        todo!()
    }

    /// A record is durable, or could not be stored: then the change is refused with 5.00 and the old state stays.
    pub fn persisted(&mut self, now: Now, id: PersistId, result: Result<(), StoreError>) {
        todo!()
    }

    /// The value at `path` has changed; a path of an object or instance says that something below has. With `value`, for a
    /// single resource or a resource instance, no crossing of a threshold is missed and nothing needs to be read to notify
    /// those who observe just that; without, it is read when it is due. What nobody observes costs nothing.
    pub fn notify(&mut self, now: Now, path: Path, value: Option<Value>) {
        todo!()
    }

    /// The next thing to do. Datagrams and chunks are appended to `buffer` after it was cleared.
    pub fn poll_output<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Output<'a> {
        todo!()
    }

    /// The state of a server's registration.
    pub fn status(&self, server: ShortServerId) -> Option<Status> {
        todo!()
    }

    /// The accounts as they are now, with what servers have changed.
    pub fn accounts(&self) -> impl Iterator<Item = &ServerAccount> + '_ {
        [].iter()
    }
}
