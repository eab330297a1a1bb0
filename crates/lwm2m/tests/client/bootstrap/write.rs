//! Bootstrap-Write (LwM2M Core 1.1 section 6.1.7.5) at every level.

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    client::Event,
    model::{Instance, Instances, Resource},
};

use super::{TLV, config, security, server, tlv};
use crate::harness::{Ask, Harness};

const TEXT: ContentFormat = ContentFormat::TEXT;

/// An object, several instances in one message: those that it names are replaced, the others stay.
#[test]
fn an_object_is_written_with_several_instances() {
    let mut harness = Harness::bootstrapping(config());
    let one = Instances::from([(1, security("coap://a.example", 1)), (2, security("coap://b.example", 2))]);
    assert_eq!(harness.put_object("/0", one), Code::CHANGED);
    assert_eq!(harness.put_object("/1", Instances::from([(1, server(1, 60)), (2, server(2, 70))])), Code::CHANGED);
    assert_eq!(harness.put_object("/1", Instances::from([(2, server(2, 80))])), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    let expected = [(1, "coap://a.example".to_owned(), 60), (2, "coap://b.example".to_owned(), 80)];
    assert_eq!(harness.accounts(), expected);
}

/// An instance that is there is replaced: optional resources that are not named go.
#[test]
fn an_instance_is_replaced_as_a_whole() {
    let mut harness = Harness::bootstrapping(config());
    let mut first = server(7, 300);
    first.extend([(2, 5.into()), (5, 60.into())]);
    assert_eq!(harness.put_instance("/0/1", security("coap://server.example", 7)), Code::CHANGED);
    assert_eq!(harness.put_instance("/1/1", first), Code::CHANGED);
    assert_eq!(harness.put_instance("/1/1", server(7, 90)), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    let account = harness.client.accounts().next().unwrap();
    assert_eq!((account.lifetime, account.default_pmin, account.disable_timeout), (90, None, None));
}

/// Resource by resource, of an instance that is not there yet, in every format that one value has.
#[test]
fn resources_are_written_one_by_one() {
    let mut harness = Harness::bootstrapping(config());
    for (at, format, payload) in [
        ("/0/1/0", TEXT, &b"coaps://server.example"[..]),
        ("/0/1/1", TEXT, b"0"),
        ("/0/1/2", TEXT, b"0"),
        ("/0/1/3", ContentFormat::OPAQUE, b"id"),
        ("/0/1/5", ContentFormat::OPAQUE, b"key"),
        ("/0/1/10", TEXT, b"7"),
        ("/1/3/0", TLV, &[0xc1, 0, 7]),
        ("/1/3/1", TEXT, b"300"),
        ("/1/3/6", TEXT, b"1"),
        ("/1/3/7", TEXT, b"UQ"),
    ] {
        assert_eq!(harness.code(Ask::put(at, format, payload)), Code::CHANGED, "{at}");
    }
    // Without a Content-Format it is text (LwM2M 1.0 section 6.4).
    let lifetime = Ask { payload: b"310", ..Ask::new(Code::PUT, "/1/3/1") };
    assert_eq!(harness.code(lifetime), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.accounts(), [(7, "coaps://server.example".to_owned(), 310)]);
}

/// Optional resources that are not known are passed over.
#[test]
fn unknown_resources_are_no_error() {
    let mut harness = Harness::bootstrapping(config());
    let mut account = security("coap://server.example", 7);
    account.insert(900, vec![1, 2, 3].into());
    assert_eq!(harness.put_instance("/0/1", account), Code::CHANGED);
    let mut instance = server(7, 60);
    instance.insert(901, Resource::multiple([(0, vec![1_u8])]));
    assert_eq!(harness.put_instance("/1/1", instance), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    let nine = tlv("/9/0", Instance::from([(0, 1.into())]));
    for (ask, code) in [
        (Ask::put("/9/0", TLV, &nine), Code::NOT_FOUND),
        (Ask::put("/", TLV, &nine), Code::METHOD_NOT_ALLOWED),
        (Ask::put("/1/65535", TLV, &[0xc1, 0, 7]), Code::NOT_FOUND),
        (Ask::put("/1/1/0/0", TEXT, b"1"), Code::BAD_REQUEST),
        (Ask::put("/1/1/900", TEXT, b"1"), Code::NOT_FOUND),
        (Ask::put("/1/1/4", TEXT, b""), Code::METHOD_NOT_ALLOWED),
        (Ask::put("/1/1/1", TEXT, b"soon"), Code::BAD_REQUEST),
        (Ask::put("/1/1", TEXT, b"1"), Code::UNSUPPORTED_CONTENT_FORMAT),
        (Ask::put("/1/1", ContentFormat::JSON, b"{}"), Code::UNSUPPORTED_CONTENT_FORMAT),
        (Ask { payload: &[0xc1, 0, 7], ..Ask::new(Code::PUT, "/1/1") }, Code::UNSUPPORTED_CONTENT_FORMAT),
        (Ask::put("/1/1", TLV, &[0xc1, 0, 7, 0xff]), Code::BAD_REQUEST),
        (Ask::put("/1/1", TLV, &[0xc9, 1, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]), Code::BAD_REQUEST),
        (Ask::post("/1/1", TLV, &[0xc1, 1, 5]), Code::METHOD_NOT_ALLOWED),
        (Ask::post("/1", TLV, &[0xc1, 1, 5]), Code::METHOD_NOT_ALLOWED),
        (Ask::new(Code::POST, "/3/0/4"), Code::METHOD_NOT_ALLOWED),
        (Ask::new(Code::PUT, "/bs"), Code::METHOD_NOT_ALLOWED),
        (Ask::new(Code::POST, "/bs/1"), Code::NOT_FOUND),
    ] {
        assert_eq!(harness.code(ask), code, "{ask:?}");
    }
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    assert_eq!(harness.accounts(), [(7, "coap://server.example".to_owned(), 300)]);
}
