use std::path::PathBuf;

/// What the program that starts the agent (`ig60_lwm2m2_client.sh`, or another with the same customs) says to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runner {
    /// While this file is there the agent is on trial, and is replaced by the one before it if it does not register in time. The agent removes
    /// the file when it has registered.
    pub trial: Option<PathBuf>,
    /// When the agent ends with [`UPDATE`](crate::agent::UPDATE), this file takes the place of its executable.
    pub update: Option<PathBuf>,
}

impl Runner {
    /// As the environment has it: `LAPWING_TRIAL` and `LAPWING_UPDATE`.
    pub fn from_environment() -> Self {
        let path = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { trial: path("LAPWING_TRIAL"), update: path("LAPWING_UPDATE") }
    }
}
