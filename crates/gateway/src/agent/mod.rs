//! The whole client: its objects, its server, and what it says about both.

mod follow;
mod report;
mod status;
mod trial;
mod updates;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use lapwing::transfer::Puller;
use lapwing::{Client, Handle, LwM2mVersion};
use tokio::sync::{Notify, watch};

use self::follow::{follow, is_connected};
use self::report::report;
use self::status::{History, Reporter};
use self::trial::Trial;
use crate::config::{AfterRestart, Config, ConfigError, Version};
use crate::control::Listener;
use crate::objects::{Connectivity, ConnectivityUpdates};
use crate::platform::{BoxFuture, Network};
use crate::wiring::{self, Objects, OwnUpdate};

/// The lifetime of a registration where nothing else is configured, in seconds.
pub const DEFAULT_LIFETIME: u32 = 300;

/// The exit code of the process by which its runner knows that the executable in the folder of updates is to be put in its place, and
/// started with the same arguments.
pub const UPDATE: u8 = 65;

/// An agent, ready to run.
pub struct Agent {
    client: Client,
    network: Option<Arc<dyn Network>>,
    follow: BoxFuture<'static, ()>,
    reporter: Reporter,
    control: Option<Listener>,
    trial: Trial,
    update: Arc<Notify>,
}

