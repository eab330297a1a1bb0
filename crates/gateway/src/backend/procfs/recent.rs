use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::platform::Result;

/// A value that is read anew when it is older than a period. A server that reads an instance asks for many resources at once, some
/// of which come from the same file; and one that reads it all the time costs no more than one that reads it once in a period.
#[derive(Debug, Default)]
pub(super) struct Recent<T>(Mutex<Option<(Duration, T)>>);

impl<T: Clone> Recent<T> {
    /// The value as it was at most `period` ago. A failure is not remembered.
    pub(super) fn get(&self, period: Duration, read: impl FnOnce() -> Result<T>) -> Result<T> {
        let now = uptime();
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, value)) = &*recent
            && now.saturating_sub(*at) < period
        {
            return Ok(value.clone());
        }
        let value = read()?;
        *recent = Some((now, value.clone()));
        Ok(value)
    }
}

/// The time of the last tick, which is exact enough here and costs next to nothing.
fn uptime() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Error;

    #[test]
    fn reads_once_in_a_period() {
        let recent = Recent::default();
        let hour = Duration::from_secs(3600);
        assert!(recent.get(hour, || Err(Error::failed("first", "broken"))).is_err());
        assert_eq!(recent.get(hour, || Ok(1)).unwrap(), 1);
        assert_eq!(recent.get(hour, || Ok(2)).unwrap(), 1);
        assert_eq!(recent.get(Duration::ZERO, || Ok(3)).unwrap(), 3);
        assert_eq!(recent.get(hour, || Ok(4)).unwrap(), 3);
    }
}
