//! The agent updates itself: the real agent under its real runner takes a package from a real server, installs it, ends, and is
//! started anew as what came in the package.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::proxy::Proxy;
use common::{PATIENCE, Running, states_up_to};
use lapwing_coap::ContentFormat;
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::{Node, Path, Value};
use lapwing_lwm2m::server::{Content, Registration, Request, RequestError, ServerEvent, WriteMode};
use lapwing_server::{Handle, Server, Subscription};
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/ig60/ig60_lwm2m2_client.sh");
/// The name of the executable, in the package too.
const NAME: &str = "lapwing";

const PACKAGE: u16 = 2;
const INSTALL: u16 = 4;
const UNINSTALL: u16 = 6;
const STATE: u16 = 7;
const RESULT: u16 = 9;
const ACTIVATE: u16 = 10;
const ACTIVE: u16 = 12;
const OPERATIONAL: u16 = 21;
const SHUTTING_DOWN: i64 = 2;

fn resource(id: u16) -> Path {
    Path::object(9).instance(0).resource(id)
}

/// A gateway with an agent, and its server.
struct Bench {
    folder: tempfile::TempDir,
    server: Handle,
    events: Subscription<ServerEvent>,
    /// What notifications said.
    notified: Vec<i64>,
    trial_seconds: u32,
}

