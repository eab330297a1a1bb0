use std::time::Duration;

use super::{BoxFuture, Result};

/// The machine itself: what it is, how much memory and power it has, what time it is.
///
/// A value that the machine has no source for is `None` or missing from the list; an error means that a source exists and failed.
pub trait Host: Send + Sync {
    /// Who made the machine and which one it is. It does not change while the machine runs.
    fn identity(&self) -> BoxFuture<'_, Result<Identity>>;
    /// What runs on the machine. It may change when an update is installed.
    fn versions(&self) -> BoxFuture<'_, Result<Versions>>;
    /// The working memory.
    fn memory(&self) -> BoxFuture<'_, Result<Option<Memory>>>;
    /// The power sources the machine knows of, in a stable order; a source that is unplugged stays in the list with `online: false`.
    fn power(&self) -> BoxFuture<'_, Result<Vec<PowerSource>>>;
    /// The wall clock and where it stands.
    fn time(&self) -> BoxFuture<'_, Result<Time>>;
    /// Sets the wall clock, as time since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`Error::NotPermitted`](super::Error::NotPermitted) when the process lacks the right to (CAP_SYS_TIME).
    fn set_time(&self, unix: Duration) -> BoxFuture<'_, Result<()>>;
}

/// Who made a machine and which one it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The maker's name.
    pub manufacturer: Option<String>,
    /// The model's name or number.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The revision of the hardware.
    pub hardware_version: Option<String>,
}

/// What runs on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// The version of the operating system image.
    pub firmware: Option<String>,
}

/// Working memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it that the operating system can use.
    pub total: u64,
    /// How much new work could have without swapping.
    pub available: u64,
}

/// A source of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerSource {
    /// What kind it is.
    pub kind: PowerKind,
    /// It can deliver power now: plugged in, or a battery that is there.
    pub online: bool,
    /// A battery that is about to be empty; `false` for others.
    pub low: bool,
}

/// The kinds of power sources that LwM2M knows (object 3, resource 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerKind {
    /// Direct current, not further known.
    Dc,
    /// A battery inside the machine.
    InternalBattery,
    /// A battery beside the machine, such as an uninterruptible supply.
    ExternalBattery,
    /// A fuel cell.
    FuelCell,
    /// Power over Ethernet.
    PowerOverEthernet,
    /// A USB supply.
    Usb,
    /// The mains.
    Mains,
    /// A solar panel.
    Solar,
}

/// The wall clock and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// Time since 1970-01-01T00:00:00Z, zero when the clock stands before that.
    pub unix: Duration,
    /// How far local time is ahead of UTC, in seconds.
    pub utc_offset: i32,
    /// The name in the IANA time zone database, where there is one.
    pub timezone: Option<String>,
}
