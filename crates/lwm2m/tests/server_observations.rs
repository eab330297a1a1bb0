//! Observations: begun, notified, ended in each way, and taken up again after a Register (LwM2M core 1.1 section 6.4,
//! RFC 7641; OMA LightweightM2M-1.1-int-301, 302, 303).

mod server_common;

use std::net::SocketAddr;

use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType, option},
};
use lapwing_lwm2m::{
    model::{Node, Path, Resource, Value},
    server::{Content, ObservationEnd, RegistrationId, Request, RequestError, ServerEvent},
};
use server_common::{Bench, LINKS, Msg, address, seconds};

const LEVEL: &str = "/3/0/9";

fn path() -> Path {
    LEVEL.parse().expect("a path")
}

fn observe() -> Request {
    Request::Observe { path: path(), format: Some(ContentFormat::TEXT) }
}

fn level(percent: i64) -> Content {
    Content::Node(Node::Resource(Resource::Single(Value::Integer(percent))))
}

/// The client's answer that accepts an observation.
fn accept(seen: &Msg, percent: &str) -> Msg {
    seen.answer(Code::CONTENT).uint(option::OBSERVE, 1).format(ContentFormat::TEXT).payload(percent)
}

fn notify(id: u16, token: &[u8], sequence: u32, percent: &str) -> Msg {
    let message = Msg::new(MessageType::Con, Code::CONTENT, id, token).uint(option::OBSERVE, sequence);
    message.format(ContentFormat::TEXT).payload(percent)
}

/// A client at `address(1)` that is observed; gives the token.
fn observed(bench: &mut Bench) -> (RegistrationId, Vec<u8>) {
    let registration = bench.registered(address(1), "a");
    let (seen, result) = bench.exchange(address(1), registration, observe(), |seen| accept(seen, "80"));
    assert_eq!((seen.code, seen.path().as_str(), seen.number(option::OBSERVE)), (Code::GET, LEVEL, Some(0)));
    assert_eq!(seen.number(option::ACCEPT), Some(0));
    let response = result.expect("an answer");
    assert_eq!((response.content.clone(), response.observes()), (level(80), true));
    bench.events();
    (registration, seen.token)
}

/// The values that were notified, and how observations ended.
fn notified(bench: &mut Bench) -> (Vec<Content>, Vec<ObservationEnd>) {
    let (mut values, mut ends) = (Vec::new(), Vec::new());
    for event in bench.events() {
        match event {
            ServerEvent::Notification { registration, path: at, response } => {
                assert_eq!((&*registration.endpoint, at), ("a", path()));
                values.push(response.content.clone());
            }
            ServerEvent::ObservationEnded { endpoint, path: at, why } => {
                assert_eq!((&*endpoint, at), ("a", path()));
                ends.push(why);
            }
            _ => {}
        }
    }
    (values, ends)
}

fn rejected(bench: &mut Bench, from: SocketAddr, message: &Msg) -> bool {
    bench.take(from);
    bench.deliver(from, message);
    bench.take_one(from).kind == MessageType::Rst
}

#[test]
fn notifications_follow_in_order_and_are_acknowledged() {
    let mut bench = Bench::new();
    let (_, token) = observed(&mut bench);
    assert_eq!(bench.server.observations("a").collect::<Vec<_>>(), [path()]);
    for (id, sequence, percent) in [(1, 2, "79"), (2, 4, "78"), (3, 3, "77")] {
        bench.deliver(address(1), &notify(id, &token, sequence, percent));
        assert_eq!(bench.take_one(address(1)).kind, MessageType::Ack);
    }
    // The last one was older than the one before (RFC 7641 section 3.4).
    assert_eq!(notified(&mut bench), (vec![level(79), level(78)], vec![]));
}

