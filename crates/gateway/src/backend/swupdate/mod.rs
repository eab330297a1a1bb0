//! SWUpdate, through its two sockets: one takes images and says how it goes in words, one says how far it is.
//!
//! The daemon outlives the agent, but takes the image from the agent's socket: an agent that ends before the whole image is over
//! leaves a failed installation behind, one that ends later is attached again. It is spoken to as of its version 2022.12, and later.

mod side;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lapwing::objects::firmware::{Failure, UpdateResult};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::WriteHalf;
use tokio::time::timeout;

pub use self::side::{Side, Sides};

use self::wire::{GREETING, Layout, MESSAGE, Message, Status, Step};
use super::note::{Content, Note};
use super::verdict::Verdict;
use crate::platform::{BoxFuture, Progress, Result, Updater, Watch};

/// So long the daemon has to answer a request: it takes one after the other, and is quick about each.
const ANSWER: Duration = Duration::from_secs(20);
/// So long it has to tell what it has said before.
const HISTORY: Duration = Duration::from_secs(2);
/// How much of the image is read at once.
const CHUNK: usize = 64 * 1024;

/// Hands images to the SWUpdate daemon of this machine.
pub struct Swupdate {
    control: PathBuf,
    progress: PathBuf,
    sides: Sides,
    verdict: Verdict,
    note: Note,
    watch: Watch,
}

impl Swupdate {
    /// The daemon with its sockets in this folder (`/tmp`, or the daemon's `TMPDIR`). `note` is a file of the updater's own, in a
    /// folder that exists.
    pub fn new(sockets: &Path, sides: Sides, verdict: Verdict, note: impl Into<PathBuf>, watch: Watch) -> Self {
        Self {
            control: sockets.join("sockinstctrl"),
            progress: sockets.join("swupdateprog"),
            sides,
            verdict,
            note: Note::at(note),
            watch,
        }
    }

    async fn install(&self, number: u64, image: &Path) -> Result<(), Failure> {
        let image = File::open(image).await.map_err(|error| failed("the image cannot be read", error))?;
        let side = self.target().await.map_err(|error| Failure::new(error.to_string()))?;
        let info = format!("lapwing {}", number);
        let request = wire::install(&info, &side.software_set, &side.running_mode)
            .ok_or_else(|| Failure::new("the names of software set and running mode are too long for swupdate"))?;
        // Before the request, so that nothing of it is missed.
        let progress =
            UnixStream::connect(&self.progress).await.map_err(|error| failed("swupdate's progress", error))?;
        let mut control = match self.request(&request).await? {
            (control, Message::Accepted { .. }) => control,
            (_, Message::Refused(why)) => {
                let why = if why.is_empty() { "as is said in its log".to_owned() } else { why };
                return Err(Failure::new(format!("swupdate takes no image for {side}: {why}")));
            }
            _ => return Err(Failure::new(UNEXPECTED)),
        };
        // It only waits for the image so far. Without a note there is no attaching again, so there is no installation either.
        let next = self.sides.next().await.ok().flatten();
        let more = if next.as_ref() == Some(&side.name) { format!("{}\n{NEXT}", side.name) } else { side.name };
        self.note.write(number, &more).map_err(|error| failed("the installation cannot be noted", error))?;
        // The daemon has forgotten what it said of the installation before, when it took this one.
        let (notifications, _) = self.request(&wire::notifications()).await?;
        let send = async move {
            let mut image = image;
            let (mut heard, mut socket) = control.split();
            let mut sink = tokio::io::sink();
            tokio::select! {
                sent = send(&mut image, &mut socket) => sent,
                // As in `request`: nobody would read it, and the daemon would wait for that.
                never = async { _ = tokio::io::copy(&mut heard, &mut sink).await; std::future::pending().await } => never,
            }
        };
        let (sent, outcome) = tokio::join!(send, follow(notifications, progress, &self.watch));
        // A daemon that has enough of an image closes its socket: then it says why.
        match (sent, outcome) {
            (Err(Sending::Image(error)), Err(_)) => Err(failed("the image cannot be read", error)),
            (_, outcome) => outcome,
        }
    }

