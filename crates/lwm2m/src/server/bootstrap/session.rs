//! One client's bootstrap, from its Bootstrap-Request to its answer to the Finish.

use std::{collections::VecDeque, sync::Arc};

use lapwing_coap::{ContentFormat, peer};

use super::{Failure, OnRefusal, Plan, Task, exchange, plan::Work};
use crate::{
    model::Path,
    server::{Remote, Response},
};

pub(super) struct Session {
    pub(super) endpoint: Arc<str>,
    pub(super) remote: Remote,
    /// The content format of what is written.
    pub(super) format: ContentFormat,
    /// The task that waits for its answer.
    pub(super) current: Option<(peer::RequestId, Task)>,
    plan: Arc<Plan>,
    tasks: VecDeque<Task>,
    /// The answer to the Discover decides what follows ([`Configuration::auto_id`](super::Configuration::auto_id)).
    discovers: bool,
}

/// How a session goes on from an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Task(Task),
    Finished,
    Failed(Failure),
}

impl Session {
    pub(super) fn new(
        endpoint: Arc<str>,
        remote: Remote,
        plan: Arc<Plan>,
        preferred: Option<ContentFormat>,
    ) -> Session {
        let (format, discovers, tasks) = match &plan.work {
            Work::Apply(configuration) => {
                let discovers = configuration.auto_id;
                let tasks = if discovers { vec![Task::Discover(Path::ROOT)] } else { configuration.tasks(None) };
                (configuration.format, discovers, tasks)
            }
            Work::Script(tasks) => (None, false, tasks.clone()),
        };
        let format = format.unwrap_or_else(|| exchange::usable(preferred));
        let mut session = Session { endpoint, remote, format, current: None, plan, tasks: VecDeque::new(), discovers };
        session.append(tasks);
        session
    }

    /// What is left to do ends with a Finish, except before the answer to a Discover that decides what follows.
    fn append(&mut self, tasks: Vec<Task>) {
        self.tasks.extend(tasks);
        if !self.discovers && self.tasks.back().is_none_or(|last| *last != Task::Finish) {
            self.tasks.push_back(Task::Finish);
        }
    }

    /// The next task.
    pub(super) fn next(&mut self) -> Next {
        self.tasks.pop_front().map_or(Next::Finished, Next::Task)
    }

    /// What follows the answer to `task`.
    pub(super) fn answered(&mut self, task: &Task, response: &Response) -> Next {
        let code = response.code;
        if std::mem::take(&mut self.discovers) && code.is_success() {
            let (Work::Apply(configuration), Some(own)) = (&self.plan.work, exchange::own_account(response)) else {
                return Next::Failed(Failure::NoOwnAccount);
            };
            let tasks = configuration.tasks(Some(own));
            self.append(tasks);
        }
        match task {
            Task::Finish if code.is_success() => Next::Finished,
            Task::Finish => self.tasks.pop_front().map_or(Next::Failed(Failure::FinishRefused(code)), Next::Task),
            // There is nothing to go on with where the Discover was needed.
            _ if !code.is_success() && (self.plan.on_refusal == OnRefusal::Stop || self.tasks.is_empty()) => {
                Next::Failed(Failure::Refused { task: task.step(), code })
            }
            _ => self.next(),
        }
    }
}
