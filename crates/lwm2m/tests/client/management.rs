//! Device management interface (LwM2M Core 1.1 section 6.3; test cases LightweightM2M-1.1-int-201, 203, 205, 215, 222 to 228 and
//! 241, LightweightM2M-1.0-int-270 and 565).

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    client::Event,
    model::{Node, Resource, Value},
};

use crate::harness::{Ask, Harness};

const TLV: ContentFormat = ContentFormat::TLV;
const TEXT: ContentFormat = ContentFormat::TEXT;

/// int-201, 203, 222 to 225.
#[test]
fn reads_at_every_level() {
    let mut harness = Harness::registered();
    let single = harness.request(Ask::get("/3/0/0").accept(TEXT));
    assert_eq!((single.code, single.format, single.text()), (Code::CONTENT, Some(TEXT), "Lapwing"));
    let single = harness.request(Ask::get("/3/0/0").accept(TLV));
    assert_eq!((single.format, &single.payload[..]), (Some(TLV), &b"\xc7\x00Lapwing"[..]));
    let multiple = harness.request(Ask::get("/3/0/6").accept(TLV));
    assert_eq!(multiple.payload, [0x86, 6, 0x41, 0, 1, 0x41, 1, 5]);
    let instance = harness.request(Ask::get("/3/0/6/1").accept(TEXT));
    assert_eq!(instance.text(), "5");
    let instance = harness.request(Ask::get("/5/0"));
    assert_eq!((instance.format, &instance.payload[..]), (Some(TLV), &[0xc1, 3, 0, 0xc1, 5, 0][..]));
    let object = harness.request(Ask::get("/5"));
    assert_eq!((object.format, &object.payload[..]), (Some(TLV), &[0x06, 0, 0xc1, 3, 0, 0xc1, 5, 0][..]));
}

/// Without Accept, a single value comes as text, everything else as TLV.
#[test]
fn chooses_a_format_when_none_is_asked_for() {
    let mut harness = Harness::registered();
    for (path, format) in [("/3/0/0", TEXT), ("/3441/0/150", ContentFormat::OPAQUE), ("/3/0/6", TLV), ("/3/0", TLV)] {
        assert_eq!(harness.request(Ask::get(path)).format, Some(format), "{path}");
    }
}

/// int-205 and 227.
#[test]
fn writes_a_resource() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::put("/3/0/15", TEXT, b"Europe/Vienna")), Code::CHANGED);
    assert_eq!(harness.objects.get("/3/0/15"), Some(Node::single("Europe/Vienna")));
    assert_eq!(harness.code(Ask::put("/3441/0/120", TLV, &[0xc1, 120, 7])), Code::CHANGED);
    assert_eq!(harness.objects.get("/3441/0/120"), Some(Node::single(7)));
    assert_eq!(harness.code(Ask::put("/3441/0/150", ContentFormat::OPAQUE, &[0, 255])), Code::CHANGED);
    assert_eq!(harness.objects.get("/3441/0/150"), Some(Node::single(vec![0, 255])));
}

/// int-215 and 226.
#[test]
fn writes_an_instance_in_whole_and_in_part() {
    let mut harness = Harness::registered();
    let part = [0xc1, 120, 9];
    assert_eq!(harness.code(Ask::post("/3441/0", TLV, &part)), Code::CHANGED);
    assert_eq!(harness.objects.get("/3441/0/120"), Some(Node::single(9)));
    assert_eq!(harness.objects.get("/3441/0/110"), Some(Node::single("initial")));
    assert_eq!(harness.code(Ask::put("/3441/0", TLV, &part)), Code::CHANGED);
    assert_eq!(harness.objects.get("/3441/0/110"), None);
}

/// int-228; LwM2M 1.0 has no such paths.
#[test]
fn writes_an_instance_of_a_resource() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::put("/3441/0/1110/2", TEXT, b"z")), Code::CHANGED);
    let expected = Node::Resource(Resource::multiple([(0, "a"), (2, "z")]));
    assert_eq!(harness.objects.get("/3441/0/1110"), Some(expected));
    let mut config = Harness::config();
    config.version = lapwing_lwm2m::client::LwM2mVersion::V1_0;
    let mut harness = Harness::registered_with(config);
    assert_eq!(harness.code(Ask::put("/3441/0/1110/2", TEXT, b"z")), Code::NOT_FOUND);
    assert_eq!(harness.code(Ask::get("/3441/0/1110/2")), Code::NOT_FOUND);
}

/// int-241; section 6.3.5.
#[test]
fn executes_with_arguments() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::new(Code::POST, "/3/0/4")), Code::CHANGED);
    assert_eq!(harness.code(Ask::post("/3441/0/3", TEXT, b"0='on',5")), Code::CHANGED);
    let executed: Vec<_> = harness.objects.executed.iter().map(|(path, text)| format!("{path} {text}")).collect();
    assert_eq!(executed, ["/3/0/4 ", "/3441/0/3 0='on',5"]);
    assert_eq!(harness.code(Ask::post("/3441/0/3", TEXT, b"0=on")), Code::BAD_REQUEST);
    assert_eq!(harness.code(Ask::post("/3441/0/3", TLV, b"0")), Code::UNSUPPORTED_CONTENT_FORMAT);
    assert_eq!(harness.code(Ask::new(Code::POST, "/3/0/0")), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.code(Ask::get("/3/0/4")), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.code(Ask::put("/3/0/4", TEXT, b"1")), Code::METHOD_NOT_ALLOWED);
}