    /// The side that does not run. Once it has been installed to, the boot loader's variable names it, and until the reboot is no
    /// word about what runs: the note is.
    async fn target(&self) -> Result<Side> {
        let before = self.note.last().filter(|(_, note)| note.same_boot);
        match before.and_then(|(_, note)| self.sides.named(side_of(&note))) {
            Some(side) => Ok(side),
            None => self.sides.target().await,
        }
    }

    async fn resume(&self, number: u64) -> Option<Result<(), Failure>> {
        let note = self.note.read(number)?;
        if note.same_boot {
            return Some(self.attach().await);
        }
        // The daemon does not outlive a reboot, nor does what it knows. What runs may tell: the boot loader is told of a side at last.
        let side = self.sides.named(side_of(&note))?;
        let is_new = !was_next(&note) && self.sides.running().await.ok()?.as_deref() == Some(&side.name);
        is_new.then_some(Ok(()))
    }

    async fn attach(&self) -> Result<(), Failure> {
        let progress =
            UnixStream::connect(&self.progress).await.map_err(|error| failed("swupdate's progress", error))?;
        let (notifications, answer) = self.request(&wire::notifications()).await?;
        let Message::Accepted { current, last } = answer else {
            return Err(Failure::new(UNEXPECTED));
        };
        match (current, last) {
            (Status::Idle, Status::Success) => Ok(()),
            (Status::Idle, Status::Failure) => {
                let told = timeout(HISTORY, follow(notifications, progress, &self.watch)).await;
                told.ok().filter(Result::is_err).unwrap_or_else(|| Err(Failure::new("swupdate has failed")))
            }
            (Status::Idle, _) => Err(Failure::new("swupdate was started anew in the middle of the installation")),
            _ => follow(notifications, progress, &self.watch).await,
        }
    }

    /// Sends a request on a socket of its own and waits for its answer.
    async fn request(&self, request: &[u8]) -> Result<(UnixStream, Message), Failure> {
        let ask = async {
            let mut socket = UnixStream::connect(&self.control).await?;
            // The daemon reads once, so it has to be one write, which it is: nothing else is in this socket.
            socket.write_all(request).await?;
            let mut answer = vec![0; MESSAGE];
            loop {
                socket.read_exact(&mut answer).await?;
                // Version 2022.12 keeps the number of the socket of a listener that left while it was told what had been said before, and
                // tells the next one that gets the number: that may be this one, which has not asked for it.
                match wire::message(&answer) {
                    Some(Message::Notification { .. }) => {}
                    message => return std::io::Result::Ok((socket, message)),
                }
            }
        };
        let answered = timeout(ANSWER, ask).await.map_err(|_| Failure::new("swupdate does not answer"))?;
        let (socket, answer) =
            answered.map_err(|error| failed(format!("swupdate at {}", self.control.display()), error))?;
        Ok((socket, answer.ok_or_else(|| Failure::new(UNEXPECTED))?))
    }
}

/// In a note: the boot loader was told of the side by an earlier installation, so that it says nothing of this one.
const NEXT: &str = "next";

/// The side that is written to, by its name.
fn side_of(note: &Content) -> &str {
    note.more.lines().next().unwrap_or_default()
}

fn was_next(note: &Content) -> bool {
    note.more.lines().nth(1) == Some(NEXT)
}

const UNEXPECTED: &str = "swupdate's answer is none of its version 2022.12 or later";

fn failed(what: impl std::fmt::Display, error: std::io::Error) -> Failure {
    Failure::new(format!("{what}: {error}"))
}

enum Sending {
    /// The daemon takes no more.
    Socket,
    Image(std::io::Error),
}

