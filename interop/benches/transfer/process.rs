//! What processes use.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use bed::usage;

use crate::Result;

/// The CPU time of a program from its start to its end.
pub(crate) fn cpu_of(command: &mut Command) -> Result<Duration> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    while !has_ended(&child)? {
        sleep(Duration::from_millis(1));
    }
    let used = usage::cpu(child.id())?;
    if child.wait()?.success() { Ok(used) } else { Err(format!("{command:?} has failed").into()) }
}

/// Whether it waits to be waited for: what it has used can still be read then (proc(5)).
fn has_ended(child: &Child) -> Result<bool> {
    let told = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    Ok(told.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

/// The greatest resident memory since the last call, in KiB.
pub(crate) fn peak(id: u32) -> Result<u64> {
    let peak = usage::memory(id, "VmHWM")?;
    // Resets it (proc(5)).
    fs::write(format!("/proc/{id}/clear_refs"), "5")?;
    Ok(peak)
}
