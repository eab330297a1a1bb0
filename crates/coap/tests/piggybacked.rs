//! A confirmable request and its piggy-backed response (RFC 7252 section 5.2.1).

mod common;

use common::{Head, Pair, Seen, Solo, get, message, seconds};
use lapwing_coap::{
    Code, ContentFormat, Message, MessageType,
    peer::{Config, Failure, Outgoing, Reply},
    wire::option,
};
use sim::{Cable, World};

#[test]
fn a_get_takes_one_message_each_way() {
    let mut pair = Pair::new();
    pair.server.engine(|peer, now, seen| {
        let Seen::Request { exchange, head, .. } = seen else { return };
        assert_eq!((head.code, head.path.as_str()), (Code::GET, "3/0/0"));
        peer.respond(now, *exchange, Reply::new(Code::CONTENT).content_format(ContentFormat::TEXT).body(b"Lapwing"));
    });
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3", "0", "0"]));
    pair.run(300.0);
    let [Seen::Response { request: answered, head, payload }] = &pair.client.seen[..] else {
        panic!("{}", pair.ladder())
    };
    assert_eq!((*answered, head.code, payload.as_slice()), (request, Code::CONTENT, &b"Lapwing"[..]));
    assert_eq!((pair.sent_by_client().len(), pair.sent_by_server().len()), (1, 1), "{}", pair.ladder());
    let answer = &pair.sent_by_server()[0].1;
    assert_eq!(Message::parse(answer).unwrap().kind, MessageType::Ack);
    assert_eq!(pair.client.peer.poll_timeout(), None, "nothing is left to wait for");
    assert_eq!(pair.server.peer.poll_timeout(), None, "nothing is left to wait for");
}

/// RFC 7252 section 4.2: sent again after ACK_TIMEOUT x 1..1.5, doubling, four times; then the request has failed.
#[test]
fn a_request_that_nobody_acknowledges_is_sent_five_times() {
    let mut pair = Pair::with(Config::default(), Config::default(), World::seeded(1).cable(Cable::new().loss(1.0)));
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3"]));
    pair.run(300.0);
    assert_eq!(pair.client.seen, [Seen::Failed { request, why: Failure::TimedOut }]);
    let sent = pair.sent_by_client();
    assert_eq!(sent.len(), 5);
    assert!(sent.iter().all(|(_, datagram)| *datagram == sent[0].1), "the same message each time");
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps[0] >= seconds(2.0) && gaps[0] <= seconds(3.0), "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{gaps:?}");
    assert_eq!(pair.client.peer.counters().retransmissions, 4);
}

#[test]
fn a_lost_answer_is_answered_again_and_the_request_runs_once() {
    let mut pair = Pair::new();
    pair.server.answer(Code::CHANGED, b"");
    let (mut losses, server) = (2, pair.server.address);
    pair.world.lose_when(move |from, _, _| {
        losses -= u8::from(from == server && losses > 0);
        from == server && losses > 0
    });
    let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::POST).path(&["3", "0", "4"]));
    pair.run(300.0);
    assert!(
        matches!(&pair.client.seen[..], [Seen::Response { request: answered, head: Head { code: Code::CHANGED, .. }, .. }] if *answered == request)
    );
    assert_eq!(pair.server.requests(), 1, "{}", pair.ladder());
    let answers = pair.sent_by_server();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].1, answers[1].1, "the same answer");
    assert_eq!(pair.server.peer.counters().duplicates, 1);
}

/// RFC 7252 section 5.3.2: the token must match, and for a piggy-backed response the message ID, too.
#[test]
fn an_acknowledgement_with_another_token_or_id_is_no_answer() {
    let mut solo = Solo::new(Config::default());
    solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
    let sent = solo.say_one();
    let request = Message::parse(&sent).unwrap();
    let answer = |id, token: &[u8]| message(MessageType::Ack, Code::CONTENT, id, token, &[], b"x");
    assert_eq!(solo.hear(&answer(request.id, b"other")), None);
    assert_eq!(solo.hear(&answer(request.id.wrapping_add(1), request.token.as_bytes())), None);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new(), "noise is ignored silently");
    assert_eq!(solo.peer.counters().unmatched, 2);
    assert!(matches!(solo.hear(&answer(request.id, request.token.as_bytes())), Some(Seen::Response { .. })));
}

