//! Why the command ends early, and with which exit code.

use std::fmt;
use std::process::ExitCode;

/// An error with the exit code that belongs to it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration: exit code 2, as for what clap refuses.
    Usage(anyhow::Error),
    /// Everything else: exit code 1.
    Runtime(anyhow::Error),
}

impl Failure {
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Runtime(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(error) | Self::Runtime(error)) = self;
        write!(f, "{error:#}")
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Runtime(error.into())
    }
}
