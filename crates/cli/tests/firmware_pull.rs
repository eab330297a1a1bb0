//! Object 5 of the real agent: a package is fetched from a URI, and `kill -9` costs what was not yet synced and no more.

mod common;

use std::fs;
use std::time::Duration;

use common::files::HttpFile;
use common::firmware::{Bench, LENGTH, package, resource};
use common::secure::SecureServer;
use common::{PATIENCE, Running, eventually};
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::{Node, Value};
use lapwing_lwm2m::server::{Registration, Request, WriteMode};
use tokio::time::{sleep, timeout};

async fn write_uri(bench: &Bench, registration: &Registration, uri: &str) -> Code {
    let node = Node::single(Value::from(uri));
    let request = Request::Write { path: resource(1), mode: WriteMode::Replace, format: None, node };
    bench.ask(registration, request).await.unwrap()
}

async fn until(what: &str, agent: &Running, mut is: impl FnMut() -> bool) {
    let found = async {
        while !is() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {what}: {}", agent.stderr()));
}

#[tokio::test]
async fn a_killed_agent_goes_on_with_its_pull_and_installs_what_came() {
    let mut bench = Bench::new("exit 1").await;
    let file = HttpFile::start(package(1));
    file.slow(true);
    let (agent, registration) = bench.agent().await;
    assert_eq!(write_uri(&bench, &registration, &file.uri()).await, Code::CHANGED);
    let part = bench.path("state/firmware/image.part");
    until("part", &agent, || part.exists()).await;
    assert_eq!(bench.number(&registration, 3).await, 1);
    agent.says(&format!("firmware: fetching {LENGTH} bytes from {}", file.uri()));
    drop(agent);
    // Killed again, before more than that was stored.
    let (agent, registration) = bench.agent().await;
    agent.says("are there");
    assert_eq!(bench.number(&registration, 3).await, 1);
    drop(agent);
    file.slow(false);
    let (agent, registration) = bench.agent().await;
    assert_eq!(bench.left(&registration, 1).await, (2, 0), "{}", agent.stderr());
    let asked = file.asked();
    assert!(asked.len() == 3 && asked[0] == 0 && asked[1] > 0 && asked[2] >= asked[1], "{asked:?}");
    assert_eq!(bench.execute(&registration, 2).await, Code::CHANGED);
    assert_eq!(bench.settled(&registration).await, (0, 1));
    assert!(fs::read(bench.path("installed")).unwrap() == package(1));
}

#[tokio::test]
async fn what_cannot_be_fetched_is_told_in_the_log_and_the_result() {
    let mut bench = Bench::new("exit 1").await;
    bench.configure("[pull]\ngive-up = 1\n");
    let (agent, registration) = bench.agent().await;
    for (uri, result, line) in [
        ("ftp://127.0.0.1/image", 9, "the protocol 'ftp' is not supported"),
        ("http:/image", 7, "not a URI that can be fetched"),
        ("coaps://127.0.0.1:1/image", 4, "there are no credentials for this server"),
        // Nobody listens there.
        ("http://127.0.0.1:1/image?secret", 4, "no byte came for 1s: "),
    ] {
        assert_eq!(write_uri(&bench, &registration, uri).await, Code::CHANGED);
        assert_eq!(bench.left(&registration, 1).await, (0, result), "{uri}: {}", agent.stderr());
        agent.says(line);
    }
    assert!(!agent.stderr().contains("secret"), "{}", agent.stderr());
}

#[test]
fn an_account_lends_its_key_to_a_pull_from_its_server_after_a_restart_too() {
    let server = SecureServer::start();
    ureq::put(&format!("{}api/files/image", server.api)).send(&package(3)[..]).unwrap();
    let (config, state) = (server.folder.path().join("agent.toml"), server.folder.path().join("state"));
    let start = |pull: &str| {
        let text = format!("state = '{}'\n[firmware]\nprogram = ['/bin/true']\n[pull]\n{pull}\n", state.display());
        fs::write(&config, text).unwrap();
        let agent = server.agent("gw", &server.key_file(), &["--config", config.to_str().unwrap()]);
        agent.says("gw registered at coaps://");
        agent
    };
    let agent = start("max-rate = 40000");
    assert_eq!(server.manage(&["write", "/5/0/1", "coaps://127.0.0.1:1/files/image"]).text(), "2.04 CHANGED");
    agent.says("there are no credentials for this server");
    // Only then it is over: another URI would be refused before.
    agent.says("firmware: the download was cut off");
    let uri = format!("{}/files/image", server.uri);
    assert_eq!(server.manage(&["write", "/5/0/1", &uri]).text(), "2.04 CHANGED");
    let part = state.join("firmware/image.part");
    eventually(|| part.exists(), || format!("a part: {}", agent.stderr()));
    drop(agent);
    let agent = start("");
    agent.says(&format!("fetching {LENGTH} bytes from {uri}, of which "));
    agent.says(&format!("a package of {LENGTH} bytes has come"));
    assert!(fs::read(state.join("firmware/image")).unwrap() == package(3));
    // The registration goes on beside the second session, over which the operator lets it fetch another one.
    let registration = || server.clients()[0]["registrationId"].clone();
    let held = registration();
    server.manage(&["firmware", "cancel"]).text();
    let other = server.folder.path().join("other");
    fs::write(&other, package(4)).unwrap();
    server.manage(&["firmware", "pull", other.to_str().unwrap(), "--scheme", "coaps"]).text();
    assert!(fs::read(state.join("firmware/image")).unwrap() == package(4));
    assert_eq!(registration(), held);
    assert_eq!(agent.stderr().matches("gw registered at").count(), 1, "{}", agent.stderr());
}
