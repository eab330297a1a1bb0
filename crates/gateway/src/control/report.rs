use serde::{Deserialize, Serialize};

/// What an agent says of itself. As JSON, names are in camel case, and what is not there is absent. Durations are in seconds: a gateway
/// may not know the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// The endpoint client name.
    pub endpoint: String,
    /// The number of its process.
    pub process: u32,
    /// How long it has been running.
    pub running_for: u64,
    /// The version of the agent.
    pub agent_version: String,
    /// The version of LwM2M it speaks.
    pub lwm2m_version: String,
    /// The version of the firmware (3/0/3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_version: Option<String>,
    /// The version of the software (3/0/19).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// The bootstrap, once one was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// The servers, by Short Server ID.
    pub servers: Vec<Server>,
    /// The firmware (object 5), where it can be updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Update>,
    /// What of software can be updated (object 9), by instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub software: Vec<Software>,
}

/// An instance of object 9.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Software {
    /// Its number.
    pub instance: u16,
    /// As the configuration calls it.
    pub name: String,
    /// What its update is in.
    #[serde(flatten)]
    pub update: Update,
    /// Whether it may run (9/x/12).
    pub active: bool,
    /// What it does (9/x/21).
    pub operation: String,
    /// What is being done with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Why something has failed last (9/x/16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the update of something is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Update {
    /// The state's number (5/0/3, 9/x/7).
    pub state: u8,
    /// Its name.
    pub state_name: String,
    /// The number of the last result (5/0/5, 9/x/9).
    pub result: u8,
    /// What it means.
    pub result_text: String,
    /// Of firmware the package that is there, or is being installed; of software what servers are told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
    /// The transfer that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// The installation that is under way, where the installer says how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Package {
    /// Its name (5/0/6, 9/x/0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version (5/0/7, 9/x/1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its length, of firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// How far a transfer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Transfer {
    /// Where the package is fetched from, without what may be secret of it; a server pushes it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// So many bytes are there. Until the first of them has come nothing is known of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Of so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes a second, of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Why nothing comes at present, of what is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The next attempt begins in so many seconds, then; 0 while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<u64>,
    /// And the transfer is given up in so many, should nothing come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up_in: Option<u64>,
}

/// How far an installation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Installation {
    /// Of the whole.
    pub percent: u8,
    /// What is being done, in the installer's words.
    pub step: String,
}

/// What has become of the latest bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Bootstrap {
    /// Where the bootstrap server is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What it is in.
    pub state: BootstrapState,
    /// For how long.
    pub state_for: u64,
    /// Why it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the bootstrap server is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<u64>,
}

/// What a bootstrap is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BootstrapState {
    /// It is going on.
    Begun,
    /// The accounts are in force.
    Finished,
    /// It has failed.
    Failed,
}

/// What has become of the registration at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Server {
    /// Its Short Server ID.
    pub short_server_id: u16,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What the registration is in.
    pub state: ServerState,
    /// For how long, where anything has happened yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_for: Option<u64>,
    /// Why the last attempt has failed, or why the registration was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the next attempt begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<u64>,
}

/// What a registration is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ServerState {
    /// An attempt is under way.
    Registering,
    /// The server has it.
    Registered,
    /// The next attempt waits for its time.
    Waiting,
    /// The server disabled the client for a while.
    Disabled,
    /// De-registered, or out of attempts.
    Stopped,
}
