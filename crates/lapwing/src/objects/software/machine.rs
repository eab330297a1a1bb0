//! What an instance of object 9 is in, and what moves it on. No input or output: what is to be done comes out of [`Machine::step`].
//!
//! Whoever calls it stores the new machine before anything of it is seen or done. A [`Task`] in a stored machine may have been begun:
//! after a restart it is asked for ([`Work::Resume`]) and never begun again.

use super::{OperationalState, State, UpdateResult};

/// Whose software an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Other software of this machine.
    Package,
    /// The program that this machine is managed by. It takes a package in almost every state (else it could be updated once only),
    /// cannot be removed, deactivated, started or stopped, as nobody would be there to undo it, and is activated by its end: another
    /// process shows whether that has worked.
    Own,
}

/// A verified package, or the software that came out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The length of what is installed from, in bytes.
    pub length: u64,
    /// Its SHA-256; for [`Kind::Own`] that of the executable.
    pub sha256: [u8; 32],
    /// 9/x/0.
    pub name: Option<String>,
    /// 9/x/1.
    pub version: Option<String>,
}

/// All of an instance that outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub kind: Kind,
    pub phase: Phase,
    pub result: UpdateResult,
    /// The URI that was written last (9/x/3).
    pub uri: String,
    /// Whether servers are told at once of objects that come and go with the software (9/x/8).
    pub announce: bool,
    /// What stays on the machine while an update for it comes, and whether it is active.
    pub in_place: Option<(Image, bool)>,
    /// What is being done with the software.
    pub task: Option<Task>,
    /// As far as it is known; not stored.
    pub operational: OperationalState,
    /// Numbers downloads and tasks, so that news of one that is over is told from that of the present one.
    pub serial: u64,
}

/// The update state with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    Initial,
    Downloading(Source),
    /// All has come, and is being verified.
    Downloaded,
    Delivered(Image),
    Installed {
        image: Image,
        active: bool,
    },
}

/// Who brings the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The server, block by block.
    Push,
    /// This client, from the URI.
    Pull,
}

/// Something that takes its time, begun by an Execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Install,
    Remove,
    Activate,
    Deactivate,
    Start,
    Stop,
    /// Deletes the software's data (9/x/22).
    Purge,
}

/// What happens to the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A body begins to come.
    Push,
    /// A URI that begins with NUL, as servers of the earlier client write it.
    Reset,
    Uri(String),
    Announce(bool),
    /// The download of this number is whole.
    Received(u64),
    /// Its package is one for this instance.
    Verified(u64, Image),
    /// The download of this number, or the verification of what came, has failed.
    Lost(u64, UpdateResult),
    /// A server executes Uninstall: with the argument 1, or without.
    Uninstall {
        for_update: bool,
    },
    /// A server executes one of the others.
    Execute(Task),
    /// The task of this number has ended, well or not.
    Ended(u64, Result<(), ()>),
    /// The software runs, or does not, by itself.
    Observed(OperationalState),
    /// The process has started.
    Started {
        /// Whether the package, or for [`Kind::Own`] its executable, still lies there.
        package: bool,
        /// The SHA-256 of this process's executable.
        running: [u8; 32],
    },
}

/// Why an input is refused: nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// What it brings cannot be taken in this state: 4.00.
    BadRequest,
    /// It cannot be done in this state: 4.05.
    NotAllowed,
    /// It is news of a download or a task that is over.
    Outdated,
}

