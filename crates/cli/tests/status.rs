//! `lapwing status` asks running agents.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Outcome, Running, Server, eventually, lapwing, lapwing_in};
use rustix::process::Signal;
use serde_json::json;

fn status(socket: &Path, more: &[&str]) -> Outcome {
    lapwing(&[&["status", "--socket", socket.to_str().unwrap()], more].concat())
}

#[test]
fn the_registration_and_the_versions_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, config) = (folder.path().join("control"), folder.path().join("agent.toml"));
    fs::write(&config, "socket = 'control'\n[device]\nfirmware-version = '7.1'\n").unwrap();
    let server = Server::start();
    let agent = server.agent("gw", &["--config", config.to_str().unwrap()]);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let report = status(&socket, &["--json"]).json();
    assert_eq!((&report["endpoint"], &report["lwm2mVersion"]), (&json!("gw"), &json!("1.1")));
    assert_eq!(
        (&report["firmwareVersion"], &report["agentVersion"]),
        (&json!("7.1"), &json!(env!("CARGO_PKG_VERSION")))
    );
    let registration = &report["servers"][0];
    assert_eq!((&registration["shortServerId"], &registration["state"]), (&json!(1), &json!("registered")));
    assert_eq!((&registration["uri"], report.get("bootstrap")), (&json!(server.uri), None));

    let shown = status(&socket, &[]).text();
    assert!(shown.starts_with("gw  Lapwing 0."), "{shown}");
    assert!(shown.contains("\nfirmware version 7.1\n"), "{shown}");
    let line = shown.lines().last().unwrap();
    assert!(line.starts_with(&format!("1       {}  registered    ", server.uri)), "{shown}");

    let complaint = lapwing(&["run", "--server", &server.uri, "--endpoint", "b", "--socket", socket.to_str().unwrap()]);
    let complaint = complaint.failed(1);
    assert!(complaint.ends_with("another agent listens there"), "{complaint}");
    assert_eq!(agent.stop(Signal::TERM).0, Some(0));
    let complaint = status(&socket, &[]).failed(1);
    assert!(complaint.starts_with(&format!("lapwing: no agent answers at {}: ", socket.display())), "{complaint}");
}

#[test]
fn why_there_is_no_registration_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control");
    let common = ["run", "--endpoint", "gw", "--socket", socket.to_str().unwrap()];
    let agent = Running::start(&[&common[..], &["--server", "coap://no-such-host.invalid"]].concat());
    agent.says("; trying again in ");
    let server = &status(&socket, &["--json"]).json()["servers"][0];
    assert!(server["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{server}");
    drop(agent);

    // The one that was killed has left its socket.
    let agent = Running::start(&[&common[..], &["--bootstrap-server", "coap://no-such-host.invalid"]].concat());
    agent.says("cannot be bootstrapped");
    let report = status(&socket, &["--json"]).json();
    assert_eq!((&report["bootstrap"]["state"], &report["servers"]), (&json!("failed"), &json!([])));
}

#[test]
fn agents_are_found_where_they_put_their_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("RUNTIME_DIRECTORY", folder.path().to_str().unwrap())];
    let find = || lapwing_in(&environment, &["status", "--json"]);
    let complaint = find().failed(1);
    assert!(complaint.starts_with("lapwing: no agent is found: `lapwing run` starts one"), "{complaint}");

    let server = Server::start();
    let run = |name: &str| {
        let agent = Running::start_in(&environment, &["run", "--server", &server.uri, "--endpoint", name]);
        agent.says("registered at");
        agent
    };
    let (one, two) = (run("one"), run("two"));
    let mut found: Vec<_> = find().text().lines().map(|line| line[..16].to_owned()).collect();
    found.sort();
    assert_eq!(found, ["{\"endpoint\":\"one", "{\"endpoint\":\"two"]);
    assert_eq!(one.stop(Signal::TERM).0, Some(0));
    // Killed, it leaves its socket, which the next one removes.
    drop(two);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    find().failed(1);
    let three = run("three");
    eventually(|| fs::read_dir(folder.path()).unwrap().count() == 1, || "the orphan's removal".to_owned());
    assert_eq!(find().json()["endpoint"], json!("three"));
    three.stop(Signal::TERM);
}
