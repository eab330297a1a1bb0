//! The Server object (LwM2M Core 1.1 Appendix E.2): a server's own account, kept by the engine.

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    account::RecordKey,
    client::{Event, StoreError},
};

use crate::harness::{Ask, Harness, seconds};

const TLV: ContentFormat = ContentFormat::TLV;
const TEXT: ContentFormat = ContentFormat::TEXT;

#[test]
fn is_read_and_written() {
    let mut harness = Harness::registered();
    for (path, text) in [("/1/0/0", "1"), ("/1/0/1", "60"), ("/1/0/6", "1"), ("/1/0/7", "U")] {
        assert_eq!(harness.request(Ask::get(path).accept(TEXT)).text(), text, "{path}");
    }
    assert_eq!(harness.code(Ask::get("/1/0/2")), Code::NOT_FOUND);
    assert_eq!(harness.code(Ask::put("/1/0/2", TEXT, b"5")), Code::CHANGED);
    assert_eq!(harness.request(Ask::get("/1/0/2").accept(TEXT)).text(), "5");
    let instance = harness.request(Ask::get("/1/0"));
    assert_eq!(instance.payload, [0xc1, 0, 1, 0xc1, 1, 60, 0xc1, 2, 5, 0xc1, 6, 1, 0xc1, 7, b'U']);
    assert_eq!(harness.client.accounts().next().unwrap().default_pmin, Some(5));
    for (path, payload, code) in [
        ("/1/0/0", &b"2"[..], Code::METHOD_NOT_ALLOWED),
        ("/1/0/1", b"-1", Code::BAD_REQUEST),
        ("/1/0/1", b"4294967296", Code::BAD_REQUEST),
        ("/1/0/7", b"UQ", Code::BAD_REQUEST),
        ("/1/0/10", b"1:2", Code::NOT_FOUND),
        ("/1/1/1", b"1", Code::NOT_FOUND),
    ] {
        assert_eq!(harness.code(Ask::put(path, TEXT, payload)), code, "{path}");
    }
}

#[test]
fn is_replaced_as_a_whole_only_with_what_is_mandatory() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::put("/1/0/3", TEXT, b"90")), Code::CHANGED);
    assert_eq!(harness.code(Ask::put("/1/0", TLV, &[0xc1, 1, 60])), Code::BAD_REQUEST);
    assert_eq!(harness.code(Ask::put("/1/0", TLV, &[0xc1, 1, 60, 0xc1, 6, 0, 0xc1, 7, b'U'])), Code::CHANGED);
    assert_eq!(harness.code(Ask::get("/1/0/3")), Code::NOT_FOUND, "an optional resource that was not named");
}

/// Durable, then said: a change that cannot be stored is none.
#[test]
fn is_stored_before_it_is_acknowledged() {
    let mut harness = Harness::registered();
    harness.stores = false;
    harness.ask(Ask::put("/1/0/1", TEXT, b"100"));
    harness.ask(Ask::put("/1/0/1", TEXT, b"200"));
    harness.expect_silence();
    let (id, record) = harness.persisting.pop_front().unwrap();
    assert_eq!((record.key, harness.persisting.len()), (RecordKey::Server(1), 0), "one change at a time");
    harness.client.persisted(harness.time(), id, Err(StoreError));
    assert_eq!(harness.take().code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(harness.client.accounts().next().unwrap().lifetime, 60);
    let (id, record) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CHANGED);
    assert_eq!(harness.take().query, ["lt=200"]);
    // The next start takes it up.
    let mut harness = Harness::with_saved(Harness::config(), [record].into_iter().collect());
    harness.declare();
    assert_eq!(harness.take().query[1], "lt=200");
}

/// A write of what is there already changes nothing, and needs no disk.
#[test]
fn what_changes_nothing_is_not_stored() {
    let mut harness = Harness::registered();
    harness.stores = false;
    assert_eq!(harness.code(Ask::put("/1/0/1", TEXT, b"60")), Code::CHANGED);
    assert!(harness.persisting.is_empty());
    harness.expect_silence();
}

#[test]
fn is_observed_like_any_object() {
    let mut harness = Harness::registered();
    let token = harness.observe("/1/0/1");
    assert_eq!(harness.code(Ask::put("/1/0/1", TEXT, b"90")), Code::CHANGED);
    // One confirmable message at a time (NSTART, RFC 7252 section 4.7).
    let update = harness.take();
    assert_eq!(update.query, ["lt=90"]);
    harness.answer(&update, Code::CHANGED);
    let notification = harness.take();
    assert_eq!((notification.token, notification.text()), (token, "90"));
}

/// RFC 7641 section 4.2: what is observed and goes, ends with 4.04.
#[test]
fn an_optional_resource_that_goes_ends_its_observation() {
    let mut harness = Harness::registered_for_long();
    assert_eq!(harness.code(Ask::put("/1/0/3", TEXT, b"90")), Code::CHANGED);
    let token = harness.observe("/1/0/3");
    assert_eq!(harness.code(Ask::put("/1/0", TLV, &[0xc1, 1, 0, 0xc1, 6, 1, 0xc1, 7, b'U'])), Code::CHANGED);
    let notification = harness.take();
    assert_eq!((notification.token, notification.code), (token, Code::NOT_FOUND));
    assert_eq!(harness.next_event(), Event::Observed(vec![]));
}

/// 1/x/2 and 1/x/3 count where no attribute says otherwise.
#[test]
fn default_periods_count_for_observations() {
    let mut harness = Harness::registered_for_long();
    assert_eq!(harness.code(Ask::put("/1/0/2", TEXT, b"5")), Code::CHANGED);
    assert_eq!(harness.code(Ask::put("/1/0/3", TEXT, b"20")), Code::CHANGED);
    let token = harness.observe("/3/0/9");
    harness.change("/3/0/9", 79);
    harness.run_for(seconds(4));
    harness.expect_silence();
    harness.run_for(seconds(1));
    let notification = harness.take();
    assert_eq!((notification.token, notification.text()), (token, "79"));
    harness.acknowledge(&notification);
    harness.run_for(seconds(20));
    let notification = harness.take();
    assert_eq!((notification.token, notification.text()), (token, "79"));
    harness.acknowledge(&notification);
    assert_eq!(harness.write_attributes("/3/0/9", &["pmax=7", "pmin=0"]), Code::CHANGED);
    harness.run_for(seconds(7));
    assert_eq!(harness.take().token, token);
    assert!(!harness.events.iter().any(|event| matches!(event, Event::ServerLost { .. })));
}
