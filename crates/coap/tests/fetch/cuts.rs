//! Links and processes that go away: nothing is fetched twice but what was under way (RFC 7959 section 2.4).

use std::time::Duration;

use lapwing_coap::fetch::{Config, Resume};
use sim::{Cable, World};

use crate::lab::{ETAG, Lab, MIB, Told, ms, pattern, rough};

const CUTS: u64 = 20;

fn link(loss: f64) -> Cable {
    Cable::new().latency(ms(150)).loss(loss).bandwidth(1_250_000).queue(375_000)
}

/// The process ends twenty times, at any moment, and goes on with what was on the disk.
fn cut_short(loss: f64, length: usize, pause: u64) {
    let mut lab = Lab::new(World::seeded(21).cable(link(loss)), pattern(length));
    let mut flow = lab.start(Config::default(), None);
    let (mut windows, mut received, mut lost) = (0, 0, 0);
    for _ in 0..CUTS {
        let run = ms(pause).mul_f64(0.5) + lab.world.random().up_to(ms(pause));
        let limit = lab.world.now() + run;
        lab.run_until(limit);
        let cut = lab.flows.remove(flow);
        assert_eq!(cut.ended, None, "{:?}", cut.told);
        windows += cut.window;
        received += cut.fetch.counters().received;
        lost += cut.fetch.counters().lost;
        flow = lab.start(Config::default(), Some(Resume { offset: cut.offset, etag: ETAG }));
    }
    lab.run(100_000);
    let last = &lab.flows[flow];
    assert!(last.is_finished(), "{:?} at {}", last.told, last.offset);
    assert!(!last.told.iter().any(|told| matches!(told, Told::Restarted(_))));
    received += last.fetch.counters().received;
    lost += last.fetch.counters().lost;
    let (again, asked) = (received - length as u64, lab.site.asked.len() as u64 * 1024);
    println!(
        "loss {loss}: {length} bytes in {:.1} s with {CUTS} cuts, {again} came twice",
        last.ended.unwrap().as_secs_f64()
    );
    assert!(again <= windows as u64, "{again} bytes came twice, of {windows} that were under way");
    assert!(asked <= length as u64 + windows as u64 + lost * 1024, "{asked} bytes were asked for");
}

#[test]
fn twenty_cuts_of_fifty_mebibytes() {
    cut_short(0.0, 50 * MIB, 2_000);
}

#[test]
fn twenty_cuts_of_fifty_mebibytes_with_one_percent_lost() {
    cut_short(0.01, 50 * MIB, 10_000);
}

#[test]
fn twenty_cuts_of_fifty_mebibytes_with_five_percent_lost() {
    cut_short(0.05, 50 * MIB, 20_000);
}

/// The link is away for five seconds, twenty times; the fetch goes on by itself.
#[test]
fn a_link_that_comes_back_is_used_again() {
    let length = 20 * MIB;
    let mut lab = Lab::new(World::seeded(22).cable(link(0.01)), pattern(length));
    let flow = lab.start(Config::default(), None);
    let mut windows = 0;
    for _ in 0..CUTS {
        lab.run_for(6);
        windows += lab.flows[flow].fetch.window();
        lab.world.cut(lab.client, lab.server);
        lab.run_for(5);
        lab.world.restore(lab.client, lab.server);
    }
    lab.run(10_000);
    let (flow, counters) = (&lab.flows[flow], lab.flows[flow].fetch.counters());
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    println!(
        "{length} bytes in {:.1} s, 100 s of them without a link; {counters:?}",
        flow.ended.unwrap().as_secs_f64()
    );
    assert!(counters.again <= windows as u64, "{counters:?}");
    assert!(counters.probes <= 20 * 6, "further and further apart: {counters:?}");
}

/// The connection moves to another bearer: what was under way is asked for again at once, and not after a time-out.
#[test]
fn another_path_is_used_at_once() {
    let length = 4 * MIB;
    let mut lab = Lab::new(World::seeded(23).cable(link(0.0)), pattern(length));
    let flow = lab.start(Config::default(), None);
    lab.run_for(3);
    let offset = lab.flows[flow].offset;
    lab.world.cut(lab.client, lab.server);
    lab.run_for(10);
    lab.world.restore(lab.client, lab.server);
    let now = lab.world.now();
    lab.flows[flow].fetch.path_changed(now);
    lab.run_until(now + ms(301));
    assert!(lab.flows[flow].offset > offset, "the first block comes after one round trip");
    lab.run(100);
    let flow = &lab.flows[flow];
    assert!(flow.is_finished(), "{:?}", flow.told);
    assert!(flow.ended.unwrap() < Duration::from_secs(25), "{:?}", flow.ended);
}

/// A tenth of all datagrams are held back by half a round trip: they are waited for, more patiently after the first time.
#[test]
fn reordering_is_not_taken_for_loss_for_long() {
    let length = 4 * MIB;
    let cable = Cable::new().latency(ms(50)).reordering(0.1, ms(50)).bandwidth(1_250_000).queue(125_000);
    let mut lab = Lab::new(World::seeded(24).cable(cable), pattern(length));
    let flow = lab.fetch(100);
    let counters = flow.fetch.counters();
    println!("{length} bytes in {:.1} s; {counters:?}", flow.ended.unwrap().as_secs_f64());
    assert!(flow.is_finished(), "{:?}", flow.told);
    assert!(counters.again <= 100 * 1024, "{counters:?}");
    assert!(flow.ended.unwrap() < Duration::from_secs(12), "{:?}", flow.ended);
}

/// Everything at once: loss, duplicates, re-ordering, jitter and small blocks, in many worlds.
#[test]
fn whatever_the_link_does_the_body_is_right() {
    for seed in 0..200 {
        let mut lab = Lab::new(World::seeded(seed).cable(rough(seed)), pattern(30_000 + seed as usize * 777));
        lab.site.size = seed % 3 > 0;
        lab.site.largest = lapwing_coap::BlockSize::at_most(64 << (seed % 5)).unwrap();
        lab.persist(Config::default(), seed);
    }
}
