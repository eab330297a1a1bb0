//! The agent's configuration: a small TOML file.
//!
//! ```toml
//! server = "coaps://lwm2m.example.com:5684"            # where to register
//! bootstrap-server = "coaps://bootstrap.example.com"   # where to be told of servers, instead of `server` or beside it
//! endpoint = "gateway-7"                               # the client's name, unique at the server
//! lifetime = 300                                       # seconds; 0 = the registration never lapses
//! version = "1.1"                                      # of LwM2M: "1.0" or "1.1"
//! binding = "U"                                        # UDP, the only one there is yet
//! state = "/var/lib/lapwing"                           # keeps accounts, DTLS associations and what servers change
//! after-restart = "register"                           # or "resume": with `state`, goes on with registration and observations
//! reset-accounts = false                               # forget stored accounts at each start?
//! update-state = "/data/lapwing"                       # keeps packages and what becomes of them; in `state` by default
//! local-port = 5682                                    # the UDP port to send from; any free one by default
//! socket = "/run/gateway-7.sock"                       # where `lapwing status` asks; by default in /run/lapwing or the user's
//!
//! psk-identity = "gateway-7"                           # with a coaps URI: a pre-shared key ...
//! psk-key-file = "/etc/lapwing/psk.hex"                # in hexadecimal; or `psk-key` with the digits themselves
//! sni = "lwm2m.example.com"                            # the server's name; by default the host of the URI
//! cipher-suites = ["TLS_PSK_WITH_AES_128_CCM_8"]       # by default all that go with the credentials
//! connection-id = true                                 # offered, so that the association outlives a change of address
//! unknown-time = "refuse"                              # certificates while the time is unknown: or "skip" their validity
//!
//! [device]                                   # object 3; what is not given here is asked of the machine
//! manufacturer = "Acme"
//! model = "Gate 7"
//! serial = "0001"
//! firmware-version = "7.1"
//! hardware-version = "B"
//! software-version = "2.0"
//! device-type = "gateway"
//! power-sources = ["dc"]
//! current-time-writable = false              # may a server set the clock?
//! reboot-command = ["systemctl", "reboot"]
//!
//! [firmware]                                 # object 5, where there is an `update-state` or `state` folder
//! installer = "script"                       # the default
//! program = ["/usr/sbin/install-image"]      # and its arguments; it gets the path of the image behind them
//! result = "posix"                           # exit code 0 is success; "ig60": the code is the result of the update
//! confirm = "reboot"                         # reboots and compares the version; "now", the default with "ig60", does not
//! check = ["/usr/sbin/check-image"]          # looks at an image that has come, before it may be installed; its exit code: 0 takes it,
//!                                            # 2 to 9 refuse it as results of an update, all others as damaged (5)
//! accept = ["mark-good"]                     # is run when the new firmware has been shown to run
//! go-back-after = 600                        # seconds for it to register at a server; else what ran before is booted again ...
//! go-back = ["boot-the-other"]               # ... which this arranges, before a reboot
//! defer = ["optional"]                       # updates of such a severity are put off, for as long as the server permits
//! ```
//!
//! Packages that a server wants fetched from a URI need nothing more than `[firmware]`; where they do:
//!
//! ```toml
//! [pull]
//! ca = "/etc/lapwing/files.pem"              # authorities whose https and coaps servers are believed ...
//! system-authorities = true                  # ... beside those that the system trusts, for https
//! cert = "/etc/lapwing/client.pem"           # what servers are shown that ask for a certificate,
//! key = "/etc/lapwing/client.key"            # and its private key; both in PEM
//! proxy = "http://proxy.example.com:3128"    # or "none"; by default what the environment says, such as https_proxy
//! max-rate = 100000                          # bytes per second
//! q-block2 = true                           # ask CoAP servers whether they give several blocks for one request (RFC 9177)
//! give-up = 600                              # after so many seconds without a byte the download fails
//! ```
//!
//! A server that has an account, with the same host and port, is shown the credentials of that account instead.
//!
//! Instead of by a program, firmware is installed by RAUC, with `installer = "rauc"`, or by SWUpdate:
//!
//! ```toml
//! [firmware]
//! installer = "swupdate"
//! sockets = "/tmp"                           # the folder of the daemon's sockets, its TMPDIR
//! sides = { a = "stable,main-a", b = "stable,main-b" }   # software set and running mode of each; the other one is written to
//! bootside = ["fw_printenv", "-n", "bootside"]           # prints which side is booted next
//! running = ["fw_printenv", "-n", "bootside"]            # prints which side runs: another program where the boot loader may fall back
//! go-back = ["fw_setenv", "bootside"]                    # the name of the side to boot comes behind it
//! ```
//!
//! RAUC knows by itself which slot runs, and is told to mark it as good or bad; with SWUpdate's sides the side that runs is compared, not the
//! version.
//!
//! Instead of the pre-shared key, certificates or raw public keys:
//!
//! ```toml
//! key = "/etc/lapwing/client.key"           # the private key on P-256, PEM or DER
//! cert = "/etc/lapwing/client.pem"          # the client's certificate, and those between it and the root
//! server-cert = "/etc/lapwing/server.pem"   # the server's certificate, or as `server-cert-usage` says another of its path
//! server-cert-usage = 3                     # 0 of a CA in a trusted path, 1 the server's in one, 2 the trust anchor, 3 the server's
//! ca = "/etc/lapwing/roots.pem"             # trusted certificates, for usages 0 and 1
//! # with neither `cert` nor `server-cert`, raw public keys:
//! # server-key = "/etc/lapwing/server-key.pem"
//! ```
//!
//! Or a file with all that is to be known of any number of servers, see [`factory`]:
//!
//! ```toml
//! factory-bootstrap = "/etc/lapwing/accounts.toml"
//! ```
//!
//! Software is managed (object 9) as `[[software]]` tables say, see [`software`]; the simplest is the agent itself, under a program that
//! starts it anew:
//!
//! ```toml
//! [[software]]
//! kind = "self"
//! ```
//!
//! Every key may be left out. A key that is not known is refused, naming the nearest known one; a wrong value is refused, naming
//! the key, the value and what was expected. Names of files begin in the folder of the configuration unless they are absolute.

