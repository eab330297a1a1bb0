//! `lapwing run` against Leshan's server, an independent implementation: each test names the case of OMA's enabler test
//! specification that it follows (LightweightM2M-1.1-int-...).

mod common;

use std::time::Duration;

use common::Agent;
use common::registered::{LESHAN, Registered, links, register, register_with};
use serde_json::{Value, json};

#[test]
fn int_101_initial_registration() {
    let gateway = register("int-101", 120);
    assert_eq!(gateway.registration["version"], "1.1");
    assert_eq!(gateway.registration["lifetime"], 120);
    assert_eq!(gateway.registration["bindings"], "[U]");
    let links = gateway.links();
    assert!(
        links.contains(&"</1/0>".to_owned()) || links.iter().any(|link| link.starts_with("</1>;ver=1.1")),
        "{links:?}"
    );
    assert!(links.iter().any(|link| link.starts_with("</3/0>")), "{links:?}");
    assert!(links.iter().any(|link| link == "</3>;ver=1.2"), "version 1.2 is announced: {links:?}");
    assert!(!links.iter().any(|link| link.starts_with("</0")), "Security is never announced: {links:?}");
}

#[test]
fn registration_1_0_offers_objects_1_3_and_4_in_version_1_0() {
    let gateway = register_with("v1-0", 120, "version = \"1.0\"\n");
    assert_eq!(gateway.registration["version"], "1.0");
    assert!(!gateway.links().iter().any(|link| link.contains("ver=")), "{:?}", gateway.links());
    assert!(gateway.read("/3/0", "TLV")["resources"]["16"] == "U");
}

#[test]
fn int_102_registration_update_at_half_of_the_lifetime() {
    let gateway = register("int-102", 4);
    let first = gateway.event("updated");
    assert_eq!(first["client"]["id"], gateway.registration["id"]);
    gateway.event("updated");
    assert!(LESHAN.event_within(Duration::from_millis(10), "unregistered", "int-102").is_none());
}

#[test]
fn int_103_deregistration() {
    let mut gateway = register("int-103", 120);
    gateway.agent.process.signal("TERM");
    assert_eq!(gateway.event("unregistered")["expired"], false);
    assert!(gateway.agent.process.ended().success());
}

#[test]
fn int_104_registration_update_trigger() {
    let gateway = register("int-104", 120);
    gateway.get("2.04", "execute", "/1/0/8", json!({}));
    assert_eq!(gateway.event("updated")["client"]["lifetime"], 120);
}

#[test]
fn int_105_a_server_that_forgot_the_client_is_registered_at_again() {
    let gateway = register("int-105", 4);
    gateway.ask("forget", "/", json!({}));
    let again = gateway.event("registered");
    assert_ne!(again["client"]["id"], gateway.registration["id"]);
    gateway.read("/3/0/0", "TEXT");
}

#[test]
fn int_107_extending_the_lifetime_of_a_registration() {
    let gateway = register("int-107", 120);
    gateway.get("2.04", "write", "/1/0/1", json!({"content": 240, "format": "TEXT"}));
    assert_eq!(gateway.event("updated")["client"]["lifetime"], 240);
    assert_eq!(gateway.read("/1/0/1", "TEXT"), 240);
}

#[test]
fn int_201_query_basic_information_in_plain_text() {
    let gateway =
        register_with("int-201", 120, "[device]\nmanufacturer = \"Lapwing\"\nmodel = \"Bench\"\nserial = \"0042\"\n");
    assert_eq!(gateway.read("/3/0/0", "TEXT"), "Lapwing");
    assert_eq!(gateway.read("/3/0/1", "TEXT"), "Bench");
    assert_eq!(gateway.read("/3/0/2", "TEXT"), "0042");
}

#[test]
fn int_203_query_basic_information_in_tlv() {
    let gateway = register_with("int-203", 120, "[device]\nmanufacturer = \"Lapwing\"\n");
    let device = gateway.read("/3/0", "TLV");
    assert_eq!(device["resources"]["0"], "Lapwing");
    assert_eq!(device["resources"]["16"], "U");
    assert_eq!(device["resources"]["11"]["instances"]["0"], 0);
    assert!(device["resources"]["21"].as_i64().is_some_and(|total| total > 0), "memory total: {device}");
    assert!(device["resources"]["10"].as_i64() < device["resources"]["21"].as_i64(), "memory free: {device}");
}

