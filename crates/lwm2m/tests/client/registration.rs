//! Registration interface (LwM2M Core 1.1 section 6.2; test cases LightweightM2M-1.1-int-101 to 105 and 107).

use std::time::Duration;

use lapwing_coap::{Code, ContentFormat, MessageType};
use lapwing_lwm2m::{
    account::{NEVER_LAPSES, Retry, ServerAccount, UriError},
    client::{Client, Command, Config, ConfigError, Event, Failure, FlowError, FlowEvent, LwM2mVersion, Status},
};

use crate::harness::{Ask, Harness, SEED, seconds};

fn account() -> ServerAccount {
    ServerAccount::new(1, "coap://server.example".parse().unwrap()).lifetime(60)
}

/// int-101; section 6.2.1.
#[test]
fn registers_with_what_the_standard_asks_for() {
    let mut harness = Harness::new(Harness::config());
    assert_eq!(harness.drive(), None, "before anything is declared nothing happens");
    harness.declare();
    assert_eq!((harness.opens[0].host(), harness.opens[0].port()), ("server.example", 5683));
    let register = harness.take();
    assert_eq!(register.code, Code::POST);
    assert_eq!(register.path, ["rd"]);
    assert_eq!(register.query, ["ep=gw", "lt=60", "lwm2m=1.1", "b=U"]);
    assert_eq!(register.format, Some(ContentFormat::LINK_FORMAT));
    assert_eq!(
        register.text(),
        "</>;rt=\"oma.lwm2m\";ct=\"0 42 11542\",</1>;ver=1.1,</1/0>,</3>;ver=1.2,</3/0>,</4>;ver=1.2,</4/0>,</5/0>,</3441/0>"
    );
    assert_eq!(harness.client.status(1), Some(Status::Registering));
    harness.run_for(Duration::from_millis(300));
    harness.answer_created(&register, &["rd", "x", "7"]);
    assert_eq!(harness.next_event(), Event::Registered { server: 1, after: Duration::from_millis(300) });
    assert_eq!(harness.client.status(1), Some(Status::Registered));
    harness.run_for(seconds(30));
    assert_eq!(harness.take().path, ["rd", "x", "7"], "an Update goes to the whole location");
}

/// LwM2M 1.0 section 5.3.1: objects 1, 3 and 4 in version 1.0, and `ver` in quotes.
#[test]
fn registers_with_lwm2m_1_0() {
    let mut config = Harness::config();
    config.version = LwM2mVersion::V1_0;
    let mut harness = Harness::new(config);
    harness.declare();
    let register = harness.take();
    assert_eq!(register.query, ["ep=gw", "lt=60", "lwm2m=1.0", "b=U"]);
    assert_eq!(register.text(), "</>;rt=\"oma.lwm2m\";ct=\"0 42 11542\",</1/0>,</3/0>,</4/0>,</5/0>,</3441/0>");
    harness.answer_created(&register, &["rd", "a"]);
    // Resource 11 came with version 1.1 of the Connectivity Monitoring object.
    assert_eq!(harness.code(Ask::get("/4/0/11")), Code::NOT_FOUND);
    let connectivity = harness.request(Ask::get("/4/0"));
    assert_eq!(connectivity.payload, b"\xc1\x00\x29\x88\x04\x0b\x48\x00\x0810.0.0.1");
    let links = harness.request(Ask::get("/4/0").accept(ContentFormat::LINK_FORMAT));
    assert_eq!(links.text(), "</4/0>,</4/0/0>,</4/0/4>;dim=1");
}

/// int-102: at half of the lifetime.
#[test]
fn updates_at_half_of_the_lifetime() {
    let mut harness = Harness::registered();
    for _ in 0..3 {
        harness.run_for(Duration::from_millis(29_999));
        harness.expect_silence();
        harness.run_for(Duration::from_millis(1));
        let update = harness.take();
        assert_eq!((update.code, &update.path[..]), (Code::POST, &["rd".to_owned(), "a".to_owned()][..]));
        assert_eq!((update.query.len(), update.payload.len()), (0, 0), "an Update names only what is new");
        harness.answer(&update, Code::CHANGED);
        assert_eq!(harness.next_event(), Event::Updated { server: 1 });
    }
}

#[test]
fn a_lifetime_of_zero_never_lapses() {
    let mut config = Harness::config();
    config.servers[0].lifetime = NEVER_LAPSES;
    let mut harness = Harness::registered_with(config);
    harness.run_for(seconds(10 * 365 * 86_400));
    harness.expect_silence();
}

/// int-103.
#[test]
fn deregisters() {
    let mut harness = Harness::registered();
    harness.command(Command::Deregister);
    let deregister = harness.take();
    assert_eq!((deregister.code, &deregister.path[..]), (Code::DELETE, &["rd".to_owned(), "a".to_owned()][..]));
    harness.answer(&deregister, Code::DELETED);
    assert_eq!(harness.next_event(), Event::Deregistered { server: 1, back_in: None });
    assert_eq!(harness.next_event(), Event::Stopped);
    assert_eq!((harness.flow, harness.client.status(1)), (None, Some(Status::Stopped)));
    harness.run_for(seconds(100_000));
    harness.expect_silence();
    harness.command(Command::NetworkChanged);
    harness.expect_silence();
    harness.command(Command::Register);
    harness.accept_registration();
}

