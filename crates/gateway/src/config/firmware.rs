use std::path::PathBuf;

use super::ConfigError;
use super::read::Section;
use crate::backend::script::ExitCode;
use crate::backend::swupdate::{Side, Sides};
use crate::platform::Confirm;

/// How firmware is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirmwareConfig {
    /// What installs an image.
    pub installer: InstallerConfig,
    /// When an update has succeeded.
    pub confirm: Confirm,
    /// The program that looks at an image that has come, and its arguments; never empty.
    pub check: Option<Vec<String>>,
}

/// What installs an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallerConfig {
    /// A program.
    Script {
        /// It and its arguments; never empty.
        program: Vec<String>,
        /// What its exit code means.
        result: ExitCode,
    },
    /// The SWUpdate daemon.
    Swupdate {
        /// The folder of its sockets.
        sockets: PathBuf,
        /// Where images go.
        sides: Sides,
    },
    /// The RAUC service.
    Rauc,
}

impl FirmwareConfig {
    pub(super) fn read(mut section: Section) -> Result<Self, ConfigError> {
        let read = section.take("installer", "\"script\", \"swupdate\" or \"rauc\"", |value| {
            let read: fn(&mut Section) -> Result<InstallerConfig, ConfigError> = match value.as_str()? {
                "script" => script,
                "swupdate" => swupdate,
                "rauc" => |_| Ok(InstallerConfig::Rauc),
                _ => return None,
            };
            Some(read)
        })?;
        let confirm = section.take("confirm", "\"now\" or \"reboot\"", |value| match value.as_str()? {
            "now" => Some(Confirm::Now),
            "reboot" => Some(Confirm::Reboot),
            _ => None,
        })?;
        let check = section.command("check")?;
        let installer = read.unwrap_or(script)(&mut section)?;
        section.finish()?;
        let default = match installer {
            InstallerConfig::Script { result: ExitCode::Ig60, .. } => Confirm::Now,
            _ => Confirm::Reboot,
        };
        Ok(Self { installer, confirm: confirm.unwrap_or(default), check })
    }
}

fn script(section: &mut Section) -> Result<InstallerConfig, ConfigError> {
    let program = section.command("program")?;
    let result = section.take("result", "\"posix\" or \"ig60\"", |value| match value.as_str()? {
        "posix" => Some(ExitCode::Posix),
        "ig60" => Some(ExitCode::Ig60),
        _ => None,
    })?;
    let program = program.ok_or_else(|| section.absent("program"))?;
    Ok(InstallerConfig::Script { program, result: result.unwrap_or_default() })
}

fn swupdate(section: &mut Section) -> Result<InstallerConfig, ConfigError> {
    let sockets = section.file("sockets")?.unwrap_or_else(|| "/tmp".into());
    let expected = "a table of two sides, such as { a = \"stable,main-a\", b = \"stable,main-b\" }";
    let sides: Option<Vec<Side>> = section.take("sides", expected, |value| {
        let table = value.as_table().filter(|table| table.len() == 2)?;
        table.iter().map(|(name, selection)| Side::parse(name, selection.as_str()?)).collect()
    })?;
    let read = section.command("bootside")?;
    let sides = match (sides, read) {
        (Some(sides), read) => {
            let default = || ["fw_printenv", "-n", "bootside"].map(str::to_owned).to_vec();
            Sides::opposite(sides, read.unwrap_or_else(default))
        }
        (None, Some(_)) => return Err(section.absent("sides")),
        (None, None) => Sides::default(),
    };
    Ok(InstallerConfig::Swupdate { sockets, sides })
}
