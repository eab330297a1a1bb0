//! Server-initiated bootstrap (LwM2M Core 1.1 section 6.1.3.4; LightweightM2M-1.1-int-5): an Execute of the Bootstrap-Request Trigger.

use lapwing_coap::Code;
use lapwing_lwm2m::{
    account::ServerId,
    client::{Event, LwM2mVersion},
};

use super::{account, with_server};
use crate::harness::{Ask, Harness, seconds};

/// int-5: the answer comes first, and no hold-off time counts.
#[test]
fn int_5_a_server_has_the_bootstrap_server_asked() {
    let mut config = with_server();
    config.bootstrap = Some(account().hold_off(600));
    let mut harness = Harness::registered_with(config);
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/0/9")), Code::CHANGED);
    assert_eq!(harness.opens.len(), 1, "the answer settles first");
    harness.run_for(seconds(3));
    harness.begin_bootstrap();
    assert_eq!(harness.code(Ask::put("/1/0/1", lapwing_coap::ContentFormat::TEXT, b"90")), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    let update = harness.take();
    assert_eq!((update.to, update.query), (ServerId::Server(1), vec!["lt=90".to_owned()]));
}

/// The trigger is there only as long as there is a bootstrap server, and came with version 1.1 of the Server object.
#[test]
fn without_a_bootstrap_server_there_is_no_trigger() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/0/9")), Code::NOT_FOUND);
    let mut config = with_server();
    config.version = LwM2mVersion::V1_0;
    let mut harness = Harness::registered_with(config);
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/0/9")), Code::NOT_FOUND);
}

/// A server that goes on with its registration is none that is left: the bootstrap server is not asked again by itself.
#[test]
fn a_failure_leaves_the_registration_alone() {
    let mut config = with_server();
    config.servers[0].lifetime = 0;
    let mut harness = Harness::registered_with(config);
    harness.code(Ask::new(Code::POST, "/1/0/9"));
    harness.run_for(seconds(3));
    let request = harness.take_bootstrap_request();
    harness.answer(&request, Code::FORBIDDEN);
    assert!(matches!(harness.next_event(), Event::BootstrapFailed { retry_in: None, .. }));
    harness.run_for(seconds(100_000));
    assert_eq!(harness.opens.len(), 2);
    harness.speak_as(ServerId::Server(1));
    assert_eq!(harness.code(Ask::get("/3/0/0")), Code::CONTENT);
}
