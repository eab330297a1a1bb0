//! Leshan's client at our server: it registers and is read, written, executed on and observed through the HTTP API.

mod common;

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use bed::{PATIENCE, eventually, leshan};
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

#[test]
fn leshans_client_registers_and_is_read_written_and_observed() {
    let api = Api(DevelopmentServer::start());
    let more = ["lifetime=120".to_owned(), format!("models={}", models().display())];
    let server = format!("coap://127.0.0.1:{}", api.0.coap);
    let mut client = leshan::client(&server, "visitor", leshan::Credentials::None, &more);
    let registration = eventually("the registration of Leshan's client", || {
        let found = api.call("GET", "clients/visitor", None);
        found["endpoint"].is_string().then_some(found)
    });
    assert_eq!(registration["lifetime"], 120);
    assert_eq!(registration["lwM2mVersion"], "1.1");

    let manufacturer = api.call("GET", "clients/visitor/3/0/0?timeout=5&format=TLV", None);
    assert_eq!(manufacturer["content"]["value"], "Leshan", "{manufacturer}");
    let device = api.call("GET", "clients/visitor/3/0?timeout=5&format=TLV", None);
    assert_eq!(device["status"], "CONTENT(205)", "{device}");

    let written = json!({"id": 110, "kind": "singleResource", "type": "string", "value": "from Lapwing"});
    let answer = api.call("PUT", "clients/visitor/3441/0/110?timeout=5&format=TLV", Some(written));
    assert_eq!(answer["status"], "CHANGED(204)", "{answer}");

    let notifications = api.events("NOTIFICATION", "visitor");
    let observed = api.call("POST", "clients/visitor/3441/0/110/observe?timeout=5&format=TLV", None);
    assert_eq!(observed["content"]["value"], "from Lapwing", "{observed}");
    let written = json!({"id": 110, "kind": "singleResource", "type": "string", "value": "again"});
    api.call("PUT", "clients/visitor/3441/0/110?timeout=5&format=TEXT", Some(written));
    let notification = notifications.recv_timeout(PATIENCE).expect("a notification");
    assert_eq!(notification["val"]["value"], "again", "{notification}");

    let executed = api.call("POST", "clients/visitor/3441/0/2?timeout=5", None);
    assert_eq!(executed["status"], "CHANGED(204)", "{executed}");
    let created = json!({"id": 7, "kind": "instance", "resources": [{"id": 120, "kind": "singleResource", "type": "integer", "value": "42"}]});
    let answer = api.call("POST", "clients/visitor/3441?timeout=5&format=TLV", Some(created));
    assert_eq!(answer["status"], "CREATED(201)", "{answer}");
    let read = api.call("GET", "clients/visitor/3441/7/120?timeout=5&format=TLV", None);
    assert_eq!(read["content"]["value"], json!("42"), "{read}");
    let deleted = api.call("DELETE", "clients/visitor/3441/7?timeout=5", None);
    assert_eq!(deleted["status"], "DELETED(202)", "{deleted}");

    client.close_input();
    eventually("the de-registration", || {
        api.call("GET", "clients", None).as_array().is_some_and(Vec::is_empty).then_some(())
    });
}
