use std::process::Output;
use std::time::Duration;

use lapwing::objects::software::{Failure, OperationalState};
use tokio::process::Command;

use super::super::command;
use super::failed;

/// How long systemd may take to say what a unit does: who reads that waits for it.
const STATUS: Duration = Duration::from_secs(10);
/// How long it may take to do what it is told, which units are given minutes for.
const COMMAND: Duration = Duration::from_secs(3600);

/// One unit of systemd, which does what it is told whatever becomes of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// The program that speaks to systemd, and its arguments.
    systemctl: Vec<String>,
    unit: String,
}

impl Service {
    pub(super) fn new(unit: impl Into<String>) -> Self {
        Self { systemctl: vec!["systemctl".to_owned()], unit: unit.into() }
    }

    #[cfg(test)]
    pub(super) fn systemctl(self, systemctl: Vec<String>) -> Self {
        Self { systemctl, ..self }
    }

    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    /// It is started now and whenever the machine is.
    pub(super) async fn enable(&self) -> Result<(), Failure> {
        self.command(&["enable", "--now", &self.unit]).await
    }

    /// It is stopped, and not started by itself.
    pub(super) async fn disable(&self) -> Result<(), Failure> {
        self.command(&["disable", "--now", &self.unit]).await
    }

    pub(super) async fn start(&self) -> Result<(), Failure> {
        self.command(&["start", &self.unit]).await
    }

    pub(super) async fn stop(&self) -> Result<(), Failure> {
        self.command(&["stop", &self.unit]).await
    }

    /// Its folders of state, cache and logs are emptied; it must not run.
    pub(super) async fn clean(&self) -> Result<(), Failure> {
        self.command(&["clean", "--what=all", &self.unit]).await
    }

    /// The unit's file has changed.
    pub(super) async fn reload(&self) -> Result<(), Failure> {
        self.command(&["daemon-reload"]).await
    }

    pub(super) async fn is_enabled(&self) -> Option<bool> {
        let said = self.run(&["is-enabled", &self.unit], STATUS).await.ok()?.stdout;
        match String::from_utf8_lossy(&said).trim() {
            "enabled" | "static" | "alias" => Some(true),
            "" => None,
            _ => Some(false),
        }
    }

    pub(super) async fn state(&self) -> Option<OperationalState> {
        let said = self.run(&["show", "--property=ActiveState", "--value", &self.unit], STATUS).await.ok()?;
        state(String::from_utf8_lossy(&said.stdout).trim())
    }

    /// A command that has succeeded, or what it complained of.
    async fn command(&self, arguments: &[&str]) -> Result<(), Failure> {
        let what = || format!("{} {}", self.systemctl.join(" "), arguments.join(" "));
        let output = self.run(arguments, COMMAND).await.map_err(|error| failed(what(), error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(what(), format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
    }

    async fn run(&self, arguments: &[&str], time: Duration) -> std::io::Result<Output> {
        let mut systemctl = Command::new(&self.systemctl[0]);
        command::output(systemctl.args(&self.systemctl[1..]).args(arguments), time).await
    }
}

/// What systemd says, in the standard's words.
fn state(active: &str) -> Option<OperationalState> {
    Some(match active {
        "active" => OperationalState::Running,
        "activating" | "reloading" => OperationalState::Initializing,
        "deactivating" => OperationalState::ShuttingDown,
        "inactive" => OperationalState::Stopped,
        "failed" => OperationalState::Failed,
        _ => return None,
    })
}
