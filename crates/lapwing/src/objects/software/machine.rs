//! What an instance of object 9 is in, and what moves it on. No input or output: what is to be done comes out of [`Machine::step`].
//!
//! Whoever calls it stores the new machine before anything of it is seen or done. A [`Task`] in a stored machine may have been begun:
//! after a restart it is asked for ([`Work::Resume`]) and never begun again.

use std::fmt;

use lapwing_lwm2m::model::ObjectLink;
use zeroize::Zeroizing;

use super::{Failure, OperationalState, Release, State, Task, UpdateResult};
use crate::objects::keeper::{Delivery, Reject};
use crate::transfer::Digest;

/// Whose software an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Other software of this machine.
    Package,
    /// The program that this machine is managed by. It takes a package in almost every state (else it could be updated once only),
    /// cannot be removed, deactivated, started or stopped, as nobody would be there to undo it, and is activated by its end: another
    /// process shows whether that has worked.
    Own,
}

/// All of an instance that outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) kind: Kind,
    pub(super) phase: Phase,
    pub(super) result: UpdateResult,
    /// The URI that was written last (9/x/3).
    pub(super) uri: String,
    pub(super) settings: Settings,
    /// Why something has failed last (9/x/16).
    pub(super) reason: String,
    /// What has come last, whole and synced.
    pub(super) package: Option<Digest>,
    /// What stays on the machine while an update for it comes, and whether it is active.
    pub(super) in_place: Option<(Release, bool)>,
    /// What is being done with the software.
    pub(super) task: Option<Task>,
    /// As far as it is known; not stored.
    pub(super) operational: OperationalState,
    /// Numbers downloads and tasks, so that news of one that is over is told from that of the present one.
    pub(super) serial: u64,
}

/// What servers may set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Settings {
    /// Whether servers are told at once of objects that come and go with the software (9/x/8).
    pub(super) announce: bool,
    /// Who is to fetch from the URI (9/x/14).
    pub(super) user: String,
    /// With which password (9/x/15).
    pub(super) password: Password,
    /// Where the software is configured (9/x/13).
    pub(super) link: Option<ObjectLink>,
}

/// A text that does not show.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Password(pub(super) Zeroizing<String>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The update state with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Initial,
    Downloading(Delivery),
    /// All has come, and is being verified.
    Downloaded,
    Delivered(Release),
    Installed {
        release: Release,
        active: bool,
    },
}

/// What happens to the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// A body begins to come.
    Push,
    /// A URI that begins with NUL, as servers of the earlier client write it.
    Reset,
    Uri(String),
    Set(Settings),
    /// The download of this number is whole, and synced.
    Received(u64, Digest),
    /// Its package is one for this instance.
    Verified(u64, Release),
    /// The download of this number, or the verification of what came, has failed: what the server is told, and why.
    Lost(u64, UpdateResult, String),
    /// A server executes Uninstall: with the argument 1, or without.
    Uninstall {
        for_update: bool,
    },
    /// A server executes one of the others.
    Execute(Task),
    /// The task of this number has ended, well or not.
    Ended(u64, Result<(), Failure>),
    /// The software runs, or does not, by itself.
    Observed(OperationalState),
    /// The process has started.
    Started {
        /// The length of the file where the package lies, if there is one.
        length: Option<u64>,
    },
    /// It is known now which executable it is that runs.
    Running {
        /// The number when the process started: what was begun since is not what this tells of.
        serial: u64,
        /// As with [`Input::Started`].
        length: Option<u64>,
        /// Its SHA-256; `None` if it cannot be read.
        running: Option<[u8; 32]>,
    },
}

/// What is to be done in the background from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing of what was being done goes on.
    Nothing,
    /// Fetch the package from the URI.
    Pull,
    /// Look whether what has come is in order. Harmless to do again.
    Verify {
        /// It lay on the disk while the process was not there.
        after_restart: bool,
    },
    /// Begin this. Comes once for each number.
    Begin(Task),
    /// Ask what became of this, which may have been begun before a restart.
    Resume(Task),
    /// Tell the servers which objects there are now.
    Announce,
}

type Step = Result<Option<Work>, Reject>;

