//! How fast 50 MiB come over a link of 300 ms, whole or with losses, beside one block at a time (RFC 7959 section 2.4).

use std::time::Duration;

use lapwing_coap::fetch::Config;
use sim::{Cable, World};

use crate::lab::{Lab, MIB, ms, pattern};

/// 300 ms round trip, 10 Mbit/s with a queue of one bandwidth-delay product.
fn link(loss: f64) -> Cable {
    Cable::new().latency(ms(150)).loss(loss).bandwidth(1_250_000).queue(375_000)
}

/// Bytes per second.
fn measure(loss: f64, length: usize, config: Config) -> f64 {
    let mut lab = Lab::new(World::seeded(11).cable(link(loss)), pattern(length));
    let flow = lab.start(config, None);
    lab.run(100_000);
    let flow = &lab.flows[flow];
    assert!(flow.is_finished(), "{:?} at {} of {length}", flow.told, flow.offset);
    let (took, counters) = (flow.ended.unwrap().as_secs_f64(), flow.fetch.counters());
    let rate = length as f64 / took;
    println!("loss {loss}: {length} bytes in {took:.1} s, {rate:.0} bytes/s; {counters:?}");
    assert!(counters.again <= 64 * 1024, "{counters:?}");
    assert!(flow.memory <= 1_400_000, "{} bytes of memory", flow.memory);
    rate
}

fn single() -> Config {
    let mut config = Config::default();
    config.window = false;
    config
}

#[test]
fn fifty_mebibytes_come_thirty_times_as_fast_as_one_block_at_a_time() {
    let rate = measure(0.0, 50 * MIB, Config::default());
    let one = measure(0.0, MIB, single());
    println!("without loss {:.1} times as fast", rate / one);
    assert!(rate >= 30.0 * one, "{rate} against {one}");
}

#[test]
fn fifty_mebibytes_come_with_one_percent_lost() {
    let (rate, one) = (measure(0.01, 50 * MIB, Config::default()), measure(0.01, MIB, single()));
    println!("at 1 % {:.1} times as fast", rate / one);
    assert!(rate >= 10.0 * one, "{rate} against {one}");
}

#[test]
fn fifty_mebibytes_come_with_five_percent_lost() {
    let (rate, one) = (measure(0.05, 50 * MIB, Config::default()), measure(0.05, MIB, single()));
    println!("at 5 % {:.1} times as fast", rate / one);
    assert!(rate >= 5.0 * one, "{rate} against {one}");
}

#[test]
fn a_configured_rate_is_kept() {
    let mut config = Config::default();
    config.max_rate = Some(100_000);
    let rate = measure(0.0, 2 * MIB, config);
    assert!((90_000.0..=101_000.0).contains(&rate), "{rate}");
    let mut config = single();
    config.max_rate = Some(1000);
    // Ten blocks may come at once.
    let rate = measure(0.0, 110_240, config);
    assert!((1080.0..=1110.0).contains(&rate), "{rate}");
}

#[test]
fn without_a_delay_nothing_holds_it_back() {
    let mut lab = Lab::new(World::seeded(1), pattern(8 * MIB));
    let took = lab.fetch(100).ended.unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
