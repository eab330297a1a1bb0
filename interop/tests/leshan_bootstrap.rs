//! `lapwing run` bootstrapped by Leshan's bootstrap server, then registered at Leshan's server: each test names the case of OMA's
//! enabler test specification that it follows (LightweightM2M-1.1-int-...).

mod common;

use std::sync::LazyLock;
use std::time::Duration;

use bed::keys::{Authority, KeyFiles};
use bed::leshan::{Options, Server};
use bed::{eventually, hex};
use common::{Agent, Security, models};
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";
const CONFIGURATION: &str = "[device]\nmanufacturer = \"Lapwing\"\n";

struct Leshan {
    bootstrap: Server,
    server: Server,
    authority: Authority,
    keys: KeyFiles,
}

static LESHAN: LazyLock<Leshan> = LazyLock::new(|| {
    let authority = Authority::new();
    let keys = authority.issue("localhost", Some("DNS:localhost"));
    let root = authority.root.certificate.clone();
    let options = Options { connection_id: Some(6), keys: Some((&keys, &root)), ..Options::default() };
    // Leshan's own definitions serve for a bootstrap.
    let bootstrap = Server::bootstrap("127.0.0.1", options);
    let server = Server::start("127.0.0.1", Options { models: Some(models()), ..options });
    Leshan { bootstrap, server, authority, keys }
});

fn write(path: &str, resources: Value) -> Value {
    json!({"op": "write", "path": path, "content": {"resources": resources}, "format": "TLV"})
}

/// The account of Leshan's server, by pre-shared key: instance 1 of object 0, instance 0 of object 1.
fn psk_account(endpoint: &str, key: &str) -> Vec<Value> {
    LESHAN.server.allow_psk(endpoint, endpoint, KEY);
    let uri = format!("coaps://127.0.0.1:{}", LESHAN.server.coaps);
    let identity = hex(endpoint.as_bytes());
    let security = json!({"0": uri, "1": false, "2": 0, "3": identity, "4": "", "5": key, "10": 77});
    vec![write("/0/1", security), write("/1/0", json!({"0": 77, "1": 120, "6": true, "7": "U"}))]
}

fn plain_account() -> Vec<Value> {
    let uri = format!("coap://127.0.0.1:{}", LESHAN.server.coap);
    let security = json!({"0": uri, "1": false, "2": 3, "3": "", "4": "", "5": "", "10": 77});
    vec![write("/0/1", security), write("/1/0", json!({"0": 77, "1": 120, "6": true, "7": "U"}))]
}

fn bootstrap_uri(security: Security<'_>) -> String {
    match security {
        Security::None => format!("coap://127.0.0.1:{}", LESHAN.bootstrap.coap),
        _ => format!("coaps://127.0.0.1:{}", LESHAN.bootstrap.coaps),
    }
}

fn start(endpoint: &str, security: Security<'_>) -> Agent {
    let uri = bootstrap_uri(security);
    Agent::with(endpoint, security, &["--bootstrap-server", &uri, "--state", "{folder}/state"], CONFIGURATION)
}

/// The answers to a script; one to its Finish comes after them.
fn replies(endpoint: &str, count: usize) -> Vec<Value> {
    (0..count).map(|_| LESHAN.bootstrap.event("reply", endpoint)).collect()
}

fn codes(replies: &[Value]) -> Vec<&str> {
    replies.iter().map(|reply| reply["code"].as_str().unwrap_or("no answer")).collect()
}

fn read(endpoint: &str, path: &str) -> Value {
    LESHAN.server.ask(endpoint, "read", path, json!({"format": "TLV"}))
}

/// A bootstrap over what `security` says, to a registration as `tasks` say.
fn bootstrapped(endpoint: &str, security: Security<'_>, tasks: &[Value]) -> Agent {
    LESHAN.bootstrap.script(endpoint, json!(tasks));
    let agent = start(endpoint, security);
    let replies = replies(endpoint, tasks.len() + 1);
    assert!(codes(&replies).iter().all(|code| code.starts_with('2')), "{replies:?}");
    LESHAN.bootstrap.event("finished", endpoint);
    let registered = LESHAN.server.event("registered", endpoint);
    assert_eq!(registered["client"]["lifetime"], 120);
    assert_eq!(read(endpoint, "/3/0/0")["content"], "Lapwing");
    agent
}

