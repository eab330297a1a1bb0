//! Confirmable messages until they are acknowledged (RFC 7252 sections 4.2 and 4.7).

use std::{collections::VecDeque, time::Duration};

use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::{MessageIds, Outbox, Transmission};
use crate::wire::MessageId;

/// A confirmable message on its way.
pub(crate) struct Flight<O> {
    pub(crate) owner: O,
    pub(crate) id: MessageId,
    /// Whether NSTART counts it.
    paced: bool,
    datagram: Vec<u8>,
    retransmissions: u8,
    timeout: Duration,
    due: Duration,
}

/// What came of a flight that was due.
pub(crate) enum Due<O> {
    /// It was sent again.
    Sent,
    /// Nobody acknowledged it.
    GivenUp(Flight<O>),
}

/// All confirmable messages on their way, and those that NSTART holds back. Few at a time: found by looking at each.
pub(crate) struct Flights<O> {
    flights: Vec<Flight<O>>,
    queue: VecDeque<(O, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl<O: Copy> Flights<O> {
    /// Buffers that are kept for the next messages, and how large they may be.
    const SPARE: usize = 4;
    const SPARE_BYTES: usize = 512;

    pub(crate) fn new() -> Self {
        Self { flights: Vec::new(), queue: VecDeque::new(), spare: Vec::new() }
    }

    /// An empty buffer for a datagram.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, mut datagram: Vec<u8>) {
        if self.spare.len() < Self::SPARE && datagram.capacity() <= Self::SPARE_BYTES {
            datagram.clear();
            self.spare.push(datagram);
        }
    }

    /// Queues a message of which NSTART counts; [`Flights::start`] sends it and gives it its message ID.
    pub(crate) fn queue(&mut self, owner: O, datagram: Vec<u8>) {
        self.queue.push_back((owner, datagram));
    }

    /// Starts what NSTART allows.
    pub(crate) fn start(
        &mut self,
        now: Duration,
        parameters: &Transmission,
        ids: &mut MessageIds,
        rng: &mut ChaCha8Rng,
        outbox: &mut Outbox,
    ) {
        while !self.queue.is_empty() {
            let paced = self.flights.iter().filter(|flight| flight.paced).count();
            if paced >= parameters.nstart.max(1) {
                return;
            }
            if let Some((owner, datagram)) = self.queue.pop_front() {
                self.depart(now, owner, datagram, true, parameters, ids, rng, outbox);
            }
        }
    }

    /// Sends a message at once, which NSTART does not count.
    #[expect(clippy::too_many_arguments, reason = "parts of the peer, borrowed apart")]
    pub(crate) fn send(
        &mut self,
        now: Duration,
        owner: O,
        datagram: Vec<u8>,
        parameters: &Transmission,
        ids: &mut MessageIds,
        rng: &mut ChaCha8Rng,
        outbox: &mut Outbox,
    ) {
        self.depart(now, owner, datagram, false, parameters, ids, rng, outbox);
    }

    #[expect(clippy::too_many_arguments, reason = "parts of the peer, borrowed apart")]
    fn depart(
        &mut self,
        now: Duration,
        owner: O,
        mut datagram: Vec<u8>,
        paced: bool,
        parameters: &Transmission,
        ids: &mut MessageIds,
        rng: &mut ChaCha8Rng,
        outbox: &mut Outbox,
    ) {
        let id = ids.next(|id| self.uses(id));
        datagram[2..4].copy_from_slice(&id.to_be_bytes());
        outbox.push(&datagram);
        let factor = 1.0 + (parameters.ack_random_factor - 1.0) * (rng.next_u32() as f32 / u32::MAX as f32);
        let timeout = parameters.ack_timeout.mul_f32(factor.max(1.0));
        self.flights.push(Flight { owner, id, paced, datagram, retransmissions: 0, timeout, due: now + timeout });
    }

    pub(crate) fn uses(&self, id: MessageId) -> bool {
        self.flights.iter().any(|flight| flight.id == id)
    }

    /// The message with this ID.
    pub(crate) fn find(&self, id: MessageId) -> Option<&Flight<O>> {
        self.flights.iter().find(|flight| flight.id == id)
    }

    /// Ends the flight of the message with this ID.
    pub(crate) fn take(&mut self, id: MessageId) -> Option<Flight<O>> {
        let position = self.flights.iter().position(|flight| flight.id == id)?;
        Some(self.flights.swap_remove(position))
    }

    /// Ends the flight, or the waiting, of one message whose owner `chosen` says yes to; gives that owner.
    pub(crate) fn forget_one(&mut self, chosen: impl Fn(O) -> bool) -> Option<O> {
        let (owner, datagram) = match self.flights.iter().position(|flight| chosen(flight.owner)) {
            Some(position) => {
                let flight = self.flights.swap_remove(position);
                (flight.owner, flight.datagram)
            }
            None => {
                let position = self.queue.iter().position(|(owner, _)| chosen(*owner))?;
                self.queue.remove(position)?
            }
        };
        self.recycle(datagram);
        Some(owner)
    }

    /// Whether a message with such an owner is on its way or waits.
    pub(crate) fn any(&self, chosen: impl Fn(O) -> bool) -> bool {
        self.flights.iter().any(|flight| chosen(flight.owner)) || self.queue.iter().any(|(owner, _)| chosen(*owner))
    }

    /// Whether a message with such an owner is on its way already.
    pub(crate) fn any_sent(&self, chosen: impl Fn(O) -> bool) -> bool {
        self.flights.iter().any(|flight| chosen(flight.owner))
    }

    /// Puts another message in the place of one that waits; gives the owner of the one that was there.
    pub(crate) fn replace_queued(
        &mut self,
        chosen: impl Fn(O) -> bool,
        owner: O,
        datagram: Vec<u8>,
    ) -> Result<O, Vec<u8>> {
        let Some((old_owner, old)) = self.queue.iter_mut().find(|(owner, _)| chosen(*owner)) else {
            return Err(datagram);
        };
        let replaced = std::mem::replace(old_owner, owner);
        let old = std::mem::replace(old, datagram);
        self.recycle(old);
        Ok(replaced)
    }

    /// When the next message is sent again or given up.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.flights.iter().map(|flight| flight.due).min()
    }

