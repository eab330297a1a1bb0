//! What the suites against Leshan share.
#![allow(dead_code, reason = "each suite is a crate of its own and uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use bed::{Process, built};
use lapwing_lwm2m::definitions;
use lapwing_lwm2m::model::{Version, lwm2m_xml};

/// The objects that the agent and the test object offer, as LWM2M XML made from our own definitions.
pub(crate) fn models() -> &'static Path {
    static MODELS: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = bed::target().join("models");
        fs::create_dir_all(&folder).expect("the target folder is ours");
        for (object, major, minor) in [(1, 1, 1), (3, 1, 2), (4, 1, 2), (4, 1, 3), (3441, 1, 0)] {
            let definition = definitions::find(object, Version { major, minor })
                .unwrap_or_else(|| panic!("object {object} {major}.{minor} is defined"));
            // Written whole under another name first: another suite may be reading the folder.
            let file = folder.join(format!("{object}-{major}_{minor}.xml"));
            let part = folder.join(format!("{object}-{major}_{minor}.{}", std::process::id()));
            fs::write(&part, lwm2m_xml(definition))
                .and_then(|()| fs::rename(&part, &file))
                .expect("a model is written");
        }
        folder
    });
    &MODELS
}

/// An agent of this machine, `lapwing run`, with a configuration of its own.
pub(crate) struct Agent {
    pub(crate) endpoint: String,
    pub(crate) process: Process,
    pub(crate) folder: tempfile::TempDir,
}

impl Agent {
    /// Starts `lapwing run` for `server`, with the given lines in its configuration.
    pub(crate) fn start(server: &str, endpoint: &str, lifetime: u32, configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("lapwing.toml");
        fs::write(&file, configuration.replace("{folder}", &folder.path().to_string_lossy())).expect("a configuration");
        let process = Process::start(
            Command::new(built("lapwing"))
                .args(["run", "--server", server, "--endpoint", endpoint, "--lifetime", &lifetime.to_string()])
                .arg("--config")
                .arg(&file)
                .env("LAPWING_LOG", "debug"),
        );
        Self { endpoint: endpoint.to_owned(), process, folder }
    }
}

/// Our development server, `lapwing serve`, on free ports.
pub(crate) struct DevelopmentServer {
    pub(crate) coap: u16,
    /// The address of its HTTP API, without a slash at the end.
    pub(crate) http: String,
    _process: Process,
}

impl DevelopmentServer {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(built("lapwing"));
        let mut process = Process::start(command.args(["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]));
        let http = process.out.next_with("http://").trim_end_matches('/').to_owned();
        let coap = process.out.next_with("coap://");
        let coap = coap.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        Self { coap, http, _process: process }
    }
}
