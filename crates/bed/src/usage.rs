//! What a process uses (proc(5)).

use std::fs;
use std::io;
use std::time::Duration;

/// The CPU time of all its threads so far, user and system; also of a process that has ended and was not waited for.
///
/// # Errors
/// When there is no such process.
pub fn cpu(process: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let told = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += Duration::from_nanos(number(&told)?);
    }
    Ok(sum)
}

/// How often its threads have gone to sleep, to be woken again.
///
/// # Errors
/// When there is no such process.
pub fn sleeps(process: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        sum += field(&fs::read_to_string(task?.path().join("status"))?, "voluntary_ctxt_switches:")?;
    }
    Ok(sum)
}

/// A line of its memory in KiB, such as `VmRSS`.
///
/// # Errors
/// When there is no such process, or no such line.
pub fn memory(process: u32, line: &str) -> io::Result<u64> {
    field(&fs::read_to_string(format!("/proc/{process}/status"))?, &format!("{line}:"))
}

fn field(status: &str, name: &str) -> io::Result<u64> {
    number(status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default())
}

/// The first word as a number.
fn number(text: &str) -> io::Result<u64> {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().map_err(|_| io::Error::other(format!("/proc says {text:?} where a number is expected")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_more_and_more() {
        let own = std::process::id();
        let before = cpu(own).unwrap();
        let sum = (0..5_000_000_u64).fold(0, |sum, each| std::hint::black_box(sum ^ each));
        std::hint::black_box(sum);
        std::thread::sleep(Duration::from_millis(1));
        assert!(cpu(own).unwrap() > before);
        assert!(sleeps(own).unwrap() > 0);
        assert!(memory(own, "VmHWM").unwrap() >= memory(own, "RssAnon").unwrap());
        assert!(memory(own, "VmNone").is_err() && cpu(0).is_err());
    }
}
