//! `lapwing run` registered at Leshan's server over DTLS: with a pre-shared key (LightweightM2M-1.1-int-401), raw public keys and
//! certificates, and what happens where a key is wrong.

mod common;

use std::sync::LazyLock;
use std::time::Duration;

use bed::keys::{Authority, KeyFiles};
use bed::leshan::{Options, Server};
use common::{Agent, Security, models};
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";
const CONFIGURATION: &str = "[device]\nmanufacturer = \"Lapwing\"\n";

struct Leshan {
    server: Server,
    authority: Authority,
    keys: KeyFiles,
}

static LESHAN: LazyLock<Leshan> = LazyLock::new(|| {
    let authority = Authority::new();
    let keys = authority.issue("localhost", Some("DNS:localhost,URI:coaps://127.0.0.1"));
    let root = authority.root.certificate.clone();
    let options = Options { models: Some(models()), connection_id: Some(6), ..Options::default() };
    let server = Server::start("127.0.0.1", Options { keys: Some((&keys, &root)), ..options });
    Leshan { server, authority, keys }
});

/// Registers, is managed, updates, is observed and de-registers; `shown` is what Leshan says of the peer.
fn managed(endpoint: &str, security: Security<'_>, more: &[&str], shown: &str) {
    let server = &LESHAN.server;
    let uri = format!("coaps://127.0.0.1:{}", server.coaps);
    let options = [&["--server", &uri, "--lifetime", "120"], more].concat();
    let mut agent = Agent::with(endpoint, security, &options, CONFIGURATION);
    let registration = server.event("registered", endpoint)["client"].clone();
    let peer = registration["peer"].as_str().expect("a peer").to_owned();
    assert!(peer.contains(shown), "{peer}");
    let ask = |operation: &str, path: &str, more: Value| server.ask(endpoint, operation, path, more);
    let device = ask("read", "/3/0", json!({"format": "TLV"}));
    assert_eq!(device["content"]["resources"]["0"], "Lapwing", "{device}");
    assert_eq!(ask("read", "/0/0", json!({}))["code"], "4.01", "secrets are never told");
    let written = ask("write", "/1/0/1", json!({"content": 240, "format": "TEXT"}));
    assert_eq!(written["code"], "2.04", "{written}");
    assert_eq!(server.event("updated", endpoint)["client"]["lifetime"], 240);
    ask("attributes", "/3/0/13", json!({"attributes": "pmin=1&pmax=1"}));
    assert_eq!(ask("observe", "/3/0/13", json!({}))["code"], "2.05");
    for _ in 0..2 {
        server.event("notify", endpoint);
    }
    agent.process.signal("TERM");
    assert_eq!(server.event("unregistered", endpoint)["expired"], false);
    assert!(agent.process.ended().success());
}

#[test]
fn int_401_udp_channel_security_pre_shared_key_mode() {
    LESHAN.server.allow_psk("int-401", "identity of int-401", KEY);
    managed("int-401", Security::Psk("identity of int-401", KEY), &[], "identity of int-401");
}

#[test]
fn pre_shared_key_mode_without_connection_id() {
    LESHAN.server.allow_psk("no-cid", "no-cid", KEY);
    managed("no-cid", Security::Psk("no-cid", KEY), &["--connection-id", "false"], "no-cid");
}

#[test]
fn raw_public_key_mode() {
    let own = LESHAN.authority.issue("rpk", None);
    LESHAN.server.allow_raw_public_key("rpk", &KeyFiles::read(&own.public));
    managed("rpk", Security::RawPublicKey(&own, &LESHAN.keys), &[], "Identity rpk=");
}

#[test]
fn certificate_mode_with_the_servers_own_certificate() {
    let own = LESHAN.authority.issue("x509", None);
    LESHAN.server.allow_certificate("x509");
    managed("x509", Security::Certificate(&own, &LESHAN.keys), &[], "x509");
}

#[test]
fn certificate_mode_with_a_path_to_the_root() {
    let own = LESHAN.authority.issue("x509-path", None);
    LESHAN.server.allow_certificate("x509-path");
    let security = Security::Certificate(&own, &LESHAN.authority.root);
    managed("x509-path", security, &["--server-cert-usage", "2", "--sni", "localhost"], "x509-path");
}

/// Scandium does not tell a client that its key or its identity is wrong: it drops what it cannot read, and the handshake ends when the
/// client has sent its flight six times, after 63 s.
#[test]
#[ignore = "soak: it waits for the end of a handshake's retransmissions"]
fn soak_a_wrong_key_is_told_in_one_line_and_nothing_is_registered() {
    LESHAN.server.allow_psk("wrong", "wrong", KEY);
    let uri = format!("coaps://127.0.0.1:{}", LESHAN.server.coaps);
    let security = Security::Psk("wrong", "ffeeddccbbaa99887766554433221100");
    let mut agent = Agent::with("wrong", security, &["--server", &uri], "");
    let told = |line: &str| line.contains("cannot register").then(|| line.to_owned());
    let line = agent.process.err.within(Duration::from_secs(100), told).expect("a line");
    assert!(line.contains(&uri), "which server: {line}");
    assert!(line.contains("no DTLS association"), "{line}");
    assert!(agent.process.runs());
    assert!(LESHAN.server.event_within(Duration::from_millis(100), "registered", "wrong").is_none());
}

#[test]
fn a_certificate_for_another_name_registers_nothing() {
    let own = LESHAN.authority.issue("somebody else", None);
    LESHAN.server.allow_certificate("impostor");
    let uri = format!("coaps://127.0.0.1:{}", LESHAN.server.coaps);
    let security = Security::Certificate(&own, &LESHAN.keys);
    let mut agent = Agent::with("impostor", security, &["--server", &uri], "");
    let line = agent.process.err.next_with("not registered");
    assert!(line.contains("4.00") || line.contains("4.03"), "{line}");
}
