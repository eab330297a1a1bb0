//! Information reporting interface (LwM2M Core 1.1 section 6.4, RFC 7641; test cases LightweightM2M-1.1-int-301 to 303).

use std::time::Duration;

use lapwing_coap::{Code, ContentFormat, MessageType, Token};
use lapwing_lwm2m::{
    client::{ErrorCode, Event, Loss, Notifications, OperationKind, Origin, Reply},
    model::Node,
};

use crate::{
    harness::{Ask, Harness, More, seconds},
    objects::path,
};

/// int-301: at once without pmin, then pmin, pmax.
#[test]
fn notifies_between_pmin_and_pmax() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/3/0/9");
    harness.change("/3/0/9", 79);
    let first = harness.notification(token);
    assert_eq!((first.text(), first.format), ("79", Some(ContentFormat::TEXT)));
    assert_eq!(harness.write_attributes("/3/0/9", &["pmin=5", "pmax=15"]), Code::CHANGED);
    harness.change("/3/0/9", 78);
    harness.run_for(seconds(2));
    harness.change("/3/0/9", 77);
    harness.run_for(Duration::from_millis(2_999));
    harness.expect_silence();
    harness.run_for(Duration::from_millis(1));
    let second = harness.notification(token);
    assert_eq!(second.text(), "77", "the newest value, once");
    assert!(second.observe > first.observe);
    harness.run_for(Duration::from_millis(14_999));
    harness.expect_silence();
    harness.run_for(Duration::from_millis(1));
    assert_eq!(harness.notification(token).text(), "77", "nothing has changed, but pmax is over");
}

/// Section 7.3.2: pmax below pmin is ignored.
#[test]
fn ignores_a_pmax_below_pmin() {
    let mut harness = Harness::registered_for_long();
    harness.observe("/3/0/9");
    assert_eq!(harness.write_attributes("/3/0/9", &["pmin=10", "pmax=5"]), Code::CHANGED);
    harness.run_for(seconds(1_000));
    harness.expect_silence();
}

/// gt and lt count in both directions, st from the value reported last.
#[test]
fn notifies_crossings_and_steps() {
    let mut harness = Harness::registered_for_long();
    assert_eq!(harness.write_attributes("/3/0/9", &["gt=90", "lt=20", "st=30"]), Code::CHANGED);
    let token = harness.observe("/3/0/9");
    for (value, notified) in [
        (85, false),
        (90, false),
        (91, true),
        (95, false),
        (90, true),
        (61, false),
        (60, true),
        (20, true),
        (19, true),
        (15, false),
        (20, true),
        (50, true),
        (79, false),
        (21, false),
    ] {
        harness.change("/3/0/9", value);
        if notified {
            assert_eq!(harness.notification(token).text(), value.to_string());
        }
        harness.expect_silence();
        harness.run_for(seconds(1));
    }
}

/// A value that crossed and came back while pmin ran is reported when it ends.
#[test]
fn misses_no_crossing() {
    let mut harness = Harness::registered_for_long();
    assert_eq!(harness.write_attributes("/3/0/9", &["pmin=10", "gt=90"]), Code::CHANGED);
    let token = harness.observe("/3/0/9");
    harness.change("/3/0/9", 95);
    harness.run_for(seconds(1));
    harness.change("/3/0/9", 50);
    harness.expect_silence();
    harness.run_for(seconds(9));
    assert_eq!(harness.notification(token).text(), "50", "the value as it is now");
    harness.run_for(seconds(100));
    harness.expect_silence();
}

/// Without a value, thresholds make the engine read before it decides.
#[test]
fn reads_where_no_value_is_given() {
    let mut harness = Harness::registered_for_long();
    assert_eq!(harness.write_attributes("/3/0/9", &["gt=90"]), Code::CHANGED);
    let token = harness.observe("/3/0/9");
    harness.touch("/3/0/9", 85);
    harness.expect_silence();
    harness.touch("/3/0/9", 92);
    assert_eq!(harness.notification(token).text(), "92");
}

