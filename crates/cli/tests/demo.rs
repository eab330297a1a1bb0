//! `lapwing demo`: server and agent in one process.

mod common;

use common::{Running, lapwing};
use rustix::process::Signal;

#[test]
fn the_demonstration_prints_three_lines_and_de_registers_when_interrupted() {
    let demo = Running::start(&["demo", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--endpoint", "here"]);
    let page = demo.line();
    assert!(page.starts_with("http://127.0.0.1:") && page.ends_with('/'), "{page}");
    let registered = demo.line();
    let time = registered.strip_prefix("here registered in ").and_then(|rest| rest.strip_suffix(" ms"));
    assert!(time.is_some_and(|time| time.parse::<f64>().is_ok()), "{registered}");
    let objects = demo.line();
    let clients = lapwing(&["manage", "--api", &page, "clients", "--json"]).json();
    let offered = clients[0]["availableInstances"].as_object().unwrap().len();
    assert_eq!(objects, format!("{offered} objects"));
    assert!(offered >= 2, "1 and 3 are always there");
    let name = lapwing(&["manage", "--api", &page, "read", "/3/0/16"]).text();
    assert_eq!(name, "/3/0/16  Supported Binding and Modes  U");

    let (code, printed, said) = demo.stop(Signal::INT);
    assert_eq!((code, printed), (Some(0), Vec::new()), "{said}");
    assert_eq!(said, "", "nothing went wrong");
}

#[test]
fn the_demonstration_takes_this_host_s_name() {
    let demo = Running::start(&["demo", "--coap", "[::1]:0", "--http", "127.0.0.1:0"]);
    demo.line();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(demo.line().starts_with(&format!("{host} registered in ")));
}

#[test]
fn the_demonstration_shows_a_bootstrap() {
    let any = "127.0.0.1:0";
    let demo = Running::start(&["demo", "--coap", any, "--http", any, "--bootstrap", any, "--endpoint", "here"]);
    let page = demo.line();
    let bootstrapped = demo.line();
    assert!(bootstrapped.starts_with("here was bootstrapped by coaps://127.0.0.1:"), "{bootstrapped}");
    assert!(demo.line().starts_with("here registered in "));
    let clients = lapwing(&["manage", "--api", &page, "clients", "--json"]).json();
    assert_eq!((&clients[0]["secure"], &clients[0]["identity"]), (&true.into(), &"psk:here".into()));
    let answer = ureq::get(format!("{page}api/event/bootstrap")).call().unwrap();
    let told: Vec<serde_json::Value> = serde_json::from_reader(answer.into_body().into_reader()).unwrap();
    assert_eq!(told.last().unwrap()["name"], "finished");
    let (code, _, said) = demo.stop(Signal::INT);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}