#[test]
fn a_server_that_is_gone_does_not_hold_up_the_end() {
    let mut harness = Harness::registered();
    harness.command(Command::Deregister);
    harness.run_for(seconds(93));
    assert_eq!(harness.next_event(), Event::Deregistered { server: 1, back_in: None });
    assert_eq!(harness.next_event(), Event::Stopped);
}

#[test]
fn stops_at_once_when_it_is_not_registered() {
    let mut harness = Harness::new(Harness::config());
    harness.network = Err(FlowError::Unreachable);
    harness.declare();
    harness.next_event();
    harness.command(Command::Deregister);
    assert_eq!(harness.next_event(), Event::Stopped);
    assert_eq!(harness.flow, None);
    harness.run_for(seconds(10_000));
    assert_eq!(harness.opens.len(), 1);
}

/// The server may have the registration already, and would keep it until its lifetime ends.
#[test]
fn leaves_a_server_that_is_still_registering_it() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let register = harness.take();
    harness.command(Command::Deregister);
    harness.expect_silence();
    harness.answer_created(&register, &["rd", "a"]);
    let deregister = harness.take();
    assert_eq!((deregister.code, &deregister.path[..]), (Code::DELETE, &["rd".to_owned(), "a".to_owned()][..]));
    harness.answer(&deregister, Code::DELETED);
    assert_eq!(harness.next_event(), Event::Deregistered { server: 1, back_in: None });
    assert_eq!(harness.next_event(), Event::Stopped);
}

#[test]
fn leaves_a_network_that_changes_while_it_stops() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    harness.take();
    harness.command(Command::Deregister);
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Moved);
    assert_eq!(harness.next_event(), Event::Stopped);
    assert_eq!((harness.opens.len(), harness.flow), (1, None));
}

/// int-104: the answer first, then the Update.
#[test]
fn updates_when_it_is_triggered() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/0/8")), Code::CHANGED);
    let update = harness.take();
    assert_eq!((update.code, &update.path[..]), (Code::POST, &["rd".to_owned(), "a".to_owned()][..]));
    harness.answer(&update, Code::CHANGED);
    assert_eq!(harness.next_event(), Event::Updated { server: 1 });
}

/// int-105: 4.04 on an Update.
#[test]
fn registers_anew_with_a_server_that_forgot_it() {
    let mut harness = Harness::registered();
    harness.command(Command::Update(None));
    let update = harness.take();
    harness.answer(&update, Code::NOT_FOUND);
    assert!(matches!(harness.next_event(), Event::ServerLost { server: 1, .. }));
    assert_eq!(harness.opens.len(), 2, "the name is resolved anew");
    harness.accept_registration();
}

/// int-107: a new lifetime is told by an Update.
#[test]
fn tells_a_new_lifetime() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::put("/1/0/1", ContentFormat::TEXT, b"200")), Code::CHANGED);
    let update = harness.take();
    assert_eq!((&update.query[..], update.payload.len()), (&["lt=200".to_owned()][..], 0));
    harness.answer(&update, Code::CHANGED);
    harness.next_event();
    harness.run_for(Duration::from_millis(99_999));
    harness.expect_silence();
    harness.run_for(Duration::from_millis(1));
    assert_eq!(harness.take().query.len(), 0, "the lifetime has been told");
}

/// Section 6.2.2: the list of objects and instances is told when it changes.
#[test]
fn tells_new_instances() {
    let mut harness = Harness::registered();
    harness.objects.remove("/3441/0");
    harness.declare();
    let update = harness.take();
    assert_eq!(update.format, Some(ContentFormat::LINK_FORMAT));
    assert!(update.text().ends_with(",</3441>"), "{}", update.text());
    // What changes while an Update is under way is told by the next one.
    harness.objects.remove("/5/0");
    harness.declare();
    harness.expect_silence();
    harness.answer(&update, Code::CHANGED);
    harness.next_event();
    let update = harness.take();
    assert!(update.text().ends_with(",</5>,</3441>"), "{}", update.text());
    harness.answer(&update, Code::CHANGED);
    harness.next_event();
    harness.declare();
    harness.expect_silence();
}

#[test]
fn tells_what_changed_while_it_registered() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let register = harness.take();
    harness.objects.remove("/3441/0");
    harness.declare();
    harness.answer_created(&register, &["rd", "a"]);
    assert!(harness.take().text().ends_with(",</3441>"));
}

