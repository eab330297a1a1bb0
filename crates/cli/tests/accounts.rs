//! Which accounts the agent uses: those of a bootstrap, once there was one, until it is told to forget them (LwM2M Core 1.1 section 6.1).

mod common;

use std::fs;

use common::secrets::forms;
use common::{Running, Server};
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A `lapwing serve` that bootstraps, and nothing else that matters here.
struct Bootstrap {
    process: Running,
    coap: String,
    coaps: String,
    folder: TempDir,
}

impl Bootstrap {
    /// Brings this Security object instance, for Short Server ID 101, to `gw`, who proves itself with `psk` where it uses DTLS.
    fn start(environment: &[(&str, &str)], security: Json, psk: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bootstrap.json");
        let credentials =
            json!([{"endpoint": "gw", "tls": {"mode": "psk", "details": {"identity": "bs-gw", "key": psk}}}]);
        // A client with credentials may come only with them.
        let credentials = if psk.is_empty() { json!([]) } else { credentials };
        let content = json!({
            "configurations": {"gw": {"security": {"1": security}, "servers": {"0": {"shortId": 101, "lifetime": 300}}}},
            "credentials": credentials,
        });
        fs::write(&file, content.to_string()).unwrap();
        let addresses = [
            "--coap",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--bootstrap",
            "127.0.0.1:0",
            "--bootstraps",
            "127.0.0.1:0",
        ];
        let arguments = [&["serve"], &addresses[..], &["--bootstrap-config", file.to_str().unwrap()]].concat();
        let process = Running::start_in(environment, &arguments);
        let address = |scheme: &str| loop {
            if let Some(address) = process.line().strip_prefix("bootstrap ").filter(|line| line.starts_with(scheme)) {
                return address.to_owned();
            }
        };
        let (coap, coaps) = (address("coap://"), address("coaps://"));
        Self { process, coap, coaps, folder }
    }

    fn state(&self) -> String {
        self.folder.path().join("state").to_str().unwrap().to_owned()
    }
}

fn plain(uri: &str) -> Json {
    json!({"uri": uri, "securityMode": "NO_SEC", "serverId": 101})
}

#[test]
fn stored_accounts_win_until_they_are_reset() {
    let (told, other) = (Server::start(), Server::start());
    let bootstrap = Bootstrap::start(&[], plain(&told.uri), "");
    let state = bootstrap.state();
    let run = |more: &[&str]| Running::start(&[&["run", "--endpoint", "gw", "--state", &state], more].concat());

    let agent = run(&["--bootstrap-server", &bootstrap.coap]);
    agent.says(&format!("gw is being bootstrapped by {}", bootstrap.coap));
    agent.says(&format!("gw was bootstrapped by {}", bootstrap.coap));
    agent.says(&format!("gw registered at {}", told.uri));
    assert!(!agent.stderr().contains("accounts"), "there is no choice yet: {}", agent.stderr());
    assert_eq!(agent.stop(Signal::TERM).0, Some(0));

    // Whatever the command line says now.
    let agent = run(&["--server", &other.uri]);
    agent.says(&format!("gw registered at {}", told.uri));
    let first = " INFO gw uses the stored accounts of an earlier bootstrap, not those configured (--reset-accounts forgets them)";
    assert_eq!(agent.stderr().lines().next(), Some(first));
    assert!(other.clients().is_empty());
    agent.stop(Signal::TERM);

    let agent = run(&["--server", &other.uri, "--reset-accounts"]);
    agent.says(&format!("gw registered at {}", other.uri));
    assert_eq!(agent.stderr().lines().next(), Some(" INFO gw uses the configured accounts"));
    assert!(told.clients().is_empty());
    agent.stop(Signal::TERM);

    // They are forgotten for good.
    let agent = run(&["--server", &other.uri]);
    agent.says(&format!("gw registered at {}", other.uri));
    assert!(!agent.stderr().contains("accounts"), "{}", agent.stderr());
}

#[test]
fn the_keys_of_a_bootstrap_are_never_printed() {
    const OWN: &str = "6b6579206f6620626f6f747374726170";
    const TOLD: &str = "6b6579206f6620746865207365727665";
    let trace = [("LAPWING_LOG", "trace")];
    let bytes = |text: &str| text.bytes().collect::<Vec<u8>>();
    // Nothing listens there; what counts is what was told.
    let security = json!({
        "uri": "coaps://127.0.0.1:9", "securityMode": "PSK", "serverId": 101,
        "publicKeyOrId": bytes("told"), "secretKey": bytes("key of the serve"),
    });
    let bootstrap = Bootstrap::start(&trace, security, OWN);
    let key = bootstrap.folder.path().join("psk.hex");
    fs::write(&key, OWN).unwrap();
    let credentials = ["--psk-identity", "bs-gw", "--psk-key-file", key.to_str().unwrap()];
    let server = ["run", "--endpoint", "gw", "--bootstrap-server", &bootstrap.coaps, "--state", &bootstrap.state()];
    let agent = Running::start_in(&trace, &[&server[..], &credentials].concat());
    agent.says(&format!("gw was bootstrapped by {}", bootstrap.coaps));
    agent.says("gw cannot register at coaps://127.0.0.1:9: ");
    agent.says("TRACE");
    let (_, printed, said) = agent.stop(Signal::TERM);
    let (_, served, told) = bootstrap.process.stop(Signal::TERM);
    for output in [printed.concat(), said, served.concat(), told] {
        for form in forms(OWN).into_iter().chain(forms(TOLD)) {
            assert!(!output.contains(&form), "{form:?} was printed: {output}");
        }
    }
}
