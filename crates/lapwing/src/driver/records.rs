use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use lapwing_lwm2m::account::{Record, RecordKey, Saved, ServerAccount};
use lapwing_lwm2m::client::{PersistId, StoreError};
use tokio::task::JoinHandle;

use super::disk::Disk;
use crate::store::{self, Store};

/// Version of the layout of what is stored: the engine's records carry their own.
const VERSION: u16 = 1;

/// The engine's records, made durable one after another beside everything else: a sync may take long.
pub(super) struct Records<D> {
    store: Option<Arc<Store<D>>>,
    waiting: VecDeque<(PersistId, Record)>,
    running: Option<(PersistId, JoinHandle<Result<(), store::StoreError>>)>,
}

impl<D: Disk> Records<D> {
    /// Without a store, a record lasts as long as the process.
    pub(super) fn new(store: Option<Store<D>>) -> Self {
        Self { store: store.map(Arc::new), waiting: VecDeque::new(), running: None }
    }

    /// What was stored for these accounts. A damaged record is told of and passed over: the configuration holds then.
    pub(super) fn load(&self, accounts: &[ServerAccount]) -> Result<Saved, store::StoreError> {
        let Some(store) = &self.store else { return Ok(Saved::new()) };
        Saved::load(accounts.iter().map(|account| account.ssid), |key: RecordKey| {
            match store.load(&key.to_string()) {
                Ok(Some(mut record)) if record.version == VERSION => {
                    return Ok(Some(std::mem::take(&mut *record.content)));
                }
                Ok(Some(record)) => tracing::warn!(%key, record.version, "a record of another version is passed over"),
                Ok(None) => {}
                Err(error @ store::StoreError::Damaged { .. }) => tracing::error!(%error, "a record is passed over"),
                Err(error) => return Err(error),
            }
            Ok(None)
        })
    }

    pub(super) fn save(&mut self, id: PersistId, record: Record) {
        self.waiting.push_back((id, record));
    }

    /// Whether nothing waits to be durable.
    pub(super) fn are_durable(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// The next record that is durable, or could not be stored. Polled to go on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(PersistId, Result<(), StoreError>)> {
        if self.running.is_none() {
            let Some((id, record)) = self.waiting.pop_front() else { return Poll::Pending };
            let Some(store) = self.store.clone() else { return Poll::Ready((id, Ok(()))) };
            self.running = Some((id, tokio::task::spawn_blocking(move || write(&store, &record))));
        }
        let Some((id, running)) = &mut self.running else { return Poll::Pending };
        let (id, ended) = (*id, ready!(Pin::new(running).poll(cx)));
        self.running = None;
        let result = match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "a record could not be stored");
                Err(StoreError)
            }
            Err(error) => {
                tracing::error!(%error, "storing a record was cut short");
                Err(StoreError)
            }
        };
        Poll::Ready((id, result))
    }
}

fn write<D: Disk>(store: &Store<D>, record: &Record) -> Result<(), store::StoreError> {
    let name = record.key.to_string();
    if record.content.is_empty() { store.remove(&name) } else { store.save(&name, VERSION, &record.content) }
}
