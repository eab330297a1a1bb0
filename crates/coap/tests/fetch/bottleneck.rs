//! A link that others use as well (RFC 8085 section 3.1): the queue is found, shared and not kept full of what is lost.

use std::time::Duration;

use lapwing_coap::fetch::Config;
use sim::{Cable, World};

use crate::{
    lab::{Lab, MIB, ms, pattern},
    q_block2,
    tcp::Tcp,
};

/// 250 kB/s down, 100 ms round trip: 25 kB are under way. The queue holds so many bytes.
fn lab(seed: u64, queue: usize) -> Lab {
    let mut lab = Lab::new(World::seeded(seed), pattern(16 * MIB));
    lab.site.q_block2 = true;
    let cable = Cable::new().latency(ms(50)).jitter(ms(1));
    lab.world.connect_one_way(lab.client, lab.server, cable.clone());
    lab.world.connect_one_way(lab.server, lab.client, cable.bandwidth(250_000).queue(queue));
    lab
}

const QUEUES: [usize; 5] = [6_000, 9_000, 12_500, 25_000, 100_000];

/// Each queue, for requests by Block2 and by Q-Block2.
fn with_each_option() -> impl Iterator<Item = (usize, Config)> {
    QUEUES.into_iter().flat_map(|queue| [(queue, Config::default()), (queue, q_block2::config())])
}

#[test]
fn one_fetch_fills_the_link_and_loses_little() {
    for (queue, config) in with_each_option() {
        let mut lab = lab(5, queue);
        // Of the blocks that come at a time, the last do not find room in the shortest queue.
        let most = if config.q_block2 && queue == QUEUES[0] { 0.04 } else { 0.02 };
        let flow = lab.start(config, None);
        lab.run(60);
        let flow = &lab.flows[flow];
        let (used, counters) = (flow.offset as f64 / 60.0 / 250_000.0, flow.fetch.counters());
        let lost = counters.lost as f64 / counters.requests as f64;
        println!("queue {queue}: {used:.2} of the link, {lost:.4} lost, round trip {:?}", flow.fetch.round_trip());
        assert!(used > 0.8, "{used} of the link with a queue of {queue}");
        assert!(lost < most, "{lost} lost with a queue of {queue}");
        assert_eq!(counters.again, 0, "{counters:?}");
    }
}

/// The second one begins when the first has the link to itself.
#[test]
fn two_fetches_share_a_link() {
    for (queue, config) in with_each_option() {
        let mut lab = lab(6, queue);
        let first = lab.start(config.clone(), None);
        lab.run(20);
        let second = lab.start(config, None);
        lab.run(30);
        let before = [first, second].map(|flow| lab.flows[flow].offset);
        lab.run(60);
        let got = [first, second].map(|flow| (lab.flows[flow].offset - before[flow]) as f64);
        let ratio = got[0] / got[1];
        println!("queue {queue}: {got:?}, ratio {ratio:.2}");
        assert!((0.4..2.5).contains(&ratio), "{got:?} with a queue of {queue}");
        assert!(got[0] + got[1] > 0.75 * 60.0 * 250_000.0, "{got:?}");
    }
}

/// "Within an order of magnitude" is what RFC 8085 section 3.1.2 asks of bulk transfers; CUBIC itself takes more than Reno.
#[test]
fn a_fetch_leaves_tcp_its_share() {
    for (queue, config) in with_each_option() {
        let mut lab = lab(7, queue);
        lab.tcp = Some(Tcp::new(Duration::ZERO));
        lab.run_for(10);
        let flow = lab.start(config, None);
        lab.run_for(20);
        let before = (lab.flows[flow].offset, lab.tcp.as_ref().unwrap().delivered);
        lab.run_for(60);
        let fetched = (lab.flows[flow].offset - before.0) as f64;
        let sent = (lab.tcp.as_ref().unwrap().delivered - before.1) as f64;
        let ratio = fetched / sent;
        println!("queue {queue}: fetch {fetched}, TCP {sent}, ratio {ratio:.2}");
        assert!((0.3..4.0).contains(&ratio), "{fetched} to {sent} with a queue of {queue}");
    }
}
