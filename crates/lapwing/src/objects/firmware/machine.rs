//! What object 5 is in, and what moves it on. No input or output, no clock: what is to be done comes out of [`Machine::step`].
//!
//! Whoever calls it stores the new machine before anything of it is seen or done.

use super::{Failure, Installed, Package, Severity, State, UpdateResult};
use crate::objects::keeper::{Delivery, Reject};
use crate::transfer::Digest;

/// All of the object that outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) phase: Phase,
    pub(super) result: UpdateResult,
    /// The URI that was written last (5/0/1).
    pub(super) uri: String,
    pub(super) settings: Settings,
    /// When the state changed last, in seconds since 1970, as far as the time was known (5/0/12).
    pub(super) changed: Option<u64>,
    /// Numbers downloads and updates, so that news of one that is over is told from that of the present one.
    pub(super) serial: u64,
}

/// What servers may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) severity: Severity,
    /// For how many seconds an update may be put off (5/0/13); 0: not at all.
    pub(super) defer_period: u32,
    /// Whether the update follows the download at once (5/0/14).
    pub(super) automatic: bool,
}

/// The state with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Downloading(Delivery),
    Downloaded {
        image: Image,
        /// The update was put off.
        deferred: bool,
    },
    Updating {
        image: Image,
        step: Step,
    },
}

/// A package that is on the disk, whole and synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) package: Package,
}

/// How far an update has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The installer may have been started: never again for this number.
    Intended,
    /// It has succeeded, and a reboot will show; with what the installer wants to know then.
    Rebooting(Vec<u8>),
}

/// What happens to the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// A body begins to come that is no reset.
    Push,
    /// An empty URI or package.
    Reset,
    Uri(String),
    Set(Settings),
    /// The download of this number is whole.
    Received(u64, Image),
    /// The download of this number has failed.
    Lost(u64, UpdateResult),
    /// A server executes Update; `later`: it is to be put off if that is permitted.
    Update {
        later: bool,
    },
    /// The time is over for which the update of this number was put off.
    Due(u64),
    /// The installer has come to an end, for the update of this number.
    Ended(u64, Result<Installed, Failure>),
    Cancel,
    /// The process has started; with the length of the file where the package lies, if there is one.
    Started(Option<u64>),
}

/// What is to be done in the background from now on, instead of what was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    /// Fetch the package from the URI.
    Pull,
    /// [`Input::Due`] after so many seconds.
    Defer(u32),
    /// Start the installer. Comes once for each number.
    Install,
    /// Ask the installer what became of what it may have begun before a restart.
    Resume,
    /// Reboot the machine.
    Reboot,
    /// Ask the installer whether what it has installed runs.
    Confirm,
}

impl Default for Machine {
    fn default() -> Self {
        let settings = Settings { severity: Severity::Mandatory, defer_period: 0, automatic: false };
        let (result, uri) = (UpdateResult::Initial, String::new());
        Self { phase: Phase::Idle, result, uri, settings, changed: None, serial: 0 }
    }
}

