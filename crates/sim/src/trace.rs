use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What became of a datagram at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It was sent.
    Sent,
    /// It was lost, on the way or at the end of it.
    Lost(Loss),
    /// A second copy of it is on the way.
    Duplicated,
    /// It, or its second copy, was delivered.
    Delivered,
}

/// Why a datagram was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// By the cable's probability of loss.
    Chance,
    /// By the test's own rule.
    Rule,
    /// The cable was cut, when it was sent or before it arrived.
    Cut,
    /// It was greater than what the cable takes.
    TooBig,
    /// There was no node at the address.
    NoNode,
    /// There was no room in the queue of a cable with a bandwidth.
    QueueFull,
}

/// One line of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Something happened to a datagram.
    Datagram {
        /// When, in virtual time.
        at: Duration,
        /// The number of the datagram, counted from 1; both copies of a duplicated one have the same.
        number: u64,
        /// Who sent it.
        from: SocketAddr,
        /// Who is to receive it.
        to: SocketAddr,
        /// What became of it.
        fate: Fate,
        /// The datagram itself.
        bytes: Arc<[u8]>,
    },
    /// What the test noted.
    Note {
        /// When, in virtual time.
        at: Duration,
        /// At which node.
        node: SocketAddr,
        /// What.
        text: String,
    },
}

/// The recording of what went over the cables: the latest records, up to a limit.
#[derive(Debug, Clone)]
pub struct Trace {
    records: VecDeque<Record>,
    limit: usize,
    dropped: u64,
    pub(crate) names: BTreeMap<SocketAddr, String>,
}

/// How many characters lie between the lanes of a ladder diagram.
const LANE: usize = 14;

impl Trace {
    pub(crate) const DEFAULT_LIMIT: usize = 4096;

    pub(crate) fn new() -> Self {
        Self { records: VecDeque::new(), limit: Self::DEFAULT_LIMIT, dropped: 0, names: BTreeMap::new() }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.trim();
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.records.push_back(record);
        self.trim();
    }

    fn trim(&mut self) {
        while self.records.len() > self.limit {
            self.records.pop_front();
            self.dropped += 1;
        }
    }

    /// The records that were kept, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// The bytes of every datagram that was sent from `from` to `to` and is still recorded, with the time, oldest first.
    pub fn sent(&self, from: SocketAddr, to: SocketAddr) -> impl Iterator<Item = (Duration, &[u8])> {
        self.with_fate(Fate::Sent, from, to)
    }

    /// The bytes of every datagram that was delivered from `from` to `to` and is still recorded, with the time, oldest first.
    pub fn delivered(&self, from: SocketAddr, to: SocketAddr) -> impl Iterator<Item = (Duration, &[u8])> {
        self.with_fate(Fate::Delivered, from, to)
    }

    fn with_fate(&self, wanted: Fate, a: SocketAddr, b: SocketAddr) -> impl Iterator<Item = (Duration, &[u8])> {
        self.records.iter().filter_map(move |record| match record {
            Record::Datagram { at, from, to, fate, bytes, .. } if (*fate, *from, *to) == (wanted, a, b) => {
                Some((*at, &**bytes))
            }
            _ => None,
        })
    }

    /// A ladder diagram: a lane for each node, time going down, and what `describe` makes of each datagram when it is sent.
    ///
    /// `o` sends, `>` and `<` receive, `x` is a loss, `=` a second copy, `*` a note.
    #[must_use]
    pub fn ladder(&self, describe: impl Fn(&[u8]) -> String) -> String {
        let lanes = self.lanes();
        let mut text = format!("{:>12} ", "seconds");
        for node in &lanes {
            let name = self.names.get(node).cloned().unwrap_or_else(|| node.to_string());
            let _ = write!(text, "{:<LANE$.width$}", name, width = LANE - 1);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if self.dropped > 0 {
            let _ = writeln!(text, "{:>12} ({} earlier records were not kept)", "...", self.dropped);
        }
        let mut records = self.records.iter().peekable();
        while let Some(record) = records.next() {
            let line = match record {
                Record::Note { at, node, text } => line(*at, &lanes, (*node, *node), "*", text),
                Record::Datagram { at, number, from, to, fate, bytes } => {
                    let lost = match (fate, records.peek()) {
                        (Fate::Sent, Some(Record::Datagram { number: next, fate: Fate::Lost(why), .. }))
                            if next == number =>
                        {
                            records.next();
                            Some(*why)
                        }
                        _ => None,
                    };
                    let what = match (fate, lost) {
                        (Fate::Sent, None) => format!("#{number} {}", describe(bytes)),
                        (Fate::Sent, Some(why)) => format!("#{number} lost ({}): {}", why.text(), describe(bytes)),
                        (Fate::Lost(why), _) => format!("#{number} lost ({})", why.text()),
                        (Fate::Duplicated, _) => format!("#{number} duplicated"),
                        (Fate::Delivered, _) => format!("#{number}"),
                    };
                    let sign = match (fate, lost) {
                        (Fate::Sent, None) => "o-",
                        (Fate::Sent, Some(_)) => "ox",
                        (Fate::Lost(_), _) => "x",
                        (Fate::Duplicated, _) => "o=",
                        (Fate::Delivered, _) => ">",
                    };
                    line(*at, &lanes, (*from, *to), sign, &what)
                }
            };
            text.push_str(&line);
        }
        text
    }

    /// The nodes in the order of their first appearance.
    fn lanes(&self) -> Vec<SocketAddr> {
        let mut lanes = Vec::new();
        for record in &self.records {
            let (first, second) = match record {
                Record::Datagram { from, to, .. } => (*from, *to),
                Record::Note { node, .. } => (*node, *node),
            };
            for node in [first, second] {
                if !lanes.contains(&node) {
                    lanes.push(node);
                }
            }
        }
        lanes
    }
}

impl Loss {
    const fn text(self) -> &'static str {
        match self {
            Self::Chance => "chance",
            Self::Rule => "rule",
            Self::Cut => "cut",
            Self::TooBig => "too big",
            Self::NoNode => "no node",
            Self::QueueFull => "queue full",
        }
    }
}

/// One line of a ladder diagram: `sign` is drawn from the first end towards the second.
fn line(at: Duration, lanes: &[SocketAddr], ends: (SocketAddr, SocketAddr), sign: &str, what: &str) -> String {
    let column = |node| lanes.iter().position(|lane| *lane == node).unwrap_or_default() * LANE;
    let (from, to) = (column(ends.0), column(ends.1));
    let (left, right, middle) = (from.min(to), from.max(to), (from + to) / 2);
    let mut cells = vec![' '; lanes.len().max(1) * LANE];
    (0..lanes.len()).for_each(|lane| cells[lane * LANE] = '|');
    let (near, far) =
        if from <= to { (left..middle, middle..right) } else { (middle + 1..right + 1, left..middle + 1) };
    match sign {
        "*" => cells[from] = '*',
        "x" => {
            cells[far].fill('-');
            cells[to] = 'x';
        }
        ">" => {
            cells[far].fill('-');
            cells[to] = if from <= to { '>' } else { '<' };
        }
        _ => {
            let stroke = if sign == "o=" { '=' } else { '-' };
            cells[near].fill(stroke);
            if sign == "ox" {
                cells[middle] = 'x';
            }
            cells[from] = 'o';
        }
    }
    let cells: String = cells.into_iter().collect();
    format!("{:>12.6} {cells}{what}\n", at.as_secs_f64())
}
