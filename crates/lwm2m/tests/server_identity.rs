//! A client is the endpoint that its DTLS session shows, and no other (LwM2M core 1.1 section 6.2, transport 1.1 section 5.2.8.1: the
//! server compares the endpoint name with the identity of the session).

mod server_common;

use lapwing_coap::wire::Code;
use lapwing_dtls::{ClientConfig, Failure, alert::AlertDescription};
use lapwing_lwm2m::server::{
    Deregistration, Identity, Remote, Request, RequestError, SecurityError, SecurityInfo, ServerEvent,
};
use server_common::{
    Bench, Msg, address,
    secure::{Device, bench, psk},
};

fn read() -> Request {
    Request::Discover { path: "/3".parse().expect("a path") }
}

#[test]
fn who_shows_the_identity_of_its_endpoint_registers_updates_and_leaves() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    let held = bench.server.registration("a").expect("registered").clone();
    assert_eq!(held.identity, Some(Identity::Psk(b"a-id".as_slice().into())));
    assert!(held.is_secure() && matches!(held.remote, Remote::Secure(_)));
    assert_eq!(held.address, address(1));

    let id = bench.request(registration, read());
    device.pump(&mut bench);
    let [asked] = &device.take()[..] else { panic!("one request was expected") };
    device.send(&mut bench, &asked.answer(Code::NOT_FOUND));
    assert_eq!(bench.answer(id).map(|response| response.code), Ok(Code::NOT_FOUND));

    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    assert_eq!(device.deregister(&mut bench, registration), Code::DELETED);
    assert!(bench.server.registration("a").is_none());
    assert!(bench.server.log().all(|entry| entry.secure && entry.to_string().contains(" secure ")));
}

#[test]
fn a_register_for_another_endpoint_is_refused() {
    let mut bench = bench(&["a", "b"]);
    let mut device = Device::of(&mut bench, address(1), "a");
    for endpoint in ["b", "nobody", "a-id"] {
        let answer = device.try_register(&mut bench, endpoint);
        assert_eq!(answer.code, Code::BAD_REQUEST, "as {endpoint}");
        assert!(bench.server.registration(endpoint).is_none());
    }
    // It does not cost the one who is registered its registration.
    let mut other = Device::of(&mut bench, address(2), "b");
    let registration = other.register(&mut bench, "b");
    assert_eq!(device.try_register(&mut bench, "b").code, Code::BAD_REQUEST);
    assert_eq!(bench.server.registration("b").map(|held| held.id), Some(registration));
    assert_eq!(other.update(&mut bench, registration), Code::CHANGED);
}

#[test]
fn to_others_a_registration_does_not_exist() {
    let mut bench = bench(&["a", "b"]);
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    let mut other = Device::of(&mut bench, address(2), "b");
    assert_eq!(other.update(&mut bench, registration), Code::NOT_FOUND);
    assert_eq!(other.deregister(&mut bench, registration), Code::NOT_FOUND);
    let plain = bench.con(Code::POST, &format!("/rd/{registration}"));
    assert_eq!(bench.ask(address(1), &plain).code, Code::NOT_FOUND);
    let plain = bench.con(Code::DELETE, &format!("/rd/{registration}"));
    assert_eq!(bench.ask(address(1), &plain).code, Code::NOT_FOUND);
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
}

#[test]
fn a_registration_over_plain_coap_is_nobodys_over_dtls() {
    let mut bench = bench(&["a"]);
    let registration = bench.registered(address(9), "open");
    let mut device = Device::of(&mut bench, address(1), "a");
    assert_eq!(device.update(&mut bench, registration), Code::NOT_FOUND);
    assert_eq!(device.deregister(&mut bench, registration), Code::NOT_FOUND);
    // No entry says that it has to come over DTLS: over plain CoAP all goes on.
    let request = bench.con(Code::POST, &format!("/rd/{registration}"));
    assert_eq!(bench.ask(address(9), &request).code, Code::CHANGED);
}

fn register_over_plain_coap(bench: &mut Bench, endpoint: &str) -> Msg {
    let request = bench.con(Code::POST, &format!("/rd?ep={endpoint}&lt=300&lwm2m=1.1")).payload(server_common::LINKS);
    bench.ask(address(9), &request)
}

#[test]
fn an_endpoint_with_a_key_may_not_come_over_plain_coap() {
    let mut bench = bench(&["a"]);
    assert_eq!(register_over_plain_coap(&mut bench, "a").code, Code::BAD_REQUEST);
    assert_eq!(register_over_plain_coap(&mut bench, "open").code, Code::CREATED);
    // From now on that one, too: what it registered before cannot be updated any more.
    let held = bench.server.registration("open").expect("registered").id;
    bench.server.set_security(bench.now(), "open", Some(SecurityInfo::Psk(psk("open-id")))).expect("a new identity");
    let update = bench.con(Code::POST, &format!("/rd/{held}"));
    assert_eq!(bench.ask(address(9), &update).code, Code::NOT_FOUND);
    assert_eq!(register_over_plain_coap(&mut bench, "open").code, Code::BAD_REQUEST);
    // Nor does who has shown its identity take that one over: it was nobody's.
    let mut device = Device::of(&mut bench, address(1), "open");
    assert_eq!(device.update(&mut bench, held), Code::NOT_FOUND);
    assert_eq!(device.deregister(&mut bench, held), Code::NOT_FOUND);
    device.register(&mut bench, "open");
    assert!(bench.server.registration("open").is_some_and(|registration| registration.is_secure()));
}