#[test]
fn a_notification_that_cannot_be_understood_is_told_and_does_not_end_it() {
    let mut bench = Bench::new();
    let (_, token) = observed(&mut bench);
    bench.deliver(address(1), &notify(1, &token, 2, "much"));
    bench.deliver(address(1), &notify(2, &token, 3, "70"));
    let (values, ends) = notified(&mut bench);
    assert!(matches!(&values[..], [Content::Unknown(_), last] if *last == level(70)), "{values:?}");
    assert_eq!(ends, []);
}

#[test]
fn an_active_cancel_is_a_get_with_observe_1_and_the_same_token() {
    let mut bench = Bench::new();
    let (registration, token) = observed(&mut bench);
    let cancel = Request::CancelObservation { path: path() };
    let (seen, result) = bench.exchange(address(1), registration, cancel, |seen| {
        seen.answer(Code::CONTENT).format(ContentFormat::TEXT).payload("60")
    });
    assert_eq!((seen.code, seen.path().as_str(), seen.number(option::OBSERVE)), (Code::GET, LEVEL, Some(1)));
    assert_eq!((seen.token, seen.options.iter().any(|(number, _)| *number == option::ACCEPT)), (token.clone(), true));
    assert_eq!(result.expect("an answer").content, level(60));
    assert_eq!(notified(&mut bench), (vec![], vec![ObservationEnd::Cancelled]));
    assert_eq!(bench.server.observations("a").count(), 0);
    assert!(rejected(&mut bench, address(1), &notify(1, &token, 9, "50")));
}

#[test]
fn a_passive_cancel_rejects_the_next_notification() {
    let mut bench = Bench::new();
    let (_, token) = observed(&mut bench);
    assert!(bench.server.forget_observation(bench.now(), "a", path()));
    assert!(!bench.server.forget_observation(bench.now(), "a", path()));
    bench.poll();
    assert_eq!(bench.take(address(1)), []);
    assert!(rejected(&mut bench, address(1), &notify(1, &token, 2, "70")));
    assert_eq!(notified(&mut bench), (vec![], vec![ObservationEnd::Cancelled]));
}

#[test]
fn the_client_ends_it_by_an_error_or_without_observe() {
    let mut bench = Bench::new();
    let (_, token) = observed(&mut bench);
    bench.deliver(address(1), &Msg::new(MessageType::Con, Code::NOT_FOUND, 1, &token));
    assert_eq!(notified(&mut bench), (vec![], vec![ObservationEnd::Refused(Code::NOT_FOUND)]));
    assert_eq!(bench.server.observations("a").count(), 0);

    let mut bench = Bench::new();
    let (_, token) = observed(&mut bench);
    let last = Msg::new(MessageType::Con, Code::CONTENT, 1, &token).format(ContentFormat::TEXT).payload("5");
    bench.deliver(address(1), &last);
    assert_eq!(notified(&mut bench), (vec![level(5)], vec![ObservationEnd::NotObservable]));
}

#[test]
fn what_was_never_established_is_not_asked_for_again() {
    let answers: [fn(&Msg) -> Msg; 3] = [
        |seen| seen.answer(Code::NOT_FOUND),
        |seen| seen.answer(Code::CONTENT).format(ContentFormat::TEXT).payload("80"),
        |seen| accept(seen, "no number"),
    ];
    for answer in answers {
        let mut bench = Bench::new();
        let registration = bench.registered(address(1), "a");
        let _ = bench.exchange(address(1), registration, observe(), answer);
        assert_eq!(bench.server.observations("a").count(), 0);
        bench.registered(address(1), "a");
        assert_eq!(bench.take(address(1)), []);
    }
}

