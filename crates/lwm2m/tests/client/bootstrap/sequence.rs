//! The bootstrap sequence (LwM2M Core 1.1 section 6.1.4; LightweightM2M-1.1-int-6), the hold-off time (0/x/11), and a bootstrap
//! server that cannot be had.

use std::time::Duration;

use lapwing_coap::Code;
use lapwing_lwm2m::{
    account::ServerId,
    client::{Command, Event, Failure, FlowError},
};

use super::{account, config, with_server};
use crate::harness::{Harness, seconds};

fn failed(event: Event) -> (Failure, Option<Duration>) {
    match event {
        Event::BootstrapFailed { reason, retry_in } => (reason, retry_in),
        other => panic!("unexpected {other:?}"),
    }
}

/// int-6, step 3: who has a server registers with it, and asks nobody else.
#[test]
fn int_6_a_known_server_comes_first() {
    let mut harness = Harness::registered_with(with_server());
    assert_eq!(harness.opens.len(), 1);
    harness.run_for(seconds(20));
    assert_eq!(harness.opens.len(), 1);
    assert_eq!(harness.opens[0].server, ServerId::Server(1));
}

/// int-6, step 4: who has none asks the bootstrap server, after its hold-off time.
#[test]
fn int_6_the_bootstrap_server_is_asked_after_the_hold_off_time() {
    let mut config = config();
    config.bootstrap = Some(account().hold_off(30));
    let mut harness = Harness::new(config);
    harness.declare();
    harness.run_for(seconds(29));
    assert!(harness.opens.is_empty());
    harness.run_for(seconds(1));
    harness.begin_bootstrap();
    assert_eq!(harness.opens[0].server, ServerId::Bootstrap);
}

/// The application need not wait.
#[test]
fn a_command_does_not_hold_off() {
    let mut config = config();
    config.bootstrap = Some(account().hold_off(30));
    let mut harness = Harness::new(config);
    harness.declare();
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    harness.run_for(seconds(60));
    assert_eq!(harness.opens.len(), 1, "asked once");
}

#[test]
fn without_an_account_there_is_nobody_to_ask() {
    let mut config = config();
    config.bootstrap = None;
    let mut harness = Harness::new(config);
    harness.declare();
    harness.command(Command::Bootstrap);
    assert_eq!(harness.drive(), None);
    assert!(harness.opens.is_empty() && harness.events.is_empty());
}

/// Nobody else is left to go on with: the bootstrap server is asked without end, ever more rarely.
#[test]
fn an_unreachable_bootstrap_server_is_asked_again() {
    let mut harness = Harness::new(config());
    harness.network = Err(FlowError::Refused);
    harness.declare();
    for attempt in 0..20 {
        assert_eq!(harness.next_event(), Event::BootstrapBegun);
        let (reason, retry_in) = failed(harness.next_event());
        assert_eq!(reason, Failure::Flow(FlowError::Refused));
        let full = seconds(2).saturating_mul(2u32.saturating_pow(attempt)).min(seconds(300));
        let delay = retry_in.unwrap();
        assert!(delay <= full && delay >= full.mul_f64(0.75), "{attempt}: {delay:?}");
        harness.run_for(delay);
    }
    // A changed network makes it worth while at once.
    harness.network = Ok(());
    harness.events.clear();
    harness.command(Command::NetworkChanged);
    harness.begin_bootstrap();
}

#[test]
fn every_way_to_fail_is_told() {
    let (mut silent, mut refused, mut reset) = (Harness::new(config()), Harness::new(config()), Harness::new(config()));
    silent.declare();
    silent.take_bootstrap_request();
    let (reason, _) = failed(silent.run_to_event());
    assert_eq!((reason, silent.sent.len()), (Failure::TimedOut, 4), "MAX_RETRANSMIT more");
    refused.declare();
    let request = refused.take_bootstrap_request();
    refused.answer(&request, Code::BAD_REQUEST);
    assert_eq!(failed(refused.next_event()).0, Failure::Refused(Code::BAD_REQUEST));
    reset.declare();
    let request = reset.take_bootstrap_request();
    reset.reset(&request);
    assert_eq!(failed(reset.next_event()).0, Failure::Reset);
    for harness in [&silent, &refused, &reset] {
        assert!(harness.flows.is_empty());
    }
}

/// A moved address: without DTLS and a Connection ID the bootstrap server cannot know who goes on.
#[test]
fn a_moved_flow_ends_the_bootstrap() {
    use lapwing_lwm2m::client::FlowEvent;
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Moved);
    let (reason, retry_in) = failed(harness.next_event());
    assert_eq!(reason, Failure::Flow(FlowError::Unreachable));
    harness.run_for(retry_in.unwrap());
    harness.begin_bootstrap();
    assert_eq!(harness.finish(), Code::NOT_ACCEPTABLE, "what was written before is gone");
}

/// A client that is told to stop asks nobody any more, and one that is told to register goes on.
#[test]
fn stopping_ends_a_bootstrap() {
    let mut harness = Harness::bootstrapping(config());
    harness.command(Command::Deregister);
    assert_eq!(harness.next_event(), Event::Stopped);
    assert!(harness.flows.is_empty());
    harness.run_for(seconds(1_000));
    assert!(harness.events.is_empty());
    harness.command(Command::Register);
    harness.begin_bootstrap();
}