#[test]
fn without_its_entry_an_endpoint_comes_over_plain_coap_and_not_over_dtls() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    let id = bench.request(registration, read());
    bench.server.set_security(bench.now(), "a", None).expect("removed");
    device.pump(&mut bench);
    // The session has been closed, and what was under way has failed.
    assert_eq!(device.closed, [lapwing_dtls::Closed::CloseNotify]);
    assert_eq!(bench.answer(id), Err(RequestError::NotConnected));
    assert!(bench.server.registration("a").is_some(), "until its lifetime is over");
    let mut again = Device::new(address(2), ClientConfig::psk(psk("a-id")));
    again.connect(&mut bench);
    bench.run(server_common::seconds(1));
    assert!(again.established.is_empty());
    assert_eq!(register_over_plain_coap(&mut bench, "a").code, Code::CREATED);
    let replaced =
        |event: &ServerEvent| matches!(event, ServerEvent::Deregistered { why: Deregistration::Replaced, .. });
    assert!(bench.events().iter().any(replaced));
}

#[test]
fn another_key_ends_the_session_that_the_old_one_established() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    let changed = SecurityInfo::Psk(lapwing_dtls::credentials::Psk::new("a-id", *b"another key than").expect("a key"));
    bench.server.set_security(bench.now(), "a", Some(changed.clone())).expect("its own identity");
    device.pump(&mut bench);
    assert_eq!(device.closed.len(), 1);
    let mut old = Device::new(address(2), ClientConfig::psk(psk("a-id")));
    old.connect(&mut bench);
    assert!(old.established.is_empty());
    let SecurityInfo::Psk(key) = changed.clone() else { unreachable!() };
    let mut new = Device::new(address(3), ClientConfig::psk(key));
    new.connect(&mut bench);
    assert_eq!(new.established.len(), 1);
    assert_eq!(new.update(&mut bench, registration), Code::CHANGED);
    // The same again changes nothing, and disturbs nobody.
    bench.server.set_security(bench.now(), "a", Some(changed)).expect("its own identity");
    assert_eq!(new.update(&mut bench, registration), Code::CHANGED);
    assert!(new.closed.is_empty());
}

#[test]
fn another_identity_of_the_same_endpoint_has_to_register_anew() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, address(1), "a");
    let registration = device.register(&mut bench, "a");
    bench.server.set_security(bench.now(), "a", Some(SecurityInfo::Psk(psk("new-id")))).expect("a new identity");
    let mut new = Device::new(address(1), ClientConfig::psk(psk("new-id")));
    new.connect(&mut bench);
    assert_eq!(new.update(&mut bench, registration), Code::NOT_FOUND);
    new.register(&mut bench, "a");
}

#[test]
fn an_identity_has_one_endpoint() {
    let mut bench = bench(&["a", "b"]);
    let taken = bench.server.set_security(bench.now(), "c", Some(SecurityInfo::Psk(psk("a-id"))));
    assert_eq!(
        taken,
        Err(SecurityError::IdentityTaken { identity: Identity::Psk(b"a-id".as_slice().into()), endpoint: "a".into() })
    );
    let endpoints: Vec<&str> = bench.server.securities().map(|(endpoint, _)| endpoint).collect();
    assert_eq!(endpoints, ["a", "b"]);
    assert_eq!(bench.server.set_security(bench.now(), "a", None).map(|previous| previous.is_some()), Ok(true));
    assert_eq!(bench.server.set_security(bench.now(), "c", Some(SecurityInfo::Psk(psk("a-id")))), Ok(None));
    assert!(bench.server.security("a").is_none());
    assert!(!format!("{:?}", bench.server.security("c")).contains("97, 32, 107"), "a key is shown");
}

#[test]
fn an_unknown_identity_and_a_wrong_key_are_told_by_an_alert() {
    let mut bench = bench(&["a"]);
    let mut unknown = Device::new(address(1), ClientConfig::psk(psk("b-id")));
    unknown.connect(&mut bench);
    let mut wrong = Device::new(
        address(2),
        ClientConfig::psk(lapwing_dtls::credentials::Psk::new("a-id", *b"a wrong key here").expect("a key")),
    );
    wrong.connect(&mut bench);
    for (device, alert) in
        [(&mut unknown, AlertDescription::UNKNOWN_PSK_IDENTITY), (&mut wrong, AlertDescription::BAD_RECORD_MAC)]
    {
        // What is not authentic is believed only when nothing better has come before the next time-out.
        bench.run(server_common::seconds(1));
        device.dtls.handle_timeout(bench.now);
        device.pump(&mut bench);
        assert_eq!(device.failed, [Failure::Alert(alert)]);
    }
    assert_eq!(bench.server.strangers(), 0, "no remote without an association");
}
