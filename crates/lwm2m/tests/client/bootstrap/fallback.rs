//! Fallback to bootstrap (LwM2M Core 1.1 sections 6.1.4 and 6.2.1.1; LightweightM2M-1.1-int-7): a server that cannot be registered with.

use lapwing_coap::Code;
use lapwing_lwm2m::{
    account::{Retry, ServerId},
    client::{Event, FlowError},
};

use super::{account, with_server};
use crate::harness::{Harness, Sent, seconds};

/// Fails to register until the bootstrap server is asked, and says how often that was.
fn failures(harness: &mut Harness) -> u32 {
    let mut failures = 0;
    loop {
        match harness.run_to_event() {
            Event::RegistrationFailed { .. } => failures += 1,
            Event::BootstrapBegun => return failures,
            other => panic!("unexpected {other:?}"),
        }
        assert!(failures < 100);
    }
}

fn unreachable(retry: Retry) -> Harness {
    let mut config = with_server();
    config.servers[0].retry = retry;
    let mut harness = Harness::new(config);
    harness.network = Err(FlowError::Unreachable);
    harness.declare();
    harness
}

/// int-7: after five attempts, or as many as the retry resources say.
#[test]
fn int_7_failed_attempts_lead_to_the_bootstrap_server() {
    for (retry, expected) in [
        (Retry::UNSET, 5),
        (Retry::UNSET.count(3).timer(1), 3),
        (Retry::UNSET.count(2).timer(1).sequence_delay(10).sequence_count(3), 6),
    ] {
        assert_eq!(failures(&mut unreachable(retry)), expected, "{retry:?}");
    }
}

fn refuse(harness: &mut Harness, register: &Sent, code: Code) {
    harness.speak_as(ServerId::Server(1));
    harness.answer(register, code);
    assert!(matches!(harness.next_event(), Event::RegistrationFailed { .. }));
}

/// A server that does not want the client makes it ask at once, and the old account stays until the Finish.
#[test]
fn a_rejection_leads_there_at_once() {
    let mut harness = Harness::new(with_server());
    harness.declare();
    let register = harness.take();
    refuse(&mut harness, &register, Code::FORBIDDEN);
    harness.begin_bootstrap();
    assert_eq!(harness.accounts(), [(1, "coap://server.example".to_owned(), 60)]);
    assert_eq!(harness.delete("/0/0"), Code::DELETED);
    harness.put_account(2, "coap://second.example", 1, 60);
    assert_eq!(harness.delete("/1/0"), Code::DELETED);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    let register = harness.take();
    assert_eq!(register.to, ServerId::Server(1));
    assert_eq!(harness.opens.last().unwrap().uri.host(), "second.example");
}

/// The hold-off time counts for a fallback, too.
#[test]
fn the_hold_off_time_counts() {
    let mut config = with_server();
    config.bootstrap = Some(account().hold_off(1));
    let mut harness = Harness::new(config);
    harness.declare();
    let register = harness.take();
    refuse(&mut harness, &register, Code::FORBIDDEN);
    assert_eq!(harness.opens.len(), 1);
    harness.run_for(seconds(1));
    harness.begin_bootstrap();
}

/// A server that takes the registration after all, within the hold-off time, makes the bootstrap needless.
#[test]
fn a_late_registration_makes_it_needless() {
    let mut config = with_server();
    config.bootstrap = Some(account().hold_off(60));
    config.servers[0].lifetime = 0;
    let mut harness = Harness::new(config);
    harness.declare();
    let register = harness.take();
    refuse(&mut harness, &register, Code::FORBIDDEN);
    harness.run_for(seconds(3));
    harness.accept_registration();
    harness.run_for(seconds(1_000));
    assert!(harness.opens.iter().all(|target| target.server == ServerId::Server(1)));
}

/// 1/x/16, Bootstrap on Registration Failure.
#[test]
fn it_may_be_switched_off() {
    let mut config = with_server();
    config.servers[0].bootstrap_on_failure = false;
    let mut harness = Harness::new(config);
    harness.declare();
    let register = harness.take();
    refuse(&mut harness, &register, Code::FORBIDDEN);
    harness.network = Err(FlowError::Unreachable);
    harness.run_for(seconds(10_000));
    assert!(harness.opens.iter().all(|target| target.server == ServerId::Server(1)));
}

/// A server that is overloaded is no reason to leave it.
#[test]
fn an_overload_is_no_rejection() {
    let mut harness = Harness::new(with_server());
    harness.declare();
    let register = harness.take();
    refuse(&mut harness, &register, Code::SERVICE_UNAVAILABLE);
    harness.run_for(seconds(1));
    assert_eq!(harness.opens.len(), 1);
}

/// Meanwhile the server is tried as before, and a bootstrap that fails is tried again only after as many failures again.
#[test]
fn the_old_account_is_tried_on() {
    let mut harness = unreachable(Retry::UNSET);
    assert_eq!(failures(&mut harness), 5);
    assert!(matches!(harness.next_event(), Event::BootstrapFailed { retry_in: None, .. }));
    assert_eq!(failures(&mut harness), 5);
}

/// Out of attempts, nobody is left but the bootstrap server.
#[test]
fn out_of_attempts_the_bootstrap_server_is_asked_without_end() {
    let mut harness = unreachable(Retry::UNSET.count(1).sequence_count(1));
    assert_eq!(failures(&mut harness), 1);
    for _ in 0..10 {
        let Event::BootstrapFailed { retry_in: Some(delay), .. } = harness.run_to_event() else { panic!() };
        harness.run_for(delay);
        assert_eq!(harness.next_event(), Event::BootstrapBegun);
    }
}

/// A bootstrap server that finishes without a change, and a server that goes on refusing: both are asked ever more rarely.
#[test]
fn a_bootstrap_that_helps_nothing_is_no_busy_loop() {
    let mut harness = Harness::new(with_server());
    harness.declare();
    let (begun, mut bootstraps) = (harness.now, 0);
    while harness.now - begun < seconds(3_600) {
        harness.drive();
        while let Some(message) = harness.sent.pop_front() {
            harness.speak_as(message.to);
            match (message.to, message.code) {
                (ServerId::Server(_), Code::POST) => harness.answer(&message, Code::FORBIDDEN),
                (ServerId::Bootstrap, Code::POST) => {
                    harness.answer(&message, Code::CHANGED);
                    assert_eq!(harness.finish(), Code::CHANGED);
                    bootstraps += 1;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        let due = harness.drive().unwrap();
        harness.run_until(due);
    }
    assert!((10..40).contains(&bootstraps), "{bootstraps} bootstraps in an hour");
}
