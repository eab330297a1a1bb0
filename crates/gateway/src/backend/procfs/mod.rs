//! The machine as procfs, sysfs and /etc show it.

mod identity;
mod os_release;
mod posix_tz;
mod power;
mod recent;
mod timezone;
mod tzif;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_settime};

use self::recent::Recent;
use crate::platform::{BoxFuture, Error, Host, Identity, Memory, PowerSource, Result, Time, Versions};

/// How old an answer may be.
const PERIOD: Duration = Duration::from_secs(1);

/// A host whose files are found below a root folder.
///
/// Its reads are of files that the kernel makes up in microseconds, so they are done in place.
#[derive(Debug, Clone)]
pub struct Procfs {
    root: PathBuf,
    /// How old what is remembered may be.
    period: Duration,
    recent: Arc<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    versions: Recent<Versions>,
    memory: Recent<Option<Memory>>,
    power: Recent<Vec<PowerSource>>,
    zone: Recent<(i32, Option<String>)>,
}

impl Procfs {
    /// The machine this process runs on. Files are read at most once a second.
    pub fn new() -> Self {
        Self { period: PERIOD, ..Self::at("/") }
    }

    /// A machine whose `/proc`, `/sys`, `/etc` and `/usr` lie below `root`. Files are read each time.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), period: Duration::ZERO, recent: Arc::default() }
    }
}

impl Default for Procfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for Procfs {
    fn identity(&self) -> BoxFuture<'_, Result<Identity>> {
        Box::pin(async { identity::read(&self.root) })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Versions>> {
        Box::pin(async { self.recent.versions.get(self.period, || os_release::read(&self.root)) })
    }

    fn memory(&self) -> BoxFuture<'_, Result<Option<Memory>>> {
        Box::pin(async { self.recent.memory.get(self.period, || read_memory(&self.root)) })
    }

    fn power(&self) -> BoxFuture<'_, Result<Vec<PowerSource>>> {
        Box::pin(async { self.recent.power.get(self.period, || power::read(&self.root)) })
    }

    fn time(&self) -> BoxFuture<'_, Result<Time>> {
        Box::pin(async {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let (utc_offset, timezone) = self.recent.zone.get(self.period, || timezone::read(&self.root, unix))?;
            Ok(Time { unix, utc_offset, timezone })
        })
    }

    fn set_time(&self, unix: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let seconds = i64::try_from(unix.as_secs()).map_err(|error| Error::failed("setting the clock", error))?;
            let time = Timespec { tv_sec: seconds, tv_nsec: unix.subsec_nanos().into() };
            match clock_settime(ClockId::Realtime, time) {
                Ok(()) => Ok(()),
                Err(rustix::io::Errno::PERM) => Err(Error::NotPermitted("setting the clock needs CAP_SYS_TIME".into())),
                Err(error) => Err(Error::failed("setting the clock", io::Error::from(error))),
            }
        })
    }
}

fn read_memory(root: &Path) -> Result<Option<Memory>> {
    let path = root.join("proc/meminfo");
    let Some(text) = read_optional(&path)? else { return Ok(None) };
    parse_meminfo(&text)
        .map(Some)
        .ok_or_else(|| Error::failed(path.display().to_string(), "MemTotal and MemAvailable are not both there"))
}

/// The two lines of /proc/meminfo that matter, in bytes (proc(5): its `kB` are 1024 bytes).
fn parse_meminfo(text: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Memory { total: field("MemTotal")?, available: field("MemAvailable")? })
}

/// A whole file as text; `None` when it is not there or there is nothing behind it.
fn read_optional(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::failed(path.display().to_string(), error)),
    }
}

/// Sysfs attributes answer ENODEV, ENODATA or EINVAL when the hardware has no such value; identity files may be root's alone.
fn is_absent(error: &io::Error) -> bool {
    const ABSENT: [rustix::io::Errno; 6] = [
        rustix::io::Errno::NOENT,
        rustix::io::Errno::NOTDIR,
        rustix::io::Errno::NODEV,
        rustix::io::Errno::NODATA,
        rustix::io::Errno::INVAL,
        rustix::io::Errno::ACCESS,
    ];
    error.raw_os_error().is_some_and(|code| ABSENT.iter().any(|absent| absent.raw_os_error() == code))
}

/// A file that holds one value: its first line without blanks and NULs around it, `None` when empty.
fn read_value(path: &Path) -> Result<Option<String>> {
    Ok(read_optional(path)?.and_then(|text| {
        let value = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!value.is_empty()).then(|| value.to_owned())
    }))
}

#[cfg(test)]
mod tests;