impl Bench {
    async fn new() -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::builder().coap(any).http(any).bind().await.unwrap();
        let (handle, events) = (server.handle(), server.handle().subscribe());
        tokio::spawn(server.run(std::future::pending()));
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder, server: handle, events, notified: Vec::new(), trial_seconds: 120 };
        for folder in ["usr", "run"] {
            fs::create_dir(bench.path(folder)).unwrap();
        }
        // A link is enough for the agent that came with the machine: the runner copies it.
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lapwing"), bench.path("usr").join(NAME)).unwrap();
        bench.configure(&bench.server.coap_address().to_string(), "kind = 'self'");
        bench
    }

    /// The agent registers at this address, and has this software.
    fn configure(&self, server: &str, software: &str) {
        let state = self.path("state");
        let config = format!(
            "server = 'coap://{server}'\nendpoint = 'gw'\nstate = '{}'\n[[software]]\n{software}\n",
            state.display()
        );
        fs::write(self.path("agent.toml"), config).unwrap();
    }

    /// Starts the agent with this software and without a runner.
    fn agent(&self, software: &str) -> Running {
        self.configure(&self.server.coap_address().to_string(), software);
        Running::start(&["run", "--config", self.path("agent.toml").to_str().unwrap()])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the runner, as the machine does.
    fn runner(&self) -> Running {
        let environment = [
            ("LAPWING_INITIAL", self.path("usr").join(NAME).display().to_string()),
            ("LAPWING_RUN", self.path("run").display().to_string()),
            ("LAPWING_UPDATES", self.path("updates").display().to_string()),
            ("LAPWING_TRIAL_SECONDS", self.trial_seconds.to_string()),
        ];
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let config = self.path("agent.toml");
        Running::start_program(RUNNER, &environment, &["run", "--config", config.to_str().unwrap()])
    }

    /// A package with this executable.
    fn package(&self, executable: &[u8]) -> Vec<u8> {
        self.pack(NAME, executable, None)
    }

    /// A package with this file, and this signature of its checksums.
    fn pack(&self, name: &str, content: &[u8], signature: Option<&str>) -> Vec<u8> {
        let folder = self.path("packed");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(name), content).unwrap();
        if let Some(signature) = signature {
            fs::write(folder.join("checksums.txt.minisig"), signature).unwrap();
        }
        let script = format!("sha256sum '{name}' > checksums.txt && tar c * | gzip -1 > ../package");
        let made = Command::new("sh").args(["-ec", &script]).current_dir(&folder).status().unwrap();
        assert!(made.success());
        fs::read(self.path("package")).unwrap()
    }

    async fn registered(&mut self, runner: &Running) -> Arc<Registration> {
        let registered = async {
            loop {
                match self.events.next().await {
                    Some(ServerEvent::Registered { registration, .. }) => return registration,
                    Some(ServerEvent::Notification { response, .. }) => {
                        if let Content::Node(node) = &response.content {
                            self.notified.extend(node.value().and_then(Value::as_integer));
                        }
                    }
                    _ => {}
                }
            }
        };
        timeout(2 * PATIENCE, registered).await.unwrap_or_else(|_| panic!("no registration: {}", runner.stderr()))
    }

    async fn ask(&self, registration: &Registration, request: Request) -> Result<Code, RequestError> {
        Ok(self.server.request(registration.id, request, Some(4 * PATIENCE)).await?.code)
    }

    async fn push(&self, registration: &Registration, package: Vec<u8>) -> Code {
        let node = Node::single(Value::Opaque(package));
        let (path, format) = (resource(PACKAGE), Some(ContentFormat::OPAQUE));
        self.ask(registration, Request::Write { path, mode: WriteMode::Replace, format, node }).await.unwrap()
    }

    async fn execute(&self, registration: &Registration, id: u16) -> Code {
        let request = Request::Execute { path: resource(id), arguments: String::new() };
        self.ask(registration, request).await.unwrap()
    }

    async fn value(&self, registration: &Registration, id: u16) -> Value {
        let request = Request::Read { path: resource(id), format: None };
        let response = self.server.request(registration.id, request, Some(PATIENCE)).await.unwrap();
        match &response.content {
            Content::Node(node) => node.value().unwrap().clone(),
            other => panic!("{other:?}"),
        }
    }

    async fn is_active(&self, registration: &Registration) {
        let active = async {
            while self.value(registration, ACTIVE).await != Value::Boolean(true) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, active).await.expect("it becomes active");
    }

    async fn number(&self, registration: &Registration, id: u16) -> i64 {
        self.value(registration, id).await.as_integer().unwrap()
    }

    /// Waits for this state and result.
    async fn reaches(&self, registration: &Registration, state: i64, result: i64) {
        let mut found = (-1, -1);
        let reached = async {
            while found != (state, result) {
                sleep(Duration::from_millis(50)).await;
                found = (self.number(registration, STATE).await, self.number(registration, RESULT).await);
            }
        };
        let waited = timeout(2 * PATIENCE, reached).await;
        assert!(waited.is_ok(), "{found:?} instead of {:?}", (state, result));
    }

    /// From the push to the end of the agent: what follows is up to the runner.
    async fn update(&self, registration: &Registration, executable: &[u8]) {
        assert_eq!(self.push(registration, self.package(executable)).await, Code::CHANGED);
        self.reaches(registration, 3, 3).await;
        let placed = || fs::read(self.path("updates").join(NAME)).is_ok_and(|found| found == executable);
        assert!(!placed(), "not before Install");
        assert_eq!(self.execute(registration, INSTALL).await, Code::CHANGED);
        self.reaches(registration, 4, 2).await;
        assert!(placed());
        assert_eq!(self.value(registration, ACTIVE).await, Value::Boolean(false));
        assert_eq!(self.execute(registration, ACTIVATE).await, Code::CHANGED);
    }

    /// Which executable the runner has in place now.
    fn running(&self) -> Vec<u8> {
        fs::read(self.path("run").join(NAME)).unwrap()
    }

    /// Waits until the runner's diagnostics, the agent's among them, contain this.
    async fn said(&self, runner: &Running, text: &str) {
        let said = async {
            while !runner.stderr().contains(text) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(4 * PATIENCE, said).await.unwrap_or_else(|_| panic!("{text:?} in {}", runner.stderr()));
    }
}

/// The agent itself, without what only a debugger reads.
fn agent(bench: &Bench) -> Vec<u8> {
    let small = bench.path("small");
    let arguments = ["--strip-all", "-o", small.to_str().unwrap(), env!("CARGO_BIN_EXE_lapwing")];
    let stripped = Command::new("strip").args(arguments).status();
    let from = if stripped.is_ok_and(|status| status.success()) {
        &small
    } else {
        FilePath::new(env!("CARGO_BIN_EXE_lapwing"))
    };
    fs::read(from).unwrap()
}

