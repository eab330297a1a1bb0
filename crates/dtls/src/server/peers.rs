//! The clients of a server, found by their Connection IDs, then by their addresses (RFC 9146 section 6).

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use crate::{association::Association, record::ConnectionId};

/// Names an association of a [`Server`](crate::Server). It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssociationId(u64);

/// One client.
pub(super) struct Peer {
    pub(super) association: Association,
    pub(super) address: SocketAddr,
    /// How many bytes may still be sent to an address that is not proven.
    pub(super) allowance: Option<usize>,
    /// When it was last heard of.
    heard: Duration,
}

pub(super) struct Peers {
    next: u64,
    peers: BTreeMap<AssociationId, Peer>,
    by_address: BTreeMap<SocketAddr, AssociationId>,
    by_connection_id: BTreeMap<ConnectionId, AssociationId>,
}

impl Peers {
    /// What may be sent to an address that is not proven, for each byte from there (RFC 9146 section 6).
    const FACTOR: usize = 3;

    pub(super) const fn new() -> Self {
        Self { next: 0, peers: BTreeMap::new(), by_address: BTreeMap::new(), by_connection_id: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn has_connection_id(&self, id: ConnectionId) -> bool {
        self.by_connection_id.contains_key(&id)
    }

    pub(super) fn get(&self, id: AssociationId) -> Option<&Peer> {
        self.peers.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: AssociationId) -> Option<&mut Peer> {
        self.peers.get_mut(&id)
    }

    /// The association that a record belongs to, by what it says.
    pub(super) fn find(&self, from: SocketAddr, connection_id: &[u8]) -> Option<AssociationId> {
        if connection_id.is_empty() {
            return self.by_address.get(&from).copied();
        }
        self.by_connection_id.get(&ConnectionId::new(connection_id)?).copied()
    }

    /// Adds an association. One at the same address gives way, unless it is another client's and records to it carry a Connection
    /// ID: then a NAT has given its address to another, and it will be heard of from elsewhere.
    pub(super) fn insert(
        &mut self,
        now: Duration,
        address: SocketAddr,
        association: Association,
    ) -> (AssociationId, Option<AssociationId>) {
        let replaced = self.by_address.get(&address).copied().filter(|id| {
            self.peers.get(id).is_some_and(|peer| {
                peer.association.own_id().is_empty() || peer.association.peer().is_same(association.peer())
            })
        });
        let same_id = self.by_connection_id.get(&association.own_id()).copied();
        let replaced = replaced.or(same_id);
        if let Some(replaced) = replaced {
            self.remove(replaced);
        }
        self.next += 1;
        let id = AssociationId(self.next);
        if !association.own_id().is_empty() {
            self.by_connection_id.insert(association.own_id(), id);
        }
        self.by_address.insert(address, id);
        self.peers.insert(id, Peer { association, address, allowance: None, heard: now });
        (id, replaced)
    }

    /// An authentic record has come. Gives whether the client has moved by it.
    pub(super) fn heard(
        &mut self,
        id: AssociationId,
        now: Duration,
        from: SocketAddr,
        size: usize,
        newest: bool,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        peer.heard = now;
        if peer.address == from {
            peer.allowance = peer.allowance.map(|allowance| allowance.saturating_add(Self::FACTOR * size));
            return false;
        }
        if !newest {
            return false;
        }
        let old = core::mem::replace(&mut peer.address, from);
        peer.allowance = Some(Self::FACTOR * size);
        if self.by_address.get(&old) == Some(&id) {
            self.by_address.remove(&old);
        }
        // An association without Connection ID can be found by its address only, and stays there.
        let taken = self.by_address.get(&from).and_then(|other| self.peers.get(other));
        if taken.is_none_or(|other| !other.association.own_id().is_empty()) {
            self.by_address.insert(from, id);
        }
        true
    }

    /// Those whose certificates' validity is still to be checked.
    pub(super) fn unchecked(&self) -> Vec<AssociationId> {
        let unchecked = self.peers.iter().filter(|(_, peer)| peer.association.is_validity_unchecked());
        unchecked.map(|(id, _)| *id).collect()
    }

    pub(super) fn remove(&mut self, id: AssociationId) -> Option<Peer> {
        let peer = self.peers.remove(&id)?;
        if self.by_address.get(&peer.address) == Some(&id) {
            self.by_address.remove(&peer.address);
        }
        self.by_connection_id.remove(&peer.association.own_id());
        Some(peer)
    }

    /// Removes the association that was silent longest.
    pub(super) fn evict(&mut self) -> Option<AssociationId> {
        let id = self.peers.iter().min_by_key(|(_, peer)| peer.heard).map(|(id, _)| *id)?;
        self.remove(id).map(|_| id)
    }

    pub(super) fn memory(&self) -> usize {
        let index = 2 * (size_of::<AssociationId>() + size_of::<SocketAddr>() + size_of::<ConnectionId>());
        self.peers.values().map(|peer| size_of::<Peer>() + peer.association.memory() + index).sum()
    }
}
