//! Waiting for what a client does.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use serde_json::Value as Json;

use super::super::{Client, api};
use super::display::Display;
use super::subject::{Snapshot, Subject};
use super::verdict::{Goal, Verdict, described, verdict};

/// How often the server is asked how far a transfer is.
const GLANCE: Duration = Duration::from_millis(200);
/// How often the client is asked, while things change, and when nothing has changed for long.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// For so long a client that says what it said before may not have begun yet.
const SETTLING: Duration = Duration::from_secs(3);

pub(super) struct Follow<'a> {
    pub(super) client: &'a Client,
    pub(super) subject: Subject,
    pub(super) goal: Goal,
    /// What the instance said before anything was begun.
    pub(super) before: &'a Snapshot,
    /// Given up when nothing has changed for so many seconds.
    pub(super) wait: u32,
}

/// What has been seen, and since when it is so.
struct Seen {
    begin: Instant,
    changed: Instant,
    last: Option<Snapshot>,
    /// Whether it answered when it was asked last.
    answers: bool,
    bytes: Option<u64>,
    /// When the client is asked next.
    ask_at: Instant,
}

impl Seen {
    fn bytes(&mut self, bytes: Option<u64>) {
        if self.bytes != bytes {
            (self.bytes, self.changed) = (bytes, Instant::now());
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot) {
        if self.last.as_ref() != Some(snapshot) {
            (self.last, self.changed) = (Some(snapshot.clone()), Instant::now());
        }
    }

    fn ask_later(&mut self) {
        let pause = (self.changed.elapsed() / 4).clamp(PAUSES.0, PAUSES.1);
        self.ask_at = Instant::now() + pause;
    }
}

impl Follow<'_> {
    /// Waits until the goal is reached: what the instance says then, and that in words. The transfer, if there is one, is that of the package.
    pub(super) fn follow(
        &self,
        mut transfer: Option<u64>,
        display: &mut Display,
    ) -> anyhow::Result<(Snapshot, String)> {
        let now = Instant::now();
        let mut seen = Seen { begin: now, changed: now, last: None, answers: true, bytes: None, ask_at: now };
        loop {
            if let Some(id) = transfer {
                let told = self.transfer(id)?;
                seen.bytes(told["bytes"].as_u64());
                display.transfer(&told);
                match told["state"].as_str() {
                    Some("running") if told["kind"].as_str() == Some("push") => seen.ask_at = Instant::now() + GLANCE,
                    Some("running" | "waiting") => {}
                    Some("failed") => bail!("{}", self.failed(&told)),
                    Some("cancelled") => bail!("the transfer was cancelled"),
                    _ => (transfer, seen.ask_at) = (None, Instant::now()),
                }
            }
            if Instant::now() >= seen.ask_at {
                if let Some(reached) = self.ask(&mut seen, transfer.is_some(), display)? {
                    return Ok(reached);
                }
                seen.ask_later();
            }
            let says = self.says(&seen);
            display.unchanged(seen.changed.elapsed(), &says, seen.last.as_ref());
            if seen.changed.elapsed() >= Duration::from_secs(self.wait.into()) {
                let Self { client, subject, wait, .. } = self;
                let goes_on = "it may go on, and its log tells with what; `cancel` ends a download";
                bail!(
                    "{} {subject}: nothing has changed for {wait} s; the client says: {says}; {goes_on}",
                    client.endpoint
                );
            }
            sleep(GLANCE.min(seen.ask_at.saturating_duration_since(Instant::now())));
        }
    }

    /// What was heard of the client last.
    fn says(&self, seen: &Seen) -> String {
        match &seen.last {
            Some(last) if seen.answers => described(self.subject, last),
            _ => "nothing, it does not answer".to_owned(),
        }
    }

    /// Asks the client. Who does not answer may be rebooting.
    fn ask(&self, seen: &mut Seen, shown: bool, display: &mut Display) -> anyhow::Result<Option<(Snapshot, String)>> {
        let path = self.subject.instance();
        let answer = match self.client.api.get_of(&self.client.url(&path, ""), None) {
            Ok(answer) if answer["success"].as_bool() == Some(true) => answer,
            _ => {
                seen.answers = false;
                display.step("the client does not answer; waiting", None);
                return Ok(None);
            }
        };
        let now = Snapshot::of(self.subject, &answer["content"]);
        seen.answers = true;
        seen.snapshot(&now);
        let settling = now == *self.before && seen.begin.elapsed() < SETTLING;
        match verdict(self.subject, self.goal, &now) {
            Verdict::Wait(what) if !shown => display.step(what, Some(&now)),
            Verdict::Wait(_) => {}
            _ if settling => {}
            Verdict::Done(what) => return Ok(Some((now, what.to_owned()))),
            Verdict::Failed(why) => return Err(anyhow!("{} {}: {why}", self.client.endpoint, self.subject)),
        }
        Ok(None)
    }

    /// Why a push has failed: what the client says of it goes before how its last answer was.
    fn failed(&self, told: &Json) -> String {
        let error = told["error"].as_str().unwrap_or("the transfer has failed");
        let text = format!("{} {}: {}", self.client.endpoint, self.subject, crate::text::printable(error));
        let path = self.subject.instance();
        let Ok(answer) = self.client.api.get_of(&self.client.url(&path, ""), None) else { return text };
        let now = Snapshot::of(self.subject, &answer["content"]);
        match verdict(self.subject, self.goal, &now) {
            Verdict::Failed(why) if now != *self.before => format!("{text}; {why}"),
            // There was a package before.
            Verdict::Done(_) => format!("{text}; a package is there already, which `cancel` discards"),
            _ => text,
        }
    }

    fn transfer(&self, id: u64) -> anyhow::Result<Json> {
        let list = self.client.api.get(&format!("/api/transfers?ep={}", api::encoded(&self.client.endpoint)))?;
        let mut list = list.as_array().cloned().unwrap_or_default().into_iter();
        let found = list.find(|transfer| transfer["id"].as_u64() == Some(id));
        found.ok_or_else(|| anyhow!("another transfer has taken the place of this one"))
    }
}
