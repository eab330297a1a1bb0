//! The one place that sees both back-ends and objects.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapwing::definitions::{connectivity_monitoring, device, firmware_update, software_management};
use lapwing::driver::FileSystem;
use lapwing::objects::firmware::Firmware;
use lapwing::objects::software::{Instance, OpenError, Software, running_executable};
use lapwing::store::{Store, StoreError};
use lapwing::transfer::{Accounts, Puller};
use tokio::sync::{Notify, watch};

use crate::backend::check::Check;
use crate::backend::netlink::Netlink;
use crate::backend::procfs::Procfs;
use crate::backend::rauc::Rauc;
use crate::backend::script::Script;
use crate::backend::software::{self, Payload};
use crate::backend::swupdate::Swupdate;
use crate::backend::systemd::RebootCommand;
use crate::config::{
    ConfigError, DeviceConfig, FirmwareConfig, InstallerConfig, PullSettings, SoftwareConfig, SoftwareKind, Version,
};
use crate::objects::{Connectivity, Device, DeviceValues, InstallProgress, Installation, Trial};
use crate::platform::{Inspector, Network, Updater};

/// What the agent supports besides this, named by itself (resource 19 of object 3).
const SOFTWARE_VERSION: &str = concat!("Lapwing ", env!("CARGO_PKG_VERSION"));

/// Where the files of software are that systemd starts: any user may have to read them.
const UNITS_FOLDER: &str = "/opt/lapwing";

/// The only binding so far: UDP (LwM2M 1.1 core section 6.2.1.2).
const BINDING: &str = "U";

/// The objects of this machine.
pub struct Objects {
    /// Object 3.
    pub device: Device,
    /// Object 4, where the machine has a link to speak of.
    pub connectivity: Option<Connectivity>,
    /// The network itself, where it can be watched.
    pub network: Option<Arc<dyn Network>>,
}

/// Puts the objects on this machine's back-ends. To be called inside a tokio runtime, which then drives them.
///
/// `server` is the server's address where the configuration has one instead of a name. A back-end that does not work costs its objects
/// or values, not the agent.
pub async fn objects(config: DeviceConfig, version: Version, server: Option<IpAddr>) -> Objects {
    let (device_definition, connectivity_definition) = match version {
        Version::V1_0 => (&device::V1_0, &connectivity_monitoring::V1_0),
        Version::V1_1 => (&device::V1_2, &connectivity_monitoring::V1_3),
    };
    let supervisor = Arc::new(RebootCommand::new(config.reboot_command));
    let values = DeviceValues {
        manufacturer: config.manufacturer,
        model: config.model,
        serial: config.serial,
        firmware_version: config.firmware_version,
        power_sources: config.power_sources,
        device_type: config.device_type,
        hardware_version: config.hardware_version,
        software_version: Some(config.software_version.unwrap_or_else(|| SOFTWARE_VERSION.to_owned())),
        binding: BINDING.to_owned(),
        current_time_writable: config.current_time_writable,
    };
    let device = Device::probe(device_definition, Arc::new(Procfs::new()), supervisor, values).await;
    let network: Option<Arc<dyn Network>> = match Netlink::open() {
        Ok(netlink) => Some(Arc::new(netlink)),
        Err(error) => {
            tracing::warn!("no connectivity object, and changes of the network go unnoticed: netlink: {error}");
            None
        }
    };
    let mut connectivity = None;
    if let Some(network) = &network {
        match Connectivity::probe(connectivity_definition, network.clone(), server).await {
            Ok(probed) => connectivity = probed,
            Err(error) => tracing::warn!("no connectivity object: {error}"),
        }
    }
    Objects { device, connectivity, network }
}

/// What fetches packages; it asks the other for the accounts' credentials.
///
/// # Errors
/// When a file cannot be used that the configuration names.
pub fn puller(settings: &PullSettings) -> Result<(Puller, Accounts), ConfigError> {
    let (mut config, accounts) = (settings.load()?, Accounts::default());
    config.credentials = Some(Arc::new(accounts.clone()));
    Ok((Puller::new(config), accounts))
}

