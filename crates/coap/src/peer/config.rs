//! What may be configured about one remote end.

use std::time::Duration;

use crate::wire::BlockSize;

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
    /// NSTART: how many confirmable requests, pings and notifications may wait for their acknowledgement at a time; more
    /// of them queue (RFC 7252 section 4.7). Separate responses never queue: who asked has paced them. At least 1; default 1.
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

/// How a [`Peer`](super::Peer) behaves, and how much it may hold. Shared by all peers of an engine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Message layer parameters.
    pub transmission: Transmission,
    /// The largest block sent or asked for, in both directions (RFC 7959 section 2.2). Default 1024.
    pub block_size: BlockSize,
    /// The longest body that is reassembled, and the longest that is held as a snapshot, in bytes; longer ones are streamed
    /// or refused (4.13 with Size1). Default 64 KiB.
    pub max_body: usize,
    /// Bytes for what is remembered of answered messages, so that their duplicates get the same answer. At least
    /// 8 KiB; default 64 KiB.
    pub answers: usize,
    /// How many inbound requests may be open at a time; a request beyond is answered 5.03. Default 32.
    pub max_exchanges: usize,
    /// How many outbound requests (without observations) may be open at a time. Default 64.
    pub max_requests: usize,
    /// How many observations the other end may have here; beyond, GET is answered without being observed (RFC 7641
    /// section 4.1). Default 256.
    pub max_observations: usize,
    /// How long an outbound request waits for its response after it was acknowledged or, if non-confirmable, sent.
    /// Default 93 s (MAX_TRANSMIT_WAIT).
    pub response_timeout: Duration,
    /// How long a block-wise transfer or a snapshot is kept without any of its blocks being asked for or received.
    /// Default 247 s (EXCHANGE_LIFETIME, RFC 7959 section 2.4).
    pub transfer_timeout: Duration,
    /// The longest time between two confirmable notifications of an observation (RFC 7641 section 4.5). Default 24 h.
    pub confirmable_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let transmission = Transmission::default();
        Self {
            response_timeout: transmission.max_transmit_wait(),
            transfer_timeout: transmission.exchange_lifetime(),
            transmission,
            block_size: BlockSize::B1024,
            max_body: 64 * 1024,
            answers: 64 * 1024,
            max_exchanges: 32,
            max_requests: 64,
            max_observations: 256,
            confirmable_interval: Duration::from_secs(24 * 60 * 60),
        }
    }
}
