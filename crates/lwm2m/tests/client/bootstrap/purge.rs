//! The Bootstrap-Server Account Timeout (0/x/12; LwM2M Core 1.1 section 6.1.3.3): after a success the account is forgotten.

use std::time::Duration;

use lapwing_coap::Code;
use lapwing_lwm2m::{
    Now,
    client::{Client, Command, Event, StoreError},
};

use super::{account, config};
use crate::harness::{Ask, Harness, SEED, seconds};

fn purged_after(timeout: u32) -> lapwing_lwm2m::client::Config {
    let mut config = config();
    config.bootstrap = Some(account().account_timeout(timeout));
    config
}

fn bootstrapped(timeout: u32) -> Harness {
    let mut harness = Harness::bootstrapping(purged_after(timeout));
    harness.put_account(1, "coap://server.example", 7, 0);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    let register = harness.take();
    harness.speak_as(lapwing_lwm2m::account::ServerId::Server(7));
    harness.answer_created(&register, &["rd", "a"]);
    harness.next_event();
    harness
}

/// And with it the trigger by which a server has it asked.
#[test]
fn the_account_is_forgotten() {
    let mut harness = bootstrapped(60);
    harness.run_for(seconds(59));
    assert!(harness.client.bootstrap_account().is_some());
    harness.run_for(seconds(1));
    assert_eq!(harness.next_event(), Event::BootstrapAccountPurged);
    assert!(harness.client.bootstrap_account().is_none());
    assert_eq!(harness.code(Ask::new(Code::POST, "/1/1/9")), Code::NOT_FOUND);
    harness.command(Command::Bootstrap);
    assert_eq!(harness.opens.len(), 2);
    let again = harness.restarted(config());
    assert!(again.client.bootstrap_account().is_none(), "for ever");
    assert_eq!(again.accounts().len(), 1);
}

/// 0 is infinite, and so is a bootstrap that has not succeeded.
#[test]
fn without_a_time_out_or_a_success_it_stays() {
    let mut harness = bootstrapped(0);
    harness.run_for(seconds(1_000_000));
    assert!(harness.client.bootstrap_account().is_some());
    let mut harness = Harness::bootstrapping(purged_after(60));
    harness.run_for(seconds(200));
    assert!(harness.client.bootstrap_account().is_some());
}

/// The time goes on over a restart where the date is known; where it is not, it begins again.
#[test]
fn the_time_goes_on_over_a_restart() {
    let mut harness = Harness::bootstrapping(purged_after(600));
    let at = |elapsed: Duration, date: u64| Now::new(elapsed, Some(seconds(date)));
    harness.put_account(1, "coap://server.example", 7, 0);
    // The Finish, at a date.
    harness.client.handle_timeout(at(harness.now, 1_800_000_000));
    harness.unix = Some(seconds(1_800_000_000));
    assert_eq!(harness.finish(), Code::CHANGED);
    for (now, remaining) in [
        (at(seconds(5), 1_800_000_100), 500),
        (at(seconds(5), 1_800_000_600), 0),
        (at(seconds(5), 1_900_000_000), 0),
        (at(seconds(5), 1_000_000_000), 600),
        (Now::from(seconds(5)), 600),
    ] {
        let mut client = Client::new(now, config(), SEED, harness.saved.clone()).unwrap();
        let mut buffer = Vec::new();
        let due = loop {
            if let lapwing_lwm2m::client::Output::Wait(due, _) = client.poll_output(&mut buffer) {
                break due;
            }
        };
        assert_eq!(due, Some(seconds(5 + remaining)), "{now:?}");
    }
}

/// A disk that fails keeps the account, for another try.
#[test]
fn a_purge_that_cannot_be_stored_is_tried_again() {
    let mut harness = bootstrapped(60);
    harness.stores = false;
    harness.run_for(seconds(60));
    let (id, _) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Err(StoreError));
    harness.run_for(seconds(299));
    assert!(harness.persisting.is_empty());
    harness.run_for(seconds(1));
    let (id, _) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.next_event(), Event::BootstrapAccountPurged);
}
