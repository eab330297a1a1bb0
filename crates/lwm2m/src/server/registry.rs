//! Which clients are registered, by id and by endpoint.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Registration, RegistrationId, timers::Timers};

#[derive(Debug)]
pub(super) struct Registry {
    by_id: HashMap<RegistrationId, Arc<Registration>>,
    by_endpoint: HashMap<Arc<str>, RegistrationId>,
    lapses: Timers<RegistrationId>,
    grace: Duration,
}

impl Registry {
    pub(super) fn new(grace: Duration) -> Registry {
        Registry { by_id: HashMap::new(), by_endpoint: HashMap::new(), lapses: Timers::new(), grace }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Registration>> {
        self.by_id.values()
    }

    pub(super) fn get(&self, id: RegistrationId) -> Option<&Arc<Registration>> {
        self.by_id.get(&id)
    }

    pub(super) fn of_endpoint(&self, endpoint: &str) -> Option<&Arc<Registration>> {
        self.by_endpoint.get(endpoint).and_then(|id| self.by_id.get(id))
    }

    /// Adds a registration, or puts it in the place of the one with the same id. The endpoint must not be registered
    /// under another id.
    pub(super) fn put(&mut self, registration: Arc<Registration>) {
        let id = registration.id;
        self.lapses.set(id, registration.lapses(self.grace));
        let holder = self.by_endpoint.insert(Arc::clone(&registration.endpoint), id);
        debug_assert!(holder.is_none_or(|holder| holder == id), "the endpoint is registered under another id");
        self.by_id.insert(id, registration);
    }

    pub(super) fn remove(&mut self, id: RegistrationId) -> Option<Arc<Registration>> {
        let registration = self.by_id.remove(&id)?;
        self.by_endpoint.remove(&registration.endpoint);
        self.lapses.set(id, None);
        Some(registration)
    }

    /// When the next registration lapses.
    pub(super) fn next_lapse(&self) -> Option<Duration> {
        self.lapses.next()
    }

    /// Takes out one registration that has lapsed.
    pub(super) fn lapse(&mut self, now: Duration) -> Option<Arc<Registration>> {
        let id = self.lapses.expire(now)?;
        self.remove(id)
    }
}