impl Machine {
    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Idle => State::Idle,
            Phase::Downloading(_) => State::Downloading,
            Phase::Downloaded { .. } => State::Downloaded,
            Phase::Updating { .. } => State::Updating,
        }
    }

    /// The package that is there, or is being installed.
    pub(super) fn image(&self) -> Option<&Image> {
        match &self.phase {
            Phase::Downloaded { image, .. } | Phase::Updating { image, .. } => Some(image),
            Phase::Idle | Phase::Downloading(_) => None,
        }
    }

    /// Whether the file is needed, or being written: what came of a pull that was cut off stays, as the same URI may be written again.
    pub(super) fn needs_file(&self) -> bool {
        let cut_off = self.result == UpdateResult::ConnectionLost && !self.uri.is_empty();
        self.phase != Phase::Idle || cut_off
    }

    /// What the object is after `input`, and what is to be done then; `None` goes on with what is being done. `unix` is the time in
    /// seconds since 1970 where it is known.
    pub(super) fn step(&self, unix: Option<u64>, input: Input) -> Result<(Self, Option<Work>), Reject> {
        let mut next = self.clone();
        let work = next.take(input)?;
        if next.state() != self.state() {
            next.changed = unix;
        }
        Ok((next, work))
    }

    fn take(&mut self, input: Input) -> Result<Option<Work>, Reject> {
        match input {
            Input::Push => self.push(),
            Input::Reset => self.reset(),
            Input::Uri(uri) => self.pull(uri),
            Input::Set(settings) => {
                self.settings = settings;
                Ok(None)
            }
            Input::Received(serial, image) => self.received(serial, image),
            Input::Lost(serial, result) => match self.phase {
                Phase::Downloading(_) if serial == self.serial => Ok(self.idle(result)),
                _ => Err(Reject::Outdated),
            },
            Input::Update { later } => self.update(later),
            Input::Due(serial) => match self.phase {
                Phase::Downloaded { deferred: true, .. } if serial == self.serial => self.update(false),
                _ => Err(Reject::Outdated),
            },
            Input::Ended(serial, ended) => self.ended(serial, ended),
            Input::Cancel => match self.phase {
                Phase::Downloading(_) | Phase::Downloaded { .. } => Ok(self.idle(UpdateResult::Cancelled)),
                Phase::Idle | Phase::Updating { .. } => Err(Reject::NotAllowed),
            },
            Input::Started(length) => Ok(self.started(length)),
        }
    }

    /// A block 0 while a push is going on is that push begun anew (RFC 7959 section 2.5).
    fn push(&mut self) -> Result<Option<Work>, Reject> {
        match self.phase {
            Phase::Idle | Phase::Downloading(Delivery::Push) => Ok(self.begin(Delivery::Push, String::new())),
            _ => Err(Reject::BadRequest),
        }
    }

    fn pull(&mut self, uri: String) -> Result<Option<Work>, Reject> {
        match self.phase {
            Phase::Idle => Ok(self.begin(Delivery::Pull, uri)),
            _ => Err(Reject::BadRequest),
        }
    }

    fn begin(&mut self, delivery: Delivery, uri: String) -> Option<Work> {
        self.serial += 1;
        self.uri = uri;
        self.result = UpdateResult::Initial;
        self.phase = Phase::Downloading(delivery);
        Some(if delivery == Delivery::Pull { Work::Pull } else { Work::Nothing })
    }

    fn reset(&mut self) -> Result<Option<Work>, Reject> {
        if self.state() == State::Updating {
            return Err(Reject::NotAllowed);
        }
        self.uri.clear();
        Ok(self.idle(UpdateResult::Initial))
    }

    fn idle(&mut self, result: UpdateResult) -> Option<Work> {
        self.result = result;
        self.phase = Phase::Idle;
        Some(Work::Nothing)
    }

    fn received(&mut self, serial: u64, image: Image) -> Result<Option<Work>, Reject> {
        if self.state() != State::Downloading || serial != self.serial {
            return Err(Reject::Outdated);
        }
        self.phase = Phase::Downloaded { image, deferred: false };
        if self.settings.automatic { self.update(false) } else { Ok(Some(Work::Nothing)) }
    }

    fn update(&mut self, later: bool) -> Result<Option<Work>, Reject> {
        let Phase::Downloaded { image, deferred } = &self.phase else { return Err(Reject::NotAllowed) };
        let (image, period) = (image.clone(), self.settings.defer_period);
        if later && *deferred {
            // The time that is running is not begun anew.
            return Ok(None);
        }
        self.serial += 1;
        if later && period > 0 {
            self.result = UpdateResult::Deferred;
            self.phase = Phase::Downloaded { image, deferred: true };
            return Ok(Some(Work::Defer(period)));
        }
        self.result = UpdateResult::Initial;
        self.phase = Phase::Updating { image, step: Step::Intended };
        Ok(Some(Work::Install))
    }

    fn ended(&mut self, serial: u64, ended: Result<Installed, Failure>) -> Result<Option<Work>, Reject> {
        let Phase::Updating { image, .. } = &self.phase else { return Err(Reject::Outdated) };
        if serial != self.serial {
            return Err(Reject::Outdated);
        }
        let image = image.clone();
        Ok(match ended {
            Ok(Installed::Done) => self.idle(UpdateResult::Success),
            Ok(Installed::AfterReboot(memory)) => {
                self.phase = Phase::Updating { image, step: Step::Rebooting(memory) };
                Some(Work::Reboot)
            }
            Err(failure) if failure.keep => {
                self.result = failure.result;
                self.phase = Phase::Downloaded { image, deferred: false };
                Some(Work::Nothing)
            }
            Err(failure) => self.idle(failure.result),
        })
    }

    fn started(&mut self, length: Option<u64>) -> Option<Work> {
        let whole = |image: &Image| length == Some(image.digest.length);
        match &self.phase {
            Phase::Idle => None,
            Phase::Downloading(Delivery::Push) => self.idle(UpdateResult::ConnectionLost),
            Phase::Downloading(Delivery::Pull) => Some(Work::Pull),
            Phase::Downloaded { image, .. } if !whole(image) => self.idle(UpdateResult::Integrity),
            // How long it was put off already is not known: the machine may have been off for years, or have lost its clock.
            Phase::Downloaded { deferred: true, .. } => Some(Work::Defer(self.settings.defer_period)),
            Phase::Downloaded { deferred: false, .. } => None,
            Phase::Updating { step: Step::Intended, .. } => Some(Work::Resume),
            Phase::Updating { step: Step::Rebooting(_), .. } => Some(Work::Confirm),
        }
    }
}

#[cfg(test)]
mod tests;
