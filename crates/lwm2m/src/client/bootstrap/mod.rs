//! Bootstrap: how a client comes by its accounts (LwM2M Core 1.1 section 6.1).
//!
//! [`Bootstrap`] says when the bootstrap server is asked; an [`attempt`] is one conversation with it. What it writes is
//! [staged](staging), and counts only when its Finish finds it consistent: then the application's objects take their part,
//! the accounts become durable in one record, the Finish is answered, and the sessions follow.

mod attempt;
mod discover;
pub(super) mod fallback;
mod finish;
mod operations;
mod staging;

use std::{ops::Range, time::Duration};

use self::attempt::{Attempt, Step};
use super::{
    Config, ErrorCode, Event, Failure, FlowEvent, FlowId, OperationId, PersistId, Reason, Reply, StoreError,
    backoff::Backoff, context::Context, session::Session,
};
use crate::account::{
    self, AccountObjects, BootstrapAccount, Purge, Retry, Saved, ServerAccount, ShortServerId, Stored,
};

/// The session that the operations of a bootstrap belong to.
pub(super) const SESSION: usize = usize::MAX;

/// How long after a failure to store it the removal of the bootstrap account is tried again.
const PURGE_AGAIN: Duration = Duration::from_secs(5 * 60);

/// Why the bootstrap server is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// There is no account of a server.
    NoAccount,
    /// This server cannot be registered with.
    Unregistered(ShortServerId),
    /// A server (1/x/9) or the application wants it.
    Wanted,
}

/// The accounts, and where a bootstrap stands.
pub(super) struct Bootstrap {
    /// The account of the bootstrap server.
    account: Option<BootstrapAccount>,
    /// All accounts as they were configured, or as the last bootstrap left them.
    stored: Stored,
    state: State,
    /// Delays the next attempt after one that failed, while no server is left to go on with.
    backoff: Backoff,
    /// Delays a fallback after one that did not lead to a registration.
    pace: Backoff,
    pause: Duration,
    /// When the account of the bootstrap server is forgotten (0/x/12).
    purge_at: Option<Duration>,
    purging: Option<PersistId>,
    /// What the sessions have to follow.
    adopted: Option<Vec<ServerAccount>>,
}

enum State {
    Idle,
    /// The bootstrap server is asked then, after the hold-off time or a delay.
    Waiting {
        until: Duration,
        why: Why,
    },
    Active(Box<Attempt>),
}

/// Why the bootstrap server is not asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    HoldOff(Cause),
    /// The last attempt has failed, and no server is left to go on with.
    Retry,
}

impl Bootstrap {
    /// The accounts that were stored, or else those of the configuration, and the bootstrap that may replace them.
    pub(super) fn new(cx: &mut Context, config: &Config, saved: &Saved) -> (Bootstrap, Vec<ServerAccount>) {
        let stored = Stored::load(saved);
        match &stored {
            None => {}
            Some(_) if config.reset_accounts => {
                cx.persist(account::Record::new(account::RecordKey::Accounts, Vec::new()));
                cx.event(Event::AccountsUsed { stored: false });
            }
            Some(Ok(_)) => cx.event(Event::AccountsUsed { stored: true }),
            Some(Err(_)) => {
                cx.event(Event::AccountsDamaged);
                cx.event(Event::AccountsUsed { stored: false });
            }
        }
        let stored = stored.and_then(Result::ok).filter(|_| !config.reset_accounts);
        let accounts = stored.and_then(|stored| Some((stored.objects.accounts().ok()?, stored)));
        let (servers, account, stored) = match accounts {
            Some((accounts, stored)) => (accounts.servers, accounts.bootstrap, stored),
            None => {
                let mut servers = config.servers.clone();
                account::number(&mut servers);
                let objects = AccountObjects::configured(&servers, config.bootstrap.as_ref());
                (servers, config.bootstrap.clone(), Stored { generation: 0, purge: Purge::Never, objects })
            }
        };
        let mut bootstrap = Bootstrap {
            purge_at: None,
            account,
            stored,
            state: State::Idle,
            backoff: Backoff::default(),
            pace: Backoff::default(),
            pause: Duration::ZERO,
            purging: None,
            adopted: None,
        };
        bootstrap.schedule_purge(cx);
        cx.bootstrap_offered = bootstrap.account.is_some();
        (bootstrap, servers)
    }

    /// Counts the bootstraps that the accounts came through; 0: they are those configured.
    pub(super) fn generation(&self) -> u32 {
        self.stored.generation
    }

    /// The account of the bootstrap server.
    pub(super) fn account(&self) -> Option<&BootstrapAccount> {
        self.account.as_ref()
    }

