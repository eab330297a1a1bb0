//! What clients fetch from this server beside the registration interface: representations that the caller of the engine has.

use std::{net::SocketAddr, sync::Arc};

use lapwing_coap::{
    ContentFormat,
    peer::{ExchangeId, Reply},
    wire::Code,
};

use super::{Remote, Server, interface};
use crate::Now;

/// Names a [`Fetch`] until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FetchId(Remote, ExchangeId);

/// A GET of what is not the registration interface's own, for one block of it. Each block is asked for by a Fetch of its own, in
/// any order, perhaps more than once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fetch {
    /// To answer it: [`Server::answer_fetch`].
    pub id: FetchId,
    /// Where it came from.
    pub address: SocketAddr,
    /// The endpoint that is registered from there, if any. A client may well fetch from another port than it registers from.
    pub endpoint: Option<Arc<str>>,
    /// Uri-Path, by its segments: a stranger's words.
    pub path: Vec<String>,
    /// Uri-Query, by its arguments.
    pub query: Vec<String>,
    /// Where the block begins, in bytes.
    pub offset: u64,
    /// How long the block is, in bytes; shorter only at the end of the representation.
    pub length: usize,
}

/// One block of a representation.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Tells representations apart, 1 to 8 bytes (RFC 7252 section 5.10.6).
    pub etag: &'a [u8],
    /// How long the representation is, in bytes.
    pub size: u64,
    /// What stands at [`Fetch::offset`], of [`Fetch::length`] bytes or up to the end; none beyond it, which is answered 4.00.
    pub bytes: &'a [u8],
}

impl Server {
    /// Hands a GET to the caller, if that is what it wants.
    pub(super) fn look_up(&mut self, from: Remote, exchange: ExchangeId, path: Vec<String>, query: Vec<String>) {
        let wanted = self.endpoint.get(from).and_then(|slot| {
            let (offset, length) = slot.peer.wanted(exchange)?;
            Some((slot.endpoint.clone(), offset, length))
        });
        let (Some(address), Some((endpoint, offset, length))) = (self.endpoint.address(from), wanted) else { return };
        if !self.config.hosts {
            let refusal = interface::no_such_resource();
            return self.respond(from, exchange, Reply::new(refusal.code).body(refusal.reason.as_bytes()));
        }
        let id = FetchId(from, exchange);
        self.fetches.push_back(Fetch { id, address, endpoint, path, query, offset, length });
    }

    /// Answers a [`Fetch`]: with 2.05 and the block, or with an error. What has been answered, or has been given up by the client, is
    /// ignored.
    pub fn answer_fetch(&mut self, now: Now, id: FetchId, part: Result<Part<'_>, Code>) {
        self.now = now;
        let FetchId(from, exchange) = id;
        let Some(slot) = self.endpoint.use_slot(from) else { return };
        match part {
            Ok(Part { etag, size, bytes }) => {
                let reply = Reply::new(Code::CONTENT).content_format(ContentFormat::OPAQUE).etag(etag).body(bytes);
                slot.peer.respond_block(now.elapsed, exchange, reply, size);
            }
            Err(code) => slot.peer.respond(now.elapsed, exchange, Reply::new(code)),
        }
    }
}
