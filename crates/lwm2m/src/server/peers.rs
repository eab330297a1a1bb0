//! One message layer for each address, and the bound on those of strangers.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use lapwing_coap::peer::{Config, Peer, RequestId};
use rand_chacha::{ChaCha12Rng, rand_core::Rng};

use super::{exchange::Shape, operation, timers::Timers};
use crate::model::Path;

/// Whom a request to a peer is for.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    /// Who waits for the answer.
    pub(super) request: Option<operation::RequestId>,
    /// Which observation it begins, or began.
    pub(super) observation: Option<(Arc<str>, Path)>,
    /// How to read what comes.
    pub(super) shape: Shape,
}

/// A peer and what is kept of it here.
pub(super) struct Slot {
    pub(super) peer: Peer,
    pub(super) owners: HashMap<RequestId, Owner>,
    /// Endpoint of the last registration from this address.
    pub(super) endpoint: Option<Arc<str>>,
    registrations: usize,
    seen: u64,
    queued: bool,
}

pub(super) struct Peers {
    slots: HashMap<SocketAddr, Slot>,
    /// Those without a registration, by when they were last seen.
    strangers: BTreeMap<u64, SocketAddr>,
    limit: usize,
    /// Counts datagrams, to tell who was seen last.
    counter: u64,
    timers: Timers<SocketAddr>,
    /// Peers that may have something to say.
    queue: VecDeque<SocketAddr>,
    config: Arc<Config>,
}

impl Peers {
    pub(super) fn new(config: Arc<Config>, limit: usize) -> Peers {
        Peers {
            slots: HashMap::new(),
            strangers: BTreeMap::new(),
            limit,
            counter: 0,
            timers: Timers::new(),
            queue: VecDeque::new(),
            config,
        }
    }

    pub(super) fn get(&self, address: SocketAddr) -> Option<&Slot> {
        self.slots.get(&address)
    }

    /// The slot, which the caller is about to use: it is polled afterwards.
    pub(super) fn use_slot(&mut self, address: SocketAddr) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(&address)?;
        if !slot.queued {
            slot.queued = true;
            self.queue.push_back(address);
        }
        Some(slot)
    }

    /// The slot of one who has just sent something, made where it is new. The stranger seen least recently goes when
    /// there are too many.
    pub(super) fn seen(&mut self, address: SocketAddr, rng: &mut ChaCha12Rng) -> &mut Slot {
        self.counter += 1;
        let counter = self.counter;
        match self.slots.get_mut(&address) {
            Some(slot) if slot.registrations > 0 => {}
            Some(slot) => {
                self.strangers.remove(&slot.seen);
                slot.seen = counter;
                self.strangers.insert(counter, address);
            }
            None => {
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                let peer = Peer::new(Arc::clone(&self.config), seed);
                let slot = Slot {
                    peer,
                    owners: HashMap::new(),
                    endpoint: None,
                    registrations: 0,
                    seen: counter,
                    queued: false,
                };
                self.slots.insert(address, slot);
                self.strangers.insert(counter, address);
                self.drop_strangers();
            }
        }
        self.use_slot(address).expect("the slot is there, or was just made")
    }

    fn drop_strangers(&mut self) {
        while self.strangers.len() > self.limit.max(1) {
            let Some((_, address)) = self.strangers.pop_first() else { return };
            self.slots.remove(&address);
            self.timers.set(address, None);
        }
    }

    /// A registration from this address begins.
    pub(super) fn admit(&mut self, address: SocketAddr, endpoint: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(&address) else { return };
        if slot.registrations == 0 {
            self.strangers.remove(&slot.seen);
        }
        slot.registrations += 1;
        slot.endpoint = Some(Arc::clone(endpoint));
    }

    /// A registration from this address has ended.
    pub(super) fn dismiss(&mut self, address: SocketAddr) {
        let Some(slot) = self.slots.get_mut(&address) else { return };
        slot.registrations = slot.registrations.saturating_sub(1);
        if slot.registrations == 0 {
            slot.endpoint = None;
            self.counter += 1;
            slot.seen = self.counter;
            self.strangers.insert(slot.seen, address);
            self.drop_strangers();
        }
    }

    /// The next peer that may have something to say.
    pub(super) fn front(&self) -> Option<SocketAddr> {
        self.queue.front().copied()
    }

    /// The peer in front has nothing more to say.
    pub(super) fn settle_front(&mut self) {
        let Some(address) = self.queue.pop_front() else { return };
        // A stranger may have been dropped meanwhile.
        let Some(slot) = self.slots.get_mut(&address) else { return };
        slot.queued = false;
        self.timers.set(address, slot.peer.poll_timeout().map(|(at, _)| at));
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Lets each peer whose time has come do what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while let Some(address) = self.timers.expire(now) {
            if let Some(slot) = self.use_slot(address) {
                slot.peer.handle_timeout(now);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn strangers(&self) -> usize {
        self.strangers.len()
    }
}
