use super::ConfigError;
use super::read::Section;
use crate::backend::systemd::DEFAULT_REBOOT_COMMAND;
use crate::platform::PowerKind;

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

impl DeviceConfig {
    pub(super) fn read(section: Option<Section>) -> Result<Self, ConfigError> {
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
        if let Some(command) = section.command("reboot-command")? {
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
