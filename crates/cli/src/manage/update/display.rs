//! What is shown while something goes on: a bar on a terminal, lines elsewhere, or documents.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;
use serde_json::{Value as Json, json};

use super::subject::Snapshot;
use crate::progress::Progress;
use crate::text::print;

/// The rate is that of the last so many seconds.
const RATE: Duration = Duration::from_secs(2);
/// When what does not change is said again in a line: after so long, and then after as long again, but at most so long.
const UNCHANGED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// On a terminal it is shown from so long on.
const STILL: Duration = Duration::from_secs(3);
/// How wide a terminal is that does not say.
const COLUMNS: usize = 80;

pub(super) struct Display {
    /// What each line begins with.
    whose: String,
    mode: Mode,
    /// What was last said to be going on.
    step: String,
    rate: Rate,
    /// What was last shown.
    text: String,
    /// For how many seconds nothing has changed, where that is shown.
    still: Option<u64>,
    patience: Patience,
}

enum Mode {
    /// A line that is written over, as long as nothing else comes.
    Terminal {
        open: bool,
    },
    /// A line for each step, for each tenth, and for each minute of a tenth in which something has come.
    Lines {
        tenth: Option<u64>,
        said: (Instant, u64),
    },
    Json,
}

/// Bytes per second, of late.
#[derive(Default)]
struct Rate {
    since: Option<(Instant, u64)>,
    rate: Option<u64>,
}

impl Rate {
    fn at(&mut self, now: Instant, bytes: u64) -> Option<u64> {
        match self.since {
            Some((since, from)) if bytes >= from => {
                let elapsed = now.duration_since(since);
                if elapsed >= RATE {
                    self.rate = Some(((bytes - from) as f64 / elapsed.as_secs_f64()) as u64);
                    self.since = Some((now, bytes));
                }
            }
            _ => (self.since, self.rate) = (Some((now, bytes)), None),
        }
        self.rate
    }
}

/// How often it is said that nothing changes.
struct Patience {
    next: Duration,
}

impl Patience {
    /// Whether it is to be said, now that nothing has changed for so long.
    fn ends(&mut self, unchanged: Duration) -> bool {
        if unchanged < UNCHANGED.0 {
            self.next = UNCHANGED.0;
        }
        let ends = unchanged >= self.next;
        if ends {
            self.next = unchanged + unchanged.min(UNCHANGED.1);
        }
        ends
    }
}

impl Display {
    pub(super) fn new(whose: &str, json: bool) -> Self {
        let mode = match (json, stdout().is_terminal()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Terminal { open: false },
            (false, false) => Mode::Lines { tenth: None, said: (Instant::now(), 0) },
        };
        Self {
            whose: crate::text::printable(whose),
            mode,
            step: String::new(),
            rate: Rate::default(),
            text: String::new(),
            still: None,
            patience: Patience { next: UNCHANGED.0 },
        }
    }

    /// Nothing has changed for so long, and this is what the client says.
    pub(super) fn unchanged(&mut self, since: Duration, says: &str, now: Option<&Snapshot>) {
        let seconds = since.as_secs();
        let ends = self.patience.ends(since);
        match (&self.mode, now) {
            (Mode::Terminal { .. }, _) => {
                let still = (since >= STILL).then_some(seconds);
                if still != self.still {
                    self.still = still;
                    self.show(&self.text.clone());
                }
            }
            (Mode::Lines { .. }, _) if ends => {
                print(&format!("{}: nothing has changed for {seconds} s; the client says: {says}", self.whose));
            }
            (Mode::Json, Some(Snapshot { state, result, .. })) if ends => {
                print(&json!({"state": state, "result": result, "unchangedFor": seconds}).to_string());
            }
            _ => {}
        }
    }

    /// A transfer as the API tells of it. One that has not begun is not shown.
    pub(super) fn transfer(&mut self, transfer: &Json) {
        let number = |key: &str| transfer[key].as_u64();
        let bytes = number("bytes").unwrap_or(0);
        let progress = Progress { bytes, size: number("size"), rate: self.rate.at(Instant::now(), bytes) };
        let file = crate::text::printable(transfer["file"].as_str().unwrap_or("-"));
        let text = match &mut self.mode {
            Mode::Terminal { .. } => progress.bar(),
            Mode::Lines { tenth, said } => {
                let now = progress.percent().map(|percent| percent / 10);
                let long = said.0.elapsed() >= UNCHANGED.1 && bytes != said.1;
                if now == *tenth && !long {
                    return;
                }
                (*tenth, *said) = (now, (Instant::now(), bytes));
                progress.exact()
            }
            Mode::Json => {
                print(&json!({"transfer": transfer}).to_string());
                return;
            }
        };
        self.show(&format!("{file}  {text}"));
    }

    /// What is going on besides a transfer whose bytes are known.
    pub(super) fn step(&mut self, what: &str, now: Option<&Snapshot>) {
        if self.step == what {
            return;
        }
        what.clone_into(&mut self.step);
        match (&self.mode, now) {
            (Mode::Json, Some(Snapshot { state, result, .. })) => {
                print(&json!({"state": state, "result": result}).to_string());
            }
            (Mode::Json, None) => {}
            (Mode::Terminal { .. } | Mode::Lines { .. }, _) => self.show(what),
        }
    }

    /// It has ended well.
    pub(super) fn done(&mut self, what: &str) {
        self.still = None;
        match &self.mode {
            Mode::Json => {
                print(&json!({"done": what}).to_string());
            }
            Mode::Terminal { .. } | Mode::Lines { .. } => {
                self.show(what);
                self.end();
            }
        }
        self.step.clear();
    }

    fn show(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        let still = self.still.map(|seconds| format!("  nothing new for {seconds} s")).unwrap_or_default();
        let line = format!("{}: {text}{still}", self.whose);
        match &mut self.mode {
            Mode::Terminal { open } => {
                *open = true;
                let columns = tcgetwinsize(stdout()).map_or(COLUMNS, |size| size.ws_col.into());
                let columns = if columns == 0 { COLUMNS } else { columns };
                // A line that wraps cannot be written over.
                let fitting: String = line.chars().take(columns - 1).collect();
                let mut out = stdout().lock();
                let _ = write!(out, "\r\x1b[K{fitting}").and_then(|()| out.flush());
            }
            Mode::Lines { .. } | Mode::Json => {
                print(&line);
            }
        }
    }

    /// What comes next begins on a line of its own.
    fn end(&mut self) {
        if let Mode::Terminal { open } = &mut self.mode
            && std::mem::take(open)
        {
            let mut out = stdout().lock();
            let _ = writeln!(out).and_then(|()| out.flush());
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_change_is_said_ever_less_often_but_each_minute() {
        let mut patience = Patience { next: UNCHANGED.0 };
        let said = |patience: &mut Patience, until: u64| {
            let seconds = (0..=until * 5).map(|fifth| Duration::from_millis(fifth * 200));
            seconds.filter(|unchanged| patience.ends(*unchanged)).map(|at| at.as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(said(&mut patience, 290), [5, 10, 20, 40, 80, 140, 200, 260]);
        // Something has changed.
        assert_eq!(said(&mut patience, 12), [5, 10]);
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.at(start, 100), None);
        assert_eq!(rate.at(at(1), 1000), None);
        assert_eq!(rate.at(at(2), 2100), Some(1000));
        assert_eq!(rate.at(at(3), 9000), Some(1000));
        assert_eq!(rate.at(at(4), 2500), Some(200));
        // It has begun anew.
        assert_eq!(rate.at(at(5), 0), None);
    }
}
