//! `lapwing ig60`: the command lines of the gateway's first client, under its name, below its runner, with its exit codes.

mod common;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use common::namespace::outside;
use common::secure::{IDENTITY, KEY, SecureServer};
use common::{Outcome, Running, Server, eventually, lapwing};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/ig60/ig60_lwm2m2_client.sh");
const BINARY: &str = env!("CARGO_BIN_EXE_lapwing");

/// A gateway's file system, as far as the runner and the client see it.
struct Gateway {
    root: TempDir,
}

impl Gateway {
    fn new() -> Self {
        let gateway = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["bin", "updates"] {
            fs::create_dir(gateway.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(BINARY, gateway.path("bin/lwm2m-python-client")).unwrap();
        gateway
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// What the runner and the client are told of it.
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LAPWING_INITIAL", self.text("bin/lwm2m-python-client")),
            ("LAPWING_RUN", self.text("run")),
            ("LAPWING_UPDATES", self.text("updates")),
            ("PATH", format!("{}:{}", self.text("bin"), std::env::var("PATH").unwrap())),
        ]
    }

    /// `lapwing ig60` with this command line.
    fn client(&self, arguments: &[&str]) -> Running {
        let environment = self.environment();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Running::start_in(&environment, &[&["ig60"], arguments].concat())
    }

    /// The runner with this command line.
    fn runner(&self, arguments: &[&str]) -> Command {
        let mut runner = Command::new("env");
        runner.args(["--default-signal", "sh", RUNNER]).args(arguments);
        runner.envs(self.environment()).env_remove("LAPWING_LOG");
        runner
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// The runner; ended with the test, and its client with it.
struct Runner(Child);

impl Runner {
    /// Its exit code when it gets this signal.
    fn ends_by(&mut self, signal: Signal) -> Option<i32> {
        common::signal(&self.0, signal);
        self.0.wait().unwrap().code()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.ends_by(Signal::TERM);
        }
    }
}

/// Host and port of a URI.
fn authority(uri: &str) -> (&str, &str) {
    uri.split_once("://").and_then(|(_, authority)| authority.rsplit_once(':')).unwrap()
}

fn free_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// How a command ended that ends by itself.
fn ended(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

#[test]
fn the_runner_shows_all_options() {
    let gateway = Gateway::new();
    let help = ended(gateway.runner(&["--help"]).env_remove("LAPWING_BELOW")).text();
    assert!(help.starts_with("usage: lwm2m-python-client [-h]"), "{help}");
    for (short, long) in [
        ("-p", "--port"),
        ("-bs", "--bootstrap-address"),
        ("-bp", "--bootstrap-port"),
        ("-bk", "--bootstrap-psk"),
        ("-s", "--server-address"),
        ("-sp", "--server-port"),
        ("-sk", "--server-psk"),
        ("-e", "--endpoint"),
        ("-l", "--lifetime"),
        ("-d", "--debug"),
        ("-h", "--help"),
    ] {
        let shown = |line: &str| line.starts_with(&format!("  {short}")) && line.contains(&format!(", {long}"));
        assert!(help.lines().any(shown), "{long} in {help}");
    }
    let ours = lapwing(&["ig60", "-h"]).text();
    assert_eq!(ours.split_once("\n\n").unwrap().1, help.split_once("\n\n").unwrap().1);
    assert!(lapwing(&["--help"]).text().contains("ig60"));
}

#[test]
fn the_documented_command_line_registers_below_the_runner() {
    let (server, gateway) = (Server::start(), Gateway::new());
    let (host, port) = authority(&server.uri);
    let local = free_port();
    let line = ["--server", host, "--server-port", port, "-e", "my-ig60", "-p", &local];
    let mut runner = Runner(gateway.runner(&line).spawn().unwrap());
    server.wait_for_clients(1);
    let client = &server.clients()[0];
    assert_eq!((&client["endpoint"], &client["lifetime"]), (&json!("my-ig60"), &json!(3600)));
    assert_eq!(client["lwM2mVersion"], json!("1.0"));
    assert_eq!(client["address"], json!(format!("127.0.0.1:{local}")), "{client}");
    assert_eq!(client["availableInstances"]["5"], json!([0]));
    assert!(Path::new(&gateway.path("run/lwm2m-python-client")).exists());
    assert_eq!(runner.ends_by(Signal::INT), Some(4));
    assert_eq!(server.clients().len(), 0);
}

#[test]
fn the_key_alone_chooses_dtls_with_the_endpoint_as_identity() {
    let (server, gateway) = (SecureServer::start(), Gateway::new());
    let (host, port) = server.authority().rsplit_once(':').unwrap();
    let line = ["-s", host, "-sp", port, "-sk", KEY, "-p", "0", "-l", "60"];
    let client = gateway.client(&[&line[..], &["-e", IDENTITY, "-d"]].concat());
    client.says(&format!("{IDENTITY} registered at coaps://"));
    assert_eq!(server.clients()[0]["lifetime"], json!(60));
    client.says("DEBUG");
    assert!(!client.stderr().to_lowercase().contains(KEY), "the key is in the log");
    let (code, ..) = client.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    let client = gateway.client(&[&line[..], &["-e", "another"]].concat());
    client.says("another cannot register at coaps://");
}

#[test]
fn it_is_bootstrapped_at_every_start_and_keeps_nothing() {
    let (server, gateway) = (Server::start(), Gateway::new());
    let file = gateway.path("bootstrap.json");
    let configuration = json!({"configurations": {"gw": {
        "security": {"1": {"uri": server.uri, "securityMode": "NO_SEC", "serverId": 101}},
        "servers": {"0": {"shortId": 101, "lifetime": 300}},
    }}});
    fs::write(&file, configuration.to_string()).unwrap();
    let any = "127.0.0.1:0";
    let bootstrap = Running::start(&[
        "serve",
        "--coap",
        any,
        "--http",
        any,
        "--bootstrap",
        any,
        "--bootstraps",
        any,
        "--bootstrap-config",
        file.to_str().unwrap(),
    ]);
    let uri = loop {
        if let Some(uri) = bootstrap.line().strip_prefix("bootstrap ").filter(|uri| uri.starts_with("coap://")) {
            break uri.to_owned();
        }
    };
    let (host, port) = authority(&uri);
    let local = free_port();
    for _ in 0..2 {
        let client = gateway.client(&["-bs", host, "-bp", port, "-e", "gw", "-p", &local]);
        client.says(&format!("gw was bootstrapped by {uri}"));
        client.says(&format!("gw registered at {}", server.uri));
        assert_eq!(server.clients()[0]["address"], json!(format!("127.0.0.1:{local}")), "the same port for both");
        assert_eq!(client.stop(Signal::TERM).0, Some(0));
    }
}

#[test]
fn the_exit_codes_are_the_predecessors() {
    let gateway = Gateway::new();
    let client = |arguments: &[&str]| {
        let mut client = Command::new(gateway.path("bin/lwm2m-python-client"));
        ended(client.args(arguments).envs(gateway.environment()).env_remove("LAPWING_LOG"))
    };
    assert!(client(&["-h"]).text().contains("exit codes"));
    let complaint = client(&["--serv", "x"]).failed(2);
    assert!(complaint.starts_with("usage: lwm2m-python-client"), "{complaint}");
    assert!(complaint.ends_with("--server-address, --server-port, --server-psk, --server"), "{complaint}");
    assert!(
        client(&[]).failed(2).ends_with("no server: give --server-address and --server-port, or --bootstrap-address")
    );
    let secret = client(&["-s", "127.0.0.1", "-sp", "1", "-sk", "0c0ffee"]).failed(2);
    assert!(!secret.contains("0c0ffee"), "{secret}");
    // What it needs cannot be made.
    fs::write(gateway.path("run"), "no folder").unwrap();
    assert!(client(&["-s", "127.0.0.1", "-sp", "1"]).failed(11).contains("run/state"));
}

#[test]
fn without_a_bearer_it_ends_with_64() {
    if outside("without_a_bearer_it_ends_with_64") {
        return;
    }
    let gateway = Gateway::new();
    let mut client = Command::new(BINARY);
    client.args(["ig60", "-s", "192.0.2.1", "-sp", "5683"]).envs(gateway.environment()).env_remove("LAPWING_LOG");
    let said = ended(&mut client).failed(64);
    assert!(said.contains("no network interface is up"), "{said}");
    // Nobody needs one to reach this machine.
    let mut client = gateway.client(&["-s", "127.0.0.1", "-sp", "5683", "-p", "0"]);
    client.says("cannot register at coap://127.0.0.1:5683");
    assert!(client.is_running());
}

#[test]
fn firmware_goes_to_the_script_whose_code_is_the_result_without_a_reboot() {
    let (server, gateway) = (Server::start(), Gateway::new());
    let log = gateway.text("log");
    gateway.program("bin/ig60_fw_update.sh", &format!("#!/bin/sh\ncat \"$1\" >>'{log}'\nrm \"$1\"\n. '{log}.end'\n"));
    let (host, port) = authority(&server.uri);
    let _client = gateway.client(&["-s", host, "-sp", port, "-e", "gw", "-p", "0"]);
    server.wait_for_clients(1);
    let read = |path: &str| server.manage(&["read", path]).text();
    for (code, result) in [(1, "1"), (8, "8"), (77, "8")] {
        fs::write(gateway.path("log.end"), format!("exit {code}")).unwrap();
        fs::write(gateway.path("log"), "").unwrap();
        server.manage(&["write", "/5/0/0", "616e20696d616765"]).text();
        eventually(|| read("/5/0/3").ends_with("  2"), || "a package".to_owned());
        server.manage(&["execute", "/5/0/2"]).text();
        eventually(|| read("/5/0/3").ends_with("  0"), || "the end".to_owned());
        assert!(read("/5/0/5").ends_with(&format!("  {result}")), "{}", read("/5/0/5"));
        assert_eq!(fs::read_to_string(gateway.path("log")).unwrap(), "an image");
    }
}
