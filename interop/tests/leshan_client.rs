//! Leshan's client at our servers: it is bootstrapped, registers in every security mode, and is read, written, executed on and
//! observed through the HTTP API.

mod common;

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use bed::keys::{Authority, KeyFiles};
use bed::leshan::Credentials;
use bed::{PATIENCE, eventually, hex, leshan};
use common::{DevelopmentServer, models};
use serde_json::{Value, json};

struct Api(DevelopmentServer);

impl Api {
    fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let url = format!("{}/api/{path}", self.0.http);
        let request =
            ureq::http::Request::builder().method(method).uri(&url).header("content-type", "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut answer = agent.run(request.body(body).expect("a request")).expect("the API answers");
        let text = answer.body_mut().read_to_string().expect("text");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// The data of the server-sent events called `name`.
    fn events(&self, name: &'static str, endpoint: &str) -> Receiver<Value> {
        let url = format!("{}/api/event?ep={endpoint}", self.0.http);
        let answer = ureq::get(url).call().expect("the event stream");
        let (sender, events) = channel();
        thread::spawn(move || {
            let mut event = String::new();
            for line in BufReader::new(answer.into_body().into_reader()).lines().map_while(Result::ok) {
                if let Some(what) = line.strip_prefix("event:") {
                    event = what.trim().to_owned();
                } else if let Some(data) = line.strip_prefix("data:")
                    && event == name
                    && sender.send(serde_json::from_str(data).unwrap_or(Value::Null)).is_err()
                {
                    return;
                }
            }
        });
        events
    }
}

const KEY: &str = "00112233445566778899aabbccddeeff";

/// Leshan's client registers at `uri` and is managed; `secure` is what our server says of its session.
fn managed(api: &Api, endpoint: &'static str, uri: &str, credentials: Credentials<'_>, more: &[&str], secure: bool) {
    let more = more.iter().map(|&option| option.to_owned());
    let more: Vec<String> = more.chain(["lifetime=120".to_owned(), format!("models={}", models().display())]).collect();
    let mut client = leshan::client(uri, endpoint, credentials, &more);
    let at = |path: &str| format!("clients/{endpoint}{path}");
    let registration = eventually("the registration of Leshan's client", || {
        let found = api.call("GET", &at(""), None);
        found["endpoint"].is_string().then_some(found)
    });
    assert_eq!(registration["lifetime"], 120);
    assert_eq!(registration["lwM2mVersion"], "1.1");
    assert_eq!(registration["secure"], secure, "{registration}");

    let manufacturer = api.call("GET", &at("/3/0/0?timeout=5&format=TLV"), None);
    assert_eq!(manufacturer["content"]["value"], "Leshan", "{manufacturer}");
    let device = api.call("GET", &at("/3/0?timeout=5&format=TLV"), None);
    assert_eq!(device["status"], "CONTENT(205)", "{device}");

    let written = json!({"id": 110, "kind": "singleResource", "type": "string", "value": "from Lapwing"});
    let answer = api.call("PUT", &at("/3441/0/110?timeout=5&format=TLV"), Some(written));
    assert_eq!(answer["status"], "CHANGED(204)", "{answer}");

    let notifications = api.events("NOTIFICATION", endpoint);
    let observed = api.call("POST", &at("/3441/0/110/observe?timeout=5&format=TLV"), None);
    assert_eq!(observed["content"]["value"], "from Lapwing", "{observed}");
    let written = json!({"id": 110, "kind": "singleResource", "type": "string", "value": "again"});
    api.call("PUT", &at("/3441/0/110?timeout=5&format=TEXT"), Some(written));
    let notification = notifications.recv_timeout(PATIENCE).expect("a notification");
    assert_eq!(notification["val"]["value"], "again", "{notification}");

    let executed = api.call("POST", &at("/3441/0/2?timeout=5"), None);
    assert_eq!(executed["status"], "CHANGED(204)", "{executed}");
    let created = json!({"id": 7, "kind": "instance", "resources": [{"id": 120, "kind": "singleResource", "type": "integer", "value": "42"}]});
    let answer = api.call("POST", &at("/3441?timeout=5&format=TLV"), Some(created));
    assert_eq!(answer["status"], "CREATED(201)", "{answer}");
    let read = api.call("GET", &at("/3441/7/120?timeout=5&format=TLV"), None);
    assert_eq!(read["content"]["value"], json!("42"), "{read}");
    let deleted = api.call("DELETE", &at("/3441/7?timeout=5"), None);
    assert_eq!(deleted["status"], "DELETED(202)", "{deleted}");

    client.close_input();
    eventually("the de-registration", || {
        api.call("GET", "clients", None).as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

impl Api {
    fn coaps(&self) -> String {
        format!("coaps://127.0.0.1:{}", self.0.coaps)
    }

    /// Says what an endpoint has to show, to the management or the bootstrap server.
    fn allow(&self, path: &str, endpoint: &str, tls: Value) {
        let answer = self.call("PUT", path, Some(json!({"endpoint": endpoint, "tls": tls})));
        assert_eq!(answer, "", "{path} {endpoint}");
    }
}

fn psk(identity: &str) -> Value {
    json!({"mode": "psk", "details": {"identity": identity, "key": KEY}})
}

#[test]
fn it_registers_and_is_managed_over_plain_coap() {
    let api = Api(DevelopmentServer::start());
    let uri = format!("coap://127.0.0.1:{}", api.0.coap);
    managed(&api, "visitor", &uri, Credentials::None, &[], false);
}

#[test]
fn it_registers_and_is_managed_with_a_pre_shared_key_and_connection_ids() {
    let api = Api(DevelopmentServer::start());
    api.allow("security/clients", "psk", psk("identity"));
    managed(&api, "psk", &api.coaps(), Credentials::Psk("identity", KEY), &["cid=6"], true);
}

fn with_own_key(certificate: &[&str], authority: &Authority, server: &KeyFiles) -> Api {
    let key = server.private_pem.to_str().expect("a plain name");
    let root = authority.root.certificate.to_str().expect("a plain name");
    Api(DevelopmentServer::with(&[&["--key", key, "--trust", root], certificate].concat()))
}

#[test]
fn it_registers_and_is_managed_with_raw_public_keys() {
    let authority = Authority::new();
    let (server, own) = (authority.issue("localhost", None), authority.issue("rpk", None));
    let api = with_own_key(&[], &authority, &server);
    let key = hex(&KeyFiles::read(&own.public));
    api.allow("security/clients", "rpk", json!({"mode": "rpk", "details": {"key": key}}));
    managed(&api, "rpk", &api.coaps(), Credentials::RawPublicKey(&own, &server), &["cid=6"], true);
}

#[test]
fn it_registers_and_is_managed_with_certificates() {
    let authority = Authority::new();
    let (server, own) = (authority.issue("localhost", None), authority.issue("x509", None));
    let chain = server.certificate.to_str().expect("a plain name");
    let api = with_own_key(&["--cert", chain], &authority, &server);
    api.allow("security/clients", "x509", json!({"mode": "x509"}));
    managed(&api, "x509", &api.coaps(), Credentials::Certificate(&own, &server), &["cid=6"], true);
}

/// Our bootstrap server gives `endpoint` an account of our server, with a pre-shared key.
fn prepare(api: &Api, endpoint: &str) {
    api.allow("security/clients", endpoint, psk("registered"));
    let bytes = |bytes: &[u8]| Value::from(bytes.to_vec());
    let key: Vec<u8> = (0..16).map(|byte| byte * 0x11).collect();
    let account = json!({"uri": api.coaps(), "bootstrapServer": false, "securityMode": "PSK", "serverId": 123,
        "publicKeyOrId": bytes(b"registered"), "serverPublicKey": [], "secretKey": bytes(&key)});
    let server = json!({"shortId": 123, "lifetime": 120, "binding": "U"});
    let configuration = json!({"autoIdForSecurityObject": true, "toDelete": ["/0", "/1"], "servers": {"0": server},
        "security": {"0": account}});
    let answer = api.call("POST", &format!("bootstrap/{endpoint}"), Some(configuration));
    assert_eq!(answer, "", "{endpoint}");
}

#[test]
fn it_is_bootstrapped_over_plain_coap_and_registers_with_a_pre_shared_key() {
    let api = Api(DevelopmentServer::with(&["--bootstrap", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0"]));
    prepare(&api, "bootstrapped");
    managed(&api, "bootstrapped", &api.0.bootstrap[0], Credentials::None, &["bootstrap=true", "cid=6"], true);
}

#[test]
fn it_is_bootstrapped_with_a_pre_shared_key_and_connection_ids() {
    let api = Api(DevelopmentServer::with(&["--bootstrap", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0"]));
    prepare(&api, "bootstrapped");
    api.allow("bootstrap/security/clients", "bootstrapped", psk("bootstrap"));
    let credentials = Credentials::Psk("bootstrap", KEY);
    managed(&api, "bootstrapped", &api.0.bootstrap[1], credentials, &["bootstrap=true", "cid=6"], true);
}
