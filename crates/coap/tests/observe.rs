//! Observation (RFC 7641), both sides.

mod common;

use std::sync::Arc;

use common::{Head, Pair, Seen, Solo, message, pattern, seconds};
use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType, Token,
    peer::{Config, ExchangeId, Failure, Outcome, Outgoing, Peer, Reply, RequestId},
    wire::option,
};

/// A server that accepts each observation and answers with `1`, and removes it at Observe 1.
fn observable() -> Pair {
    let mut pair = Pair::new();
    pair.server.engine(|peer, now, seen| {
        if let Seen::Request { exchange, head, .. } = seen {
            if head.observe == Some(1) {
                peer.unobserve(head.token);
            }
            peer.respond(now, *exchange, Reply::new(Code::CONTENT).observe(true).body(b"1"));
        }
    });
    pair
}

/// Begins an observation, and gives its request and token.
fn observe(pair: &mut Pair) -> (RequestId, Token) {
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3"]).observe());
    pair.run(1.0);
    let [Seen::Response { head, .. }] = &pair.client.take()[..] else { panic!("{}", pair.ladder()) };
    assert!(head.observe.is_some());
    pair.server.take();
    (request, head.token)
}

fn notify(pair: &mut Pair, token: Token, body: &[u8], confirmable: bool) {
    let now = pair.now();
    pair.server.peer.notify(now, token, Reply::new(Code::CONTENT).body(body), confirmable);
}

fn bodies(seen: &[Seen]) -> Vec<Vec<u8>> {
    let body = |seen: &Seen| match seen {
        Seen::Notification { payload, .. } => Some(payload.clone()),
        _ => None,
    };
    seen.iter().filter_map(body).collect()
}

fn outcomes(seen: &[Seen]) -> Vec<Outcome> {
    let outcome = |seen: &Seen| match seen {
        Seen::Notified { outcome, .. } => Some(*outcome),
        _ => None,
    };
    seen.iter().filter_map(outcome).collect()
}

#[test]
fn notifications_arrive_under_the_request_that_observes() {
    let mut pair = observable();
    let (request, token) = observe(&mut pair);
    for (body, confirmable) in [(b"2", false), (b"3", true), (b"4", false)] {
        notify(&mut pair, token, body, confirmable);
        pair.run(1.0);
    }
    assert_eq!(bodies(&pair.client.seen), [b"2", b"3", b"4"]);
    assert!(
        pair.client.seen.iter().all(|seen| matches!(seen, Seen::Notification { request: one, .. } if *one == request))
    );
    assert_eq!(outcomes(&pair.server.seen), [Outcome::Sent, Outcome::Acknowledged, Outcome::Sent]);
    assert_eq!((pair.client.peer.poll_timeout(), pair.server.peer.poll_timeout()), (None, None), "at rest");
}

/// Section 4.5: at least one confirmable notification in 24 hours.
#[test]
fn a_notification_is_confirmable_once_a_day() {
    let mut pair = observable();
    let (_, token) = observe(&mut pair);
    for _ in 0..50 {
        notify(&mut pair, token, b"x", false);
        pair.run(3600.0);
    }
    let confirmable: Vec<_> = outcomes(&pair.server.seen)
        .iter()
        .enumerate()
        .filter_map(|(hour, outcome)| (*outcome == Outcome::Acknowledged).then_some(hour))
        .collect();
    assert_eq!(confirmable, [24, 48]);
}

