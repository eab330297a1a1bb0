//! What a fetch tells its engine.

use std::time::Duration;

use crate::{
    ContentFormat,
    block::Etag,
    wire::{Code, option},
};

/// Something that has come of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The first answer: comes before any [`Event::Data`], and again after [`Event::Restarted`].
    Head(Head),
    /// The next bytes of the body: each begins where the one before has ended. [`Fetch::consumed`](super::Fetch::consumed) tells
    /// when they may be forgotten.
    Data {
        /// Where in the body.
        offset: u64,
        /// The bytes, any number from 1 on.
        bytes: &'a [u8],
    },
    /// What has come so far is of no use: the body comes again from its first byte, whatever was resumed.
    Restarted(Restart),
    /// The body is whole: all of it was handed out. Nothing follows.
    Finished,
    /// The fetch is over without the whole body. What was handed out stays good where [`Head::etag`] can tell that it does. Nothing
    /// follows.
    Failed(Failure),
}

/// What the first answer tells of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The length of the whole body in bytes as Size2 says (RFC 7959 section 4), which is an indication only; exact where the body
    /// came in one block.
    pub size: Option<u64>,
    /// Content-Format.
    pub format: Option<ContentFormat>,
    pub(super) etag: Option<Etag>,
}

impl Head {
    /// The ETag, 1 to 8 bytes: what [`Resume`](super::Resume) needs.
    #[must_use]
    pub fn etag(&self) -> Option<&[u8]> {
        self.etag.as_ref().map(Etag::as_bytes)
    }
}

/// Why a body comes again from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Restart {
    /// Its ETag is another one now, or its blocks contradict each other.
    #[error("the resource has changed")]
    Changed,
    /// It has no ETag, so that nobody can tell whether the part that is there belongs to it.
    #[error("the resource has no ETag to go on by")]
    NoEtag,
    /// The other end does not give a later block first: it answered with this code, or with another block.
    #[error("the server does not go on within the resource ({0})")]
    NotResumable(Code),
    /// The other end has lost the transfer (4.08).
    #[error("the server has lost the transfer")]
    Incomplete,
}

/// Why a fetch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing new came for [`Config::patience`](super::Config::patience).
    #[error("no answer in time")]
    TimedOut,
    /// The other end rejected a request with a Reset: it has forgotten this connection, or speaks no CoAP.
    #[error("rejected by a reset")]
    Reset,
    /// The other end answered with another code than 2.05.
    #[error("refused with {0}")]
    Refused(Code),
    /// The other end wants to be left alone for longer than [`Config::patience`](super::Config::patience) (4.29, 5.03).
    #[error("busy for {0:?}")]
    Busy(Duration),
    /// A critical option of an answer is not understood (RFC 7252 section 5.4.1).
    #[error("option {} in the answer is not understood", name(*.0))]
    BadOption(u16),
    /// An answer was not the block that was asked for.
    #[error("the blocks of the answer do not fit together")]
    Misfit,
    /// The body has more blocks than can be numbered (RFC 7959 section 2.2): 1,048,576.
    #[error("more blocks than can be numbered")]
    TooLong,
    /// The body changed again and again while it was fetched.
    #[error("the resource changes all the time")]
    Unstable,
}

fn name(number: u16) -> String {
    option::definition(number).map_or_else(|| number.to_string(), |definition| definition.name.to_owned())
}

/// What has happened to requests and answers, counted since the fetch was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests for a block, repetitions of a confirmable one not counted.
    pub requests: u64,
    /// Messages with these requests: by Q-Block2 (RFC 9177), one may have several.
    pub messages: u64,
    /// Confirmable requests sent again (RFC 7252 section 4.2).
    pub retransmissions: u64,
    /// Requests that counted as lost and were made anew.
    pub lost: u64,
    /// Requests that had counted as lost and were answered.
    pub spurious: u64,
    /// Times that the window was full of silence and a probe was sent.
    pub probes: u64,
    /// Answers that came before, or belong to nothing.
    pub unmatched: u64,
    /// Bytes of the body that came, those that were there already included.
    pub received: u64,
    /// Bytes of the body that were there already.
    pub again: u64,
    /// Times that the fetch fell back to one request at a time.
    pub fallbacks: u64,
}
