//! `lapwing serve --bootstrap`: addresses, and a file to begin with.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Running, lapwing};
use rustix::process::Signal;

const SERVE: [&str; 9] = [
    "serve",
    "--coap",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
    "--bootstrap",
    "127.0.0.1:0",
    "--bootstraps",
    "127.0.0.1:0",
];

const FILE: &str = r#"{
    "configurations": {"gateway-7": {
        "toDelete": ["/0", "/1"],
        "security": {"1": {"uri": "coap://192.0.2.1", "securityMode": "NO_SEC", "serverId": 101}},
        "servers": {"0": {"shortId": 101, "lifetime": 300}}
    }},
    "credentials": [{"endpoint": "gateway-7", "tls": {"mode": "psk", "details": {"identity": "bs-7", "key": "00112233"}}}]
}"#;

#[test]
fn a_bootstrap_server_begins_with_what_its_file_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bootstrap.json");
    fs::write(&file, FILE).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let arguments = [&SERVE[..], &["--bootstrap-config", file.to_str().unwrap()]].concat();
    let server = Running::start(&arguments);
    let page = server.line();
    let printed: Vec<String> = (0..4).map(|_| server.line()).collect();
    let schemes = ["coap", "coaps", "bootstrap coap", "bootstrap coaps"];
    for (line, scheme) in printed.iter().zip(schemes.map(|scheme| format!("{scheme}://127.0.0.1:"))) {
        assert!(line.starts_with(&scheme), "{printed:?}");
    }
    let get = |path: &str| {
        let answer = ureq::get(format!("{page}api/{path}")).call().unwrap();
        serde_json::from_reader::<_, serde_json::Value>(answer.into_body().into_reader()).unwrap()
    };
    assert_eq!(get("bootstrap")["gateway-7"]["security"]["1"]["uri"], "coap://192.0.2.1");
    assert_eq!(get("bootstrap/security/clients")[0]["tls"]["details"]["identity"], "bs-7");
    let (code, _, diagnostics) = server.stop(Signal::TERM);
    assert_eq!((code, diagnostics.as_str()), (Some(0), ""));
}

#[test]
fn a_file_that_cannot_be_used_says_why_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bootstrap.json");
    for (text, why) in [
        (FILE.replace("coap://192.0.2.1", ""), "gateway-7: /0/1/0 is missing"),
        (FILE.replace("\"psk\"", "\"password\""), "credentials: Invalid request body: tls.mode"),
        (FILE.replace("credentials", "keys"), "keys is not known"),
        (FILE.replace("}]", "}"), "line"),
        ("[]".to_owned(), "not a JSON object"),
    ] {
        fs::write(&file, text).unwrap();
        let complaint = lapwing(&[&SERVE[..], &["--bootstrap-config", file.to_str().unwrap()]].concat()).failed(2);
        assert!(complaint.contains(why) && complaint.contains("bootstrap.json"), "{complaint}");
        assert!(!complaint.contains("00112233"), "{complaint}");
    }
    let complaint = lapwing(&[&SERVE[..], &["--bootstrap-config", "/nowhere/to/be/found"]].concat()).failed(2);
    assert!(complaint.contains("/nowhere/to/be/found"), "{complaint}");
    lapwing(&["serve", "--bootstraps", "127.0.0.1:0"]).failed(2);
}