#[test]
fn int_205_set_basic_information_in_plain_text() {
    let gateway = register("int-205", 120);
    for (path, value) in [("/1/0/2", json!(1)), ("/1/0/3", json!(30)), ("/1/0/5", json!(3600)), ("/1/0/6", json!(true))]
    {
        gateway.get("2.04", "write", path, json!({"content": value, "format": "TEXT"}));
        assert_eq!(gateway.read(path, "TEXT"), value);
    }
}

#[test]
fn int_215_set_basic_information_in_tlv() {
    let gateway = register("int-215", 120);
    let content = json!({"resources": {"2": 2, "3": 60, "6": false}});
    gateway.get("2.04", "write", "/1/0", json!({"content": content, "format": "TLV", "update": true}));
    let server = gateway.read("/1/0", "TLV");
    assert_eq!(server["resources"]["2"], 2);
    assert_eq!(server["resources"]["3"], 60);
    assert_eq!(server["resources"]["6"], false);
    assert_eq!(server["resources"]["1"], 120, "a partial update leaves the rest as it was");
}

#[test]
fn int_221_operations_on_security_are_refused() {
    let gateway = register("int-221", 120);
    for (operation, path) in [
        ("read", "/0"),
        ("read", "/0/0"),
        ("read", "/0/0/5"),
        ("discover", "/0"),
        ("observe", "/0/0"),
        ("delete", "/0/0"),
    ] {
        gateway.get("4.01", operation, path, json!({}));
    }
    gateway.get("4.01", "write", "/0/0/0", json!({"content": "coap://[::1]", "format": "TEXT"}));
}

#[test]
fn int_222_to_225_read_at_every_level() {
    let gateway = register_with("int-222", 120, "[device]\nmanufacturer = \"Lapwing\"\n");
    assert_eq!(gateway.read("/3", "TLV")["objectInstances"]["0"]["resources"]["0"], "Lapwing");
    assert_eq!(gateway.read("/3/0", "TLV")["resources"]["0"], "Lapwing");
    assert_eq!(gateway.read("/3/0/0", "TLV"), "Lapwing");
    assert_eq!(gateway.read("/3/0/11", "TLV")["instances"]["0"], 0);
    assert_eq!(gateway.read("/3/0/11/0", "TLV"), 0);
    assert_eq!(gateway.read("/3/0/11/0", "TEXT"), 0);
    gateway.get("4.04", "read", "/3/1", json!({}));
    gateway.get("4.04", "read", "/3/0/11/7", json!({}));
    gateway.get("4.05", "read", "/3/0/4", json!({}));
    gateway.get("4.06", "read", "/3/0", json!({"format": "TEXT"}));
}

#[test]
fn int_226_and_227_write_partial_and_replace() {
    let gateway = register("int-226", 120);
    let update = json!({"content": {"resources": {"2": 5}}, "format": "TLV", "update": true});
    gateway.get("2.04", "write", "/1/0", update);
    assert_eq!(gateway.read("/1/0/2", "TLV"), 5);
    gateway.get("2.04", "write", "/1/0/2", json!({"content": 7, "format": "TLV"}));
    assert_eq!(gateway.read("/1/0/2", "TLV"), 7);
    let replace = json!({"content": {"resources": {"1": 180, "6": true, "7": "U"}}, "format": "TLV"});
    gateway.get("2.04", "write", "/1/0", replace);
    assert_eq!(gateway.read("/1/0/1", "TLV"), 180);
    gateway.get("4.04", "read", "/1/0/2", json!({}));
}

#[test]
fn int_241_reboot_runs_after_the_answer() {
    let gateway = register_with("int-241", 120, "[device]\nreboot-command = [\"touch\", \"{folder}/rebooted\"]\n");
    gateway.get("2.04", "execute", "/3/0/4", json!({}));
    let mark = gateway.agent.folder.path().join("rebooted");
    bed::eventually("the reboot command", || mark.exists().then_some(()));
}