/// Test case LightweightM2M-1.0-int-270; section 6.3.7.
#[test]
fn creates_with_and_without_a_number() {
    let mut harness = Harness::registered();
    let created = harness.request(Ask::post("/3441", TLV, &[0x03, 9, 0xc1, 120, 1]));
    assert_eq!((created.code, created.location), (Code::CREATED, vec!["3441".to_owned(), "9".to_owned()]));
    let created = harness.request(Ask::post("/3441", TLV, &[0xc1, 120, 2]));
    assert_eq!((created.code, created.location), (Code::CREATED, vec!["3441".to_owned(), "1".to_owned()]));
    assert_eq!(harness.objects.get("/3441/9/120"), Some(Node::single(1)));
    assert_eq!(harness.objects.get("/3441/1/120"), Some(Node::single(2)));
    harness.declare();
    assert!(harness.take().text().ends_with("</3441/0>,</3441/1>,</3441/9>"));
}

/// LwM2M Core 1.1.1 sections 6.3.3 and 6.3.7: what the client does not have must not fail the write of what it has.
#[test]
fn optional_resources_that_are_not_there_are_passed_over() {
    let mut harness = Harness::registered();
    let known_and_unknown = [0xc1, 120, 9, 0xc1, 77, 1];
    assert_eq!(harness.code(Ask::post("/3441/0", TLV, &known_and_unknown)), Code::CHANGED);
    assert_eq!(harness.objects.get("/3441/0/120"), Some(Node::single(9)));
    assert_eq!(harness.objects.get("/3441/0/77"), None);
    assert_eq!(harness.code(Ask::post("/3441", TLV, &known_and_unknown)), Code::CREATED);
    assert_eq!(harness.objects.get("/3441/1/120"), Some(Node::single(9)));
    assert_eq!(harness.objects.get("/3441/1/77"), None);
    assert_eq!(harness.code(Ask::put("/3441/0/77", TLV, &[0xc1, 77, 1])), Code::NOT_FOUND);
}

#[test]
fn refuses_to_create_what_makes_no_sense() {
    let mut harness = Harness::registered();
    for (ask, code) in [
        (Ask::post("/3441", TLV, &[0x03, 0, 0xc1, 120, 1]), Code::BAD_REQUEST),
        (Ask::post("/3441", TLV, &[0x03, 1, 0xc1, 120, 1, 0x03, 2, 0xc1, 120, 1]), Code::BAD_REQUEST),
        (Ask::post("/3441", TLV, &[0xc1, 3, 1]), Code::BAD_REQUEST),
        (Ask::post("/3441", TEXT, b"1"), Code::UNSUPPORTED_CONTENT_FORMAT),
        (Ask::post("/3", TLV, &[0xc1, 0, 1]), Code::METHOD_NOT_ALLOWED),
        (Ask::post("/1", TLV, &[0x03, 1, 0xc1, 1, 60]), Code::METHOD_NOT_ALLOWED),
        (Ask::post("/77", TLV, &[0xc1, 0, 1]), Code::NOT_FOUND),
    ] {
        assert_eq!(harness.code(ask), code, "{ask:?}");
    }
}

#[test]
fn deletes() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::new(Code::DELETE, "/3441/0")), Code::DELETED);
    assert_eq!(harness.objects.get("/3441/0"), None);
    harness.declare();
    assert!(harness.take().text().ends_with("</3441>"));
    assert_eq!(harness.code(Ask::new(Code::DELETE, "/3441/0")), Code::NOT_FOUND);
    for path in ["/3/0", "/3/0/15", "/3", "/1/0", "/1"] {
        assert_eq!(harness.code(Ask::new(Code::DELETE, path)), Code::METHOD_NOT_ALLOWED, "{path}");
    }
}

/// What one server writes, those who observe it are told of by the application.
#[test]
fn a_write_is_notified_like_any_change() {
    let mut harness = Harness::registered();
    let token = harness.observe("/3/0/15");
    assert_eq!(harness.code(Ask::put("/3/0/15", TEXT, b"Asia/Tokyo")), Code::CHANGED);
    harness.change("/3/0/15", Value::from("Asia/Tokyo"));
    let notification = harness.take();
    assert_eq!((notification.token, notification.text()), (token, "Asia/Tokyo"));
}

/// A retransmitted Execute is answered again and not run again (RFC 7252 section 4.2).
#[test]
fn a_duplicate_executes_nothing() {
    let mut harness = Harness::registered();
    let id = harness.fresh_id();
    let token = lapwing_coap::Token::new(&[1]).unwrap();
    for _ in 0..3 {
        harness.ask_as(Ask::new(Code::POST, "/3/0/4"), id, token);
        assert_eq!(harness.take().code, Code::CHANGED);
    }
    assert_eq!(harness.objects.executed.len(), 1);
    assert!(!harness.events.iter().any(|event| matches!(event, Event::ServerLost { .. })));
}