    /// Sends one message that is due again, or gives it up. `newer` may give another content for it, which then goes under a
    /// new message ID and with the counter of the old one (RFC 7641 section 4.5.2).
    pub(crate) fn retransmit(
        &mut self,
        now: Duration,
        parameters: &Transmission,
        ids: &mut MessageIds,
        outbox: &mut Outbox,
        newer: impl FnOnce(O) -> Option<(O, Vec<u8>)>,
    ) -> Option<Due<O>> {
        let position = self.flights.iter().position(|flight| flight.due <= now)?;
        if self.flights[position].retransmissions >= parameters.max_retransmit {
            return Some(Due::GivenUp(self.flights.swap_remove(position)));
        }
        if let Some((owner, mut datagram)) = newer(self.flights[position].owner) {
            let id = ids.next(|id| self.uses(id));
            datagram[2..4].copy_from_slice(&id.to_be_bytes());
            let flight = &mut self.flights[position];
            (flight.owner, flight.id) = (owner, id);
            let old = std::mem::replace(&mut flight.datagram, datagram);
            self.recycle(old);
        }
        let flight = &mut self.flights[position];
        flight.retransmissions += 1;
        flight.timeout *= 2;
        flight.due = now + flight.timeout;
        outbox.push(&flight.datagram);
        Some(Due::Sent)
    }

    /// How many messages with such an owner are on their way or wait.
    pub(crate) fn count(&self, chosen: impl Fn(O) -> bool) -> usize {
        self.flights.iter().filter(|flight| chosen(flight.owner)).count()
            + self.queue.iter().filter(|(owner, _)| chosen(*owner)).count()
    }

    /// Bytes held for messages with such an owner.
    pub(crate) fn memory(&self, chosen: impl Fn(O) -> bool) -> usize {
        let flights = self.flights.iter().map(|flight| (flight.owner, &flight.datagram));
        let all = flights.chain(self.queue.iter().map(|(owner, datagram)| (*owner, datagram)));
        all.filter(|(owner, _)| chosen(*owner)).map(|(_, datagram)| datagram.capacity() + size_of::<Flight<O>>()).sum()
    }

    /// Bytes kept for messages to come.
    pub(crate) fn spare_memory(&self) -> usize {
        let unused = (self.flights.capacity() - self.flights.len()) * size_of::<Flight<O>>();
        unused + self.spare.iter().map(|datagram| datagram.capacity() + size_of::<Vec<u8>>()).sum::<usize>()
    }
}

impl<O> Flight<O> {
    /// The buffer of the datagram, to be used again.
    pub(crate) fn into_datagram(self) -> Vec<u8> {
        self.datagram
    }
}