#[test]
fn int_256_write_failures() {
    let gateway = register("int-256", 120);
    gateway.get("4.05", "write", "/3/0/0", json!({"content": "other", "format": "TEXT"}));
    gateway.get("4.04", "write", "/1/0/3000", json!({"content": {"type": "INTEGER", "value": 1}, "format": "TEXT"}));
    gateway.get("4.00", "write", "/1/0/1", json!({"content": -5, "format": "TEXT"}));
    gateway.get("4.00", "write", "/1/0/7", json!({"content": "carrier pigeon", "format": "TEXT"}));
    assert_eq!(gateway.read("/1/0/7", "TEXT"), "U", "what was refused has changed nothing");
}

#[test]
fn int_260_discover_with_attributes() {
    let gateway = register("int-260", 120);
    gateway.get("2.04", "attributes", "/3/0", json!({"attributes": "pmin=10&pmax=60"}));
    gateway.get("2.04", "attributes", "/3/0/10", json!({"attributes": "gt=50&lt=42.2&st=3"}));
    let object = links(&gateway.get("2.05", "discover", "/3", json!({})));
    assert!(object.iter().any(|link| link == "</3>;ver=1.2"), "{object:?}");
    assert!(object.iter().any(|link| link == "</3/0/0>"), "{object:?}");
    let instance = links(&gateway.get("2.05", "discover", "/3/0", json!({})));
    assert!(instance.iter().any(|link| link == "</3/0/11>;dim=1"), "{instance:?}");
    assert!(
        instance.iter().any(|link| link.contains("</3/0/10>")
            && link.contains("gt=50")
            && link.contains("lt=42.2")
            && link.contains("st=3")),
        "{instance:?}"
    );
    let resource = links(&gateway.get("2.05", "discover", "/3/0/10", json!({})));
    assert!(resource[0].contains("pmin=10") && resource[0].contains("st=3"), "inherited ones too: {resource:?}");
    gateway.get("4.04", "discover", "/3/1", json!({}));
}

#[test]
fn int_261_write_attributes_on_a_multiple_resource() {
    let gateway = register("int-261", 120);
    gateway.get("2.04", "attributes", "/3/0/11", json!({"attributes": "pmin=5&pmax=20"}));
    let links = links(&gateway.get("2.05", "discover", "/3/0/11", json!({})));
    assert!(links[0].contains("dim=1") && links[0].contains("pmin=5") && links[0].contains("pmax=20"), "{links:?}");
}

#[test]
fn int_301_observation_and_notification_at_pmin_and_pmax() {
    let gateway = register("int-301", 120);
    gateway.get("2.04", "attributes", "/3/0/13", json!({"attributes": "pmin=1&pmax=2"}));
    let mut last = gateway.get("2.05", "observe", "/3/0/13", json!({}))["content"].as_i64().expect("a time");
    for _ in 0..3 {
        let now = gateway.notified("/3/0/13").as_i64().expect("a time");
        assert!((1..=3).contains(&(now - last)), "notified {} s after the last one", now - last);
        last = now;
    }
}

#[test]
fn int_302_cancel_observations_using_reset() {
    let mut gateway = register("int-302", 120);
    gateway.get("2.04", "attributes", "/3/0/13", json!({"attributes": "pmin=1&pmax=1"}));
    gateway.get("2.05", "observe", "/3/0/13", json!({}));
    gateway.notified("/3/0/13");
    gateway.ask("cancel-passive", "/3/0/13", json!({}));
    let end = "the observation ended";
    let err = &mut gateway.agent.process.err;
    err.next_that(end, |line| line.contains("Observed([])").then_some(()));
}

#[test]
fn int_303_cancel_observations_using_the_observe_option() {
    let gateway = register("int-303", 120);
    gateway.get("2.04", "attributes", "/3/0/13", json!({"attributes": "pmin=1&pmax=1"}));
    gateway.get("2.05", "observe", "/3/0/13", json!({}));
    gateway.notified("/3/0/13");
    gateway.get("2.05", "cancel", "/3/0/13", json!({}));
    while LESHAN.event_within(Duration::from_millis(100), "notify", "int-303").is_some() {}
    assert!(
        LESHAN.event_within(Duration::from_secs(3), "notify", "int-303").is_none(),
        "no notification after the cancel"
    );
}