/// Section 4.5.2: a newer notification takes the place of one that is not acknowledged, with its counter.
#[test]
fn a_newer_notification_supersedes_the_one_on_its_way() {
    let mut pair = observable();
    let (_, token) = observe(&mut pair);
    let start = pair.now();
    pair.world.cut(pair.client.address, pair.server.address);
    notify(&mut pair, token, b"2", true);
    pair.run(1.0);
    notify(&mut pair, token, b"3", false);
    notify(&mut pair, token, b"4", false);
    pair.run(0.5);
    assert_eq!(outcomes(&pair.server.seen), [Outcome::Superseded], "3 was never sent");
    pair.run(10.0);
    assert_eq!(outcomes(&pair.server.seen), [Outcome::Superseded; 2]);
    let sent: Vec<_> = pair.sent_by_server().into_iter().filter(|(at, _)| *at >= start).collect();
    let said: Vec<_> = sent.iter().map(|(_, datagram)| Message::parse(datagram).unwrap()).collect();
    assert_eq!(said.iter().map(|message| message.payload).collect::<Vec<_>>(), [b"2", b"4", b"4"]);
    assert!(said[0].id != said[1].id && said[1].id == said[2].id);
    assert_eq!(
        (sent[2].0 - sent[1].0).as_millis() / 100,
        (sent[1].0 - sent[0].0).as_millis() / 50,
        "the back-off goes on"
    );
    pair.run(200.0);
    assert_eq!(pair.sent_by_server().into_iter().filter(|(at, _)| *at >= start).count(), 5, "five in all");
    assert_eq!(outcomes(&pair.server.seen).last(), Some(&Outcome::TimedOut));
    assert!(!pair.server.peer.is_observing(token));
}

#[test]
fn after_the_acknowledgement_of_an_older_one_the_newer_one_leaves() {
    let mut pair = observable();
    let (_, token) = observe(&mut pair);
    pair.world.set_cable(sim::Cable::new().latency(seconds(0.5)));
    notify(&mut pair, token, b"2", true);
    pair.run(0.1);
    notify(&mut pair, token, b"3", true);
    pair.run(5.0);
    assert_eq!(bodies(&pair.client.seen), [b"2", b"3"]);
    assert_eq!(outcomes(&pair.server.seen), [Outcome::Acknowledged; 2]);
}

/// Section 3.6: who forgets an observation rejects the next notification, whichever type it has.
#[test]
fn a_forgotten_observation_ends_by_a_reset() {
    for confirmable in [true, false] {
        let mut pair = observable();
        let (request, token) = observe(&mut pair);
        pair.client.peer.cancel(request);
        notify(&mut pair, token, b"2", confirmable);
        pair.run(5.0);
        assert_eq!(outcomes(&pair.server.seen).last(), Some(&Outcome::Reset), "{}", pair.ladder());
        assert!(!pair.server.peer.is_observing(token));
        assert_eq!(pair.client.seen, []);
        notify(&mut pair, token, b"3", confirmable);
        pair.run(5.0);
        assert_eq!(outcomes(&pair.server.seen).last(), Some(&Outcome::Superseded), "nobody is there for it");
    }
}

/// Section 3.6: or cancels it with the same token and Observe 1.
#[test]
fn an_observation_is_cancelled_by_a_get_with_observe_1() {
    let mut pair = observable();
    let (observation, token) = observe(&mut pair);
    let now = pair.now();
    let cancelling = pair.client.peer.cancel_observation(now, observation, Outgoing::new(Code::GET).path(&["3"]));
    assert_ne!(cancelling, observation);
    pair.run(5.0);
    let [Seen::Request { head, .. }] = &pair.server.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!((head.observe, head.token), (Some(1), token));
    let [Seen::Response { request, head, .. }] = &pair.client.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!((*request, head.observe), (cancelling, None));
    assert!(!pair.server.peer.is_observing(token));
    assert_eq!(pair.client.peer.memory().observations, 0);
}

#[test]
fn a_notification_that_crosses_the_cancellation_is_not_its_answer() {
    let mut solo = Solo::new(Config::default());
    let (request, token) = observing(&mut solo);
    let cancelling = solo.peer.cancel_observation(solo.now, request, Outgoing::new(Code::GET).path(&["3"]));
    let sent = solo.say_one();
    let id = Message::parse(&sent).unwrap().id;
    assert_eq!(solo.hear(&notification(MessageType::Con, 50, token, 9, b"late")), None);
    assert_eq!(solo.say_one(), message(MessageType::Ack, Code::EMPTY, 50, b"", &[], b""));
    let answer = message(MessageType::Ack, Code::CONTENT, id, token.as_bytes(), &[], b"bye");
    assert!(matches!(solo.hear(&answer), Some(Seen::Response { request, .. }) if request == cancelling));
}

fn notification(kind: MessageType, id: u16, token: Token, number: u8, body: &[u8]) -> Vec<u8> {
    message(kind, Code::CONTENT, id, token.as_bytes(), &[(option::OBSERVE, &[number])], body)
}