/// RFC 7252 section 4.2: a reset says that the request was rejected.
#[test]
fn a_reset_fails_the_request() {
    let mut solo = Solo::new(Config::default());
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
    let id = Message::parse(&solo.say_one()).unwrap().id;
    solo.hear(&message(MessageType::Rst, Code::EMPTY, id, b"", &[], b""));
    assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::Reset }]);
    assert_eq!(solo.peer.poll_timeout(), None);
}

/// RFC 7252 section 5.2.3: a non-confirmable request has a non-confirmable response.
#[test]
fn a_non_confirmable_request_has_a_non_confirmable_answer_and_its_duplicate_none() {
    let mut solo = Solo::new(Config::default());
    let request = get(MessageType::Non, 77, b"tok");
    let exchange = solo.hear_request(&request);
    solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(b"x"));
    let answer = solo.say_one();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!((answer.kind, answer.token.as_bytes(), answer.payload), (MessageType::Non, &b"tok"[..], &b"x"[..]));
    assert_eq!(solo.hear(&request), None);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_non_confirmable_request_fails_when_no_response_comes() {
    let mut solo = Solo::new(Config::default());
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]).non_confirmable());
    assert_eq!(Message::parse(&solo.say_one()).unwrap().kind, MessageType::Non);
    solo.pass(92.0);
    assert_eq!(solo.events(), []);
    solo.pass(2.0);
    assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::TimedOut }]);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new(), "never sent again");
}

/// RFC 7252 section 5.4.1: an unknown critical option is 4.02 in a confirmable request, and silence in another.
#[test]
fn an_unknown_critical_option_is_refused() {
    let mut solo = Solo::new(Config::default());
    let odd: [(u16, &[u8]); 2] = [(option::URI_PATH, b"3"), (65_001, b"?")];
    assert_eq!(solo.hear(&message(MessageType::Con, Code::GET, 1, b"t", &odd, b"")), None);
    let answer = solo.say_one();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!((answer.kind, answer.code, answer.id), (MessageType::Ack, Code::BAD_OPTION, 1));
    assert_eq!(solo.hear(&message(MessageType::Non, Code::GET, 2, b"t", &odd, b"")), None);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new());
    assert_eq!(solo.peer.counters().bad_options, 2);
    let elective: [(u16, &[u8]); 2] = [(option::URI_PATH, b"3"), (65_000, b"?")];
    assert!(solo.hear(&message(MessageType::Con, Code::GET, 3, b"t", &elective, b"")).is_some());
}

/// RFC 7252 section 5.10.2: who is no proxy answers 5.05.
#[test]
fn a_request_to_a_proxy_is_refused() {
    let mut solo = Solo::new(Config::default());
    let uri: [(u16, &[u8]); 1] = [(option::PROXY_URI, b"coap://example.net/3")];
    let scheme: [(u16, &[u8]); 1] = [(option::PROXY_SCHEME, b"coap")];
    for (id, options) in [(1, uri), (2, scheme)] {
        assert_eq!(solo.hear(&message(MessageType::Con, Code::GET, id, b"t", &options, b"")), None);
        assert_eq!(Message::parse(&solo.say_one()).unwrap().code, Code::PROXYING_NOT_SUPPORTED);
    }
}

/// RFC 7252 section 5.4.1: a response with an unknown critical option is rejected.
#[test]
fn a_response_with_an_unknown_critical_option_is_rejected() {
    let mut solo = Solo::new(Config::default());
    let odd: [(u16, &[u8]); 1] = [(65_001, b"?")];
    let request = solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
    let sent = solo.say_one();
    let token = Message::parse(&sent).unwrap().token;
    solo.hear(&message(MessageType::Con, Code::CONTENT, 9, token.as_bytes(), &odd, b""));
    let reset = solo.say_one();
    assert_eq!((Message::parse(&reset).unwrap().kind, Message::parse(&reset).unwrap().id), (MessageType::Rst, 9));
    assert_eq!(solo.events(), [Seen::Failed { request, why: Failure::BadOption }]);
}

