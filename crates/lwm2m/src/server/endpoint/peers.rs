//! One message layer for each remote, and the bound on those of strangers.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use lapwing_coap::peer::{Config, Event, Failure, Peer, RequestId};
use rand_chacha::{ChaCha12Rng, rand_core::Rng};

use super::Remote;
use crate::server::timers::Timers;

/// A peer and what is kept of it here. `O` is what an engine keeps of each of its requests.
pub(in crate::server) struct Slot<O> {
    pub(in crate::server) peer: Peer,
    pub(in crate::server) owners: HashMap<RequestId, O>,
    /// Endpoint of the last registration of this remote.
    pub(in crate::server) endpoint: Option<Arc<str>>,
    /// The first request that has gone to nowhere but the address to which the client has moved.
    pub(in crate::server) unproven: Option<RequestId>,
    registrations: usize,
    seen: u64,
    queued: bool,
}

/// Whether an event shows that a client is at the address to which it has moved: it answers what has been sent there only
/// (RFC 9146 section 6). `unproven` is the first such request ([`Slot::unproven`]).
pub(in crate::server) fn proves_address(unproven: Option<RequestId>, event: &Event<'_>) -> bool {
    let answered = match event {
        Event::Response { request, .. } | Event::Failed { request, why: Failure::Pong | Failure::Reset } => request,
        _ => return false,
    };
    unproven.is_some_and(|first| *answered >= first)
}

pub(super) struct Peers<O> {
    slots: HashMap<Remote, Slot<O>>,
    /// Those without a registration, by when they were last seen; apart, so that whoever can send datagrams without a
    /// session does not push out those who have one.
    plain: BTreeMap<u64, Remote>,
    secure: BTreeMap<u64, Remote>,
    limit: usize,
    /// Counts datagrams, to tell who was seen last.
    counter: u64,
    timers: Timers<Remote>,
    /// Peers that may have something to say.
    queue: VecDeque<Remote>,
    config: Arc<Config>,
}

impl<O> Peers<O> {
    pub(super) fn new(config: Arc<Config>, limit: usize) -> Peers<O> {
        Peers {
            slots: HashMap::new(),
            plain: BTreeMap::new(),
            secure: BTreeMap::new(),
            limit: limit.max(1),
            counter: 0,
            timers: Timers::new(),
            queue: VecDeque::new(),
            config,
        }
    }

    fn strangers_like(&mut self, remote: Remote) -> &mut BTreeMap<u64, Remote> {
        match remote {
            Remote::Plain(_) => &mut self.plain,
            Remote::Secure(_) => &mut self.secure,
        }
    }

    pub(super) fn get(&self, remote: Remote) -> Option<&Slot<O>> {
        self.slots.get(&remote)
    }

    /// Whether a remote is known, and has no registration.
    pub(super) fn is_stranger(&self, remote: Remote) -> bool {
        self.slots.get(&remote).is_some_and(|slot| slot.registrations == 0)
    }

    /// The slot, which the caller is about to use: it is polled afterwards.
    pub(super) fn use_slot(&mut self, remote: Remote) -> Option<&mut Slot<O>> {
        let slot = self.slots.get_mut(&remote)?;
        if !slot.queued {
            slot.queued = true;
            self.queue.push_back(remote);
        }
        Some(slot)
    }

    /// Notes that a remote has been heard of, and makes its slot where it is new. Gives the stranger that had to go for it.
    pub(super) fn seen(&mut self, remote: Remote, rng: &mut ChaCha12Rng) -> Option<Remote> {
        self.counter += 1;
        let counter = self.counter;
        match self.slots.get_mut(&remote) {
            Some(slot) if slot.registrations > 0 => None,
            Some(slot) => {
                let before = std::mem::replace(&mut slot.seen, counter);
                let strangers = self.strangers_like(remote);
                strangers.remove(&before);
                strangers.insert(counter, remote);
                None
            }
            None => {
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                let peer = Peer::new(Arc::clone(&self.config), seed);
                let slot = Slot {
                    peer,
                    owners: HashMap::new(),
                    endpoint: None,
                    unproven: None,
                    registrations: 0,
                    seen: counter,
                    queued: false,
                };
                self.slots.insert(remote, slot);
                self.strangers_like(remote).insert(counter, remote);
                self.drop_stranger(remote)
            }
        }
    }

    /// Drops the one seen least recently where there are too many strangers like `remote`.
    fn drop_stranger(&mut self, remote: Remote) -> Option<Remote> {
        let limit = self.limit;
        let strangers = self.strangers_like(remote);
        let (_, dropped) = if strangers.len() > limit { strangers.pop_first()? } else { return None };
        self.slots.remove(&dropped);
        self.timers.set(dropped, None);
        Some(dropped)
    }

    /// A registration of this remote begins.
    pub(super) fn admit(&mut self, remote: Remote, endpoint: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(&remote) else { return };
        slot.registrations += 1;
        slot.endpoint = Some(Arc::clone(endpoint));
        let seen = slot.seen;
        self.strangers_like(remote).remove(&seen);
    }

    /// A registration of this remote has ended. Gives the stranger that has to go for what is one now.
    pub(super) fn dismiss(&mut self, remote: Remote) -> Option<Remote> {
        let slot = self.slots.get_mut(&remote)?;
        slot.registrations = slot.registrations.saturating_sub(1);
        if slot.registrations > 0 {
            return None;
        }
        slot.endpoint = None;
        self.counter += 1;
        let before = std::mem::replace(&mut slot.seen, self.counter);
        let counter = self.counter;
        let strangers = self.strangers_like(remote);
        strangers.remove(&before);
        strangers.insert(counter, remote);
        self.drop_stranger(remote)
    }

    /// Forgets a remote.
    pub(super) fn remove(&mut self, remote: Remote) -> Option<Slot<O>> {
        let slot = self.slots.remove(&remote)?;
        self.strangers_like(remote).remove(&slot.seen);
        self.timers.set(remote, None);
        Some(slot)
    }

    /// The next peer that may have something to say.
    pub(super) fn front(&self) -> Option<Remote> {
        self.queue.front().copied()
    }

    /// Appends the next message of the peer in front; without one, it is no longer in front.
    pub(super) fn poll_transmit(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        let remote = self.front()?;
        let range = self.slots.get_mut(&remote).and_then(|slot| slot.peer.poll_transmit(now, buffer));
        if range.is_none() {
            self.settle_front();
        }
        range
    }

    fn settle_front(&mut self) {
        let Some(remote) = self.queue.pop_front() else { return };
        // A stranger may have been dropped meanwhile.
        let Some(slot) = self.slots.get_mut(&remote) else { return };
        slot.queued = false;
        self.timers.set(remote, slot.peer.poll_timeout().map(|(at, _)| at));
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Lets each peer whose time has come do what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while let Some(remote) = self.timers.expire(now) {
            if let Some(slot) = self.use_slot(remote) {
                slot.peer.handle_timeout(now);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn strangers(&self) -> usize {
        self.plain.len() + self.secure.len()
    }
}
