//! RAUC, over D-Bus. Its service installs by itself, so that an installation outlives the agent.
//!
//! What has become of one whose end nobody saw is judged by the slot that is to be booted next: it has been installed once more than
//! before. RAUC keeps that across its own restarts and the machine's, with `statusfile` or `data-directory` in its configuration.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt, select};
use lapwing::objects::firmware::{Failure, UpdateResult};
use serde::Serialize;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use zbus::message::Type;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, OwnedVariant, Variant};

use super::note::Note;
use crate::platform::{BoxFuture, Error, Progress, Result, Updater, Watch};

const NAME: &str = "de.pengutronix.rauc";
const PATH: &str = "/";
const INTERFACE: &str = "de.pengutronix.rauc.Installer";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// So long the service has to be idle after it has said that it is done.
const SETTLE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// Hands bundles to the RAUC service of this machine.
pub struct Rauc {
    bus: Option<String>,
    connection: OnceCell<Connection>,
    note: Note,
    watch: Watch,
}

/// A slot, as RAUC keeps account of it.
type Slot = HashMap<String, OwnedVariant>;

impl Rauc {
    /// The service on the bus at this address, or on the system's. `note` is a file of the updater's own, in a folder that exists.
    /// Neither the bus nor the service need run before they are needed.
    pub fn new(bus: Option<String>, note: impl Into<PathBuf>, watch: Watch) -> Self {
        Self { bus, connection: OnceCell::new(), note: Note::at(note), watch }
    }

    async fn connection(&self) -> zbus::Result<&Connection> {
        let connect = || match self.bus.as_deref() {
            Some(address) => zbus::connection::Builder::address(address).build(),
            None => zbus::connection::Builder::system().build(),
        };
        self.connection.get_or_try_init(connect).await
    }

    async fn call<B: Serialize + DynamicType>(&self, interface: &str, method: &str, body: &B) -> zbus::Result<Message> {
        self.connection().await?.call_method(Some(NAME), PATH, Some(interface), method, body).await
    }

    async fn property(&self, name: &str) -> zbus::Result<String> {
        let answer = self.call(PROPERTIES, "Get", &(INTERFACE, name)).await?;
        let value: OwnedVariant = answer.body().deserialize()?;
        Ok(text(&value).unwrap_or_default())
    }

    async fn is_idle(&self) -> zbus::Result<bool> {
        Ok(self.property("Operation").await? == "idle")
    }

    async fn slot_status(&self) -> zbus::Result<Vec<(String, Slot)>> {
        self.call(INTERFACE, "GetSlotStatus", &()).await?.body().deserialize()
    }

    /// The slot that is to be booted next; `None` where RAUC's boot loader cannot tell.
    async fn primary(&self) -> Option<String> {
        let answer = self.call(INTERFACE, "GetPrimary", &()).await;
        answer.and_then(|answer| answer.body().deserialize()).ok()
    }

    async fn mark(&self, state: &str, slot: &str) -> Result<()> {
        let marked = self.call(INTERFACE, "Mark", &(state, slot)).await;
        marked.map(drop).map_err(|error| Error::failed(format!("RAUC: marking the {slot} slot as {state}"), error))
    }

    /// Everything that the service says from now on, and when it goes.
    async fn signals(&self) -> zbus::Result<impl Stream<Item = Said> + Unpin + use<>> {
        let its = MatchRule::builder().msg_type(Type::Signal).sender(NAME).path(PATH).build()?;
        let owner = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(NAME)
            .build()?;
        let connection = self.connection().await?;
        let its = MessageStream::for_match_rule(its, connection, None).await?;
        let owner = MessageStream::for_match_rule(owner, connection, None).await?;
        Ok(select(its, owner)
            .map(|message| message.map_or(Said::Gone, |message| said(&message).unwrap_or(Said::Nothing))))
    }

