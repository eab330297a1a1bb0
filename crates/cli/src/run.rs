//! `lapwing run`.

use lapwing_gateway::agent::{Agent, AgentError};
use lapwing_gateway::config::{Config, ConfigError};

use crate::args::RunOptions;
use crate::failure::Failure;
use crate::logging;
use crate::shutdown::Shutdown;

pub(crate) fn run(options: RunOptions) -> Result<(), Failure> {
    logging::start(logging::AGENT);
    let mut config = load(options.config.as_deref())?;
    config.server = options.server.or(config.server);
    config.endpoint = options.endpoint.or(config.endpoint);
    config.lifetime = options.lifetime.or(config.lifetime);
    config.version = options.lwm2m_version.or(config.version);
    crate::runtime()?.block_on(async {
        let mut shutdown = Shutdown::new()?;
        let agent = Agent::new(config).await.map_err(agent_failure)?;
        agent.run(shutdown.requested()).await.map_err(agent_failure)
    })
}

/// The configuration in a file, or an empty one.
pub(crate) fn load(path: Option<&std::path::Path>) -> Result<Config, Failure> {
    match path {
        Some(path) => Config::load(path).map_err(Failure::usage),
        None => Ok(Config::default()),
    }
}

/// What was configured wrongly is the user's to mend; a missing key names its flag.
pub(crate) fn agent_failure(error: AgentError) -> Failure {
    match error {
        AgentError::Config(ConfigError::Missing { key }) => {
            Failure::usage(anyhow::anyhow!("no {key}: give --{key}, or `{key}` in the file that --config names"))
        }
        AgentError::Config(_) | AgentError::Build(_) => Failure::usage(error),
        error => Failure::Runtime(error.into()),
    }
}
