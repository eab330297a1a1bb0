//! Slow requests: an empty ACK in time, then a separate response (RFC 7252 section 5.2.2).

mod common;

use common::{Pair, Seen, Solo, get, message, post, seconds};
use lapwing_coap::{
    Code, Message, MessageType,
    peer::{Config, Event, Failure, Outgoing, Reply, Timer},
};

fn kind_of(datagram: &[u8]) -> (MessageType, Code) {
    let message = Message::parse(datagram).unwrap();
    (message.kind, message.code)
}

#[test]
fn a_slow_request_is_acknowledged_first_and_its_response_is_confirmable() {
    let mut pair = Pair::new();
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3"]));
    pair.run(10.0);
    let [Seen::Request { exchange, .. }] = pair.server.take()[..] else { panic!("{}", pair.ladder()) };
    let now = pair.now();
    pair.server.peer.respond(now, exchange, Reply::new(Code::CONTENT).body(b"late"));
    pair.run(1.0);
    let [Seen::Response { request: answered, payload, .. }] = &pair.client.seen[..] else {
        panic!("{}", pair.ladder())
    };
    assert_eq!((*answered, &payload[..]), (request, &b"late"[..]));
    let server = pair.sent_by_server();
    let kinds: Vec<_> = server.iter().map(|(_, datagram)| kind_of(datagram)).collect();
    assert_eq!(kinds, [(MessageType::Ack, Code::EMPTY), (MessageType::Con, Code::CONTENT)]);
    assert_eq!(server[0].0, seconds(0.5), "after the processing delay");
    let client: Vec<_> = pair.sent_by_client().iter().map(|(_, datagram)| kind_of(datagram)).collect();
    assert_eq!(client, [(MessageType::Con, Code::GET), (MessageType::Ack, Code::EMPTY)], "sent once");
    assert_eq!((pair.client.peer.poll_timeout(), pair.server.peer.poll_timeout()), (None, None));
}

#[test]
fn the_wake_up_for_the_empty_acknowledgement_says_so() {
    let mut solo = Solo::new(Config::default());
    solo.hear_request(&get(MessageType::Con, 1, b"t"));
    assert_eq!(solo.peer.poll_timeout(), Some((solo.now + seconds(0.5), Timer::Acknowledgement)));
    solo.pass(0.5);
    assert_eq!(solo.say_one(), message(MessageType::Ack, Code::EMPTY, 1, b"", &[], b""));
    assert_eq!(solo.peer.poll_timeout(), None, "the engine may take as long as it likes");
}

#[test]
fn a_duplicate_of_a_slow_request_is_acknowledged_again_and_runs_once() {
    let mut solo = Solo::new(Config::default());
    let request = post(MessageType::Con, 1, b"t");
    let exchange = solo.hear_request(&request);
    assert_eq!(solo.hear(&request), None);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new(), "its acknowledgement is not due yet");
    solo.pass(0.6);
    assert_eq!(solo.say().len(), 1);
    assert_eq!(solo.hear(&request), None);
    assert_eq!(kind_of(&solo.say_one()), (MessageType::Ack, Code::EMPTY));
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CHANGED));
    assert_eq!(kind_of(&solo.say_one()), (MessageType::Con, Code::CHANGED));
    assert_eq!(solo.hear(&request), None);
    assert_eq!(kind_of(&solo.say_one()), (MessageType::Ack, Code::EMPTY), "the response is on its way by itself");
}

/// The acknowledgement of the request is lost, and the response comes: RFC 7252 section 5.2.2 takes it for both.
#[test]
fn a_separate_response_stands_for_the_lost_acknowledgement() {
    let mut solo = Solo::new(Config::default());
    solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
    let sent = solo.say_one();
    let token = Message::parse(&sent).unwrap().token;
    let response = message(MessageType::Con, Code::CONTENT, 400, token.as_bytes(), &[], b"x");
    assert!(matches!(solo.hear(&response), Some(Seen::Response { .. })));
    assert_eq!(solo.say_one(), message(MessageType::Ack, Code::EMPTY, 400, b"", &[], b""));
    assert_eq!(solo.peer.poll_timeout(), None, "it is not sent again");
    // The acknowledgement of the response is lost, too.
    assert_eq!(solo.hear(&response), None);
    assert_eq!(solo.say_one(), message(MessageType::Ack, Code::EMPTY, 400, b"", &[], b""));
}

#[test]
fn a_response_that_never_comes_fails_the_request_in_the_end() {
    let mut solo = Solo::new(Config::default());
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
    let id = Message::parse(&solo.say_one()).unwrap().id;
    solo.hear(&message(MessageType::Ack, Code::EMPTY, id, b"", &[], b""));
    let (at, why) = solo.peer.poll_timeout().unwrap();
    assert_eq!((at, why), (solo.now + seconds(93.0), Timer::Response));
    solo.pass(93.0);
    assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::TimedOut }]);
}

#[test]
fn a_cancelled_request_has_its_late_response_reset() {
    let mut solo = Solo::new(Config::default());
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
    let sent = solo.say_one();
    let token = Message::parse(&sent).unwrap().token;
    solo.peer.cancel(request);
    assert_eq!(solo.peer.poll_timeout(), None);
    assert_eq!(solo.hear(&message(MessageType::Con, Code::CONTENT, 8, token.as_bytes(), &[], b"x")), None);
    assert_eq!(kind_of(&solo.say_one()), (MessageType::Rst, Code::EMPTY));
}

