//! Futures beside each other in the driver's own task: nothing is spawned, and one that is ready at once costs one poll.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::signal::Signal;

/// A set of things that are polled until they are ready, each when it was woken.
#[derive(Debug)]
pub(super) struct Tasks<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
}

#[derive(Debug)]
struct Slot<T> {
    task: Option<T>,
    waker: Waker,
    alarm: Arc<Alarm>,
}

#[derive(Debug)]
struct Woken {
    slots: Mutex<VecDeque<usize>>,
    signal: Arc<Signal>,
}

#[derive(Debug)]
struct Alarm {
    slot: usize,
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.slot);
            self.woken.signal.raise();
        }
    }
}

impl<T> Tasks<T> {
    /// No tasks yet; those to come raise `signal` when they are woken.
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        let woken = Arc::new(Woken { slots: Mutex::default(), signal });
        Self { slots: Vec::new(), free: Vec::new(), woken }
    }

    /// Polls `task` once and keeps it if it is not ready. Its wakers are used again by later tasks.
    pub(super) fn start<R>(
        &mut self,
        mut task: T,
        poll: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Option<(T, R)> {
        let index = self.free.pop().unwrap_or_else(|| self.add_slot());
        let slot = &mut self.slots[index];
        match poll(&mut task, &mut Context::from_waker(&slot.waker)) {
            Poll::Ready(result) => {
                self.free.push(index);
                Some((task, result))
            }
            Poll::Pending => {
                slot.task = Some(task);
                None
            }
        }
    }

    /// How many times a task was woken and has not been polled since.
    pub(super) fn woken(&self) -> usize {
        self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Polls those that were woken until one is ready, and takes it out. Each poll counts `turns` down, and at 0 it is the turn of
    /// others: a task may wake itself again and again. What was woken meanwhile has raised the signal.
    pub(super) fn poll_woken<R>(
        &mut self,
        turns: &mut usize,
        mut poll: impl FnMut(&mut T, &mut Context<'_>) -> Poll<R>,
    ) -> Option<(T, R)> {
        loop {
            *turns = turns.checked_sub(1)?;
            let index = self.woken.slots.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            let slot = &mut self.slots[index];
            // Before the poll, so that a wake during it counts.
            slot.alarm.queued.store(false, Ordering::Release);
            let Some(task) = &mut slot.task else { continue };
            if let Poll::Ready(result) = poll(task, &mut Context::from_waker(&slot.waker)) {
                self.free.push(index);
                return slot.task.take().map(|task| (task, result));
            }
        }
    }

    /// Takes out the first that `matches`.
    pub(super) fn remove(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.slots.iter().position(|slot| slot.task.as_ref().is_some_and(&matches))?;
        self.free.push(index);
        self.slots[index].task.take()
    }

    /// The first that `matches`.
    pub(super) fn find(&mut self, matches: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.task.as_mut()).find(|task| matches(task))
    }

    fn add_slot(&mut self) -> usize {
        let slot = self.slots.len();
        let alarm = Arc::new(Alarm { slot, queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
        self.slots.push(Slot { task: None, waker: Waker::from(Arc::clone(&alarm)), alarm });
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_what_was_woken_and_nothing_else() {
        let signal = Arc::new(Signal::default());
        let mut tasks = Tasks::new(Arc::clone(&signal));
        let mut wakers = Vec::new();
        for name in ["a", "b"] {
            let kept = tasks.start(name, |_, cx| {
                wakers.push(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(kept.is_none());
        }
        let idle = Context::from_waker(Waker::noop());
        assert!(signal.poll(&idle).is_pending());
        wakers[1].wake_by_ref();
        assert!(signal.poll(&idle).is_ready());
        assert_eq!(tasks.poll_woken(&mut 10, |_, _| Poll::Ready(7)), Some(("b", 7)));
        assert_eq!(tasks.poll_woken(&mut 10, |_, _| Poll::Ready(7)), None);
        assert_eq!(tasks.find(|_| true), Some(&mut "a"));
    }

    #[test]
    fn a_wake_during_the_poll_is_not_lost() {
        let mut tasks = Tasks::new(Arc::default());
        tasks.start("a", |_, cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let mut polls = 0;
        let ready = tasks.poll_woken(&mut 10, |_, cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(ready, Some(("a", 3)));
    }

    #[test]
    fn a_waker_of_a_task_that_is_gone_disturbs_nobody() {
        let mut tasks = Tasks::new(Arc::default());
        let mut waker = None;
        tasks.start("a", |_, cx| {
            waker = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert_eq!(tasks.remove(|task| *task == "a"), Some("a"));
        waker.unwrap().wake();
        assert_eq!(tasks.poll_woken(&mut 10, |_, _| Poll::Ready(())), None);
        // The slot is used again, with the same waker.
        assert!(tasks.start("b", |_, _| Poll::<()>::Pending).is_none());
        assert_eq!(tasks.slots.len(), 1);
    }
}
