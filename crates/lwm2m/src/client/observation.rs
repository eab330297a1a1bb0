//! When an observer is notified (LwM2M Core 1.1 section 5.1.2 and 7.3.2, RFC 7641).
//!
//! A change *demands* a notification, at once or, with thresholds, when a value crosses gt or lt or differs by st from the one
//! reported before. Demands that come within pmin of each other become one, with the newest value. Each demanded value is
//! sent by itself, and as confirmable messages the next one waits for the acknowledgement of the one before, so that none is lost
//! silently; only when more than [`MAX_DEMANDS`] wait does the oldest give way. Where the application gives no value, or
//! an object or instance is observed, the content is read when it is sent: it is then the newest.

use std::{collections::VecDeque, time::Duration};

use lapwing_coap::{ContentFormat, Token, peer::NotificationId};

use super::OperationId;
use crate::{
    attributes::Attributes,
    model::{Instance, Node, Path, Value},
};

/// Demanded values that wait for the acknowledgement of earlier ones, for each observation.
pub(super) const MAX_DEMANDS: usize = 32;
/// The first and the longest delay before a read that failed is tried again.
const READ_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// One server's observation of one path.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) token: Token,
    pub(super) path: Path,
    pub(super) accept: Option<ContentFormat>,
    /// Whether thresholds can apply: a readable number is observed by itself.
    numeric: bool,
    limits: Limits,
    /// When the last notification, or the first answer, was sent.
    sent: Duration,
    /// When the last demand is due, sent or not: pmin counts from there.
    last_due: Duration,
    /// The value seen last, to notice crossings and repetitions.
    seen: Option<Scalar>,
    /// The number demanded or notified last, from which st counts.
    reported: Option<f64>,
    demands: VecDeque<Demand>,
    /// A change came without a value, and thresholds say whether it matters: it must be read to know.
    evaluate: bool,
    waits: Waits,
    /// Whether a value was given since the read that is under way began: then that one is the newer.
    given: bool,
    read_failures: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    pmin: Duration,
    pmax: Option<Duration>,
    /// Those of gt, lt and st that apply; the rest is not looked at.
    thresholds: Attributes,
}

/// A notification that must be sent.
#[derive(Debug)]
struct Demand {
    due: Duration,
    /// None: it is read when it is sent.
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Waits {
    /// Nothing but time.
    Ready,
    /// The content is being read.
    Reading(Option<OperationId>),
    /// A read failed: not before this time again.
    Until(Duration),
    /// For the acknowledgement of a notification.
    InFlight(NotificationId),
}

/// A value that can be compared without being kept as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scalar {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Boolean(bool),
    Time(i64),
}

impl Scalar {
    fn of(value: &Value) -> Option<Scalar> {
        match *value {
            Value::Integer(number) => Some(Scalar::Integer(number)),
            Value::Unsigned(number) => Some(Scalar::Unsigned(number)),
            Value::Float(number) => Some(Scalar::Float(number)),
            Value::Boolean(truth) => Some(Scalar::Boolean(truth)),
            Value::Time(seconds) => Some(Scalar::Time(seconds)),
            _ => None,
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Scalar::Integer(number) | Scalar::Time(number) => Some(number as f64),
            Scalar::Unsigned(number) => Some(number as f64),
            Scalar::Float(number) => Some(number),
            Scalar::Boolean(_) => None,
        }
    }
}

/// What an observation wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Nothing,
    /// Read the content.
    Read,
    /// Send this.
    Send(Node),
}

impl Observation {
    /// An observation whose first answer, with `content`, is being sent now.
    pub(super) fn new(
        now: Duration,
        token: Token,
        path: Path,
        accept: Option<ContentFormat>,
        numeric: bool,
        content: &Node,
    ) -> Observation {
        let mut observation = Observation {
            token,
            path,
            accept,
            numeric,
            limits: Limits::default(),
            sent: now,
            last_due: now,
            seen: None,
            reported: None,
            demands: VecDeque::new(),
            evaluate: false,
            waits: Waits::Ready,
            given: false,
            read_failures: 0,
        };
        observation.remember(content);
        observation.reported = observation.seen.and_then(Scalar::number);
        observation
    }

    /// An observation of an earlier run: nobody knows what was notified last, so that its content is due.
    pub(super) fn taken_up(
        now: Duration,
        token: Token,
        path: Path,
        accept: Option<ContentFormat>,
        numeric: bool,
    ) -> Observation {
        let mut observation = Observation::new(now, token, path, accept, numeric, &Node::Instance(Instance::new()));
        observation.demand(now, None);
        observation
    }

    /// Takes the attributes that count from now on.
    pub(super) fn set_attributes(&mut self, attributes: &Attributes) {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        self.limits = Limits {
            pmin: attributes.pmin.map(seconds).unwrap_or_default(),
            pmax: attributes.effective_pmax().map(seconds),
            thresholds: if self.numeric { *attributes } else { Attributes::NONE },
        };
        let first = self.sent + self.limits.pmin;
        for demand in &mut self.demands {
            demand.due = demand.due.min(first);
        }
        self.last_due = self.last_due.min(first);
    }

    /// Something at, above or below the observed path has changed; `value` is the new one of exactly this path.
    pub(super) fn changed(&mut self, now: Duration, value: Option<&Value>) {
        self.given = true;
        match value {
            Some(value) => self.consider(now, value),
            None if self.limits.thresholds.has_thresholds() => self.evaluate = true,
            None => self.demand(now, None),
        }
    }

