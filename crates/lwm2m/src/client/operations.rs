use std::time::Duration;

use lapwing_coap::{ContentFormat, Token, peer::ExchangeId};

use super::OperationId;
use crate::model::{ObjectId, Path};

/// What the end of an operation is for.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Answers a Read; with a token, an observation begins.
    Read { path: Path, accept: Option<ContentFormat>, observe: Option<Token> },
    /// Notifies an observer.
    Notify { token: Token },
    /// Answers a Write.
    Write,
    /// Answers an Execute.
    Execute,
    /// Answers a Create.
    Create { object: ObjectId },
    /// Answers a Delete.
    Delete,
    /// Answers a Discover.
    Discover { path: Path },
    /// A part of what a bootstrap server has finished.
    Bootstrap,
    /// Answers a streamed write. `whole`: the body came in one message.
    Receive { whole: bool, last: bool },
}

impl Work {
    /// Whether the operation runs to its end when nobody waits for it any more.
    pub(super) const fn is_mutation(&self) -> bool {
        matches!(self, Work::Write | Work::Execute | Work::Create { .. } | Work::Delete | Work::Bootstrap)
    }
}

/// What an open operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The application.
    Open,
    /// The application, though its server has been answered 5.03 or has gone.
    Late,
    /// A streamed answer is being pulled.
    Serving,
    /// The answer was sent; it settles.
    Settling,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) session: usize,
    /// The request that asked for it; none for a notification.
    pub(super) exchange: Option<ExchangeId>,
    pub(super) work: Work,
    pub(super) phase: Phase,
    /// When its server is answered 5.03.
    deadline: Option<Duration>,
}

impl Pending {
    pub(super) fn new(session: usize, exchange: Option<ExchangeId>, work: Work) -> Pending {
        Pending { session, exchange, work, phase: Phase::Open, deadline: None }
    }
}

/// All operations, in slots that are used again under new names.
#[derive(Debug)]
pub(super) struct Operations {
    slots: Vec<Slot>,
    free: Vec<u32>,
    timeout: Duration,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    pending: Option<Pending>,
}

impl Operations {
    pub(super) fn new(timeout: Duration) -> Operations {
        Operations { slots: Vec::new(), free: Vec::new(), timeout }
    }

    /// Takes in an operation. A streamed write gets its deadline with its last chunk.
    pub(super) fn insert(&mut self, now: Duration, mut pending: Pending) -> OperationId {
        pending.deadline = (!matches!(pending.work, Work::Receive { .. })).then(|| now + self.timeout);
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, pending: None });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.pending = Some(pending);
        OperationId(u64::from(slot.generation) << 32 | u64::from(index))
    }

    pub(super) fn set_deadline(&mut self, now: Duration, id: OperationId) {
        let deadline = now + self.timeout;
        if let Some(pending) = self.get_mut(id) {
            pending.deadline = Some(deadline);
        }
    }

    pub(super) fn set_phase(&mut self, id: OperationId, phase: Phase) {
        if let Some(pending) = self.get_mut(id) {
            pending.phase = phase;
        }
    }

    pub(super) fn get_mut(&mut self, id: OperationId) -> Option<&mut Pending> {
        let slot = self.slots.get_mut((id.0 & u64::from(u32::MAX)) as usize)?;
        if u64::from(slot.generation) == id.0 >> 32 { slot.pending.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, id: OperationId) -> Option<Pending> {
        self.get_mut(id)?;
        let index = (id.0 & u64::from(u32::MAX)) as u32;
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        slot.pending.take()
    }

    fn all(&self) -> impl Iterator<Item = (OperationId, &Pending)> + '_ {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = OperationId(u64::from(slot.generation) << 32 | index as u64);
            slot.pending.as_ref().map(|pending| (id, pending))
        })
    }

    /// The operations of a session.
    pub(super) fn of(&self, session: usize) -> impl Iterator<Item = (OperationId, &Pending)> + '_ {
        self.all().filter(move |(_, pending)| pending.session == session)
    }

    /// The operation that a request asked for.
    pub(super) fn by_exchange(&self, session: usize, exchange: ExchangeId) -> Option<OperationId> {
        self.of(session).find(|(_, pending)| pending.exchange == Some(exchange)).map(|(id, _)| id)
    }

    /// The Reads of a session that were to begin an observation with this token are Reads only.
    pub(super) fn forget_observe(&mut self, session: usize, token: Token) {
        for pending in self.slots.iter_mut().filter_map(|slot| slot.pending.as_mut()) {
            if let Work::Read { observe, .. } = &mut pending.work
                && pending.session == session
            {
                observe.take_if(|begun| *begun == token);
            }
        }
    }

    /// How many operations a session has that the application has not answered, notifications aside.
    pub(super) fn open(&self, session: usize) -> usize {
        let counts = |pending: &Pending| {
            matches!(pending.phase, Phase::Open | Phase::Late) && !matches!(pending.work, Work::Notify { .. })
        };
        self.of(session).filter(|(_, pending)| counts(pending)).count()
    }

    /// The next operation whose time is over.
    pub(super) fn expired(&self, now: Duration) -> Option<OperationId> {
        self.deadlines().find(|(deadline, _)| *deadline <= now).map(|(_, id)| id)
    }

    /// When the next operation's time is over.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines().map(|(deadline, _)| deadline).min()
    }

    /// There are at most a few dozen operations, so a scan is cheaper than keeping them in order.
    fn deadlines(&self) -> impl Iterator<Item = (Duration, OperationId)> + '_ {
        self.all()
            .filter(|(_, pending)| pending.phase == Phase::Open)
            .filter_map(|(id, pending)| Some((pending.deadline?, id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(session: usize) -> Pending {
        Pending::new(session, None, Work::Execute)
    }

    #[test]
    fn a_name_is_never_used_again() {
        let mut operations = Operations::new(Duration::from_secs(60));
        let first = operations.insert(Duration::ZERO, pending(0));
        assert!(operations.remove(first).is_some());
        let second = operations.insert(Duration::ZERO, pending(0));
        assert_ne!(first, second);
        assert!(operations.get_mut(first).is_none());
        assert!(operations.remove(first).is_none());
        assert!(operations.get_mut(second).is_some());
    }

    #[test]
    fn deadlines_pass_in_order_and_ended_operations_have_none() {
        let mut operations = Operations::new(Duration::from_secs(60));
        let seconds = Duration::from_secs;
        let first = operations.insert(seconds(0), pending(0));
        let second = operations.insert(seconds(1), pending(1));
        let third = operations.insert(seconds(2), pending(1));
        assert_eq!((operations.open(0), operations.open(1)), (1, 2));
        operations.remove(first);
        operations.get_mut(third).unwrap().phase = Phase::Settling;
        assert_eq!(operations.next_deadline(), Some(seconds(61)));
        assert_eq!(operations.expired(seconds(60)), None);
        assert_eq!(operations.expired(seconds(63)), Some(second));
        operations.get_mut(second).unwrap().phase = Phase::Late;
        assert_eq!(operations.expired(seconds(63)), None);
        assert_eq!(operations.next_deadline(), None);
    }
}
