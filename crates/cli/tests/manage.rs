//! `lapwing manage`, verb by verb, for people and as JSON.

mod common;

use common::{Running, Server, lapwing};
use rustix::process::Signal;
use serde_json::{Value as Json, json};

#[test]
fn clients_are_listed() {
    let server = Server::start();
    assert_eq!(server.manage(&["clients", "--json"]).text(), "[]");
    let header = "ENDPOINT  ADDRESS  LWM2M  LIFETIME  LAST UPDATE  OBJECTS";
    assert_eq!(server.manage(&["clients"]).text(), header);
    let _agent = server.agent("gw", &[]);
    let table = server.manage(&["clients"]).text();
    assert!(table.lines().nth(1).unwrap().starts_with("gw        127.0.0.1:"), "{table}");
    assert!(table.contains("1.1    300 s     0 s ago      1 3"), "{table}");
}

#[test]
fn the_client_must_be_named_where_there_is_more_than_one() {
    let server = Server::start();
    let complaint = server.manage(&["read", "/3/0"]).failed(1);
    assert!(complaint.starts_with("lapwing: no client is registered at http://127.0.0.1:"), "{complaint}");
    let _one = server.agent("one", &[]);
    assert!(server.manage(&["read", "/3/0/16"]).text().ends_with("U"));
    let _two = server.agent("two", &[]);
    let complaint = server.manage(&["read", "/3/0/16"]).failed(2);
    assert_eq!(complaint, "lapwing: 2 clients are registered; name one by --endpoint: one, two");
    assert!(server.manage(&["read", "/3/0/16", "--endpoint", "two"]).text().ends_with("U"));
    let complaint = server.manage(&["read", "/3/0/16", "--endpoint", "three"]).failed(1);
    assert_eq!(complaint, "lapwing: No registered client with id 'three'");
}

#[test]
fn values_are_read_at_every_level_and_in_a_format() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let device = server.manage(&["read", "3"]).text();
    assert!(device.lines().any(|line| line.starts_with("/3/0/16 ") && line.ends_with("  U")), "{device}");
    assert!(
        device.lines().any(|line| line.starts_with("/3/0/11/0 ") && line.ends_with("Error Code                   0"))
    );
    let instance = server.manage(&["read", "/3/0", "--json"]).json();
    assert_eq!(instance["status"], json!("CONTENT(205)"));
    assert_eq!(instance["content"]["kind"], json!("instance"));
    let binding = server.manage(&["read", "/3/0/16", "--format", "text", "--json"]).json();
    let expected = json!({"kind": "singleResource", "id": 16, "type": "STRING", "value": "U"});
    assert_eq!(binding["content"], expected);

    let missing = server.manage(&["read", "/3/0/99"]).failed(1);
    assert_eq!(missing, "lapwing: gw/3/0/99: 4.04 NOT_FOUND");
    let missing = server.manage(&["read", "/3/0/99", "--json"]);
    assert_eq!((missing.code, missing.json()["status"].clone()), (Some(1), json!("NOT_FOUND(404)")));
    let complaint = server.manage(&["read", "/x"]).failed(2);
    assert!(complaint.contains("'/x' for '<PATH>'"), "{complaint}");
}

#[test]
fn values_are_written() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    assert_eq!(server.manage(&["write", "/1/0/1", "600"]).text(), "2.04 CHANGED");
    assert_eq!(server.manage(&["read", "/1/0/1"]).text(), "/1/0/1  Lifetime  600 s");
    assert_eq!(server.manage(&["write", "/1/0", "1=700", "6=false", "--update"]).text(), "2.04 CHANGED");
    assert_eq!(server.manage(&["read", "/1/0/6", "--json"]).json()["content"]["value"], json!(false));
    let complaint = server.manage(&["write", "/1/0/1", "soon"]).failed(2);
    assert_eq!(complaint, "lapwing: \"soon\": expected an integer");
    let refused = server.manage(&["write", "/3/0/16", "x"]).failed(1);
    assert_eq!(refused, "lapwing: gw/3/0/16: 4.05 METHOD_NOT_ALLOWED");
    let written = server.manage(&["write", "/1/0/1", "800", "--json"]).json();
    assert_eq!(written["success"], json!(true));
}

