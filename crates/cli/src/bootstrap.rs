//! The bootstrap server: its part of `serve`, and what the demonstration brings to its client.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use lapwing_gateway::config::{self, Config, Secret, SecretSource, SecurityConfig};
use lapwing_lwm2m::definitions::{security, server};
use lapwing_lwm2m::model::Path;
use lapwing_lwm2m::server::SecurityInfo;
use lapwing_lwm2m::server::bootstrap::{Configuration, Plan};
use lapwing_server::{Builder, Server};

use crate::failure::Failure;
use crate::serve::{next_port, reachable};

/// Short Server ID of the demonstration's server.
const SSID: u16 = 1;

/// Where clients ask which servers are theirs, and what they get.
#[derive(Debug, clap::Args)]
pub(crate) struct BootstrapOptions {
    /// Runs a bootstrap server too, UDP; `serve` refuses who asks until --bootstrap-config or the page says otherwise, the
    /// client of `demo` gets an account of the server over a pre-shared key. 127.0.0.1:5783 where no address is given.
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:5783")]
    pub(crate) bootstrap: Option<SocketAddr>,
    /// Where clients ask for a bootstrap over DTLS, UDP. By default the address of --bootstrap and the port after it.
    #[arg(long, value_name = "ADDR:PORT", requires = "bootstrap")]
    pub(crate) bootstraps: Option<SocketAddr>,
    /// JSON with what the bootstrap server brings to whom, and the credentials of those: see docs/api/http.md. It is read at
    /// the start: what the page or the API changes is gone with the server.
    #[arg(long, value_name = "FILE", requires = "bootstrap")]
    pub(crate) bootstrap_config: Option<PathBuf>,
}

impl BootstrapOptions {
    /// Where it listens.
    pub(crate) fn listen(&self, builder: Builder) -> Result<Builder, Failure> {
        let Some(address) = self.bootstrap else { return Ok(builder) };
        let secure = match self.bootstraps {
            Some(secure) => secure,
            None => next_port(address, "--bootstrap", "--bootstraps")?,
        };
        Ok(builder.bootstrap(address).bootstraps(secure))
    }

    /// Says what clients get.
    pub(crate) fn fill(&self, server: &mut Server) -> Result<(), Failure> {
        let Some(file) = &self.bootstrap_config else { return Ok(()) };
        let mut load = || {
            let text = config::read_secret("bootstrap-config", file)?;
            let text = std::str::from_utf8(&text).context("it is not text")?;
            anyhow::Ok(server.load_bootstrap(text)?)
        };
        load().with_context(|| format!("--bootstrap-config {}", file.display())).map_err(Failure::Usage)
    }
}

/// Lets the demonstration's client begin with the account of the bootstrap server and no other, and the bootstrap server send
/// it to the server beside it, both over pre-shared keys that were made for this run.
pub(crate) fn demonstrate(server: &mut Server, endpoint: &str, client: &mut Config) -> Result<(), Failure> {
    let handle = server.handle();
    let bootstrap = handle.bootstrap().and_then(|bootstrap| bootstrap.coaps_address());
    let bootstrap = bootstrap.ok_or_else(|| anyhow!("there is no bootstrap server over DTLS"))?;
    let managed = server.coaps_address().ok_or_else(|| anyhow!("there is no server over DTLS"))?;
    let (first, second) = (random_key()?, random_key()?);
    server.set_bootstrap_security(endpoint, SecurityInfo::psk(endpoint.as_bytes(), &first)?)?;
    server.set_security(endpoint, SecurityInfo::psk(endpoint.as_bytes(), &second)?)?;
    let configuration = Configuration::new()
        .auto_id()
        .delete(Path::object(security::OBJECT_ID))
        .delete(Path::object(server::OBJECT_ID))
        .instance(
            security::OBJECT_ID,
            1,
            [
                (security::LWM2M_SERVER_URI, format!("coaps://{}", reachable(managed)).into()),
                (security::BOOTSTRAP_SERVER, false.into()),
                (security::SECURITY_MODE, 0.into()),
                (security::PUBLIC_KEY_OR_IDENTITY, endpoint.as_bytes().into()),
                (security::SERVER_PUBLIC_KEY, b"".as_slice().into()),
                (security::SECRET_KEY, second.as_slice().into()),
                (security::SHORT_SERVER_ID, SSID.into()),
            ],
        )
        .instance(
            server::OBJECT_ID,
            0,
            [
                (server::SHORT_SERVER_ID, SSID.into()),
                (server::LIFETIME, client.lifetime.unwrap_or(300).into()),
                (server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE, true.into()),
                (server::BINDING, "U".into()),
            ],
        );
    server.set_plan(endpoint, Plan::apply(configuration)?);
    client.server = None;
    client.bootstrap_server = Some(format!("coaps://{}", reachable(bootstrap)).parse()?);
    client.reset_accounts = true;
    client.security = SecurityConfig::default();
    client.security.psk_identity = Some(endpoint.to_owned());
    let digits: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    client.security.psk_key = Some(SecretSource::Given(Secret::new(digits)));
    Ok(())
}

fn random_key() -> Result<[u8; 16], Failure> {
    let mut key = [0; 16];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())?;
    Ok(key)
}
