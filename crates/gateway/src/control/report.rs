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
