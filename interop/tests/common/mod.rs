//! What the suites against Leshan share.
#![allow(dead_code, reason = "each suite is a crate of its own and uses its part")]

pub(crate) mod firmware;
pub(crate) mod registered;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use bed::{Process, built, keys::KeyFiles};
use lapwing_lwm2m::definitions;
use lapwing_lwm2m::model::{Version, lwm2m_xml};
use tempfile::TempDir;

/// The objects that the agent and the test object offer, as LWM2M XML made from our own definitions.
pub(crate) fn models() -> &'static Path {
    static MODELS: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = bed::target().join("models");
        fs::create_dir_all(&folder).expect("the target folder is ours");
        let objects =
            [(1, 1, 1), (3, 1, 2), (4, 1, 2), (4, 1, 3), (5, 1, 0), (5, 1, 2), (9, 1, 0), (9, 1, 1), (3441, 1, 0)];
        for (object, major, minor) in objects {
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

/// How an agent and a server know each other, as options of `lapwing run`.
#[derive(Clone, Copy)]
pub(crate) enum Security<'a> {
    /// Plain CoAP.
    None,
    /// A pre-shared key, in hexadecimal digits.
    Psk(&'a str, &'a str),
    /// A raw public key, and the server's.
    RawPublicKey(&'a KeyFiles, &'a KeyFiles),
    /// A certificate, and the server's own.
    Certificate(&'a KeyFiles, &'a KeyFiles),
}

impl Security<'_> {
    fn options(self, folder: &Path) -> Vec<String> {
        let file = |path: &Path| path.display().to_string();
        match self {
            Self::None => Vec::new(),
            Self::Psk(identity, key) => {
                let name = folder.join("psk.hex");
                fs::write(&name, key).expect("a scratch file");
                fs::set_permissions(&name, fs::Permissions::from_mode(0o600)).expect("it is ours");
                vec!["--psk-identity", identity, "--psk-key-file", &file(&name)]
                    .into_iter()
                    .map(str::to_owned)
                    .collect()
            }
            Self::RawPublicKey(own, server) => {
                vec!["--key".to_owned(), file(&own.private_pem), "--server-key".to_owned(), file(&server.public_pem)]
            }
            Self::Certificate(own, server) => {
                let own = ["--key".to_owned(), file(&own.private_pem), "--cert".to_owned(), file(&own.certificate)];
                [&own[..], &["--server-cert".to_owned(), file(&server.certificate)]].concat()
            }
        }
    }
}

/// An agent of this machine, `lapwing run`, with a configuration of its own.
pub(crate) struct Agent {
    pub(crate) endpoint: String,
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
    mounts: Option<String>,
}

impl Agent {
    /// Starts `lapwing run` for `server`, with the given lines in its configuration.
    pub(crate) fn start(server: &str, endpoint: &str, lifetime: u32, configuration: &str) -> Self {
        let lifetime = lifetime.to_string();
        Self::with(endpoint, Security::None, &["--server", server, "--lifetime", &lifetime], configuration)
    }

    /// The same, where a shell has run `mounts` before: nobody else sees what they mount. `{folder}` is its own there too. Needs root.
    pub(crate) fn with_mounts(server: &str, endpoint: &str, mounts: &str, configuration: &str) -> Self {
        Self::launch(endpoint, Security::None, &["--server", server], configuration, Some(mounts))
    }

    /// Starts `lapwing run` with these options; in them and in the configuration's lines, `{folder}` is its own.
    pub(crate) fn with(endpoint: &str, security: Security<'_>, options: &[&str], configuration: &str) -> Self {
        Self::launch(endpoint, security, options, configuration, None)
    }

    fn launch(
        endpoint: &str,
        security: Security<'_>,
        options: &[&str],
        configuration: &str,
        mounts: Option<&str>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let place = |text: &str| text.replace("{folder}", &folder.path().to_string_lossy());
        let file = folder.path().join("lapwing.toml");
        fs::write(&file, place(configuration)).expect("a configuration");
        let mut arguments = vec!["run".to_owned(), "--endpoint".to_owned(), endpoint.to_owned()];
        arguments.extend(["--config".to_owned(), file.display().to_string()]);
        arguments.extend(options.iter().map(|option| place(option)));
        arguments.extend(security.options(folder.path()));
        let mounts = mounts.map(place);
        let process = run(&arguments, mounts.as_deref());
        Self { endpoint: endpoint.to_owned(), process, folder, arguments, mounts }
    }

    /// Another client than the agent: `program` of this workspace with the server's URI and the endpoint as its arguments.
    pub(crate) fn other(program: &str, server: &str, endpoint: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let process = Process::start(Command::new(built(program)).args([server, endpoint]));
        Self { endpoint: endpoint.to_owned(), process, folder, arguments: Vec::new(), mounts: None }
    }

    /// Kills the agent and starts it again, with `more` options.
    pub(crate) fn kill_and_restart(&mut self, more: &[&str]) {
        self.process.signal("KILL");
        self.process.ended();
        self.arguments.extend(more.iter().map(|&option| option.to_owned()));
        self.process = run(&self.arguments, self.mounts.as_deref());
    }
}

fn run(arguments: &[String], mounts: Option<&str>) -> Process {
    let mut command = Command::new(built("lapwing"));
    if let Some(mounts) = mounts {
        command = Command::new("unshare");
        let script = format!("set -e; {mounts}; exec \"$@\"");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]).arg(built("lapwing"));
    }
    Process::start(command.args(arguments).env("LAPWING_LOG", "debug"))
}

/// Our development server, `lapwing serve`, on free ports.
pub(crate) struct DevelopmentServer {
    pub(crate) coap: u16,
    pub(crate) coaps: u16,
    /// The address of its HTTP API, without a slash at the end.
    pub(crate) http: String,
    /// The URIs of its bootstrap server, over CoAP and over DTLS, if it was started with one.
    pub(crate) bootstrap: Vec<String>,
    _process: Process,
}

impl DevelopmentServer {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts it with further options; a bootstrap server is on both kinds of ports.
    pub(crate) fn with(more: &[&str]) -> Self {
        let mut command = Command::new(built("lapwing"));
        command.args(["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]).args(more);
        let mut process = Process::start(&mut command);
        let port = |line: String| line.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        let http = process.out.next_with("http://").trim_end_matches('/').to_owned();
        let coap = port(process.out.next_with("coap://"));
        let coaps = port(process.out.next_with("coaps://"));
        let mut bootstrap = Vec::new();
        if more.contains(&"--bootstrap") {
            let uri = |line: String| line.trim_start_matches("bootstrap ").to_owned();
            bootstrap = vec![uri(process.out.next_with("coap://")), uri(process.out.next_with("coaps://"))];
        }
        Self { coap, coaps, http, bootstrap, _process: process }
    }
}
