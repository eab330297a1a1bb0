//! `lapwing run` against `lapwing serve` over DTLS with a pre-shared key (LwM2M Transport 1.1 section 5.2.8.1).

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::secure::{IDENTITY, KEY, SecureServer};
use common::{Running, lapwing};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn the_agent_registers_with_a_pre_shared_key() {
    let server = SecureServer::start();
    let agent = server.agent("gw", &server.key_file(), &[]);
    agent.says(&format!("gw registered at {}", server.uri));
    assert_eq!(server.clients()[0]["endpoint"], json!("gw"));
    assert!(server.manage(&["read", "/3/0/13"]).text().starts_with("/3/0/13  Current Time"));
    let (code, _, said) = agent.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(!said.contains("WARN"), "{said}");
    assert_eq!(server.clients().len(), 0, "it de-registered");
}

#[test]
fn the_key_may_be_in_the_configuration_or_the_environment() {
    let server = SecureServer::start();
    let file = server.folder.path().join("agent.toml");
    fs::write(
        &file,
        format!("server = '{}'\nendpoint = 'gw'\npsk-identity = '{IDENTITY}'\npsk-key-file = 'psk.hex'\n", server.uri),
    )
    .unwrap();
    let agent = Running::start(&["run", "--config", file.to_str().unwrap()]);
    agent.says("gw registered at coaps://");
    assert_eq!(agent.stop(Signal::TERM).0, Some(0));
    // The environment goes before the file.
    fs::write(server.folder.path().join("psk.hex"), "00").unwrap();
    let agent = Running::start_in(&[("LAPWING_PSK_KEY", KEY)], &["run", "--config", file.to_str().unwrap()]);
    agent.says("gw registered at coaps://");
}

#[test]
fn a_key_on_the_command_line_works_with_a_warning() {
    let server = SecureServer::start();
    let agent = Running::start(&[
        "run",
        "--server",
        &server.uri,
        "--endpoint",
        "gw",
        "--psk-identity",
        IDENTITY,
        "--psk-key",
        KEY,
    ]);
    agent.says("gw registered at coaps://");
    agent.says(" WARN other users of this machine can see a key on the command line: --psk-key-file or LAPWING_PSK_KEY keeps it secret");
    assert!(!agent.stderr().contains(KEY));
}

#[test]
fn a_file_that_others_may_read_is_warned_of() {
    let server = SecureServer::start();
    let file = server.key_file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let agent = server.agent("gw", &file, &[]);
    agent.says("registered at");
    let warning = format!(
        " WARN `psk-key-file`: {file} holds a secret, and other users may read or change it: `chmod o= {file}` keeps them out"
    );
    assert!(agent.stderr().contains(&warning), "{}", agent.stderr());
}

#[test]
fn a_wrong_key_gives_one_clear_line_and_is_tried_again() {
    let server = SecureServer::start();
    let file = server.folder.path().join("wrong.hex");
    fs::write(&file, "ffeeddccbbaa99887766554433221100").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let agent = server.agent("gw", file.to_str().unwrap(), &[]);
    agent.says("trying again in ");
    let said = agent.stderr();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    let expected = format!(
        " WARN gw cannot register at {}: no DTLS association: the other end refused the handshake: bad_record_mac (20); trying again in ",
        server.uri
    );
    assert!(lines.len() == 1 && lines[0].starts_with(&expected), "{said}");
    let unknown = Running::start(&[
        "run",
        "--server",
        &server.uri,
        "--endpoint",
        "gw",
        "--psk-identity",
        "nobody",
        "--psk-key-file",
        &server.key_file(),
    ]);
    unknown.says("the other end refused the handshake: unknown_psk_identity (115); trying again in ");
    assert_eq!(server.clients().len(), 0);
}

#[test]
fn what_is_missing_or_too_much_is_told_in_one_line() {
    let run = |more: &[&str]| lapwing(&[&["run", "--endpoint", "gw"], more].concat()).failed(2);
    assert_eq!(
        run(&["--server", "coaps://h"]),
        "lapwing: coaps://h needs `psk-identity` and `psk-key-file`; or `key`, `cert` and `server-cert`; or `key` and `server-key`"
    );
    assert_eq!(
        run(&["--server", "coap://h", "--psk-identity", "gw"]),
        "lapwing: `psk-identity` has no use with coap://h, which is plain CoAP: did you mean coaps://?"
    );
    assert_eq!(
        run(&["--server", "coaps://h", "--psk-identity", "gw", "--psk-key-file", "/nonexistent/key"]),
        "lapwing: `psk-key-file`: cannot read /nonexistent/key: No such file or directory (os error 2)"
    );
    let complaint = run(&["--server", "coaps://h", "--psk-identity", "gw", "--psk-key", "5ec2e7zz"]);
    assert!(
        complaint.ends_with("lapwing: `psk-key`: expected the key in hexadecimal, such as 32 digits for 16 bytes"),
        "{complaint}"
    );
    assert!(!complaint.contains("5ec2e7"), "{complaint}");
    let complaint = run(&["--server", "coaps://h", "--server-cert-usage", "4"]);
    assert!(complaint.contains("expected 0, 1, 2 or 3"), "{complaint}");
}
