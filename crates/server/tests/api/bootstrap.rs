//! The bootstrap server: configurations, who may ask, and what is told of sessions.

use std::net::UdpSocket;

use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};
use serde_json::{Value as Json, json};

use crate::support::{Answer, PATIENCE, TestServer};

/// A client that asks for a bootstrap and agrees to whatever it is told, but to the Finish with this code.
fn bootstrap(server: &TestServer, endpoint: &str, finish: Code) -> (Code, Vec<(Code, String)>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.bootstrap.unwrap().0).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = Vec::new();
    let mut writer = Writer::new(&mut buffer, MessageType::Con, Code::POST, 1, Token::new(b"b").unwrap());
    writer.option_str(option::URI_PATH, "bs");
    writer.option_str(option::URI_QUERY, &format!("ep={endpoint}"));
    writer.option_str(option::URI_QUERY, "pct=11542");
    writer.finish();
    socket.send(&buffer).unwrap();
    let mut datagram = [0; 2_048];
    let length = socket.recv(&mut datagram).unwrap();
    let code = Message::parse(&datagram[..length]).unwrap().code;
    let mut tasks = Vec::new();
    while code.is_success() && tasks.last().is_none_or(|(_, path)| path != "/bs") {
        let length = socket.recv(&mut datagram).unwrap();
        let task = Message::parse(&datagram[..length]).unwrap();
        let path: String = task.options.uri_path().map(|segment| format!("/{segment}")).collect();
        let answer = match task.code {
            Code::DELETE => Code::DELETED,
            Code::POST => finish,
            _ => Code::CHANGED,
        };
        tasks.push((task.code, path));
        let mut buffer = Vec::new();
        Writer::new(&mut buffer, MessageType::Ack, answer, task.id, task.token).finish();
        socket.send(&buffer).unwrap();
    }
    (code, tasks)
}

fn configuration() -> Json {
    json!({
        "autoIdForSecurityObject": false,
        "toDelete": ["/0"],
        "servers": {"0": {"shortId": 123, "lifetime": 300}},
        "security": {"1": {
            "uri": "coaps://192.0.2.1", "securityMode": "PSK", "publicKeyOrId": [103, 119], "secretKey": [1, 2, 255],
            "serverId": 123,
        }},
    })
}

fn ok(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.text.as_str()), (status, ""));
}

#[test]
fn bootstrap_configurations_are_set_listed_and_deleted() {
    let server = TestServer::with_bootstrap();
    assert_eq!(server.get("/api/bootstrap").json(), json!({}));
    ok(&server.post("/api/bootstrap/gw%2F1", &configuration()), 200);
    let listed = server.get("/api/bootstrap?keys").json();
    assert_eq!(
        listed,
        json!({"gw/1": {
            "autoIdForSecurityObject": false,
            "toDelete": ["/0"],
            "servers": {"0": {
                "shortId": 123, "lifetime": 300, "defaultMinPeriod": 1, "notifIfDisabled": true, "binding": "U",
            }},
            "security": {"1": {
                "uri": "coaps://192.0.2.1", "bootstrapServer": false, "securityMode": "PSK", "publicKeyOrId": [103, 119],
                "serverPublicKey": [], "secretKey": [1, 2, 255], "serverId": 123, "clientOldOffTime": 1,
                "bootstrapServerAccountTimeout": 0, "smsSecurityMode": "NO_SEC", "smsBindingKeyParam": [],
                "smsBindingKeySecret": [], "serverSmsNumber": "",
            }},
            "acls": {},
            "oscore": {},
        }})
    );
    // What is listed can be set, in the place of what was there.
    ok(&server.post("/api/bootstrap/gw%2F1", &listed["gw/1"]), 200);
    assert_eq!(server.get("/api/bootstrap?keys").json(), listed);
    ok(&server.delete("/api/bootstrap/gw%2F1"), 204);
    server.delete("/api/bootstrap/gw%2F1").is_error(404, "no config for gw/1");
    assert_eq!(server.get("/api/bootstrap").json(), json!({}));
}

