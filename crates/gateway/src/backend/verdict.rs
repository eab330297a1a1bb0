//! What the boot loader is told of firmware on trial, by programs of the machine's maker.

use super::command;
use crate::platform::{Error, Result};

/// A program with its arguments for each verdict, as far as there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What runs is to be booted from now on.
    pub accept: Option<Vec<String>>,
    /// What ran before is to be booted next.
    pub go_back: Option<Vec<String>>,
}

impl Verdict {
    pub(super) async fn accept(&self) -> Result<()> {
        match &self.accept {
            Some(words) => command::run("accepting the new firmware", words).await.map(drop),
            None => Ok(()),
        }
    }

    /// `side`: the name of the one to be booted, behind the program's own arguments.
    pub(super) async fn go_back(&self, side: Option<&str>) -> Result<()> {
        let none = || Error::NotPermitted("nothing is configured to go back by".to_owned());
        let mut words = self.go_back.clone().ok_or_else(none)?;
        words.extend(side.map(str::to_owned));
        command::run("going back to the firmware before", &words).await.map(drop)
    }
}
