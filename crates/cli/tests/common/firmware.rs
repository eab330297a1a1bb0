//! Object 5 of the real agent: a server, and a program that installs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapwing_coap::ContentFormat;
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::{Node, Path, Value};
use lapwing_lwm2m::server::{Content, Registration, Request, RequestError, ServerEvent, WriteMode};
use lapwing_server::{Handle, Server, Subscription};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, Running, states_up_to};

/// Of a package, in bytes.
pub(crate) const LENGTH: usize = 256 << 10;

pub(crate) fn resource(id: u16) -> Path {
    Path::object(5).instance(0).resource(id)
}

/// A server, and the agent's configuration with a program that records how it is called.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) server: Handle,
    pub(crate) events: Subscription<ServerEvent>,
}

impl Bench {
    /// `script` runs after the image was copied to `installed`.
    pub(crate) async fn new(script: &str) -> Self {
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

    /// More for the end of the configuration.
    pub(crate) fn configure(&self, more: &str) {
        let config = fs::read_to_string(self.path("agent.toml")).unwrap();
        fs::write(self.path("agent.toml"), config + more).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn calls(&self) -> usize {
        fs::read_to_string(self.path("calls")).map_or(0, |calls| calls.lines().count())
    }

    /// Starts the agent and waits for its registration.
    pub(crate) async fn agent(&mut self) -> (Running, Arc<Registration>) {
        let agent = Running::start(&["run", "--config", self.path("agent.toml").to_str().unwrap()]);
        let registration = self.registered(&agent).await;
        (agent, registration)
    }

    async fn registered(&mut self, agent: &Running) -> Arc<Registration> {
        let registered = timeout(PATIENCE, self.registers()).await;
        registered.unwrap_or_else(|_| panic!("{}", agent.stderr()))
    }

    /// The next registration.
    pub(crate) async fn registers(&mut self) -> Arc<Registration> {
        loop {
            if let Some(ServerEvent::Registered { registration, .. }) = self.events.next().await {
                return registration;
            }
        }
    }

    pub(crate) async fn ask(&self, registration: &Registration, request: Request) -> Result<Code, RequestError> {
        Ok(self.server.request(registration.id, request, Some(PATIENCE)).await?.code)
    }

    pub(crate) async fn push(&self, registration: &Registration, package: Vec<u8>) -> Result<Code, RequestError> {
        let node = Node::single(Value::Opaque(package));
        let (path, format) = (resource(0), Some(ContentFormat::OPAQUE));
        self.ask(registration, Request::Write { path, mode: WriteMode::Replace, format, node }).await
    }

    pub(crate) async fn execute(&self, registration: &Registration, id: u16) -> Code {
        self.execute_or_fail(registration, id).await.unwrap()
    }

    pub(crate) async fn execute_or_fail(&self, registration: &Registration, id: u16) -> Result<Code, RequestError> {
        let request = Request::Execute { path: resource(id), arguments: String::new() };
        self.ask(registration, request).await
    }

    pub(crate) async fn number(&self, registration: &Registration, id: u16) -> i64 {
        let request = Request::Read { path: resource(id), format: None };
        let response = self.server.request(registration.id, request, Some(PATIENCE)).await.unwrap();
        match &response.content {
            Content::Node(node) => node.value().and_then(Value::as_integer).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn set(&self, registration: &Registration, id: u16, value: Value) {
        let (path, mode, node) = (resource(id), WriteMode::Replace, Node::single(value));
        let request = Request::Write { path, mode, format: None, node };
        assert_eq!(self.ask(registration, request).await.unwrap(), Code::CHANGED);
    }

    pub(crate) async fn states_up_to(&mut self, agent: &Running, last: i64) -> Vec<i64> {
        states_up_to(&mut self.events, agent, last).await
    }

    /// State and result when the state is not `Updating` any more.
    pub(crate) async fn settled(&self, registration: &Registration) -> (i64, i64) {
        self.left(registration, 3).await
    }

    /// State and result when the state is not this one any more.
    pub(crate) async fn left(&self, registration: &Registration, left: i64) -> (i64, i64) {
        let settled = async {
            loop {
                match self.number(registration, 3).await {
                    state if state == left => sleep(Duration::from_millis(50)).await,
                    state => return (state, self.number(registration, 5).await),
                }
            }
        };
        timeout(PATIENCE, settled).await.unwrap()
    }
}

/// A package that is another for each seed.
pub(crate) fn package(seed: u64) -> Vec<u8> {
    package_of(LENGTH, seed)
}

/// The same of another length.
pub(crate) fn package_of(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    (0..length / 8).flat_map(|_| random.next().to_be_bytes()).collect()
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        longest * (self.next() % 1001) as u32 / 1000
    }
}