    /// What the sessions have to follow since the last call.
    pub(super) fn take_adopted(&mut self) -> Option<Vec<ServerAccount>> {
        self.adopted.take()
    }

    /// Whether nothing is under way or waits for its time.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether the bootstrap server is asked, or writes.
    pub(super) fn is_open(&self) -> bool {
        matches!(&self.state, State::Active(attempt) if !attempt.is_over())
    }

    /// The bootstrap server is to be asked, at once or after its hold-off time.
    pub(super) fn want(&mut self, cx: &mut Context, cause: Cause) {
        let Some(account) = &self.account else { return };
        if self.is_open() {
            return;
        }
        let hold_off = Duration::from_secs(account.hold_off.unwrap_or_default().into());
        let wait = match cause {
            Cause::Wanted => Duration::ZERO,
            Cause::NoAccount => hold_off,
            Cause::Unregistered(_) => {
                let pause = self.pause;
                self.pause = self.pace.failed(&Retry::UNSET, cx.random()).unwrap_or_default();
                hold_off.max(pause)
            }
        };
        match self.state {
            State::Waiting { until, .. } if until <= cx.now + wait => {}
            _ if wait.is_zero() => self.attempt(cx),
            _ => {
                self.close(cx);
                self.state = State::Waiting { until: cx.now + wait, why: Why::HoldOff(cause) };
            }
        }
    }

    /// A server has taken a registration: its account is good, and a bootstrap that only waits for its time is not needed.
    pub(super) fn registered(&mut self, server: ShortServerId) {
        self.pace.reset();
        self.pause = Duration::ZERO;
        if let State::Waiting { why, .. } = self.state
            && (why == Why::Retry || why == Why::HoldOff(Cause::Unregistered(server)))
        {
            self.state = State::Idle;
        }
    }

    /// The network has changed: what failed before may work now.
    pub(super) fn network_changed(&mut self, cx: &mut Context) {
        if let State::Waiting { why: Why::Retry, .. } = self.state {
            self.backoff.reset();
            self.attempt(cx);
        }
    }

    /// Nothing more is to be asked. What is on its way to the disk still counts.
    pub(super) fn stop(&mut self, cx: &mut Context) {
        self.backoff.reset();
        match &mut self.state {
            State::Active(attempt) if matches!(attempt.step, Step::Storing { .. }) => attempt.close_flow(cx),
            _ => self.close(cx),
        }
    }

    fn attempt(&mut self, cx: &mut Context) {
        self.close(cx);
        let Some(account) = &self.account else { return };
        tracing::debug!(uri = %account.uri, "asking the bootstrap server");
        cx.event(Event::BootstrapBegun);
        self.state = State::Active(Box::new(Attempt::new(cx, account)));
    }

    /// Ends whatever is under way.
    fn close(&mut self, cx: &mut Context) {
        if let State::Active(mut attempt) = std::mem::replace(&mut self.state, State::Idle) {
            attempt.close(cx);
        }
    }

    /// The attempt has failed: the accounts stay as they were. It is repeated while no server is left to go on with.
    fn fail(&mut self, cx: &mut Context, sessions: &[Session], reason: Failure) {
        self.close(cx);
        let alone = sessions.iter().all(Session::is_stopped);
        let delay = if alone { self.backoff.failed(&Retry::UNSET, cx.random()) } else { None };
        if let Some(delay) = delay {
            self.state = State::Waiting { until: cx.now + delay, why: Why::Retry };
        }
        tracing::debug!(%reason, retry_in = ?delay, "not bootstrapped");
        cx.event(Event::BootstrapFailed { reason, retry_in: delay });
    }

