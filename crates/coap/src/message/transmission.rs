//! Transmission parameters.

use std::time::Duration;

/// Transmission parameters (RFC 7252 section 4.8), and when a slow request is acknowledged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Transmission {
    /// ACK_TIMEOUT: the least time before a confirmable message is sent again. Default 2 s.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR: the first time-out lies between ACK_TIMEOUT and this many times it. At least 1; default 1.5.
    pub ack_random_factor: f32,
    /// MAX_RETRANSMIT: how often a confirmable message is sent *again*. Default 4.
    pub max_retransmit: u8,
    /// NSTART: how many confirmable requests and notifications may wait for their acknowledgement at a time; more
    /// of them queue (RFC 7252 section 4.7). Separate responses never queue, since who asked has paced them; nor does a ping. At least
    /// 1; default 1.
    pub nstart: usize,
    /// How long a confirmable request may go unanswered before an empty ACK leaves and its response becomes a separate
    /// one (RFC 7252 section 5.2.2). Must be well under the peer's ACK_TIMEOUT. Default 500 ms.
    pub processing_delay: Duration,
}

impl Default for Transmission {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_factor: 1.5,
            max_retransmit: 4,
            nstart: 1,
            processing_delay: Duration::from_millis(500),
        }
    }
}

impl Transmission {
    /// MAX_LATENCY (RFC 7252 section 4.8.2).
    pub const MAX_LATENCY: Duration = Duration::from_secs(100);

    /// MAX_TRANSMIT_SPAN: from the first transmission of a confirmable message to its last. 45 s by default.
    pub fn max_transmit_span(&self) -> Duration {
        self.spread(self.ack_timeout * (2u32.saturating_pow(u32::from(self.max_retransmit)) - 1))
    }

    /// MAX_TRANSMIT_WAIT: from the first transmission of a confirmable message until its sender gives up. 93 s by default.
    pub fn max_transmit_wait(&self) -> Duration {
        self.spread(self.ack_timeout * (2u32.saturating_pow(u32::from(self.max_retransmit) + 1) - 1))
    }

    /// EXCHANGE_LIFETIME: how long a message ID of a confirmable message must not be reused. 247 s by default.
    pub fn exchange_lifetime(&self) -> Duration {
        self.max_transmit_span() + 2 * Self::MAX_LATENCY + self.ack_timeout
    }

    /// ACK_TIMEOUT x ACK_RANDOM_FACTOR: the longest that a peer with these parameters waits before it sends again.
    pub fn longest_ack_timeout(&self) -> Duration {
        self.spread(self.ack_timeout)
    }

    fn spread(&self, time: Duration) -> Duration {
        time.mul_f32(self.ack_random_factor)
    }
}