/// Another executable that does the same: a few bytes behind its end do no harm.
fn newer(agent: &[u8], mark: &str) -> Vec<u8> {
    [agent, mark.as_bytes()].concat()
}

#[tokio::test]
async fn the_agent_updates_itself_and_stays_once_it_has_registered() {
    let mut bench = Bench::new().await;
    let runner = bench.runner();
    let mut registration = bench.registered(&runner).await;
    let first = agent(&bench);
    // Once by what came with the machine, once by what came in a package.
    for mark in ["second", "third"] {
        let observe = Request::Observe { path: resource(OPERATIONAL), format: None };
        assert_eq!(bench.ask(&registration, observe).await.unwrap(), Code::CONTENT);
        let new = newer(&first, mark);
        bench.update(&registration, &new).await;
        registration = bench.registered(&runner).await;
        assert!(bench.notified.contains(&SHUTTING_DOWN), "it was told before the end: {:?}", bench.notified);
        bench.notified.clear();
        bench.reaches(&registration, 4, 2).await;
        bench.is_active(&registration).await;
        assert!(bench.running() == new && !bench.path("run/trial").exists(), "{}", runner.stderr());
    }
    let said = runner.stderr();
    for line in ["ends, to be started anew", "is on trial", "the trial is over"] {
        assert!(said.matches(line).count() >= 2, "{line:?} in {said}");
    }
    assert!(!said.contains("de-registered"), "{said}");
}

