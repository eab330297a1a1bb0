use super::ConfigError;
use super::read::Section;
use crate::backend::script::ExitCode;
use crate::platform::Confirm;

/// How firmware is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirmwareConfig {
    /// The program that installs an image, and its arguments; never empty.
    pub program: Vec<String>,
    /// What its exit code means.
    pub result: ExitCode,
    /// When an update has succeeded.
    pub confirm: Confirm,
}

impl FirmwareConfig {
    pub(super) fn read(mut section: Section) -> Result<Self, ConfigError> {
        let program = section.command("program")?;
        let result = section.take("result", "\"posix\" or \"ig60\"", |value| match value.as_str()? {
            "posix" => Some(ExitCode::Posix),
            "ig60" => Some(ExitCode::Ig60),
            _ => None,
        })?;
        let confirm = section.take("confirm", "\"now\" or \"reboot\"", |value| match value.as_str()? {
            "now" => Some(Confirm::Now),
            "reboot" => Some(Confirm::Reboot),
            _ => None,
        })?;
        let program = program.ok_or_else(|| section.absent("program"))?;
        section.finish()?;
        let result = result.unwrap_or_default();
        let default = match result {
            ExitCode::Posix => Confirm::Reboot,
            ExitCode::Ig60 => Confirm::Now,
        };
        Ok(Self { program, result, confirm: confirm.unwrap_or(default) })
    }
}