/// Values demanded while one is under way wait for it, each.
#[test]
fn no_demanded_value_is_lost_while_one_is_under_way() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/3/0/9");
    for value in 1..=5 {
        harness.change("/3/0/9", value);
        harness.run_for(seconds(1));
    }
    let first = harness.take();
    assert_eq!(first.text(), "1");
    harness.sent.clear(); // retransmissions
    harness.acknowledge(&first);
    for value in 2..=5 {
        assert_eq!(harness.notification(token).text(), value.to_string());
    }
    harness.expect_silence();
}

/// When too many wait, the oldest give way, never the newest.
#[test]
fn the_newest_value_always_arrives() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/3/0/9");
    for value in 1..=1_000 {
        harness.change("/3/0/9", value);
    }
    let first = harness.take();
    harness.acknowledge(&first);
    let rest: Vec<String> =
        std::iter::from_fn(|| harness.sent.front().is_some().then(|| harness.notification(token).text().to_owned()))
            .collect();
    assert_eq!((first.text(), rest.len()), ("1", 32));
    assert_eq!(rest.last().unwrap(), "1000");
}

#[test]
fn a_value_that_is_the_same_is_no_change() {
    let mut harness = Harness::registered_for_long();
    harness.observe("/3/0/9");
    harness.change("/3/0/9", 80);
    harness.expect_silence();
}

#[test]
fn observes_instances_and_objects() {
    let mut harness = Harness::registered_for_long();
    let (object, instance) = (harness.observe("/5"), harness.observe("/5/0"));
    harness.change("/5/0/3", 1);
    let first = harness.take();
    harness.acknowledge(&first);
    let second = harness.take();
    harness.acknowledge(&second);
    let seen = [first, second];
    let payload = |token| seen.iter().find(|sent| sent.token == token).map(|sent| sent.payload.clone()).unwrap();
    assert_eq!(payload(object), [0x06, 0, 0xc1, 3, 1, 0xc1, 5, 0]);
    assert_eq!(payload(instance), [0xc1, 3, 1, 0xc1, 5, 0]);
    harness.expect_silence();
}

/// int-303: GET with Observe 1.
#[test]
fn ends_by_get_with_observe_1() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/3/0/9");
    let id = harness.fresh_id();
    harness.ask_as(Ask { observe: Some(1), ..Ask::get("/3/0/9") }, id, token);
    let answer = harness.take();
    assert_eq!((answer.code, answer.observe, answer.text()), (Code::CONTENT, None, "80"));
    assert_eq!(harness.next_event(), Event::Observed(vec![]));
    harness.change("/3/0/9", 1);
    harness.expect_silence();
}

/// int-302: RST.
#[test]
fn ends_by_reset() {
    let mut harness = Harness::registered_for_long();
    harness.observe("/3/0/9");
    harness.change("/3/0/9", 1);
    let notification = harness.take();
    harness.reset(&notification);
    assert_eq!(harness.next_event(), Event::Observed(vec![]));
    harness.change("/3/0/9", 2);
    harness.expect_silence();
    assert_eq!(harness.client.status(1), Some(lapwing_lwm2m::client::Status::Registered));
}

/// RFC 7641 section 4.5: the client takes a server that acknowledges nothing for gone, and registers anew.
#[test]
fn registers_anew_when_a_notification_times_out() {
    let mut harness = Harness::registered_for_long();
    harness.observe("/3/0/9");
    harness.change("/3/0/9", 1);
    harness.run_for(seconds(93));
    assert!(
        harness.sent.drain(..).filter(|sent| sent.kind == MessageType::Con && sent.code == Code::CONTENT).count() == 5
    );
    assert_eq!(harness.next_event(), Event::NotificationLost { server: 1, path: path("/3/0/9") });
    assert_eq!(harness.next_event(), Event::ServerLost { server: 1, reason: Loss::NotificationTimedOut });
    assert_eq!(harness.opens.len(), 2);
    assert_eq!(harness.client.status(1), Some(lapwing_lwm2m::client::Status::Registering));
}

/// What is gone ends with 4.04 (RFC 7641 section 4.2).
#[test]
fn ends_when_its_instance_is_deleted() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/3441/0/120");
    harness.objects.remove("/3441/0");
    harness.declare();
    let first = harness.take();
    assert_eq!((first.token, first.code, first.observe), (token, Code::NOT_FOUND, None));
    harness.acknowledge(&first);
    assert_eq!(harness.take().code, Code::POST, "and the instance is told by an Update");
    assert_eq!(harness.next_event(), Event::Observed(vec![]));
}

