//! Own requests.

use std::time::Duration;

use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::RequestId;
use crate::{
    block::{Assembly, Source, Upload},
    observe::Freshness,
    wire::{Code, MessageId, Token},
};

/// An own request, and the observation that it started.
pub(crate) struct Outbound {
    pub(crate) id: RequestId,
    pub(crate) code: Code,
    pub(crate) confirmable: bool,
    /// The Observe option of the request.
    pub(crate) observe: Option<u32>,
    /// Its other options, encoded, without those of block-wise transfer.
    pub(crate) options: Vec<u8>,
    /// Its token; while it observes, that of the notifications.
    pub(crate) token: Token,
    /// The token of a request for a further block of what the other end has sent under `token`.
    pub(crate) follow_up: Option<Token>,
    /// The ID of its last non-confirmable message, by which it may be reset.
    pub(crate) non_id: Option<MessageId>,
    /// When it fails unless a response comes.
    pub(crate) deadline: Option<Duration>,
    /// The body of a FETCH in one message, which goes with the request for each block of its response.
    pub(crate) body: Vec<u8>,
    pub(crate) upload: Option<Upload>,
    /// Hand out the response's body block by block.
    pub(crate) stream: bool,
    pub(crate) assembly: Option<Assembly>,
    /// How often the representation has changed while it was fetched.
    pub(crate) restarts: u8,
    /// It observes.
    pub(crate) observation: Option<Freshness>,
    /// Its response was handed out.
    pub(crate) announced: bool,
}

impl Outbound {
    /// Whether it is no more than an observation at rest.
    pub(crate) fn is_resting(&self) -> bool {
        self.announced && self.follow_up.is_none()
    }
}

/// All own requests. A token of eight bytes names its slot in two of them, masked, and has 48 random bits: it is found
/// without a search even where there are hundreds of observations, and cannot be guessed (RFC 7252 section 5.3.1).
pub(crate) struct Requests {
    slots: Vec<Option<Outbound>>,
    free: Vec<u16>,
    mask: u16,
    serial: u64,
}

impl Requests {
    /// The slot number of ids that have none.
    const NONE: u16 = u16::MAX;

    pub(crate) fn new(mask: u16) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), mask, serial: 0 }
    }

    /// An id for something that is no request to be kept.
    pub(crate) fn unkept(&mut self) -> RequestId {
        self.name(Self::NONE)
    }

    fn name(&mut self, slot: u16) -> RequestId {
        self.serial += 1;
        RequestId(self.serial << 16 | u64::from(slot))
    }

    fn slot(id: RequestId) -> u16 {
        id.0 as u16
    }

    /// A fresh token for the request in this slot.
    fn token(&self, slot: u16, rng: &mut ChaCha8Rng) -> Token {
        Token::from((rng.next_u64() & !0xffff | u64::from(slot ^ self.mask)).to_be_bytes())
    }

    /// A fresh token for a further message of a request.
    pub(crate) fn next_token(&self, id: RequestId, rng: &mut ChaCha8Rng) -> Token {
        self.token(Self::slot(id), rng)
    }

    /// Keeps a request that `make` makes from its id and token; `None` when all slots are taken.
    pub(crate) fn insert(
        &mut self,
        rng: &mut ChaCha8Rng,
        make: impl FnOnce(RequestId, Token) -> Outbound,
    ) -> Option<RequestId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u16::try_from(self.slots.len()).ok().filter(|slot| *slot < Self::NONE)?;
                self.slots.push(None);
                slot
            }
        };
        let (id, token) = (self.name(slot), self.token(slot, rng));
        self.slots[usize::from(slot)] = Some(make(id, token));
        Some(id)
    }

    pub(crate) fn get(&mut self, id: RequestId) -> Option<&mut Outbound> {
        self.slots.get_mut(usize::from(Self::slot(id)))?.as_mut().filter(|request| request.id == id)
    }

    /// The request that a response with this token is for.
    pub(crate) fn find(&mut self, token: Token) -> Option<&mut Outbound> {
        let slot = self.slot_of(token)?;
        self.slots[slot].as_mut()
    }

    /// The slot of the request that a response with this token is for.
    pub(crate) fn slot_of(&self, token: Token) -> Option<usize> {
        let &[.., high, low] = <&[u8; 8]>::try_from(token.as_bytes()).ok()?;
        let slot = usize::from(u16::from_be_bytes([high, low]) ^ self.mask);
        let request = self.slots.get(slot)?.as_ref()?;
        (request.token == token || request.follow_up == Some(token)).then_some(slot)
    }

    pub(crate) fn remove(&mut self, id: RequestId) -> Option<Outbound> {
        let slot = Self::slot(id);
        let request = self.slots.get_mut(usize::from(slot))?.take_if(|request| request.id == id)?;
        self.free.push(slot);
        Some(request)
    }

    /// Gives a request another id: the old one is unknown from then on.
    pub(crate) fn rename(&mut self, id: RequestId) -> Option<RequestId> {
        self.get(id)?;
        let name = self.name(Self::slot(id));
        self.get(id)?.id = name;
        Some(name)
    }

    /// A request whose response did not come in time.
    pub(crate) fn overdue(&self, now: Duration) -> Option<RequestId> {
        self.iter().find(|request| request.deadline.is_some_and(|deadline| deadline <= now)).map(|request| request.id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Outbound> {
        self.slots.iter().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Bytes held for requests and for observations.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let (mut requests, mut observations) = (self.free.capacity() * size_of::<u16>(), 0);
        for request in self.iter() {
            let upload = match &request.upload {
                Some(Upload { source: Source::Bytes(body), .. }) => body.capacity(),
                _ => 0,
            };
            let bytes = size_of::<Option<Outbound>>() + request.options.capacity() + request.body.capacity() + upload;
            if request.observation.is_some() { observations += bytes } else { requests += bytes }
        }
        requests += (self.slots.capacity() - self.len()) * size_of::<Option<Outbound>>();
        (requests, observations)
    }
}
