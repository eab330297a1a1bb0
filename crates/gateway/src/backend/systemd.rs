//! Reboots by a command, which is systemd's unless the configuration names another.

use std::process::Stdio;

use tokio::process::Command;

use crate::platform::{BoxFuture, Error, Result, Supervisor};

/// What reboots the machine when nothing else is configured.
pub const DEFAULT_REBOOT_COMMAND: [&str; 2] = ["systemctl", "reboot"];

/// The kernel makes a new one each time that it starts.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Runs a command to reboot: its program and arguments, without a shell.
#[derive(Debug, Clone)]
pub struct RebootCommand {
    command: Vec<String>,
}

impl RebootCommand {
    /// Takes the program and its arguments.
    ///
    /// # Panics
    /// When `command` is empty.
    pub fn new(command: Vec<String>) -> Self {
        assert!(!command.is_empty(), "a reboot command has a program");
        Self { command }
    }
}

impl Default for RebootCommand {
    fn default() -> Self {
        Self::new(DEFAULT_REBOOT_COMMAND.map(str::to_owned).to_vec())
    }
}

impl Supervisor for RebootCommand {
    fn reboot(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let what = || format!("reboot command `{}`", self.command.join(" "));
            // Not killed on drop: a reboot that was started must not depend on the agent's life.
            let output = Command::new(&self.command[0])
                .args(&self.command[1..])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .output()
                .await
                .map_err(|error| Error::failed(what(), error))?;
            if output.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Error::failed(what(), format!("{}: {}", output.status, said.trim())))
        })
    }

    fn boot(&self) -> BoxFuture<'_, Result<String>> {
        Box::pin(async {
            let id = tokio::fs::read_to_string(BOOT_ID).await.map_err(|error| Error::failed(BOOT_ID, error))?;
            Ok(id.trim().to_owned())
        })
    }
}
