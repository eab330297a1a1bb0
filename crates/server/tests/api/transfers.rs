//! Files on their way to clients.

use lapwing_coap::{ContentFormat, wire::Code};
use lapwing_lwm2m::model::{Instance, Resource};
use serde_json::{Value as Json, json};

use crate::support::{Answer, Device, Events, Script, TestServer};

/// A client named `gw` with objects 5 and 9.
fn gateway() -> (TestServer, Device) {
    let server = TestServer::start();
    let firmware: Instance = [(3, Resource::Single(0.into()))].into();
    let software: Instance = [(7, Resource::Single(0.into()))].into();
    let objects = [(5, [(0, firmware)].into()), (9, [(1, software)].into())].into();
    let device = Device::register(server.coap, "gw", objects, &["lt=300"]);
    (server, device)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn host(server: &TestServer, name: &str, content: &[u8]) {
    assert_eq!(server.call("PUT", &format!("/api/files/{name}"), &[], content).status, 201);
}

fn post(server: &TestServer, path: &str) -> Answer {
    server.call("POST", &format!("/api/clients/gw{path}"), &[], b"")
}

/// The transfer in an answer to a push.
#[track_caller]
fn begun(answer: &Answer) -> Json {
    assert_eq!(answer.status, 202, "{}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

/// Events up to the one in which the transfer has this state.
fn until(events: &mut Events, state: &str) -> Vec<Json> {
    let mut seen = Vec::new();
    loop {
        seen.push(events.wait_for("TRANSFER"));
        if seen.last().unwrap()["state"] == state {
            return seen;
        }
    }
}

#[test]
fn a_hosted_file_is_pushed() {
    let (server, device) = gateway();
    let content = pattern(40_000);
    host(&server, "fw.bin", &content);
    let mut events = server.events("");
    let first = begun(&post(&server, "/5/0/0/push?file=fw.bin"));
    let id = first["id"].as_u64().unwrap();
    assert_eq!(
        first,
        json!({
            "id": id, "ep": "gw", "kind": "push", "path": "/5/0/0", "file": "fw.bin", "size": 40_000, "bytes": 0,
            "state": "running",
        })
    );
    let told = until(&mut events, "done");
    assert_eq!((&told[0]["state"], &told.last().unwrap()["bytes"]), (&json!("running"), &json!(40_000)));
    let asked = device.last();
    assert_eq!((asked.code, asked.path.as_str(), asked.format), (Code::PUT, "/5/0/0", Some(ContentFormat::OPAQUE)));
    assert_eq!(asked.payload, content);
    assert_eq!(server.get("/api/transfers").json(), json!([told.last().unwrap()]));
    assert_eq!(server.get("/api/transfers?ep=other").json(), json!([]));
    // One that has ended makes room for the next.
    assert_ne!(begun(&post(&server, "/5/0/0/push?file=fw.bin"))["id"], id);
    until(&mut events, "done");
    assert_eq!(server.get("/api/transfers?ep=gw").json().as_array().unwrap().len(), 1);
}

#[test]
fn a_body_is_pushed() {
    let (server, device) = gateway();
    let mut events = server.events("?ep=gw");
    for (length, path) in [(200_000, "/9/1/2"), (1024, "/9/1/2"), (1, "/9/1/2"), (0, "/5/0/0")] {
        let content = pattern(length);
        let uri = format!("/api/clients/gw{path}/push?name=app.tgz");
        let begun = begun(&server.call("POST", &uri, &[("Content-Type", "application/gzip")], &content));
        assert_eq!((&begun["file"], &begun["size"]), (&json!("app.tgz"), &json!(length)));
        until(&mut events, "done");
        assert_eq!((device.last().path.as_str(), device.last().payload == content), (path, true), "{length}");
    }
    let files = server.get("/api/files").json();
    assert_eq!((&files["files"], &files["used"]), (&json!([]), &json!(0)), "it was not hosted, and has gone");
}

#[test]
fn a_push_tells_how_far_it_has_come_and_is_cancelled() {
    let (server, device) = gateway();
    host(&server, "fw.bin", &pattern(40_000));
    device.script(Code::PUT, "/5/0/0", Script::Stall(20));
    let mut events = server.events("");
    let id = begun(&post(&server, "/5/0/0/push?file=fw.bin"))["id"].clone();
    while events.wait_for("TRANSFER")["bytes"] != 20 * 1024 {}
    post(&server, "/5/0/0/push?file=fw.bin").is_error(409, "A push to the instance of /5/0/0 is under way");
    post(&server, "/5/0/1/pull?file=fw.bin").is_error(409, "A push to the instance of /5/0/1 is under way");
    let cancelled = server.delete(&format!("/api/transfers/{id}")).json();
    assert_eq!((&cancelled["state"], &cancelled["bytes"]), (&json!("cancelled"), &json!(20 * 1024)));
    assert_eq!(until(&mut events, "cancelled"), [cancelled]);
    server.delete("/api/transfers/4711").is_error(404, "There is no such transfer");
    // The next one begins at its beginning.
    device.script(Code::PUT, "/5/0/0", Script::Stall(100));
    begun(&post(&server, "/5/0/0/push?file=fw.bin"));
    until(&mut events, "done");
    assert_eq!(device.last().payload, pattern(40_000));
}

#[test]
fn a_push_that_fails_says_why() {
    let (server, device) = gateway();
    host(&server, "fw.bin", &pattern(500));
    let mut events = server.events("");
    let mut failure = |path: &str| {
        begun(&post(&server, path));
        until(&mut events, "failed").pop().unwrap()["error"].clone()
    };
    let refusal = Script::Answer(Code::REQUEST_ENTITY_TOO_LARGE, None, b"no room".to_vec());
    device.script(Code::PUT, "/5/0/0", refusal);
    assert_eq!(failure("/5/0/0/push?file=fw.bin"), "4.13 no room");
    device.script(Code::PUT, "/5/0/0", Script::Answer(Code::METHOD_NOT_ALLOWED, None, Vec::new()));
    assert_eq!(failure("/5/0/0/push?file=fw.bin"), "the client answered 4.05");
    device.script(Code::PUT, "/5/0/0", Script::Reset);
    assert_eq!(failure("/5/0/0/push?file=fw.bin"), "the client refused the message (RST)");
    device.script(Code::PUT, "/5/0/0", Script::Silence);
    assert_eq!(failure("/5/0/0/push?file=fw.bin&timeout=0"), "the client did not answer in time");
}

#[test]
fn a_client_is_told_where_to_fetch_a_file() {
    let (server, device) = gateway();
    let content = pattern(300_000);
    host(&server, "fw.bin", &content);
    let mut events = server.events("");
    let mut uris = Vec::new();
    for scheme in ["coap", "coaps", "http", "http"] {
        let answer = post(&server, &format!("/5/0/1/pull?file=fw.bin&scheme={scheme}&format=TEXT")).json();
        assert_eq!((&answer["status"], &answer["success"]), (&json!("CHANGED(204)"), &json!(true)));
        let uri = String::from_utf8(device.last().payload).unwrap();
        let address = match scheme {
            "coap" => server.coap,
            "coaps" => server.coaps,
            _ => server.http,
        };
        assert!(uri.starts_with(&format!("{scheme}://{address}/files/fw.bin?to=")), "{uri}");
        let mut transfer = answer["transfer"].clone();
        assert!(transfer["id"].take().is_u64());
        assert_eq!(
            transfer,
            json!({
                "id": null, "ep": "gw", "kind": "pull", "path": "/5/0/1", "file": "fw.bin", "size": 300_000, "bytes": 0,
                "state": "waiting", "uri": uri,
            })
        );
        uris.push(uri);
    }
    assert_eq!(uris[2], uris[3], "the same each time, so that a client may go on");
    let path = uris[2].strip_prefix(&format!("http://{}", server.http)).unwrap();
    assert_eq!(server.get(path).body, content);
    let told = until(&mut events, "done");
    assert!(told.iter().any(|transfer| transfer["state"] == "running"), "{told:?}");
    assert_eq!(told.last().unwrap()["bytes"], 300_000);
}

#[test]
fn transfers_without_sense_are_400() {
    let (server, device) = gateway();
    host(&server, "fw.bin", b"firmware");
    for (path, status, begins) in [
        ("/5/0/push?file=fw.bin", 400, "Invalid request: /5/0 is no resource"),
        ("/5/0/1/pull", 400, "Invalid request: the parameter file is missing"),
        ("/5/0/1/pull?file=..%2fsecret", 400, "Invalid request: a file's name has"),
        ("/5/0/1/pull?file=other", 404, "there is no such file"),
        ("/5/0/0/push?file=other", 404, "there is no such file"),
        ("/5/0/1/pull?file=fw.bin&scheme=ftp", 400, "Invalid request: ftp is none of coap, coaps and http"),
        ("/5/0/1/pull?file=fw.bin&host=a/b", 400, "Invalid request: a/b is no host"),
        (
            "/5/0/1/pull?file=fw.bin&scheme=http&host=files.example.com",
            400,
            "Invalid request: files.example.com is a public",
        ),
        ("/5/0/1/pull?file=fw.bin&host=::1", 400, "Invalid request: ::1 is no host"),
    ] {
        post(&server, path).is_error(status, begins);
    }
    let long = format!("/5/0/1/pull?file=fw.bin&host={}", vec!["x".repeat(60); 4].join("."));
    post(&server, &long).is_error(400, "Invalid request: coap://");
    server.call("POST", "/api/clients/other/5/0/0/push?file=fw.bin", &[], b"").is_error(400, "No registered client");
    assert_eq!(server.get("/api/transfers").json(), json!([]));
    // A client that refuses the URI is not waited for.
    device.script(Code::PUT, "/5/0/1", Script::Answer(Code::BAD_REQUEST, None, b"not now".to_vec()));
    let answer = post(&server, "/5/0/1/pull?file=fw.bin&host=[::1]").json();
    assert_eq!((&answer["failure"], &answer["transfer"]["state"]), (&json!(true), &json!("failed")));
    assert_eq!(answer["transfer"]["error"], "4.00 not now");
    assert!(answer["transfer"]["uri"].as_str().unwrap().starts_with("coap://[::1]:"), "{answer}");
}

#[test]
fn a_long_body_does_not_flood_the_log() {
    let (server, _device) = gateway();
    host(&server, "fw.bin", &pattern(2000 * 1024 + 1));
    let mut events = server.events("?ep=gw");
    begun(&post(&server, "/5/0/0/push?file=fw.bin"));
    let mut blocks: Vec<(String, bool)> = Vec::new();
    while !blocks.last().is_some_and(|(block, incoming)| block.contains("num=2000") && *incoming) {
        let data = events.wait_for("COAPLOG");
        let options = data["options"].as_str().unwrap();
        let block = options.split("Block1: ").nth(1).unwrap_or_else(|| panic!("{options}"));
        blocks.push((block.split(" - ").next().unwrap().to_owned(), data["incoming"].as_bool().unwrap()));
    }
    // Requests and answers: of 16 blocks, of number 1024 and of the last.
    assert_eq!(blocks.iter().filter(|(_, incoming)| *incoming).count(), 18, "{blocks:?}");
    assert_eq!(blocks.len(), 36, "{blocks:?}");
}
