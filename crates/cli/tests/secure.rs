//! `lapwing serve` over DTLS: who may register, and how it is told.

mod common;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{Running, eventually, lapwing};
use serde_json::json;

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

const FREE: [&str; 5] = ["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"];

/// A file in a folder of this test, for its owner only.
fn file(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn serve(options: &[&str]) -> (Running, String, String, String) {
    let server = Running::start(&[&FREE[..], options].concat());
    let (api, coap, coaps) = (server.line(), server.line(), server.line());
    assert!(coap.starts_with("coap://127.0.0.1:") && coaps.starts_with("coaps://127.0.0.1:"), "{coap} {coaps}");
    (server, api, coap, coaps)
}

#[test]
fn an_endpoint_with_a_key_registers_with_it_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let key = file(folder.path(), "psk.hex", format!("{KEY}\n"));
    let key = key.to_str().unwrap();
    let (server, api, coap, coaps) = serve(&["--psk", &format!("gateway-7,an identity,{key}")]);

    let plain = Running::start(&["run", "--server", &coap, "--endpoint", "gateway-7"]);
    plain.says("4.00");
    drop(plain);
    let credentials = ["--psk-identity", "an identity", "--psk-key-file", key];
    let other = Running::start(&[&["run", "--server", &coaps, "--endpoint", "other"], &credentials[..]].concat());
    other.says("4.00");
    drop(other);
    let agent = Running::start(&[&["run", "--server", &coaps, "--endpoint", "gateway-7"], &credentials[..]].concat());
    agent.says("registered at");
    let clients = lapwing(&["manage", "--api", &api, "clients", "--json"]).json();
    assert_eq!((&clients[0]["secure"], &clients[0]["identity"]), (&json!(true), &json!("psk:an identity")));
    let name = lapwing(&["manage", "--api", &api, "read", "/3/0/16"]).text();
    assert_eq!(name, "/3/0/16  Supported Binding and Modes  U");
    for said in [server.stderr(), agent.stderr()] {
        assert!(!said.contains(KEY), "{said}");
    }
}

#[test]
fn credentials_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let entries = json!([
        {"endpoint": "a", "tls": {"mode": "psk", "details": {"identity": "a-id", "key": KEY}}},
        {"endpoint": "b", "tls": {"mode": "x509"}},
    ]);
    let credentials = file(folder.path(), "credentials.json", entries.to_string());
    let (_server, _, _, coaps) = serve(&["--credentials", credentials.to_str().unwrap()]);
    let key = file(folder.path(), "psk.hex", KEY);
    let agent = Running::start(&[
        "run",
        "--server",
        &coaps,
        "--endpoint",
        "a",
        "--psk-identity",
        "a-id",
        "--psk-key-file",
        key.to_str().unwrap(),
    ]);
    agent.says("registered at");
}

#[test]
fn a_key_on_the_command_line_works_with_a_warning() {
    let server = Running::start(&[&FREE[..], &["--psk", &format!("a,a-id,hex:{KEY}")]].concat());
    server.says("the key is on the command line");
    server.line();
    assert!(!server.stderr().contains(KEY));
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let short = file(folder.path(), "short", "0");
    let short = short.to_str().unwrap();
    let list = file(
        folder.path(),
        "list",
        format!(r#"[{{"endpoint":"a","tls":{{"mode":"psk","details":{{"identity":"i","key":"{KEY}0"}}}}}}]"#),
    );
    let list = list.to_str().unwrap();
    for (options, complaint) in [
        (vec!["--psk".to_owned(), "a,b".to_owned()], "the endpoint, the identity and the file"),
        (vec!["--psk".to_owned(), format!("a,b,{short}")], "hexadecimal"),
        (vec!["--psk".to_owned(), "a,b,/does/not/exist".to_owned()], "/does/not/exist"),
        (
            vec!["--psk".to_owned(), format!("a,i,hex:{KEY}"), "--psk".to_owned(), format!("b,i,hex:{KEY}")],
            "psk:i is the identity of a",
        ),
        (vec!["--credentials".to_owned(), list.to_owned()], "entry 1: "),
        (vec!["--credentials".to_owned(), short.to_owned()], "no array of credentials"),
        (vec!["--cert".to_owned(), short.to_owned()], "--key"),
        (vec!["--key".to_owned(), short.to_owned()], "key"),
    ] {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let said = lapwing(&[&FREE[..], &options].concat()).failed(2);
        assert!(said.contains(complaint) && !said.contains(KEY), "{options:?}: {said}");
    }
}

#[test]
fn the_secure_port_follows_the_plain_one() {
    // 65535 has none after it.
    let said = lapwing(&["serve", "--coap", "127.0.0.1:65535", "--http", "127.0.0.1:0"]).failed(2);
    assert!(said.contains("--coaps"), "{said}");
    // Two that are free now, one after the other.
    let plain = (0..100).find_map(|_| {
        let plain = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        UdpSocket::bind(("127.0.0.1", plain.port().checked_add(1)?)).ok().map(|_| plain)
    });
    let plain = plain.unwrap();
    let server = Running::start(&["serve", "--coap", &plain.to_string(), "--http", "127.0.0.1:0"]);
    server.line();
    assert_eq!(server.line(), format!("coap://{plain}"));
    assert_eq!(server.line(), format!("coaps://127.0.0.1:{}", plain.port() + 1));
}

#[test]
fn clients_with_raw_public_keys_and_certificates_know_the_server() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dtls/tests/vectors/x509");
    let vector = |name: &str| vectors.join(name).to_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let (key, client) = (vector("leaf.key.der"), vector("client.key.der"));
    let name = "urn:imei:490154203237518";
    let credentials = file(folder.path(), "list", json!([{"endpoint": name, "tls": {"mode": "x509"}}]).to_string());
    let (_server, api, _, coaps) = serve(&[
        "--key",
        &key,
        "--cert",
        &vector("leaf.der"),
        "--trust",
        &vector("root.der"),
        "--credentials",
        credentials.to_str().unwrap(),
    ]);
    let agent = Running::start(&[
        "run",
        "--server",
        &coaps,
        "--endpoint",
        name,
        "--key",
        &client,
        "--cert",
        &vector("client.der"),
        "--server-cert",
        &vector("leaf.der"),
    ]);
    agent.says("registered at");
    eventually(
        || {
            let clients = lapwing(&["manage", "--api", &api, "clients", "--json"]).json();
            clients[0]["identity"] == format!("x509:{name}")
        },
        || "the identity".to_owned(),
    );
}
