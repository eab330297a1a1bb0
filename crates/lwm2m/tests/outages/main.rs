//! Client and server engine in one virtual world whose cable loses, doubles and re-orders datagrams.
//!
//! Once the loss ends, a client is registered and observed again within the documented back-off, and what the server knows
//! last is what the object is; where the loss is 10 % or less, every value that an attribute demands arrives, unless
//! the client reported that it could not deliver it. Harnesses and configurations that break these promises must be found out.

mod world;

use world::{Fault, Plan, Tally, Way, run};

/// `LAPWING_SEED` runs one seed alone, `LAPWING_SEEDS` that many instead of 1,000.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("LAPWING_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAPWING_SEEDS").unwrap_or(1_000),
    }
}

/// Runs all seeds, and sums up what became of demanded values.
fn hold(plan: impl Fn(u64) -> Plan) -> Tally {
    let mut sum = Tally::default();
    for seed in seeds() {
        let tally = run(&plan(seed)).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        sum.arrived += tally.arrived;
        sum.reported += tally.reported;
    }
    sum
}

/// How many of the first `count` seeds find the fault out.
fn found_out(count: u64, plan: impl Fn(u64) -> Plan) -> usize {
    (0..count).filter(|seed| run(&plan(*seed)).is_err()).count()
}

#[test]
fn recovers_from_loss_of_up_to_40_percent() {
    hold(Plan::rough);
}

#[test]
fn loses_no_demanded_value_at_10_percent_or_less() {
    let tally = hold(Plan::fair);
    assert!(tally.arrived > 100 * tally.reported, "{tally:?}: the exception must not be the rule");
}

/// Over DTLS: NATs that change the client's address, and restarts without a handshake, come on top.
#[test]
fn recovers_over_dtls_with_a_connection_id() {
    hold(|seed| Plan::rough(seed).over(Way::ConnectionId));
}

#[test]
fn recovers_over_dtls_without_a_connection_id() {
    hold(|seed| Plan::rough(seed).over(Way::Address));
}

#[test]
fn loses_no_demanded_value_over_dtls() {
    let tally = hold(|seed| Plan::fair(seed).over(if seed % 2 == 0 { Way::ConnectionId } else { Way::Address }));
    assert!(tally.arrived > 100 * tally.reported, "{tally:?}: the exception must not be the rule");
}

#[test]
fn a_client_that_ignores_retries_is_found_out() {
    assert!(found_out(50, |seed| Plan::rough(seed).with(Fault::IgnoresRetries)) > 0);
}

#[test]
fn a_client_that_gives_no_association_up_is_found_out() {
    assert!(found_out(100, |seed| Plan::rough(seed).over(Way::ConnectionId).with(Fault::IgnoresDoubt)) > 0);
}

#[test]
fn a_client_that_drops_the_last_value_is_found_out() {
    assert_eq!(found_out(20, |seed| Plan::fair(seed).with(Fault::DropsLastValue)), 20);
}

#[test]
fn values_lost_without_a_report_are_found_out() {
    assert!(found_out(50, |seed| Plan::fair(seed).with(Fault::NonConfirmable)) > 0);
}
