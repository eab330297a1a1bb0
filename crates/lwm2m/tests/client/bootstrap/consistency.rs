//! Bootstrap and configuration consistency (LwM2M Core 1.1 section 6.1.6; LightweightM2M-1.1-int-9): a Finish with which the client
//! could not work is refused with 4.06, and the session stays open for corrections.

use lapwing_coap::Code;
use lapwing_lwm2m::{
    account::Inconsistency,
    client::Event,
    model::{Instance, Resource},
};

use super::{bootstrap_security, config, psk, security, server};
use crate::harness::{Ask, Harness};

const TEXT: lapwing_coap::ContentFormat = lapwing_coap::ContentFormat::TEXT;

/// int-9: only the Disable Timeout (1/x/5) is written; then what is missing.
#[test]
fn int_9_a_refused_finish_leaves_the_session_open() {
    let mut harness = Harness::bootstrapping(config());
    assert_eq!(harness.code(Ask::put("/1/0/5", TEXT, b"86400")), Code::CHANGED);
    let (code, text) = harness.finish_with_text();
    assert_eq!((code, text.as_str()), (Code::NOT_ACCEPTABLE, "/1/0 has no Short Server ID from 1 to 65534"));
    assert_eq!(harness.next_event(), Event::BootstrapInconsistent(Inconsistency::Ssid(1, 0)));
    assert!(harness.saved_accounts().is_none());
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.finish(), Code::NOT_ACCEPTABLE);
    harness.next_event();
    assert_eq!(harness.delete("/1/0"), Code::DELETED);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    assert_eq!(harness.client.accounts().count(), 1);
}

/// An incremental bootstrap: on a client that has an account, one resource is enough (section 6.1.3.3, step 1).
#[test]
fn one_resource_of_an_account_may_be_written_alone() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.finish(), Code::CHANGED);
    let mut harness = harness.restarted(config());
    assert_eq!(harness.next_event(), Event::AccountsUsed { stored: true });
    harness.declare();
    harness.sent.clear();
    harness.command(lapwing_lwm2m::client::Command::Bootstrap);
    harness.begin_bootstrap();
    assert_eq!(harness.code(Ask::put("/1/1/5", TEXT, b"60")), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    let account = harness.client.accounts().next().unwrap();
    assert_eq!((account.disable_timeout, account.lifetime), (Some(60), 300));
}

