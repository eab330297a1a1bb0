//! What is asked of a client: the operations of LwM2M core 1.1 sections 6.3 and 6.4.

use lapwing_coap::{ContentFormat, wire::Code};
use lapwing_lwm2m::model::{Resource, Value};
use serde_json::{Value as Json, json};

use crate::support::{Answer, eventually, gateway};

#[track_caller]
fn succeeded(answer: &Answer, status: &str) -> Json {
    let json = answer.json();
    assert_eq!(json["status"], status);
    assert_eq!((&json["valid"], &json["success"], &json["failure"]), (&json!(true), &json!(true), &json!(false)));
    json
}

#[test]
fn read_answers_at_every_level() {
    let (server, device) = gateway();
    let whole = json!({"status": "CONTENT(205)", "valid": true, "success": true, "failure": false, "content": {
        "kind": "singleResource", "id": 9, "type": "INTEGER", "value": "85",
    }});
    assert_eq!(server.get("/api/clients/gw/3/0/9").json(), whole);
    // One slash at the end is ignored.
    assert_eq!(server.get("/api/clients/gw/3/0/9/").json(), whole);
    let read =
        |path: &str| succeeded(&server.get(&format!("/api/clients/gw{path}")), "CONTENT(205)")["content"].clone();
    assert_eq!(read("/3/0/11/0"), json!({"kind": "resourceInstance", "id": 0, "type": "INTEGER", "value": "0"}));
    let instance = json!({"kind": "instance", "id": 0, "resources": [
        {"kind": "singleResource", "id": 0, "type": "STRING", "value": "Lapwing"},
        {"kind": "multiResource", "id": 6, "type": "INTEGER", "values": {"0": "1", "1": "5"}},
        {"kind": "singleResource", "id": 9, "type": "INTEGER", "value": "85"},
        {"kind": "multiResource", "id": 11, "type": "INTEGER", "values": {"0": "0"}},
        {"kind": "singleResource", "id": 14, "type": "STRING", "value": "+01:00"},
    ]});
    assert_eq!(read("/3/0"), instance);
    assert_eq!(read("/3"), json!({"kind": "obj", "id": 3, "instances": [instance]}));
    assert_eq!(device.last().path, "/3");
}

#[test]
fn discover_answers_links_with_attributes() {
    let (server, device) = gateway();
    let json = succeeded(&server.get("/api/clients/gw/3/0/discover"), "CONTENT(205)");
    assert_eq!(json["objectLinks"][0], json!({"url": "/3/0", "attributes": {"pmin": "10"}}));
    assert_eq!(json["objectLinks"][1], json!({"url": "/3/0/0", "attributes": {}}));
    let asked = device.last();
    assert_eq!((asked.code, asked.accept), (Code::GET, Some(ContentFormat::LINK_FORMAT)));
}

#[test]
fn write_replaces_by_default() {
    let (server, device) = gateway();
    let text = json!({"id": 110, "type": "string", "value": "written"});
    assert_eq!(
        server.put("/api/clients/gw/3441/0/110", &text).json(),
        json!({"status": "CHANGED(204)", "valid": true, "success": true, "failure": false})
    );
    assert_eq!(device.last().code, Code::PUT);
    assert_eq!(device.last().format, Some(ContentFormat::TLV));
    assert_eq!(device.resource("/3441/0/110"), Some(Resource::Single("written".into())));
    let instance = json!({"kind": "instance", "id": 0, "resources": [{"id": 120, "type": "INTEGER", "value": "7"}]});
    succeeded(&server.put("/api/clients/gw/3441/0", &instance), "CHANGED(204)");
    assert_eq!(device.resource("/3441/0/120"), Some(Resource::Single(7.into())));
    assert_eq!(device.resource("/3441/0/110"), None, "what was not named is gone");
}

