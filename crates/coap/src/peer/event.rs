//! What a peer tells its engine.

use crate::{
    exchange::{ExchangeId, NotificationId, RequestId},
    wire::{Message, Token},
};

/// Something the engine must act on, or may want to know. Duplicates never become events.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A complete request. Answer with [`Peer::respond`](super::Peer::respond) or
    /// [`respond_streamed`](super::Peer::respond_streamed), at any time, or [`drop_exchange`](super::Peer::drop_exchange).
    Request(Request<'a>),
    /// The first block of a longer body; the payload is that block. Decide with [`Peer::receive`](super::Peer::receive), or
    /// answer with an error. For a streamed body this payload *is* the first chunk, at offset 0: it wants its `chunk_done`.
    Upload(Request<'a>),
    /// A further block of a streamed body, in order, each once. Its 2.31 waits for
    /// [`Peer::chunk_done`](super::Peer::chunk_done). The last one is answered by [`Peer::respond`](super::Peer::respond).
    Chunk {
        /// The exchange of the [`Event::Upload`].
        exchange: ExchangeId,
        /// Where in the body these bytes belong.
        offset: u64,
        /// The block.
        bytes: &'a [u8],
        /// No more follow.
        last: bool,
    },
    /// A block of a streamed answer is wanted: [`Peer::supply`](super::Peer::supply) it. Offsets may repeat and jump.
    Pull {
        /// The exchange that was answered with [`Peer::respond_streamed`](super::Peer::respond_streamed).
        exchange: ExchangeId,
        /// Where in the body.
        offset: u64,
        /// How many bytes; fewer only at the end of the body.
        length: usize,
    },
    /// A body that was being received or streamed ends before its time. The exchange is gone.
    Aborted {
        /// The exchange.
        exchange: ExchangeId,
        /// What happened.
        why: Abort,
    },
    /// The other end has its answer, as far as can be known (asked for with [`Reply::settle`](super::Reply)): a separate response
    /// was acknowledged, or a piggy-backed one was sent and its request did not come again in time; and no notification is
    /// under way. Comes at the latest MAX_TRANSMIT_WAIT after the answer.
    Settled(ExchangeId),
    /// The final response to a request, its body complete. With Observe in it, it starts an observation; otherwise the
    /// request is over.
    Response {
        /// The request.
        request: RequestId,
        /// Its response.
        response: Response<'a>,
    },
    /// A fresh notification, its body complete. Without Observe in it (or with a code that is not 2.xx) the observation
    /// is over (RFC 7641 section 3.2).
    Notification {
        /// The request that started the observation.
        request: RequestId,
        /// The new representation.
        response: Response<'a>,
    },
    /// A block of a streamed response body, in order, each once. The next one is asked for after
    /// [`Peer::download_done`](super::Peer::download_done). After the last one the request is over.
    Download {
        /// The request.
        request: RequestId,
        /// Where in the body the payload belongs.
        offset: u64,
        /// Head of the response, and the block as its payload.
        response: Response<'a>,
        /// No more follow.
        last: bool,
    },
    /// A block of a streamed request body is wanted: [`Peer::supply_request`](super::Peer::supply_request) it.
    PullRequest {
        /// The request.
        request: RequestId,
        /// Where in the body. Goes back to 0 when the other end asks for smaller blocks from the start.
        offset: u64,
        /// How many bytes; fewer only at the end of the body.
        length: usize,
    },
    /// A request, ping or observation has ended without a response.
    Failed {
        /// The request.
        request: RequestId,
        /// What happened.
        why: Failure,
    },
    /// What became of a notification. `Reset` and `TimedOut` end the observation (RFC 7641 section 4.5).
    Notified {
        /// The notification.
        notification: NotificationId,
        /// The token of the observation.
        token: Token,
        /// What became of it.
        outcome: Outcome,
    },
}

/// An inbound request. Its message's own payload is only the last block where the body came in blocks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request<'a> {
    /// To answer it.
    pub exchange: ExchangeId,
    /// Method, token and options (of the last block).
    pub message: Message<'a>,
    /// The whole body; in [`Event::Upload`], its first block.
    pub payload: &'a [u8],
}

/// An inbound response. Its message's own payload is only the last block where the body came in blocks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response<'a> {
    /// Code and options (of the last block).
    pub message: Message<'a>,
    /// The whole body; in [`Event::Download`], this block.
    pub payload: &'a [u8],
    /// Where more blocks were fetched: the number that Observe had in the first one. Otherwise that of the message.
    pub observe: Option<u32>,
}

/// Why a body ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abort {
    /// The other end began anew with block 0 (RFC 7959 section 2.5).
    Restarted,
    /// No block came for [`Config::transfer_timeout`](super::Config).
    TimedOut,
    /// A separate response was rejected, or not acknowledged.
    Unreachable,
    /// The body is longer than [`Config::max_body`](super::Config); 4.13 was answered.
    TooLarge,
    /// Another body takes the room to reassemble it; 5.03 was answered.
    NoRoom,
}

/// Why a request ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No acknowledgement after MAX_RETRANSMIT retransmissions, or no response in time.
    #[error("no response in time")]
    TimedOut,
    /// The other end rejected the request. For a ping this is the wanted answer: it is [`Failure::Pong`].
    #[error("rejected by a reset")]
    Reset,
    /// The answer to a ping: the other end is there (RFC 7252 section 4.3).
    #[error("ping answered")]
    Pong,
    /// The response has a critical option that is not understood (RFC 7252 section 5.4.1).
    #[error("unknown critical option in the response")]
    BadOption,
    /// The body, of the request or of the response, is longer than [`Config::max_body`](super::Config).
    #[error("body too large")]
    TooLarge,
    /// The blocks do not fit together: a gap, or the representation changed again and again while it was fetched.
    #[error("block-wise transfer failed")]
    BlockWise,
    /// More than [`Config::max_requests`](super::Config) are open.
    #[error("too many open requests")]
    TooMany,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Acknowledged.
    Acknowledged,
    /// Sent as a non-confirmable message. A `Reset` may follow.
    Sent,
    /// Rejected: the other end does not observe any more. The observation is over.
    Reset,
    /// Never acknowledged. The observation is over.
    TimedOut,
    /// A newer notification took its place (RFC 7641 section 4.5.2), or the observation was ended meanwhile.
    Superseded,
}
