//! Own message IDs.

use crate::wire::MessageId;

/// Gives out message IDs in order from a random start, which puts as much time as there can be between two uses of one
/// (RFC 7252 section 4.4).
///
/// 65,536 of them may be gone before EXCHANGE_LIFETIME is over; then the oldest are used again rather than stopping. Only those
/// of messages that still wait for their acknowledgement are skipped. Whoever answers by piggy-backing needs none.
#[derive(Clone, Debug)]
pub struct MessageIds {
    next: MessageId,
}

impl MessageIds {
    /// IDs from `start` on, which should be unpredictable.
    pub fn new(start: MessageId) -> Self {
        Self { next: start }
    }

    /// The next ID of which `in_use` says no. At most a few can be in use.
    pub fn next(&mut self, in_use: impl Fn(MessageId) -> bool) -> MessageId {
        loop {
            let id = self.next;
            self.next = id.wrapping_add(1);
            if !in_use(id) {
                return id;
            }
        }
    }
}
