//! A task that lives as long as somebody observes what it reports.

use std::sync::{Mutex, PoisonError};

use tokio::task::AbortHandle;

/// At most one running task; starting another, or dropping this, ends it.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    task: Mutex<Option<AbortHandle>>,
}

impl Sampler {
    /// Runs `task` instead of the one that runs now, or nothing.
    pub(super) fn replace(&self, task: Option<impl Future<Output = ()> + Send + 'static>) {
        let new = task.map(|task| tokio::spawn(task).abort_handle());
        let mut slot = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *slot, new) {
            old.abort();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let slot = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = slot.take() {
            task.abort();
        }
    }
}