#[test]
fn write_updates_on_request() {
    let (server, device) = gateway();
    let values = json!({"kind": "multiResource", "id": 1120, "type": "INTEGER", "values": {"1": "20", "5": 50}});
    succeeded(&server.put("/api/clients/gw/3441/0/1120?replace=false", &values), "CHANGED(204)");
    assert_eq!(device.last().code, Code::POST);
    assert_eq!(device.resource("/3441/0/1120"), Some(Resource::multiple([(0, 1), (1, 20), (5, 50)])));
    let instance = json!({"resources": [{"id": 120, "type": "INTEGER", "value": "7"}]});
    succeeded(&server.put("/api/clients/gw/3441/0?replace=false", &instance), "CHANGED(204)");
    assert_eq!(device.resource("/3441/0/110"), Some(Resource::Single("initial".into())), "what was not named stays");
}

#[test]
fn replace_is_a_boolean() {
    let (server, device) = gateway();
    let instance = json!({"resources": [{"id": 120, "type": "INTEGER", "value": "7"}]});
    for (word, code) in [("true", Code::PUT), ("TRUE", Code::PUT), ("no", Code::POST), ("", Code::POST)] {
        succeeded(&server.put(&format!("/api/clients/gw/3441/0?replace={word}"), &instance), "CHANGED(204)");
        assert_eq!(device.last().code, code, "{word:?}");
    }
}

#[test]
fn resource_instances_are_written() {
    let (server, device) = gateway();
    let value = json!({"kind": "resourceInstance", "id": 1, "type": "INTEGER", "value": "9"});
    succeeded(&server.put("/api/clients/gw/3441/0/1120/1", &value), "CHANGED(204)");
    assert_eq!(device.last().path, "/3441/0/1120/1");
    assert_eq!(device.resource("/3441/0/1120"), Some(Resource::multiple([(0, 1), (1, 9)])));
}

#[test]
fn text_is_written_to_a_string() {
    let (server, device) = gateway();
    let path = "/api/clients/gw/3441/0/110";
    let answer = server.call("PUT", path, &[("Content-Type", "text/plain;charset=UTF-8")], "größer".as_bytes());
    succeeded(&answer, "CHANGED(204)");
    assert_eq!(device.resource("/3441/0/110"), Some(Resource::Single(Value::from("größer"))));
}

#[test]
fn format_is_obeyed() {
    let (server, device) = gateway();
    let read = |format: &str| succeeded(&server.get(&format!("/api/clients/gw/3/0/9{format}")), "CONTENT(205)");
    for (name, accept) in [
        ("?format=TLV", Some(ContentFormat::TLV)),
        ("?format=text", Some(ContentFormat::TEXT)),
        ("?format=unheard-of", None),
        ("", None),
    ] {
        assert_eq!(read(name)["content"]["value"], "85", "{name}");
        assert_eq!(device.last().accept, accept, "{name}");
    }
    let text = json!({"id": 110, "type": "string", "value": "written"});
    succeeded(&server.put("/api/clients/gw/3441/0/110?format=TEXT", &text), "CHANGED(204)");
    assert_eq!((device.last().format, device.last().payload), (Some(ContentFormat::TEXT), b"written".to_vec()));
    server.get("/api/clients/gw/3/0/9?format=LINK").is_error(400, "Invalid request: LINK");
}

#[test]
fn execute_runs_with_arguments() {
    let (server, device) = gateway();
    let answer = server.call("POST", "/api/clients/gw/3441/0/3", &[], b"");
    assert_eq!(answer.json(), json!({"status": "CHANGED(204)", "valid": true, "success": true, "failure": false}));
    assert_eq!((device.last().code, device.last().payload), (Code::POST, vec![]));
    succeeded(&server.call("POST", "/api/clients/gw/3441/0/3", &[], b"0='a',1"), "CHANGED(204)");
    assert_eq!(device.last().payload, b"0='a',1");
}

