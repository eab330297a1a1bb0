use std::path::PathBuf;
use std::time::Duration;

use lapwing::objects::firmware::Severity;

use super::ConfigError;
use super::read::Section;
use crate::backend::Verdict;
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
    /// So long new firmware has to reach a server before what ran before is booted again; without it, it has for ever.
    pub go_back_after: Option<Duration>,
    /// Updates of these severities are put off for as long as the server permits.
    pub defer: Vec<Severity>,
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
        /// What the boot loader is told after the reboot.
        verdict: Verdict,
    },
    /// The SWUpdate daemon.
    Swupdate {
        /// The folder of its sockets.
        sockets: PathBuf,
        /// Where images go.
        sides: Sides,
        /// What the boot loader is told after the reboot.
        verdict: Verdict,
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
        let go_back_after = section.take("go-back-after", "seconds from 1 to 4294967295", |value| {
            let seconds = u32::try_from(value.as_integer()?).ok().filter(|&seconds| seconds > 0)?;
            Some(Duration::from_secs(seconds.into()))
        })?;
        let defer = section.list("defer", "a list of \"critical\", \"mandatory\", \"optional\"", severity)?;
        let installer = read.unwrap_or(script)(&mut section)?;
        section.finish()?;
        let default = match installer {
            InstallerConfig::Script { result: ExitCode::Ig60, .. } => Confirm::Now,
            _ => Confirm::Reboot,
        };
        let confirm = confirm.unwrap_or(default);
        if go_back_after.is_some() {
            let needs = |other| Err(ConfigError::Needs { key: "firmware.go-back-after", other });
            match &installer {
                _ if confirm == Confirm::Now => return needs("firmware.confirm = \"reboot\""),
                InstallerConfig::Script { verdict, .. } | InstallerConfig::Swupdate { verdict, .. }
                    if verdict.go_back.is_none() =>
                {
                    return needs("firmware.go-back");
                }
                _ => {}
            }
        }
        Ok(Self { installer, confirm, check, go_back_after, defer: defer.unwrap_or_default() })
    }
}

fn severity(name: &str) -> Option<Severity> {
    match name {
        "critical" => Some(Severity::Critical),
        "mandatory" => Some(Severity::Mandatory),
        "optional" => Some(Severity::Optional),
        _ => None,
    }
}

fn verdict(section: &mut Section) -> Result<Verdict, ConfigError> {
    Ok(Verdict { accept: section.command("accept")?, go_back: section.command("go-back")? })
}

fn script(section: &mut Section) -> Result<InstallerConfig, ConfigError> {
    let program = section.command("program")?;
    let result = section.take("result", "\"posix\" or \"ig60\"", |value| match value.as_str()? {
        "posix" => Some(ExitCode::Posix),
        "ig60" => Some(ExitCode::Ig60),
        _ => None,
    })?;
    let program = program.ok_or_else(|| section.absent("program"))?;
    Ok(InstallerConfig::Script { program, result: result.unwrap_or_default(), verdict: verdict(section)? })
}

fn swupdate(section: &mut Section) -> Result<InstallerConfig, ConfigError> {
    let sockets = section.file("sockets")?.unwrap_or_else(|| "/tmp".into());
    let expected = "a table of two sides, such as { a = \"stable,main-a\", b = \"stable,main-b\" }";
    let sides: Option<Vec<Side>> = section.take("sides", expected, |value| {
        let table = value.as_table().filter(|table| table.len() == 2)?;
        table.iter().map(|(name, selection)| Side::parse(name, selection.as_str()?)).collect()
    })?;
    let (read, running) = (section.command("bootside")?, section.command("running")?);
    let mut verdict = verdict(section)?;
    let sides = match (sides, read, running) {
        (Some(sides), read, running) => {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            if read.is_none() && verdict.go_back.is_none() {
                verdict.go_back = Some(words(&["fw_setenv", "bootside"]));
            }
            let sides = Sides::opposite(sides, read.unwrap_or_else(|| words(&["fw_printenv", "-n", "bootside"])));
            match running {
                Some(running) => sides.running_by(running),
                None => sides,
            }
        }
        (None, Some(_), _) | (None, _, Some(_)) => return Err(section.absent("sides")),
        (None, None, None) => Sides::default(),
    };
    Ok(InstallerConfig::Swupdate { sockets, sides, verdict })
}
