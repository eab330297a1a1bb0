//! Programs of the machine's maker that answer a question or do one thing.

use std::process::Stdio;

use tokio::process::Command;

use crate::platform::{Error, Result};

/// Runs a program with its arguments, without a shell, and gives what it prints, without blanks around it. It is killed when nobody waits
/// for it any more.
///
/// # Errors
/// When it cannot be started or fails; `what` says what it is for.
pub(super) async fn run(what: &str, words: &[String]) -> Result<String> {
    let what = || format!("{what}, by `{}`", words.join(" "));
    let (program, arguments) = words.split_first().ok_or_else(|| Error::failed(what(), "there is no program"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| Error::failed(what(), error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::failed(what(), format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
