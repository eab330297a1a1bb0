use std::fmt;

use crate::backend::command;
use crate::platform::{Error, Result};

/// A side of the machine as SWUpdate is told of it, and as the boot loader is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What the boot loader's variable is when this side is booted.
    pub name: String,
    /// The software set in `sw-description`.
    pub software_set: String,
    /// The running mode in it.
    pub running_mode: String,
}

impl Side {
    /// The side of this name, for which SWUpdate's selection is `software set,running mode`. `None` if it is not, or has no room in a request.
    pub fn parse(name: &str, selection: &str) -> Option<Self> {
        let (software_set, running_mode) = selection.split_once(',')?;
        let fits = |text: &str| !text.is_empty() && !text.contains(',') && super::wire::selection_fits(text);
        let side = Self {
            name: name.to_owned(),
            software_set: software_set.trim().to_owned(),
            running_mode: running_mode.trim().to_owned(),
        };
        (fits(&side.software_set) && fits(&side.running_mode)).then_some(side)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.software_set, self.running_mode)
    }
}

/// Where images go: to a side that is not the booted one, or, without any, where the daemon's own options say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides {
    sides: Vec<Side>,
    read: Vec<String>,
    running: Vec<String>,
}

impl Sides {
    /// Each of these sides in turn: the one that `read` (a program and its arguments, such as `fw_printenv -n bootside`) prints is
    /// booted, and the image goes to the first that does not run.
    ///
    /// # Panics
    /// When `read` is empty.
    pub fn opposite(sides: Vec<Side>, read: Vec<String>) -> Self {
        assert!(!read.is_empty(), "a command has a program");
        Self { sides, running: read.clone(), read }
    }

    /// What `running` (a program and its arguments) prints is the side that runs. Without this the boot loader's variable is taken for it,
    /// which is wrong after a boot loader has fallen back to another side without a word.
    ///
    /// # Panics
    /// When `running` is empty.
    pub fn running_by(self, running: Vec<String>) -> Self {
        assert!(!running.is_empty(), "a command has a program");
        Self { running, ..self }
    }

    pub(super) fn named(&self, name: &str) -> Option<Side> {
        self.sides.iter().find(|side| side.name == name).cloned()
    }

    pub(super) fn other_than(&self, name: &str) -> Option<Side> {
        self.sides.iter().find(|side| side.name != name).cloned()
    }

    /// What is booted next, as the boot loader's variable has it.
    pub(super) async fn next(&self) -> Result<Option<String>> {
        ask("the boot loader's variable", &self.read).await
    }

    /// The side that runs.
    pub(super) async fn running(&self) -> Result<Option<String>> {
        ask("the side that runs", &self.running).await
    }

    /// The side that an image goes to. All its texts are empty where the daemon decides.
    pub(super) async fn target(&self) -> Result<Side> {
        if self.sides.is_empty() {
            return Ok(Side { name: String::new(), software_set: String::new(), running_mode: String::new() });
        }
        let unknown = |why: String| Error::failed("the side to install to", why);
        // After the boot loader has fallen back, its variable names the other one, and what runs would be written over.
        let runs = self.running().await?.ok_or_else(|| unknown("which side runs is not told".to_owned()))?;
        if !self.sides.iter().any(|side| side.name == runs) {
            return Err(unknown(format!("`{runs}` is said to run, which is none of the sides")));
        }
        self.other_than(&runs).ok_or_else(|| unknown("there is but one side".to_owned()))
    }
}

/// What a program prints, if it prints anything. Without a program nobody knows.
async fn ask(what: &str, words: &[String]) -> Result<Option<String>> {
    if words.is_empty() {
        return Ok(None);
    }
    Ok(Some(command::run(what, words).await?).filter(|printed| !printed.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(names: &[&str], prints: &str) -> Sides {
        let side = |name: &&str| Side {
            name: (*name).to_owned(),
            software_set: "stable".to_owned(),
            running_mode: format!("copy-{name}"),
        };
        Sides::opposite(names.iter().map(side).collect(), vec!["printf".to_owned(), prints.to_owned()])
    }

    #[tokio::test]
    async fn an_image_goes_to_the_side_that_is_not_booted() {
        assert_eq!(sides(&["A", "B"], "A\n").target().await.unwrap().to_string(), "stable,copy-B");
        assert_eq!(sides(&["A", "B"], "B").target().await.unwrap().to_string(), "stable,copy-A");
        assert_eq!(sides(&["A", "B"], "B").next().await.unwrap().as_deref(), Some("B"));
        assert_eq!(Sides::default().target().await.unwrap().software_set, "");
    }

    #[tokio::test]
    async fn what_runs_is_not_written_over_though_the_boot_loader_names_the_other_side() {
        let fallen_back = sides(&["A", "B"], "B").running_by(vec!["printf".to_owned(), "A".to_owned()]);
        assert_eq!(fallen_back.target().await.unwrap().to_string(), "stable,copy-B");
    }

    #[test]
    fn a_selection_has_a_software_set_and_a_running_mode() {
        assert_eq!(Side::parse("a", "stable, main-a").unwrap().to_string(), "stable,main-a");
        for wrong in ["", "stable", "stable,", ",main-a", "a,b,c", &format!("stable,{}", "m".repeat(256))] {
            assert_eq!(Side::parse("a", wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn without_knowing_the_booted_side_there_is_no_other() {
        for (sides, why) in [
            (sides(&["A", "B"], ""), "not told"),
            (sides(&["A", "B"], "C"), "`C`"),
            (sides(&["A"], "A"), "but one"),
            (Sides::opposite(sides(&["A", "B"], "").sides, vec!["false".to_owned()]), "exit status: 1"),
            (Sides::opposite(sides(&["A", "B"], "").sides, vec!["/nonexistent".to_owned()]), "No such file"),
        ] {
            let said = sides.target().await.unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
