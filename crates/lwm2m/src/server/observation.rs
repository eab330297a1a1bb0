//! Which paths of which endpoints are observed, and how far asking for them has come.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use lapwing_coap::{ContentFormat, peer::RequestId};

use super::timers::Timers;
use crate::model::Path;

/// How many observations of one client are asked for at a time after its Register.
const WINDOW: usize = 4;
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// Where an observation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked for as soon as there is room, or the client registers.
    Due,
    /// Asking has failed and is tried again then.
    Failed { until: Duration },
    /// Asked for.
    Asking(RequestId),
    /// The client notifies.
    Active(RequestId),
}

#[derive(Debug)]
pub(super) struct Observation {
    pub(super) format: Option<ContentFormat>,
    state: State,
    /// What goes on until the answer to asking anew comes.
    prior: Option<RequestId>,
    /// Whether the client has ever notified: only then it is worth asking again.
    established: bool,
    attempts: u32,
}

impl Observation {
    /// Takes out the requests that the message layer knows of it.
    fn requests(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        let current = match self.state {
            State::Asking(request) | State::Active(request) => Some(request),
            State::Due | State::Failed { .. } => None,
        };
        self.prior.take().into_iter().chain(current)
    }
}

/// What became of asking, or of an observation that was active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on.
    Active,
    /// It is over, or was never begun, and is not to be asked for again.
    Over,
    /// No answer, or one that may be better another time.
    Failed,
}

/// What is to be done after [`Observations::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Consequence {
    /// The message layer is to forget this one.
    pub(super) cancel: Option<RequestId>,
    /// An observation that was established is no more.
    pub(super) ended: bool,
}

/// What is left of a registration's observations when it ends.
#[derive(Debug, Default)]
pub(super) struct Suspended {
    /// What the message layer is to forget.
    pub(super) requests: Vec<RequestId>,
    /// Observations of the endpoint that is no longer remembered in favour of this one.
    pub(super) forgotten: Vec<(Arc<str>, Path)>,
}

/// All observations, by endpoint and path.
#[derive(Debug)]
pub(super) struct Observations {
    endpoints: HashMap<Arc<str>, BTreeMap<Path, Observation>>,
    retries: Timers<Arc<str>>,
    /// Endpoints with observations that are not registered, in the order in which they left.
    absent: VecDeque<Arc<str>>,
    remembered: usize,
}

impl Observations {
    pub(super) fn new(remembered: usize) -> Observations {
        Observations { endpoints: HashMap::new(), retries: Timers::new(), absent: VecDeque::new(), remembered }
    }