    async fn install(&self, number: u64, image: &Path) -> Result<(), Failure> {
        let image = std::path::absolute(image).map_err(|error| Failure::new(error.to_string()))?;
        let image = image.to_str().ok_or_else(|| Failure::new("RAUC takes only paths in UTF-8"))?;
        let before = counts(&self.slot_status().await.map_err(failed)?);
        let signals = self.signals().await.map_err(failed)?;
        self.note
            .write(number, &before)
            .map_err(|error| Failure::new(format!("the installation cannot be noted: {error}")))?;
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        self.call(INTERFACE, "InstallBundle", &(image, options)).await.map_err(failed)?;
        self.follow(signals).await
    }

    async fn resume(&self, number: u64) -> Option<Result<(), Failure>> {
        let note = self.note.read(number)?;
        Some(self.attach(&note.more).await)
    }

    async fn attach(&self, before: &str) -> Result<(), Failure> {
        // Before the question, so that nothing of the answer's change is missed.
        let signals = self.signals().await.map_err(failed)?;
        if !self.is_idle().await.map_err(failed)? {
            return self.follow(signals).await;
        }
        let slots = self.slot_status().await.map_err(failed)?;
        let primary = self.primary().await;
        let (old, new) = (parse(before), parse(&counts(&slots)));
        let installed = slots.iter().any(|(name, slot)| {
            primary.as_ref().is_none_or(|primary| primary == name)
                && new.get(name) > old.get(name)
                && slot.get("status").and_then(text).as_deref() == Some("ok")
        });
        if installed { Ok(()) } else { Err(self.last_error("RAUC has ended in the middle of the installation").await) }
    }

    /// Waits for the end of what goes on.
    async fn follow(&self, mut signals: impl Stream<Item = Said> + Unpin) -> Result<(), Failure> {
        let mut most = 0;
        while let Some(said) = signals.next().await {
            match said {
                // It also comes to a hundred when it fails.
                Said::Progress(percent, step) => {
                    let percent = percent.min(99);
                    if percent > most {
                        most = percent;
                        (self.watch)(Progress { percent, step });
                    }
                }
                Said::Completed(0) => {
                    self.settle().await;
                    (self.watch)(Progress { percent: 100, step: "installed".to_owned() });
                    return Ok(());
                }
                Said::Completed(_) => {
                    self.settle().await;
                    return Err(self.last_error("RAUC has failed, and does not say why").await);
                }
                Said::Gone => break,
                Said::Nothing => {}
            }
        }
        Err(Failure::new("RAUC has ended in the middle of the installation"))
    }

    /// It says that it is done while it still is busy, and then would take nothing else.
    async fn settle(&self) {
        let idle = async {
            while self.is_idle().await.is_ok_and(|idle| !idle) {
                sleep(LOOK).await;
            }
        };
        if timeout(SETTLE, idle).await.is_err() {
            tracing::warn!("RAUC is done, and still not idle");
        }
    }

    async fn last_error(&self, otherwise: &str) -> Failure {
        match self.property("LastError").await {
            Ok(error) if !error.is_empty() => refusal(&error),
            _ => Failure::new(otherwise),
        }
    }
}

fn failed(error: zbus::Error) -> Failure {
    Failure::new(format!("RAUC: {error}"))
}