#[test]
fn a_dropped_exchange_is_silent_to_duplicates_too() {
    let mut solo = Solo::new(Config::default());
    let request = post(MessageType::Con, 1, b"t");
    let exchange = solo.hear_request(&request);
    solo.peer.drop_exchange(exchange);
    assert_eq!(solo.hear(&request), None);
    assert_eq!((solo.say(), solo.peer.poll_timeout()), (Vec::new(), None));
}

/// One answer after the other: only its own is delayed by a slow one.
#[test]
fn a_slow_request_delays_no_other() {
    let mut solo = Solo::new(Config::default());
    let slow = solo.hear_request(&get(MessageType::Con, 1, b"slow"));
    let quick = solo.hear_request(&get(MessageType::Con, 2, b"fast"));
    solo.peer.respond(solo.now, quick, Reply::new(Code::CONTENT).body(b"now"));
    assert_eq!(Message::parse(&solo.say_one()).unwrap().token.as_bytes(), b"fast");
    solo.pass(10.0);
    solo.say();
    solo.peer.respond(solo.now, slow, Reply::new(Code::CONTENT).body(b"later"));
    assert_eq!(Message::parse(&solo.say_one()).unwrap().token.as_bytes(), b"slow");
}

#[test]
fn open_exchanges_are_bounded() {
    let mut config = Config::default();
    config.max_exchanges = 4;
    let mut solo = Solo::new(config);
    for id in 0..4 {
        solo.hear_request(&get(MessageType::Con, id, b"t"));
    }
    assert_eq!(solo.hear(&get(MessageType::Con, 4, b"t")), None);
    assert_eq!(kind_of(&solo.say_one()), (MessageType::Ack, Code::SERVICE_UNAVAILABLE));
    assert_eq!(solo.peer.counters().overload, 1);
}

/// Separate responses that nobody acknowledges are sent for a minute and a half: they count, too.
#[test]
fn unacknowledged_separate_responses_are_bounded() {
    let mut config = Config::default();
    config.max_exchanges = 4;
    let mut solo = Solo::new(config);
    for id in 0..4 {
        let exchange = solo.hear_request(&get(MessageType::Con, id, b"t"));
        solo.pass(0.6);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT));
        solo.say();
    }
    assert_eq!(solo.hear(&get(MessageType::Con, 4, b"t")), None);
    assert_eq!(kind_of(&solo.say_one()), (MessageType::Ack, Code::SERVICE_UNAVAILABLE));
    for _ in 0..10 {
        solo.pass(30.0);
        solo.say();
    }
    solo.hear_request(&get(MessageType::Con, 5, b"t"));
}

mod settling {
    use super::*;

    fn settled(solo: &mut Solo) -> bool {
        solo.peer.poll_event().is_some_and(|event| matches!(event, Event::Settled(_)))
    }

    /// A piggy-backed answer has arrived when its request does not come again within ACK_TIMEOUT x ACK_RANDOM_FACTOR.
    #[test]
    fn a_piggybacked_answer_settles_when_its_request_stays_away() {
        let mut solo = Solo::new(Config::default());
        let request = post(MessageType::Con, 1, b"t");
        let exchange = solo.hear_request(&request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CHANGED).settle());
        assert_eq!(solo.peer.poll_timeout(), Some((solo.now + seconds(3.0), Timer::Settle)));
        solo.pass(2.9);
        assert!(!settled(&mut solo));
        solo.hear(&request);
        solo.pass(2.9);
        assert!(!settled(&mut solo), "its request came again: the answer had been lost");
        solo.pass(0.2);
        assert!(settled(&mut solo));
        assert_eq!(solo.peer.poll_timeout(), None);
    }

    #[test]
    fn a_separate_answer_settles_when_it_is_acknowledged() {
        let mut solo = Solo::new(Config::default());
        let exchange = solo.hear_request(&post(MessageType::Con, 1, b"t"));
        solo.pass(1.0);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CHANGED).settle());
        let response = solo.say().pop().unwrap();
        solo.pass(1.0);
        assert!(!settled(&mut solo));
        let id = Message::parse(&response).unwrap().id;
        solo.hear(&message(MessageType::Ack, Code::EMPTY, id, b"", &[], b""));
        assert!(settled(&mut solo));
        assert_eq!(solo.peer.poll_timeout(), None);
    }

    #[test]
    fn pending_notifications_are_waited_for_but_not_for_ever() {
        for acknowledged in [true, false] {
            let mut solo = Solo::new(Config::default());
            let observe = message(MessageType::Con, Code::GET, 9, b"obs", &[(6, b"")], b"");
            let observing = solo.hear_request(&observe);
            solo.peer.respond(solo.now, observing, Reply::new(Code::CONTENT).observe(true).body(b"1"));
            let exchange = solo.hear_request(&post(MessageType::Con, 1, b"t"));
            solo.peer.notify(
                solo.now,
                lapwing_coap::Token::new(b"obs").unwrap(),
                Reply::new(Code::CONTENT).body(b"2"),
                true,
            );
            solo.peer.respond(solo.now, exchange, Reply::new(Code::CHANGED).settle());
            let notification = solo.say().pop().unwrap();
            solo.pass(2.0);
            solo.pass(2.0);
            assert!(!settled(&mut solo), "the notification is still on its way");
            if acknowledged {
                let id = Message::parse(&notification).unwrap().id;
                solo.hear(&message(MessageType::Ack, Code::EMPTY, id, b"", &[], b""));
            } else {
                solo.pass(88.0);
                assert!(!settled(&mut solo));
                solo.pass(2.0);
            }
            let settled: Vec<_> = solo.events().into_iter().filter(|seen| *seen == Seen::Settled(exchange)).collect();
            assert_eq!(settled.len(), 1);
        }
    }
}
