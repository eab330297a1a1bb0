//! What an engine gives to a peer.

use crate::{
    content_format::ContentFormat,
    wire::{BlockSize, Code},
};

/// An answer to a request, or a notification.
///
/// ```
/// use lapwing_coap::{content_format::ContentFormat, peer::Reply, wire::Code};
/// let reply = Reply::new(Code::CONTENT).content_format(ContentFormat::TEXT).body(b"21.5");
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reply<'a> {
    /// Response code.
    pub code: Code,
    /// Content-Format of the body.
    pub content_format: Option<ContentFormat>,
    /// ETag, 1 to 8 bytes. A body that needs more than one block gets one made of its digest if there is none here.
    pub etag: Option<&'a [u8]>,
    /// Location-Path segments (2.01).
    pub location: &'a [&'a str],
    /// Accept the observation: only for a successful answer to a GET or FETCH with Observe 0. Notifications set it by
    /// themselves.
    pub observe: bool,
    /// Max-Age in seconds; 60 for the receiver if absent.
    pub max_age: Option<u32>,
    /// Size1: with 4.13, the longest body that would be taken.
    pub size1: Option<u32>,
    /// The body, sent in blocks where it is longer than one; at most [`Config::max_body`](super::Config) bytes (5.00 beyond).
    pub body: &'a [u8],
    /// Tell when the answer has settled ([`Event::Settled`](super::Event)).
    pub settle: bool,
}

impl<'a> Reply<'a> {
    /// An answer without options and body.
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            content_format: None,
            etag: None,
            location: &[],
            observe: false,
            max_age: None,
            size1: None,
            body: &[],
            settle: false,
        }
    }

    /// Sets the Content-Format.
    #[must_use]
    pub const fn content_format(mut self, format: ContentFormat) -> Self {
        self.content_format = Some(format);
        self
    }

    /// Sets the ETag (1 to 8 bytes).
    #[must_use]
    pub const fn etag(mut self, etag: &'a [u8]) -> Self {
        self.etag = Some(etag);
        self
    }

    /// Sets the Location-Path segments.
    #[must_use]
    pub const fn location(mut self, segments: &'a [&'a str]) -> Self {
        self.location = segments;
        self
    }

    /// Accepts the observation, or does not.
    #[must_use]
    pub const fn observe(mut self, observe: bool) -> Self {
        self.observe = observe;
        self
    }

    /// Sets Max-Age in seconds.
    #[must_use]
    pub const fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// Sets Size1 in bytes.
    #[must_use]
    pub const fn size1(mut self, bytes: u32) -> Self {
        self.size1 = Some(bytes);
        self
    }

    /// Sets the body.
    #[must_use]
    pub const fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// Asks for [`Event::Settled`](super::Event).
    #[must_use]
    pub const fn settle(mut self) -> Self {
        self.settle = true;
        self
    }
}

/// How a body that comes in several blocks is received: the answer to [`Event::Upload`](super::Event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// Collect it; one [`Event::Request`](super::Event) with the whole body follows. 4.13 beyond
    /// [`Config::max_body`](super::Config), 5.03 while another body takes the room.
    Reassemble,
    /// Hand out each block as [`Event::Chunk`](super::Event). The [`Event::Upload`](super::Event) was the first:
    /// call [`chunk_done`](super::Peer::chunk_done) for it.
    Stream,
}

/// The body of an outbound request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Body<'a> {
    /// These bytes, copied; sent in blocks where they do not fit into one.
    Bytes(&'a [u8]),
    /// Asked for block by block with [`Event::PullRequest`](super::Event). The size in bytes, if known, is sent as Size1.
    Streamed(Option<u64>),
}

/// How the body of a response is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Download {
    /// One [`Event::Response`](super::Event) with the whole body.
    Assemble,
    /// Block by block as [`Event::Download`](super::Event), for 2.05 only; any other code is an
    /// [`Event::Response`](super::Event).
    Stream,
}

/// An outbound request.
///
/// ```
/// use lapwing_coap::{peer::Outgoing, wire::Code};
/// let request = Outgoing::new(Code::POST).path(&["rd"]).query(&["ep=gateway", "lt=300"]).body(b"</1/0>,</3/0>");
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// Method.
    pub code: Code,
    /// Uri-Path segments, without slashes.
    pub path: &'a [&'a str],
    /// Uri-Query arguments.
    pub query: &'a [&'a str],
    /// The Content-Format wanted.
    pub accept: Option<ContentFormat>,
    /// Content-Format of the body.
    pub content_format: Option<ContentFormat>,
    /// Begin an observation (Observe 0); for GET and FETCH.
    pub observe: bool,
    /// The body.
    pub body: Body<'a>,
    /// How the response's body is received.
    pub download: Download,
    /// As a confirmable message (the default), or not.
    pub confirmable: bool,
    /// The largest block that the body is sent in, where that of the [`Config`](super::Config) is not smaller. Default 1024.
    pub block_size: BlockSize,
}

impl<'a> Outgoing<'a> {
    /// A confirmable request without options and body.
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            path: &[],
            query: &[],
            accept: None,
            content_format: None,
            observe: false,
            body: Body::Bytes(&[]),
            download: Download::Assemble,
            confirmable: true,
            block_size: BlockSize::B1024,
        }
    }

    /// Sets the Uri-Path segments.
    #[must_use]
    pub const fn path(mut self, segments: &'a [&'a str]) -> Self {
        self.path = segments;
        self
    }

    /// Sets the Uri-Query arguments.
    #[must_use]
    pub const fn query(mut self, arguments: &'a [&'a str]) -> Self {
        self.query = arguments;
        self
    }

    /// Sets Accept.
    #[must_use]
    pub const fn accept(mut self, format: ContentFormat) -> Self {
        self.accept = Some(format);
        self
    }

    /// Sets the Content-Format of the body.
    #[must_use]
    pub const fn content_format(mut self, format: ContentFormat) -> Self {
        self.content_format = Some(format);
        self
    }

    /// Begins an observation.
    #[must_use]
    pub const fn observe(mut self) -> Self {
        self.observe = true;
        self
    }

    /// Sets the body.
    #[must_use]
    pub const fn body(mut self, bytes: &'a [u8]) -> Self {
        self.body = Body::Bytes(bytes);
        self
    }

    /// The body is asked for block by block; `size` in bytes, if known.
    #[must_use]
    pub const fn streamed_body(mut self, size: Option<u64>) -> Self {
        self.body = Body::Streamed(size);
        self
    }

    /// The response's body is handed out block by block.
    #[must_use]
    pub const fn streamed_response(mut self) -> Self {
        self.download = Download::Stream;
        self
    }

    /// Sends it as a non-confirmable message.
    #[must_use]
    pub const fn non_confirmable(mut self) -> Self {
        self.confirmable = false;
        self
    }

    /// Sets the largest block that the body is sent in.
    #[must_use]
    pub const fn block_size(mut self, most: BlockSize) -> Self {
        self.block_size = most;
        self
    }
}