#[test]
fn int_0_client_initiated_bootstrap() {
    let _agent = bootstrapped("int-0", Security::None, &plain_account());
    let peer = LESHAN.server.ask("int-0", "clients", "/", json!({}));
    assert!(peer["clients"].as_array().is_some_and(|all| all.iter().any(|client| client["ep"] == "int-0")));
}

#[test]
fn int_1_client_initiated_bootstrap_full_psk() {
    LESHAN.bootstrap.allow_psk("int-1", "bootstrap of int-1", KEY);
    let security = Security::Psk("bootstrap of int-1", KEY);
    let _agent = bootstrapped("int-1", security, &psk_account("int-1", KEY));
}

#[test]
fn int_2_client_initiated_bootstrap_full_certificate() {
    let own = LESHAN.authority.issue("int-2", None);
    LESHAN.bootstrap.allow_certificate("int-2");
    let _agent = bootstrapped("int-2", Security::Certificate(&own, &LESHAN.keys), &psk_account("int-2", KEY));
}

#[test]
fn client_initiated_bootstrap_over_raw_public_keys() {
    let own = LESHAN.authority.issue("bs-rpk", None);
    LESHAN.bootstrap.allow_raw_public_key("bs-rpk", &KeyFiles::read(&own.public));
    let _agent = bootstrapped("bs-rpk", Security::RawPublicKey(&own, &LESHAN.keys), &psk_account("bs-rpk", KEY));
}

#[test]
fn client_initiated_bootstrap_over_plain_coap_to_a_psk_server() {
    let _agent = bootstrapped("bs-plain", Security::None, &psk_account("bs-plain", KEY));
}

#[test]
fn bootstrap_to_a_certificate_account() {
    let endpoint = "bs-x509";
    let own = LESHAN.authority.issue(endpoint, None);
    LESHAN.server.allow_certificate(endpoint);
    let uri = format!("coaps://127.0.0.1:{}", LESHAN.server.coaps);
    let file = |path| hex(&KeyFiles::read(path));
    let security = json!({"0": uri, "1": false, "2": 2, "3": file(&own.certificate_der),
        "4": file(&LESHAN.keys.certificate_der), "5": file(&own.private), "10": 77});
    let tasks = [write("/0/1", security), write("/1/0", json!({"0": 77, "1": 120, "6": true, "7": "U"}))];
    LESHAN.bootstrap.allow_psk(endpoint, endpoint, KEY);
    let _agent = bootstrapped(endpoint, Security::Psk(endpoint, KEY), &tasks);
}

#[test]
fn bootstrap_to_a_raw_public_key_account() {
    let endpoint = "bs-to-rpk";
    let own = LESHAN.authority.issue(endpoint, None);
    LESHAN.server.allow_raw_public_key(endpoint, &KeyFiles::read(&own.public));
    let uri = format!("coaps://127.0.0.1:{}", LESHAN.server.coaps);
    let file = |path| hex(&KeyFiles::read(path));
    let security = json!({"0": uri, "1": false, "2": 1, "3": file(&own.public), "4": file(&LESHAN.keys.public),
        "5": file(&own.private), "10": 77});
    let tasks = [write("/0/1", security), write("/1/0", json!({"0": 77, "1": 120, "6": true, "7": "U"}))];
    LESHAN.bootstrap.allow_psk(endpoint, endpoint, KEY);
    let _agent = bootstrapped(endpoint, Security::Psk(endpoint, KEY), &tasks);
}