/// Test case LightweightM2M-1.0-int-555: Disable, and the Disable Timeout.
#[test]
fn is_disabled_for_a_while() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::put("/1/0/5", ContentFormat::TEXT, b"600")), Code::CHANGED);
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/0/4")), Code::CHANGED);
    harness.expect_silence();
    // The Execute's answer settles first: it may have to be repeated.
    harness.run_for(seconds(3));
    let deregister = harness.take();
    assert_eq!(deregister.code, Code::DELETE);
    harness.answer(&deregister, Code::DELETED);
    assert_eq!(harness.next_event(), Event::Deregistered { server: 1, back_in: Some(seconds(600)) });
    assert_eq!(harness.client.status(1), Some(Status::Disabled));
    harness.command(Command::NetworkChanged);
    harness.run_for(Duration::from_millis(599_999));
    harness.expect_silence();
    assert_eq!(harness.opens.len(), 1);
    harness.run_for(Duration::from_millis(1));
    harness.accept_registration();
}

#[test]
fn is_disabled_for_a_day_where_no_timeout_is_set() {
    let mut harness = Harness::registered();
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/0/4")), Code::CHANGED);
    // The Execute's answer settles first: it may have to be repeated.
    harness.run_for(seconds(3));
    let deregister = harness.take();
    harness.answer(&deregister, Code::DELETED);
    assert_eq!(harness.next_event(), Event::Deregistered { server: 1, back_in: Some(seconds(86_400)) });
}

/// The server would not know yet what it asks; an unknown sender must cost nothing.
#[test]
fn ignores_requests_before_it_is_registered() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let register = harness.take();
    harness.ask(Ask::get("/3/0/0"));
    harness.expect_silence();
    harness.answer_created(&register, &["rd", "a"]);
    harness.next_event();
    assert_eq!(harness.code(Ask::get("/3/0/0")), Code::CONTENT);
}

#[test]
fn a_separate_answer_registers_too() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let register = harness.take();
    harness.acknowledge(&register);
    harness.run_for(seconds(20));
    harness.expect_silence();
    harness.answer_created_separately(&register, &["rd", "a"]);
    assert_eq!(harness.next_event(), Event::Registered { server: 1, after: seconds(20) });
    assert_eq!(harness.take().kind, MessageType::Ack);
}

#[test]
fn an_answer_that_comes_too_late_registers_nothing() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let register = harness.take();
    harness.run_until(register.at + seconds(94));
    assert!(matches!(harness.next_event(), Event::RegistrationFailed { reason: Failure::TimedOut, .. }));
    harness.run_for(seconds(2));
    harness.sent.clear();
    harness.answer_created(&register, &["rd", "late"]);
    assert_eq!(harness.client.status(1), Some(Status::Registering));
    assert_eq!(harness.events.pop_front(), None);
}

#[test]
fn a_created_without_location_is_no_registration() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let register = harness.take();
    harness.answer(&register, Code::CREATED);
    assert!(matches!(harness.next_event(), Event::RegistrationFailed { reason: Failure::Protocol, .. }));
}

#[test]
fn several_servers_have_a_registration_each() {
    let second = ServerAccount::new(2, "coap://[::1]:7000".parse().unwrap()).retry(Retry::UNSET);
    let mut client =
        Client::new(seconds(0).into(), Config::new("gw", vec![account(), second]), SEED, Default::default()).unwrap();
    client.declare(seconds(0).into(), crate::objects::Objects::gateway().tree());
    let (mut buffer, mut registers) = (Vec::new(), Vec::new());
    loop {
        match client.poll_output(&mut buffer) {
            lapwing_lwm2m::client::Output::Wait(..) => break,
            lapwing_lwm2m::client::Output::Open(flow, _) => {
                client.handle_flow(seconds(0).into(), flow, FlowEvent::Opened);
            }
            lapwing_lwm2m::client::Output::Transmit(flow, datagram) => registers.push((flow, datagram.to_vec())),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(registers.len(), 2);
    assert_ne!(registers[0].0, registers[1].0);
    assert!(registers.iter().all(|(_, datagram)| datagram.windows(16).any(|bytes| bytes == b"</1/0>,</1/1>,</")));
}

#[test]
fn refuses_a_configuration_that_makes_no_sense() {
    for (endpoint, ssids) in [("", vec![1]), ("a\nb", vec![1]), (&*"x".repeat(253), vec![1])] {
        let servers = ssids.into_iter().map(|ssid| ServerAccount::new(ssid, "coap://h".parse().unwrap())).collect();
        let config = Config::new(endpoint, servers);
        assert_eq!(config.validate(), Err(ConfigError::Endpoint(endpoint.into())));
    }
    for (ssids, error) in [
        ([0, 1], ConfigError::Ssid(0)),
        ([1, 65_535], ConfigError::Ssid(65_535)),
        ([7, 7], ConfigError::DuplicateSsid(7)),
    ] {
        let servers = ssids.map(|ssid| ServerAccount::new(ssid, "coap://h".parse().unwrap())).into();
        assert_eq!(Config::new("gw", servers).validate(), Err(error));
    }
    let text = "coaps+tcp://h".parse::<lapwing_lwm2m::account::ServerUri>().unwrap_err();
    assert_eq!(text, UriError::NotBuilt("coaps+tcp".into()));
    assert_eq!(
        text.to_string(),
        "'coaps+tcp' is not built yet: only coap and coaps (CoAP over UDP, plain and over DTLS) are"
    );
}
