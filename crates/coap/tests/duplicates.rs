//! De-duplication (RFC 7252 section 4.5), within a budget and with message IDs that wrap.

mod common;

use std::collections::HashMap;

use common::{Pair, Seen, Solo, get, message, post, seconds};
use lapwing_coap::{
    Code, Message, MessageType,
    peer::{Config, Outgoing, Reply},
    wire::option,
};
use sim::{Cable, World};

/// A message ID that comes back with another token is a new message: at full speed 65,536 wrap within seconds.
#[test]
fn the_same_id_with_another_token_or_content_is_a_new_message() {
    let mut solo = Solo::new(Config::default());
    let requests = [
        get(MessageType::Con, 1, b"a"),
        get(MessageType::Con, 1, b"b"),
        post(MessageType::Con, 1, b"b"),
        get(MessageType::Con, 1, b""),
    ];
    for request in &requests {
        let exchange = solo.hear_request(request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&request[4..]));
    }
    let answers = solo.say();
    for (request, answer) in requests.iter().zip(&answers) {
        assert_eq!(solo.hear(request), None);
        assert_eq!(&solo.say_one(), answer);
    }
}

#[test]
fn after_exchange_lifetime_the_same_message_is_a_new_one() {
    let mut solo = Solo::new(Config::default());
    for request in [get(MessageType::Con, 1, b"a"), post(MessageType::Con, 1, b"a")] {
        let exchange = solo.hear_request(&request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT));
        solo.pass(246.0);
        assert_eq!(solo.hear(&request), None);
        solo.pass(2.0);
        solo.hear_request(&request);
    }
}

/// A peer under a storm of requests, and what the engine above it did.
struct Storm {
    solo: Solo,
    /// How often each request was handed out that must not run twice.
    executed: HashMap<Vec<u8>, u32>,
    /// All requests and the last answer to each.
    log: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Storm {
    /// Each 16 requests have a token; its message ID comes back after 65,536 with another one. Every fifth must not run twice.
    fn request(number: u32) -> Vec<u8> {
        let token = (number >> 4).to_be_bytes();
        if number.is_multiple_of(5) {
            post(MessageType::Con, number as u16, &token)
        } else {
            get(MessageType::Con, number as u16, &token)
        }
    }

    /// Hears a request, has it answered with its token if it is handed out, and gives the one answer; and whether it was.
    fn hear(&mut self, request: &[u8]) -> (Vec<u8>, bool) {
        let asked = Message::parse(request).unwrap();
        let handed_out = match self.solo.hear(request) {
            Some(Seen::Request { exchange, head, .. }) => {
                assert_eq!((head.code, head.token), (asked.code, asked.token));
                let code = if head.code == Code::POST { Code::CHANGED } else { Code::CONTENT };
                self.solo.peer.respond(self.solo.now, exchange, Reply::new(code).body(asked.token.as_bytes()));
                if head.code == Code::POST {
                    *self.executed.entry(request.to_vec()).or_default() += 1;
                }
                true
            }
            None => false,
            other => panic!("{other:?}"),
        };
        let answer = self.solo.say_one();
        let said = Message::parse(&answer).unwrap();
        assert_eq!((said.kind, said.id, said.token), (MessageType::Ack, asked.id, asked.token));
        match said.code {
            Code::CONTENT => assert_eq!((asked.code, said.payload), (Code::GET, asked.token.as_bytes())),
            Code::CHANGED | Code::SERVICE_UNAVAILABLE => assert_eq!(asked.code, Code::POST),
            other => panic!("{other}"),
        }
        (answer, handed_out)
    }

    /// Hears one that came before once more: the same answer; a GET may have been forgotten, a POST refused before may run now.
    fn hear_again(&mut self, place: usize) -> bool {
        let (request, before) = self.log[place].clone();
        let (asked, answered) = (Message::parse(&request).unwrap().code, Message::parse(&before).unwrap().code);
        let (after, handed_out) = self.hear(&request);
        if handed_out {
            assert!(asked == Code::GET || answered == Code::SERVICE_UNAVAILABLE, "{asked} {answered}");
        } else {
            assert_eq!(Message::parse(&after).unwrap().code, answered);
        }
        self.log[place].1 = after;
        !handed_out
    }
}

#[test]
fn two_hundred_thousand_requests_are_answered_rightly_and_nothing_runs_twice() {
    let solo = Solo::new(Config::default());
    let mut storm = Storm { solo, executed: HashMap::new(), log: Vec::new() };
    let mut repeated = 0;
    for number in 0..200_000_u32 {
        if number.is_multiple_of(1000) {
            storm.solo.pass(1.0);
        }
        let request = Storm::request(number);
        let (answer, _) = storm.hear(&request);
        storm.log.push((request, answer));
        if number.is_multiple_of(3) {
            // One that may be as old as 20,000 messages, which are 20 seconds.
            let age = 1 + number as usize * 7919 % storm.log.len().min(20_000);
            repeated += usize::from(storm.hear_again(storm.log.len() - age));
        }
        assert!(storm.solo.peer.memory().answers <= 40 * 1024, "{:?}", storm.solo.peer.memory());
    }
    assert!(storm.executed.values().all(|times| *times == 1), "something ran twice");
    // 40,000 came within the 200 seconds that they are remembered: more than there is room for.
    let ran = storm.executed.len();
    assert!((1024..10_000).contains(&ran), "{ran} ran");
    assert!(repeated > 10_000 && storm.solo.peer.counters().overload > 10_000, "{repeated}");
}

/// Without pressure nothing is refused and nothing forgotten: a poll a second, and an Execute every ten.
#[test]
fn at_the_pace_of_management_every_duplicate_has_its_answer_for_four_minutes() {
    let mut solo = Solo::new(Config::default());
    let mut log = Vec::new();
    for number in 0..1000_u16 {
        let request =
            if number % 10 == 0 { post(MessageType::Con, number, b"tk") } else { get(MessageType::Con, number, b"tk") };
        let exchange = solo.hear_request(&request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&number.to_be_bytes()));
        log.push((request, solo.say_one()));
        solo.pass(1.0);
        for age in [1, 10, 100, 240] {
            let Some(place) = log.len().checked_sub(age) else { continue };
            assert_eq!(solo.hear(&log[place].0), None, "{number} - {age}");
            assert_eq!(solo.say_one(), log[place].1);
        }
    }
    assert_eq!(solo.peer.counters().overload, 0);
}

