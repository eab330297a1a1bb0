//! `cargo xtask ig60-package`: the package that puts Lapwing in the place of the gateway's first client, run with the real Python.
//!
//! That client and its runner are stand-ins, written from what is known of them: the client verifies a package and ends with 65, the
//! runner copies the update over the executable, of which it keeps no copy, and starts it with Python and the same arguments.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use bed::{Process, built, eventually};
use serde_json::Value as Json;
use tempfile::TempDir;

/// A stand-in of the first client: notes that it runs; takes the package that waits, if there is one, as it would when a server
/// activates it; else it stays.
const CLIENT: &str = r#"#!/usr/bin/env python3
# A stand-in.
import os, signal, subprocess, sys, tarfile

with open(os.environ["GATEWAY"] + "/log", "a") as log:
    print("first client", *sys.argv[1:], file=log)
package = os.environ["GATEWAY"] + "/package.tar.gz"
if os.path.exists(package):
    updates = os.environ["GATEWAY"] + "/tmp"
    with tarfile.open(package, "r:gz") as archive:
        archive.extractall(updates)
    subprocess.run(["sha256sum", "-c", "checksums.txt"], cwd=updates, check=True, stdout=subprocess.DEVNULL)
    os.remove(package)
    sys.exit(65)
signal.pause()
"#;

/// A stand-in of its runner.
const RUNNER: &str = r#"#!/bin/sh
# A stand-in.
if [ ! -e "$GATEWAY/gg/lwm2m-python-client" ]; then
    mkdir -p "$GATEWAY/gg"
    cp "$GATEWAY/usr/lwm2m-python-client" "$GATEWAY/gg/lwm2m-python-client"
fi
while true; do
    python "$GATEWAY/gg/lwm2m-python-client" "$@"
    code=$?
    [ $code -eq 65 ] || exit $code
    cp "$GATEWAY/tmp/lwm2m-python-client" "$GATEWAY/gg/lwm2m-python-client"
done
"#;

/// This machine's architecture, as `--target` has it.
const HERE: &str = std::env::consts::ARCH;

/// The program with what debuggers want taken out, so that it is packed sooner.
static LAPWING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let stripped = folder.path().join("lapwing");
    let output = bed::run("strip", &["-o", stripped.to_str().expect("text"), built("lapwing").to_str().expect("text")]);
    assert!(output.status.success(), "{output:?}");
    fs::read(stripped).expect("strip has written it")
});

/// A gateway with the first client, in a folder.
struct Gateway {
    root: TempDir,
    trial_seconds: u32,
}

