//! `lapwing status` asks running agents.

mod common;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Outcome, PATIENCE, Running, Server, eventually, lapwing, lapwing_in};
use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};
use lapwing_coap::{Block, BlockSize};
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

/// A server that a test plays, so that a transfer stands still while it is looked at. It takes a Register.
struct Played {
    socket: UdpSocket,
    client: SocketAddr,
    next_id: u16,
}

impl Played {
    /// Starts the agent with this end of the configuration, and takes its Register.
    fn register(config: &Path, more: &str) -> (Self, Running) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let server = format!("server = 'coap://{}'\nendpoint = 'gw'\n", socket.local_addr().unwrap());
        fs::write(config, server + more).unwrap();
        let agent = Running::start(&["run", "--config", config.to_str().unwrap()]);
        let mut datagram = [0; 2048];
        let (length, client) = socket.recv_from(&mut datagram).unwrap();
        let register = Message::parse(&datagram[..length]).unwrap();
        let mut answer = Vec::new();
        let mut writer = Writer::new(&mut answer, MessageType::Ack, Code::CREATED, register.id, register.token);
        writer.option_str(option::LOCATION_PATH, "rd").option_str(option::LOCATION_PATH, "1").finish();
        socket.send_to(&answer, client).unwrap();
        agent.says("registered at");
        (Self { socket, client, next_id: 1 }, agent)
    }

    /// Sends one block of a package, and waits for its acknowledgement.
    fn block(&mut self, number: u32, more: bool, size: u32, payload: &[u8]) -> Code {
        let (mut request, token) = (Vec::new(), Token::new(&[7]).unwrap());
        let mut writer = Writer::new(&mut request, MessageType::Con, Code::PUT, self.next_id, token);
        for segment in ["5", "0", "0"] {
            writer.option_str(option::URI_PATH, segment);
        }
        writer.option_uint(option::CONTENT_FORMAT, 42);
        writer.option_block(option::BLOCK1, Block { number, more, size: BlockSize::B1024 });
        writer.option_uint(option::SIZE1, size).payload(payload).finish();
        self.next_id += 1;
        self.socket.send_to(&request, self.client).unwrap();
        let mut datagram = [0; 2048];
        loop {
            let (length, _) = self.socket.recv_from(&mut datagram).unwrap();
            let answer = Message::parse(&datagram[..length]).unwrap();
            if answer.kind == MessageType::Con {
                let mut ack = Vec::new();
                Writer::empty(&mut ack, MessageType::Ack, answer.id);
                self.socket.send_to(&ack, self.client).unwrap();
            }
            if answer.token == token {
                return answer.code;
            }
        }
    }
}

#[test]
fn a_push_is_shown_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, state) = (folder.path().join("control"), folder.path().join("state"));
    let more = format!("socket = 'control'\nstate = '{}'\n[firmware]\nprogram = ['true']\n", state.display());
    let (mut server, _agent) = Played::register(&folder.path().join("agent.toml"), &more);
    let firmware = || status(&socket, &["--json"]).json()["firmware"].clone();
    assert_eq!((&firmware()["stateName"], firmware().get("transfer")), (&json!("idle"), None));

    assert_eq!(server.block(0, true, 2500, &[1; 1024]), Code::CONTINUE);
    assert_eq!(server.block(1, true, 2500, &[2; 1024]), Code::CONTINUE);
    let told = firmware();
    assert_eq!((&told["state"], &told["stateName"]), (&json!(1), &json!("downloading")));
    assert_eq!(told["transfer"], json!({"bytes": 2048, "size": 2500, "rate": 0}));
    let shown = status(&socket, &[]).text();
    let end = "firmware: downloading\n  pushed by a server\n  [###################-----]  81 %  2.0 KiB of 2.4 KiB";
    assert!(shown.ends_with(end), "{shown}");

    assert_eq!(server.block(2, false, 2500, &[3; 452]), Code::CHANGED);
    let told = firmware();
    assert_eq!((&told["stateName"], &told["package"]), (&json!("downloaded"), &json!({"bytes": 2500})));
    assert_eq!(told.get("transfer"), None);
}
