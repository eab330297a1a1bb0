use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use lapwing_coap::content_format::ContentFormat;

/// The body of a write to a streamed resource, block by block, in order and without gaps.
///
/// The server's next block is asked for only when [`next`](Incoming::next) is called again: whoever stores a block before that holds one block in
/// memory, however large the body.
#[derive(Debug)]
pub struct Incoming {
    shared: Arc<Mutex<State>>,
    format: Option<ContentFormat>,
    size: Option<u64>,
    block: Vec<u8>,
    received: u64,
}

/// The rest of a body will not come: the server began anew, cancelled, went away or took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the transfer was given up")]
#[non_exhaustive]
pub struct Aborted;

impl From<Aborted> for super::Error {
    fn from(_: Aborted) -> Self {
        Self::Incomplete
    }
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    block: Vec<u8>,
    last: bool,
    stored: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The next block is on its way.
    #[default]
    Awaited,
    /// A block waits for the object.
    Ready,
    /// The object has the block and has not asked for another.
    Lent,
    Aborted,
}

impl Incoming {
    /// The next block, or `None` after the last. Asking for it says that the one before is stored.
    ///
    /// # Errors
    /// [`Aborted`] when the rest will not come; what was received so far is to be thrown away or kept for a later attempt.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Aborted> {
        if std::future::poll_fn(|cx| self.poll_next(cx)).await? {
            self.received += self.block.len() as u64;
            Ok(Some(&self.block))
        } else {
            Ok(None)
        }
    }

    /// The block that [`next`](Incoming::next) gave last; empty before.
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// The content format that the server named.
    pub fn format(&self) -> Option<ContentFormat> {
        self.format
    }

    /// The size of the whole value in bytes if the server told: by Size1 (RFC 7959 section 4), an indication that may be wrong, or by
    /// the header of a TLV, where more or fewer bytes are a damaged body.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The number of bytes given so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Aborted>> {
        let mut state = lock(&self.shared);
        match state.phase {
            Phase::Ready => {
                state.phase = Phase::Lent;
                std::mem::swap(&mut self.block, &mut state.block);
                Poll::Ready(Ok(true))
            }
            Phase::Aborted => Poll::Ready(Err(Aborted)),
            Phase::Lent if state.last => Poll::Ready(Ok(false)),
            Phase::Lent => {
                state.phase = Phase::Awaited;
                state.stored = true;
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Phase::Awaited => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The driver's end of an [`Incoming`].
#[derive(Debug)]
pub(crate) struct Feed(Arc<Mutex<State>>);

impl Feed {
    pub(crate) fn new(format: Option<ContentFormat>, size: Option<u64>) -> (Self, Incoming) {
        let shared = Arc::default();
        let incoming = Incoming { shared: Arc::clone(&shared), format, size, block: Vec::new(), received: 0 };
        (Self(shared), incoming)
    }

    /// Gives the next block. The one before must have been [`stored`](Feed::take_stored).
    pub(crate) fn give(&self, bytes: &[u8], last: bool) {
        let mut state = lock(&self.0);
        if state.phase == Phase::Aborted {
            return;
        }
        state.block.clear();
        state.block.extend_from_slice(bytes);
        state.phase = Phase::Ready;
        state.last = last;
        wake(state);
    }

    pub(crate) fn abort(&self) {
        let mut state = lock(&self.0);
        state.phase = Phase::Aborted;
        wake(state);
    }

    /// Whether the object has been given all of the body.
    pub(crate) fn is_complete(&self) -> bool {
        let state = lock(&self.0);
        state.phase == Phase::Lent && state.last
    }

    /// Whether the object has asked for another block since the last call: the one before is stored.
    pub(crate) fn take_stored(&self) -> bool {
        std::mem::take(&mut lock(&self.0).stored)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn body() -> (Feed, Incoming) {
        Feed::new(Some(ContentFormat::OPAQUE), Some(6))
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_block_is_stored_when_the_next_is_asked_for() {
        let (feed, mut body) = body();
        assert_eq!(poll(body.next()), Poll::Pending);
        feed.give(b"abc", false);
        assert_eq!(poll(body.next()), Poll::Ready(Ok(Some(&b"abc"[..]))));
        assert!(!feed.take_stored());
        assert_eq!(poll(body.next()), Poll::Pending);
        assert!(feed.take_stored());
        assert!(!feed.take_stored());
        feed.give(b"def", true);
        assert_eq!(poll(body.next()), Poll::Ready(Ok(Some(&b"def"[..]))));
        assert_eq!(poll(body.next()), Poll::Ready(Ok(None)));
        assert_eq!(poll(body.next()), Poll::Ready(Ok(None)));
        assert_eq!((body.received(), body.size()), (6, Some(6)));
    }

    #[test]
    fn an_abort_wakes_and_stays() {
        let (feed, mut body) = body();
        assert_eq!(poll(body.next()), Poll::Pending);
        feed.abort();
        assert_eq!(poll(body.next()), Poll::Ready(Err(Aborted)));
        feed.give(b"late", true);
        assert_eq!(poll(body.next()), Poll::Ready(Err(Aborted)));
    }
}