/// A peer that observes what the test says to it; the first notification had number 5.
fn observing(solo: &mut Solo) -> (RequestId, Token) {
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]).observe());
    let sent = solo.say_one();
    let asked = Message::parse(&sent).unwrap();
    let answer =
        message(MessageType::Ack, Code::CONTENT, asked.id, asked.token.as_bytes(), &[(option::OBSERVE, &[5])], b"1");
    assert!(matches!(solo.hear(&answer), Some(Seen::Response { .. })));
    (request, asked.token)
}

/// Section 3.4: an older one is acknowledged and dropped; after 128 seconds any is newer.
#[test]
fn notifications_that_are_overtaken_are_dropped() {
    let mut solo = Solo::new(Config::default());
    let (_, token) = observing(&mut solo);
    assert!(solo.hear(&notification(MessageType::Non, 1, token, 8, b"new")).is_some());
    assert_eq!(solo.hear(&notification(MessageType::Con, 2, token, 7, b"old")), None);
    assert_eq!(solo.say_one(), message(MessageType::Ack, Code::EMPTY, 2, b"", &[], b""));
    assert_eq!(solo.hear(&notification(MessageType::Non, 3, token, 8, b"no newer than what was there")), None);
    assert_eq!(solo.peer.counters().stale, 2);
    solo.pass(129.0);
    assert!(solo.hear(&notification(MessageType::Non, 4, token, 7, b"new again")).is_some());
}

#[test]
fn a_duplicate_of_a_confirmable_notification_is_acknowledged_again() {
    let mut solo = Solo::new(Config::default());
    let (_, token) = observing(&mut solo);
    let notification = notification(MessageType::Con, 1, token, 8, b"new");
    assert!(solo.hear(&notification).is_some());
    let acknowledgement = solo.say_one();
    assert_eq!((solo.hear(&notification), solo.say_one()), (None, acknowledgement));
    assert_eq!(solo.peer.counters().duplicates, 1);
}

/// Section 3.2: a response without Observe, or with an error, is the last one.
#[test]
fn the_last_notification_ends_the_observation() {
    for (code, options) in [(Code::NOT_FOUND, &[(option::OBSERVE, &[9_u8][..])][..]), (Code::CONTENT, &[])] {
        let mut solo = Solo::new(Config::default());
        let (request, token) = observing(&mut solo);
        let last = solo.hear(&message(MessageType::Con, code, 1, token.as_bytes(), options, b""));
        assert!(matches!(last, Some(Seen::Notification { request: one, .. }) if one == request));
        solo.say();
        assert_eq!(solo.hear(&notification(MessageType::Con, 2, token, 10, b"more")), None);
        assert_eq!(solo.say_one(), message(MessageType::Rst, Code::EMPTY, 2, b"", &[], b""));
    }
}

/// Section 4.2: any code but 2.xx ends it at the server, too; and it is sent until it is acknowledged.
#[test]
fn an_error_ends_the_observation_at_the_server() {
    let mut pair = observable();
    let (_, token) = observe(&mut pair);
    let now = pair.now();
    pair.server.peer.notify(now, token, Reply::new(Code::NOT_FOUND), false);
    assert!(!pair.server.peer.is_observing(token));
    pair.run(5.0);
    let [Seen::Notification { head, .. }] = &pair.client.seen[..] else { panic!("{}", pair.ladder()) };
    assert_eq!((head.code, head.observe), (Code::NOT_FOUND, None));
    assert_eq!(outcomes(&pair.server.seen), [Outcome::Acknowledged]);
    assert_eq!(pair.client.peer.memory().observations, 0);
}

#[test]
fn a_server_that_does_not_observe_just_answers() {
    let mut pair = Pair::new();
    pair.server.answer(Code::CONTENT, b"1");
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3"]).observe());
    pair.run(5.0);
    let [Seen::Response { request: answered, head, .. }] = &pair.client.seen[..] else { panic!() };
    assert_eq!((*answered, head.observe), (request, None));
    assert_eq!(pair.client.peer.memory().observations, 0);
}