    pub(super) fn paths(&self, endpoint: &str) -> impl Iterator<Item = Path> + '_ {
        self.endpoints.get(endpoint).into_iter().flat_map(|paths| paths.keys().copied())
    }

    pub(super) fn count(&self, endpoint: &str) -> usize {
        self.endpoints.get(endpoint).map_or(0, BTreeMap::len)
    }

    pub(super) fn get(&self, endpoint: &str, path: &Path) -> Option<&Observation> {
        self.endpoints.get(endpoint)?.get(path)
    }

    fn get_mut(&mut self, endpoint: &str, path: &Path) -> Option<&mut Observation> {
        self.endpoints.get_mut(endpoint)?.get_mut(path)
    }

    /// The request under which the client notifies, if it does.
    pub(super) fn active(&self, endpoint: &str, path: &Path) -> Option<RequestId> {
        let observation = self.get(endpoint, path)?;
        match observation.state {
            State::Active(request) => Some(request),
            _ => observation.prior,
        }
    }

    /// Someone asks: a new observation, or one that is asked for anew. Gives what the message layer is to forget.
    #[must_use]
    pub(super) fn ask(
        &mut self,
        endpoint: &Arc<str>,
        path: Path,
        format: Option<ContentFormat>,
        request: RequestId,
    ) -> Option<RequestId> {
        let paths = self.endpoints.entry(Arc::clone(endpoint)).or_default();
        let observation = paths.entry(path).or_insert(Observation {
            format,
            state: State::Due,
            prior: None,
            established: false,
            attempts: 0,
        });
        observation.format = format;
        match std::mem::replace(&mut observation.state, State::Asking(request)) {
            State::Active(active) => {
                observation.prior = Some(active);
                None
            }
            State::Asking(asking) => Some(asking),
            State::Due | State::Failed { .. } => None,
        }
    }

    /// The next paths to ask for again.
    pub(super) fn due(&self, endpoint: &str) -> Vec<Path> {
        let Some(paths) = self.endpoints.get(endpoint) else { return Vec::new() };
        let asking = paths.values().filter(|observation| matches!(observation.state, State::Asking(_))).count();
        let due = paths.iter().filter(|(_, observation)| observation.state == State::Due);
        due.map(|(path, _)| *path).take(WINDOW.saturating_sub(asking)).collect()
    }

    /// The message layer has told something of the observation that began with `request`.
    #[must_use]
    pub(super) fn settle(
        &mut self,
        now: Duration,
        endpoint: &Arc<str>,
        path: &Path,
        request: RequestId,
        outcome: Outcome,
    ) -> Consequence {
        let Some(observation) = self.get_mut(endpoint, path) else {
            return Consequence { cancel: Some(request), ended: false };
        };
        if observation.prior == Some(request) {
            if outcome != Outcome::Active {
                observation.prior = None;
            }
            return Consequence::default();
        }
        match outcome {
            Outcome::Active => {
                observation.state = State::Active(request);
                observation.established = true;
                observation.attempts = 0;
                return Consequence { cancel: observation.prior.take(), ended: false };
            }
            Outcome::Failed if observation.prior.is_some() => {
                observation.state = observation.prior.take().map_or(State::Due, State::Active);
            }
            Outcome::Failed if observation.established => {
                let wait = FIRST_RETRY.saturating_mul(1 << observation.attempts.min(16)).min(LAST_RETRY);
                observation.attempts += 1;
                observation.state = State::Failed { until: now + wait };
                self.schedule(endpoint);
            }
            Outcome::Over | Outcome::Failed => {
                let cancel = observation.prior.take();
                let ended = observation.established;
                self.remove(endpoint, path);
                return Consequence { cancel, ended };
            }
        }
        Consequence::default()
    }

    /// Forgets an observation. Gives what the message layer is to forget; `None` when there was no such observation.
    pub(super) fn remove(&mut self, endpoint: &str, path: &Path) -> Option<impl Iterator<Item = RequestId> + use<>> {
        let paths = self.endpoints.get_mut(endpoint)?;
        let mut observation = paths.remove(path)?;
        if paths.is_empty()
            && let Some((endpoint, _)) = self.endpoints.remove_entry(endpoint)
        {
            self.retries.set(endpoint, None);
        }
        Some(observation.requests())
    }

    /// A registration has begun, or goes on at another address: everything is to be asked for. Gives what the message
    /// layer of the old address is to forget.
    #[must_use]
    pub(super) fn restart(&mut self, endpoint: &str) -> Vec<RequestId> {
        self.absent.retain(|absent| **absent != *endpoint);
        self.reset(endpoint)
    }

    /// Nothing is to wait any longer: the client has just been heard of.
    pub(super) fn hurry(&mut self, endpoint: &Arc<str>) {
        for observation in self.endpoints.get_mut(endpoint).into_iter().flat_map(BTreeMap::values_mut) {
            observation.attempts = 0;
        }
        self.retry(endpoint, Duration::MAX);
    }

    fn retry(&mut self, endpoint: &Arc<str>, now: Duration) {
        for observation in self.endpoints.get_mut(endpoint).into_iter().flat_map(BTreeMap::values_mut) {
            if matches!(observation.state, State::Failed { until } if until <= now) {
                observation.state = State::Due;
            }
        }
        self.schedule(endpoint);
    }

    /// The registration has ended for now.
    #[must_use]
    pub(super) fn suspend(&mut self, endpoint: &Arc<str>) -> Suspended {
        let requests = self.reset(endpoint);
        if self.count(endpoint) > 0 {
            self.absent.push_back(Arc::clone(endpoint));
        }
        let leaves = if self.absent.len() > self.remembered { self.absent.pop_front() } else { None };
        let forgotten = leaves.and_then(|endpoint| Some((self.endpoints.remove(&endpoint)?, endpoint)));
        let forgotten = forgotten.map_or_else(Vec::new, |(paths, endpoint)| {
            paths.into_keys().map(|path| (Arc::clone(&endpoint), path)).collect()
        });
        Suspended { requests, forgotten }
    }

    fn reset(&mut self, endpoint: &str) -> Vec<RequestId> {
        let Some(paths) = self.endpoints.get_mut(endpoint) else { return Vec::new() };
        let mut forget = Vec::new();
        for observation in paths.values_mut() {
            forget.extend(observation.requests());
            observation.state = State::Due;
            observation.attempts = 0;
        }
        // One whose first answer never came is not taken up again: who asked has been told that it failed.
        paths.retain(|_, observation| observation.established);
        if paths.is_empty() {
            self.endpoints.remove(endpoint);
        }
        self.retries.set(endpoint.into(), None);
        forget
    }

    fn schedule(&mut self, endpoint: &Arc<str>) {
        let paths = self.endpoints.get(endpoint).into_iter().flatten();
        let next = paths.filter_map(|(_, observation)| match observation.state {
            State::Failed { until } => Some(until),
            _ => None,
        });
        self.retries.set(Arc::clone(endpoint), next.min());
    }

    pub(super) fn next_retry(&self) -> Option<Duration> {
        self.retries.next()
    }

    /// Takes out one endpoint with observations that are due again.
    pub(super) fn expire(&mut self, now: Duration) -> Option<Arc<str>> {
        let endpoint = self.retries.expire(now)?;
        self.retry(&endpoint, now);
        Some(endpoint)
    }
}