#[test]
fn int_4_bootstrap_delete() {
    let endpoint = "int-4";
    let second = write("/1/5", json!({"0": 78, "1": 60, "6": true, "7": "U"}));
    let uri = format!("coap://127.0.0.1:{}", LESHAN.server.coap);
    let other =
        json!({"0": uri.replace("127.0.0.1", "127.0.0.2"), "1": false, "2": 3, "3": "", "4": "", "5": "", "10": 78});
    let both = [psk_account(endpoint, KEY), vec![write("/0/5", other), second]].concat();
    let _agent = bootstrapped(endpoint, Security::None, &both);
    assert_eq!(read(endpoint, "/1/5/1")["code"], "4.01", "another server's account");
    // Delete one account of both objects, then see what is left.
    let tasks = json!([{"op": "delete", "path": "/0/5"}, {"op": "delete", "path": "/1/5"}, {"op": "read", "path": "/1"},
        {"op": "discover", "path": "/0"}]);
    LESHAN.bootstrap.script(endpoint, tasks);
    assert_eq!(LESHAN.server.ask(endpoint, "execute", "/1/0/9", json!({}))["code"], "2.04");
    let replies = replies(endpoint, 4);
    assert_eq!(codes(&replies), ["2.02", "2.02", "2.05", "2.05"], "{replies:?}");
    let instances = replies[2]["content"]["objectInstances"].as_object().expect("instances");
    assert_eq!(instances.keys().collect::<Vec<_>>(), ["0"]);
    let links = replies[3]["links"].to_string();
    assert!(links.contains("</0/0>") && links.contains("</0/1>") && !links.contains("</0/5>"), "{links}");
    LESHAN.bootstrap.event("finished", endpoint);
    eventually("the registration after it", || read(endpoint, "/3/0/0")["content"].as_str().map(|_| ()));
}

#[test]
fn delete_all_and_bootstrap_again() {
    let endpoint = "bs-again";
    let _agent = bootstrapped(endpoint, Security::None, &psk_account(endpoint, KEY));
    let delete = json!({"op": "delete", "path": "/"});
    let tasks = [vec![delete, json!({"op": "discover", "path": "/"})], psk_account(endpoint, KEY)].concat();
    LESHAN.bootstrap.script(endpoint, json!(tasks));
    assert_eq!(LESHAN.server.ask(endpoint, "execute", "/1/0/9", json!({}))["code"], "2.04");
    let replies = replies(endpoint, 4);
    assert_eq!(codes(&replies), ["2.02", "2.05", "2.04", "2.04"], "{replies:?}");
    let links = replies[1]["links"].to_string();
    assert!(links.contains("</0/0>") && links.contains("</3/0>"), "the bootstrap account and the device stay: {links}");
    assert!(!links.contains("</0/1>") && !links.contains("</1/0>"), "{links}");
    LESHAN.bootstrap.event("finished", endpoint);
    eventually("the registration after it", || read(endpoint, "/3/0/0")["content"].as_str().map(|_| ()));
}

#[test]
fn int_5_server_initiated_bootstrap() {
    let endpoint = "int-5";
    let _agent = bootstrapped(endpoint, Security::None, &psk_account(endpoint, KEY));
    LESHAN.bootstrap.event("initiated", endpoint);
    let tasks = [write("/1/0", json!({"0": 77, "1": 240, "6": true, "7": "U"}))];
    LESHAN.bootstrap.script(endpoint, json!(tasks));
    assert_eq!(LESHAN.server.ask(endpoint, "execute", "/1/0/9", json!({}))["code"], "2.04");
    LESHAN.bootstrap.event("initiated", endpoint);
    LESHAN.bootstrap.event("finished", endpoint);
    let lifetime = || Some(read(endpoint, "/1/0/1")["content"].clone()).filter(|lifetime| lifetime == 240);
    eventually("the new lifetime", lifetime);
}

#[test]
fn int_6_bootstrap_sequence() {
    let endpoint = "int-6";
    let mut agent = bootstrapped(endpoint, Security::None, &psk_account(endpoint, KEY));
    LESHAN.bootstrap.event("initiated", endpoint);
    // What a bootstrap has written goes first: no bootstrap server is asked again.
    agent.kill_and_restart(&[]);
    agent.process.err.next_with("registered");
    eventually("the registration after it", || read(endpoint, "/3/0/0")["content"].as_str().map(|_| ()));
    assert!(LESHAN.bootstrap.event_within(Duration::from_millis(100), "initiated", endpoint).is_none());
    agent.kill_and_restart(&["--reset-accounts"]);
    LESHAN.bootstrap.event("initiated", endpoint);
    LESHAN.bootstrap.event("finished", endpoint);
}

