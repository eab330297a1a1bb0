//! An agent and a server that it is registered at, as two processes of the release build.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use bed::Process;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{Result, process, scratch};

const CONFIGURATION: &str = "[firmware]\nprogram = [\"/bin/true\"]\nconfirm = \"now\"\n";
/// How often it is asked whether the package has come: seldom enough not to count.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Agent {
    agent: Process,
    api: String,
    http: String,
    _server: Process,
    _state: TempDir,
}

/// The core of the one that is measured.
pub(crate) const RECEIVER: &str = "1";

/// A program that is to run on one core.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// Free for UDP and for TCP.
pub(crate) fn free_port() -> Result<u16> {
    let tcp = TcpListener::bind("127.0.0.1:0")?;
    Ok(UdpSocket::bind(tcp.local_addr()?)?.local_addr()?.port())
}

impl Agent {
    /// Starts both, and hosts the file at the server, which runs on this core.
    pub(crate) fn start(program: &Path, image: &Path, core: &str) -> Result<Self> {
        let (coap, http) = (free_port()?, free_port()?);
        let http = format!("http://127.0.0.1:{http}");
        let mut server = pinned(core, program);
        server.args(["serve", "--coap", &format!("127.0.0.1:{coap}"), "--http", &http[7..]]);
        let server = Process::start(&mut server);
        let state = scratch()?;
        let configuration: PathBuf = state.path().join("agent.toml");
        fs::write(&configuration, CONFIGURATION)?;
        let mut agent = pinned(RECEIVER, program);
        agent.args(["run", "--endpoint", "bench", "--server", &format!("coap://127.0.0.1:{coap}"), "--config"]);
        let agent = Process::start(agent.arg(configuration).arg("--state").arg(state.path().join("state")));
        let started = Self { agent, api: format!("{http}/api"), http, _server: server, _state: state };
        bed::eventually("the agent registers", || started.get("/clients/bench").ok());
        ureq::put(format!("{}/files/image", started.api)).send(fs::File::open(image)?)?;
        Ok(started)
    }

    pub(crate) fn id(&self) -> u32 {
        self.agent.id()
    }

    /// Where the server hosts the file, over HTTP.
    pub(crate) fn hosted(&self) -> String {
        format!("{}/files/image", self.http)
    }

    /// The server pushes the file; returns when the agent has it.
    pub(crate) fn push(&self) -> Result<()> {
        ureq::post(format!("{}/clients/bench/5/0/0/push?file=image", self.api)).send_empty()?;
        self.downloaded()
    }

    /// The agent pulls; returns when it has the file.
    pub(crate) fn pull(&self, uri: &str) -> Result<()> {
        self.write_uri(uri)?;
        self.downloaded()
    }

    /// Forgets the package.
    pub(crate) fn reset(&self) -> Result<()> {
        self.write_uri("")
    }

    fn write_uri(&self, uri: &str) -> Result<()> {
        let value = serde_json::json!({ "id": 1, "kind": "singleResource", "type": "STRING", "value": uri });
        let request = ureq::put(format!("{}/clients/bench/5/0/1", self.api)).content_type("application/json");
        let answer: Json = serde_json::from_str(&request.send(value.to_string())?.body_mut().read_to_string()?)?;
        if answer["success"] == true { Ok(()) } else { Err(format!("5/0/1: {answer}").into()) }
    }

    fn downloaded(&self) -> Result<()> {
        loop {
            sleep(LOOK);
            match (self.number("/5/0/3")?, self.number("/5/0/5")?) {
                (2, _) => return Ok(()),
                (_, 0) => {}
                (_, result) => return Err(format!("the download ended with {result}").into()),
            }
        }
    }

    fn number(&self, path: &str) -> Result<u64> {
        let answer = self.get(&format!("/clients/bench{path}"))?;
        let value = &answer["content"]["value"];
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.ok_or_else(|| format!("{path}: {answer}").into())
    }

    fn get(&self, path: &str) -> Result<Json> {
        let mut answer = ureq::get(format!("{}{path}", self.api)).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }

    /// The resident memory at most since the last call, in KiB.
    pub(crate) fn peak(&self) -> Result<u64> {
        process::peak(self.id())
    }
}
