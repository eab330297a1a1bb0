//! The agent's configuration: a small TOML file.
//!
//! ```toml
//! server = "coap://lwm2m.example.com:5683"   # where to register
//! endpoint = "gateway-7"                     # the client's name, unique at the server
//! lifetime = 300                             # seconds; 0 = the registration never lapses
//! version = "1.1"                            # of LwM2M: "1.0" or "1.1"
//! binding = "U"                              # plain UDP, the only one there is yet
//! state = "/var/lib/lapwing"                 # keeps what the server changes, such as the lifetime; else it is forgotten
//!
//! [device]                                   # object 3; what is not given here is asked of the machine
//! manufacturer = "Acme"
//! model = "Gate 7"
//! serial = "0001"
//! firmware-version = "7.1"
//! hardware-version = "B"
//! software-version = "2.0"
//! device-type = "gateway"
//! power-sources = ["dc"]
//! current-time-writable = false              # may a server set the clock?
//! reboot-command = ["systemctl", "reboot"]
//! ```
//!
//! Every key may be left out. A key that is not known is refused, naming the nearest known one; a wrong value is refused, naming
//! the key, the value and what was expected.

mod read;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lapwing::ServerUri;
use lapwing_lwm2m::account::UriError;

use self::read::Section;
use crate::backend::systemd::DEFAULT_REBOOT_COMMAND;
use crate::platform::PowerKind;

/// What a configuration file says; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The URI of the server, `coap://host[:port]`.
    pub server: Option<String>,
    /// The endpoint client name (LwM2M 1.1 core section 6.4.1).
    pub endpoint: Option<String>,
    /// The lifetime of the registration in seconds; 0 never lapses.
    pub lifetime: Option<u32>,
    /// The version of LwM2M to register with.
    pub version: Option<Version>,
    /// A folder that keeps what servers have changed, such as the lifetime, across restarts.
    pub state: Option<PathBuf>,
    /// Values of object 3.
    pub device: DeviceConfig,
}

/// Values of the Device object that the configuration sets, and what a server may do to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceConfig {
    /// Resource 0 instead of the machine's own.
    pub manufacturer: Option<String>,
    /// Resource 1 instead of the machine's own.
    pub model: Option<String>,
    /// Resource 2 instead of the machine's own.
    pub serial: Option<String>,
    /// Resource 3 instead of the machine's own.
    pub firmware_version: Option<String>,
    /// Resource 17.
    pub device_type: Option<String>,
    /// Resource 18 instead of the machine's own.
    pub hardware_version: Option<String>,
    /// Resource 19 instead of the agent's version.
    pub software_version: Option<String>,
    /// Resource 6 instead of what the kernel knows.
    pub power_sources: Option<Vec<PowerKind>>,
    /// Whether a server may set the clock (resource 13).
    pub current_time_writable: bool,
    /// The program that reboots the machine, and its arguments; never empty.
    pub reboot_command: Vec<String>,
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self {
            manufacturer: None,
            model: None,
            serial: None,
            firmware_version: None,
            device_type: None,
            hardware_version: None,
            software_version: None,
            power_sources: None,
            current_time_writable: false,
            reboot_command: DEFAULT_REBOOT_COMMAND.map(str::to_owned).to_vec(),
        }
    }
}

/// A version of LwM2M that the agent speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// LwM2M 1.0.
    V1_0,
    /// LwM2M 1.1.
    #[default]
    V1_1,
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.0" => Ok(Self::V1_0),
            "1.1" => Ok(Self::V1_1),
            _ => Err(VERSION_EXPECTED.to_owned()),
        }
    }
}

const VERSION_EXPECTED: &str = "\"1.0\" or \"1.1\"";