#[test]
fn int_7_fallback_to_bootstrap() {
    let endpoint = "int-7";
    // The server refuses this client, since the key is another's: the bootstrap server is asked at once.
    LESHAN.server.allow_psk("another of int-7", "another of int-7", KEY);
    let mut tasks = psk_account(endpoint, KEY);
    tasks[0]["content"]["resources"]["3"] = hex(b"another of int-7").into();
    LESHAN.bootstrap.script(endpoint, json!(tasks));
    let mut agent = start(endpoint, Security::None);
    LESHAN.bootstrap.event("finished", endpoint);
    LESHAN.bootstrap.script(endpoint, json!(psk_account(endpoint, KEY)));
    agent.process.err.next_with("not registered");
    LESHAN.bootstrap.event("finished", endpoint);
    LESHAN.server.event("registered", endpoint);
}

#[test]
fn int_8_bootstrap_read() {
    let endpoint = "int-8";
    let tasks = [
        psk_account(endpoint, KEY),
        ["/1", "/1/0", "/2", "/3", "/0"].map(|path| json!({"op": "read", "path": path})).to_vec(),
    ]
    .concat();
    LESHAN.bootstrap.script(endpoint, json!(tasks));
    let _agent = start(endpoint, Security::None);
    let replies = replies(endpoint, 7);
    assert_eq!(codes(&replies)[..4], ["2.04", "2.04", "2.05", "2.05"], "{replies:?}");
    assert_eq!(replies[2]["content"]["objectInstances"]["0"]["resources"]["1"], 120);
    assert_eq!(replies[3]["content"]["resources"]["0"], 77);
    // Only the Server and the Access Control object may be read.
    assert_eq!(codes(&replies)[5..], ["4.05", "4.05"], "{replies:?}");
    LESHAN.bootstrap.event("finished", endpoint);
    LESHAN.server.event("registered", endpoint);
}

#[test]
fn int_9_bootstrap_and_configuration_consistency() {
    let endpoint = "int-9";
    // A Server object instance that has no Security object instance.
    let account = psk_account(endpoint, KEY);
    LESHAN
        .bootstrap
        .script(endpoint, json!([account[0], write("/1/0", json!({"0": 78, "1": 120, "6": true, "7": "U"}))]));
    let mut agent = start(endpoint, Security::None);
    let replies = replies(endpoint, 3);
    assert_eq!(codes(&replies), ["2.04", "2.04", "4.06"], "{replies:?}");
    assert_eq!(LESHAN.bootstrap.event("failed", endpoint)["cause"], "FINISH_FAILED");
    assert!(agent.process.runs());
    assert!(LESHAN.server.event_within(Duration::from_millis(200), "registered", endpoint).is_none());
}

#[test]
fn every_operation_in_tlv() {
    let endpoint = "bs-all";
    let account = psk_account(endpoint, KEY);
    let servers = json!({"objectInstances": {"0": {"resources": {"0": 77, "1": 99, "6": true, "7": "U"}}}});
    let tasks = json!([
        {"op": "discover", "path": "/"},
        {"op": "discover", "path": "/1"},
        {"op": "delete", "path": "/1"},
        account[0],
        {"op": "write", "path": "/1", "content": servers, "format": "TLV"},
        {"op": "write", "path": "/1/0/1", "content": 120, "format": "TLV"},
        {"op": "read", "path": "/1/0"},
        {"op": "discover", "path": "/0"},
        {"op": "delete", "path": "/3/0"},
    ]);
    LESHAN.bootstrap.script(endpoint, tasks);
    let _agent = start(endpoint, Security::None);
    let replies = replies(endpoint, 9);
    assert_eq!(codes(&replies)[..8], ["2.05", "2.05", "2.02", "2.04", "2.04", "2.04", "2.05", "2.05"], "{replies:?}");
    let root = replies[0]["links"].to_string();
    assert!(root.contains("lwm2m=1.1") && root.contains("</0/0>") && root.contains("</3/0>"), "{root}");
    assert_eq!(replies[6]["content"]["resources"]["1"], 120);
    let security = replies[7]["links"].to_string();
    assert!(security.contains("</0/1>;ssid=77;uri="), "{security}");
    LESHAN.bootstrap.event("finished", endpoint);
    LESHAN.server.event("registered", endpoint);
    assert_eq!(read(endpoint, "/3/0/0")["content"], "Lapwing", "the device cannot be deleted");
}
