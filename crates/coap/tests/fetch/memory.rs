//! What a fetch holds, counted by the allocator.

#[path = "../common/meter.rs"]
mod meter;

use std::time::Duration;

use lapwing_coap::{
    Message,
    fetch::{Config, Event, Fetch, MessageIds, Resource},
};
use meter::Meter;

use crate::lab::{MIB, Site, ms, pattern};

/// 16 MiB whose answers come back a whole window at a time, the first of each last: all of the others must be held.
#[test]
fn a_full_window_in_the_worst_order_is_held_within_the_bound() {
    let mut meter = Meter::default();
    let resource = Resource { path: &["firmware"], ..Resource::default() };
    let mut fetch = meter.of(|| Fetch::new(Duration::ZERO, Config::default(), &resource, None, [1; 32]));
    let (mut ids, mut site) = (MessageIds::new(1), Site::new(pattern(16 * MIB)));
    let (mut now, mut received, mut widest, mut finished) = (Duration::ZERO, 0, 0, false);
    while !finished {
        let mut answers: Vec<Vec<u8>> = Vec::new();
        let mut buffer = Vec::with_capacity(2048);
        // Within one round trip, the pacer lets out what the window has room for.
        for _ in 0..400 {
            while let Some(range) = meter.of(|| fetch.poll_transmit(now, || ids.next(|_| false), &mut buffer)) {
                answers.push(site.block(&Message::parse(&buffer[range]).unwrap()));
                buffer.clear();
            }
            now += Duration::from_micros(500);
        }
        widest = widest.max(answers.len());
        let first = 1.min(answers.len());
        answers.rotate_left(first);
        now += ms(100);
        for answer in answers {
            assert!(meter.of(|| fetch.handle_datagram(now, &answer)));
        }
        meter.of(|| fetch.handle_timeout(now));
        while let Some(event) = meter.of(|| fetch.poll_event().map(|event| (length(&event), event == Event::Finished)))
        {
            received += event.0;
            finished |= event.1;
            fetch.consumed(now, event.0);
        }
    }
    let blocks = (16 * MIB / 1024) as u64;
    println!("{meter:?} for {blocks} blocks, {widest} at a time");
    assert_eq!(received, 16 * MIB);
    assert!(widest > 512, "more than half of the buffer is under way: {widest}");
    assert!(meter.peak < 2 * MIB as i64, "{meter:?}");
    assert!(meter.allocations < 4 * blocks, "{meter:?}");
}

fn length(event: &Event<'_>) -> usize {
    if let Event::Data { bytes, .. } = event { bytes.len() } else { 0 }
}