impl Machine {
    /// With nothing that a server has brought.
    pub(super) fn new(kind: Kind) -> Self {
        let operational = match kind {
            Kind::Package => OperationalState::Stopped,
            Kind::Own => OperationalState::Running,
        };
        Self {
            kind,
            phase: Phase::Initial,
            result: UpdateResult::Initial,
            uri: String::new(),
            settings: Settings::default(),
            reason: String::new(),
            package: None,
            in_place: None,
            task: None,
            operational,
            serial: 0,
        }
    }

    /// 9/x/7.
    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Initial => State::Initial,
            Phase::Downloading(_) => State::DownloadStarted,
            Phase::Downloaded => State::Downloaded,
            Phase::Delivered(_) => State::Delivered,
            Phase::Installed { .. } => State::Installed,
        }
    }

    /// 9/x/12: the software is installed and active. While an update of it is on its way, it is not told.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Installed { active: true, .. })
    }

    /// Whose name and version 9/x/0 and 9/x/1 tell.
    pub(super) fn release(&self) -> Option<&Release> {
        match &self.phase {
            Phase::Delivered(release) | Phase::Installed { release, .. } => Some(release),
            _ => self.in_place.as_ref().map(|(release, _)| release),
        }
    }

    /// Whether what has come, or is coming, is still needed.
    pub(super) fn needs_package(&self) -> bool {
        match self.phase {
            // The same URI may be written again.
            Phase::Initial => self.result == UpdateResult::ConnectionLost && !self.uri.is_empty(),
            // Until it runs, the executable may still have to be put in its place.
            Phase::Installed { active, .. } => self.kind == Kind::Own && !active,
            Phase::Downloading(_) | Phase::Downloaded | Phase::Delivered(_) => true,
        }
    }

    /// What the instance is after `input`, and what is to be done then; `None` goes on with what is being done.
    pub(super) fn step(&self, input: Input) -> Result<(Self, Option<Work>), Reject> {
        let mut next = self.clone();
        let work = next.take(input)?;
        Ok((next, work))
    }

    fn take(&mut self, input: Input) -> Step {
        match input {
            Input::Push if self.phase == Phase::Downloading(Delivery::Push) => {
                self.begin(Delivery::Push, String::new())
            }
            Input::Push => self.download(Delivery::Push, String::new()),
            Input::Uri(uri) => self.download(Delivery::Pull, uri),
            Input::Reset => self.reset(),
            Input::Set(settings) => {
                self.settings = settings;
                Ok(None)
            }
            Input::Received(serial, package) => match self.phase {
                Phase::Downloading(_) if serial == self.serial => {
                    self.phase = Phase::Downloaded;
                    self.package = Some(package);
                    Ok(Some(Work::Verify { after_restart: false }))
                }
                _ => Err(Reject::Outdated),
            },
            Input::Verified(serial, release) => match self.phase {
                Phase::Downloaded if serial == self.serial => {
                    self.phase = Phase::Delivered(release);
                    self.result = UpdateResult::Verified;
                    Ok(Some(Work::Nothing))
                }
                _ => Err(Reject::Outdated),
            },
            Input::Lost(serial, result, reason) => match self.phase {
                Phase::Downloading(_) | Phase::Downloaded if serial == self.serial => {
                    self.reason = reason;
                    let uri = std::mem::take(&mut self.uri);
                    self.initial(result);
                    if result == UpdateResult::ConnectionLost {
                        self.uri = uri;
                    }
                    Ok(Some(Work::Nothing))
                }
                _ => Err(Reject::Outdated),
            },
            Input::Uninstall { for_update } => self.uninstall(for_update),
            Input::Execute(task) => self.execute(task),
            Input::Ended(serial, ended) => match self.task {
                Some(task) if serial == self.serial => Ok(self.ended(task, ended)),
                _ => Err(Reject::Outdated),
            },
            Input::Observed(operational) => {
                if self.kind == Kind::Package && self.task.is_none() && self.is_active() {
                    self.operational = operational;
                }
                Ok(None)
            }
            Input::Started { length } => Ok(self.started(length)),
            Input::Running { serial, length, running } => Ok(self.runs(serial, length, running)),
        }
    }

    fn download(&mut self, delivery: Delivery, uri: String) -> Step {
        let takes = match self.kind {
            Kind::Package => self.state() == State::Initial,
            Kind::Own => !matches!(self.state(), State::DownloadStarted | State::Downloaded),
        };
        if takes && self.task.is_none() { self.begin(delivery, uri) } else { Err(Reject::BadRequest) }
    }

    /// Also a block 0 while a push is going on: it is that push begun anew (RFC 7959 section 2.5).
    fn begin(&mut self, delivery: Delivery, uri: String) -> Step {
        self.keep();
        self.serial += 1;
        self.uri = uri;
        self.result = UpdateResult::Downloading;
        self.reason.clear();
        self.phase = Phase::Downloading(delivery);
        Ok(Some(if delivery == Delivery::Pull { Work::Pull } else { Work::Nothing }))
    }

    /// What is installed stays in place. An executable of our own that was never activated is not installed anywhere.
    fn keep(&mut self) {
        if let Phase::Installed { release, active } = &self.phase
            && (*active || self.kind == Kind::Package)
        {
            self.in_place = Some((release.clone(), *active));
        }
    }

    fn reset(&mut self) -> Step {
        if self.kind == Kind::Package {
            return Err(Reject::BadRequest);
        }
        if self.task.is_some() {
            return Err(Reject::NotAllowed);
        }
        self.keep();
        Ok(self.initial(UpdateResult::Initial))
    }

    fn initial(&mut self, result: UpdateResult) -> Option<Work> {
        self.phase = Phase::Initial;
        self.result = result;
        self.uri.clear();
        Some(Work::Nothing)
    }

    fn uninstall(&mut self, for_update: bool) -> Step {
        if self.kind == Kind::Own {
            return if for_update { self.reset() } else { Err(Reject::NotAllowed) };
        }
        let is_there = self.in_place.is_some() || self.state() == State::Installed;
        let in_order = matches!(self.state(), State::Delivered | State::Installed) || (is_there && !self.is_loading());
        if self.task.is_some() || !in_order {
            return Err(Reject::NotAllowed);
        }
        if is_there && !for_update {
            return self.perform(Task::Remove);
        }
        self.keep();
        Ok(self.initial(UpdateResult::Initial))
    }

    fn is_loading(&self) -> bool {
        matches!(self.phase, Phase::Downloading(_) | Phase::Downloaded)
    }

    fn execute(&mut self, task: Task) -> Step {
        let own = self.kind == Kind::Own;
        let installed = self.state() == State::Installed;
        let allowed = match task {
            Task::Install => self.state() == State::Delivered,
            Task::Activate => installed,
            Task::Deactivate => installed && !own,
            Task::Start | Task::Stop => self.is_active() && !own,
            Task::Purge => installed && !own,
            // Uninstall comes with its argument.
            Task::Remove => false,
        };
        if !allowed || self.task.is_some() {
            return Err(Reject::NotAllowed);
        }
        let running = self.operational == OperationalState::Running;
        let is_so = match task {
            Task::Activate => self.is_active(),
            Task::Deactivate => !self.is_active(),
            Task::Start => running,
            Task::Stop => self.operational == OperationalState::Stopped,
            Task::Install | Task::Remove | Task::Purge => false,
        };
        if is_so { Ok(None) } else { self.perform(task) }
    }

    fn perform(&mut self, task: Task) -> Step {
        self.serial += 1;
        self.task = Some(task);
        self.reason.clear();
        match task {
            // So that an observer sees the end of this one, however the one before has ended.
            Task::Install => self.result = UpdateResult::Verified,
            Task::Activate if self.kind == Kind::Package => self.operational = OperationalState::Initializing,
            Task::Start => self.operational = OperationalState::Initializing,
            Task::Activate | Task::Deactivate | Task::Stop => self.operational = OperationalState::ShuttingDown,
            Task::Remove | Task::Purge => {}
        }
        Ok(Some(Work::Begin(task)))
    }

    fn ended(&mut self, task: Task, ended: Result<(), Failure>) -> Option<Work> {
        self.task = None;
        let Failure { result, reason } = match ended {
            Ok(()) => return Some(self.succeeded(task)),
            Err(failure) => failure,
        };
        self.reason = reason;
        match task {
            Task::Install => match result.unwrap_or(UpdateResult::InstallFailed) {
                lost @ (UpdateResult::Integrity | UpdateResult::PackageType) => return self.initial(lost),
                result => self.result = result,
            },
            Task::Remove => self.result = result.unwrap_or(UpdateResult::UninstallFailed),
            Task::Activate if self.kind == Kind::Own => self.taken_back(true),
            Task::Activate | Task::Start => self.operational = OperationalState::Failed,
            // What could not be stopped goes on.
            Task::Deactivate | Task::Stop => self.operational = OperationalState::Running,
            Task::Purge => {}
        }
        Some(Work::Nothing)
    }

    fn succeeded(&mut self, task: Task) -> Work {
        match task {
            Task::Install => {
                if let Phase::Delivered(release) = &self.phase {
                    self.phase = Phase::Installed { release: release.clone(), active: false };
                }
                self.result = UpdateResult::Installed;
                self.in_place = None;
                if self.kind == Kind::Package {
                    self.operational = OperationalState::Stopped;
                }
                return self.announcement();
            }
            Task::Remove => {
                self.in_place = None;
                self.operational = OperationalState::Stopped;
                self.initial(UpdateResult::Initial);
                return self.announcement();
            }
            Task::Activate => {
                self.set_active(true);
                self.operational = OperationalState::Running;
            }
            Task::Deactivate => {
                self.set_active(false);
                self.operational = OperationalState::Stopped;
            }
            Task::Start => self.operational = OperationalState::Running,
            Task::Stop => self.operational = OperationalState::Stopped,
            Task::Purge => {}
        }
        Work::Nothing
    }

    /// Our own new executable does not run: it can be tried again, if it is still there.
    fn taken_back(&mut self, package: bool) {
        if let Phase::Installed { release, .. } = &self.phase {
            self.phase = if package { Phase::Delivered(release.clone()) } else { Phase::Initial };
        }
        self.operational = OperationalState::Running;
        self.result = UpdateResult::InstallFailed;
    }

    fn set_active(&mut self, now: bool) {
        if let Phase::Installed { active, .. } = &mut self.phase {
            *active = now;
        }
    }

    fn announcement(&self) -> Work {
        if self.settings.announce { Work::Announce } else { Work::Nothing }
    }

    fn started(&mut self, length: Option<u64>) -> Option<Work> {
        let package = self.is_there(length);
        match (&self.phase, self.task) {
            (Phase::Installed { .. }, Some(Task::Activate)) if self.kind == Kind::Own => {
                self.operational = OperationalState::Running;
                None
            }
            (_, Some(task)) => Some(Work::Resume(task)),
            (Phase::Downloading(Delivery::Push), None) => {
                self.reason = "the client was started anew while the package came".to_owned();
                self.initial(UpdateResult::ConnectionLost)
            }
            (Phase::Downloading(Delivery::Pull), None) => Some(Work::Pull),
            (Phase::Downloaded | Phase::Delivered(_), None) if !package => self.vanished(),
            (Phase::Installed { active: false, .. }, None) if self.kind == Kind::Own && !package => self.vanished(),
            (Phase::Downloaded, None) => Some(Work::Verify { after_restart: true }),
            (Phase::Initial | Phase::Delivered(_) | Phase::Installed { .. }, None) => None,
        }
    }

    /// Whether what was left can be judged only by which executable runs ([`Input::Running`]).
    pub(super) fn depends_on_what_runs(&self) -> bool {
        self.kind == Kind::Own && (self.in_place.is_some() || matches!(self.phase, Phase::Installed { .. }))
    }

    fn runs(&mut self, serial: u64, length: Option<u64>, running: Option<[u8; 32]>) -> Option<Work> {
        let another = |release: &Release| running.is_some_and(|running| running != release.sha256);
        self.in_place.take_if(|(release, _)| another(release));
        match (&self.phase, self.task) {
            (Phase::Installed { release, .. }, Some(Task::Activate)) if self.serial == serial => {
                if running == Some(release.sha256) {
                    // It may still be taken back.
                    return Some(Work::Resume(Task::Activate));
                }
                self.task = None;
                self.reason = match running {
                    Some(_) => "after the activation, the program that ran before it runs".to_owned(),
                    None => "after the activation, it is not known which program runs".to_owned(),
                };
                self.taken_back(self.is_there(length));
                None
            }
            // Somebody has put another executable in its place since.
            (Phase::Installed { release, active: true }, _) if another(release) => self.initial(UpdateResult::Initial),
            _ => None,
        }
    }

    /// Whether what has come last lies there, as far as its length tells.
    fn is_there(&self, length: Option<u64>) -> bool {
        self.package.is_some_and(|package| Some(package.length) == length)
    }

    fn vanished(&mut self) -> Option<Work> {
        self.reason = "the package is no longer there".to_owned();
        self.initial(UpdateResult::Integrity)
    }
}

#[cfg(test)]
mod tests;
