//! What object 9 takes care of: one instance for each table, in their order unless they say otherwise. It needs a `state` folder.
//!
//! ```toml
//! [[software]]
//! instance = 0                               # of object 9; by default the place of the table, from 0
//! kind = "self"                              # the agent's own executable, in the package format of `checksums.txt`
//! name = "lapwing"                           # in the log; by it, it is found again after a restart: letters, digits, - and _
//! update = "/var/lib/lapwing/updates/lapwing"   # where it is put; by default where the runner looks, which starts the agent
//! public-keys = ["RWQf1a6H8W8d+m9Av+MeAkkNEqGa+xo+Ka21RLu5uXw1ydZB43U32rgM"]   # of minisign: one must have signed a package
//!
//! [[software]]
//! kind = "script"                            # a program takes care of it
//! program = ["/usr/sbin/kettle-software"]    # and its arguments; it gets `install FILE` and the like behind them
//! purge = true                               # can it delete the software's data?
//!
//! [[software]]
//! kind = "deb"                               # a package of Debian, by apt where it is there
//! package = "kettle"                         # its name
//! unit = "kettle.service"                    # what Activate, Start and Stop start and stop; without it nothing is
//!
//! [[software]]
//! kind = "unit"                              # a gzipped tar with a unit of systemd at its top, in the package format of `checksums.txt`
//! name = "kettle-unit"                       # by default that of the program, the package or the unit
//! unit = "kettle.service"                    # `@folder@` in it stands for where the other files are
//! folder = "/opt/lapwing/kettle-unit"        # which is a link in this folder; by default /opt/lapwing and the name
//! ```
//!
//! With `public-keys`, the packages of "script" and "deb" have that format too: they hold the file, named `package` or
//! `package.deb`, beside its checksum and the signature. How one is made: `sha256sum package.deb > checksums.txt`,
//! `minisign -S -m checksums.txt`, `tar czf signed.tar.gz checksums.txt checksums.txt.minisig package.deb`.

use std::path::PathBuf;

use lapwing::InstanceId;
use lapwing::objects::software::package::PublicKey;

use super::ConfigError;
use super::read::Section;

/// One instance of object 9.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SoftwareConfig {
    /// Which.
    pub instance: InstanceId,
    /// What it is called in the log, and kept as; no two have the same.
    pub name: String,
    /// What it takes care of.
    pub kind: SoftwareKind,
    /// One of them must have signed a package, where there are any.
    pub keys: Vec<PublicKey>,
}

/// A kind of software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoftwareKind {
    /// The agent itself.
    Own {
        /// Where its executable is put, instead of where the runner says.
        update: Option<PathBuf>,
    },
    /// What a program takes care of.
    Script {
        /// It and its arguments; never empty.
        program: Vec<String>,
        /// Whether it can delete the software's data.
        purge: bool,
    },
    /// A package of Debian.
    Deb {
        /// Its name.
        package: String,
        /// The unit that is started and stopped.
        unit: Option<String>,
    },
    /// An archive with a unit of systemd.
    Unit {
        /// Its name, with its end.
        unit: String,
        /// Where its files are, instead of a folder of its name in `/opt/lapwing`.
        folder: Option<PathBuf>,
    },
}

impl SoftwareConfig {
    /// The agent itself, as instance 0, without signatures.
    pub fn own() -> Self {
        let kind = SoftwareKind::Own { update: None };
        Self { instance: 0, name: OWN_NAME.to_owned(), kind, keys: Vec::new() }
    }

