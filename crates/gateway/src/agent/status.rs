//! What the agent says of itself over the control socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapwing::objects::firmware::Firmware;
use lapwing::objects::software::Software;
use lapwing::{Event, Handle, ServerId, ShortServerId, Status};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use super::updates;
use crate::config::Version;
use crate::control::{Bootstrap, BootstrapState, Report, Server, ServerState};
use crate::objects::{DeviceVersions, InstallProgress};

/// Puts reports together.
pub(super) struct Reporter {
    pub(super) endpoint: String,
    pub(super) version: Version,
    pub(super) handle: Handle,
    pub(super) device: DeviceVersions,
    pub(super) history: History,
    pub(super) firmware: Option<(Arc<Firmware>, InstallProgress)>,
    pub(super) software: Option<Arc<Software>>,
    /// Whether a server has been reached since the start.
    pub(super) reached: watch::Sender<bool>,
}

impl Reporter {
    /// Something happened.
    pub(super) fn take(&self, event: &Event) {
        self.history.take(event);
        if matches!(event, Event::Registered { .. } | Event::Resumed { .. } | Event::Updated { .. }) {
            self.reached.send_replace(true);
        }
    }

    pub(super) async fn report(&self) -> Report {
        let now = now();
        let (servers, bootstrap) = self.history.at(now, &self.handle);
        Report {
            endpoint: self.endpoint.clone(),
            process: std::process::id(),
            running_for: seconds(now.saturating_sub(self.history.begin)),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            lwm2m_version: match self.version {
                Version::V1_0 => "1.0".to_owned(),
                Version::V1_1 => "1.1".to_owned(),
            },
            firmware_version: self.device.firmware().await,
            software_version: self.device.software(),
            bootstrap,
            servers,
            firmware: self.firmware.as_ref().map(|(firmware, progress)| updates::firmware(firmware, progress)),
            software: self.software.as_deref().map(updates::software).unwrap_or_default(),
        }
    }
}

/// Since when things are as they are, and why, from the client's events.
#[derive(Debug)]
pub(super) struct History {
    begin: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    servers: BTreeMap<ShortServerId, Note>,
    bootstrap: Option<(BootstrapState, Note)>,
}

/// What the last event about something was.
#[derive(Debug, Default)]
struct Note {
    at: Duration,
    reason: Option<String>,
    retry_at: Option<Duration>,
}

impl Note {
    fn new(at: Duration) -> Self {
        Self { at, ..Self::default() }
    }

    fn because(self, reason: impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), ..self }
    }

    fn retry_in(self, wait: Option<Duration>) -> Self {
        Self { retry_at: wait.map(|wait| self.at + wait), ..self }
    }
}

impl History {
    pub(super) fn new() -> Self {
        Self { begin: now(), known: Mutex::default() }
    }

    /// Remembers what has happened.
    pub(super) fn take(&self, event: &Event) {
        self.take_at(now(), event);
    }

    fn take_at(&self, now: Duration, event: &Event) {
        let mut known = self.known();
        let note = Note::new(now);
        match event {
            Event::Registered { server, .. } | Event::Resumed { server, .. } => {
                known.servers.insert(*server, note);
            }
            Event::RegistrationFailed { server, reason, retry_in } => {
                known.servers.insert(*server, note.because(reason).retry_in(*retry_in));
            }
            Event::ServerLost { server, reason } => {
                known.servers.insert(*server, note.because(reason));
            }
            Event::Deregistered { server, back_in } => {
                known.servers.insert(*server, note.retry_in(*back_in));
            }
            Event::BootstrapBegun => known.bootstrap = Some((BootstrapState::Begun, note)),
            Event::BootstrapFinished => known.bootstrap = Some((BootstrapState::Finished, note)),
            Event::BootstrapFailed { reason, retry_in } => {
                known.bootstrap = Some((BootstrapState::Failed, note.because(reason).retry_in(*retry_in)));
            }
            _ => {}
        }
    }

    fn at(&self, now: Duration, handle: &Handle) -> (Vec<Server>, Option<Bootstrap>) {
        let known = self.known();
        let uri = |server| handle.uri(server).map(|uri| uri.to_string());
        let since = |note: &Note| seconds(now.saturating_sub(note.at));
        let retry_in = |note: &Note| note.retry_at.map(|at| seconds(at.saturating_sub(now)));
        let server = |(ssid, status): (ShortServerId, Status)| {
            let (note, state) = (known.servers.get(&ssid), state(&status));
            Server {
                short_server_id: ssid,
                uri: uri(ServerId::Server(ssid)),
                state,
                state_for: note.map(since),
                reason: note.and_then(|note| note.reason.clone()),
                // The attempt that was waited for has begun.
                retry_in: note.and_then(retry_in).filter(|_| state != ServerState::Registering),
            }
        };
        let bootstrap = known.bootstrap.as_ref().map(|(state, note)| Bootstrap {
            uri: uri(ServerId::Bootstrap),
            state: *state,
            state_for: since(note),
            reason: note.reason.clone(),
            retry_in: retry_in(note),
        });
        (handle.status().into_iter().map(server).collect(), bootstrap)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state(status: &Status) -> ServerState {
    match status {
        Status::Registered => ServerState::Registered,
        Status::Waiting => ServerState::Waiting,
        Status::Disabled => ServerState::Disabled,
        Status::Stopped => ServerState::Stopped,
        // `Status` may grow; what is neither registered nor at rest is on its way.
        _ => ServerState::Registering,
    }
}

/// Time that goes on in suspend, as registrations do.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}