    /// Whether a value demands to be notified.
    fn consider(&mut self, now: Duration, value: &Value) {
        let scalar = Scalar::of(value);
        let before = std::mem::replace(&mut self.seen, scalar);
        let numbers = before.and_then(Scalar::number).zip(scalar.and_then(Scalar::number));
        let demanded = match numbers {
            Some((before, number)) if self.limits.thresholds.has_thresholds() => {
                let thresholds = &self.limits.thresholds;
                thresholds.crossed(before, number) || thresholds.stepped(self.reported.unwrap_or(before), number)
            }
            _ => scalar.is_none() || scalar != before,
        };
        // What is to be sent when pmin ends is the newest, whether it would have demanded it by itself or not.
        let waiting = self.demands.back().is_some_and(|demand| demand.due > now);
        if demanded || waiting {
            self.reported = scalar.and_then(Scalar::number);
            self.demand(now, Some(value.clone()));
        }
    }

    fn demand(&mut self, now: Duration, value: Option<Value>) {
        let reading = matches!(self.waits, Waits::Reading(_));
        let open = self.demands.len() - usize::from(reading && !self.demands.is_empty());
        if let Some(newest) = self.demands.back_mut().filter(|_| open > 0) {
            if newest.due > now {
                // Once something is to be read, it stays so: the value given may be older than what a read gives.
                newest.value = newest.value.take().and(value);
                return;
            }
            if newest.value.is_none() && value.is_none() {
                return;
            }
        }
        self.last_due = now.max(self.last_due + self.limits.pmin);
        self.demands.push_back(Demand { due: self.last_due, value });
        if self.demands.len() > MAX_DEMANDS {
            self.demands.pop_front();
        }
    }

    /// What is to be done now. After [`Step::Read`] call [`Observation::reading`], after [`Step::Send`] call
    /// [`Observation::sent`].
    pub(super) fn step(&mut self, now: Duration) -> Step {
        if self.next_due().is_none_or(|due| due > now) {
            return Step::Nothing;
        }
        self.waits = Waits::Ready;
        if self.evaluate {
            self.evaluate = false;
            return Step::Read;
        }
        if self.demands.is_empty() {
            self.demand(now, None);
        }
        if self.demands.front().is_some_and(|demand| demand.value.is_none()) {
            return Step::Read;
        }
        match self.demands.pop_front().and_then(|demand| demand.value) {
            Some(value) => Step::Send(self.node(value)),
            None => Step::Nothing,
        }
    }

    fn node(&self, value: Value) -> Node {
        if self.path.resource_instance_id().is_some() { Node::Value(value) } else { Node::single(value) }
    }

    /// When [`Observation::step`] has something to do; `None` while it waits for something else than time.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let not_before = match self.waits {
            Waits::Ready => Duration::ZERO,
            Waits::Until(time) => time,
            Waits::Reading(_) | Waits::InFlight(_) => return None,
        };
        let pmin_ends = self.sent + self.limits.pmin;
        let demand = self.demands.front().map(|demand| demand.due.max(pmin_ends));
        let pmax = self.limits.pmax.map(|pmax| self.sent + pmax);
        let evaluate = self.evaluate.then_some(Duration::ZERO);
        [demand, pmax, evaluate].into_iter().flatten().min().map(|due| due.max(not_before))
    }

    /// The content is being read, by this operation if it is not the engine's own.
    pub(super) fn reading(&mut self, operation: Option<OperationId>) {
        self.waits = Waits::Reading(operation);
        self.given = false;
    }

    /// The read that is under way.
    pub(super) fn read(&self) -> Option<OperationId> {
        match self.waits {
            Waits::Reading(operation) => operation,
            _ => None,
        }
    }

    /// The content was read: what is to be sent of it now, if anything.
    pub(super) fn read_done(&mut self, now: Duration, content: Node) -> Option<Node> {
        self.waits = Waits::Ready;
        self.read_failures = 0;
        let wanted = self.demands.front().is_some_and(|demand| demand.value.is_none() && demand.due <= now);
        if wanted && now >= self.sent + self.limits.pmin {
            self.demands.pop_front();
            if !self.given {
                self.remember(&content);
                self.reported = self.seen.and_then(Scalar::number);
            }
            return Some(content);
        }
        match content.value() {
            Some(value) if !self.given => self.consider(now, value),
            Some(_) => {}
            None => self.demand(now, None),
        }
        None
    }

    /// The content could not be read, for now.
    pub(super) fn read_failed(&mut self, now: Duration) {
        let delay = READ_RETRY.0.saturating_mul(2u32.saturating_pow(self.read_failures));
        self.read_failures = self.read_failures.saturating_add(1);
        if self.demands.is_empty() {
            self.evaluate = true;
        }
        self.waits = Waits::Until(now + delay.min(READ_RETRY.1));
    }

    /// A notification was sent.
    pub(super) fn sent(&mut self, now: Duration, notification: NotificationId) {
        self.sent = now;
        self.last_due = self.last_due.max(now);
        self.waits = Waits::InFlight(notification);
    }

    /// Nothing more is to be known of a notification: the next one may go.
    pub(super) fn settled(&mut self, notification: NotificationId) {
        if self.waits == Waits::InFlight(notification) {
            self.waits = Waits::Ready;
        }
    }

    fn remember(&mut self, content: &Node) {
        self.seen = content.value().and_then(Scalar::of);
    }
}