    pub(super) fn read_all(sections: Vec<Section>) -> Result<Vec<Self>, ConfigError> {
        let mut all: Vec<Self> = Vec::with_capacity(sections.len());
        for (place, section) in sections.into_iter().enumerate() {
            let (instance, name, kind) = (section.full("instance"), section.full("name"), section.full("kind"));
            let read = Self::read(section, place)?;
            let own = matches!(read.kind, SoftwareKind::Own { .. });
            let is_there = |same: &dyn Fn(&Self) -> bool| all.iter().any(same);
            let (key, value, what) = if is_there(&|other| other.instance == read.instance) {
                (instance, read.instance.to_string(), "an instance")
            } else if is_there(&|other| matches!(other.kind, SoftwareKind::Own { .. })) && own {
                (kind, "\"self\"".to_owned(), "a kind")
            } else if is_there(&|other| other.name == read.name) {
                (name, format!("{:?}", read.name), "a name")
            } else {
                all.push(read);
                continue;
            };
            return Err(ConfigError::Value { key, value, expected: format!("{what} that is not there yet") });
        }
        Ok(all)
    }

    fn read(mut section: Section, place: usize) -> Result<Self, ConfigError> {
        const KINDS: &str = "\"self\", \"script\", \"deb\" or \"unit\"";
        let instance = section.number("instance", "an instance from 0 to 65534")?;
        let instance = instance.unwrap_or(InstanceId::try_from(place).unwrap_or(InstanceId::MAX - 1));
        let read = section.take("kind", KINDS, |value| {
            let read: fn(&mut Section) -> Result<SoftwareKind, ConfigError> = match value.as_str()? {
                "self" => own,
                "script" => script,
                "deb" => deb,
                "unit" => unit,
                _ => return None,
            };
            Some(read)
        })?;
        let keys = section.list("public-keys", "a list of public keys of minisign", |key| key.parse().ok())?;
        let kind = read.ok_or_else(|| section.absent("kind"))?(&mut section)?;
        let name = section.text("name", name)?.unwrap_or_else(|| kind.name());
        section.finish()?;
        Ok(Self { instance, name, kind, keys: keys.unwrap_or_default() })
    }
}

impl SoftwareKind {
    /// What it is called where nobody says otherwise.
    fn name(&self) -> String {
        let name = match self {
            Self::Own { .. } => OWN_NAME,
            Self::Script { program, .. } => program[0].rsplit('/').next().unwrap_or_default(),
            Self::Deb { package, .. } => package,
            Self::Unit { unit, .. } => unit.strip_suffix(".service").unwrap_or(unit),
        };
        let name = name.chars().map(|each| if is_plain(each) { each } else { '_' });
        name.take(MAX_NAME).collect()
    }
}

fn is_plain(each: char) -> bool {
    each.is_ascii_alphanumeric() || "-_".contains(each)
}

/// The longest name, in bytes.
const MAX_NAME: usize = 100;
/// What the agent is called where nobody says otherwise.
const OWN_NAME: &str = "lapwing";

fn own(section: &mut Section) -> Result<SoftwareKind, ConfigError> {
    Ok(SoftwareKind::Own { update: section.file("update")? })
}

fn script(section: &mut Section) -> Result<SoftwareKind, ConfigError> {
    let program = section.command("program")?.ok_or_else(|| section.absent("program"))?;
    Ok(SoftwareKind::Script { program, purge: section.boolean("purge")?.unwrap_or(false) })
}

fn deb(section: &mut Section) -> Result<SoftwareKind, ConfigError> {
    let package = section.text("package", debian_name)?.ok_or_else(|| section.absent("package"))?;
    Ok(SoftwareKind::Deb { package, unit: section.text("unit", unit_name)? })
}

fn unit(section: &mut Section) -> Result<SoftwareKind, ConfigError> {
    let unit = section.text("unit", unit_name)?.ok_or_else(|| section.absent("unit"))?;
    let folder = section.text("folder", super::state)?;
    Ok(SoftwareKind::Unit { unit, folder })
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME).contains(&text.len()) && text.chars().all(is_plain);
    if fits { Ok(text.to_owned()) } else { Err("1 to 100 letters, digits, - and _".to_owned()) }
}

/// As Debian's policy has it (section 5.6.1).
fn debian_name(text: &str) -> Result<String, String> {
    let allowed = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit() || "+-.".contains(each);
    let begins = text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if begins && text.chars().all(allowed) { Ok(text.to_owned()) } else { Err("the name of a package".to_owned()) }
}