/// Object 5, which keeps its things in a folder below `updates`, and fetches packages by `puller`. To be called inside a tokio runtime, which
/// then drives it. `reached` tells whether a server has been reached by this process.
///
/// # Errors
/// When the folder cannot be used.
pub fn firmware(
    config: FirmwareConfig,
    reboot_command: Vec<String>,
    version: Version,
    updates: &Path,
    puller: Puller,
    reached: watch::Receiver<bool>,
) -> Result<(Firmware, InstallProgress), StoreError> {
    let folder = updates.join("firmware");
    let progress = InstallProgress::default();
    let (note, watch) = (folder.join("handed-over"), progress.watch());
    let updater: Arc<dyn Updater> = match config.installer {
        InstallerConfig::Script { program, result, verdict } => {
            Arc::new(Script::new(program, result, folder.join("runs"), verdict))
        }
        InstallerConfig::Swupdate { sockets, sides, verdict } => {
            Arc::new(Swupdate::new(&sockets, sides, verdict, note, watch))
        }
        InstallerConfig::Rauc => Arc::new(Rauc::new(None, note, watch)),
    };
    let installation = Installation {
        inspector: config.check.map(|program| Arc::new(Check::new(program)) as Arc<dyn Inspector>),
        updater,
        supervisor: Arc::new(RebootCommand::new(reboot_command)),
        host: Arc::new(Procfs::new()),
        confirm: config.confirm,
        progress: progress.clone(),
        trial: config.go_back_after.map(|within| Trial { within, reached }),
        store: Store::open(FileSystem, &folder)?,
    };
    let definition = match version {
        Version::V1_0 => &firmware_update::V1_0,
        Version::V1_1 => &firmware_update::V1_2,
    };
    let mut builder = Firmware::builder(installation).definition(definition).source(puller);
    if !config.defer.is_empty() {
        builder = builder.deferral(move |severity| config.defer.contains(&severity));
    }
    Ok((builder.open(folder)?, progress))
}

/// How the agent itself is updated.
pub struct OwnUpdate {
    /// Where the runner takes its executable from, if there is a runner.
    pub place: Option<PathBuf>,
    /// Ends the agent so that this happens.
    pub end: Arc<Notify>,
    /// Becomes true when the agent will not be taken back.
    pub stays: watch::Receiver<bool>,
}

/// Object 9, which keeps its things in folders of its own in the folder of updates; `None` where nothing of it can work here. To be called inside a
/// tokio runtime, which then drives it.
///
/// # Errors
/// When the folder of updates cannot be used.
pub fn software(
    config: Vec<SoftwareConfig>,
    own: &OwnUpdate,
    version: Version,
    updates: &Path,
    puller: Puller,
) -> Result<Option<Software>, OpenError> {
    let mut builder = Software::builder().definition(match version {
        Version::V1_0 => &software_management::V1_0,
        Version::V1_1 => &software_management::V1_1,
    });
    builder = builder.source(puller);
    let mut is_empty = true;
    for config in config {
        let (id, name) = (config.instance, config.name.clone());
        let installed = updates.join("installed").join(&name);
        if let Some(instance) = instance(config, own, installed) {
            builder = builder.instance(id, name, instance);
            is_empty = false;
        }
    }
    if is_empty { Ok(None) } else { builder.open(updates.join("software")).map(Some) }
}

/// One instance, whose software may be kept in `folder`.
fn instance(config: SoftwareConfig, own: &OwnUpdate, folder: PathBuf) -> Option<Instance> {
    let SoftwareConfig { name, kind, keys, .. } = config;
    Some(match kind {
        SoftwareKind::Own { update } => {
            let Some(place) = update.as_ref().or(own.place.as_ref()) else {
                tracing::warn!("the agent cannot update itself: nothing has started it that would start it anew");
                return None;
            };
            let manager = software::Own::new(place, keys, Arc::clone(&own.end), own.stays.clone())?;
            Instance::own(manager, running_executable).release(name, env!("CARGO_PKG_VERSION"))
        }
        SoftwareKind::Script { program, purge } => {
            let payload = Payload::new(software::SCRIPT_FILE, keys);
            Instance::new(software::Script::new(program, payload, purge, folder)).release(name, "")
        }
        SoftwareKind::Deb { package, unit } => {
            let payload = Payload::new(software::DEB_FILE, keys);
            Instance::new(software::Apt::new(package.clone(), unit, payload, folder)).release(package, "")
        }
        SoftwareKind::Unit { unit, folder } => {
            let folder = folder.unwrap_or_else(|| Path::new(UNITS_FOLDER).join(&name));
            Instance::new(software::Unit::new(&unit, keys, folder)).release(unit, "")
        }
    })
}
