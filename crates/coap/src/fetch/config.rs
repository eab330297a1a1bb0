//! What is fetched, and how.

use std::time::Duration;

use crate::{ContentFormat, message::Transmission, wire::BlockSize};

/// How a [`Fetch`](super::Fetch) behaves, and how much it may hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The largest block asked for (RFC 7959 section 2.2); the other end may give smaller ones. Default 1024.
    pub block_size: BlockSize,
    /// How many bytes are held at most, those that were handed out and are not consumed included; also the widest window. A power
    /// of two, at least 16 KiB; other values are rounded up. Default 1 MiB.
    pub buffer: usize,
    /// Bytes per second that are asked for at most; `None` (the default) leaves it to the congestion controller. At least 1.
    pub max_rate: Option<u64>,
    /// Whether several requests may be under way at a time. Default true; otherwise one at a time, as with NSTART = 1.
    pub window: bool,
    /// Whether several blocks are asked for at a time by Q-Block2 (RFC 9177) if the other end has it, as a request of the window finds
    /// out. Default false: RFC 9177 sections 3.2 and 11 recommend against it without a security mode. For DTLS.
    pub q_block2: bool,
    /// How long nothing new may come before the fetch fails. Default 93 s (MAX_TRANSMIT_WAIT).
    pub patience: Duration,
    /// For the confirmable requests that are sent one at a time.
    pub transmission: Transmission,
}

impl Default for Config {
    fn default() -> Self {
        let transmission = Transmission::default();
        Self {
            block_size: BlockSize::B1024,
            buffer: 1024 * 1024,
            max_rate: None,
            window: true,
            q_block2: false,
            patience: transmission.max_transmit_wait(),
            transmission,
        }
    }
}

/// What is fetched: the options of each request (RFC 7252 section 5.10.1). An option's value has at most 255 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a> {
    /// Uri-Host, where it is not the literal address that the datagrams go to.
    pub host: Option<&'a str>,
    /// Uri-Port, where it is not the one that the datagrams go to.
    pub port: Option<u16>,
    /// The segments of the path, decoded.
    pub path: &'a [&'a str],
    /// The arguments of the query, decoded.
    pub query: &'a [&'a str],
    /// Accept.
    pub accept: Option<ContentFormat>,
}

/// Where to go on with a body of which a part is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume<'a> {
    /// How many bytes are there, from the first.
    pub offset: u64,
    /// The ETag that they came with, as [`Head`](super::Head) told: without one, or when the body has another one now, the fetch
    /// starts over.
    pub etag: &'a [u8],
}