#[test]
fn observations_are_taken_up_after_each_register_once_it_is_answered() {
    let mut bench = Bench::new();
    let (_, old) = observed(&mut bench);
    for (round, client) in [(1, address(1)), (2, address(2)), (3, address(2))] {
        bench.take(client);
        let register = bench.con(Code::POST, "/rd?ep=a&lwm2m=1.1").payload(LINKS);
        bench.deliver(client, &register);
        let sent = bench.take(client);
        let [created, seen] = &sent[..] else { panic!("{sent:#?}") };
        assert_eq!(created.code, Code::CREATED);
        assert_eq!((seen.code, seen.path().as_str(), seen.number(option::OBSERVE)), (Code::GET, LEVEL, Some(0)));
        assert_ne!(seen.token, old);
        bench.deliver(client, &accept(seen, "42"));
        assert_eq!(notified(&mut bench), (vec![level(42)], vec![]), "the value as it is now, round {round}");
        bench.deliver(client, &notify(round, &seen.token, 2, "41"));
        assert_eq!(notified(&mut bench), (vec![level(41)], vec![]));
    }
    // What the client had before its Register is no more.
    assert!(rejected(&mut bench, address(1), &notify(50, &old, 9, "1")));
}

#[test]
fn they_are_remembered_over_a_deregistration_and_an_expiry() {
    let mut bench = Bench::new();
    let (registration, _) = observed(&mut bench);
    let delete = bench.con(Code::DELETE, &format!("/rd/{registration}"));
    bench.ask(address(1), &delete);
    bench.run(seconds(1_000));
    assert_eq!(bench.take(address(1)), [], "who is not registered is not asked");
    assert_eq!(bench.server.observations("a").collect::<Vec<_>>(), [path()]);
    bench.registered(address(1), "a");
    let seen = bench.take_one(address(1));
    bench.deliver(address(1), &accept(&seen, "1"));
    bench.run(seconds(400));
    assert!(bench.server.registration("a").is_none());
    bench.registered(address(1), "a");
    assert_eq!(bench.take_one(address(1)).number(option::OBSERVE), Some(0));
}

#[test]
fn the_endpoint_that_left_first_is_forgotten_first() {
    let mut bench = Bench::with(|config| config.remembered = 2);
    for (host, endpoint) in [(1, "a"), (2, "b"), (3, "c")] {
        let registration = bench.registered(address(host), endpoint);
        bench.exchange(address(host), registration, observe(), |seen| accept(seen, "80")).1.expect("observed");
        bench.server.forget(bench.now(), registration);
        bench.poll();
    }
    let kept = ["a", "b", "c"].map(|endpoint| bench.server.observations(endpoint).count());
    assert_eq!(kept, [0, 1, 1]);
    assert_eq!(notified(&mut bench), (vec![], vec![ObservationEnd::Forgotten]));
}

#[test]
fn asking_again_is_tried_until_it_succeeds() {
    let mut bench = Bench::new();
    observed(&mut bench);
    bench.register(address(1), "ep=a&lwm2m=1.1&lt=0", LINKS);
    bench.events();
    let mut first = Vec::new();
    let begin = bench.now;
    for _ in 0..2_000 {
        bench.run(seconds(1));
        for message in bench.take(address(1)) {
            if first.last().is_none_or(|(token, _)| *token != message.token) {
                first.push((message.token, (bench.now - begin).as_secs()));
            }
        }
    }
    // Each try takes up to 93 s (MAX_TRANSMIT_WAIT); between them 5 s, doubling to 5 min.
    assert!((9..=16).contains(&first.len()), "{first:?}");
    assert_eq!(notified(&mut bench), (vec![], vec![]));
    let asked = loop {
        bench.run(seconds(1));
        let new =
            bench.take(address(1)).into_iter().find(|message| first.iter().all(|(token, _)| *token != message.token));
        if let Some(asked) = new {
            break asked;
        }
    };
    bench.deliver(address(1), &accept(&asked, "3"));
    assert_eq!(notified(&mut bench), (vec![level(3)], vec![]));
}

#[test]
fn an_update_hurries_what_has_failed_and_a_refusal_ends_it() {
    let mut bench = Bench::new();
    observed(&mut bench);
    let location = bench.register(address(1), "ep=a&lwm2m=1.1&lt=0", LINKS);
    bench.run(seconds(1_000));
    let update = bench.con(Code::POST, &location);
    bench.ask(address(1), &update);
    let asked = bench.take(address(1));
    let first = asked.last().expect("asked at once").clone();
    bench.deliver(address(1), &first.answer(Code::SERVICE_UNAVAILABLE));
    assert_eq!(notified(&mut bench), (vec![], vec![]), "what may be better later is asked for again");
    bench.run(seconds(6));
    let second = bench.take_one(address(1));
    bench.deliver(address(1), &second.answer(Code::NOT_FOUND));
    assert_eq!(notified(&mut bench), (vec![], vec![ObservationEnd::Refused(Code::NOT_FOUND)]));
    bench.run(seconds(1_000));
    assert_eq!(bench.take(address(1)), []);
}

