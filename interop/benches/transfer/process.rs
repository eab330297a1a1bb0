//! What processes use.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::Result;

/// The CPU time of all threads so far, user and system; also of a process that has ended and was not waited for.
pub(crate) fn cpu(id: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{id}/task"))? {
        let told = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += Duration::from_nanos(told.split(' ').next().unwrap_or_default().parse()?);
    }
    Ok(sum)
}

/// The CPU time of a program from its start to its end.
pub(crate) fn cpu_of(command: &mut Command) -> Result<Duration> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    while !has_ended(&child)? {
        sleep(Duration::from_millis(1));
    }
    let used = cpu(child.id())?;
    if child.wait()?.success() { Ok(used) } else { Err(format!("{command:?} has failed").into()) }
}

/// Whether it waits to be waited for: what it has used can still be read then (proc(5)).
fn has_ended(child: &Child) -> Result<bool> {
    let told = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    Ok(told.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

/// The greatest resident memory since the last call, in KiB.
pub(crate) fn peak(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc")?;
    // Resets it (proc(5)).
    fs::write(format!("/proc/{id}/clear_refs"), "5")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
