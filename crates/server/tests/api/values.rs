//! Values of every type, both ways.

use lapwing_lwm2m::model::{ObjectLink, Resource, Value};
use serde_json::json;

use crate::support::gateway;

#[test]
fn values_of_every_type_pass() {
    let (server, device) = gateway();
    let big = "9223372036854775807";
    for (id, name, sent, held, answered) in [
        (110, "string", json!("Käse"), Value::from("Käse"), json!("Käse")),
        (120, "integer", json!(big), Value::Integer(i64::MAX), json!(big)),
        (120, "Integer", json!(-5), Value::Integer(-5), json!("-5")),
        (125, "unsigned_integer", json!(u64::MAX.to_string()), Value::Unsigned(u64::MAX), json!(u64::MAX.to_string())),
        (125, "UNSIGNED_INTEGER", json!(7), Value::Unsigned(7), json!("7")),
        (130, "FLOAT", json!("1e10"), Value::Float(1e10), json!("1.0E10")),
        (130, "float", json!(21.5), Value::Float(21.5), json!("21.5")),
        (140, "boolean", json!(true), Value::Boolean(true), json!(true)),
        (150, "opaque", json!("0aFF"), Value::Opaque(vec![0x0a, 0xff]), json!("0aff")),
        (160, "time", json!(1_700_000_000_999_u64), Value::Time(1_700_000_000), json!(1_700_000_000_000_u64)),
        (
            170,
            "objlnk",
            json!({"objectId": 3, "objectInstanceId": 0}),
            Value::ObjectLink(ObjectLink::new(3, 0)),
            json!({"objectId": 3, "objectInstanceId": 0, "nullLink": false}),
        ),
        (180, "corelink", json!("</3/0>;a=1"), Value::CoreLink("</3/0>;a=1".into()), json!("</3/0>;a=1")),
    ] {
        let path = format!("/3442/0/{id}");
        let written =
            server.put(&format!("/api/clients/gw{path}"), &json!({"id": id, "type": name, "value": sent})).json();
        assert_eq!(written["status"], "CHANGED(204)", "{name}: {written}");
        assert_eq!(device.resource(&path), Some(Resource::Single(held)), "{name}");
        let read = server.get(&format!("/api/clients/gw{path}")).json();
        assert_eq!(read["content"]["value"], answered, "{name}");
        assert_eq!(read["content"]["type"], name.to_uppercase(), "{name}");
    }
}

#[test]
fn a_value_of_another_type_is_500() {
    let (server, device) = gateway();
    for (name, value) in [
        ("integer", json!("x")),
        ("integer", json!(1.5)),
        ("boolean", json!("true")),
        ("string", json!(1)),
        ("opaque", json!("0")),
        ("objlnk", json!("3:0")),
        ("time", json!("now")),
        ("word", json!("x")),
    ] {
        let answer = server.put("/api/clients/gw/3441/0/120", &json!({"id": 120, "type": name, "value": value}));
        answer.is_error(500, "Unexpected exception: ");
    }
    let resource = json!({"id": 120, "type": "integer", "value": "1"});
    server.post("/api/clients/gw/3441", &resource).is_error(500, "Unexpected exception: ");
    assert_eq!(device.asked(), [], "the client was not asked");
}