#[test]
fn an_execute_updates_the_registration() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let before = server.clients()[0]["lastUpdate"].clone();
    assert_eq!(server.manage(&["execute", "/1/0/8"]).text(), "2.04 CHANGED");
    common::eventually(|| server.clients()[0]["lastUpdate"] != before, || "the Update".to_owned());
    let complaint = server.manage(&["execute", "/1/0"]).failed(2);
    assert_eq!(complaint, "lapwing: /1/0: expected /OBJECT/INSTANCE/RESOURCE");
}

#[test]
fn attributes_are_written_and_discovered() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let found = server.manage(&["discover", "/3/0"]).text();
    assert!(found.lines().any(|line| line.starts_with("/3/0/13 ") && line.ends_with("Current Time")), "{found}");
    assert_eq!(server.manage(&["attributes", "/3/0/13", "pmin=10", "pmax=60"]).text(), "2.04 CHANGED");
    let found = server.manage(&["discover", "/3/0/13"]).text();
    assert_eq!(found, "/3/0/13  Current Time  pmin=10 pmax=60");
    let links = server.manage(&["discover", "/3/0/13", "--json"]).json();
    assert_eq!(links["objectLinks"], json!([{"url": "/3/0/13", "attributes": {"pmin": "10", "pmax": "60"}}]));
    assert_eq!(server.manage(&["attributes", "/3/0/13", "pmin", "pmax"]).text(), "2.04 CHANGED");
    assert_eq!(server.manage(&["discover", "/3/0/13"]).text(), "/3/0/13  Current Time");
    assert!(server.manage(&["attributes", "/3/0/13", "pmid=1"]).failed(2).contains("expected one of pmin"));
}

#[test]
fn an_observation_prints_the_value_and_each_change() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    let observed = server.manage(&["observe", "/3/0/13", "--count", "3", "--json"]).text();
    let documents: Vec<Json> = observed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[0]["content"]["type"], json!("TIME"));
    let time = |document: &Json| document["val"]["value"].as_i64().unwrap();
    assert!(time(&documents[2]) > time(&documents[1]), "{observed}");

    let api = ["manage", "--api", &server.api, "observe", "/3/0/13"];
    let observer = Running::start(&api);
    let first = observer.line();
    assert!(first.starts_with("/3/0/13  Current Time  20") && first.ends_with('Z'), "{first}");
    assert_ne!(observer.line(), first, "the clock ticks");
    assert_eq!(observer.stop(Signal::INT).0, Some(0));
    let active = format!("{}api/clients/gw/3/0/13/observe?active", server.api);
    let gone = ureq::delete(&active).config().http_status_as_error(false).build().call().unwrap();
    assert_eq!(gone.status(), 404, "it was cancelled");
}

#[test]
fn what_a_client_does_not_have_is_neither_created_nor_deleted() {
    let server = Server::start();
    let _agent = server.agent("gw", &[]);
    for verb in [["create", "/3441/0"], ["delete", "/3441/0"]] {
        let refused = server.manage(&verb).failed(1);
        assert_eq!(refused, "lapwing: gw/3441/0: 4.04 NOT_FOUND");
    }
    assert!(server.manage(&["delete", "/3441"]).failed(2).contains("expected /OBJECT/INSTANCE"));
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let complaint = lapwing(&["manage", "--api", "http://127.0.0.1:1", "clients"]).failed(1);
    assert!(complaint.starts_with("lapwing: no answer from the API at http://127.0.0.1:1 ("), "{complaint}");
    assert!(complaint.ends_with("is `lapwing serve` running?"), "{complaint}");
}
