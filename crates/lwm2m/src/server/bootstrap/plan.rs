//! How a bootstrap goes.

use super::{Configuration, ConfigurationError, Task};

/// What is done with a client that asks for a bootstrap.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(super) work: Work,
    pub(super) on_refusal: OnRefusal,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Work {
    Apply(Configuration),
    Script(Vec<Task>),
}

/// What follows a task that the client answers with an error.
///
/// A Finish that is refused (4.06, LwM2M core 1.1 section 6.1.7.2) ends the session either way, unless the script goes on
/// behind it: then what follows are the corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRefusal {
    /// The next task, as with Leshan: whether the whole is good enough is for the client to say at the Finish.
    #[default]
    Continue,
    /// The session fails; the client hears no more of it and keeps its old configuration.
    Stop,
}

impl Plan {
    /// Brings a configuration to the client, and finishes.
    ///
    /// # Errors
    /// A client could not live with it.
    pub fn apply(configuration: Configuration) -> Result<Plan, ConfigurationError> {
        configuration.check()?;
        Ok(Plan { work: Work::Apply(configuration), on_refusal: OnRefusal::default() })
    }

    /// Does just these tasks, whatever the client thinks of them, and finishes unless the last one has.
    pub fn script(tasks: impl IntoIterator<Item = Task>) -> Plan {
        Plan { work: Work::Script(tasks.into_iter().collect()), on_refusal: OnRefusal::default() }
    }

    /// The same with another way to go on from an error.
    #[must_use]
    pub fn on_refusal(mut self, on_refusal: OnRefusal) -> Plan {
        self.on_refusal = on_refusal;
        self
    }

    /// The configuration, unless it is a script.
    pub fn configuration(&self) -> Option<&Configuration> {
        match &self.work {
            Work::Apply(configuration) => Some(configuration),
            Work::Script(_) => None,
        }
    }
}