/// A read that fails for a while must not end the observation.
#[test]
fn tries_again_what_cannot_be_read() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/5/0");
    harness.automatic = false;
    harness.change("/5/0/3", 1);
    let (id, operation) = harness.operation();
    assert_eq!(
        (operation.origin, operation.kind),
        (Origin::Observation(1), OperationKind::Read { path: path("/5/0") })
    );
    harness.complete(id, Err(ErrorCode::Unavailable));
    for delay in [1, 2, 4] {
        harness.expect_silence();
        harness.run_for(seconds(delay));
        let (id, _) = harness.operation();
        let reply = if delay == 4 {
            Ok(Reply::Content(harness.objects.get("/5/0").unwrap()))
        } else {
            Err(ErrorCode::Internal)
        };
        harness.complete(id, reply);
    }
    assert_eq!(harness.notification(token).payload, [0xc1, 3, 1, 0xc1, 5, 0]);
}

/// What changes while it is being read is read again.
#[test]
fn a_change_during_a_read_is_not_lost() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/5/0");
    harness.automatic = false;
    harness.change("/5/0/3", 1);
    let (id, _) = harness.operation();
    let old = harness.objects.get("/5/0").unwrap();
    harness.change("/5/0/3", 2);
    harness.complete(id, Ok(Reply::Content(old)));
    assert_eq!(harness.notification(token).payload, [0xc1, 3, 1, 0xc1, 5, 0]);
    let (id, _) = harness.operation();
    let new = harness.objects.get("/5/0").unwrap();
    harness.complete(id, Ok(Reply::Content(new)));
    assert_eq!(harness.notification(token).payload, [0xc1, 3, 2, 0xc1, 5, 0]);
}

#[test]
fn a_cancelled_observation_drops_its_read() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/5/0");
    harness.automatic = false;
    harness.change("/5/0/3", 1);
    let (read, _) = harness.operation();
    let id = harness.fresh_id();
    harness.ask_as(Ask { observe: Some(1), ..Ask::get("/5/0") }, id, token);
    assert_eq!(harness.more.pop_front(), Some(More::Abort(read, lapwing_lwm2m::client::Why::NotObserved)));
    harness.complete(read, Ok(Reply::Content(Node::single(1))));
    let (id, _) = harness.operation();
    let content = harness.objects.get("/5/0").unwrap();
    harness.complete(id, Ok(Reply::Content(content)));
    assert_eq!(harness.take().observe, None);
}

#[test]
fn the_same_token_observes_once() {
    let mut harness = Harness::registered_for_long();
    let token = harness.observe("/3/0/9");
    let id = harness.fresh_id();
    harness.ask_as(Ask::observe("/3/0/9"), id, token);
    assert!(harness.take().observe.is_some());
    harness.change("/3/0/9", 1);
    harness.notification(token);
    harness.expect_silence();
}

#[test]
fn observations_are_bounded() {
    let mut config = Harness::config();
    config.max_observations = 2;
    let mut harness = Harness::registered_with(config);
    harness.observe("/3/0/9");
    harness.observe("/3/0/0");
    assert_eq!(harness.code(Ask::observe("/3/0/15")), Code::SERVICE_UNAVAILABLE);
    assert_eq!(harness.code(Ask::get("/3/0/15")), Code::CONTENT);
}

#[test]
fn a_failed_first_read_observes_nothing() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(Ask::observe("/3/0/9"));
    let (id, _) = harness.operation();
    harness.complete(id, Err(ErrorCode::Internal));
    assert_eq!(harness.take().code, Code::INTERNAL_SERVER_ERROR);
    harness.change("/3/0/9", 1);
    harness.expect_silence();
    assert!(harness.operations.is_empty());
}

/// By configuration: non-confirmable, which waits for nothing.
#[test]
fn notifies_without_acknowledgement_if_configured() {
    let mut config = Harness::config();
    config.servers[0].lifetime = 0;
    config.notifications = Notifications::NonConfirmable;
    let mut harness = Harness::registered_with(config);
    harness.observe("/3/0/9");
    for value in 1..=3 {
        harness.change("/3/0/9", value);
        let notification = harness.take();
        assert_eq!((notification.kind, notification.text()), (MessageType::Non, value.to_string().as_str()));
    }
    // RFC 7641 section 4.5: a confirmable one at least every 24 hours.
    harness.run_for(seconds(86_401));
    harness.change("/3/0/9", 9);
    assert_eq!(harness.take().kind, MessageType::Con);
}

