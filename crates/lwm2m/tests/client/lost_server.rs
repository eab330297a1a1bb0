//! A server that cannot be reached: attempts without end, or as the Server object's retry resources say (LwM2M Core 1.1
//! section 6.2.1.1; [`Retry`] tells what is our own).

use std::time::Duration;

use lapwing_coap::Code;
use lapwing_lwm2m::{
    account::Retry,
    client::{Command, Event, Failure, FlowError, FlowEvent, Loss, Reply, Status, Why},
    model::Node,
};

use crate::harness::{Ask, Harness, More, seconds};

fn failed(event: Event) -> (Failure, Option<Duration>) {
    match event {
        Event::RegistrationFailed { server: 1, reason, retry_in } => (reason, retry_in),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn an_unresolvable_host_is_tried_without_end() {
    let mut harness = Harness::new(Harness::config());
    harness.network = Err(FlowError::Unresolved);
    harness.declare();
    let mut longest = Duration::ZERO;
    for attempt in 0..50 {
        let (reason, retry_in) = failed(harness.next_event());
        assert_eq!(reason, Failure::Flow(FlowError::Unresolved));
        let delay = retry_in.unwrap();
        let full = seconds(2).saturating_mul(2u32.saturating_pow(attempt)).min(seconds(300));
        assert!(delay <= full && delay >= full.mul_f64(0.75), "{attempt}: {delay:?}");
        assert_eq!(harness.client.status(1), Some(Status::Waiting));
        longest = longest.max(delay);
        harness.run_for(delay);
        assert_eq!(harness.opens.len(), attempt as usize + 2, "each attempt resolves anew");
    }
    assert!(longest > seconds(225));
}

#[test]
fn a_silent_server_is_tried_again() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    let (reason, retry_in) = failed(harness.run_to_event());
    assert_eq!(harness.sent.len(), 5, "a transmission and MAX_RETRANSMIT more");
    assert_eq!(reason, Failure::TimedOut);
    assert!(retry_in <= Some(seconds(2)));
    harness.sent.clear();
    harness.run_for(retry_in.unwrap());
    harness.accept_registration();
    // A success begins the delays anew.
    harness.command(Command::Update(Some(1)));
    let update = harness.take();
    harness.answer(&update, Code::NOT_FOUND);
    harness.next_event();
    assert!(failed(harness.run_to_event()).1 <= Some(seconds(2)));
}

#[test]
fn a_refusal_is_told_and_tried_again() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    for (code, delay) in [(Code::FORBIDDEN, 2), (Code::BAD_REQUEST, 4), (Code::PRECONDITION_FAILED, 8)] {
        let register = harness.take();
        harness.answer(&register, code);
        assert_eq!(failed(harness.next_event()).0, Failure::Refused(code));
        harness.run_for(seconds(delay));
    }
}

#[test]
fn the_retry_resources_are_obeyed() {
    let mut config = Harness::config();
    config.servers[0].retry = Retry::UNSET.count(2).timer(10).sequence_delay(1_000).sequence_count(2);
    let mut harness = Harness::new(config);
    harness.network = Err(FlowError::Refused);
    harness.declare();
    for expected in [Some(10), Some(1_000), Some(10), None] {
        let (_, retry_in) = failed(harness.next_event());
        assert_eq!(retry_in, expected.map(seconds));
        harness.run_for(retry_in.unwrap_or(seconds(1_000_000)));
    }
    assert_eq!((harness.opens.len(), harness.client.status(1)), (4, Some(Status::Stopped)));
    harness.network = Ok(());
    harness.command(Command::NetworkChanged);
    harness.accept_registration();
}

#[test]
fn a_changed_network_tries_at_once() {
    let mut harness = Harness::new(Harness::config());
    harness.network = Err(FlowError::Unreachable);
    harness.declare();
    for _ in 0..10 {
        let (_, retry_in) = failed(harness.next_event());
        harness.run_for(retry_in.unwrap());
    }
    harness.next_event();
    harness.network = Ok(());
    harness.command(Command::NetworkChanged);
    harness.accept_registration();
}

/// A Register that went out by the old network need not be waited for.
#[test]
fn a_changed_network_does_not_wait_for_an_old_answer() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    harness.take();
    harness.run_for(seconds(1));
    harness.command(Command::NetworkChanged);
    harness.accept_registration();
    assert_eq!(harness.opens.len(), 2);
}

