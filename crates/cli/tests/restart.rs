//! A process that is killed comes back with its DTLS association: no handshake, and nothing that was recorded before acts again.

mod common;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::proxy::{HANDSHAKE, Passed, Proxy, WITH_CONNECTION_ID, Way};
use common::secure::{IDENTITY, SecureServer};
use common::{Running, eventually, lapwing};
use rustix::process::Signal;
use serde_json::json;

/// How often the machine was rebooted: lines of the file that stands for it.
fn reboots(server: &SecureServer) -> usize {
    fs::read_to_string(server.folder.path().join("reboots")).map_or(0, |text| text.lines().count())
}

fn agent(server: &SecureServer, proxy: &Proxy, connection_id: bool) -> Running {
    let folder = server.folder.path().display();
    let config = server.folder.path().join("agent.toml");
    let text = format!(
        "server = 'coaps://{}'\nendpoint = 'gw'\nstate = '{folder}/state'\npsk-identity = '{IDENTITY}'\npsk-key-file = 'psk.hex'\n\
         connection-id = {connection_id}\n[device]\nreboot-command = ['sh', '-c', 'echo now >> {folder}/reboots']\n",
        proxy.address
    );
    fs::write(&config, text).unwrap();
    Running::start(&["run", "--config", config.to_str().unwrap()])
}

/// Sends a recording again, both ways.
fn replay(proxy: &Proxy, recorded: &[Passed]) {
    for passed in recorded {
        proxy.replay(passed);
        // So that no socket's buffer is too small.
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_killed_agent_goes_on_with_its_association_and_obeys_no_recording() {
    let server = SecureServer::start();
    let proxy = Proxy::start(server.authority());
    let first = agent(&server, &proxy, true);
    first.says("gw registered at coaps://");
    assert!(proxy.passed().iter().any(|passed| passed.is(HANDSHAKE)), "the first association takes a handshake");

    // A conversation, with what must not happen twice in it.
    assert_eq!(server.manage(&["execute", "/3/0/4"]).text(), "2.04 CHANGED");
    eventually(|| reboots(&server) == 1, || "the reboot".to_owned());
    assert_eq!(server.manage(&["write", "/1/0/1", "600"]).text(), "2.04 CHANGED");
    let (talks, api) = (AtomicBool::new(true), server.api.as_str());
    std::thread::scope(|scope| {
        let talks = &talks;
        scope.spawn(move || {
            while talks.load(Ordering::Relaxed) {
                // The last one has nobody to answer it.
                lapwing(&["manage", "--api", api, "read", "/3/0", "--timeout", "1"]);
            }
        });
        let before = proxy.passed().len();
        eventually(|| proxy.passed().len() >= before + 20, || "a conversation".to_owned());
        first.stop(Signal::KILL);
        talks.store(false, Ordering::Relaxed);
    });
    let recorded = proxy.passed();

    // While the server has shown nothing yet, the recording is all that the client hears.
    proxy.lose_answers(true);
    let second = agent(&server, &proxy, true);
    let since = || proxy.passed()[recorded.len()..].to_vec();
    eventually(|| !since().is_empty(), || "the first record after the restart".to_owned());
    let commands: Vec<Passed> = recorded.iter().filter(|passed| passed.way == Way::ToClient).cloned().collect();
    replay(&proxy, &commands);
    proxy.lose_answers(false);
    second.says("gw registered at coaps://");
    assert_eq!(reboots(&server), 1, "the machine was rebooted once");
    assert_eq!(server.manage(&["read", "/1/0/1"]).text(), "/1/0/1  Lifetime  600 s");
    assert!(!since().iter().any(|passed| passed.is(HANDSHAKE)), "no handshake was needed: {}", second.stderr());
    assert!(since().iter().any(|passed| passed.way == Way::ToServer && passed.is(WITH_CONNECTION_ID)));

    // What is recorded would do harm: the lifetime is another one now.
    assert_eq!(server.manage(&["write", "/1/0/1", "900"]).text(), "2.04 CHANGED");
    let registration = server.clients()[0]["registrationId"].clone();
    let before = proxy.passed().len();
    replay(&proxy, &recorded);
    assert_eq!(server.manage(&["read", "/1/0/1"]).text(), "/1/0/1  Lifetime  900 s");
    assert_eq!(reboots(&server), 1, "the machine was rebooted once");
    let client = &server.clients()[0];
    assert_eq!((&client["registrationId"], &client["lifetime"]), (&registration, &json!(900)));
    // The Update that tells the new lifetime, perhaps, and the answer to the read.
    let sent = proxy.passed()[before..].iter().filter(|passed| passed.way == Way::ToServer).count();
    assert!(sent <= 2, "the recording was answered: {sent} datagrams");
}

/// Where there is no Connection ID the server knows the association by the client's address and port.
#[test]
fn a_killed_agent_without_connection_id_binds_its_port_again() {
    let server = SecureServer::start();
    let proxy = Proxy::start(server.authority());
    let first = agent(&server, &proxy, false);
    first.says("without Connection ID");
    first.says("gw registered at coaps://");
    // The association is stored beside the registration.
    eventually(|| server.folder.path().join("state/association-1").exists(), || "the association".to_owned());
    let (port, before) = (proxy.client(), proxy.passed().len());
    first.stop(Signal::KILL);
    let second = agent(&server, &proxy, false);
    second.says("gw registered at coaps://");
    assert_eq!(proxy.client(), port);
    assert_eq!(server.manage(&["read", "/1/0/1"]).text(), "/1/0/1  Lifetime  300 s");
    let since = &proxy.passed()[before..];
    assert!(!since.iter().any(|passed| passed.is(HANDSHAKE) || passed.is(WITH_CONNECTION_ID)), "{}", second.stderr());
}