async fn send(image: &mut File, socket: &mut WriteHalf<'_>) -> Result<(), Sending> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = image.read(&mut chunk).await.map_err(Sending::Image)?;
        if length == 0 {
            return socket.shutdown().await.map_err(|_| Sending::Socket);
        }
        socket.write_all(&chunk[..length]).await.map_err(|_| Sending::Socket)?;
    }
}

/// Reads what the daemon says until the installation has ended and it waits for the next.
async fn follow(mut notifications: UnixStream, progress: UnixStream, watch: &Watch) -> Result<(), Failure> {
    let said = async {
        let mut errors = Vec::new();
        let mut outcome = None;
        let mut bytes = vec![0; MESSAGE];
        loop {
            if notifications.read_exact(&mut bytes).await.is_err() {
                return outcome
                    .unwrap_or_else(|| Err(Failure::new("swupdate has ended in the middle of the installation")));
            }
            match wire::message(&bytes) {
                Some(Message::Notification { status: Status::Success, .. }) => outcome = Some(Ok(())),
                Some(Message::Notification { error: true, last: true, text, .. }) => {
                    outcome = Some(Err(refusal(&errors, text)));
                }
                Some(Message::Notification { error: true, text, .. }) => {
                    let text = without_place(&text).to_owned();
                    tracing::debug!("swupdate: {text}");
                    if !errors.contains(&text) {
                        errors.push(text);
                    }
                }
                Some(Message::Notification { status: Status::Idle, .. }) => {
                    if let Some(outcome) = outcome {
                        return outcome;
                    }
                }
                Some(Message::Notification { text, .. }) => tracing::trace!("swupdate: {text}"),
                _ => return Err(Failure::new(UNEXPECTED)),
            }
        }
    };
    let outcome = tokio::select! {
        outcome = said => outcome,
        never = watch_progress(progress, watch) => match never {},
    };
    if outcome.is_ok() {
        watch(Progress { percent: 100, step: "installed".to_owned() });
    }
    outcome
}

/// An error without the place in the daemon's sources that comes before it: `ERROR file : function : line : text`, or `ERROR : text`.
fn without_place(text: &str) -> &str {
    let Some((_, said)) = text.split_once(" : ").filter(|(word, _)| word.starts_with("ERROR")) else { return text };
    let mut parts = said.splitn(3, " : ");
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(line), Some(said)) if line.bytes().all(|byte| byte.is_ascii_digit()) => said,
        _ => said,
    }
}

/// What the daemon's errors say of the image. It has no codes for them, so that its words are all there is.
fn refusal(errors: &[String], end: String) -> Failure {
    const DAMAGED: &[&str] = &[
        "HASH mismatch",
        "signature",
        "Signature",
        "CPIO",
        "Checksum",
        "checksum",
        "Error verifying",
        "Verification",
        "decrypt",
    ];
    const UNSUITABLE: &[&str] = &["SW not compatible with hardware", "HW", "not found in sw-description", "lower than"];
    let any = |words: &[&str]| errors.iter().any(|error| words.iter().any(|word| error.contains(word)));
    let reason = if errors.is_empty() { end } else { errors.join("; ") };
    let failure = Failure::new(format!("swupdate: {reason}"));
    match () {
        () if any(DAMAGED) => failure.with_result(UpdateResult::Integrity),
        () if any(UNSUITABLE) => failure.with_result(UpdateResult::PackageType),
        () => failure,
    }
}

