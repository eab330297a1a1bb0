use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A long transfer says so often in the log how far it is.
const LOG: Duration = Duration::from_secs(10);
/// The rate is that of the last so many seconds.
const RATE: Duration = Duration::from_secs(2);

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// So many bytes of the package are there.
    pub received: u64,
    /// Its length in bytes, as far as the server told.
    pub size: Option<u64>,
    /// Bytes per second, of late.
    pub rate: u64,
}

impl Progress {
    /// How much of the package is there, in percent; `None` while its size is not known.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        let size = self.size.filter(|size| *size > 0)?;
        Some((self.received.min(size) as u128 * 100 / u128::from(size)) as u8)
    }
}

/// `300000 of 1000000 bytes (30 %) at 20000 bytes/s`
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.received)?;
        if let (Some(size), Some(percent)) = (self.size, self.percent()) {
            write!(f, " of {size} bytes ({percent} %)")?;
        } else {
            f.write_str(" bytes")?;
        }
        write!(f, " at {} bytes/s", self.rate)
    }
}

/// Where a transfer shows how far it is, to whoever asks and, now and then, in the log. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    /// What the package is for: the first word of each line of the log.
    pub(super) whose: Arc<str>,
    running: Arc<Mutex<Option<Running>>>,
}

#[derive(Debug)]
struct Running {
    progress: Progress,
    /// Since when, and from how many bytes on, the rate is counted.
    since: (Instant, u64),
    said: Instant,
}

impl Meter {
    /// Of packages for this: "firmware", "software 1".
    pub(crate) fn new(whose: impl Into<Arc<str>>) -> Self {
        Self { whose: whose.into(), running: Arc::default() }
    }

    /// How far the present transfer is; `None` while there is none.
    pub(crate) fn progress(&self) -> Option<Progress> {
        Some(self.lock().as_ref()?.progress)
    }

    /// A transfer goes on from so many bytes. It is over when what is given here is dropped.
    pub(super) fn begin(&self) -> Metered {
        Metered(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transfer that is being metered.
pub(super) struct Metered(Meter);

impl Metered {
    /// So many bytes are there, of so many.
    pub(super) fn at(&self, received: u64, size: Option<u64>) {
        let now = Instant::now();
        let mut running = self.0.lock();
        let Some(Running { progress, since, said }) = &mut *running else {
            let progress = Progress { received, size, rate: 0 };
            *running = Some(Running { progress, since: (now, received), said: now });
            return;
        };
        (progress.received, progress.size) = (received, size);
        let elapsed = now.duration_since(since.0);
        if elapsed >= RATE || received < since.1 {
            let bytes = received.saturating_sub(since.1) as f64;
            progress.rate = (bytes / elapsed.as_secs_f64().max(0.001)) as u64;
            *since = (now, received);
        }
        if now.duration_since(*said) >= LOG {
            *said = now;
            tracing::info!("{}: {progress}", self.0.whose);
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_meter_tells_how_far_and_how_fast() {
        let meter = Meter::new("firmware");
        assert_eq!(meter.progress(), None);
        let metered = meter.begin();
        metered.at(1000, Some(9000));
        tokio::time::advance(Duration::from_secs(4)).await;
        metered.at(3000, Some(9000));
        let progress = meter.progress().unwrap();
        assert_eq!((progress.rate, progress.percent()), (500, Some(33)));
        assert_eq!(progress.to_string(), "3000 of 9000 bytes (33 %) at 500 bytes/s");
        metered.at(10, None);
        assert_eq!(meter.progress().unwrap().to_string(), "10 bytes at 0 bytes/s");
        drop(metered);
        assert_eq!(meter.progress(), None);
    }
}