/// Why a configuration was refused. Its text is one line that names the key, the value and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not TOML.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What TOML says about it.
        message: String,
    },
    /// A key that means nothing here.
    #[error("unknown key `{key}`; the nearest known one is `{nearest}`")]
    UnknownKey {
        /// The key with its tables, `device.modle`.
        key: String,
        /// The known key that looks most like it.
        nearest: String,
    },
    /// A value that the key does not take.
    #[error("`{key}` = {value}: expected {expected}")]
    Value {
        /// The key with its tables.
        key: String,
        /// The value as TOML.
        value: String,
        /// What the key takes.
        expected: String,
    },
    /// What an agent cannot do without was given neither in a file nor otherwise.
    #[error("`{key}` is missing: it is needed in the configuration or on the command line")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// An error in a file.
    #[error("{path}: {error}", path = .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The error.
        error: Box<ConfigError>,
    },
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read or says something that is not understood.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|error| ConfigError::InFile { path: path.to_owned(), error: Box::new(error) })
    }

    /// Reads a configuration from text.
    ///
    /// # Errors
    /// When the text says something that is not understood.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<toml::Table>().map_err(|error| syntax_error(text, &error))?;
        let mut root = Section::new("", table);
        let config = Self {
            server: root.checked_string("server", check_server)?,
            endpoint: root.checked_string("endpoint", check_endpoint)?,
            lifetime: root.number("lifetime", "seconds from 0 to 4294967295")?,
            version: root.parsed("version", VERSION_EXPECTED)?,
            state: root.checked_string("state", check_state)?.map(PathBuf::from),
            device: DeviceConfig::read(root.section("device")?)?,
        };
        root.checked_string("binding", check_binding)?;
        root.finish()?;
        Ok(config)
    }
}

impl DeviceConfig {
    fn read(section: Option<Section>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let Some(mut section) = section else { return Ok(config) };
        config.manufacturer = section.string("manufacturer")?;
        config.model = section.string("model")?;
        config.serial = section.string("serial")?;
        config.firmware_version = section.string("firmware-version")?;
        config.device_type = section.string("device-type")?;
        config.hardware_version = section.string("hardware-version")?;
        config.software_version = section.string("software-version")?;
        config.power_sources = section.list("power-sources", POWER_SOURCES_EXPECTED, power_kind)?;
        config.current_time_writable = section.boolean("current-time-writable")?.unwrap_or(false);
        let program = |word: &str| Some(word.to_owned());
        if let Some(command) = section.list("reboot-command", "a list of a program and its arguments", program)? {
            config.reboot_command = command;
        }
        section.finish()?;
        Ok(config)
    }
}

const POWER_SOURCES_EXPECTED: &str = "a list of \"dc\", \"internal-battery\", \"external-battery\", \"fuel-cell\", \
     \"power-over-ethernet\", \"usb\", \"mains\" or \"solar\"";

fn power_kind(name: &str) -> Option<PowerKind> {
    Some(match name {
        "dc" => PowerKind::Dc,
        "internal-battery" => PowerKind::InternalBattery,
        "external-battery" => PowerKind::ExternalBattery,
        "fuel-cell" => PowerKind::FuelCell,
        "power-over-ethernet" => PowerKind::PowerOverEthernet,
        "usb" => PowerKind::Usb,
        "mains" => PowerKind::Mains,
        "solar" => PowerKind::Solar,
        _ => return None,
    })
}

/// Says what is wrong with a server URI.
///
/// # Errors
/// What was expected instead.
pub fn check_server(uri: &str) -> Result<(), String> {
    const EXPECTED: &str = "a URI such as coap://host:5683";
    match uri.parse::<ServerUri>() {
        Ok(uri) if uri.is_secure() => Err(format!("{EXPECTED} ('coaps' is not built yet: only coap is)")),
        Ok(_) => Ok(()),
        Err(UriError::NoScheme | UriError::Scheme(_)) => Err(EXPECTED.to_owned()),
        Err(error) => Err(format!("{EXPECTED} ({error})")),
    }
}

/// Says what is wrong with an endpoint name: it travels as a Uri-Query option `ep=NAME`, 255 bytes at most (RFC 7252 section 5.10).
///
/// # Errors
/// What was expected instead.
pub fn check_endpoint(name: &str) -> Result<(), String> {
    match name.len() {
        1..=252 if !name.contains(char::is_control) => Ok(()),
        _ => Err("1 to 252 bytes without control characters".to_owned()),
    }
}

fn check_state(folder: &str) -> Result<(), String> {
    if Path::new(folder).is_absolute() { Ok(()) } else { Err("the absolute path of a folder".to_owned()) }
}

fn check_binding(binding: &str) -> Result<(), String> {
    if binding == "U" { Ok(()) } else { Err("\"U\" (plain UDP), the only binding there is yet".to_owned()) }
}

fn syntax_error(text: &str, error: &toml::de::Error) -> ConfigError {
    let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    ConfigError::Syntax { line, column, message: error.message().replace('\n', ", ") }
}

#[cfg(test)]
mod tests;
