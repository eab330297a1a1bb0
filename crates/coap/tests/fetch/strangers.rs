//! Damaged and invented answers: whatever comes, nothing breaks, little is held, and it ends.

use std::time::Duration;

use lapwing_coap::fetch::{Config, Event, Fetch, MessageIds, Resource};
use sim::{Mutator, Random};

use crate::lab::{Site, pattern};

/// Answers each request with a damaged answer, a few times over, then as it should be or not at all.
fn converse(seed: u64) -> (u64, bool) {
    let mut random = Random::seeded(seed);
    let resource = Resource { path: &["firmware"], ..Resource::default() };
    let mut now = Duration::ZERO;
    let mut config = Config::default();
    config.q_block2 = seed.is_multiple_of(2);
    let mut fetch = Fetch::new(now, config, &resource, None, random.seed());
    let (mut ids, mut site) = (MessageIds::new(1), Site::new(pattern(100_000)));
    site.q_block2 = true;
    let (mut buffer, mut events) = (Vec::new(), 0);
    for _ in 0..400 {
        while let Some(range) = fetch.poll_transmit(now, || ids.next(|_| false), &mut buffer) {
            let request = buffer[range].to_vec();
            buffer.clear();
            let Ok(request) = lapwing_coap::Message::parse(&request) else { panic!("{request:02x?}") };
            if !request.code.is_request() {
                continue;
            }
            for answer in site.answers(&request) {
                let mut mutator = Mutator::seeded(random.next_u64(), [answer.clone()]);
                now += Duration::from_millis(1);
                for _ in 0..random.below(4) {
                    fetch.handle_datagram(now, mutator.next());
                }
                if random.chance(0.7) {
                    fetch.handle_datagram(now, &answer);
                }
            }
        }
        let mut over = false;
        while let Some(event) = fetch.poll_event() {
            events += 1;
            if let Event::Data { bytes, .. } = event {
                let length = bytes.len();
                fetch.consumed(now, length);
            } else {
                over = matches!(event, Event::Finished | Event::Failed(_));
            }
        }
        assert!(fetch.memory() < 2 * 1024 * 1024, "seed {seed}: {} bytes", fetch.memory());
        let Some((at, _)) = fetch.poll_timeout() else { return (events, over) };
        now = now.max(at);
        fetch.handle_timeout(now);
    }
    (events, false)
}

#[test]
fn damaged_answers_break_nothing() {
    let ended = (0..3000).map(converse).filter(|(events, over)| *events > 0 && *over).count();
    assert!(ended > 2900, "{ended} have ended");
}