/// What is to be done in the background from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing of what was being done goes on.
    Nothing,
    /// Fetch the package from the URI.
    Pull,
    /// Look whether what has come is in order. Harmless to do again.
    Verify,
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
    pub fn new(kind: Kind) -> Self {
        let operational = match kind {
            Kind::Package => OperationalState::Stopped,
            Kind::Own => OperationalState::Running,
        };
        let (result, uri) = (UpdateResult::Initial, String::new());
        let phase = Phase::Initial;
        Self { kind, phase, result, uri, announce: false, in_place: None, task: None, operational, serial: 0 }
    }

    /// 9/x/7.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Initial => State::Initial,
            Phase::Downloading(_) => State::DownloadStarted,
            Phase::Downloaded => State::Downloaded,
            Phase::Delivered(_) => State::Delivered,
            Phase::Installed { .. } => State::Installed,
        }
    }

    /// 9/x/12: the software is installed and active. While an update of it is on its way, it is not told.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Installed { active: true, .. })
    }

    /// Whose name and version 9/x/0 and 9/x/1 tell.
    pub fn image(&self) -> Option<&Image> {
        match &self.phase {
            Phase::Delivered(image) | Phase::Installed { image, .. } => Some(image),
            _ => self.in_place.as_ref().map(|(image, _)| image),
        }
    }

    /// Whether what has come, or is coming, is still needed.
    pub fn needs_package(&self) -> bool {
        match self.phase {
            Phase::Initial => false,
            // Until it runs, the executable may still have to be put in its place.
            Phase::Installed { active, .. } => self.kind == Kind::Own && !active,
            Phase::Downloading(_) | Phase::Downloaded | Phase::Delivered(_) => true,
        }
    }

    /// What the instance is after `input`, and what is to be done then; `None` goes on with what is being done.
    pub fn step(&self, input: Input) -> Result<(Self, Option<Work>), Reject> {
        let mut next = self.clone();
        let work = next.take(input)?;
        Ok((next, work))
    }

    fn take(&mut self, input: Input) -> Step {
        match input {
            Input::Push if self.phase == Phase::Downloading(Source::Push) => self.begin(Source::Push, String::new()),
            Input::Push => self.download(Source::Push, String::new()),
            Input::Uri(uri) => self.download(Source::Pull, uri),
            Input::Reset => self.reset(),
            Input::Announce(announce) => {
                self.announce = announce;
                Ok(None)
            }
            Input::Received(serial) => match self.phase {
                Phase::Downloading(_) if serial == self.serial => {
                    self.phase = Phase::Downloaded;
                    Ok(Some(Work::Verify))
                }
                _ => Err(Reject::Outdated),
            },
            Input::Verified(serial, image) => match self.phase {
                Phase::Downloaded if serial == self.serial => {
                    self.phase = Phase::Delivered(image);
                    self.result = UpdateResult::Verified;
                    Ok(Some(Work::Nothing))
                }
                _ => Err(Reject::Outdated),
            },
            Input::Lost(serial, result) => match self.phase {
                Phase::Downloading(_) | Phase::Downloaded if serial == self.serial => Ok(self.initial(result)),
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
            Input::Started { package, running } => Ok(self.started(package, running)),
        }
    }

    fn download(&mut self, source: Source, uri: String) -> Step {
        let takes = match self.kind {
            Kind::Package => self.state() == State::Initial,
            Kind::Own => !matches!(self.state(), State::DownloadStarted | State::Downloaded),
        };
        if takes && self.task.is_none() { self.begin(source, uri) } else { Err(Reject::BadRequest) }
    }

    /// Also a block 0 while a push is going on: it is that push begun anew (RFC 7959 section 2.5).
    fn begin(&mut self, source: Source, uri: String) -> Step {
        self.keep();
        self.serial += 1;
        self.uri = uri;
        self.result = UpdateResult::Downloading;
        self.phase = Phase::Downloading(source);
        Ok(Some(if source == Source::Pull { Work::Pull } else { Work::Nothing }))
    }

    /// What is installed stays in place. An executable of our own that was never activated is not installed anywhere.
    fn keep(&mut self) {
        if let Phase::Installed { image, active } = &self.phase
            && (*active || self.kind == Kind::Package)
        {
            self.in_place = Some((image.clone(), *active));
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

    fn ended(&mut self, task: Task, ended: Result<(), ()>) -> Option<Work> {
        self.task = None;
        let well = ended.is_ok();
        match task {
            Task::Install => return self.installed(well),
            Task::Remove if well => {
                self.in_place = None;
                self.operational = OperationalState::Stopped;
                self.initial(UpdateResult::Initial);
                return Some(self.announcement());
            }
            Task::Remove => self.result = UpdateResult::UninstallFailed,
            Task::Activate => return self.activated(well),
            Task::Deactivate if well => {
                self.set_active(false);
                self.operational = OperationalState::Stopped;
            }
            Task::Start => {
                self.operational = if well { OperationalState::Running } else { OperationalState::Failed };
            }
            Task::Stop if well => self.operational = OperationalState::Stopped,
            // What could not be stopped goes on.
            Task::Deactivate | Task::Stop => self.operational = OperationalState::Running,
            Task::Purge => {}
        }
        Some(Work::Nothing)
    }

    fn installed(&mut self, well: bool) -> Option<Work> {
        match &self.phase {
            Phase::Delivered(image) if well => {
                self.phase = Phase::Installed { image: image.clone(), active: false };
                self.result = UpdateResult::Installed;
                self.in_place = None;
                if self.kind == Kind::Package {
                    self.operational = OperationalState::Stopped;
                }
                Some(self.announcement())
            }
            _ => {
                self.result = UpdateResult::InstallFailed;
                Some(Work::Nothing)
            }
        }
    }

    fn activated(&mut self, well: bool) -> Option<Work> {
        self.set_active(well);
        self.operational = match (self.kind, well) {
            (Kind::Own, _) | (Kind::Package, true) => OperationalState::Running,
            (Kind::Package, false) => OperationalState::Failed,
        };
        if self.kind == Kind::Own && !well {
            self.taken_back(true);
        }
        Some(Work::Nothing)
    }

    /// Our own new executable does not run: it can be tried again, if it is still there.
    fn taken_back(&mut self, package: bool) {
        if let Phase::Installed { image, .. } = &self.phase {
            self.phase = if package { Phase::Delivered(image.clone()) } else { Phase::Initial };
        }
        self.result = UpdateResult::InstallFailed;
    }

    fn set_active(&mut self, now: bool) {
        if let Phase::Installed { active, .. } = &mut self.phase {
            *active = now;
        }
    }

    fn announcement(&self) -> Work {
        if self.announce { Work::Announce } else { Work::Nothing }
    }

    fn started(&mut self, package: bool, running: [u8; 32]) -> Option<Work> {
        match (&self.phase, self.task) {
            (Phase::Installed { image, .. }, Some(Task::Activate)) if self.kind == Kind::Own => {
                let runs = image.sha256 == running;
                self.task = None;
                self.operational = OperationalState::Running;
                self.set_active(runs);
                if !runs {
                    self.taken_back(package);
                }
                None
            }
            // Somebody has put another executable in its place since.
            (Phase::Installed { image, active: true }, _) if self.kind == Kind::Own && image.sha256 != running => {
                self.initial(UpdateResult::Initial)
            }
            (_, Some(task)) => Some(Work::Resume(task)),
            (Phase::Downloading(Source::Push), None) => self.initial(UpdateResult::ConnectionLost),
            (Phase::Downloading(Source::Pull), None) => Some(Work::Pull),
            (Phase::Downloaded | Phase::Delivered(_), None) if !package => self.initial(UpdateResult::Integrity),
            (Phase::Installed { active: false, .. }, None) if self.kind == Kind::Own && !package => {
                self.initial(UpdateResult::Integrity)
            }
            (Phase::Downloaded, None) => Some(Work::Verify),
            (Phase::Initial | Phase::Delivered(_) | Phase::Installed { .. }, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
