//! The registered clients, the definitions of their objects, and the server's own address.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::{Device, TestServer, gateway, objects};

#[test]
fn clients_are_listed() {
    let server = TestServer::start();
    assert_eq!(server.get("/api/clients").json(), json!([]));
    let _b = Device::register(server.coap, "b", objects(), &[]);
    let _a = Device::register(server.coap, "a", objects(), &[]);
    let list = server.get("/api/clients").json();
    let endpoints: Vec<_> = list.as_array().unwrap().iter().map(|client| client["endpoint"].clone()).collect();
    assert_eq!(endpoints, ["a", "b"]);
}

#[test]
fn a_client_is_shown() {
    let server = TestServer::start();
    let device = Device::register(server.coap, "räumlich/7", objects(), &["lt=60", "sms=+4930", "vendor=acme"]);
    let mut shown = server.get("/api/clients/r%C3%A4umlich%2F7").json();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    for date in ["registrationDate", "lastUpdate"] {
        let age = now - shown[date].as_u64().unwrap();
        assert!(age < 60_000, "{date} is {age} ms ago");
        shown.as_object_mut().unwrap().remove(date);
    }
    let address = shown["address"].take();
    assert!(address.as_str().unwrap().starts_with("127.0.0.1:"), "{address}");
    assert_eq!(
        shown,
        json!({
            "endpoint": "räumlich/7",
            "registrationId": device.location,
            "address": null,
            "smsNumber": "+4930",
            "lwM2mVersion": "1.1",
            "lifetime": 60,
            "bindingMode": "U",
            "rootPath": "/",
            "objectLinks": [
                {"url": "/", "attributes": {"rt": "\"oma.lwm2m\"", "ct": "11542"}},
                {"url": "/3", "attributes": {"ver": "1.3"}},
                {"url": "/3/0", "attributes": {}},
                {"url": "/3441", "attributes": {"ver": "1.0"}},
                {"url": "/3441/0", "attributes": {}},
                {"url": "/3442", "attributes": {"ver": "1.0"}},
                {"url": "/3442/0", "attributes": {}},
            ],
            "secure": false,
            "additionalRegistrationAttributes": {"vendor": "acme"},
            "queuemode": false,
            "availableInstances": {"3": [0], "3441": [0], "3442": [0]},
        })
    );
}

#[test]
fn unknown_clients_are_400() {
    let server = TestServer::start();
    for path in ["/api/clients/gw", "/api/clients/gw/3/0"] {
        server.get(path).is_error(400, "No registered client with id 'gw'");
        server.delete(path).is_error(400, "No registered client with id 'gw'");
    }
    server.get("/api/objectspecs/gw").is_error(400, "no registered client with id 'gw'");
}

#[test]
fn object_specs_are_given() {
    let (server, _device) = gateway();
    let specs = server.get("/api/objectspecs/gw").json();
    let ids: Vec<_> = specs.as_array().unwrap().iter().map(|spec| spec["id"].clone()).collect();
    assert_eq!(ids, [3, 3441, 3442]);
    // The registry itself gives version 1.3 the URN of 1.2.
    let mut device = specs[0].clone();
    let resources = device["resourcedefs"].take();
    assert_eq!(
        device,
        json!({
            "id": 3, "name": "Device", "instancetype": "single", "mandatory": true, "urn": "urn:oma:lwm2m:oma:3:1.2",
            "version": "1.3", "lwm2mversion": "1.1", "description": "", "description2": "", "resourcedefs": null,
        })
    );
    let resource = |id: u16| resources.as_array().unwrap().iter().find(|spec| spec["id"] == id).unwrap();
    assert_eq!(
        *resource(9),
        json!({
            "id": 9, "name": "Battery Level", "operations": "R", "instancetype": "single", "mandatory": false,
            "type": "integer", "range": "0..100", "units": "/100", "description": "",
        })
    );
    assert_eq!(resource(4)["operations"], "E");
    assert_eq!(resource(4)["type"], "none");
    assert_eq!(resource(6)["instancetype"], "multiple");
    let unsigned = specs[2]["resourcedefs"].as_array().unwrap().iter().find(|spec| spec["id"] == 125).unwrap();
    assert_eq!(unsigned["type"], "unsigned_integer");
    assert_eq!(unsigned["operations"], "RW");
}

#[test]
fn server_endpoints_are_given() {
    let server = TestServer::start();
    assert_eq!(
        server.get("/api/server/endpoint").json(),
        json!([{
            "uri": {
                "full": format!("coap://{}", server.coap),
                "scheme": "coap",
                "host": "127.0.0.1",
                "port": server.coap.port(),
            },
            "description": "CoAP over UDP",
        }, {
            "uri": {
                "full": format!("coaps://{}", server.coaps),
                "scheme": "coaps",
                "host": "127.0.0.1",
                "port": server.coaps.port(),
            },
            "description": "CoAP over DTLS",
        }])
    );
}
