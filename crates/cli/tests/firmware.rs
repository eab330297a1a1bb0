//! Object 5 of the real agent: a package is pushed, a program installs it, and `kill -9` comes at any moment.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{PATIENCE, Running};
use lapwing_coap::ContentFormat;
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::{Node, Path, Value};
use lapwing_lwm2m::server::{Content, Registration, Request, RequestError, ServerEvent, WriteMode};
use lapwing_server::{Handle, Server, Subscription};
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

const LENGTH: usize = 256 << 10;

fn resource(id: u16) -> Path {
    Path::object(5).instance(0).resource(id)
}

/// A server, and the agent's configuration with a program that records how it is called.
struct Bench {
    folder: tempfile::TempDir,
    server: Handle,
    events: Subscription<ServerEvent>,
}

impl Bench {
    /// `script` runs after the image was copied to `installed`.
    async fn new(script: &str) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::builder().coap(any).http(any).bind().await.unwrap();
        let (handle, events) = (server.handle(), server.handle().subscribe());
        tokio::spawn(server.run(std::future::pending()));
        let bench = Self { folder: tempfile::tempdir().unwrap(), server: handle, events };
        let (program, folder) = (bench.path("install"), bench.folder.path().display());
        let text = format!("#!/bin/sh\ncat \"$1\" > '{folder}/installed'\necho called >> '{folder}/calls'\n{script}\n");
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let config = format!(
            "server = 'coap://{}'\nendpoint = 'gw'\nstate = '{folder}/state'\n\
             [firmware]\nprogram = ['{}']\nresult = 'ig60'\n",
            bench.server.coap_address(),
            program.display()
        );
        fs::write(bench.path("agent.toml"), config).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.path("calls")).map_or(0, |calls| calls.lines().count())
    }

    /// Starts the agent and waits for its registration.
    async fn agent(&mut self) -> (Running, Arc<Registration>) {
        let agent = Running::start(&["run", "--config", self.path("agent.toml").to_str().unwrap()]);
        let registered = async {
            loop {
                if let Some(ServerEvent::Registered { registration, .. }) = self.events.next().await {
                    return registration;
                }
            }
        };
        let registration = timeout(PATIENCE, registered).await.unwrap_or_else(|_| panic!("{}", agent.stderr()));
        (agent, registration)
    }

    async fn ask(&self, registration: &Registration, request: Request) -> Result<Code, RequestError> {
        Ok(self.server.request(registration.id, request, Some(PATIENCE)).await?.code)
    }

    async fn push(&self, registration: &Registration, package: Vec<u8>) -> Result<Code, RequestError> {
        let node = Node::single(Value::Opaque(package));
        let (path, format) = (resource(0), Some(ContentFormat::OPAQUE));
        self.ask(registration, Request::Write { path, mode: WriteMode::Replace, format, node }).await
    }

    async fn set(&self, registration: &Registration, id: u16, value: Value) {
        let (path, mode, node) = (resource(id), WriteMode::Replace, Node::single(value));
        let request = Request::Write { path, mode, format: None, node };
        assert_eq!(self.ask(registration, request).await.unwrap(), Code::CHANGED);
    }

    async fn execute(&self, registration: &Registration, id: u16) -> Code {
        let request = Request::Execute { path: resource(id), arguments: String::new() };
        self.ask(registration, request).await.unwrap()
    }

    async fn number(&self, registration: &Registration, id: u16) -> i64 {
        let request = Request::Read { path: resource(id), format: None };
        let response = self.server.request(registration.id, request, Some(PATIENCE)).await.unwrap();
        match &response.content {
            Content::Node(node) => node.value().and_then(Value::as_integer).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The states that are notified until this one is. The registration stays what it is meanwhile.
    async fn states_up_to(&mut self, agent: &Running, last: i64) -> Vec<i64> {
        let mut states = Vec::new();
        let notified = async {
            while states.last() != Some(&last) {
                match self.events.next().await {
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

    /// State and result when the state is not `Updating` any more.
    async fn settled(&self, registration: &Registration) -> (i64, i64) {
        let settled = async {
            loop {
                match self.number(registration, 3).await {
                    3 => sleep(Duration::from_millis(50)).await,
                    state => return (state, self.number(registration, 5).await),
                }
            }
        };
        timeout(PATIENCE, settled).await.unwrap()
    }
}

/// A package that is another for each seed.
fn package(seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    (0..LENGTH / 8).flat_map(|_| random.next().to_be_bytes()).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest * (self.next() % 1001) as u32 / 1000
    }
}

#[tokio::test]
async fn a_package_is_pushed_and_installed_by_the_program() {
    let mut bench = Bench::new("echo half; sleep 1; echo whole; rm \"$1\"; exit 1").await;
    let (agent, registration) = bench.agent().await;
    let observe = Request::Observe { path: resource(3), format: None };
    assert_eq!(bench.ask(&registration, observe).await.unwrap(), Code::CONTENT);
    assert_eq!(bench.push(&registration, package(1)).await.unwrap(), Code::CHANGED);
    assert_eq!(bench.settled(&registration).await, (2, 0));
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!(bench.settled(&registration).await, (0, 1));
    assert_eq!((bench.calls(), fs::read(bench.path("installed")).unwrap() == package(1)), (1, true));
    let mut states = Vec::new();
    while states.last() != Some(&0) {
        if let Some(ServerEvent::Notification { response, .. }) = bench.events.next().await
            && let Content::Node(node) = &response.content
        {
            states.extend(node.value().and_then(Value::as_integer));
        }
    }
    assert_eq!(states, [1, 2, 3, 0]);
    // The line is written when the state has been told.
    let mut patience = 100;
    while !agent.stderr().contains("has succeeded") && patience > 0 {
        sleep(Duration::from_millis(100)).await;
        patience -= 1;
    }
    let said = agent.stderr();
    for line in
        ["a server pushes a package", "262144 bytes has come", "installer: half", "installer: whole", "has succeeded"]
    {
        assert!(said.contains(line), "{line:?} in {said}");
    }
}

#[tokio::test]
async fn a_state_folder_is_needed_and_is_not_shared() {
    let mut bench = Bench::new("exit 1").await;
    let (_agent, _) = bench.agent().await;
    let config = bench.path("agent.toml");
    let complaint = common::lapwing(&["run", "--config", config.to_str().unwrap()]).failed(1);
    assert!(complaint.contains("in use"), "{complaint}");
    let text = fs::read_to_string(&config).unwrap().replace("state = ", "# ");
    fs::write(&config, text).unwrap();
    let complaint = common::lapwing(&["run", "--config", config.to_str().unwrap()]).failed(2);
    assert!(complaint.contains("`firmware` needs `state` beside it"), "{complaint}");
}

#[tokio::test]
async fn whenever_the_agent_is_killed_nothing_acknowledged_is_lost_and_nothing_is_installed_twice() {
    // The program is slow enough to be found running.
    let mut bench = Bench::new("sleep 1; exit 1").await;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let (mut agent, mut registration) = bench.agent().await;
    let mut pushing = Duration::from_millis(500);
    for round in 0..4 {
        // In a push, as far as one is not over sooner than a random moment.
        let (began, fresh) = (std::time::Instant::now(), package(random.next()));
        let moment = random.up_to(pushing);
        let pushed = tokio::select! {
            pushed = bench.push(&registration, fresh.clone()) => pushed.is_ok_and(|code| code == Code::CHANGED),
            () = sleep(moment) => false,
        };
        if pushed {
            pushing = began.elapsed();
        }
        drop(agent);
        (agent, registration) = bench.agent().await;
        let found = bench.settled(&registration).await;
        match found {
            (2, 0) => {}
            // It may have been whole before its server heard of it, or not have begun.
            (0, _) if !pushed => assert_eq!(bench.push(&registration, fresh.clone()).await.unwrap(), Code::CHANGED),
            _ => panic!("round {round}, killed after {moment:?} of a push, {pushed}: {found:?}"),
        }

        // After an Execute: before the program starts, while it runs, or after its end.
        let before = bench.calls();
        assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
        let moment = random.up_to(Duration::from_secs(6));
        sleep(moment).await;
        drop(agent);
        (agent, registration) = bench.agent().await;
        let found = bench.settled(&registration).await;
        // Nothing is begun later.
        sleep(Duration::from_millis(300)).await;
        let expected = match bench.calls() - before {
            0 => (2, 8),
            1 => (0, 1),
            calls => panic!("round {round}: {calls} calls"),
        };
        assert_eq!(found, expected, "round {round}, killed {moment:?} after the Execute");
        if expected == (0, 1) {
            assert!(fs::read(bench.path("installed")).unwrap() == fresh, "what came was installed");
        } else {
            assert_eq!(bench.execute(&registration, 10).await, Code::CHANGED);
        }
    }
}

/// The observer sees the end of an update that the agent did not live to see, without having asked again.
#[tokio::test]
async fn what_is_observed_outlives_the_agent_where_that_is_configured() {
    let mut bench = Bench::new("while [ ! -e \"${0%/*}/go\" ]; do sleep 0.05; done; exit 1").await;
    let config = format!("after-restart = 'resume'\n{}", fs::read_to_string(bench.path("agent.toml")).unwrap());
    fs::write(bench.path("agent.toml"), config).unwrap();
    let (agent, registration) = bench.agent().await;
    let observe = Request::Observe { path: resource(3), format: None };
    assert_eq!(bench.ask(&registration, observe).await.unwrap(), Code::CONTENT);
    assert_eq!(bench.push(&registration, package(1)).await.unwrap(), Code::CHANGED);
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!(bench.states_up_to(&agent, 3).await, [1, 2, 3]);
    // Before the program runs, nothing would be begun any more.
    common::eventually(|| bench.calls() == 1, || "the program".to_owned());
    agent.stop(Signal::KILL);
    fs::write(bench.path("go"), "").unwrap();
    let agent = Running::start(&["run", "--config", bench.path("agent.toml").to_str().unwrap()]);
    let mut states = bench.states_up_to(&agent, 0).await;
    states.dedup();
    assert!(states == [0] || states == [3, 0], "{states:?}");
    assert_eq!(bench.number(&registration, 5).await, 1, "and asks at once, by the registration that it had");
    agent.says("gw goes on with its registration at coap://");

    // Nor does it say farewell when it is told to end.
    let (code, _, said) = agent.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{said}");
    let agent = Running::start(&["run", "--config", bench.path("agent.toml").to_str().unwrap()]);
    assert_eq!(bench.states_up_to(&agent, 0).await, [0]);
    assert_eq!(bench.settled(&registration).await, (0, 1));
}

#[tokio::test]
async fn an_update_is_put_off_where_that_is_configured_for_as_long_as_the_server_permits() {
    let mut bench = Bench::new("exit 1").await;
    let config = format!("{}defer = ['mandatory']\n", fs::read_to_string(bench.path("agent.toml")).unwrap());
    fs::write(bench.path("agent.toml"), config).unwrap();
    let (agent, registration) = bench.agent().await;
    assert_eq!(bench.push(&registration, package(1)).await.unwrap(), Code::CHANGED);
    bench.set(&registration, 13, Value::Unsigned(3_600)).await;
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!((bench.settled(&registration).await, bench.calls()), ((2, 11), 0));
    // Still put off after a restart; and then its severity is one that is not put off.
    drop(agent);
    let (_agent, registration) = bench.agent().await;
    assert_eq!((bench.settled(&registration).await, bench.calls()), ((2, 11), 0));
    bench.set(&registration, 11, Value::Integer(0)).await;
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!((bench.settled(&registration).await, bench.calls()), ((0, 1), 1));
}
