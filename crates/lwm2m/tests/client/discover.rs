//! Discover and Write-Attributes (LwM2M Core 1.1 sections 6.3.2, 6.3.6 and 7.3; test cases LightweightM2M-1.1-int-260 and 261).

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::account::RecordKey;

use crate::harness::{Ask, Harness};

fn discover(harness: &mut Harness, path: &str) -> String {
    let answer = harness.request(Ask::get(path).accept(ContentFormat::LINK_FORMAT));
    assert_eq!((answer.code, answer.format), (Code::CONTENT, Some(ContentFormat::LINK_FORMAT)));
    answer.text().to_owned()
}

/// int-260: the object, its instance and a resource, with the attributes that count there.
#[test]
fn lists_with_attributes_at_three_levels() {
    let mut harness = Harness::registered();
    assert_eq!(harness.write_attributes("/5", &["pmin=10"]), Code::CHANGED);
    assert_eq!(harness.write_attributes("/5/0", &["pmax=60"]), Code::CHANGED);
    assert_eq!(harness.write_attributes("/5/0/5", &["gt=5", "lt=1.5", "st=0.5"]), Code::CHANGED);
    assert_eq!(discover(&mut harness, "/5"), "</5>;pmin=10,</5/0>,</5/0/0>,</5/0/2>,</5/0/3>,</5/0/5>");
    assert_eq!(
        discover(&mut harness, "/5/0"),
        "</5/0>;pmin=10;pmax=60,</5/0/0>,</5/0/2>,</5/0/3>,</5/0/5>;gt=5;lt=1.5;st=0.5"
    );
    assert_eq!(discover(&mut harness, "/5/0/5"), "</5/0/5>;pmin=10;pmax=60;gt=5;lt=1.5;st=0.5");
}

/// int-261: a multiple resource and its instances.
#[test]
fn lists_the_instances_of_a_resource() {
    let mut harness = Harness::registered();
    assert_eq!(harness.write_attributes("/3/0/6", &["pmin=10", "pmax=200"]), Code::CHANGED);
    assert_eq!(discover(&mut harness, "/3/0/6"), "</3/0/6>;dim=2;pmin=10;pmax=200,</3/0/6/0>,</3/0/6/1>");
    assert!(discover(&mut harness, "/3/0").contains("</3/0/6>;dim=2;pmin=10;pmax=200,"));
    assert!(discover(&mut harness, "/3").starts_with("</3>;ver=1.2,</3/0>,"));
}

#[test]
fn the_server_object_is_the_engines_own() {
    let mut harness = Harness::registered();
    assert_eq!(
        discover(&mut harness, "/1"),
        "</1>;ver=1.1,</1/0>,</1/0/0>,</1/0/1>,</1/0/4>,</1/0/6>,</1/0/7>,</1/0/8>"
    );
}

#[test]
fn attributes_are_unset_by_their_bare_name() {
    let mut harness = Harness::registered();
    assert_eq!(harness.write_attributes("/3/0/9", &["pmin=10", "pmax=60"]), Code::CHANGED);
    assert_eq!(harness.write_attributes("/3/0/9", &["pmin"]), Code::CHANGED);
    assert_eq!(discover(&mut harness, "/3/0/9"), "</3/0/9>;pmax=60");
}

/// Section 7.3.2: `lt + 2 st < gt`; gt, lt and st for numbers only.
#[test]
fn contradictions_are_refused_as_a_whole() {
    let mut harness = Harness::registered();
    for (path, query) in [
        ("/3/0/9", &["gt=10", "lt=5", "st=2.5"][..]),
        ("/3/0/9", &["gt=5", "lt=5"]),
        ("/3/0/0", &["gt=5"]),
        ("/3/0", &["st=5"]),
    ] {
        assert_eq!(harness.write_attributes(path, query), Code::BAD_REQUEST, "{path} {query:?}");
    }
    assert_eq!(discover(&mut harness, "/3/0/9"), "</3/0/9>");
    assert_eq!(harness.write_attributes("/3/0/9", &["gt=10", "lt=5", "st=2.4"]), Code::CHANGED);
    assert_eq!(harness.write_attributes("/3/0/9", &["pmin=60", "pmax=10"]), Code::CHANGED, "pmax is ignored then");
}

#[test]
fn attributes_are_bounded() {
    let mut harness = Harness::registered_for_long();
    for id in 0..1_024 {
        assert_eq!(harness.write_attributes(&format!("/3/0/6/{id}"), &["pmin=1"]), Code::CHANGED);
    }
    assert_eq!(harness.write_attributes("/3/0/6/1024", &["pmin=1"]), Code::SERVICE_UNAVAILABLE);
    assert_eq!(harness.write_attributes("/3/0/6/7", &["pmin"]), Code::CHANGED);
    assert_eq!(harness.write_attributes("/3/0/6/1024", &["pmin=1"]), Code::CHANGED);
}

/// Attributes are acknowledged once they are durable, and outlive the process.
#[test]
fn attributes_are_kept() {
    let mut harness = Harness::registered();
    harness.stores = false;
    harness.ask(Ask { query: &["pmin=10"], ..Ask::new(Code::PUT, "/3/0/9") });
    harness.expect_silence();
    let (id, record) = harness.persisting.pop_front().unwrap();
    assert_eq!(record.key, RecordKey::Attributes(1));
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CHANGED);
    let saved = [record].into_iter().collect();
    let mut harness = Harness::with_saved(Harness::config(), saved);
    harness.declare();
    harness.accept_registration();
    assert_eq!(discover(&mut harness, "/3/0/9"), "</3/0/9>;pmin=10");
}