#[tokio::test]
async fn an_update_may_go_on_with_the_registration_of_the_agent_before_it() {
    let mut bench = Bench::new().await;
    let config = bench.path("agent.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("after-restart = 'resume'\n{text}")).unwrap();
    let runner = bench.runner();
    let registration = bench.registered(&runner).await;
    let new = newer(&agent(&bench), "second");
    bench.update(&registration, &new).await;
    bench.said(&runner, "the trial is over").await;
    bench.reaches(&registration, 4, 2).await;
    bench.is_active(&registration).await;
    assert!(bench.running() == new, "{}", runner.stderr());
}

#[tokio::test]
async fn an_update_that_ends_at_once_is_taken_back_and_reported() {
    let mut bench = Bench::new().await;
    let runner = bench.runner();
    let registration = bench.registered(&runner).await;
    let before = bench.running();
    bench.update(&registration, b"#!/bin/sh\nexit 1\n").await;
    let registration = bench.registered(&runner).await;
    bench.reaches(&registration, 3, 58).await;
    assert!(bench.running() == before, "{}", runner.stderr());
    assert_eq!(bench.value(&registration, ACTIVE).await, Value::Boolean(false));
    let said = runner.stderr();
    assert!(said.contains("ended with 1 before it had registered"), "{said}");

    // It can be updated by a better one.
    let better = newer(&agent(&bench), "better");
    bench.update(&registration, &better).await;
    let registration = bench.registered(&runner).await;
    bench.reaches(&registration, 4, 2).await;
    assert!(bench.running() == better, "{}", runner.stderr());
}

#[tokio::test]
async fn an_update_that_does_not_register_in_time_is_taken_back_and_reported() {
    let mut bench = Bench::new().await;
    bench.trial_seconds = 5;
    let proxy = Proxy::start(&bench.server.coap_address().to_string());
    bench.configure(&proxy.address.to_string(), "kind = 'self'");
    let runner = bench.runner();
    let registration = bench.registered(&runner).await;
    let before = bench.running();
    // It runs, and hears nothing of its server.
    let new = newer(&agent(&bench), "second");
    bench.update(&registration, &new).await;
    proxy.lose_answers(true);
    bench.said(&runner, "the update has not registered within 5 s").await;
    bench.said(&runner, "the executable before the update comes back").await;
    proxy.lose_answers(false);
    let registered = async {
        while runner.stderr().matches(" registered at ").count() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(4 * PATIENCE, registered).await.unwrap_or_else(|_| panic!("{}", runner.stderr()));
    let registration = bench.server.registration("gw").await.unwrap();
    bench.reaches(&registration, 3, 58).await;
    assert!(bench.running() == before, "{}", runner.stderr());
    assert!(!bench.path("run/trial").exists() && !bench.path("run/trial.over").exists());
}

#[tokio::test]
async fn packages_that_are_none_leave_nothing_behind() {
    let mut bench = Bench::new().await;
    let runner = bench.runner();
    let registration = bench.registered(&runner).await;
    let mut damaged = bench.package(b"#!/bin/sh\n");
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    for (package, result) in [(b"no package".to_vec(), 54), (damaged, 53)] {
        assert_eq!(bench.push(&registration, package).await, Code::CHANGED);
        bench.reaches(&registration, 0, result).await;
        assert_eq!(bench.execute(&registration, INSTALL).await, Code::METHOD_NOT_ALLOWED);
    }
    // The runner has made the folder.
    assert_eq!(fs::read_dir(bench.path("updates")).unwrap().count(), 0);
}

#[tokio::test]
async fn without_a_runner_there_is_no_update_of_the_agent() {
    let bench = Bench::new().await;
    let config = bench.path("agent.toml");
    let agent = Running::start(&["run", "--config", config.to_str().unwrap()]);
    bench.said(&agent, "the agent cannot update itself").await;
    drop(agent);
    let text = fs::read_to_string(&config).unwrap().replace("state = ", "# ");
    fs::write(&config, text).unwrap();
    let complaint = common::lapwing(&["run", "--config", config.to_str().unwrap()]).failed(2);
    assert!(complaint.contains("`software` needs `state` beside it"), "{complaint}");
}

/// Of a key that minisign 0.11 has made, and its signature of the checksums of the one file that is packed below.
const KEY: &str = "RWQf1a6H8W8d+m9Av+MeAkkNEqGa+xo+Ka21RLu5uXw1ydZB43U32rgM";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf1a6H8W8d+iH+J74bO/mL5EoLbhMvbEoR0s7A9gY9edqkf/vzHXlgm7NCgxc0xP5tby42hajLSge+ASwjrDT2m08pQQ5iuQI=
trusted comment: kettle 2
mBVyayh0V77wGIeH7DC5qv74/VNWitahOQpPJwHUG04aYTvvSJRGpI+cCmxIZnuwyJvEpwHpErlZbOex+Yr8AA==
";

#[tokio::test]
async fn where_a_key_is_configured_only_signed_packages_are_taken() {
    let mut bench = Bench::new().await;
    let (name, code) = ("lwm2m-python-client", b"#!/bin/sh\nexit 0\n");
    let update = bench.path("updates").join(name);
    let software = format!("kind = 'self'\nupdate = '{}'\npublic-keys = ['{KEY}']", update.display());
    let agent = bench.agent(&software);
    let registration = bench.registered(&agent).await;
    let changed = SIGNATURE.replace("iH+J74bO", "iH+J74bP");
    for signature in [None, Some(changed.as_str())] {
        assert_eq!(bench.push(&registration, bench.pack(name, code, signature)).await, Code::CHANGED);
        bench.reaches(&registration, 0, 53).await;
    }
    assert_eq!(bench.push(&registration, bench.pack(name, code, Some(SIGNATURE))).await, Code::CHANGED);
    bench.reaches(&registration, 3, 3).await;
    assert_eq!(bench.execute(&registration, INSTALL).await, Code::CHANGED);
    bench.reaches(&registration, 4, 2).await;
    assert_eq!(fs::read(update).unwrap(), code);
    let said = agent.stderr();
    for line in ["it is not signed", "not that of its checksums"] {
        assert!(said.contains(line), "{line:?} in {said}");
    }
}

/// The observer sees the end of an installation that the agent did not live to see, without having asked again.
#[tokio::test]
async fn what_is_observed_outlives_the_agent_where_that_is_configured() {
    let mut bench = Bench::new().await;
    let (program, began, go) = (bench.path("manager"), bench.path("began"), bench.path("go"));
    let install = format!("echo > '{}'; until [ -e '{}' ]; do sleep 0.05; done", began.display(), go.display());
    fs::write(&program, format!("#!/bin/sh\n[ $1 != status ] || exit 3\n[ $1 != install ] || {{ {install}; }}\n"))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let software = format!("kind = 'script'\nprogram = ['{}']", program.display());
    bench.configure(&bench.server.coap_address().to_string(), &software);
    let config = bench.path("agent.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("after-restart = 'resume'\n{text}")).unwrap();
    let start = || Running::start(&["run", "--config", config.to_str().unwrap()]);
    let agent = start();
    let registration = bench.registered(&agent).await;
    let observe = Request::Observe { path: resource(STATE), format: None };
    assert_eq!(bench.ask(&registration, observe).await.unwrap(), Code::CONTENT);
    assert_eq!(bench.push(&registration, b"a kettle".to_vec()).await, Code::CHANGED);
    assert_eq!(states_up_to(&mut bench.events, &agent, 3).await, [1, 2, 3]);
    assert_eq!(bench.execute(&registration, INSTALL).await, Code::CHANGED);
    // Before the program runs, nothing would be begun any more.
    common::eventually(|| began.exists(), || "the program".to_owned());
    agent.stop(Signal::KILL);
    fs::write(&go, "").unwrap();
    let agent = start();
    let mut states = states_up_to(&mut bench.events, &agent, 4).await;
    states.dedup();
    assert!(states == [4] || states == [3, 4], "{states:?}");
    assert_eq!(bench.number(&registration, RESULT).await, 2, "and asks at once, by the registration that it had");
    agent.says("gw goes on with its registration at coap://");
}

#[tokio::test]
async fn software_of_a_program_is_installed_once_though_the_agent_is_killed() {
    let mut bench = Bench::new().await;
    let here = bench.folder.path().display().to_string();
    let program = bench.path("manage");
    let text = format!(
        "#!/bin/sh\necho \"$1\" >> '{here}/calls'\n[ \"$1\" != install ] || {{ cat \"$2\" > '{here}/installed'; \
         while [ ! -e '{here}/go' ]; do sleep 0.05; done; echo whole; }}\n"
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let software = format!("kind = 'script'\nprogram = ['{}']", program.display());
    let agent = bench.agent(&software);
    let registration = bench.registered(&agent).await;
    assert_eq!(bench.push(&registration, b"a kettle".to_vec()).await, Code::CHANGED);
    bench.reaches(&registration, 3, 3).await;
    assert_eq!(bench.execute(&registration, INSTALL).await, Code::CHANGED);
    bench.said(&agent, "manage install").await;
    common::eventually(|| bench.path("installed").exists(), || "the installation begins".to_owned());
    drop(agent);

    let agent = bench.agent(&software);
    let registration = bench.registered(&agent).await;
    assert_eq!(bench.number(&registration, STATE).await, 3, "it still goes on");
    fs::write(bench.path("go"), "").unwrap();
    bench.reaches(&registration, 4, 2).await;
    assert_eq!(bench.execute(&registration, ACTIVATE).await, Code::CHANGED);
    bench.is_active(&registration).await;
    let arguments = String::new();
    let remove = Request::Execute { path: resource(UNINSTALL), arguments };
    assert_eq!(bench.ask(&registration, remove).await.unwrap(), Code::CHANGED);
    bench.reaches(&registration, 0, 0).await;
    let calls = fs::read_to_string(bench.path("calls")).unwrap();
    let told: Vec<&str> = calls.lines().filter(|call| *call != "status").collect();
    assert_eq!(told, ["verify", "install", "activate", "remove"]);
    assert_eq!(fs::read(bench.path("installed")).unwrap(), b"a kettle");
    assert!(agent.stderr().contains("manage: whole"), "{}", agent.stderr());
}
