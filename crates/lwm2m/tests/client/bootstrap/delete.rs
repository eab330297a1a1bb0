//! Bootstrap-Delete (LwM2M Core 1.1 section 6.1.7.6; LightweightM2M-1.1-int-4).

use lapwing_coap::Code;
use lapwing_lwm2m::client::{Command, Event};

use super::{VERSIONS, with_server};
use crate::harness::{Ask, Harness};

fn bootstrapping_with_server() -> Harness {
    let mut harness = Harness::registered_with(with_server());
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    harness
}

/// int-4: an account is deleted and another one written.
#[test]
fn int_4_an_account_is_deleted() {
    for version in VERSIONS {
        let mut config = with_server();
        config.version = version;
        let mut harness = Harness::registered_with(config);
        harness.command(Command::Bootstrap);
        harness.begin_bootstrap();
        assert_eq!(harness.delete("/0/0"), Code::DELETED);
        assert_eq!(harness.delete("/1/0"), Code::DELETED);
        harness.put_account(3, "coap://second.example", 2, 90);
        assert_eq!(harness.client.status(1), Some(lapwing_lwm2m::client::Status::Registered), "until the Finish");
        assert_eq!(harness.finish(), Code::CHANGED);
        assert_eq!(harness.accounts(), [(2, "coap://second.example".to_owned(), 90)]);
    }
}

/// Everything goes but the account of the bootstrap server and the device.
#[test]
fn everything_may_be_deleted() {
    let mut harness = bootstrapping_with_server();
    assert_eq!(harness.delete("/"), Code::DELETED);
    let links = harness.request(Ask::get("/").accept(lapwing_coap::ContentFormat::LINK_FORMAT));
    assert_eq!(
        links.text(),
        "</>;lwm2m=1.1,</0>;ver=1.1,</0/1>,</1>;ver=1.1,</3>;ver=1.2,</3/0>,</4>;ver=1.2,</5>,</3441>"
    );
    harness.put_account(0, "coap://server.example", 1, 60);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    assert!(harness.objects.get("/3/0").is_some());
    assert!(["/4/0", "/5/0", "/3441/0"].iter().all(|instance| harness.objects.get(instance).is_none()));
    assert_eq!(harness.client.bootstrap_account().unwrap().uri.host(), "bootstrap.example");
}

#[test]
fn one_object_may_be_deleted() {
    let mut harness = bootstrapping_with_server();
    for (at, code) in [
        ("/0", Code::DELETED),
        ("/1", Code::DELETED),
        ("/3", Code::DELETED),
        ("/3441", Code::DELETED),
        ("/9", Code::NOT_FOUND),
        ("/3441/0", Code::NOT_FOUND),
        ("/3/0", Code::BAD_REQUEST),
        ("/0/1", Code::BAD_REQUEST),
        ("/1/0/1", Code::BAD_REQUEST),
    ] {
        assert_eq!(harness.delete(at), code, "{at}");
    }
    harness.put_account(5, "coap://server.example", 1, 60);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert!(harness.objects.get("/3/0").is_some() && harness.objects.get("/3441/0").is_none());
    assert!(harness.client.bootstrap_account().is_some());
}

/// A second account of a bootstrap server, written by mistake, is spared by `/` and `/0` but not by its name.
#[test]
fn a_stray_bootstrap_account_can_be_deleted() {
    let mut harness = bootstrapping_with_server();
    assert_eq!(harness.put_instance("/0/9", super::bootstrap_security("coap://stray.example")), Code::CHANGED);
    assert_eq!(harness.finish(), Code::NOT_ACCEPTABLE);
    assert_eq!(harness.delete("/0/9"), Code::DELETED);
    assert_eq!(harness.finish(), Code::CHANGED);
}