mod device;
mod error;
pub mod factory;
mod firmware;
mod pull;
mod read;
mod runner;
mod secret;
mod security;
pub mod software;

use std::fs;
use std::path::{Path, PathBuf};

use lapwing::credentials::UnknownTime;
use lapwing::{BootstrapAccount, ServerAccount, ServerUri, ShortServerId};
use lapwing_lwm2m::account::UriError;
use zeroize::Zeroizing;

pub use self::device::DeviceConfig;
pub use self::error::ConfigError;
pub use self::firmware::{FirmwareConfig, InstallerConfig};
pub use self::pull::PullSettings;
use self::read::Section;
pub use self::runner::Runner;
pub use self::secret::{Secret, SecretSource, read_secret};
pub use self::security::{SecurityConfig, read_certificates, read_identity, read_preshared_key};
pub use self::software::{SoftwareConfig, SoftwareKind};

/// What a configuration file says; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where the server is.
    pub server: Option<ServerUri>,
    /// Where the bootstrap server is.
    pub bootstrap_server: Option<ServerUri>,
    /// A file that describes servers, instead of the two before; see [`factory`].
    pub factory_bootstrap: Option<PathBuf>,
    /// The endpoint client name (LwM2M 1.1 core section 6.4.1).
    pub endpoint: Option<String>,
    /// The lifetime of the registration in seconds; 0 never lapses.
    pub lifetime: Option<u32>,
    /// The version of LwM2M to register with.
    pub version: Option<Version>,
    /// A folder that keeps accounts, associations and what servers have changed, such as the lifetime, across restarts.
    pub state: Option<PathBuf>,
    /// Whether accounts that are stored are forgotten at the start.
    pub reset_accounts: bool,
    /// What becomes of the registration when the agent ends and is started again.
    pub after_restart: AfterRestart,
    /// A folder that keeps packages and what becomes of them; by default it is [`state`](Config::state).
    pub update_state: Option<PathBuf>,
    /// The UDP port to send from; any free one by default.
    pub local_port: Option<u16>,
    /// Where the control socket is; by default in the runtime folder, see [`control`](crate::control).
    pub socket: Option<PathBuf>,
    /// How both servers are spoken to where their URIs are `coaps`.
    pub security: SecurityConfig,
    /// A file of trusted certificates in PEM or one in DER, for the usages 0 and 1 of a server's certificate.
    pub ca: Option<PathBuf>,
    /// What certificates are worth while the time is not known; they are refused by default.
    pub unknown_time: Option<UnknownTime>,
    /// Whether DTLS Connection IDs are offered (RFC 9146); they are by default.
    pub connection_id: Option<bool>,
    /// Values of object 3.
    pub device: DeviceConfig,
    /// How firmware is installed; without it there is no object 5.
    pub firmware: Option<FirmwareConfig>,
    /// The instances of object 9.
    pub software: Vec<SoftwareConfig>,
    /// What the program that starts the agent says to it; not in a file.
    pub runner: Runner,
    /// How packages are fetched from URIs.
    pub pull: PullSettings,
}