/// RFC 7252 section 4.3: a ping is rejected with a reset. Section 4.2: acknowledgements and resets of nothing are ignored.
#[test]
fn noise_and_pings() {
    let mut solo = Solo::new(Config::default());
    assert_eq!(solo.hear(&message(MessageType::Con, Code::EMPTY, 5, b"", &[], b"")), None);
    assert_eq!(solo.say_one(), message(MessageType::Rst, Code::EMPTY, 5, b"", &[], b""));
    for kind in [MessageType::Ack, MessageType::Rst] {
        assert_eq!(solo.hear(&message(kind, Code::EMPTY, 6, b"", &[], b"")), None);
    }
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new());
    for kind in [MessageType::Con, MessageType::Non] {
        assert_eq!(solo.hear(&message(kind, Code::CONTENT, 7, b"nobody", &[], b"x")), None);
        assert_eq!(solo.say_one(), message(MessageType::Rst, Code::EMPTY, 7, b"", &[], b""));
    }
    // A request in an ACK is a format error that nobody acknowledges.
    assert_eq!(solo.hear(&[0x60, 0x01, 0, 8]), None);
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new());
    assert_eq!((solo.peer.counters().unmatched, solo.peer.counters().malformed), (4, 1));
}

#[test]
fn a_ping_is_answered_or_fails() {
    let mut pair = Pair::new();
    let ping = pair.client.peer.ping(pair.now());
    pair.run(1.0);
    assert_eq!(pair.client.take(), [Seen::Failed { request: ping, why: Failure::Pong }]);
    pair.world.cut(pair.client.address, pair.server.address);
    let ping = pair.client.peer.ping(pair.now());
    pair.run(300.0);
    assert_eq!(pair.client.take(), [Seen::Failed { request: ping, why: Failure::TimedOut }]);
}

/// LwM2M 1.1 section 6.2.1: what comes before registration is complete is ignored.
#[test]
fn a_silent_peer_drops_requests_and_still_has_its_own_answered() {
    let mut solo = Solo::new(Config::default());
    solo.peer.set_silent(true);
    let before = solo.peer.memory();
    for id in 0..1000 {
        assert_eq!(solo.hear(&get(MessageType::Con, id, b"t")), None);
    }
    assert_eq!(solo.say(), Vec::<Vec<u8>>::new());
    assert_eq!((solo.peer.memory(), solo.peer.counters().silenced), (before, 1000));
    solo.peer.request(solo.now, Outgoing::new(Code::POST).path(&["rd"]));
    let sent = solo.say_one();
    let request = Message::parse(&sent).unwrap();
    let answer = message(MessageType::Ack, Code::CREATED, request.id, request.token.as_bytes(), &[], b"");
    assert!(matches!(solo.hear(&answer), Some(Seen::Response { .. })));
    solo.peer.set_silent(false);
    assert!(solo.hear(&get(MessageType::Con, 1, b"t")).is_some(), "nothing of the first one was kept");
}

/// RFC 7252 section 4.7: at most NSTART wait for an acknowledgement; the others queue, in order.
#[test]
fn requests_queue_behind_nstart() {
    let mut config = Config::default();
    config.transmission.nstart = 2;
    let mut pair = Pair::with(config, Config::default(), World::seeded(1).cable(Cable::new().latency(seconds(0.5))));
    pair.server.answer(Code::CONTENT, b"x");
    let requests: Vec<_> =
        (0..6).map(|_| pair.client.peer.request(pair.now(), Outgoing::new(Code::GET).path(&["3"]))).collect();
    pair.run(0.9);
    assert_eq!(pair.sent_by_client().len(), 2);
    pair.run(2.5);
    let answered = pair.client.seen.iter().map(|seen| match seen {
        Seen::Response { request, .. } => *request,
        other => panic!("{other:?}"),
    });
    assert_eq!(answered.collect::<Vec<_>>(), requests);
}

/// RFC 7252 section 4.4: an ID is used again only after all others; and never while its message waits for its acknowledgement.
#[test]
fn own_message_ids_wrap_around_a_message_that_is_still_on_its_way() {
    let mut config = Config::default();
    config.transmission.nstart = 2;
    let mut solo = Solo::new(config);
    solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["slow"]));
    let slow = Message::parse(&solo.say_one()).unwrap().id;
    let mut before = slow;
    for number in 0..200_000_u32 {
        solo.peer.request(solo.now, Outgoing::new(Code::GET).path(&["3"]));
        let sent = solo.say_one();
        let request = Message::parse(&sent).unwrap();
        let expected = before.wrapping_add(if before.wrapping_add(1) == slow { 2 } else { 1 });
        assert_eq!(request.id, expected, "{number}");
        before = request.id;
        let answer = message(MessageType::Ack, Code::CONTENT, request.id, request.token.as_bytes(), &[], b"x");
        assert!(matches!(solo.hear(&answer), Some(Seen::Response { .. })));
    }
}