#[test]
fn observations_are_bounded() {
    let mut config = Config::default();
    config.max_observations = 3;
    let mut solo = Solo::new(config);
    for id in 0..5 {
        let request = message(MessageType::Con, Code::GET, id, &id.to_be_bytes(), &[(option::OBSERVE, b"")], b"");
        let exchange = solo.hear_request(&request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).observe(true));
        let answer = solo.say_one();
        assert_eq!(Message::parse(&answer).unwrap().options.observe().is_some(), id < 3);
    }
}

/// RFC 7959 section 2.6: the notification has the first block, the others are fetched under other tokens.
#[test]
fn a_large_notification_is_fetched_in_blocks() {
    let mut pair = Pair::new();
    let body = pattern(5000);
    let first = body.clone();
    pair.server.engine(move |peer, now, seen| {
        if let Seen::Request { exchange, .. } = seen {
            peer.respond(now, *exchange, Reply::new(Code::CONTENT).observe(true).body(&first[1..]));
        }
    });
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3"]).observe());
    pair.run(1.0);
    let [Seen::Response { head: Head { observe: Some(begun), .. }, payload, .. }] = &pair.client.take()[..] else {
        panic!("{}", pair.ladder())
    };
    assert_eq!(payload, &body[1..]);
    let token = Message::parse(&pair.sent_by_client()[0].1).unwrap().token;
    notify(&mut pair, token, &body, true);
    pair.run(1.0);
    let [Seen::Notification { request: one, head, payload }] = &pair.client.seen[..] else {
        panic!("{}", pair.ladder())
    };
    assert_eq!((*one, payload), (request, &body));
    assert_eq!(head.observe, Some(begun + 1));
    assert_eq!(pair.server.requests(), 1, "the engine was not asked again");
    let sent = pair.sent_by_client();
    let follow_ups = sent
        .iter()
        .map(|(_, datagram)| Message::parse(datagram).unwrap())
        .filter(|message| message.code == Code::GET)
        .skip(1);
    assert!(
        follow_ups.clone().count() == 8
            && follow_ups.clone().all(|message| message.token != token && message.options.observe().is_none())
    );
}

/// A newer notification while the blocks of an older one are being fetched: only the newer one arrives, whole.
#[test]
fn a_newer_large_notification_replaces_the_one_being_fetched() {
    let mut pair = observable();
    let (_, token) = observe(&mut pair);
    pair.world.set_cable(sim::Cable::new().latency(seconds(0.1)));
    notify(&mut pair, token, &[2; 5000], false);
    pair.run(0.35);
    notify(&mut pair, token, &[3; 5000], false);
    pair.run(10.0);
    assert_eq!(bodies(&pair.client.seen), [vec![3; 5000]], "{}", pair.ladder());
    assert_eq!(pair.client.peer.memory().bodies_in, 0);
}

#[test]
fn an_observation_whose_blocks_cannot_be_fetched_fails() {
    let mut solo = Solo::new(Config::default());
    let (request, token) = observing(&mut solo);
    let value = Block { number: 0, more: true, size: BlockSize::B16 }.encode() as u8;
    let options: [(u16, &[u8]); 2] = [(option::OBSERVE, &[6]), (option::BLOCK2, &[value])];
    solo.hear(&message(MessageType::Non, Code::CONTENT, 1, token.as_bytes(), &options, &[0; 16]));
    let sent = solo.say_one();
    let asked = Message::parse(&sent).unwrap();
    assert_eq!(Head::of(&asked).block2, Some(Block { number: 1, more: false, size: BlockSize::B16 }));
    solo.hear(&message(MessageType::Ack, Code::NOT_FOUND, asked.id, asked.token.as_bytes(), &[], b""));
    assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::BlockWise }]);
}

#[test]
fn ids_of_exchanges_that_are_gone_do_nothing() {
    let mut solo = Solo::new(Config::default());
    let exchange: ExchangeId = solo.hear_request(&common::get(MessageType::Con, 1, b"t"));
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT));
    solo.say();
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT));
    solo.peer.respond_streamed(solo.now, exchange, Reply::new(Code::CONTENT), None);
    solo.peer.supply(solo.now, exchange, 0, b"x", true);
    solo.peer.drop_exchange(exchange);
    solo.peer.unobserve(Token::EMPTY);
    assert_eq!((solo.say(), solo.events()), (Vec::new(), Vec::new()));
}