/// An observation in TLV stays in TLV.
#[test]
fn keeps_the_format_that_was_accepted() {
    let mut harness = Harness::registered_for_long();
    let answer = harness.request(Ask::observe("/3/0/9").accept(ContentFormat::TLV));
    assert_eq!(answer.payload, [0xc1, 9, 80]);
    harness.change("/3/0/9", 5);
    assert_eq!(harness.notification(answer.token).payload, [0xc1, 9, 5]);
}

/// A cancellation counts although the answer that was to begin the observation is still being read (RFC 7641 section 4.1).
#[test]
fn an_observation_that_is_cancelled_before_it_began_does_not_begin() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    let token = Token::new(b"same").unwrap();
    let (begin, end) = (harness.fresh_id(), harness.fresh_id());
    harness.ask_as(Ask::observe("/3/0/9"), begin, token);
    let (slow, _) = harness.operation();
    harness.ask_as(Ask { observe: Some(1), ..Ask::get("/3/0/9") }, end, token);
    let (quick, _) = harness.operation();
    harness.complete(quick, Ok(Reply::Content(Node::single(80))));
    assert_eq!((harness.take().id, harness.operations.len()), (end, 0));
    harness.complete(slow, Ok(Reply::Content(Node::single(80))));
    let late = harness.take();
    assert_eq!((late.id, late.code, late.observe), (begin, Code::CONTENT, None));
    harness.change("/3/0/9", 79);
    harness.expect_silence();
    assert_eq!(harness.events.pop_front(), None);
}

/// A token has one observation, the last one asked for (RFC 7641 section 4.1), in whatever order the reads end.
#[test]
fn a_token_that_asks_again_before_it_was_answered_observes_once() {
    for first_ends_first in [true, false] {
        let mut harness = Harness::registered_for_long();
        harness.automatic = false;
        let token = Token::new(b"same").unwrap();
        for _ in 0..2 {
            let id = harness.fresh_id();
            harness.ask_as(Ask::observe("/3/0/9"), id, token);
        }
        let (first, second) = (harness.operation().0, harness.operation().0);
        let order = if first_ends_first { [first, second] } else { [second, first] };
        for read in order {
            harness.complete(read, Ok(Reply::Content(Node::single(80))));
            harness.take();
        }
        harness.change("/3/0/9", 79);
        assert_eq!(harness.notification(token).text(), "79");
        harness.expect_silence();
        assert_eq!(harness.next_event(), Event::Observed(vec![path("/3/0/9")]));
        harness.automatic = true;
        let cancel = harness.fresh_id();
        harness.ask_as(Ask { observe: Some(1), ..Ask::get("/3/0/9") }, cancel, token);
        harness.take();
        assert_eq!(harness.next_event(), Event::Observed(Vec::new()), "nothing of it is left");
    }
}

/// Content that is longer than may be sent is answered 5.00, which ends an observation on both sides (RFC 7641 section 4.2).
#[test]
fn content_that_is_too_long_ends_the_observation() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    let long = || Ok(Reply::Content(Node::single("x".repeat(70_000))));
    harness.ask(Ask::observe("/3/0/0"));
    let (read, _) = harness.operation();
    harness.complete(read, long());
    let answer = harness.take();
    assert_eq!((answer.code, answer.observe), (Code::INTERNAL_SERVER_ERROR, None));
    assert_eq!(harness.events.pop_front(), None, "it never began");
    harness.automatic = true;
    harness.observe("/3/0/0");
    harness.automatic = false;
    harness.touch("/3/0/0", "new");
    let (read, _) = harness.operation();
    harness.complete(read, long());
    let last = harness.take();
    assert_eq!((last.code, last.observe), (Code::INTERNAL_SERVER_ERROR, None));
    assert_eq!(harness.next_event(), Event::Observed(Vec::new()));
    harness.touch("/3/0/0", "newer");
    assert!(harness.operations.is_empty(), "nobody observes it");
}