/// Without DTLS a server knows a client by its address.
#[test]
fn a_changed_address_means_a_new_register() {
    let mut harness = Harness::registered();
    harness.observe("/3/0/9");
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Moved);
    assert_eq!(harness.next_event(), Event::ServerLost { server: 1, reason: Loss::Moved });
    assert_eq!(harness.next_event(), Event::Observed(vec![]));
    let register = harness.take();
    assert_eq!((register.code, &register.path[..]), (Code::POST, &["rd".to_owned()][..]));
}

#[test]
fn a_closed_flow_is_opened_anew() {
    let mut harness = Harness::registered();
    let flow = harness.flow.take().unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Closed);
    assert_eq!(harness.next_event(), Event::ServerLost { server: 1, reason: Loss::Moved });
    harness.accept_registration();
}

/// ICMP says that nobody is there: an attempt need not wait for its time-out, but a registration outlives it.
#[test]
fn a_refused_flow_ends_an_attempt_but_no_registration() {
    let mut harness = Harness::new(Harness::config());
    harness.declare();
    harness.take();
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Failed(FlowError::Refused));
    assert_eq!(failed(harness.next_event()).0, Failure::Flow(FlowError::Refused));
    harness.run_for(seconds(2));
    harness.accept_registration();
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Failed(FlowError::Refused));
    harness.expect_silence();
    assert_eq!(harness.client.status(1), Some(Status::Registered));
}

#[test]
fn an_update_without_answer_means_a_new_register() {
    let mut harness = Harness::registered();
    harness.run_for(seconds(30));
    let update = harness.take();
    harness.run_until(update.at + seconds(93));
    assert_eq!(harness.next_event(), Event::ServerLost { server: 1, reason: Loss::TimedOut });
    assert_eq!(harness.client.status(1), Some(Status::Registering));
}

#[test]
fn a_driver_that_never_opens_is_not_waited_for() {
    let mut harness = Harness::new(Harness::config());
    let tree = harness.objects.tree();
    harness.client.declare(harness.time(), tree);
    let mut buffer = Vec::new();
    // The flow is opened never.
    while !matches!(harness.client.poll_output(&mut buffer), lapwing_lwm2m::client::Output::Wait(..)) {}
    harness.network = Err(FlowError::Unreachable);
    harness.now += seconds(93);
    harness.client.handle_timeout(harness.time());
    let mut failure = None;
    loop {
        match harness.client.poll_output(&mut buffer) {
            lapwing_lwm2m::client::Output::Wait(..) => break,
            lapwing_lwm2m::client::Output::Event(event) => failure = Some(failed(event).0),
            lapwing_lwm2m::client::Output::Close(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(failure, Some(Failure::Flow(FlowError::Unresolved)));
}

/// Requests of the old registration are of no use to the new one.
#[test]
fn open_requests_end_with_the_registration() {
    let mut harness = Harness::registered();
    harness.automatic = false;
    harness.ask(Ask::get("/3/0/9"));
    let (read, _) = harness.operation();
    harness.ask(Ask::put("/3/0/15", lapwing_coap::ContentFormat::TEXT, b"x"));
    let (write, _) = harness.operation();
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Moved);
    harness.drive();
    let aborted: Vec<_> = harness.more.drain(..).collect();
    assert_eq!(aborted, [read, write].map(|id| More::Abort(id, Why::Unreachable)));
    harness.sent.clear();
    harness.complete(write, Ok(lapwing_lwm2m::client::Reply::Done));
    harness.expect_silence();
}

/// What the lost server was still being told is lost as in a network that is down; it must not be due for ever.
#[test]
fn an_answer_that_cannot_leave_does_not_keep_the_client_awake() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(Ask::get("/3/0/0"));
    let (read, _) = harness.operation();
    harness.run_for(seconds(1));
    harness.complete(read, Ok(Reply::Content(Node::single("x".repeat(1_020)))));
    harness.sent.clear();
    harness.network = Err(FlowError::Unresolved);
    let flow = harness.flow.take().unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Closed);
    let until = harness.now + seconds(600);
    let mut wakes = 0;
    while let Some(due) = harness.drive().filter(|due| *due <= until) {
        harness.now = harness.now.max(due);
        harness.client.handle_timeout(harness.time());
        wakes += 1;
        assert!(wakes < 50, "at {:?}", harness.now);
    }
    harness.expect_silence();
}

#[test]
fn a_client_that_is_told_to_register_while_it_deregisters_does() {
    let mut harness = Harness::registered_for_long();
    harness.command(Command::Deregister);
    let deregister = harness.take();
    assert_eq!(deregister.code, Code::DELETE);
    harness.command(Command::Register);
    harness.answer(&deregister, Code::DELETED);
    assert!(matches!(harness.next_event(), Event::Deregistered { server: 1, .. }));
    harness.run_for(seconds(1));
    harness.accept_registration();
}
