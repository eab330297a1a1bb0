use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::{Cable, Fate, Loss, Random, Record, Trace};

/// A rule of a test that decides whether a datagram is lost: from, to, bytes.
type Rule = Box<dyn FnMut(SocketAddr, SocketAddr, &[u8]) -> bool + Send>;

/// Something that happens at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When: also what [`World::now`] says from then on.
    pub at: Duration,
    /// Where.
    pub node: SocketAddr,
    /// What.
    pub what: Happening,
}

/// What happens at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A datagram arrives.
    Datagram {
        /// Who sent it.
        from: SocketAddr,
        /// What it says.
        bytes: Arc<[u8]>,
    },
    /// The timer of the node is due. It is unset by this.
    Timer,
    /// A moment that the test asked for with [`World::alarm`].
    Alarm(u64),
}

/// How many datagrams there have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Datagrams that were sent.
    pub sent: u64,
    /// Datagrams, or second copies, that were lost.
    pub lost: u64,
    /// Second copies that were made.
    pub duplicated: u64,
    /// Deliveries, second copies included.
    pub delivered: u64,
}

/// Nodes, the cables between them, and their one clock.
///
/// Events come in the order of their time; of several at the same time, datagrams come first in the order in which they were sent,
/// then alarms in the order in which they were set, then timers in the order of the times they were set to.
pub struct World {
    now: Duration,
    random: Random,
    default_cable: Cable,
    cables: BTreeMap<(SocketAddr, SocketAddr), Cable>,
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    rule: Option<Rule>,
    /// When the latest datagram that was not held back arrives, by direction: the next one must not overtake it.
    latest: BTreeMap<(SocketAddr, SocketAddr), Duration>,
    /// When the last datagram that waits for its turn has gone in, by direction.
    busy: BTreeMap<(SocketAddr, SocketAddr), Duration>,
    nodes: BTreeSet<SocketAddr>,
    timers: BTreeMap<SocketAddr, Duration>,
    queue: BTreeMap<(Duration, Rank, u64), Queued>,
    sequence: u64,
    statistics: Statistics,
    trace: Trace,
    standstill: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Datagram,
    Alarm,
}

#[derive(Debug)]
enum Queued {
    Datagram { number: u64, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]> },
    Alarm { node: SocketAddr, tag: u64 },
}

impl World {
    /// How many events may follow each other without any time passing before the world takes it for an endless loop.
    const STANDSTILL: u32 = 100_000;

