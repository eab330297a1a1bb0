//! The whole client: its objects, its server, and what it says about both.

mod follow;

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use lapwing::{Client, Event, Events, Handle, LwM2mVersion, ServerAccount, ServerUri};

use self::follow::follow;
use crate::config::{Config, ConfigError, Version};
use crate::objects::Connectivity;
use crate::platform::BoxFuture;
use crate::wiring::{self, Objects};

/// The lifetime of a registration where nothing else is configured, in seconds.
pub const DEFAULT_LIFETIME: u32 = 300;

/// The Short Server ID of the one server.
const SERVER: u16 = 1;

/// An agent, ready to run.
pub struct Agent {
    client: Client,
    endpoint: String,
    server: String,
    follow: BoxFuture<'static, ()>,
}

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client library does not take the configuration.
    #[error(transparent)]
    Build(#[from] lapwing::BuildError),
    /// The client could not begin.
    #[error(transparent)]
    Run(#[from] lapwing::RunError),
}

impl Agent {
    /// Builds the client with this machine's objects. To be called inside a tokio runtime, which then drives them.
    ///
    /// # Errors
    /// When the configuration names no server or endpoint, or one that cannot be.
    pub async fn new(config: Config) -> Result<Self, AgentError> {
        let server = config.server.ok_or(ConfigError::Missing { key: "server" })?;
        let endpoint = config.endpoint.ok_or(ConfigError::Missing { key: "endpoint" })?;
        let uri: ServerUri =
            server.parse().map_err(|error| lapwing::BuildError::Server { uri: server.clone(), error })?;
        let version = config.version.unwrap_or_default();
        let Objects { device, connectivity, network } =
            wiring::objects(config.device, version, uri.host().parse::<IpAddr>().ok()).await;
        let account = ServerAccount::new(SERVER, uri).lifetime(config.lifetime.unwrap_or(DEFAULT_LIFETIME));
        let mut builder = Client::builder(endpoint.clone()).account(account).version(match version {
            Version::V1_0 => LwM2mVersion::V1_0,
            Version::V1_1 => LwM2mVersion::V1_1,
        });
        if let Some(folder) = config.state {
            builder = builder.state(folder);
        }
        builder = builder.object(device);
        let updates = connectivity.as_ref().map(Connectivity::updates);
        if let Some(connectivity) = connectivity {
            builder = builder.object(connectivity);
        }
        let client = builder.build()?;
        let handle = client.handle();
        let follow: BoxFuture<'static, ()> = match network {
            Some(network) => Box::pin(follow(network, updates, move || handle.network_changed())),
            None => Box::pin(std::future::pending()),
        };
        Ok(Self { client, endpoint, server, follow })
    }

    /// What sees and steers the client.
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Runs until `shutdown` ends, then de-registers.
    ///
    /// # Errors
    /// When the client cannot begin to run. A server that cannot be reached is no error: it is tried again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), AgentError> {
        let events = self.client.handle().events();
        let mut report = pin!(report(events, &self.endpoint, &self.server));
        let run = async {
            let mut client = pin!(self.client.run(shutdown));
            tokio::select! {
                result = &mut client => return result,
                () = self.follow => tracing::warn!("the network is no longer followed"),
            }
            client.await
        };
        let mut run = pin!(run);
        let result = tokio::select! {
            result = &mut run => {
                // The client has stopped, so its events end.
                report.await;
                result
            }
            () = &mut report => run.await,
        };
        Ok(result?)
    }
}

/// Says in the log what happens, until the client stops.
async fn report(mut events: Events, endpoint: &str, server: &str) {
    while let Some(event) = events.next().await {
        match event {
            Event::Registered { after, .. } => {
                tracing::info!("{endpoint} registered at {server} in {:.1} ms", 1e3 * after.as_secs_f64());
            }
            Event::RegistrationFailed { reason, retry_in: Some(wait), .. } => {
                tracing::warn!("{endpoint} cannot register at {server}: {reason}; trying again in {}", seconds(wait));
            }
            Event::RegistrationFailed { reason, retry_in: None, .. } => {
                tracing::warn!("{endpoint} cannot register at {server}: {reason}; waiting for the network to change");
            }
            Event::ServerLost { reason, .. } => {
                tracing::warn!("{endpoint} lost its registration at {server}: {reason}");
            }
            Event::Deregistered { back_in: Some(wait), .. } => {
                tracing::info!("{endpoint} was disabled by {server}; back in {}", seconds(wait));
            }
            Event::Deregistered { back_in: None, .. } => tracing::info!("{endpoint} de-registered from {server}"),
            Event::NotificationLost { path, .. } => {
                tracing::warn!("a notification of {path} was not acknowledged by {server}");
            }
            event => tracing::debug!(?event),
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// This machine's name, which the demonstration registers as.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "lapwing".to_owned() } else { name }
}
