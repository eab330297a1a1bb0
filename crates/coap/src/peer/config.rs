//! What may be configured about one remote end.

use std::time::Duration;

use crate::{message::Transmission, wire::BlockSize};

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
    /// 8 KiB; default 36 KiB, which is room for 1,200 requests that must not run twice within EXCHANGE_LIFETIME.
    pub answers: usize,
    /// How many inbound requests may be open at a time, or wait for the acknowledgement of their separate response; a request
    /// beyond is answered 5.03. Default 16.
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
            answers: 36 * 1024,
            max_exchanges: 16,
            max_requests: 64,
            max_observations: 256,
            confirmable_interval: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Who may ask for several blocks in one request by Q-Block2 (RFC 9177), which then brings up to ten answers. They are given of what is
/// answered by [`respond_blocks`](super::Peer::respond_blocks) or with a whole body; a streamed one is given by Block2 all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// Nobody: the option is not understood.
    #[default]
    Nobody,
    /// Who shows by Echo (RFC 9175 section 2.4) that it is where its requests come from. The answer to a request for one block, which
    /// brings no more than Block2 does, tells how.
    Reachable,
    /// Anybody: a session has shown where the other end is.
    Anybody,
}
