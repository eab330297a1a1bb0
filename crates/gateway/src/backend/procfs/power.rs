//! The kernel's power supply class (Documentation/ABI/testing/sysfs-class-power).

use std::fs;
use std::path::Path;

use super::{is_absent, read_value};
use crate::platform::{Error, PowerKind, PowerSource, Result};

pub(super) fn read(root: &Path) -> Result<Vec<PowerSource>> {
    let folder = root.join("sys/class/power_supply");
    let failed = |error| Error::failed(folder.display().to_string(), error);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut supplies =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    supplies.sort();
    let sources = supplies.iter().map(|supply| read_supply(supply)).collect::<Result<Vec<_>>>()?;
    Ok(sources.into_iter().flatten().collect())
}

fn read_supply(supply: &Path) -> Result<Option<PowerSource>> {
    let attribute = |name: &str| read_value(&supply.join(name));
    // A mouse's battery does not feed the machine.
    if attribute("scope")?.as_deref() == Some("Device") {
        return Ok(None);
    }
    let kind = match attribute("type")?.as_deref() {
        Some("Mains") => PowerKind::Mains,
        Some("Battery") => PowerKind::InternalBattery,
        Some("UPS") => PowerKind::ExternalBattery,
        Some(usb) if usb.starts_with("USB") => PowerKind::Usb,
        _ => return Ok(None),
    };
    let battery = matches!(kind, PowerKind::InternalBattery | PowerKind::ExternalBattery);
    let switch = attribute(if battery { "present" } else { "online" })?;
    let level = if battery { attribute("capacity_level")? } else { None };
    Ok(Some(PowerSource {
        kind,
        // `online` is 0 (off), 1 (fixed voltage) or 2 (programmable); drivers without `present` have their battery built in.
        online: switch.as_deref() != Some("0"),
        low: matches!(level.as_deref(), Some("Low" | "Critical")),
    }))
}
