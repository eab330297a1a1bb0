use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Wakes the driver from elsewhere: an object reports a change, an operation can go on, a command was given.
///
/// Most of it is said while the driver runs, in its own task, and it looks here before it sleeps: only a sleeper is woken, since each
/// wake-up makes the runtime look once more, by a system call, for what else has come.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// One of the three below.
    state: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

/// The driver runs, or has not begun to.
const AWAKE: u8 = 0;
/// It is to be woken.
const ASLEEP: u8 = 1;
/// There is something to look at.
const RAISED: u8 = 2;

impl Signal {
    pub(crate) fn raise(&self) {
        if self.state.swap(RAISED, Ordering::AcqRel) != ASLEEP {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The driver runs again, and will [`poll`](Signal::poll) before it sleeps.
    pub(crate) fn awake(&self) {
        let _ = self.state.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether [`poll`](Signal::poll) would be ready.
    pub(crate) fn is_raised(&self) -> bool {
        self.state.load(Ordering::Acquire) == RAISED
    }

    /// Ready when it was raised since the last time it was ready. Otherwise the driver counts as asleep.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.state.swap(AWAKE, Ordering::AcqRel) == RAISED {
            return Poll::Ready(());
        }
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        // Where it was raised since the look above, nobody would wake us.
        if self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return Poll::Pending;
        }
        self.state.store(AWAKE, Ordering::Release);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_sleeper_is_woken_once_and_who_is_awake_is_not() {
        let count = Arc::new(Count::default());
        let woken = || count.0.load(Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&count));
        let (signal, cx) = (Signal::default(), Context::from_waker(&waker));
        signal.raise();
        assert!(signal.is_raised() && signal.poll(&cx).is_ready());
        assert!(!signal.is_raised() && signal.poll(&cx).is_pending());
        assert_eq!(woken(), 0);
        signal.raise();
        signal.raise();
        assert_eq!(woken(), 1);
        signal.awake();
        assert!(signal.poll(&cx).is_ready() && signal.poll(&cx).is_pending());
        signal.awake();
        signal.raise();
        assert_eq!(woken(), 1, "it was awake");
        assert!(signal.poll(&cx).is_ready() && signal.poll(&cx).is_pending());
    }
}