/// "Of other requests message ID, token, digest and code stay": the Location of the first is forgotten, that it ran is not.
#[test]
fn an_answer_that_was_dropped_is_repeated_by_its_code() {
    let mut solo = Solo::new(Config::default());
    let create =
        |id: u16| message(MessageType::Con, Code::POST, id, &id.to_be_bytes(), &[(option::URI_PATH, b"3441")], b"x");
    let location = "a".repeat(100);
    let mut first = Vec::new();
    for id in 0..1000 {
        let exchange = solo.hear_request(&create(id));
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CREATED).location(&["3441", &location]));
        let answer = solo.say_one();
        if id == 0 {
            first = answer;
        }
        if id == 1 {
            assert_eq!(solo.hear(&create(0)), None);
            assert_eq!(solo.say_one(), first, "the whole answer while there is room");
        }
    }
    assert_eq!(solo.hear(&create(0)), None);
    assert_eq!(solo.say_one(), message(MessageType::Ack, Code::CREATED, 0, &[0, 0], &[], b""));
}

/// A GET whose answer is no longer there is asked again: never is half of an answer repeated.
#[test]
fn a_get_whose_answer_was_dropped_is_made_anew() {
    let mut solo = Solo::new(Config::default());
    let mut forgotten = 0;
    for id in 0..100 {
        let exchange = solo.hear_request(&get(MessageType::Con, id, b"g"));
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&[id as u8; 1000]));
        solo.say();
    }
    for id in 0..100 {
        match solo.hear(&get(MessageType::Con, id, b"g")) {
            Some(Seen::Request { exchange, .. }) => {
                forgotten += 1;
                solo.peer.drop_exchange(exchange);
            }
            None => assert_eq!(Message::parse(&solo.say_one()).unwrap().payload, [id as u8; 1000]),
            other => panic!("{other:?}"),
        }
    }
    assert!((50..100).contains(&forgotten), "{forgotten}");
}

#[test]
fn answers_to_get_go_first() {
    let mut solo = Solo::new(Config::default());
    let answer = |solo: &mut Solo, request: &[u8]| {
        let exchange = solo.hear_request(request);
        solo.peer.respond(solo.now, exchange, Reply::new(Code::CONTENT).body(&[b'x'; 40]));
        solo.say_one()
    };
    for id in 0..200 {
        answer(&mut solo, &get(MessageType::Con, id, b"g"));
    }
    assert_eq!(solo.hear(&get(MessageType::Con, 0, b"g")), None, "there is room for both");
    solo.say_one();
    for id in 0..1200 {
        answer(&mut solo, &post(MessageType::Con, id, b"p"));
    }
    for id in 0..1200 {
        assert_eq!(solo.hear(&post(MessageType::Con, id, b"p")), None, "{id}");
        assert_eq!(Message::parse(&solo.say_one()).unwrap().code, Code::CONTENT);
    }
    assert!(matches!(solo.hear(&get(MessageType::Con, 0, b"g")), Some(Seen::Request { .. })), "this one gave way");
}

/// Over a cable that loses, doubles and re-orders, with answers piggy-backed or separate: what was answered ran exactly once, what was
/// not ran once at most.
#[test]
fn a_request_that_was_answered_has_run_exactly_once() {
    let (mut answered, mut failed) = (0, 0);
    for seed in 0..50 {
        let cable = Cable::new().latency(seconds(0.1)).loss(0.25).duplication(0.25).reordering(0.25, seconds(8.0));
        let mut pair = Pair::with(Config::default(), Config::default(), World::seeded(seed).cable(cable));
        let mut late = None;
        pair.server.engine(move |peer, now, seen| {
            // Every other one is answered only when the next one comes.
            let Seen::Request { exchange, head, .. } = seen else { return };
            if let Some(late) = late.take() {
                peer.respond(now, late, Reply::new(Code::CHANGED));
                peer.respond(now, *exchange, Reply::new(Code::CHANGED));
            } else if head.path.ends_with('7') {
                late = Some(*exchange);
            } else {
                peer.respond(now, *exchange, Reply::new(Code::CHANGED));
            }
        });
        let mut requests = HashMap::new();
        for number in 0..40 {
            let path = format!("{number}");
            let request = pair.client.peer.request(pair.now(), Outgoing::new(Code::POST).path(&[&path]));
            requests.insert(request, path);
            pair.run(5.0);
        }
        pair.run(400.0);
        let mut ran: HashMap<&str, u32> = HashMap::new();
        for seen in &pair.server.seen {
            if let Seen::Request { head, .. } = seen {
                *ran.entry(&head.path).or_default() += 1;
            }
        }
        assert!(ran.values().all(|times| *times == 1), "seed {seed}: {ran:?}\n{}", pair.ladder());
        for seen in &pair.client.seen {
            match seen {
                Seen::Response { request, .. } => {
                    answered += 1;
                    assert!(ran.contains_key(requests[request].as_str()), "seed {seed}");
                }
                Seen::Failed { .. } => failed += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(answered + failed, 50 * 40, "each request ends");
    assert!(answered > 1800 && failed > 0, "{answered} {failed}");
}
