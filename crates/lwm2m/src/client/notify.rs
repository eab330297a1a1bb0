//! Observations of one server: from a change of a value to a notification.

use std::time::Duration;

use lapwing_coap::{Code, Token, peer};

use super::{
    ErrorCode, Notifications, Operation, OperationKind, Origin, Reply, Why,
    context::{Context, Item},
    observation::Step,
    operations::{Pending, Work},
    reply::encode,
    session::Session,
};
use crate::{
    attributes::Attributes,
    definitions::server,
    model::{Node, Path, Value},
};

impl Session {
    /// Something at `path` has changed.
    pub(super) fn notify(&mut self, now: Duration, path: Path, value: Option<&Value>) {
        for observation in &mut self.observations {
            if observation.path == path {
                observation.changed(now, value);
            } else if observation.path.contains(&path) || path.contains(&observation.path) {
                observation.changed(now, None);
            }
        }
    }

    /// The attributes that count for an observation of `path`: the account's default periods where none are set
    /// (1/x/2 and 1/x/3).
    pub(super) fn effective(&self, path: &Path) -> Attributes {
        let mut defaults = Attributes::NONE;
        (defaults.pmin, defaults.pmax) = (self.account.default_pmin, self.account.default_pmax);
        self.attributes.effective(path).or(&defaults)
    }

    pub(super) fn refresh_attributes(&mut self) {
        for index in 0..self.observations.len() {
            let attributes = self.effective(&self.observations[index].path);
            self.observations[index].set_attributes(&attributes);
        }
    }

    /// Sends and reads what is due. Returns whether there was anything.
    pub(super) fn run_observations(&mut self, cx: &mut Context) -> bool {
        if self.holds_back() {
            return false;
        }
        let mut busy = false;
        // Backwards, since an observation may end on the way.
        for index in (0..self.observations.len()).rev() {
            match self.observations[index].step(cx.now) {
                Step::Nothing => continue,
                Step::Send(node) => self.send(cx, index, node),
                Step::Read => self.read_observed(cx, index),
            }
            busy = true;
        }
        busy
    }

    fn read_observed(&mut self, cx: &mut Context, index: usize) {
        let observation = &mut self.observations[index];
        let (token, path) = (observation.token, observation.path);
        if path.object_id() == Some(server::OBJECT_ID) {
            observation.reading(None);
            return match self.own_content(&path) {
                Some(node) => self.content_read(cx, index, node),
                None => self.end_observation(cx, index, Some(Code::NOT_FOUND)),
            };
        }
        let id = cx.operations.insert(cx.now, Pending::new(self.index, None, Work::Notify { token }));
        self.observations[index].reading(Some(id));
        let operation =
            Operation { origin: Origin::Observation(self.account.ssid), kind: OperationKind::Read { path } };
        cx.outputs.push_back(Item::Operation(id, operation));
    }

    /// A read for a notification has ended.
    pub(super) fn observed_read(&mut self, cx: &mut Context, token: Token, reply: Result<Reply, ErrorCode>) {
        let Some(index) = self.observations.iter().position(|observation| observation.token == token) else { return };
        match reply {
            Ok(Reply::Content(node)) => self.content_read(cx, index, node),
            Err(ErrorCode::NotFound) => self.end_observation(cx, index, Some(Code::NOT_FOUND)),
            // Any answer that is not 2.xx would end the observation: it is tried again instead.
            other => {
                let path = self.observations[index].path;
                tracing::warn!(%path, ?other, "what is observed could not be read");
                self.observations[index].read_failed(cx.now);
            }
        }
    }

    fn content_read(&mut self, cx: &mut Context, index: usize, node: Node) {
        if let Some(node) = self.observations[index].read_done(cx.now, node) {
            self.send(cx, index, node);
        }
    }

    fn send(&mut self, cx: &mut Context, index: usize, mut node: Node) {
        let (token, path, accept) = {
            let observation = &self.observations[index];
            (observation.token, observation.path, observation.accept)
        };
        let format = match encode(cx, &path, accept, &mut node) {
            Ok(format) => format,
            Err(code) => return self.end_observation(cx, index, Some(code)),
        };
        let confirmable = cx.settings.notifications == Notifications::Confirmable;
        let reply = peer::Reply::new(Code::CONTENT).content_format(format).body(&cx.scratch);
        let notification = self.connection.peer().notify(cx.now, token, reply, confirmable);
        if self.connection.peer().is_observing(token) {
            self.observations[index].sent(cx.now, notification);
        } else {
            // The content is longer than may be sent: the server was told, and that was the last notification.
            self.observation_ended(cx, index);
        }
    }

    /// Ends an observation; with a code, its server is told by a last notification (RFC 7641 section 4.2).
    pub(super) fn end_observation(&mut self, cx: &mut Context, index: usize, code: Option<Code>) {
        let token = self.observation_ended(cx, index);
        match code {
            Some(code) => {
                self.connection.peer().notify(cx.now, token, peer::Reply::new(code), true);
            }
            None => self.connection.peer().unobserve(token),
        }
    }

    fn observation_ended(&mut self, cx: &mut Context, index: usize) -> Token {
        let observation = self.observations.remove(index);
        if let Some(id) = observation.read() {
            cx.operations.remove(id);
            cx.outputs.push_back(Item::Abort(id, Why::NotObserved));
        }
        self.outdate_record();
        cx.observed_changed = true;
        observation.token
    }

    /// The other end asks anew with the same token, or to end it. An earlier request whose content is still being read begins no
    /// observation any more.
    pub(super) fn forget_observation(&mut self, cx: &mut Context, token: Token) {
        cx.operations.forget_observe(self.index, token);
        self.unwant_observation(cx, token);
        if let Some(index) = self.observations.iter().position(|observation| observation.token == token) {
            self.end_observation(cx, index, None);
        }
    }
}