/// Section 4.1: a later answer to the same token without Observe ends what it observed.
#[test]
fn a_refused_renewal_ends_the_observation() {
    let mut solo = Solo::new(Config::default());
    for (id, accepted) in [(1, true), (2, false)] {
        let request = message(MessageType::Con, Code::GET, id, b"obs", &[(option::OBSERVE, b"")], b"");
        let exchange = solo.hear_request(&request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).observe(accepted));
        assert_eq!(solo.peer.is_observing(Token::new(b"obs").unwrap()), accepted);
    }
}

/// The blocks of a notification are being fetched, and an overtaken one comes: the fetch still ends in time if nothing comes.
#[test]
fn a_stale_notification_does_not_keep_a_fetch_waiting_for_ever() {
    let mut solo = Solo::new(Config::default());
    let (request, token) = observing(&mut solo);
    let value = Block { number: 0, more: true, size: BlockSize::B16 }.encode() as u8;
    let options: [(u16, &[u8]); 2] = [(option::OBSERVE, &[9]), (option::BLOCK2, &[value])];
    solo.hear(&message(MessageType::Non, Code::CONTENT, 1, token.as_bytes(), &options, &[0; 16]));
    let id = Message::parse(&solo.say_one()).unwrap().id;
    solo.hear(&message(MessageType::Ack, Code::EMPTY, id, b"", &[], b""));
    assert_eq!(solo.hear(&notification(MessageType::Non, 2, token, 8, b"old")), None);
    assert!(solo.peer.poll_timeout().is_some());
    solo.pass(94.0);
    assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::TimedOut }]);
}

/// Section 4.5: eventual consistency. Loss, duplication and re-ordering for a minute of notifications, and then none: the last value
/// is there, unless its notification was reported as timed out.
#[test]
fn the_last_value_arrives_after_bad_weather() {
    let mut arrived = 0;
    for seed in 0..100 {
        let mut pair = observable();
        let (_, token) = observe(&mut pair);
        pair.world = {
            let bad = sim::Cable::new().latency(seconds(0.05)).loss(0.3).duplication(0.2).reordering(0.2, seconds(3.0));
            let mut world = sim::World::seeded(seed).cable(bad).starting_at(pair.now());
            world.node_at("client", pair.client.address);
            world.node_at("server", pair.server.address);
            world
        };
        for number in 0..60_u8 {
            notify(&mut pair, token, &[number], number % 3 == 0 || number == 59);
            pair.run(1.0);
        }
        pair.world.set_cable(sim::Cable::new());
        pair.run(100.0);
        if outcomes(&pair.server.seen).contains(&Outcome::TimedOut) {
            continue;
        }
        arrived += 1;
        let bodies = bodies(&pair.client.seen);
        assert_eq!(bodies.last(), Some(&vec![59]), "seed {seed}: {}", pair.ladder());
        assert!(bodies.is_sorted(), "seed {seed}: never back to an older value");
        assert_eq!(outcomes(&pair.server.seen).last(), Some(&Outcome::Acknowledged), "seed {seed}");
    }
    assert!(arrived > 80, "{arrived}");
}

/// An observation goes on in another process of the server: with newer numbers, and in blocks where it is long.
#[test]
fn an_observation_is_taken_up_by_another_peer() {
    let mut pair = observable();
    let (_, token) = observe(&mut pair);
    notify(&mut pair, token, b"2", true);
    pair.run(1.0);
    pair.client.take();
    let number = pair.server.peer.notification_number();
    pair.server.peer = Peer::new(Arc::new(Config::default()), [99; 32]);
    notify(&mut pair, token, b"nobody", true);
    pair.run(1.0);
    assert_eq!(bodies(&pair.client.take()), [b""; 0], "it knows of no observation");
    pair.server.peer.take_up_observations(number.wrapping_add(1 << 22));
    let now = pair.now();
    assert!(pair.server.peer.take_up_observation(now, token, &["3"], None));
    let long = pattern(3_000);
    for body in [b"3".as_slice(), &long, b"4"] {
        notify(&mut pair, token, body, true);
        pair.run(1.0);
        assert_eq!(bodies(&pair.client.take()), [body], "{}", pair.ladder());
    }
    let asked = |seen: &Seen| matches!(seen, Seen::Request { .. });
    assert!(!pair.server.take().iter().any(asked), "the blocks are those of the notification");
}
