//! strace, which says what the agent asks of the system.

use std::process::Command;

/// Why it cannot be used here, if so.
pub(crate) fn refused() -> Option<String> {
    match Command::new("strace").args(["-D", "-f", "-e", "trace=fsync", "true"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    }
}