/// What becomes of the registration when the agent ends and is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AfterRestart {
    /// It ends with the agent: the next one registers, and servers observe anew.
    #[default]
    Register,
    /// It stays, with what servers observe, and the next one goes on with it.
    Resume,
}

impl std::str::FromStr for AfterRestart {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "register" => Ok(Self::Register),
            "resume" => Ok(Self::Resume),
            _ => Err(()),
        }
    }
}

/// A version of LwM2M that the agent speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// LwM2M 1.0.
    V1_0,
    /// LwM2M 1.1.
    #[default]
    V1_1,
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.0" => Ok(Self::V1_0),
            "1.1" => Ok(Self::V1_1),
            _ => Err(VERSION_EXPECTED.to_owned()),
        }
    }
}

const VERSION_EXPECTED: &str = "\"1.0\" or \"1.1\"";
const UNKNOWN_TIME_EXPECTED: &str = "\"refuse\" or \"skip\"";
const SECONDS: &str = "seconds from 0 to 4294967295";

/// Reads what certificates are worth while the time is not known.
///
/// # Errors
/// What was expected instead.
pub fn unknown_time(text: &str) -> Result<UnknownTime, String> {
    match text {
        "refuse" => Ok(UnknownTime::Refuse),
        "skip" => Ok(UnknownTime::Skip),
        _ => Err(UNKNOWN_TIME_EXPECTED.to_owned()),
    }
}