#[test]
fn keys_of_a_bootstrap_are_listed_only_on_request() {
    let server = TestServer::with_bootstrap();
    ok(&server.post("/api/bootstrap/gw", &configuration()), 200);
    let listed = server.get("/api/bootstrap").json();
    assert_eq!(listed["gw"]["security"]["1"].get("secretKey"), None);
    // Without its key an account cannot be set.
    server.post("/api/bootstrap/gw", &listed["gw"]).is_error(400, "/0/1/5 is missing");
}

#[test]
fn bootstrap_configurations_without_sense_are_400() {
    let server = TestServer::with_bootstrap();
    for (body, reason) in [
        (json!(null), "no content"),
        (json!({"servers": 1}), "servers is not an object"),
        (json!({"toDelete": ["x"]}), "x is not a valid path"),
        (json!({"servers": {"0": {"shortId": 1}}}), "/1/0: no Security instance has the Short Server ID 1"),
        (json!({"oscore": {"0": {}}}), "OSCORE"),
        (json!({"security": {"0": {"uri": "coaps://h", "securityMode": "EST", "serverId": 1}}}), "/0/0: there is no"),
    ] {
        server.post("/api/bootstrap/gw", &body).is_error(400, reason);
    }
    let answer = server.call("POST", "/api/bootstrap/gw", &[], b"{");
    answer.is_error(400, "Invalid JSON");
    for method in ["POST", "DELETE"] {
        server.call(method, "/api/bootstrap", &[], b"{}").is_error(400, "endpoint name should be specified in the URL");
    }
    server.get("/api/bootstrap/gw").is_error(404, "bad URL");
}

#[test]
fn without_a_bootstrap_server_there_is_no_such_api() {
    let server = TestServer::start();
    assert_eq!(server.get("/api/server/bootstrap").json(), json!([]));
    for path in ["/api/bootstrap", "/api/bootstrap/security/clients", "/api/event/bootstrap"] {
        server.get(path).is_error(404, "This server has no bootstrap server");
    }
    server.post("/api/bootstrap/gw", &configuration()).is_error(404, "This server has no bootstrap server");
}

#[test]
fn bootstrap_addresses_are_given() {
    let server = TestServer::with_bootstrap();
    let (plain, secure) = server.bootstrap.unwrap();
    assert_eq!(
        server.get("/api/server/bootstrap").json(),
        json!([
            {
                "uri": {"full": format!("coap://{plain}"), "scheme": "coap", "host": "127.0.0.1", "port": plain.port()},
                "description": "CoAP over UDP",
            },
            {
                "uri": {"full": format!("coaps://{secure}"), "scheme": "coaps", "host": "127.0.0.1", "port": secure.port()},
                "description": "CoAP over DTLS",
            },
        ])
    );
}

#[test]
fn a_configuration_is_brought_to_who_asks() {
    let server = TestServer::with_bootstrap();
    assert_eq!(bootstrap(&server, "gw", Code::CHANGED), (Code::BAD_REQUEST, vec![]));
    ok(&server.post("/api/bootstrap/gw", &configuration()), 200);
    let (code, tasks) = bootstrap(&server, "gw", Code::CHANGED);
    assert_eq!(code, Code::CHANGED);
    let tasks: Vec<String> = tasks.iter().map(|(code, path)| format!("{code} {path}")).collect();
    assert_eq!(tasks, ["0.04 /0", "0.03 /0/1", "0.03 /1/0", "0.02 /bs"]);
}

