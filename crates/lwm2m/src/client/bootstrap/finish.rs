//! Bootstrap-Finish: from what was staged to what is in force (LwM2M Core 1.1 sections 6.1.3.3 and 6.1.6).

use lapwing_coap::{
    Code,
    peer::{ExchangeId, Reply as Response},
};

use super::{Bootstrap, SESSION, attempt::Step};
use crate::{
    account::{Accounts, Purge, Stored},
    client::{
        ErrorCode, Event, Operation, OperationId, OperationKind, Origin, Reply, StoreError,
        context::{Context, Item},
        operations::{Pending, Work},
    },
};

impl Bootstrap {
    /// The bootstrap server says that it has written everything.
    pub(super) fn finish(&mut self, cx: &mut Context, exchange: ExchangeId) {
        let Some(attempt) = self.active() else { return };
        let Some(staging) = &attempt.staging else { return };
        match staging.accounts.accounts() {
            Ok(_) => self.apply(cx, exchange),
            Err(why) => {
                tracing::debug!(%why, "inconsistent");
                let text = why.to_string();
                attempt.respond(cx, exchange, Response::new(Code::NOT_ACCEPTABLE).body(text.as_bytes()));
                cx.event(Event::BootstrapInconsistent(why));
            }
        }
    }

    /// Has the application do the next thing of its part; after the last one the accounts are stored.
    fn apply(&mut self, cx: &mut Context, exchange: ExchangeId) {
        let Some(attempt) = self.active() else { return };
        let Some(staging) = &attempt.staging else { return };
        let Some(kind) = staging.operations(&cx.tree).pop_front() else { return self.store(cx, exchange) };
        let operation = cx.operations.insert(cx.now, Pending::new(SESSION, None, Work::Bootstrap));
        let path = match &kind {
            OperationKind::Create { object, instance, .. } => {
                crate::model::Path::object(*object).instance(instance.unwrap_or_default())
            }
            kind => kind.path(),
        };
        attempt.step = Step::Applying { exchange, operation, path };
        cx.outputs.push_back(Item::Operation(operation, Operation { origin: Origin::Bootstrap, kind }));
    }

    /// The application has done something, or could not.
    pub(in crate::client) fn applied(&mut self, cx: &mut Context, id: OperationId, reply: Result<Reply, ErrorCode>) {
        let Some(attempt) = self.active() else { return };
        let Step::Applying { exchange, operation, path } = attempt.step else { return };
        let Some(staging) = attempt.staging.as_mut().filter(|_| operation == id) else { return };
        let code = match reply {
            Ok(_) => None,
            // An instance that stands for a part of the device cannot go: it stays as /3/0 does.
            Err(ErrorCode::MethodNotAllowed) if staging.deletes(&path) => None,
            Err(ErrorCode::Internal | ErrorCode::Unavailable) => Some(Code::INTERNAL_SERVER_ERROR),
            Err(_) => Some(Code::NOT_ACCEPTABLE),
        };
        let Some(code) = code else {
            staging.applied(&path);
            return self.apply(cx, exchange);
        };
        let text = format!("{path} cannot be had so");
        attempt.step = Step::Open;
        attempt.respond(cx, exchange, Response::new(code).body(text.as_bytes()));
        cx.event(Event::BootstrapRefused(path));
    }

    /// Makes the new accounts durable, all in one.
    fn store(&mut self, cx: &mut Context, exchange: ExchangeId) {
        let generation = self.stored.generation.wrapping_add(1).max(1);
        let Some(attempt) = self.active() else { return };
        let Some(objects) = attempt.staging.as_ref().map(|staging| staging.accounts.clone()) else { return };
        // They were found consistent, and nothing was written since.
        let Ok(accounts) = objects.accounts() else { return };
        let purge = match (&accounts.bootstrap, cx.unix) {
            (Some(account), Some(now)) => match account.account_timeout {
                Some(timeout @ 1..) => Purge::At(now.as_secs() + u64::from(timeout)),
                _ => Purge::Never,
            },
            (Some(account), None) if account.account_timeout.unwrap_or_default() > 0 => Purge::Unknown,
            _ => Purge::Never,
        };
        let stored = Stored { generation, purge, objects };
        let id = cx.persist(stored.record());
        attempt.step = Step::Storing { exchange, id, next: Box::new((stored, accounts)) };
    }

    /// The new accounts are durable, or could not be stored: then the old ones stay, and the bootstrap server may try again.
    pub(super) fn stored(&mut self, cx: &mut Context, result: Result<(), StoreError>) {
        let Some(attempt) = self.active() else { return };
        let Step::Storing { exchange, next, .. } = std::mem::replace(&mut attempt.step, Step::Open) else { return };
        if result.is_err() {
            attempt.respond(cx, exchange, Response::new(Code::INTERNAL_SERVER_ERROR));
            if attempt.flow.is_none() {
                self.close(cx);
            }
            return;
        }
        attempt.leave(cx, exchange);
        if attempt.flow.is_none() {
            self.close(cx);
        }
        let (stored, Accounts { servers, bootstrap }) = *next;
        (self.stored, self.account, self.adopted) = (stored, bootstrap, Some(servers));
        self.backoff.reset();
        self.schedule_purge(cx);
        cx.bootstrap_offered = self.account.is_some();
        tracing::debug!(generation = self.stored.generation, "bootstrapped");
    }
}