    fn active(&mut self) -> Option<&mut Attempt> {
        match &mut self.state {
            State::Active(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// Whether this is the flow to the bootstrap server.
    pub(super) fn has_flow(&self, flow: FlowId) -> bool {
        matches!(&self.state, State::Active(attempt) if attempt.flow == Some(flow))
    }

    pub(super) fn handle_datagram(&mut self, cx: &mut Context, sessions: &[Session], datagram: &[u8]) {
        let Some(attempt) = self.active() else { return };
        if let Some(digest) = attempt.handle_datagram(cx, datagram) {
            self.act(cx, sessions, digest);
        }
    }

    pub(super) fn handle_flow(&mut self, cx: &mut Context, sessions: &[Session], event: FlowEvent) {
        match event {
            FlowEvent::Bound(_) => {}
            FlowEvent::Opened => self.opened(cx, sessions),
            FlowEvent::Moved => self.moved(cx, sessions),
            FlowEvent::Failed(error) => self.flow_lost(cx, sessions, error),
            FlowEvent::Closed => {
                self.active().into_iter().for_each(|attempt| attempt.flow = None);
                self.flow_lost(cx, sessions, super::FlowError::Unreachable);
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context, sessions: &[Session]) {
        if self.purge_due().is_some_and(|due| due <= cx.now) {
            self.purge(cx);
        }
        let limit = cx.settings.coap.transmission.max_transmit_wait();
        match &mut self.state {
            State::Waiting { until, .. } if *until <= cx.now => self.attempt(cx),
            State::Active(attempt) => {
                attempt.handle_timeout(cx);
                if let Some(reason) = attempt.overdue(cx.now, limit) {
                    self.fail(cx, sessions, reason);
                }
            }
            _ => {}
        }
    }

    /// When [`Bootstrap::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self, cx: &Context) -> Option<(Duration, Reason)> {
        let limit = cx.settings.coap.transmission.max_transmit_wait();
        let own = match &self.state {
            State::Idle => None,
            State::Waiting { until, .. } => Some((*until, Reason::Bootstrap)),
            State::Active(attempt) => attempt.poll_timeout(limit),
        };
        let purge = self.purge_due().map(|due| (due, Reason::Bootstrap));
        own.into_iter().chain(purge).min_by_key(|(due, _)| *due)
    }

    pub(super) fn poll_transmit(&mut self, cx: &Context, buffer: &mut Vec<u8>) -> Option<(FlowId, Range<usize>)> {
        self.active()?.poll_transmit(cx.now, buffer)
    }

    /// Does what timers and calls have caused. Returns whether there was anything.
    pub(super) fn pump(&mut self, cx: &mut Context, sessions: &[Session]) -> bool {
        let mut busy = false;
        while let Some(digest) = self.active().and_then(|attempt| attempt.poll(cx)) {
            self.act(cx, sessions, digest);
            busy = true;
        }
        busy
    }

    /// The application has done its part of a Finish, or cannot.
    pub(super) fn complete(&mut self, cx: &mut Context, id: OperationId, reply: Result<Reply, ErrorCode>) {
        cx.operations.remove(id);
        self.applied(cx, id, reply);
    }

    /// Whether something of the bootstrap waits for that record.
    pub(super) fn is_storing(&self, id: PersistId) -> bool {
        let storing = |attempt: &Attempt| matches!(attempt.step, Step::Storing { id: storing, .. } if storing == id);
        self.purging == Some(id) || matches!(&self.state, State::Active(attempt) if storing(attempt))
    }

    pub(super) fn persisted(&mut self, cx: &mut Context, id: PersistId, result: Result<(), StoreError>) {
        if self.purging == Some(id) {
            self.purged(cx, result);
        } else {
            self.stored(cx, result);
        }
    }

    /// When the bootstrap account is to be forgotten; not in the middle of a bootstrap.
    fn purge_due(&self) -> Option<Duration> {
        self.purge_at.filter(|_| !self.is_open() && self.purging.is_none())
    }

    /// Sets the time of the purge by what is stored.
    fn schedule_purge(&mut self, cx: &Context) {
        let timeout = self.account.as_ref().and_then(|account| account.account_timeout).filter(|timeout| *timeout > 0);
        let remaining = timeout.and_then(|timeout| match (self.stored.purge, cx.unix) {
            (Purge::Never, _) => None,
            // The clock may have been set since: never longer than the whole time.
            (Purge::At(seconds), Some(now)) => Some(seconds.saturating_sub(now.as_secs()).min(timeout.into())),
            _ => Some(timeout.into()),
        });
        self.purge_at = remaining.map(|seconds| cx.now + Duration::from_secs(seconds));
    }

    fn purge(&mut self, cx: &mut Context) {
        let stored = self.without_bootstrap();
        self.purging = Some(cx.persist(stored.record()));
    }

    fn without_bootstrap(&self) -> Stored {
        let mut stored = Stored { purge: Purge::Never, ..self.stored.clone() };
        if let Some(instance) = stored.objects.bootstrap_instance() {
            stored.objects.security.remove(&instance).iter_mut().for_each(account::clear);
        }
        stored
    }

    fn purged(&mut self, cx: &mut Context, result: Result<(), StoreError>) {
        self.purging = None;
        match result {
            Err(StoreError) => self.purge_at = Some(cx.now + PURGE_AGAIN),
            Ok(()) => {
                self.close(cx);
                self.stored = self.without_bootstrap();
                (self.account, self.purge_at) = (None, None);
                cx.bootstrap_offered = false;
                cx.accounts_shown = false;
                cx.event(Event::BootstrapAccountPurged);
            }
        }
    }
}
