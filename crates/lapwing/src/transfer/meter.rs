use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Cause;

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

/// A transfer that waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interruption {
    /// What the last attempt ended with, in words.
    pub cause: String,
    /// How long until the next one begins; 0 while it goes on.
    pub again: Duration,
    /// How long until the transfer is given up, should no byte come.
    pub left: Duration,
}

/// Where a transfer shows how far it is, to whoever asks and, now and then, in the log. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    /// What the package is for: the first word of each line of the log.
    pub(super) whose: Arc<str>,
    running: Arc<Mutex<Option<Running>>>,
    interrupted: Arc<Mutex<Option<Interrupted>>>,
}

#[derive(Debug)]
struct Interrupted {
    cause: String,
    again: Instant,
    left: Instant,
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
        Self { whose: whose.into(), running: Arc::default(), interrupted: Arc::default() }
    }

    /// Why nothing comes at present; `None` while something does, or may.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        let now = Instant::now();
        let interrupted = lock(&self.interrupted);
        let Interrupted { cause, again, left } = interrupted.as_ref()?;
        let until = |then: &Instant| then.saturating_duration_since(now);
        Some(Interruption { cause: cause.clone(), again: until(again), left: until(left) })
    }

    /// How far the present transfer is; `None` while there is none.
    pub(crate) fn progress(&self) -> Option<Progress> {
        Some(lock(&self.running).as_ref()?.progress)
    }

    /// A transfer goes on from so many bytes. It is over when what is given here is dropped.
    pub(super) fn begin(&self) -> Metered {
        Metered(self.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A transfer that is being metered.
pub(super) struct Metered(Meter);

impl Metered {
    /// So many bytes are there, of so many.
    pub(super) fn at(&self, received: u64, size: Option<u64>) {
        let now = Instant::now();
        *lock(&self.0.interrupted) = None;
        let mut running = lock(&self.0.running);
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

    /// The next attempt begins in a while, and in another the transfer is given up.
    pub(super) fn interrupted(&self, cause: &Cause, again: Duration, left: Duration) {
        let now = Instant::now();
        let interrupted = Interrupted { cause: cause.to_string(), again: now + again, left: now + left };
        *lock(&self.0.interrupted) = Some(interrupted);
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        *lock(&self.0.interrupted) = None;
        *lock(&self.0.running) = None;
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
        metered.interrupted(&Cause::Lost("refused".to_owned()), Duration::from_secs(8), Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(9)).await;
        let interruption = meter.interruption().unwrap();
        assert_eq!((interruption.cause.as_str(), interruption.again.as_secs()), ("refused", 0));
        assert_eq!(interruption.left.as_secs(), 591);
        metered.at(10, None);
        assert_eq!(meter.interruption(), None);
        assert_eq!(meter.progress().unwrap().to_string(), "10 bytes at 0 bytes/s");
        drop(metered);
        assert_eq!(meter.progress(), None);
    }
}