/// Tells how far it is as long as the socket does. What it says is not needed, so that nothing of it is an error.
async fn watch_progress(mut socket: UnixStream, watch: &Watch) -> std::convert::Infallible {
    let mut first = [0; GREETING];
    if socket.read_exact(&mut first).await.is_ok() {
        let (layout, greeting) = Layout::of(&first);
        let mut bytes = vec![0; layout.length];
        let mut have = 0;
        if !greeting {
            bytes[..GREETING].copy_from_slice(&first);
            have = GREETING;
        }
        let mut percent = 0;
        while socket.read_exact(&mut bytes[have..]).await.is_ok() {
            have = 0;
            let Some(step) = wire::progress(layout, &bytes) else {
                tracing::warn!("swupdate's progress is in no form that is known: it is not shown");
                break;
            };
            if let Some(now) = whole(&step).filter(|now| *now > percent) {
                percent = now;
                watch(Progress { percent, step: step.image });
            }
        }
    }
    std::future::pending().await
}

/// How far the whole is, below 100: the last step is not the end.
fn whole(step: &Step) -> Option<u8> {
    if !matches!(step.status, Status::Run | Status::Other) || step.step == 0 || step.steps == 0 {
        return None;
    }
    let done = u64::from(step.step - 1) * 100 + u64::from(step.percent);
    let percent = (done / u64::from(step.steps)).min(99);
    u8::try_from(percent).ok()
}

impl Updater for Swupdate {
    fn install<'a>(&'a self, number: u64, image: &'a Path) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.install(number, image))
    }

    fn resume(&self, number: u64) -> BoxFuture<'_, Option<Result<(), Failure>>> {
        Box::pin(self.resume(number))
    }

    fn running(&self) -> BoxFuture<'_, Result<Option<String>>> {
        Box::pin(self.sides.running())
    }

    fn installed(&self, number: u64) -> BoxFuture<'_, Result<Option<String>>> {
        let side = self.note.read(number).and_then(|note| self.sides.named(side_of(&note)));
        Box::pin(async { Ok(side.map(|side| side.name)) })
    }

    fn accept(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.verdict.accept())
    }

    fn go_back(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let running = self.sides.running().await?;
            let other = running.and_then(|running| self.sides.other_than(&running));
            self.verdict.go_back(other.as_ref().map(|side| side.name.as_str())).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(status: Status, steps: u32, step: u32, percent: u32) -> Option<u8> {
        whole(&Step { status, steps, step, percent, image: String::new() })
    }

    #[test]
    fn the_whole_is_made_of_its_steps() {
        assert_eq!(step(Status::Start, 2, 0, 0), None);
        assert_eq!(step(Status::Run, 2, 1, 0), Some(0));
        assert_eq!(step(Status::Other, 2, 1, 50), Some(25));
        assert_eq!(step(Status::Other, 2, 2, 50), Some(75));
        assert_eq!(step(Status::Other, 2, 2, 100), Some(99));
        // The boot environment is a step too many in the daemon's count.
        assert_eq!(step(Status::Run, 1, 2, 0), Some(99));
    }

    #[test]
    fn an_error_is_shown_without_its_place_in_the_sources() {
        let said = "HASH mismatch : 97 <--> 8e";
        assert_eq!(without_place(&format!("ERROR core/cpio_utils.c : copy : 635 : {said}")), said);
        assert_eq!(without_place(&format!("ERROR : {said}")), said);
        assert_eq!(without_place("Installation failed !"), "Installation failed !");
    }

    #[test]
    fn faults_are_told_by_the_daemons_words() {
        let fault = |error: &str| refusal(&[error.to_owned()], "end".to_owned()).result;
        assert_eq!(fault("HASH mismatch : 97 <--> 8e"), UpdateResult::Integrity);
        assert_eq!(fault("Authentication of all signatures failed"), UpdateResult::Integrity);
        assert_eq!(fault("CPIO Format not recognized: magic not found"), UpdateResult::Integrity);
        assert_eq!(fault("SW not compatible with hardware"), UpdateResult::PackageType);
        assert_eq!(fault("Bootloader-specific error -22 updating its environment"), UpdateResult::UpdateFailed);
        assert_eq!(refusal(&[], "Installation failed !".to_owned()).to_string(), "swupdate: Installation failed !");
    }
}