/// What RAUC's last error says of the image. There are no codes for it, so that its words are all there is.
fn refusal(error: &str) -> Failure {
    const UNSUITABLE: &[&str] = &["ompatible", "No suitable", "not supported"];
    const DAMAGED: &[&str] = &[
        "ignature",
        "hecksum",
        "erification",
        "erify",
        "digest",
        "Invalid identifier",
        "Bundle size",
        "squashfs",
        "anifest",
    ];
    let any = |words: &[&str]| words.iter().any(|word| error.contains(word));
    let failure = Failure::new(format!("RAUC: {error}"));
    match () {
        () if any(UNSUITABLE) => failure.with_result(UpdateResult::PackageType),
        () if any(DAMAGED) => failure.with_result(UpdateResult::Integrity),
        () => failure,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Progress(u8, String),
    Completed(i32),
    /// The service has left the bus, or the bus is gone.
    Gone,
    Nothing,
}

fn said(message: &Message) -> zbus::Result<Said> {
    let (header, body) = (message.header(), message.body());
    Ok(match header.member().map(|member| member.as_str()) {
        Some("Completed") => Said::Completed(body.deserialize()?),
        Some("NameOwnerChanged") => {
            let (_, _, owner): (String, String, String) = body.deserialize()?;
            if owner.is_empty() { Said::Gone } else { Said::Nothing }
        }
        Some("PropertiesChanged") => {
            let (_, changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) = body.deserialize()?;
            changed.get("Progress").and_then(progress).unwrap_or(Said::Nothing)
        }
        _ => Said::Nothing,
    })
}

/// Percentage, message, depth of nesting.
fn progress(value: &OwnedVariant) -> Option<Said> {
    let Variant::Structure(structure) = &**value else { return None };
    let [Variant::I32(percent), Variant::Str(step), _] = structure.fields() else { return None };
    Some(Said::Progress(u8::try_from(*percent).ok()?, step.to_string()))
}

fn text(value: &OwnedVariant) -> Option<String> {
    if let Variant::Str(text) = &**value { Some(text.to_string()) } else { None }
}

/// How often each slot was installed, a line each.
fn counts(slots: &[(String, Slot)]) -> String {
    let mut lines = String::new();
    for (name, slot) in slots {
        if let Some(Variant::U32(count)) = slot.get("installed.count").map(|value| &**value) {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "{count} {name}");
        }
    }
    lines
}

fn parse(counts: &str) -> HashMap<String, u32> {
    let line = |line: &str| line.split_once(' ').and_then(|(count, name)| Some((name.to_owned(), count.parse().ok()?)));
    counts.lines().filter_map(line).collect()
}

impl Updater for Rauc {
    fn install<'a>(&'a self, number: u64, image: &'a Path) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.install(number, image))
    }

    fn resume(&self, number: u64) -> BoxFuture<'_, Option<Result<(), Failure>>> {
        Box::pin(self.resume(number))
    }

    fn running(&self) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async {
            let slots = self.slot_status().await.map_err(|error| Error::failed("RAUC: the slot that runs", error))?;
            let booted = |slot: &Slot| slot.get("state").and_then(text).as_deref() == Some("booted");
            Ok(slots.into_iter().find(|(_, slot)| booted(slot)).map(|(name, _)| name))
        })
    }

    /// Installing makes its slot the primary one at last.
    fn installed(&self, _: u64) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(async { Ok(self.primary().await) })
    }

    fn accept(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.mark("good", "booted"))
    }

    fn go_back(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            // In this order there is always one that can be booted.
            self.mark("active", "other").await?;
            self.mark("bad", "booted").await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_remembered_by_the_slots_names() {
        let counted = |count: u32| Slot::from([("installed.count".to_owned(), OwnedVariant::from(count))]);
        let slots =
            [("rootfs.0".to_owned(), counted(3)), ("a b".to_owned(), counted(1)), ("new".to_owned(), Slot::new())];
        let counts = parse(&counts(&slots));
        assert_eq!((counts.get("rootfs.0"), counts.get("a b"), counts.get("new")), (Some(&3), Some(&1), None));
        assert!(Some(&1) > counts.get("new"), "the first installation counts");
    }

    #[test]
    fn faults_are_told_by_its_words() {
        assert_eq!(refusal("signature verification failed: self-signed certificate").result, UpdateResult::Integrity);
        assert_eq!(
            refusal("Compatible mismatch: Expected 'a' but bundle manifest has 'b'").result,
            UpdateResult::PackageType
        );
        assert_eq!(refusal("No space left on device").result, UpdateResult::UpdateFailed);
    }
}
