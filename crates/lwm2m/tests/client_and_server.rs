//! Both engines over a perfect cable: what one says, the other understands.

mod common;

use common::{Town, path, seconds};
use lapwing_coap::{ContentFormat, wire::Code};
use lapwing_lwm2m::{
    attributes::Changes,
    client::{Command, LwM2mVersion},
    definitions::test_object_v1_0::{INTEGER_VALUE, OBJECT_ID as TEST_OBJECT, STRING_VALUE},
    model::{Instance, Node, Path, Resource, Value, Version},
    server::{Content, Deregistration, ObservationEnd, Request, ServerEvent, WriteMode},
};
use sim::{Cable, World};

const LEVEL: &str = "/3/0/9";

fn town() -> Town {
    let mut town = Town::new(World::seeded(7).cable(Cable::new().latency(seconds(1) / 50)));
    town.add("gw", |_| ());
    town.run(seconds(1));
    assert!(town.registration(0).is_some(), "a client registers at once");
    town
}

fn read(at: &str, format: Option<ContentFormat>) -> Request {
    Request::Read { path: path(at), format }
}

fn integer(value: i64) -> Content {
    Content::Node(Node::Resource(Resource::Single(Value::Integer(value))))
}

/// What was notified of [`LEVEL`], in order.
fn levels(town: &mut Town) -> Vec<Content> {
    let events = std::mem::take(&mut town.events);
    let levels = events.into_iter().filter_map(|(_, event)| match event {
        ServerEvent::Notification { path: at, response, .. } if at == path(LEVEL) => Some(response.content.clone()),
        _ => None,
    });
    levels.collect()
}

#[test]
fn a_registration_is_understood_as_it_was_meant() {
    for (version, lwm2m, device) in
        [(LwM2mVersion::V1_0, Version::V1_0, Version::V1_0), (LwM2mVersion::V1_1, Version::V1_1, Version::V1_2)]
    {
        let mut town = Town::new(World::seeded(1));
        town.add("urn:dev:gw 1", |config| config.version = version);
        town.run(seconds(1));
        let registration = town.registration(0).expect("registered");
        assert_eq!((&*registration.endpoint, registration.version), ("urn:dev:gw 1", lwm2m));
        assert_eq!((registration.lifetime, registration.root.as_str()), (300, "/"));
        let offered = registration.instances().collect::<Vec<_>>();
        assert_eq!(offered, [1, 3, TEST_OBJECT].map(|object| Path::object(object).instance(0)));
        assert_eq!(registration.version_of(3), Some(device), "{version:?}");
    }
}

#[test]
fn updates_keep_a_registration_for_days() {
    let mut town = town();
    let id = town.registration(0).expect("registered").id;
    town.run(seconds(3 * 86_400));
    assert_eq!(town.registration(0).map(|registration| registration.id), Some(id));
    let updates = town.events.iter().filter(|(_, event)| matches!(event, ServerEvent::Updated { .. })).count();
    assert!((1_500..2_000).contains(&updates), "one at half of the lifetime: {updates}");
}

#[test]
fn every_level_is_read_in_every_format() {
    let mut town = town();
    for at in ["/1", "/1/0", "/1/0/1", "/3", "/3/0", "/3/0/0", "/3/0/6", "/3/0/6/1", "/3/0/9", "/3441/0"] {
        for format in [None, Some(ContentFormat::TLV)] {
            let response = town.exchange(0, read(at, format)).expect("an answer");
            assert_eq!(response.code, Code::CONTENT, "{at} {format:?}");
            let Content::Node(node) = &response.content else { panic!("{at} {format:?}: {response:?}") };
            assert_eq!(node.level(), path(at).level());
            if let Some(expected) = town.gateways[0].get(&path(at)) {
                assert_eq!(*node, expected, "{at} {format:?}");
            }
        }
    }
    let text = town.exchange(0, read("/3/0/0", Some(ContentFormat::TEXT))).expect("an answer");
    assert_eq!(text.payload, b"Lapwing");
    let refused = town.exchange(0, read("/3/0", Some(ContentFormat::TEXT))).expect("an answer");
    assert_eq!(refused.code, Code::NOT_ACCEPTABLE);
    for (at, code) in [("/0", Code::UNAUTHORIZED), ("/3/0/22", Code::NOT_FOUND), ("/3/1", Code::NOT_FOUND)] {
        assert_eq!(town.exchange(0, read(at, None)).expect("an answer").code, code, "{at}");
    }
}