#[test]
fn observe_at_object_and_instance_level() {
    let gateway = register("observe-levels", 120);
    let object = gateway.get("2.05", "observe", "/1", json!({}));
    assert_eq!(object["content"]["objectInstances"]["0"]["resources"]["1"], 120);
    gateway.get("2.04", "write", "/1/0/2", json!({"content": 0, "format": "TEXT"}));
    assert_eq!(gateway.notified("/1")["objectInstances"]["0"]["resources"]["2"], 0);
}

/// The example `test_object`, registered at Leshan.
fn test_object(endpoint: &str) -> Registered {
    let server = format!("coap://127.0.0.1:{}", LESHAN.coap);
    let agent = Agent::other("examples/test_object", &server, endpoint);
    let registration = LESHAN.event("registered", endpoint)["client"].clone();
    Registered { agent, registration }
}

#[test]
fn int_270_and_290_create_and_delete_an_object_instance() {
    let client = test_object("int-270");
    let content = json!({"id": 5, "resources": {"110": "created", "120": 7}});
    let created = client.get("2.01", "create", "/3441", json!({"content": content, "format": "TLV"}));
    assert!(created["location"].is_null() || created["location"] == "3441/5", "{created}");
    assert!(
        links(&client.event("updated")["client"]).contains(&"</3441/5>".to_owned()),
        "the new instance is announced"
    );
    assert_eq!(client.read("/3441/5", "TLV")["resources"], json!({"110": "created", "120": 7}));
    client.get("4.00", "create", "/3441", json!({"content": content, "format": "TLV"}));
    let own = client.get("2.01", "create", "/3441", json!({"content": {"resources": {"120": 8}}, "format": "TLV"}));
    let location = format!("/{}", own["location"].as_str().expect("the client chose an instance"));
    assert_eq!(client.read(&format!("{location}/120"), "TEXT"), 8);
    client.event("updated");
    client.get("2.02", "delete", "/3441/5", json!({}));
    assert!(!links(&client.event("updated")["client"]).contains(&"</3441/5>".to_owned()));
    client.get("4.04", "read", "/3441/5", json!({}));
    client.get("4.04", "delete", "/3441/5", json!({}));
}

#[test]
fn every_type_in_tlv_and_text() {
    let client = test_object("types");
    let values = [
        ("110", json!("Grüße, 世界")),
        ("120", json!(-9_007_199_254_740_993_i64)),
        ("130", json!(-0.1)),
        ("140", json!(false)),
        ("160", json!(1_700_000_000)),
        ("170", json!("3:0")),
    ];
    for (resource, value) in &values {
        let path = format!("/3441/0/{resource}");
        for format in ["TLV", "TEXT"] {
            client.get("2.04", "write", &path, json!({"content": value, "format": format}));
            assert_eq!(client.read(&path, format), *value, "{path} in {format}");
        }
    }
    for format in ["TLV", "OPAQUE"] {
        client.get("2.04", "write", "/3441/0/150", json!({"content": "00ff10", "format": format}));
        assert_eq!(client.read("/3441/0/150", format), "00ff10");
    }
}

#[test]
fn int_225_multiple_resources_are_replaced_updated_and_read_by_instance() {
    let client = test_object("multiple");
    let write = |instances: Value, update: bool| {
        let content = json!({"resources": {"1120": {"instances": instances}}});
        client.get("2.04", "write", "/3441/0", json!({"content": content, "format": "TLV", "update": update}));
    };
    write(json!({"0": 1, "300": 2}), true);
    assert_eq!(client.read("/3441/0/1120", "TLV")["instances"], json!({"0": 1, "300": 2}));
    assert_eq!(client.read("/3441/0/1120/300", "TEXT"), 2);
    let content = json!({"instances": {"4": 9}});
    client.get("2.04", "write", "/3441/0/1120", json!({"content": content, "format": "TLV"}));
    assert_eq!(client.read("/3441/0/1120", "TLV")["instances"], json!({"4": 9}));
}

#[test]
fn execute_with_arguments() {
    let client = test_object("execute");
    client.get("2.04", "execute", "/3441/0/3", json!({"arguments": "0='first',1,7='last'"}));
    let list = client.read("/3441/0/4", "TLV");
    assert_eq!(list["instances"], json!({"0": "first", "1": "", "7": "last"}));
    client.get("4.05", "execute", "/3441/0/120", json!({}));
}