#[test]
fn bootstrap_events_follow_a_session() {
    let server = TestServer::with_bootstrap();
    ok(&server.post("/api/bootstrap/gw", &configuration()), 200);
    let mut events = server.events("?ep=gw");
    bootstrap(&server, "other", Code::CHANGED);
    bootstrap(&server, "gw", Code::CHANGED);
    bootstrap(&server, "gw", Code::NOT_ACCEPTABLE);
    let mut seen = Vec::new();
    while seen.last() != Some(&"failed".to_owned()) {
        let event = events.wait_for("BSSESSION");
        assert_eq!(event["endpoint"], "gw");
        assert!(event["time"].as_u64().is_some_and(|time| time > 1_600_000_000_000), "{event}");
        let message = event["message"].as_str().unwrap().to_owned();
        assert!(!message.contains("[1, 2, 255]"), "{message}");
        let name = event["name"].as_str().unwrap().to_owned();
        match name.as_str() {
            "new session" => assert!(message.contains("\nPreferred Content Format: "), "{message}"),
            "send write" => assert!(message.starts_with("Send WRITE request on /"), "{message}"),
            "failed" => assert_eq!(message, "Bootstrap session failed : FINISH_FAILED"),
            _ => {}
        }
        seen.push(name);
    }
    let task = |sent| [sent, "receive success response"];
    let tasks = ["send delete", "send write", "send write"].into_iter().flat_map(task).collect::<Vec<_>>();
    let begun = ["new session", "authorized"];
    let end = ["send request", "receive success response", "finished"];
    let failed = ["send request", "receive error response", "failed"];
    let expected = [&begun[..], &tasks, &end, &begun, &tasks, &failed].concat();
    assert_eq!(seen, expected);
}

#[test]
fn bootstrap_sessions_are_remembered() {
    let server = TestServer::with_bootstrap();
    assert_eq!(server.get("/api/event/bootstrap").json(), json!([]));
    let mut events = server.events("?ep=gw");
    bootstrap(&server, "gw", Code::CHANGED);
    let heard: Vec<Json> = (0..4).map(|_| events.wait_for("BSSESSION")).collect();
    assert_eq!(server.get("/api/event/bootstrap").json(), Json::Array(heard.clone()));
    let names: Vec<&Json> = heard.iter().map(|event| &event["name"]).collect();
    assert_eq!(names, ["new session", "authorized", "no config", "failed"]);
}

#[test]
fn who_may_bootstrap_is_set_listed_and_removed() {
    let server = TestServer::with_bootstrap();
    let clients = "/api/bootstrap/security/clients";
    assert_eq!(server.get(clients).json(), json!([]));
    let key = json!({"endpoint": "gw", "tls": {"mode": "psk", "details": {"identity": "bs-gw", "key": "00ff"}}});
    ok(&server.put(clients, &key), 200);
    assert_eq!(server.get(&format!("{clients}?keys")).json(), json!([key]));
    assert_eq!(server.get(clients).json()[0]["tls"]["details"].get("key"), None);
    let taken = json!({"endpoint": "b", "tls": {"mode": "psk", "details": {"identity": "bs-gw", "key": "01"}}});
    server.put(clients, &taken).is_error(400, "");
    server.put(clients, &json!({"tls": {"mode": "psk"}})).is_error(400, "");
    // The management server knows nothing of it.
    assert_eq!(server.get("/api/security/clients").json(), json!([]));

    // Who has to show a key is not bootstrapped without.
    ok(&server.post("/api/bootstrap/gw", &configuration()), 200);
    let mut events = server.events("?ep=gw");
    assert_eq!(bootstrap(&server, "gw", Code::CHANGED).0, Code::BAD_REQUEST);
    assert_eq!(events.wait_for("BSSESSION")["name"], "new session");
    assert_eq!(events.wait_for("BSSESSION")["name"], "unauthorized");

    ok(&server.delete(&format!("{clients}/gw")), 200);
    assert_eq!(server.delete(&format!("{clients}/gw")).json(), json!({"message": "not_found"}));
    assert_eq!(bootstrap(&server, "gw", Code::CHANGED).0, Code::CHANGED);
}