#[test]
fn an_update_from_another_address_is_the_same_client() {
    let mut bench = Bench::new();
    let (registration, old) = observed(&mut bench);
    let update = bench.con(Code::POST, &format!("/rd/{registration}"));
    assert_eq!(bench.ask(address(2), &update).code, Code::CHANGED);
    assert_eq!(bench.server.registration("a").expect("registered").address, address(2));
    assert!(matches!(&bench.events()[..], [ServerEvent::Updated { update, .. }] if update.moved));
    // Notifications that met a stranger's RST on the way have ended the observation, so it is asked for again.
    let seen = bench.take_one(address(2));
    assert_eq!(seen.number(option::OBSERVE), Some(0));
    bench.deliver(address(2), &accept(&seen, "33"));
    assert_eq!(notified(&mut bench), (vec![level(33)], vec![]));
    assert!(rejected(&mut bench, address(1), &notify(1, &old, 5, "1")));
    let (asked, _) = bench
        .exchange(address(2), registration, Request::Discover { path: path() }, |seen| seen.answer(Code::NOT_FOUND));
    assert_eq!(asked.path(), LEVEL);
}

#[test]
fn observing_again_replaces_the_old_observation_once_it_is_answered() {
    let mut bench = Bench::new();
    let (registration, old) = observed(&mut bench);
    let id = bench.request(registration, observe());
    let seen = bench.take_one(address(1));
    bench.deliver(address(1), &notify(1, &old, 2, "79"));
    assert_eq!(bench.take_one(address(1)).kind, MessageType::Ack);
    bench.deliver(address(1), &accept(&seen, "78"));
    assert_eq!(bench.answer(id).expect("an answer").content, level(78));
    assert_eq!(notified(&mut bench), (vec![level(79)], vec![]));
    assert!(rejected(&mut bench, address(1), &notify(2, &old, 3, "77")));
    // One that gets no answer leaves the old one as it is.
    let id = bench.server.request(bench.now(), registration, observe(), Some(seconds(3)));
    bench.run(seconds(3));
    assert_eq!(bench.answer(id), Err(RequestError::TimedOut));
    bench.take(address(1));
    bench.deliver(address(1), &notify(3, &seen.token, 3, "76"));
    assert_eq!(notified(&mut bench), (vec![level(76)], vec![]));
}

#[test]
fn many_observations_are_taken_up_a_few_at_a_time_and_bounded() {
    let mut bench = Bench::with(|config| config.observations = 100);
    let registration = bench.registered(address(1), "a");
    let at = |resource: u16| Path::object(30_999).instance(0).resource(resource);
    for resource in 0..100 {
        let request = Request::Observe { path: at(resource), format: Some(ContentFormat::OPAQUE) };
        let (_, result) = bench.exchange(address(1), registration, request, |seen| {
            seen.answer(Code::CONTENT).uint(option::OBSERVE, 1).format(ContentFormat::OPAQUE)
        });
        result.unwrap_or_else(|error| panic!("{resource}: {error}"));
    }
    let id = bench.request(registration, Request::Observe { path: at(100), format: None });
    assert_eq!(bench.answer(id), Err(RequestError::TooMany));
    bench.registered(address(1), "a");
    let mut asked = Vec::new();
    while let Some(message) = bench.take(address(1)).pop() {
        asked.push(message.path());
        bench
            .deliver(address(1), &message.answer(Code::CONTENT).uint(option::OBSERVE, 1).format(ContentFormat::OPAQUE));
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 100);
}
