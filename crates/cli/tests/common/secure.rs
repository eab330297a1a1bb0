//! A development server behind DTLS.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{Outcome, Running, lapwing};

/// The identity that the server knows.
pub(crate) const IDENTITY: &str = "gw";
/// Its key, in hexadecimal: `secret for tests` in ASCII.
pub(crate) const KEY: &str = "73656372657420666f72207465737473";

/// A running `lapwing serve` on free ports that knows one pre-shared key.
pub(crate) struct SecureServer {
    pub(crate) process: Running,
    /// The API's URL.
    pub(crate) api: String,
    /// The URI to register at, coaps.
    pub(crate) uri: String,
    /// Holds `psk.hex`, and whatever the test wants.
    pub(crate) folder: TempDir,
}

impl SecureServer {
    pub(crate) fn start() -> Self {
        Self::start_in(&[])
    }

    /// The same with more in its environment.
    pub(crate) fn start_in(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("psk.hex");
        fs::write(&file, format!("{KEY}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let psk = format!("gw,{IDENTITY},{}", file.display());
        let ports = ["--coap", "127.0.0.1:0", "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let process = Running::start_in(environment, &[&["serve"], &ports[..], &["--psk", &psk]].concat());
        let (api, _plain, uri) = (process.line(), process.line(), process.line());
        assert!(api.starts_with("http://127.0.0.1:") && uri.starts_with("coaps://127.0.0.1:"), "{api} {uri}");
        Self { process, api, uri, folder }
    }

    /// The file with the key.
    pub(crate) fn key_file(&self) -> String {
        self.folder.path().join("psk.hex").to_str().unwrap().to_owned()
    }

    /// The server's address and port.
    pub(crate) fn authority(&self) -> &str {
        self.uri.strip_prefix("coaps://").unwrap()
    }

    /// `lapwing manage` against this server.
    pub(crate) fn manage(&self, arguments: &[&str]) -> Outcome {
        lapwing(&[&["manage", "--api", &self.api], arguments].concat())
    }

    /// The registered clients as the API shows them.
    pub(crate) fn clients(&self) -> Vec<Json> {
        self.manage(&["clients", "--json"]).json().as_array().unwrap().clone()
    }

    /// An agent that has yet to register here with the key in a file.
    pub(crate) fn agent(&self, endpoint: &str, key_file: &str, more: &[&str]) -> Running {
        self.agent_in(&[], endpoint, key_file, more)
    }

    /// The same with more in its environment.
    pub(crate) fn agent_in(
        &self,
        environment: &[(&str, &str)],
        endpoint: &str,
        key_file: &str,
        more: &[&str],
    ) -> Running {
        let common = ["run", "--server", &self.uri, "--endpoint", endpoint, "--psk-identity", IDENTITY];
        Running::start_in(environment, &[&common[..], &["--psk-key-file", key_file], more].concat())
    }
}