#[test]
fn writes_executes_creates_and_deletes_arrive() {
    let mut town = town();
    let string = |text: &str| Resource::Single(Value::String(text.into()));
    let write = |at: &str, mode, format, node| Request::Write { path: path(at), mode, format, node };
    for (mode, format) in [(WriteMode::Replace, None), (WriteMode::Replace, Some(ContentFormat::TEXT))] {
        let text = format!("{mode:?} {format:?}");
        let request = write("/3441/0/110", mode, format, Node::Resource(string(&text)));
        assert_eq!(town.exchange(0, request).map(|response| response.code), Ok(Code::CHANGED));
        assert_eq!(town.gateways[0].get(&path("/3441/0/110")), Some(Node::Resource(string(&text))));
    }
    let only: Instance = [(STRING_VALUE, string("only"))].into();
    let request = write("/3441/0", WriteMode::Update, None, Node::Instance(only.clone()));
    assert_eq!(town.exchange(0, request).map(|response| response.code), Ok(Code::CHANGED));
    assert!(town.gateways[0].get(&Path::object(TEST_OBJECT).instance(0).resource(INTEGER_VALUE)).is_some());
    let request = write("/3441/0", WriteMode::Replace, None, Node::Instance(only.clone()));
    assert_eq!(town.exchange(0, request).map(|response| response.code), Ok(Code::CHANGED));
    assert_eq!(town.gateways[0].get(&path("/3441/0")), Some(Node::Instance(only.clone())));

    let execute = Request::Execute { path: path("/3/0/4"), arguments: "0='now',3".into() };
    assert_eq!(town.exchange(0, execute).map(|response| response.code), Ok(Code::CHANGED));
    assert_eq!(town.gateways[0].executed, [(path("/3/0/4"), "0='now',3".to_owned())]);

    for (instance, expected) in [(None, "/3441/1"), (Some(7), "/3441/7")] {
        let create = Request::Create { object: TEST_OBJECT, instance, format: None, resources: only.clone() };
        let response = town.exchange(0, create).expect("an answer");
        assert_eq!(response.code, Code::CREATED);
        assert!(response.location.is_none_or(|location| location == path(expected)));
        assert_eq!(town.gateways[0].get(&path(expected)), Some(Node::Instance(only.clone())));
    }
    town.run(seconds(5));
    let offered = &town.registration(0).expect("registered").objects[&TEST_OBJECT];
    assert_eq!(offered.instances.iter().copied().collect::<Vec<_>>(), [0, 1, 7], "an Update told of the new ones");
    let delete = Request::Delete { path: path("/3441/7") };
    assert_eq!(town.exchange(0, delete).map(|response| response.code), Ok(Code::DELETED));
    assert_eq!(town.gateways[0].get(&path("/3441/7")), None);
}

#[test]
fn attributes_are_written_and_discovered() {
    let mut town = town();
    let changes = Changes::parse(["pmin=10", "pmax=60", "gt=50"]).expect("attributes");
    let write = Request::WriteAttributes { path: path(LEVEL), changes };
    assert_eq!(town.exchange(0, write).map(|response| response.code), Ok(Code::CHANGED));
    let response = town.exchange(0, Request::Discover { path: path("/3/0") }).expect("an answer");
    let Content::Links(links) = &response.content else { panic!("{response:?}") };
    let line = |at: &str| links.iter().find(|link| link.target == at).map(ToString::to_string);
    assert_eq!(line("/3/0/6").as_deref(), Some("</3/0/6>;dim=2"));
    assert_eq!(line(LEVEL).as_deref(), Some("</3/0/9>;pmin=10;pmax=60;gt=50"));
}