#[test]
fn create_makes_an_instance() {
    let (server, device) = gateway();
    let resources = json!([{"kind": "singleResource", "id": 110, "type": "STRING", "value": "new"}]);
    let named = server.post("/api/clients/gw/3441", &json!({"kind": "instance", "id": 7, "resources": resources}));
    assert_eq!(succeeded(&named, "CREATED(201)")["location"], "3441/7");
    assert_eq!(device.resource("/3441/7/110"), Some(Resource::Single("new".into())));
    let unnamed = server.post("/api/clients/gw/3441", &json!({"resources": resources}));
    assert_eq!(succeeded(&unnamed, "CREATED(201)")["location"], "3441/8");
    assert_eq!(device.resource("/3441/8/110"), Some(Resource::Single("new".into())));
}

#[test]
fn delete_removes_an_instance() {
    let (server, device) = gateway();
    assert_eq!(
        server.delete("/api/clients/gw/3441/0").json(),
        json!({"status": "DELETED(202)", "valid": true, "success": true, "failure": false})
    );
    assert!(!device.has_instance(3441, 0));
}

#[test]
fn attributes_are_written() {
    let (server, device) = gateway();
    let set = server.call("PUT", "/api/clients/gw/3/0/9/attributes?pmin=1&pmax=60&gt=20.5&st", &[], b"");
    succeeded(&set, "CHANGED(204)");
    let asked = device.last();
    assert_eq!((asked.code, asked.path.as_str(), asked.payload.len()), (Code::PUT, "/3/0/9", 0));
    assert_eq!(asked.query, ["pmin=1", "pmax=60", "gt=20.5", "st"]);
    for (path, query) in [("/3", "epmin=5"), ("/3/0", "pmin")] {
        succeeded(&server.call("PUT", &format!("/api/clients/gw{path}/attributes?{query}"), &[], b""), "CHANGED(204)");
        assert_eq!((device.last().path, device.last().query), (path.to_owned(), vec![query.to_owned()]));
    }
}

#[test]
fn observe_answers_and_notifies() {
    let (server, mut device) = gateway();
    let mut events = server.events("");
    let first = server.call("POST", "/api/clients/gw/3/0/9/observe", &[], b"");
    assert_eq!(succeeded(&first, "CONTENT(205)")["content"]["value"], "85");
    assert_eq!(device.last().observe, Some(0));
    device.notify("/3/0/9", 2);
    // The first value is the answer, so that the first event is of the second.
    let (name, data) = events.next();
    assert_eq!(name, "NOTIFICATION");
    assert_eq!(
        data,
        json!({"ep": "gw", "kind": "single", "res": "/3/0/9", "val": {
            "kind": "singleResource", "id": 9, "type": "INTEGER", "value": "85",
        }})
    );
}

#[test]
fn observation_is_forgotten() {
    let (server, mut device) = gateway();
    succeeded(&server.call("POST", "/api/clients/gw/3/0/9/observe", &[], b""), "CONTENT(205)");
    let before = device.asked().len();
    let answer = server.delete("/api/clients/gw/3/0/9/observe");
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(device.asked().len(), before, "the client is not asked");
    let notification = device.notify("/3/0/9", 2);
    eventually("the notification is rejected", || device.was_reset(notification));
    // Nothing to forget is no error.
    assert_eq!(server.delete("/api/clients/gw/3/0/9/observe").status, 200);
}

#[test]
fn observation_is_cancelled_at_the_client() {
    let (server, device) = gateway();
    server.delete("/api/clients/gw/3/0/9/observe?active").is_error(404, "no observation for path /3/0/9");
    succeeded(&server.call("POST", "/api/clients/gw/3/0/9/observe", &[], b""), "CONTENT(205)");
    let begun = device.last().token;
    let ended = server.delete("/api/clients/gw/3/0/9/observe?active=true");
    assert_eq!(succeeded(&ended, "CONTENT(205)")["content"]["value"], "85");
    let asked = device.last();
    assert_eq!((asked.observe, asked.token), (Some(1), begun));
    server.delete("/api/clients/gw/3/0/9/observe?active").is_error(404, "no observation for path /3/0/9");
}
