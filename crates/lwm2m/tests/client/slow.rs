//! Operations that take long: an empty ACK in time, a separate answer, and nobody else waits (RFC 7252 section 5.2.2).

use std::time::Duration;

use lapwing_coap::{Code, ContentFormat, MessageType};
use lapwing_lwm2m::{
    client::{ErrorCode, Reply, Why},
    model::Node,
};

use crate::harness::{Ask, Harness, More, seconds};

#[test]
fn a_slow_read_is_acknowledged_and_answered_separately() {
    let mut harness = Harness::registered();
    harness.automatic = false;
    let id = harness.ask(Ask::get("/3/0/9"));
    let (slow, _) = harness.operation();
    harness.run_for(Duration::from_millis(1_900));
    let ack = harness.take();
    assert_eq!((ack.kind, ack.code, ack.id), (MessageType::Ack, Code::EMPTY, id));
    // Meanwhile others are served.
    harness.automatic = true;
    assert_eq!(harness.request(Ask::get("/3/0/0")).text(), "Lapwing");
    harness.run_for(seconds(8));
    harness.complete(slow, Ok(Reply::Content(Node::single(5))));
    let answer = harness.take();
    assert_eq!((answer.kind, answer.code, answer.text()), (MessageType::Con, Code::CONTENT, "5"));
    harness.acknowledge(&answer);
    harness.run_for(seconds(10));
    harness.expect_silence();
}

#[test]
fn a_read_past_its_deadline_is_dropped() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(Ask::get("/3/0/9"));
    let (read, _) = harness.operation();
    harness.run_for(seconds(59));
    harness.take();
    harness.expect_silence();
    harness.run_for(seconds(1));
    let answer = harness.take();
    assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
    harness.acknowledge(&answer);
    assert_eq!(harness.more.pop_front(), Some(More::Abort(read, Why::Deadline)));
    harness.complete(read, Ok(Reply::Content(Node::single(5))));
    harness.expect_silence();
}

#[test]
fn a_mutation_past_its_deadline_runs_on() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(Ask::put("/3/0/15", ContentFormat::TEXT, b"x"));
    let (write, _) = harness.operation();
    harness.run_for(seconds(60));
    assert_eq!(harness.take().code, Code::EMPTY);
    let answer = harness.take();
    assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
    harness.acknowledge(&answer);
    assert_eq!(
        harness.more.pop_front(),
        Some(More::Abort(write, Why::Deadline)),
        "one that has not begun must not begin"
    );
    harness.complete(write, Err(ErrorCode::Internal));
    harness.expect_silence();
}

#[test]
fn operations_are_bounded() {
    let mut config = Harness::config();
    config.max_operations = 3;
    let mut harness = Harness::registered_with(config);
    harness.automatic = false;
    for _ in 0..3 {
        harness.ask(Ask::get("/3/0/9"));
    }
    assert_eq!(harness.code(Ask::get("/3/0/9")), Code::SERVICE_UNAVAILABLE);
    assert_eq!(harness.code(Ask::get("/1/0/1")), Code::CONTENT, "the engine's own objects need no operation");
    let (id, _) = harness.operation();
    harness.complete(id, Ok(Reply::Content(Node::single(1))));
    harness.take();
    harness.ask(Ask::get("/3/0/9"));
    assert_eq!(harness.operations.len(), 3);
}

/// What an Execute starts, such as a reboot, waits until the server has its answer.
#[test]
fn an_execute_settles() {
    let mut harness = Harness::registered();
    harness.automatic = false;
    harness.ask(Ask::new(Code::POST, "/3/0/4"));
    let (reboot, _) = harness.operation();
    harness.complete(reboot, Ok(Reply::Done));
    assert_eq!(harness.take().code, Code::CHANGED);
    harness.complete(reboot, Ok(Reply::Done));
    harness.expect_silence();
    harness.run_for(Duration::from_millis(2_999));
    assert!(harness.more.is_empty());
    harness.run_for(Duration::from_millis(1));
    assert_eq!(harness.more.pop_front(), Some(More::Settled(reboot)));
    // One that fails has nothing to wait for.
    harness.ask(Ask::new(Code::POST, "/3/0/4"));
    let (reboot, _) = harness.operation();
    harness.complete(reboot, Err(ErrorCode::Internal));
    assert_eq!(harness.take().code, Code::INTERNAL_SERVER_ERROR);
    harness.run_for(seconds(100));
    assert!(harness.more.is_empty());
}

#[test]
fn an_answer_of_the_wrong_kind_is_an_internal_error() {
    let mut harness = Harness::registered();
    harness.automatic = false;
    harness.ask(Ask::get("/3/0/9"));
    let (id, _) = harness.operation();
    harness.complete(id, Ok(Reply::Done));
    assert_eq!(harness.take().code, Code::INTERNAL_SERVER_ERROR);
    harness.complete(id, Ok(Reply::Done));
    harness.expect_silence();
}
