//! Keys appear in no output, whatever is logged, and in no file that others may read.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::secrets::forms;
use common::secure::{KEY, SecureServer};
use common::{Running, eventually, lapwing};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn the_forms_of_a_key_are_found() {
    let bytes = *b"secret for tests";
    for said in [
        format!("{bytes:?}"),
        format!("{bytes:x?}").replace(", ", ""),
        bytes.escape_ascii().to_string(),
        KEY.to_uppercase(),
    ] {
        assert!(forms(KEY).iter().any(|form| said.contains(form)), "{said}");
    }
}

#[test]
fn a_pre_shared_key_is_never_printed() {
    let trace = [("LAPWING_LOG", "trace")];
    let server = SecureServer::start_in(&trace);
    let state = server.folder.path().join("state");
    let agent = server.agent_in(&trace, "gw", &server.key_file(), &["--state", state.to_str().unwrap()]);
    agent.says("gw registered at coaps://");
    assert!(server.manage(&["read", "/3/0/13"]).text().contains("Current Time"));
    assert!(server.manage(&["read", "/0"]).failed(1).contains("4.0"), "object 0 is nobody's to read");
    agent.says("TRACE");

    let mode = |path: &Path| Some(fs::metadata(path).ok()?.permissions().mode() & 0o777);
    assert_eq!(mode(&state), Some(0o700));
    let list = || fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    // It is written beside the registration.
    eventually(|| state.join("association-1").exists(), || format!("an association among {:?}", list()));
    let files = list();
    // One that is being written has another name until it is whole.
    assert!(files.iter().filter_map(|file| mode(file)).all(|mode| mode == 0o600), "{files:?}");

    nothing_printed(KEY, [agent, server.process]);
}

/// Raw public keys, in both roles (LwM2M Transport 1.1 section 5.2.8.2).
#[test]
fn a_private_key_is_never_printed() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dtls/tests/vectors/x509");
    let vector = |name: &str| vectors.join(name).to_str().unwrap().to_owned();
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // In SEC1 the scalar stands behind seven bytes (RFC 5915 section 3).
    let scalar = hexadecimal(&fs::read(vector("leaf.sec1.der")).unwrap()[7..39]);
    let public = hexadecimal(&fs::read(vector("leaf.spki.der")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.json");
    fs::write(&list, json!([{"endpoint": "gw", "tls": {"mode": "rpk", "details": {"key": public}}}]).to_string())
        .unwrap();

    // Both ends have the same key: one that is looked for in the output of both.
    let trace = [("LAPWING_LOG", "trace")];
    let key = vector("leaf.sec1.pem");
    let ports = ["serve", "--coap", "127.0.0.1:0", "--coaps", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let credentials = ["--key", &key, "--credentials", list.to_str().unwrap()];
    let server = Running::start_in(&trace, &[&ports[..], &credentials].concat());
    let (api, _plain, coaps) = (server.line(), server.line(), server.line());
    let options =
        ["run", "--endpoint", "gw", "--server", &coaps, "--key", &key, "--server-key", &vector("leaf.spki.der")];
    let agent = Running::start_in(&trace, &options);
    agent.says("gw registered at coaps://");
    agent.says("TRACE");
    let clients = lapwing(&["manage", "--api", &api, "clients", "--json"]).json();
    assert!(clients[0]["identity"].as_str().unwrap().starts_with("rpk:"), "{clients}");
    nothing_printed(&scalar, [agent, server]);
}

/// Stops the processes: none has printed the key.
fn nothing_printed(key: &str, processes: [Running; 2]) {
    for process in processes {
        let (_, printed, said) = process.stop(Signal::TERM);
        for form in forms(key) {
            let output = format!("{}{said}", printed.concat());
            assert!(!output.contains(&form), "{form:?} was printed: {output}");
        }
    }
}