#[test]
fn an_observed_value_is_followed_and_both_cancels_end_it() {
    for active in [true, false] {
        let mut town = town();
        let observe = Request::Observe { path: path(LEVEL), format: None };
        assert_eq!(town.exchange(0, observe).expect("an answer").content, integer(80));
        assert_eq!(town.gateways[0].observed, [path(LEVEL)]);
        for level in [79, 78, 77] {
            town.set(0, path(LEVEL), level);
            town.run(seconds(5));
        }
        assert_eq!(levels(&mut town), [79, 78, 77].map(integer));
        if active {
            let cancel = Request::CancelObservation { path: path(LEVEL) };
            assert_eq!(town.exchange(0, cancel).expect("an answer").content, integer(77));
        } else {
            assert!(town.server.forget_observation(town.now(), "gw", path(LEVEL)));
            town.pump_server();
            town.set(0, path(LEVEL), 76);
            town.run(seconds(5));
        }
        assert_eq!(town.gateways[0].observed, [], "active: {active}");
        let ended = |(_, event): &(_, ServerEvent)| {
            matches!(event, ServerEvent::ObservationEnded { why: ObservationEnd::Cancelled, .. })
        };
        assert_eq!(town.events.iter().filter(|event| ended(event)).count(), 1);
        assert_eq!(levels(&mut town), []);
    }
}

#[test]
fn a_client_that_goes_and_comes_is_observed_again() {
    let mut town = town();
    town.exchange(0, Request::Observe { path: path(LEVEL), format: None }).expect("an answer");
    let now = town.now();
    town.gateways[0].client.command(now, Command::Deregister);
    town.pump_gateway(0);
    town.run(seconds(10));
    assert!(town.registration(0).is_none());
    assert!(
        town.events
            .iter()
            .any(|(_, event)| matches!(event, ServerEvent::Deregistered { why: Deregistration::Asked, .. }))
    );
    town.set(0, path(LEVEL), 60);
    levels(&mut town);
    let now = town.now();
    town.gateways[0].client.command(now, Command::Register);
    town.pump_gateway(0);
    town.run(seconds(2));
    assert_eq!(levels(&mut town), [integer(60)]);
    town.set(0, path(LEVEL), 59);
    town.run(seconds(2));
    assert_eq!(levels(&mut town), [integer(59)]);
}

#[test]
fn a_server_that_forgot_a_client_gets_it_back_at_the_next_update() {
    let mut town = town();
    town.exchange(0, Request::Observe { path: path(LEVEL), format: None }).expect("an answer");
    let old = town.registration(0).expect("registered").id;
    assert!(town.server.forget(town.now(), old));
    town.pump_server();
    town.run(seconds(200));
    let new = town.registration(0).expect("registered anew").id;
    assert_ne!(old, new);
    town.set(0, path(LEVEL), 1);
    town.run(seconds(2));
    assert_eq!(levels(&mut town).last(), Some(&integer(1)));
}

#[test]
fn a_client_behind_a_nat_stays_registered_and_observed() {
    let mut town = town();
    town.exchange(0, Request::Observe { path: path(LEVEL), format: None }).expect("an answer");
    let id = town.registration(0).expect("registered").id;
    for (round, level) in [70, 60, 50].into_iter().enumerate() {
        town.rebind(0);
        // Every second time a notification leaves before the Update: a stranger's, whose RST ends the observation.
        if round % 2 == 1 {
            town.set(0, path(LEVEL), level + 5);
        }
        town.run(seconds(160));
        town.set(0, path(LEVEL), level);
        town.run(seconds(2));
        assert_eq!(levels(&mut town).last(), Some(&integer(level)), "round {round}");
        assert_eq!(town.gateways[0].observed, [path(LEVEL)]);
    }
    assert_eq!(town.registration(0).map(|registration| registration.id), Some(id), "it never had to register anew");
}

#[test]
fn a_server_that_is_away_for_a_while_is_found_again() {
    let mut town = town();
    town.exchange(0, Request::Observe { path: path(LEVEL), format: None }).expect("an answer");
    let (client, server) = (town.gateways[0].address, town.address);
    town.world.cut(client, server);
    town.run(seconds(3_600));
    assert!(town.registration(0).is_none(), "its lifetime has passed");
    town.set(0, path(LEVEL), 12);
    town.world.restore(client, server);
    // 5 min of back-off with jitter, and one exchange.
    town.run(seconds(480));
    assert_eq!(levels(&mut town).last(), Some(&integer(12)));
}