/// Why an agent has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum End {
    /// It was asked to, and has de-registered.
    Asked,
    /// A server has activated another executable: the process is to end with [`UPDATE`]. Its registrations go on, as the one that is started
    /// next is there within seconds.
    Update,
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
    /// The state folder cannot be used.
    #[error(transparent)]
    Store(#[from] lapwing::store::StoreError),
    /// The software in the state folder cannot be managed.
    #[error(transparent)]
    Software(#[from] lapwing::objects::software::OpenError),
    /// The control socket cannot be made where it was configured to be.
    #[error("the control socket {path}: {error}", path = .path.display())]
    Control {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl Agent {
    /// Builds the client with this machine's objects. To be called inside a tokio runtime, which then drives them.
    ///
    /// # Errors
    /// When the configuration names no server or endpoint, one that cannot be, or files that cannot be used.
    pub async fn new(config: Config) -> Result<Self, AgentError> {
        let accounts = config.accounts(DEFAULT_LIFETIME)?;
        let trust_anchors = config.trust_anchors()?;
        let (state, updates) = (config.state.clone(), config.update_folder().map(Path::to_owned));
        if config.after_restart == AfterRestart::Resume && config.state.is_none() {
            return Err(ConfigError::Needs { key: "after-restart", other: "state" }.into());
        }
        let (puller, lent) = wiring::puller(&config.pull)?;
        let endpoint = config.endpoint.ok_or(ConfigError::Missing { key: "endpoint" })?;
        let version = config.version.unwrap_or_default();
        let reached = watch::Sender::new(false);
        let firmware = match (config.firmware, &updates) {
            (None, _) => None,
            (Some(_), None) => return Err(ConfigError::Needs { key: "firmware", other: "state" }.into()),
            (Some(firmware), Some(updates)) => {
                let reboot = config.device.reboot_command.clone();
                let (firmware, progress) =
                    wiring::firmware(firmware, reboot, version, updates, puller.clone(), reached.subscribe())?;
                Some((Arc::new(firmware), progress))
            }
        };
        let (trial, update) = (Trial::new(config.runner.trial), Arc::new(Notify::new()));
        let software = match (&updates, config.software.is_empty()) {
            (_, true) => None,
            (None, false) => return Err(ConfigError::Needs { key: "software", other: "state" }.into()),
            (Some(updates), false) => {
                let own = OwnUpdate { place: config.runner.update, end: Arc::clone(&update), stays: trial.stays() };
                wiring::software(config.software, &own, version, updates, puller.clone())?
            }
        };
        let address = accounts.servers.first().and_then(|account| account.uri.host().parse::<IpAddr>().ok());
        let Objects { device, connectivity, network } = wiring::objects(config.device, version, address).await;
        let mut builder = Client::builder(endpoint.clone())
            .version(match version {
                Version::V1_0 => LwM2mVersion::V1_0,
                Version::V1_1 => LwM2mVersion::V1_1,
            })
            .lend(lent)
            .reset_accounts(config.reset_accounts)
            .resume(config.after_restart == AfterRestart::Resume)
            .trust_anchors(trust_anchors)
            .unknown_time(config.unknown_time.unwrap_or_default())
            .connection_id(config.connection_id.unwrap_or(true));
        for account in accounts.servers {
            builder = builder.account(account);
        }
        if let Some(account) = accounts.bootstrap {
            builder = builder.bootstrap(account);
        }
        if let Some(folder) = config.state {
            builder = builder.state(folder);
        }
        if let Some(port) = config.local_port {
            builder = builder.local_port(port);
        }
        let versions = device.versions();
        builder = builder.object(device);
        let updates = connectivity.as_ref().map(Connectivity::updates);
        if let Some(connectivity) = connectivity {
            builder = builder.object(connectivity);
        }
        if let Some((firmware, _)) = &firmware {
            builder = builder.object(Arc::clone(firmware));
        }
        let software = software.map(Arc::new);
        if let Some(software) = &software {
            builder = builder.object(Arc::clone(software));
        }
        let client = builder.build()?;
        let follow = following(network.clone(), updates, client.handle(), puller);
        let control = control(config.socket.as_deref(), state.as_deref())?;
        let (handle, history) = (client.handle(), History::new());
        let reporter = Reporter { endpoint, version, handle, device: versions, history, firmware, software, reached };
        Ok(Self { client, network, follow, reporter, control, trial, update })
    }

    /// What sees and steers the client.
    pub fn handle(&self) -> Handle {
        self.client.handle()
    }

    /// Whether anything can leave this machine now: some link besides loopback is up and has an address. Where the network cannot be asked,
    /// it is taken for granted.
    pub async fn has_bearer(&self) -> bool {
        match &self.network {
            Some(network) => is_connected(&**network).await.unwrap_or(true),
            None => true,
        }
    }

    /// Runs until `shutdown` ends, then de-registers; or until a server activates an update of the agent.
    ///
    /// # Errors
    /// When the client cannot begin to run. A server that cannot be reached is no error: it is tried again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<End, AgentError> {
        let Self { client, follow, reporter, control, trial, update, .. } = self;
        let trial = trial.pass(client.handle().events());
        let mut report = pin!(report(client.handle().events(), &reporter));
        let beside = async {
            let followed = async {
                follow.await;
                tracing::warn!("the network is no longer followed");
            };
            let asked = async {
                if let Some(control) = control {
                    control.serve(|| reporter.report()).await;
                }
            };
            tokio::join!(followed, asked, trial);
            std::future::pending::<Infallible>().await
        };
        let run = async {
            let mut client = pin!(client.run(shutdown));
            tokio::select! {
                result = &mut client => result.map(|()| End::Asked),
                // The client ends as it stands: what has to outlive it is stored.
                () = update.notified() => {
                    tracing::info!("{} ends, to be started anew with its update", reporter.endpoint);
                    Ok(End::Update)
                }
                never = beside => match never {},
            }
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

/// The control socket, where it was configured to be or where it is looked for: without the latter an agent does its work all the same.
fn control(path: Option<&Path>, state: Option<&Path>) -> Result<Option<Listener>, AgentError> {
    if let Some(path) = path {
        let listener = Listener::bind(path).map_err(|error| AgentError::Control { path: path.to_owned(), error })?;
        return Ok(Some(listener));
    }
    Ok(Listener::bind_default(state).unwrap_or_else(|error| {
        tracing::warn!("no control socket, so that `lapwing status` does not find this agent: {error}");
        None
    }))
}

/// What brings all up to date that depends on the network.
fn following(
    network: Option<Arc<dyn Network>>,
    connectivity: Option<ConnectivityUpdates>,
    handle: Handle,
    puller: Puller,
) -> BoxFuture<'static, ()> {
    let Some(network) = network else { return Box::pin(std::future::pending()) };
    Box::pin(follow(network, connectivity, move || {
        handle.network_changed();
        puller.network_changed();
    }))
}

/// This machine's name, which the demonstration registers as.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "lapwing".to_owned() } else { name }
}
