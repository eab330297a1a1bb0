//! Changes that a server makes to what the engine itself keeps: its account and its attributes. Each is made durable before
//! it counts and is acknowledged, one at a time.

use std::collections::VecDeque;

use lapwing_coap::{Code, peer::ExchangeId};

use super::{PersistId, StoreError, WriteMode, context::Context, session::Session};
use crate::{
    account::ServerAccount,
    attributes::{self, AttributeTable},
    definitions::server,
    model::{Instance, Node, Path},
};

/// Paths with attributes that one server may have. Instances of resources are paths, too, and only the application knows which
/// of 65,535 there are.
const MAX_ATTRIBUTES: usize = 1_024;

/// The changes that wait, the first of which may be on its way to the disk.
#[derive(Default)]
pub(super) struct Changes {
    queue: VecDeque<Change>,
    storing: Option<(PersistId, State)>,
}

struct Change {
    exchange: ExchangeId,
    kind: Kind,
}

enum Kind {
    Account { content: Instance, replace: bool },
    Attributes { path: Path, changes: attributes::Changes },
}

/// What is to count once it is durable.
enum State {
    Account(Box<ServerAccount>),
    Attributes(AttributeTable),
}

impl Session {
    pub(super) fn write_account(
        &mut self,
        cx: &mut Context,
        exchange: ExchangeId,
        path: Path,
        mode: WriteMode,
        node: Node,
    ) {
        let (content, replace) = match (node, path.resource_id()) {
            (Node::Instance(content), _) => (content, mode == WriteMode::Replace),
            (Node::Resource(resource), Some(id)) => (Instance::from([(id, resource)]), false),
            _ => return self.respond(cx, exchange, Code::BAD_REQUEST),
        };
        if cx.bootstrapping {
            // The bootstrap server works on the account as it was when the bootstrap began.
            return self.respond(cx, exchange, Code::SERVICE_UNAVAILABLE);
        }
        self.change(cx, Change { exchange, kind: Kind::Account { content, replace } });
    }

    pub(super) fn write_attributes(
        &mut self,
        cx: &mut Context,
        exchange: ExchangeId,
        path: Path,
        changes: attributes::Changes,
    ) {
        self.change(cx, Change { exchange, kind: Kind::Attributes { path, changes } });
    }

    fn change(&mut self, cx: &mut Context, change: Change) {
        self.changes.queue.push_back(change);
        self.next_change(cx);
    }

    /// Begins to store the next change that changes anything; what does not is answered.
    fn next_change(&mut self, cx: &mut Context) {
        while self.changes.storing.is_none()
            && let Some(change) = self.changes.queue.front()
        {
            let exchange = change.exchange;
            let (state, record) = match self.changed(cx, &change.kind) {
                Ok(Some(State::Account(account))) => {
                    let record = account.record(&self.configured, self.generation);
                    (State::Account(account), record)
                }
                Ok(Some(State::Attributes(table))) => {
                    let record = self.account.attributes_record(&table);
                    (State::Attributes(table), record)
                }
                refused_or_nothing => {
                    self.changes.queue.pop_front();
                    self.respond(cx, exchange, refused_or_nothing.err().unwrap_or(Code::CHANGED));
                    continue;
                }
            };
            self.changes.storing = Some((cx.persist(record), state));
        }
    }

    /// What a change leads to; `None` if to nothing new.
    fn changed(&self, cx: &Context, kind: &Kind) -> Result<Option<State>, Code> {
        match kind {
            Kind::Account { content, replace } => {
                let account = self.account.written(content, *replace)?;
                Ok((account != self.account).then(|| State::Account(Box::new(account))))
            }
            Kind::Attributes { path, changes } => {
                let object = cx.tree.object(path).ok_or(Code::NOT_FOUND)?;
                let mut table = self.attributes.clone();
                table.write(*path, changes, &object.definition).map_err(|_| Code::BAD_REQUEST)?;
                if table.len() > MAX_ATTRIBUTES {
                    return Err(Code::SERVICE_UNAVAILABLE);
                }
                Ok((table != self.attributes).then_some(State::Attributes(table)))
            }
        }
    }

    /// Whether this session waits for that record.
    pub(super) fn is_storing(&self, id: PersistId) -> bool {
        self.changes.storing.as_ref().is_some_and(|(storing, _)| *storing == id)
    }

    pub(super) fn persisted(&mut self, cx: &mut Context, result: Result<(), StoreError>) {
        let Some((_, state)) = self.changes.storing.take() else { return };
        let Some(change) = self.changes.queue.pop_front() else { return };
        match (result, state) {
            (Err(StoreError), _) => self.respond(cx, change.exchange, Code::INTERNAL_SERVER_ERROR),
            (Ok(()), State::Account(account)) => {
                self.respond(cx, change.exchange, Code::CHANGED);
                self.take_account(cx, *account);
            }
            (Ok(()), State::Attributes(table)) => {
                self.respond(cx, change.exchange, Code::CHANGED);
                self.attributes = table;
                self.refresh_attributes();
            }
        }
        self.next_change(cx);
    }

    /// The account as a bootstrap left it. A change that is still on its way to the disk was made to the one before.
    pub(super) fn reconfigure(&mut self, cx: &mut Context, account: ServerAccount, generation: u32) {
        self.changes.storing = None;
        for change in std::mem::take(&mut self.changes.queue) {
            self.respond(cx, change.exchange, Code::SERVICE_UNAVAILABLE);
        }
        self.generation = generation;
        self.configured = account.clone();
        self.instance = account.instance.unwrap_or(self.instance);
        self.replace_account(cx, account);
    }

    fn take_account(&mut self, cx: &mut Context, account: ServerAccount) {
        self.replace_account(cx, account);
        self.update_if_changed(cx);
    }

    fn replace_account(&mut self, cx: &mut Context, account: ServerAccount) {
        let before = std::mem::replace(&mut self.account, account);
        cx.show_account(self.instance, &self.account);
        let path = Path::object(server::OBJECT_ID).instance(self.instance);
        for id in server::SHORT_SERVER_ID..=server::REGISTRATION_UPDATE_TRIGGER {
            let value = self.account.value(id);
            if value != before.value(id) {
                self.notify(cx.now, path.resource(id), value.as_ref());
            }
        }
        // The default periods count for every observation without its own.
        self.refresh_attributes();
    }
}
