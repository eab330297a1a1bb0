//! `lapwing run`.

use std::process::ExitCode;

use anyhow::anyhow;
use lapwing_gateway::agent::{Agent, AgentError, End, UPDATE};
use lapwing_gateway::config::{Config, ConfigError, Runner, Secret, SecretSource, SecurityConfig};

use crate::args::{RunOptions, SecurityOptions};
use crate::failure::Failure;
use crate::logging;
use crate::shutdown::Shutdown;

/// Holds the pre-shared key in hexadecimal.
const PSK_KEY: &str = "LAPWING_PSK_KEY";
/// Holds the private key in PEM.
const KEY: &str = "LAPWING_KEY";

pub(crate) fn run(options: RunOptions) -> Result<ExitCode, Failure> {
    logging::start(logging::AGENT);
    let mut config = configuration(options)?;
    config.runner = Runner::from_environment();
    let end = crate::runtime()?.block_on(async {
        let mut shutdown = Shutdown::new()?;
        let agent = Agent::new(config).await.map_err(agent_failure)?;
        agent.run(shutdown.requested()).await.map_err(agent_failure)
    })?;
    Ok(exit_code(end))
}

/// What the process tells whoever has started it.
pub(crate) fn exit_code(end: End) -> ExitCode {
    match end {
        End::Asked => ExitCode::SUCCESS,
        End::Update => ExitCode::from(UPDATE),
    }
}

/// The command line, then the environment, then the file.
fn configuration(options: RunOptions) -> Result<Config, Failure> {
    let mut config = load(options.config.as_deref())?;
    if options.server.is_some() || options.bootstrap_server.is_some() {
        (config.server, config.bootstrap_server) = (options.server, options.bootstrap_server);
        config.factory_bootstrap = None;
    }
    config.endpoint = options.endpoint.or(config.endpoint);
    config.lifetime = options.lifetime.or(config.lifetime);
    config.version = options.lwm2m_version.or(config.version);
    if let Some(folder) = options.state {
        config.state = Some(std::path::absolute(folder)?);
    }
    config.reset_accounts |= options.reset_accounts;
    config.socket = options.socket.or(config.socket);
    config.ca = options.security.ca.clone().or(config.ca);
    config.unknown_time = options.security.unknown_time.or(config.unknown_time);
    config.connection_id = options.security.connection_id.or(config.connection_id);
    config.security = security(options.security).or(environment()?).or(config.security);
    Ok(config)
}

fn security(options: SecurityOptions) -> SecurityConfig {
    if options.psk_key.is_some() {
        tracing::warn!(
            "other users of this machine can see a key on the command line: --psk-key-file or {PSK_KEY} keeps it secret"
        );
    }
    let mut security = SecurityConfig::default();
    security.psk_identity = options.psk_identity;
    security.psk_key = options.psk_key.map(SecretSource::Given).or(options.psk_key_file.map(SecretSource::File));
    security.key = options.key.map(SecretSource::File);
    security.cert = options.cert;
    security.server_cert = options.server_cert;
    security.server_cert_usage = options.server_cert_usage;
    security.server_key = options.server_key;
    security.sni = options.sni;
    security
}

/// The secrets that the environment holds.
fn environment() -> Result<SecurityConfig, Failure> {
    let secret = |name| match std::env::var(name) {
        Ok(text) => Ok(Some(SecretSource::Given(Secret::new(text)))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(anyhow!("{name}: expected text"))),
    };
    let mut security = SecurityConfig::default();
    (security.psk_key, security.key) = (secret(PSK_KEY)?, secret(KEY)?);
    Ok(security)
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
            Failure::usage(anyhow!("no {key}: give --{key}, or `{key}` in the file that --config names"))
        }
        AgentError::Config(ConfigError::NoServer) => Failure::usage(anyhow!(
            "no server: give --server or --bootstrap-server, or `server` or `bootstrap-server` in the file that --config names"
        )),
        AgentError::Config(_) | AgentError::Build(_) => Failure::usage(error),
        error => Failure::Runtime(error.into()),
    }
}
