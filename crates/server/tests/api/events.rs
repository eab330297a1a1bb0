//! Server-sent events.

use serde_json::json;

use crate::support::{Device, TestServer, gateway, objects};

#[test]
fn registration_events_follow_a_client() {
    let server = TestServer::start();
    let mut events = server.events("");
    let mut device = Device::register(server.coap, "gw", objects(), &["lt=300"]);
    let (name, registration) = events.next();
    assert_eq!(name, "REGISTRATION");
    assert_eq!(registration, server.get("/api/clients/gw").json());

    device.update(&["lt=60"], "");
    let (name, data) = events.next();
    assert_eq!(name, "UPDATED");
    assert_eq!(data["registration"], server.get("/api/clients/gw").json());
    let id = device.location.clone();
    let address = registration["address"].clone();
    assert_eq!(
        data["update"],
        json!({
            "registrationId": id, "address": address, "lifetime": 60, "secure": false, "additionalAttributes": {},
        })
    );
    device.update(&[], "</3/0>");
    let (_, data) = events.next();
    assert_eq!(data["update"]["objectLinks"], json!([{"url": "/3/0", "attributes": {}}]));
    assert_eq!(data["update"].get("lifetime"), None);
    assert_eq!(data["registration"]["availableInstances"], json!({"3": [0]}));

    device.register_again("</3/0>", &[]);
    let (name, old) = events.next();
    assert_eq!((name.as_str(), &old["registrationId"]), ("DEREGISTRATION", &json!(id)));
    let (name, new) = events.next();
    assert_eq!((name.as_str(), &new["registrationId"]), ("REGISTRATION", &json!(device.location)));

    device.deregister();
    let (name, gone) = events.next();
    assert_eq!((name.as_str(), &gone["registrationId"]), ("DEREGISTRATION", &json!(device.location)));
}

#[test]
fn events_can_be_of_one_client() {
    let server = TestServer::start();
    let mut all = server.events("");
    let mut of_b = server.events("?ep=b");
    let _a = Device::register(server.coap, "a", objects(), &[]);
    let _b = Device::register(server.coap, "b", objects(), &[]);
    assert_eq!(all.next().1["endpoint"], "a");
    assert_eq!(all.next().1["endpoint"], "b");
    assert_eq!(of_b.wait_for("REGISTRATION")["endpoint"], "b");
    // Messages come only where they were asked for.
    server.get("/api/clients/a/3/0/9").json();
    server.get("/api/clients/b/3/0/9").json();
    assert_eq!(of_b.wait_for("COAPLOG")["ep"], "b");
    let _c = Device::register(server.coap, "c", objects(), &[]);
    let (name, data) = all.next();
    assert_eq!((name.as_str(), &data["endpoint"]), ("REGISTRATION", &json!("c")));
}

#[test]
fn coap_messages_are_logged() {
    let (server, _device) = gateway();
    let mut events = server.events("?ep=gw");
    server.get("/api/clients/gw/3/0/9?format=TLV").json();
    let mut asked = events.wait_for("COAPLOG");
    let mut answered = events.wait_for("COAPLOG");
    for message in [&mut asked, &mut answered] {
        assert!(message["timestamp"].take().as_u64().is_some_and(|time| time > 1_700_000_000_000));
    }
    let (id, token) = (asked["mId"].clone(), asked["token"].clone());
    assert!(id.is_u64());
    let capitals = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    assert!(token.as_str().is_some_and(capitals), "{token}");
    assert_eq!(
        asked,
        json!({
            "timestamp": null, "incoming": false, "type": "CON", "code": "GET", "mId": id, "token": token, "ep": "gw",
            "options": "Uri-Path: \"3\", \"0\", \"9\" - Accept: \"application/vnd.oma.lwm2m+tlv\"",
        })
    );
    assert_eq!(
        answered,
        json!({
            "timestamp": null, "incoming": true, "type": "ACK", "code": "2.05", "mId": id, "token": token, "ep": "gw",
            "options": "Content-Format: \"application/vnd.oma.lwm2m+tlv\"", "payload": "Hex:c10955",
        })
    );
    // Printable ASCII is shown as it is, and an observation's number as a number.
    server.call("POST", "/api/clients/gw/3/0/14/observe?format=text", &[], b"").json();
    assert!(events.wait_for("COAPLOG")["options"].as_str().unwrap().starts_with("Observe: 0 - Uri-Path"));
    assert_eq!(events.wait_for("COAPLOG")["payload"], "+01:00");
}