impl Gateway {
    fn new() -> Self {
        let gateway = Self { root: tempfile::tempdir().expect("a scratch folder"), trial_seconds: 60 };
        for folder in ["usr", "tmp", "bin"] {
            fs::create_dir(gateway.path(folder)).expect("it is ours");
        }
        gateway.program("usr/lwm2m-python-client", CLIENT.as_bytes());
        gateway.program("runner", RUNNER.as_bytes());
        // Its name on a gateway, where there is no other one.
        gateway.program("bin/python", b"#!/bin/sh\nexec python3 \"$@\"\n");
        gateway
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn program(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::write(&path, content).expect("it is ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// The package with this program waits to be taken.
    fn package(&self, program: &[u8]) {
        self.pack(program, "package.tar.gz", &[]);
    }

    /// Has a package made of this program.
    fn pack(&self, program: &[u8], name: &str, options: &[&str]) {
        let (binary, output) = (self.path("binary"), self.path(name));
        fs::write(&binary, program).expect("it is ours");
        let mut xtask = Command::new(env!("CARGO"));
        xtask.args(["run", "--quiet", "--package", "xtask", "--", "ig60-package", "--target", HERE]).args(options);
        xtask.arg("--binary").arg(binary).arg("--output").arg(output);
        let packed = xtask.current_dir(bed::workspace()).output().expect("cargo runs");
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    }

    /// The runner with this command line.
    fn start(&self, arguments: &[&str]) -> Runner {
        let mut runner = Command::new("sh");
        runner.arg(self.path("runner")).args(arguments);
        self.surround(&mut runner);
        Runner::start(&mut runner)
    }

    /// Gives a runner this gateway's environment.
    fn surround(&self, runner: &mut Command) {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        runner.env("PATH", path).env("GATEWAY", self.root.path());
        runner.env("LAPWING_INITIAL", self.path("usr/lwm2m-python-client"));
        runner.env("LAPWING_UPDATES", self.path("tmp")).env("LAPWING_TRIAL_SECONDS", self.trial_seconds.to_string());
        for name in ["LAPWING_TRIAL", "LAPWING_RUN", "LAPWING_BELOW", "LAPWING_LOG"] {
            runner.env_remove(name);
        }
    }

    /// How often the first client was started, and with what.
    fn first_client(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn holds_the_first_client(&self) -> bool {
        fs::read(self.path("gg/lwm2m-python-client")).is_ok_and(|content| content == CLIENT.as_bytes())
    }

    fn is_there(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

/// A runner and all that it has started; ended with the test.
struct Runner {
    process: Process,
    /// All of it has been ended.
    ended: bool,
}

impl Runner {
    fn start(command: &mut Command) -> Self {
        Self { process: Process::start(command.process_group(0)), ended: false }
    }

    fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Ends all of it, as a power cut does.
    fn cut_the_power(mut self) {
        self.kill();
        self.process.ended();
        self.ended = true;
    }

    fn kill(&self) {
        let group = format!("-{}", self.process.id());
        let _ = bed::run("kill", &["-s", "KILL", "--", &group]);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}

/// A development server.
struct Server {
    _process: Process,
    api: String,
    port: String,
}

impl Server {
    fn start() -> Self {
        let arguments = ["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let mut process = Process::start(Command::new(built("lapwing")).args(arguments));
        let api = process.out.next_with("http://");
        let uri = process.out.next_with("coap://");
        let port = uri.rsplit(':').next().expect("a port").to_owned();
        Self { _process: process, api, port }
    }

    /// `lapwing manage` with these arguments.
    fn manage(&self, arguments: &[&str]) -> Output {
        let lapwing = built("lapwing");
        bed::run(lapwing.to_str().expect("text"), &[&["manage", "--api", &self.api], arguments].concat())
    }

    /// The endpoints that are registered, with their lifetimes.
    fn clients(&self) -> Vec<(String, u64)> {
        let output = self.manage(&["clients", "--json"]);
        let clients: Json = serde_json::from_slice(&output.stdout).expect("JSON");
        let shown = |client: &Json| {
            (
                client["endpoint"].as_str().unwrap_or_default().to_owned(),
                client["lifetime"].as_u64().unwrap_or_default(),
            )
        };
        clients.as_array().into_iter().flatten().map(shown).collect()
    }
}

#[test]
fn the_package_puts_lapwing_in_place_with_the_same_arguments_and_endpoint() {
    let (server, gateway) = (Server::start(), Gateway::new());
    gateway.package(&LAPWING);
    let line = ["--server-address", "127.0.0.1", "-sp", &server.port, "-e", "my ig60", "-l", "77", "-p", "0"];
    let runner = gateway.start(&line);
    let registered = || (server.clients() == [("my ig60".to_owned(), 77)]).then_some(());
    eventually("Lapwing registers", registered);
    eventually("it stays", || (!gateway.is_there("gg/lapwing/trial")).then_some(()));
    assert_eq!(gateway.first_client(), [format!("first client {}", line.join(" "))]);

    // It is there again after a power cut, of whoever runs.
    runner.cut_the_power();
    let line = ["--server-address", "127.0.0.1", "-sp", &server.port, "-e", "another", "-p", "0"];
    let runner = gateway.start(&line);
    eventually("Lapwing registers again", || server.clients().contains(&("another".to_owned(), 3600)).then_some(()));
    assert_eq!(gateway.first_client().len(), 1);

    runner.cut_the_power();
}

#[test]
fn a_gateway_that_was_moved_over_takes_updates_and_takes_back_those_that_fail() {
    let (server, gateway) = (Server::start(), Gateway::new());
    gateway.package(&LAPWING);
    let runner = gateway.start(&["-s", "127.0.0.1", "-sp", &server.port, "-e", "gw", "-p", "0"]);
    eventually("Lapwing registers", || (server.clients() == [("gw".to_owned(), 3600)]).then_some(()));
    eventually("it stays", || (!gateway.is_there("gg/lapwing/trial")).then_some(()));
    let update = |program: &[u8]| {
        gateway.pack(program, "update.tar.gz", &["--update"]);
        let package = gateway.path("update.tar.gz").display().to_string();
        server.manage(&["software", "push", &package, "--activate", "--wait", "120"])
    };
    let runs = || fs::read(gateway.path("gg/lapwing/lwm2m-python-client")).unwrap_or_default();

    // The same to whoever runs it.
    let newer = [&LAPWING[..], b"newer"].concat();
    let output = update(&newer);
    assert!(output.status.success() && runs() == newer, "{output:?}");

    let output = update(&fs::read("/bin/false").expect("every machine has it"));
    assert!(!output.status.success() && runs() == newer, "{output:?}");
    assert_eq!(gateway.first_client().len(), 1);
    runner.cut_the_power();
}

#[test]
fn what_ends_before_it_has_registered_brings_the_first_client_back() {
    let gateway = Gateway::new();
    let ends_at_once = fs::read("/bin/false").expect("every machine has it");
    let truncated = &LAPWING[..LAPWING.len() / 2];
    for program in [&ends_at_once[..], truncated] {
        gateway.package(program);
        let mut runner = gateway.start(&["-e", "my ig60", "--server-port", "5684"]);
        let line = "first client -e my ig60 --server-port 5684";
        eventually("the first client is back", || (gateway.first_client() == [line, line]).then_some(()));
        assert!(gateway.holds_the_first_client() && !gateway.is_there("gg/lapwing"));
        assert!(runner.runs());
        runner.cut_the_power();

        // It is the one that starts from now on.
        let runner = gateway.start(&[]);
        eventually("it starts", || (gateway.first_client().len() == 3).then_some(()));
        runner.cut_the_power();
        fs::remove_file(gateway.path("log")).expect("it is there");
    }
}

#[test]
fn what_does_not_register_in_time_brings_the_first_client_back_which_takes_the_next_package() {
    let server = Server::start();
    let gateway = Gateway { trial_seconds: 3, ..Gateway::new() };
    gateway.package(&LAPWING);
    // Nobody is there.
    let runner = gateway.start(&["-s", "127.0.0.1", "-sp", "9", "-e", "gw", "-p", "0"]);
    eventually("the first client is back", || (gateway.first_client().len() == 2).then_some(()));
    assert!(gateway.holds_the_first_client() && !gateway.is_there("gg/lapwing"));
    runner.cut_the_power();

    // The same package may be tried again.
    let gateway = Gateway { trial_seconds: 60, ..gateway };
    gateway.package(&LAPWING);
    let _runner = gateway.start(&["-s", "127.0.0.1", "-sp", &server.port, "-e", "gw", "-p", "0"]);
    eventually("Lapwing registers", || (server.clients() == [("gw".to_owned(), 3600)]).then_some(()));
    assert_eq!(gateway.first_client().len(), 3);
}

#[test]
fn power_cuts_in_the_trial_bring_the_first_client_back_in_the_end() {
    let gateway = Gateway::new();
    gateway.package(&LAPWING);
    let tries = || fs::read_to_string(gateway.path("gg/lapwing/trial")).unwrap_or_default();
    for expected in ["1", "2", "3"] {
        let runner = gateway.start(&["-s", "127.0.0.1", "-sp", "9", "-p", "0"]);
        eventually("another try", || (tries().trim() == expected).then_some(()));
        runner.cut_the_power();
    }
    assert_eq!(gateway.first_client().len(), 1);
    let runner = gateway.start(&["-s", "127.0.0.1", "-sp", "9", "-p", "0"]);
    eventually("the first client is back", || (gateway.first_client().len() == 2).then_some(()));
    assert!(gateway.holds_the_first_client());
    runner.cut_the_power();
}

#[test]
fn a_package_that_cannot_be_unpacked_brings_the_first_client_back() {
    let gateway = Gateway::new();
    gateway.package(&LAPWING);
    // A file is where its folder is to be, and cannot be taken away with what is inside.
    fs::create_dir_all(gateway.path("gg")).expect("it is ours");
    gateway.program("gg/lwm2m-python-client", CLIENT.as_bytes());
    fs::write(gateway.path("gg/lapwing.new"), "in the way").expect("it is ours");
    let runner = gateway.start(&["-e", "gw"]);
    eventually("the first client is back", || (gateway.first_client() == ["first client -e gw"; 2]).then_some(()));
    assert!(gateway.holds_the_first_client());
    runner.cut_the_power();
}

/// Lapwing's own runner, with the archive of the package as what it starts.
fn below_lapwings_runner(gateway: &Gateway, port: &str) -> Runner {
    let (package, folder) = (gateway.path("package.tar.gz"), gateway.path("gg"));
    fs::create_dir_all(&folder).expect("it is ours");
    let text = |path: &Path| path.display().to_string();
    let unpacked = bed::run("tar", &["-xzf", &text(&package), "-C", &text(&folder), "lwm2m-python-client"]);
    assert!(unpacked.status.success(), "{unpacked:?}");
    fs::remove_file(package).expect("it is there");
    let mut runner = Command::new("sh");
    runner.arg(bed::workspace().join("packaging/ig60/ig60_lwm2m2_client.sh"));
    runner.args(["-s", "127.0.0.1", "-sp", port, "-e", "gw", "-p", "0"]);
    gateway.surround(&mut runner);
    runner.env("LAPWING_RUN", folder);
    Runner::start(&mut runner)
}

#[test]
fn below_a_newer_runner_it_leaves_python_behind() {
    let (server, gateway) = (Server::start(), Gateway::new());
    gateway.package(&LAPWING);
    let runner = below_lapwings_runner(&gateway, &server.port);
    eventually("Lapwing registers", || (server.clients() == [("gw".to_owned(), 3600)]).then_some(()));
    assert!(fs::read(gateway.path("gg/lwm2m-python-client")).expect("it is there") == *LAPWING);
    assert!(!gateway.is_there("gg/lapwing"));
    runner.cut_the_power();
}

#[test]
fn it_is_no_update_of_lapwing_which_comes_back() {
    let gateway = Gateway::new();
    gateway.package(&LAPWING);
    fs::create_dir(gateway.path("gg")).expect("it is ours");
    gateway.program("gg/lwm2m-python-client.previous", CLIENT.as_bytes());
    fs::write(gateway.path("gg/trial"), "0").expect("it is ours");
    let mut runner = below_lapwings_runner(&gateway, "9");
    runner.process.err.next_with("this package replaces the first client, and is no update of Lapwing");
    eventually("what ran before is back", || (gateway.first_client().len() == 1).then_some(()));
    assert!(gateway.holds_the_first_client() && !gateway.is_there("gg/trial"));
    runner.cut_the_power();
}
