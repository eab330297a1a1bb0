//! The agent in network namespaces of its own, whose links come and go.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::namespace::outside;
use common::{PATIENCE, Running, Server, lapwing};
use serde_json::json;

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}

#[test]
fn a_machine_without_a_network_has_no_connectivity_object() {
    if outside("a_machine_without_a_network_has_no_connectivity_object") {
        return;
    }
    ip("link set lo up");
    let demo = Running::start(&["demo", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--endpoint", "alone"]);
    let page = demo.line();
    demo.line();
    assert_eq!(demo.line(), "2 objects");
    let clients = lapwing(&["manage", "--api", &page, "clients", "--json"]).json();
    assert_eq!(clients[0]["availableInstances"].get("4"), None);
}

#[test]
fn the_connectivity_object_follows_the_network() {
    if outside("the_connectivity_object_follows_the_network") {
        return;
    }
    ip("link set lo up");
    ip("link add out type veth peer name far");
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let instances = || server.clients()[0]["availableInstances"]["4"].clone();
    let offered = server.clients()[0]["objectLinks"].as_array().unwrap().iter().any(|link| link["url"] == "/4");
    assert!(offered && instances() != json!([0]), "the link is down: the object is there, its instance is not");

    ip("addr add 192.0.2.7/24 dev out");
    ip("link set out up");
    ip("link set far up");
    ip("route add default via 192.0.2.1 dev out");
    common::eventually(|| instances() == json!([0]), || format!("instance 0: {}", instances()));
    common::eventually(|| server.manage(&["read", "/4/0/5"]).code == Some(0), || "the router".to_owned());
    let read = |path: &str| server.manage(&["read", path]).text();
    assert_eq!(read("/4/0/0"), "/4/0/0  Network Bearer  41");
    assert_eq!(read("/4/0/1"), "/4/0/1/0  Available Network Bearer  41");
    assert!(read("/4/0/4").starts_with("/4/0/4/0  IP Addresses  192.0.2.7"));
    assert_eq!(read("/4/0/5"), "/4/0/5/0  Router IP Addresses  192.0.2.1");
    assert!(server.manage(&["read", "/4/0/2"]).failed(1).contains("4.04"), "a wire has no radio signal");

    let observer = Running::start(&["manage", "--api", &server.api, "observe", "/4/0/5"]);
    assert!(observer.line().ends_with("192.0.2.1"));
    ip("route replace default via 192.0.2.254 dev out");
    assert!(observer.line().ends_with("192.0.2.254"), "a change is notified");
}

#[test]
fn a_link_that_comes_up_is_tried_at_once() {
    if outside("a_link_that_comes_up_is_tried_at_once") {
        return;
    }
    // A server that is there already, on an address that nothing leads to while the link is down.
    ip("link set lo up");
    ip("link add out type veth peer name far");
    ip("link set far up");
    ip("addr add 192.0.2.7/24 dev out");
    let server = Running::start(&["serve", "--coap", "0.0.0.0:0", "--http", "127.0.0.1:0"]);
    server.line();
    let port = server.line().rsplit(':').next().unwrap().to_owned();
    ip("addr flush dev out");
    let agent = Running::start(&["run", "--server", &format!("coap://192.0.2.7:{port}"), "--endpoint", "gw"]);
    // After some attempts the next one is far enough away to tell an early one from it (2 s doubling, less a quarter at most).
    let waits = || agent.stderr().matches("trying again in ").count();
    common::eventually(|| waits() >= 3, || agent.stderr());
    let start = Instant::now();
    ip("addr add 192.0.2.7/24 dev out");
    ip("link set out up");
    agent.says("gw registered at");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?} of {PATIENCE:?}: {}", start.elapsed(), agent.stderr());
}