/// The accounts that a configuration describes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Accounts {
    /// The servers to register at.
    pub servers: Vec<ServerAccount>,
    /// The bootstrap server.
    pub bootstrap: Option<BootstrapAccount>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read or says something that is not understood.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        in_file(path, Self::parse)
    }

    /// Reads a configuration from text; names of files that are not absolute begin in `folder`.
    ///
    /// # Errors
    /// When the text says something that is not understood.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let mut root = table(text, folder)?;
        let config = Self {
            server: root.text("server", server_uri)?,
            bootstrap_server: root.text("bootstrap-server", server_uri)?,
            factory_bootstrap: root.file("factory-bootstrap")?,
            endpoint: root.text("endpoint", endpoint)?,
            lifetime: root.number("lifetime", SECONDS)?,
            version: root.parsed("version", VERSION_EXPECTED)?,
            state: root.text("state", state)?,
            reset_accounts: root.boolean("reset-accounts")?.unwrap_or(false),
            after_restart: root.parsed("after-restart", "\"register\" or \"resume\"")?.unwrap_or_default(),
            update_state: root.text("update-state", state)?,
            local_port: root.number("local-port", "a port from 0 to 65535")?,
            socket: root.file("socket")?,
            security: SecurityConfig::read(&mut root)?,
            ca: root.file("ca")?,
            unknown_time: root.text("unknown-time", unknown_time)?,
            connection_id: root.boolean("connection-id")?,
            device: DeviceConfig::read(root.section("device")?)?,
            firmware: root.section("firmware")?.map(FirmwareConfig::read).transpose()?,
            software: SoftwareConfig::read_all(root.sections("software")?)?,
            runner: Runner::default(),
            pull: root.section("pull")?.map(PullSettings::read).transpose()?.unwrap_or_default(),
        };
        root.text("binding", binding)?;
        root.finish()?;
        Ok(config)
    }

    /// Where packages are kept, and what becomes of them.
    pub(crate) fn update_folder(&self) -> Option<&Path> {
        self.update_state.as_deref().or(self.state.as_deref())
    }

    /// The accounts of the servers, with the credentials that the files hold. `lifetime` is that of a registration where none is configured, in
    /// seconds.
    ///
    /// # Errors
    /// When there is no server, a file cannot be used, or the credentials are not enough or too much.
    pub fn accounts(&self, lifetime: u32) -> Result<Accounts, ConfigError> {
        let uris = || self.server.iter().chain(&self.bootstrap_server);
        if let Some(file) = &self.factory_bootstrap {
            let beside = self.server.as_ref().map(|_| "server");
            let beside = beside.or(self.bootstrap_server.as_ref().map(|_| "bootstrap-server"));
            return match beside.or(self.security.credential()) {
                Some(other) => Err(ConfigError::Conflict { key: "factory-bootstrap", other }),
                None => factory::load(file),
            };
        }
        let first = uris().next().ok_or(ConfigError::NoServer)?;
        match self.security.credential() {
            Some(key) if !uris().any(ServerUri::is_secure) => {
                return Err(ConfigError::Unused { key, uri: first.to_string() });
            }
            _ => {}
        }
        let mut accounts = Accounts::default();
        if let Some(uri) = &self.server {
            let account = ServerAccount::new(SERVER, uri.clone()).security(self.security.load(uri)?);
            accounts.servers.push(account.lifetime(self.lifetime.unwrap_or(lifetime)));
        }
        if let Some(uri) = &self.bootstrap_server {
            accounts.bootstrap = Some(BootstrapAccount::new(uri.clone()).security(self.security.load(uri)?));
        }
        Ok(accounts)
    }

    /// The certificates in the file that `ca` names, in DER.
    ///
    /// # Errors
    /// When the file cannot be read or has none.
    pub fn trust_anchors(&self) -> Result<Vec<Vec<u8>>, ConfigError> {
        self.ca.as_deref().map_or(Ok(Vec::new()), |path| security::read_certificates("ca", path))
    }
}

/// The Short Server ID of the one server that the configuration itself describes.
const SERVER: ShortServerId = 1;

/// What `read` makes of a file's text and folder; its errors name the file.
fn in_file<T>(path: &Path, read: impl FnOnce(&str, &Path) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
    // There may be a secret in it.
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    read(&text, path.parent().unwrap_or(Path::new("")))
        .map_err(|error| ConfigError::InFile { path: path.to_owned(), error: Box::new(error) })
}

fn table(text: &str, folder: &Path) -> Result<Section, ConfigError> {
    let table = text.parse::<toml::Table>().map_err(|error| ConfigError::syntax(text, &error))?;
    Ok(Section::new("", table, folder))
}

/// Reads the URI of a server.
///
/// # Errors
/// What was expected instead.
pub fn server_uri(text: &str) -> Result<ServerUri, String> {
    const EXPECTED: &str = "a URI such as coaps://host:5684 or coap://host:5683";
    text.parse::<ServerUri>().map_err(|error| match error {
        UriError::NoScheme | UriError::Scheme(_) => EXPECTED.to_owned(),
        error => format!("{EXPECTED} ({error})"),
    })
}

/// Reads an endpoint's name: it travels as a Uri-Query option `ep=NAME`, 255 bytes at most (RFC 7252 section 5.10).
///
/// # Errors
/// What was expected instead.
pub fn endpoint(name: &str) -> Result<String, String> {
    match name.len() {
        1..=252 if !name.contains(char::is_control) => Ok(name.to_owned()),
        _ => Err("1 to 252 bytes without control characters".to_owned()),
    }
}

/// Reads the name of the folder of what is kept.
///
/// # Errors
/// What was expected instead.
pub fn state(folder: &str) -> Result<PathBuf, String> {
    let folder = PathBuf::from(folder);
    if folder.is_absolute() { Ok(folder) } else { Err("the absolute path of a folder".to_owned()) }
}

fn binding(binding: &str) -> Result<(), String> {
    if binding == "U" { Ok(()) } else { Err("\"U\" (UDP), the only binding there is yet".to_owned()) }
}

#[cfg(test)]
mod tests;
