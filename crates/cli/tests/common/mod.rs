//! The command as its users start it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod files;
pub(crate) mod firmware;
pub(crate) mod namespace;
pub(crate) mod proxy;
pub(crate) mod secrets;
pub(crate) mod secure;
pub(crate) mod strace;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapwing_lwm2m::model::Value;
use lapwing_lwm2m::server::{Content, ServerEvent};
use lapwing_server::Subscription;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tokio::time::timeout;

/// How long anything in these tests may take on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The standard output of a command that went well.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout.trim_end().to_owned()
    }

    /// The one JSON document that a command printed, whatever its exit code.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The complaint of a command that failed with this exit code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr.trim_end().to_owned()
    }
}

fn command(arguments: &[&str]) -> Command {
    command_of(env!("CARGO_BIN_EXE_lapwing"), arguments)
}

fn command_of(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("LAPWING_LOG").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub(crate) fn lapwing(arguments: &[&str]) -> Outcome {
    lapwing_in(&[], arguments)
}

/// The same with more in its environment.
pub(crate) fn lapwing_in(environment: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let output = command(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A command that stays; killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// It has others to end, when it is asked to.
    leads: bool,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    /// The same with more in its environment.
    pub(crate) fn start_in(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::spawn(command(arguments), environment)
    }

    /// Another program, which starts the command.
    pub(crate) fn start_program(program: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut running = Self::spawn(command_of(program, arguments), environment);
        running.leads = true;
        running
    }

    /// The same by another program, which becomes it: the command stands behind `by`.
    pub(crate) fn start_by(by: &[&str], arguments: &[&str]) -> Self {
        let arguments = [&by[1..], &[env!("CARGO_BIN_EXE_lapwing")], arguments].concat();
        Self::spawn(command_of(by[0], &arguments), &[])
    }

    fn spawn(mut command: Command, environment: &[(&str, &str)]) -> Self {
        let mut child =
            command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (into, mut from) = (stderr.clone(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { child, leads: false, lines, stderr }
    }

    /// The next line of its standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}: {}", self.stderr()))
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until its diagnostics contain `text`.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        eventually(|| self.stderr().contains(text), || format!("{text:?} in {:?}", self.stderr()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal and waits for the end: the exit code and what it printed since the last line taken.
    #[track_caller]
    pub(crate) fn stop(mut self, signal: Signal) -> (Option<i32>, Vec<String>, String) {
        self::signal(&self.child, signal);
        let (mut status, stderr) = (None, self.stderr.clone());
        eventually(
            || {
                status = self.child.try_wait().unwrap();
                status.is_some()
            },
            || format!("the end: {}", stderr.lock().unwrap()),
        );
        (status.and_then(|status| status.code()), self.lines.iter().collect(), self.stderr())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.leads && self.is_running() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let asked = Instant::now();
            while self.is_running() && asked.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a command.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The states that are notified until this one is. The registration stays what it is meanwhile.
pub(crate) async fn states_up_to(events: &mut Subscription<ServerEvent>, agent: &Running, last: i64) -> Vec<i64> {
    let mut states = Vec::new();
    let notified = async {
        while states.last() != Some(&last) {
            match events.next().await {
                Some(ServerEvent::Notification { response, .. }) => {
                    let Content::Node(node) = &response.content else { panic!("{response:?}") };
                    states.extend(node.value().and_then(Value::as_integer));
                }
                Some(ServerEvent::Registered { .. } | ServerEvent::Deregistered { .. }) => {
                    panic!("another registration, after {states:?}")
                }
                _ => {}
            }
        }
    };
    timeout(PATIENCE, notified).await.unwrap_or_else(|_| panic!("no state {last}: {}", agent.stderr()));
    states
}

/// Waits until `done`; panics with what was waited for.
#[track_caller]
pub(crate) fn eventually(mut done: impl FnMut() -> bool, what: impl FnOnce() -> String) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {}", what());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running `lapwing serve` on free ports.
pub(crate) struct Server {
    pub(crate) process: Running,
    /// The API's URL.
    pub(crate) api: String,
    /// The URI to register at.
    pub(crate) uri: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let process = Running::start(&["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let (api, uri) = (process.line(), process.line());
        assert!(api.starts_with("http://127.0.0.1:") && uri.starts_with("coap://127.0.0.1:"), "{api} {uri}");
        Self { process, api, uri }
    }

    /// `lapwing manage` against this server.
    pub(crate) fn manage(&self, arguments: &[&str]) -> Outcome {
        lapwing(&[&["manage", "--api", &self.api], arguments].concat())
    }

    /// The registered clients as the API shows them.
    pub(crate) fn clients(&self) -> Vec<Json> {
        self.manage(&["clients", "--json"]).json().as_array().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn wait_for_clients(&self, count: usize) {
        eventually(|| self.clients().len() == count, || format!("{count} clients"));
    }

    /// An agent that is registered here.
    pub(crate) fn agent(&self, endpoint: &str, more: &[&str]) -> Running {
        let common = ["run", "--server", &self.uri, "--endpoint", endpoint];
        let agent = Running::start(&[&common, more].concat());
        agent.says("registered at");
        agent
    }
}