fn unit_name(text: &str) -> Result<String, String> {
    let allowed = |each: char| each.is_ascii_alphanumeric() || "@_.:-".contains(each);
    let stem = text.strip_suffix(".service").filter(|stem| !stem.is_empty() && !stem.starts_with(['-', '.']));
    let fits = stem.is_some_and(|stem| stem.chars().all(allowed));
    if fits { Ok(text.to_owned()) } else { Err("a unit such as kettle.service".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::example;
    use super::super::{Config, ConfigError};
    use super::*;

    fn read(text: &str) -> Result<Vec<SoftwareConfig>, ConfigError> {
        Ok(Config::parse(text, Path::new("/etc/lapwing"))?.software)
    }

    #[test]
    fn the_documented_example_is_taken() {
        let software = read(&example(include_str!("software.rs"), 0)).unwrap();
        let key = "RWQf1a6H8W8d+m9Av+MeAkkNEqGa+xo+Ka21RLu5uXw1ydZB43U32rgM".parse().unwrap();
        let unit = || "kettle.service".to_owned();
        let own = SoftwareKind::Own { update: Some("/var/lib/lapwing/updates/lapwing".into()) };
        let script = SoftwareKind::Script { program: vec!["/usr/sbin/kettle-software".into()], purge: true };
        let deb = SoftwareKind::Deb { package: "kettle".into(), unit: Some(unit()) };
        let archive = SoftwareKind::Unit { unit: unit(), folder: Some("/opt/lapwing/kettle-unit".into()) };
        let kinds = [
            ("lapwing", own, vec![key]),
            ("kettle-software", script, vec![]),
            ("kettle", deb, vec![]),
            ("kettle-unit", archive, vec![]),
        ];
        let expected = kinds.into_iter().zip(0..).map(|((name, kind, keys), instance)| {
            let name = name.to_owned();
            SoftwareConfig { instance, name, kind, keys }
        });
        assert_eq!(software, expected.collect::<Vec<_>>());
        assert_eq!(read("[[software]]\nkind = 'self'").unwrap(), [SoftwareConfig::own()]);
        assert_eq!(read("[[software]]\nkind = 'script'\nprogram = ['/a/b.c d']").unwrap()[0].name, "b_c_d");
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let own = "[[software]]\nkind = 'self'\n";
        for (text, why) in [
            ("[[software]]", "`software[0].kind` is missing"),
            (
                "[[software]]\nkind = 'rpm'",
                "`software[0].kind` = \"rpm\": expected \"self\", \"script\", \"deb\" or \"unit\"",
            ),
            ("[[software]]\nkind = 'script'", "`software[0].program` is missing"),
            (
                "[[software]]\nkind = 'deb'\npackage = '-f'",
                "`software[0].package` = \"-f\": expected the name of a package",
            ),
            ("[[software]]\nkind = 'unit'", "`software[0].unit` is missing"),
            (
                "[[software]]\nkind = 'unit'\nunit = '../a.service'",
                "`software[0].unit` = \"../a.service\": expected a unit such as kettle.service",
            ),
            (
                "[[software]]\nkind = 'self'\npublic-keys = ['RW']",
                "`software[0].public-keys` = [\"RW\"]: expected a list of public keys of minisign",
            ),
            (
                &format!("{own}instance = 7\n[[software]]\nkind = 'unit'\nunit = 'a.service'\ninstance = 7"),
                "`software[1].instance` = 7: expected an instance that is not there yet",
            ),
            (&format!("{own}{own}"), "`software[1].kind` = \"self\": expected a kind that is not there yet"),
            (
                &format!("{own}[[software]]\nkind = 'deb'\npackage = 'lapwing'"),
                "`software[1].name` = \"lapwing\": expected a name that is not there yet",
            ),
            (&format!("{own}name = 'a b'"), "`software[0].name` = \"a b\": expected 1 to 100 letters, digits, - and _"),
            (
                &format!("{own}program = ['a']"),
                "unknown key `software[0].program`; the nearest known one is `software[0].name`",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), why, "{text}");
        }
    }
}
