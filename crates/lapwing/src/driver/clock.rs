use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lapwing_lwm2m::Now;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::fd::readable;

/// When this program was built, in seconds since 1970; see `build.rs`.
const BUILT: &str = env!("LAPWING_BUILT");

/// A gateway without a battery for its clock boots in 1970, or in the year its image was made: a wall clock older than the build is not
/// believed.
const PLAUSIBLE: Duration = match u64::from_str_radix(BUILT, 10) {
    Ok(seconds) => Duration::from_secs(seconds),
    Err(_) => panic!("LAPWING_BUILT is a number"),
};

/// The time, and an alarm.
pub trait Clock: Send + 'static {
    /// The time now.
    fn now(&self) -> Now;

    /// Ready when `deadline`, in [`Now::elapsed`], has come, or when [`Now::unix`] has jumped. A later call replaces the deadline of the
    /// one before; `None` never comes.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Duration>) -> Poll<()>;
}

/// CLOCK_BOOTTIME with a timerfd: it goes on while the machine is suspended, as the lifetime of a registration does.
#[derive(Debug)]
pub struct BootClock {
    timer: AsyncFd<OwnedFd>,
    /// When it will ring, if it was set and has not been found to have rung.
    armed: Option<Duration>,
    /// Readable when the wall clock was set.
    wall: AsyncFd<OwnedFd>,
}

/// When the timer that watches the wall clock expires, in seconds since 1970: in the year 2255.
const FAR: i64 = 9_000_000_000;

impl BootClock {
    /// A clock with its alarm. Needs a tokio runtime with I/O around it.
    ///
    /// # Errors
    /// When the kernel gives no more file descriptors.
    pub fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let timer = readable(timer)?;
        let wall = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: FAR, tv_nsec: 0 },
        };
        timerfd_settime(&wall, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &spec)?;
        Ok(Self { timer, armed: None, wall: readable(wall)? })
    }

    /// Whether the wall clock was set since the last call: what waited for the time to be known can go on.
    fn was_set(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(Ok(mut guard)) = self.wall.poll_read_ready(cx) else { return false };
        // ECANCELED tells that it was set; the timer goes on watching.
        let told = rustix::io::read(self.wall.get_ref(), &mut [0; 8]);
        guard.clear_ready();
        drop(guard);
        // Nothing is readable yet after a wake-up for nothing: the next one must be waited for.
        told != Err(rustix::io::Errno::AGAIN) || self.was_set(cx)
    }

    fn arm(&mut self, deadline: Duration) {
        // All zero disarms, so a deadline of zero becomes the next nanosecond.
        let value = deadline.max(Duration::from_nanos(1));
        let value = Timespec {
            tv_sec: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: value.subsec_nanos().into(),
        };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        match timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &spec) {
            Ok(_) => self.armed = Some(deadline),
            Err(error) => tracing::error!(%error, "the timer cannot be set"),
        }
    }
}

impl Clock for BootClock {
    fn now(&self) -> Now {
        // That of the last tick: milliseconds are exact enough for what uses it, and this is called for each datagram.
        let unix = since_zero(clock_gettime(ClockId::RealtimeCoarse));
        Now::new(since_zero(clock_gettime(ClockId::Boottime)), believable(unix))
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Duration>) -> Poll<()> {
        if self.was_set(cx) {
            return Poll::Ready(());
        }
        // An alarm that is too early stays: many a datagram puts the deadline off, and to be woken once for nothing costs less than to
        // set the timer for each of them.
        let Some(deadline) = deadline else { return Poll::Pending };
        loop {
            if self.armed.is_none_or(|armed| armed > deadline) {
                self.arm(deadline);
            }
            match ready!(self.timer.poll_read_ready(cx)) {
                Ok(mut guard) => {
                    // What is read is the number of expirations, or nothing where an earlier deadline made it readable.
                    let _ = rustix::io::read(self.timer.get_ref(), &mut [0; 8]);
                    guard.clear_ready();
                }
                Err(error) => tracing::error!(%error, "the timer cannot be waited for"),
            }
            self.armed = None;
            if since_zero(clock_gettime(ClockId::Boottime)) >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

/// The wall clock in seconds since 1970, where it is believable.
pub(crate) fn unix_time() -> Option<u64> {
    believable(since_zero(clock_gettime(ClockId::Realtime))).map(|unix| unix.as_secs())
}

fn believable(unix: Duration) -> Option<Duration> {
    (unix >= PLAUSIBLE).then_some(unix)
}

fn since_zero(time: Timespec) -> Duration {
    // The kernel gives 0..1_000_000_000 nanoseconds, and no clock that is used here is negative.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Tokio's clock, which tests can pause. It stands still while a machine is suspended.
#[derive(Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl TokioClock {
    /// A clock that begins at zero. Needs a tokio runtime with time around it.
    pub fn new() -> Self {
        let start = tokio::time::Instant::now();
        Self { start, sleep: Box::pin(tokio::time::sleep_until(start)) }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        Now::from_elapsed(self.start.elapsed())
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Duration>) -> Poll<()> {
        let Some(deadline) = deadline.and_then(|deadline| self.start.checked_add(deadline)) else {
            return Poll::Pending;
        };
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn the_alarm_comes_at_its_time_and_not_before() {
        let mut clock = BootClock::new().unwrap();
        let began = clock.now().elapsed;
        let millisecond = Duration::from_millis(1);
        for deadline in [began + 20 * millisecond, began + 30 * millisecond, began, Duration::ZERO] {
            poll_fn(|cx| clock.poll_until(cx, Some(deadline))).await;
            assert!(clock.now().elapsed >= deadline);
        }
        assert!(clock.now().elapsed < began + Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_later_call_replaces_the_deadline() {
        let mut clock = BootClock::new().unwrap();
        let soon = clock.now().elapsed + Duration::from_millis(20);
        let far = soon + Duration::from_secs(1000);
        for deadline in [Some(soon), Some(far), None, Some(far), None] {
            let early = poll_fn(|cx| Poll::Ready(clock.poll_until(cx, deadline).is_ready())).await;
            assert!(!early, "{deadline:?}");
        }
        let forgotten = poll_fn(|cx| clock.poll_until(cx, None));
        assert!(tokio::time::timeout(Duration::from_millis(60), forgotten).await.is_err());
        poll_fn(|cx| clock.poll_until(cx, Some(soon))).await;
    }

    #[tokio::test]
    async fn a_deadline_that_is_put_off_sets_no_timer_and_comes_at_its_time() {
        let mut clock = BootClock::new().unwrap();
        let soon = clock.now().elapsed + Duration::from_millis(20);
        let later = soon + Duration::from_millis(30);
        for deadline in [soon, later] {
            let early = poll_fn(|cx| Poll::Ready(clock.poll_until(cx, Some(deadline)).is_ready())).await;
            assert!(!early && clock.armed == Some(soon), "{deadline:?}");
        }
        poll_fn(|cx| clock.poll_until(cx, Some(later))).await;
        assert!(clock.now().elapsed >= later);
    }

    #[test]
    fn a_wall_clock_older_than_the_build_is_not_believed() {
        assert_eq!(believable(Duration::from_secs(3_600)), None);
        assert_eq!(believable(PLAUSIBLE - Duration::from_secs(1)), None);
        assert_eq!(believable(PLAUSIBLE), Some(PLAUSIBLE));
    }
}