    /// An empty world at time zero with perfect cables, in which all that is random follows from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            random: Random::seeded(seed),
            default_cable: Cable::new(),
            cables: BTreeMap::new(),
            cuts: BTreeSet::new(),
            rule: None,
            latest: BTreeMap::new(),
            busy: BTreeMap::new(),
            nodes: BTreeSet::new(),
            timers: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            statistics: Statistics::default(),
            trace: Trace::new(),
            standstill: 0,
        }
    }

    /// With this cable between all nodes that have none of their own.
    #[must_use]
    pub fn cable(mut self, cable: Cable) -> Self {
        self.default_cable = cable;
        self
    }

    /// With a recording of at most `records` records, of which the latest are kept. The default is 4,096.
    #[must_use]
    pub fn trace_limit(mut self, records: usize) -> Self {
        self.trace.set_limit(records);
        self
    }

    /// Starting at another time than zero.
    #[must_use]
    pub fn starting_at(mut self, now: Duration) -> Self {
        self.now = now;
        self
    }

    /// A new node at an IPv4 address of its own (10.0.0.1, 10.0.0.2, ...), port 5683.
    pub fn node(&mut self, name: &str) -> SocketAddr {
        let address = (0x0a00_0001..)
            .map(|host| SocketAddr::from((Ipv4Addr::from_bits(host), 5683)))
            .find(|address| !self.trace.names.contains_key(address))
            .expect("a free address");
        self.node_at(name, address);
        address
    }

    /// A new node at `address`, or a new name for the one that is there. A node that moves to another address is a new one.
    pub fn node_at(&mut self, name: &str, address: SocketAddr) {
        self.nodes.insert(address);
        self.trace.names.insert(address, name.to_owned());
    }

    /// Takes the node away: its timer is unset, and datagrams to its address are lost from now on.
    pub fn remove(&mut self, node: SocketAddr) {
        self.nodes.remove(&node);
        self.timers.remove(&node);
    }

    /// The address of the node with this name; of several, the lowest.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<SocketAddr> {
        self.nodes.iter().copied().find(|node| self.trace.names[node] == name)
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// The world's random numbers, for decisions of the test that shall follow from the same seed.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// From now on this cable is between all nodes that have none of their own. Datagrams on the way are not affected.
    pub fn set_cable(&mut self, cable: Cable) {
        self.default_cable = cable;
    }

    /// From now on this cable is between `a` and `b`, in both directions.
    pub fn connect(&mut self, a: SocketAddr, b: SocketAddr, cable: Cable) {
        self.connect_one_way(a, b, cable.clone());
        self.connect_one_way(b, a, cable);
    }

    /// From now on this cable leads from `from` to `to`.
    pub fn connect_one_way(&mut self, from: SocketAddr, to: SocketAddr, cable: Cable) {
        self.cables.insert((from, to), cable);
    }

    /// Cuts the cable between `a` and `b`: what is on the way is lost, and what is sent until [`World::restore`].
    pub fn cut(&mut self, a: SocketAddr, b: SocketAddr) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Cuts the cable from `from` to `to` only.
    pub fn cut_one_way(&mut self, from: SocketAddr, to: SocketAddr) {
        self.cuts.insert((from, to));
        let lost =
            |queued: &Queued| matches!(queued, Queued::Datagram { from: f, to: t, .. } if (*f, *t) == (from, to));
        let keys: Vec<_> = self.queue.iter().filter(|(_, queued)| lost(queued)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(Queued::Datagram { number, bytes, .. }) = self.queue.remove(&key) {
                self.lose(number, from, to, &bytes, Loss::Cut);
            }
        }
    }

    /// Mends the cable between `a` and `b`, in both directions.
    pub fn restore(&mut self, a: SocketAddr, b: SocketAddr) {
        self.cuts.remove(&(a, b));
        self.cuts.remove(&(b, a));
    }

    /// From now on, a datagram of which `rule` (from, to, bytes) says yes is lost, whatever the cable. It replaces an earlier rule.
    pub fn lose_when(&mut self, rule: impl FnMut(SocketAddr, SocketAddr, &[u8]) -> bool + Send + 'static) {
        self.rule = Some(Box::new(rule));
    }

    /// Drops the rule of [`World::lose_when`].
    pub fn lose_by_chance_only(&mut self) {
        self.rule = None;
    }

    /// Sends a datagram. It arrives as an event at `to`, unless it is lost.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.statistics.sent += 1;
        let (number, bytes) = (self.statistics.sent, Arc::from(bytes));
        self.record(number, from, to, Fate::Sent, &bytes);
        let cable = self.cables.get(&(from, to)).unwrap_or(&self.default_cable).clone();
        // The random numbers are drawn first, so that a cut or a rule does not change the fate of the datagrams after it.
        let lost = self.random.chance(cable.loss);
        let duplicated = self.random.chance(cable.duplication);
        let arrivals = [self.travel(&cable), self.travel(&cable)];
        let ruled_out = self.rule.as_mut().is_some_and(|rule| rule(from, to, &bytes));
        let loss = if self.cuts.contains(&(from, to)) {
            Loss::Cut
        } else if bytes.len() > cable.mtu {
            Loss::TooBig
        } else if ruled_out {
            Loss::Rule
        } else if lost {
            Loss::Chance
        } else if let Some(wait) = self.queue_up(&cable, from, to, bytes.len()) {
            let [first, second] = arrivals.map(|(time, delay)| (wait + time, delay));
            self.arrive(first, number, from, to, &bytes);
            if duplicated {
                self.statistics.duplicated += 1;
                self.record(number, from, to, Fate::Duplicated, &bytes);
                self.arrive(second, number, from, to, &bytes);
            }
            return;
        } else {
            Loss::QueueFull
        };
        self.lose(number, from, to, &bytes, loss);
    }

    /// How long a datagram waits until the last bit of it has gone into the cable; `None` if there is no room to wait.
    fn queue_up(&mut self, cable: &Cable, from: SocketAddr, to: SocketAddr, length: usize) -> Option<Duration> {
        let Some(bandwidth) = cable.bandwidth else { return Some(Duration::ZERO) };
        let time = |bytes: usize| Duration::from_secs_f64(bytes as f64 / bandwidth as f64);
        let busy = self.busy.entry((from, to)).or_default();
        let wait = busy.saturating_sub(self.now);
        let waiting = (wait.as_secs_f64() * bandwidth as f64).round() as usize;
        // What waits includes what is going in: an idle cable takes any datagram.
        if waiting > 0 && waiting.saturating_add(length) > cable.queue {
            return None;
        }
        *busy = self.now + wait + time(length);
        Some(wait + time(length))
    }

    /// How long a datagram takes, and how long it is held back beyond that.
    fn travel(&mut self, cable: &Cable) -> (Duration, Option<Duration>) {
        let time = cable.latency + self.random.up_to(cable.jitter);
        let held_back = self.random.chance(cable.reordering);
        let delay = self.random.up_to(cable.reordering_delay);
        (time, held_back.then_some(delay))
    }

    fn arrive(
        &mut self,
        (time, delay): (Duration, Option<Duration>),
        number: u64,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &Arc<[u8]>,
    ) {
        let latest = self.latest.entry((from, to)).or_default();
        let in_order = (self.now + time).max(*latest);
        let at = match delay {
            Some(delay) => in_order + delay,
            None => {
                *latest = in_order;
                in_order
            }
        };
        self.enqueue(at, Rank::Datagram, Queued::Datagram { number, from, to, bytes: Arc::clone(bytes) });
    }

    fn enqueue(&mut self, at: Duration, rank: Rank, queued: Queued) {
        self.sequence += 1;
        self.queue.insert((at, rank, self.sequence), queued);
    }

    /// Sets or unsets the one timer of a node: an event comes at `at`, or at once if that has passed.
    pub fn set_timer(&mut self, node: SocketAddr, at: Option<Duration>) {
        match at {
            Some(at) => self.timers.insert(node, at),
            None => self.timers.remove(&node),
        };
    }

    /// Asks for an event at `node` at `at`, or at once if that has passed, with a tag that tells the test what it wanted to do.
    pub fn alarm(&mut self, node: SocketAddr, at: Duration, tag: u64) {
        self.enqueue(at.max(self.now), Rank::Alarm, Queued::Alarm { node, tag });
    }

    /// When the next event comes, if there is any: not before now.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        let queued = self.queue.keys().next().map(|(at, ..)| *at);
        let timer = self.timers.values().min().copied();
        queued.into_iter().chain(timer).min().map(|at| at.max(self.now))
    }

    /// Goes on to the next event, or to `limit` if there is none up to then (and returns `None`).
    ///
    /// # Panics
    /// When 100,000 events came without any time passing: some node sets its timer to a time that has passed, for ever.
    pub fn next_until(&mut self, limit: Duration) -> Option<Event> {
        loop {
            let Some(at) = self.next_at().filter(|at| *at <= limit) else {
                self.pass(limit.max(self.now));
                return None;
            };
            self.pass(at);
            if let Some(event) = self.take() {
                assert!(
                    self.standstill < Self::STANDSTILL,
                    "no time passes any more at {at:?}; the last event: {event:?}"
                );
                self.standstill += 1;
                return Some(event);
            }
        }
    }

    fn pass(&mut self, to: Duration) {
        if to > self.now {
            (self.now, self.standstill) = (to, 0);
        }
    }

    /// Takes the first of the events that are due; `None` when that is a datagram which nobody receives.
    fn take(&mut self) -> Option<Event> {
        let at = self.now;
        let event = |node, what| Some(Event { at, node, what });
        if let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= at) {
            return match entry.remove() {
                Queued::Alarm { node, tag } => event(node, Happening::Alarm(tag)),
                Queued::Datagram { number, from, to, bytes } if self.nodes.contains(&to) => {
                    self.statistics.delivered += 1;
                    self.record(number, from, to, Fate::Delivered, &bytes);
                    event(to, Happening::Datagram { from, bytes })
                }
                Queued::Datagram { number, from, to, bytes } => {
                    self.lose(number, from, to, &bytes, Loss::NoNode);
                    None
                }
            };
        }
        let (_, node) = self.timers.iter().map(|(node, due)| (*due, *node)).min().filter(|(due, _)| *due <= at)?;
        self.timers.remove(&node);
        event(node, Happening::Timer)
    }

    /// Notes something in the recording, as in "registered".
    pub fn note(&mut self, node: SocketAddr, text: impl Into<String>) {
        self.trace.push(Record::Note { at: self.now, node, text: text.into() });
    }

    /// The recording.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How many datagrams there have been.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// How many datagrams are on the way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.queue.values().filter(|queued| matches!(queued, Queued::Datagram { .. })).count()
    }

    fn lose(&mut self, number: u64, from: SocketAddr, to: SocketAddr, bytes: &Arc<[u8]>, loss: Loss) {
        self.statistics.lost += 1;
        self.record(number, from, to, Fate::Lost(loss), bytes);
    }

    fn record(&mut self, number: u64, from: SocketAddr, to: SocketAddr, fate: Fate, bytes: &Arc<[u8]>) {
        self.trace.push(Record::Datagram { at: self.now, number, from, to, fate, bytes: Arc::clone(bytes) });
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("timers", &self.timers)
            .field("queue", &self.queue)
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}