/// What is wrong, in a session of its own each, and what the bootstrap server is told.
#[test]
fn says_what_is_wrong() {
    let good = security("coap://server.example", 7);
    let with = |instance: &Instance, id: u16, value: Resource| {
        let mut instance = instance.clone();
        instance.insert(id, value);
        instance
    };
    let without = |instance: Instance, id: u16| {
        let mut instance = instance;
        instance.remove(&id);
        instance
    };
    let secret = psk("coaps://server.example", 7, b"id", b"key");
    for (security, server, expected) in [
        (with(&good, 0, "http://server".into()), server(7, 60), "/0/1/0: unknown scheme 'http'"),
        (with(&good, 0, "coap+tcp://server".into()), server(7, 60), "/0/1/0: 'coap+tcp' is not built yet"),
        (without(good.clone(), 0), server(7, 60), "/0/1/0 is missing"),
        (without(good.clone(), 1), server(7, 60), "/0/1/1 is missing"),
        (without(good.clone(), 2), server(7, 60), "/0/1: the Security Mode (2) is missing"),
        (with(&good, 2, 4.into()), server(7, 60), "/0/1: the Security Mode 4 (EST) is unsupported"),
        (with(&good, 2, 5.into()), server(7, 60), "/0/1: the Security Mode (2) is missing, or none of 0 to 4"),
        (with(&secret, 0, "coap://server".into()), server(7, 60), "/0/1: NoSec goes with coap"),
        (with(&good, 0, "coaps://server".into()), server(7, 60), "/0/1: NoSec goes with coap"),
        (without(secret.clone(), 5), server(7, 60), "/0/1: the pre-shared key is empty"),
        (with(&secret, 2, 1.into()), server(7, 60), "/0/1: the Secret Key (5) is not a private key"),
        (with(&secret, 2, 2.into()), server(7, 60), "/0/1: the Secret Key (5) is not a private key"),
        (with(&secret, 16, Resource::multiple([(0, 5_u64)])), server(7, 60), "/0/1: none of the suites (16)"),
        (without(good.clone(), 10), server(7, 60), "/0/1 has no Short Server ID"),
        (with(&good, 10, 0.into()), server(7, 60), "/0/1 has no Short Server ID"),
        (with(&good, 10, 65_535.into()), server(7, 60), "/0/1 has no Short Server ID"),
        (good.clone(), server(8, 60), "Short Server ID 8 is in one of the objects 0 and 1 only"),
        (good.clone(), Instance::new(), "/1/1 has no Short Server ID"),
        (good.clone(), without(server(7, 60), 1), "/1/1/1 is missing"),
        (good.clone(), without(server(7, 60), 6), "/1/1/6 is missing"),
        (good.clone(), without(server(7, 60), 7), "/1/1/7 is missing"),
        (good.clone(), with(&server(7, 60), 1, (-1).into()), "/1/1/1 has a value that it cannot have"),
        (good.clone(), with(&server(7, 60), 7, "T".into()), "/1/1/7 lacks U"),
        (bootstrap_security("coap://second.example"), server(7, 60), "/0/0 and /0/1 are both the bootstrap server's"),
    ] {
        let mut harness = Harness::bootstrapping(config());
        assert_eq!(harness.put_instance("/0/1", security), Code::CHANGED);
        assert_eq!(harness.put_instance("/1/1", server), Code::CHANGED);
        let (code, text) = harness.finish_with_text();
        assert_eq!(code, Code::NOT_ACCEPTABLE);
        assert!(text.starts_with(expected), "{text}, not {expected}");
        assert!(matches!(harness.next_event(), Event::BootstrapInconsistent(_)));
        assert_eq!(harness.client.bootstrap_account(), Some(&super::account()), "the old one is the only one active");
    }
}

#[test]
fn a_short_server_id_names_one_server() {
    for (at, instance, text) in [
        ("/0/2", security("coap://second.example", 7), "two instances of object 0 have the Short Server ID 7"),
        ("/1/2", server(7, 60), "two instances of object 1 have the Short Server ID 7"),
        ("/0/2", security("coap://second.example", 8), "Short Server ID 8 is in one of the objects 0 and 1 only"),
    ] {
        let mut harness = Harness::bootstrapping(config());
        harness.put_account(1, "coap://server.example", 7, 300);
        assert_eq!(harness.put_instance(at, instance), Code::CHANGED);
        assert_eq!(harness.finish_with_text(), (Code::NOT_ACCEPTABLE, text.to_owned()));
    }
}

/// The example of section 6.1.6: rights for several servers, which this client does not tell apart. With one server there is nothing
/// to tell apart, and what was written is kept for the bootstrap server.
#[test]
fn access_control_is_refused_for_several_servers() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    let rights = Instance::from([(0, 3.into()), (1, 0.into()), (2, Resource::multiple([(7, 15)])), (3, 7.into())]);
    assert_eq!(harness.put_instance("/2/0", rights), Code::CHANGED);
    harness.put_account(2, "coap://second.example", 8, 300);
    let (code, text) = harness.finish_with_text();
    assert_eq!(
        (code, text.as_str()),
        (Code::NOT_ACCEPTABLE, "access control (object 2) for several servers is not supported")
    );
    assert_eq!(harness.delete("/0/2"), Code::DELETED);
    assert_eq!(harness.delete("/1/2"), Code::DELETED);
    assert_eq!(harness.finish(), Code::CHANGED);
}
