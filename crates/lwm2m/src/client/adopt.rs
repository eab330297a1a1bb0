//! What becomes of the sessions when a bootstrap has changed the accounts (LwM2M Core 1.1 section 6.1.3.3).

use super::{Client, Event, context::Context, registration::Then, session::Session};
use crate::account::{Record, RecordKey, Saved, ServerAccount, ShortServerId};

impl Client {
    /// Follows the accounts that a bootstrap left. A session whose account is the same goes on, with what the bootstrap server
    /// changed of it; one that leads elsewhere now, or with other credentials, ends, and another one begins.
    pub(super) fn adopt(&mut self, accounts: Vec<ServerAccount>) {
        let generation = self.bootstrap.generation();
        // Whoever hears of it finds the new accounts in force.
        self.cx.event(Event::BootstrapFinished);
        for session in self.sessions.iter_mut().filter(|session| !session.retired) {
            if !accounts.iter().any(|account| leads_to_the_same(account, &session.account)) {
                session.retire(&mut self.cx);
            }
        }
        let stays = |account: &ServerAccount, sessions: &[Session]| {
            sessions.iter().position(|session| !session.retired && session.account.ssid == account.ssid)
        };
        let mut changed = Vec::new();
        for account in accounts {
            match stays(&account, &self.sessions) {
                Some(index) => changed.push((index, account)),
                None => self.begin(account, generation, Saved::new()),
            }
        }
        for (index, account) in changed {
            self.sessions[index].reconfigure(&mut self.cx, account, generation);
        }
        self.show_accounts();
        for session in self.sessions.iter_mut().filter(|session| !session.retired) {
            session.declared(&mut self.cx);
            // Also those that were out of attempts: the bootstrap server has had its say.
            if self.declared && !self.stopping && session.is_stopped() {
                session.register(&mut self.cx);
            }
        }
    }

    /// Begins a session, which does not register yet.
    pub(super) fn begin(&mut self, account: ServerAccount, generation: u32, saved: Saved) {
        let index = self.next_session;
        self.next_session += 1;
        self.sessions.push(Session::new(&mut self.cx, index, account, generation, saved));
    }

    /// Shows the accounts as instances of the Server object.
    pub(super) fn show_accounts(&mut self) {
        let shown = self.sessions.iter().filter(|session| !session.retired);
        self.cx.show_accounts(shown.map(|session| (session.instance, &session.account)));
    }

    /// Ends sessions that have said farewell, and gives back what they left.
    pub(super) fn bury(&mut self) {
        self.sessions.retain(|session| !(session.retired && session.is_stopped()));
    }
}

/// Whether both are the same server, spoken to in the same way.
fn leads_to_the_same(one: &ServerAccount, other: &ServerAccount) -> bool {
    one.ssid == other.ssid && one.uri == other.uri && one.security == other.security
}

impl Session {
    /// The account has gone: the server is told, if it can be, and what was stored of it is removed.
    fn retire(&mut self, cx: &mut Context) {
        self.retired = true;
        self.forget_record(cx);
        self.forget_registration_record(cx);
        forget(cx, self.account.ssid);
        self.deregister(cx, Then::Stop);
    }
}

fn forget(cx: &mut Context, ssid: ShortServerId) {
    for key in [RecordKey::Server(ssid), RecordKey::Attributes(ssid)] {
        cx.persist(Record::new(key, Vec::new()));
    }
}
