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
pub struct FetchId(Remote, ExchangeId, u64);

/// A GET of what is not the registration interface's own, for one block of it, or for some that lie together (RFC 9177 section 4.4).
/// They are asked for in any order, perhaps more than once.
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
    /// Where they begin, in bytes.
    pub offset: u64,
    /// How long they are together, in bytes, at most 10 KiB; shorter only at the end of the representation.
    pub length: usize,
}

/// One block of a representation, or some that lie together.
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
        let slot = self.endpoint.get(from).map(|slot| (slot.endpoint.clone(), slot.peer.wanted(exchange)));
        let (Some(address), Some((endpoint, wanted))) = (self.endpoint.address(from), slot) else { return };
        if !self.config.hosts {
            let refusal = interface::no_such_resource();
            return self.respond(from, exchange, Reply::new(refusal.code).body(refusal.reason.as_bytes()));
        }
        for (offset, length) in wanted {
            let (id, endpoint) = (FetchId(from, exchange, offset), endpoint.clone());
            let (path, query) = (path.clone(), query.clone());
            self.fetches.push_back(Fetch { id, address, endpoint, path, query, offset, length });
        }
    }

    /// Answers a [`Fetch`]: with 2.05 and what it asks for, or with an error. What has been answered, or has been given up by the client, is
    /// ignored.
    pub fn answer_fetch(&mut self, now: Now, id: FetchId, part: Result<Part<'_>, Code>) {
        self.now = now;
        let FetchId(from, exchange, offset) = id;
        let Some(slot) = self.endpoint.use_slot(from) else { return };
        match part {
            Ok(Part { etag, size, bytes }) => {
                let reply = Reply::new(Code::CONTENT).content_format(ContentFormat::OPAQUE).etag(etag).body(bytes);
                slot.peer.respond_blocks(now.elapsed, exchange, offset, reply, size);
            }
            Err(code) => slot.peer.respond(now.elapsed, exchange, Reply::new(code)),
        }
    }
}
