//! `lapwing ig60`: the agent with the options, the behaviour and the exit codes of the IG60's first client, which was written in Python.
//!
//! It runs under `packaging/ig60/ig60_lwm2m2_client.sh`, as that client did, whose name it is also called by.

mod options;

use std::cell::Cell;
use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use lapwing::ServerUri;
use lapwing_gateway::agent::{Agent, End};
use lapwing_gateway::config::{self, Config, Runner, Secret, SecretSource};

use self::options::{Options, Wanted};
use crate::failure::Failure;
use crate::logging;
use crate::run::{agent_failure, exit_code};
use crate::shutdown::{Shutdown, Stop};

/// The name of the predecessor's executable, by which its runner calls this one too.
pub(crate) const PREDECESSOR: &str = "lwm2m-python-client";

/// What the predecessor's gateway has besides what the command line says.
const CONFIGURATION: &str = include_str!("ig60.toml");

/// The folder of the executable that runs, of which the runner says where it is.
const RUN_FOLDER: (&str, &str) = ("LAPWING_RUN", "/gg/lwm2m");

/// Exit codes, as the predecessor's users know them: EINTR, EAGAIN, ENONET.
const INTERRUPTED: u8 = 4;
const FAILED: u8 = 11;
const NO_BEARER: u8 = 64;

/// Runs the client, which its users know as `program`.
pub(crate) fn ig60(program: &str, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let text = |argument: OsString| argument.into_string().map_err(|_| "an argument is not text".to_owned());
    let arguments = arguments.into_iter().map(text).collect::<Result<Vec<_>, _>>();
    match arguments.and_then(|arguments| options::parse(&arguments)) {
        Ok(Wanted::Help) => {
            print!("{}", options::help(program));
            ExitCode::SUCCESS
        }
        Ok(Wanted::Client(options)) => match client(program, options) {
            Ok(code) => code,
            Err(failure) => {
                eprintln!("{program}: {failure}");
                match failure {
                    Failure::Usage(_) => failure.exit_code(),
                    Failure::Runtime(_) => ExitCode::from(FAILED),
                }
            }
        },
        Err(complaint) => {
            eprintln!("{}{program}: error: {complaint}", options::usage(program));
            Failure::Usage(anyhow!(complaint)).exit_code()
        }
    }
}

fn client(program: &str, options: Options) -> Result<ExitCode, Failure> {
    logging::start(if options.debug { logging::DEBUG } else { logging::AGENT });
    let folder = std::env::var_os(RUN_FOLDER.0).map_or_else(|| RUN_FOLDER.1.into(), PathBuf::from);
    let config = configuration(options, &std::path::absolute(folder)?)?;
    let local = config.server.iter().chain(&config.bootstrap_server).any(is_local);
    crate::runtime()?.block_on(async {
        let mut shutdown = Shutdown::new()?;
        let agent = Agent::new(config).await.map_err(agent_failure)?;
        if !local && !agent.has_bearer().await {
            eprintln!("{program}: no network interface is up and has an address");
            return Ok(ExitCode::from(NO_BEARER));
        }
        let why = Cell::new(Stop::Terminate);
        let end = agent.run(async { why.set(shutdown.signalled().await) }).await.map_err(agent_failure)?;
        Ok(match (end, why.get()) {
            (End::Asked, Stop::Interrupt) => ExitCode::from(INTERRUPTED),
            (end, _) => exit_code(end),
        })
    })
}

/// Whether it is this machine's own.
fn is_local(uri: &ServerUri) -> bool {
    let host = uri.host();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The command line, over what all gateways of this kind have. Packages are kept below `folder`; accounts nowhere.
fn configuration(options: Options, folder: &Path) -> Result<Config, Failure> {
    let mut config = Config::parse(CONFIGURATION, folder).map_err(Failure::usage)?;
    let lifetime = u32::try_from(options.lifetime);
    config.lifetime = Some(lifetime.map_err(|_| wrong("-l/--lifetime", "seconds from 0 to 4294967295"))?);
    let endpoint = config::endpoint(&options.endpoint).map_err(|expected| wrong("-e/--endpoint", &expected))?;
    config.local_port = Some(port("-p/--port", options.port)?);
    config.update_state = Some(folder.join("state"));
    config.runner = Runner::from_environment();
    let key = if options.server_address.is_empty() || options.server_port == 0 {
        let port = options.bootstrap_port.trim().parse().unwrap_or(-1);
        let port = self::port("-bp/--bootstrap-port", port)?;
        if options.bootstrap_address.is_empty() {
            return Err(Failure::usage(anyhow!(
                "no server: give --server-address and --server-port, or --bootstrap-address"
            )));
        }
        let name = "-bs/--bootstrap-address";
        config.bootstrap_server = Some(uri(name, &options.bootstrap_address, port, &options.bootstrap_psk)?);
        options.bootstrap_psk
    } else {
        let port = port("-sp/--server-port", options.server_port)?;
        config.server = Some(uri("-s/--server-address", &options.server_address, port, &options.server_psk)?);
        options.server_psk
    };
    if !key.is_empty() {
        config.security.psk_identity = Some(endpoint.clone());
        config.security.psk_key = Some(SecretSource::Given(key));
    }
    config.endpoint = Some(endpoint);
    Ok(config)
}

fn wrong(option: &str, expected: &str) -> Failure {
    Failure::usage(anyhow!("argument {option}: expected {expected}"))
}

fn port(option: &str, number: i64) -> Result<u16, Failure> {
    u16::try_from(number).map_err(|_| wrong(option, "a port from 0 to 65535"))
}

/// The key alone decides whether DTLS is spoken, whatever the port.
fn uri(option: &str, address: &str, port: u16, key: &Secret) -> Result<ServerUri, Failure> {
    let scheme = if key.is_empty() { "coap" } else { "coaps" };
    let host = if address.parse::<Ipv6Addr>().is_ok() { format!("[{address}]") } else { address.to_owned() };
    let uri = config::server_uri(&format!("{scheme}://{host}:{port}"));
    uri.map_err(|_| wrong(option, "the name or the address of a host"))
}

#[cfg(test)]
mod tests;
