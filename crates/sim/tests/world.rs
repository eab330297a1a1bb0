//! The world: clock, cables and recording.

use std::net::SocketAddr;
use std::time::Duration;

use sim::{Cable, Event, Fate, Happening, Loss, Record, World};

const FOREVER: Duration = Duration::MAX;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Two nodes, and a thousand datagrams from the first to the second, one each 10 ms.
fn thousand(cable: Cable, seed: u64) -> (World, Vec<(Duration, u32)>) {
    let mut world = World::seeded(seed).cable(cable).trace_limit(10_000);
    let (a, b) = (world.node("a"), world.node("b"));
    (0..1000).for_each(|number| world.alarm(a, ms(10) * number, u64::from(number)));
    let mut arrived = Vec::new();
    while let Some(event) = world.next_until(FOREVER) {
        match event.what {
            Happening::Alarm(number) => world.send(a, b, &(number as u32).to_be_bytes()),
            Happening::Datagram { from, bytes } => {
                assert_eq!((from, event.node), (a, b));
                arrived.push((event.at, u32::from_be_bytes(bytes[..].try_into().unwrap())));
            }
            Happening::Timer => unreachable!("no timer was set"),
        }
    }
    (world, arrived)
}

fn numbers(arrived: &[(Duration, u32)]) -> Vec<u32> {
    arrived.iter().map(|(_, number)| *number).collect()
}

#[test]
fn a_perfect_cable_delivers_everything_at_once_and_in_order() {
    let (world, arrived) = thousand(Cable::new(), 1);
    let expected: Vec<_> = (0..1000).map(|number| (ms(10) * number, number)).collect();
    assert_eq!(arrived, expected);
    assert_eq!((world.statistics().sent, world.statistics().lost, world.in_flight()), (1000, 0, 0));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_does_not() {
    let cable = || Cable::new().latency(ms(5)).jitter(ms(50)).loss(0.2).duplication(0.1).reordering(0.3, ms(100));
    assert_eq!(thousand(cable(), 7).1, thousand(cable(), 7).1);
    assert_ne!(thousand(cable(), 7).1, thousand(cable(), 8).1);
}

#[test]
fn loss_and_duplication_keep_their_probabilities() {
    let (world, arrived) = thousand(Cable::new().loss(0.2).duplication(0.1), 3);
    let counted = world.statistics();
    assert!((150..250).contains(&counted.lost), "{counted:?}");
    assert!((50..120).contains(&counted.duplicated), "{counted:?}");
    assert_eq!(arrived.len() as u64, counted.delivered);
    assert_eq!(counted.sent + counted.duplicated, counted.lost + counted.delivered);
}

#[test]
fn latency_and_jitter_bound_the_time_and_keep_the_order() {
    let (_, arrived) = thousand(Cable::new().latency(ms(20)).jitter(ms(100)), 4);
    let times: Vec<_> = arrived.iter().map(|(at, number)| *at - ms(10) * *number).collect();
    assert!(times.iter().all(|time| (ms(20)..=ms(120)).contains(time)));
    assert!(times.iter().any(|time| *time < ms(60)) && times.iter().any(|time| *time > ms(90)));
    assert!(numbers(&arrived).is_sorted());
}

#[test]
fn only_reordering_reorders() {
    let (_, arrived) = thousand(Cable::new().latency(ms(20)).reordering(0.1, ms(50)), 5);
    assert_eq!(arrived.len(), 1000);
    assert!(!numbers(&arrived).is_sorted());
    let overtaken = numbers(&arrived).windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!((20..150).contains(&overtaken), "{overtaken}");
}

#[test]
fn a_cut_loses_what_is_on_the_way_and_what_is_sent_until_it_is_mended() {
    let mut world = World::seeded(1).cable(Cable::new().latency(ms(10)));
    let (a, b) = (world.node("a"), world.node("b"));
    world.send(a, b, b"on the way");
    world.cut(a, b);
    world.send(b, a, b"cut");
    world.restore(a, b);
    world.send(a, b, b"mended");
    let Some(Event { what: Happening::Datagram { bytes, .. }, .. }) = world.next_until(FOREVER) else { panic!() };
    assert_eq!(&bytes[..], b"mended");
    assert_eq!(world.next_until(ms(50)), None);
    let losses =
        world.trace().records().filter(|record| matches!(record, Record::Datagram { fate: Fate::Lost(Loss::Cut), .. }));
    assert_eq!(losses.count(), 2);
    assert_eq!(world.statistics().lost, 2);
}

#[test]
fn a_cut_does_not_change_the_fate_of_what_comes_after_it() {
    let run = |cut: bool| {
        let mut world = World::seeded(9).cable(Cable::new().loss(0.5).jitter(ms(30)));
        let (a, b) = (world.node("a"), world.node("b"));
        if cut {
            world.cut(a, b);
        }
        world.send(a, b, b"x");
        while world.next_until(ms(1000)).is_some() {}
        world.restore(a, b);
        (0..50_u8).for_each(|number| world.send(a, b, &[number]));
        std::iter::from_fn(move || world.next_until(FOREVER)).collect::<Vec<_>>()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_rule_loses_what_the_test_wants_lost() {
    let mut world = World::seeded(1);
    let (a, b) = (world.node("a"), world.node("b"));
    world.lose_when(move |from, to, bytes| (from, to) == (a, b) && bytes == b"first");
    world.send(a, b, b"first");
    world.send(a, b, b"second");
    world.lose_by_chance_only();
    world.send(a, b, b"first");
    assert_eq!(world.trace().sent(a, b).count(), 3);
    while world.next_until(FOREVER).is_some() {}
    assert!(world.trace().delivered(a, b).map(|(_, bytes)| bytes).eq([&b"second"[..], b"first"]));
}

#[test]
fn each_direction_may_have_its_own_cable_and_greatest_size() {
    let mut world = World::seeded(1);
    let (a, b) = (world.node("a"), world.node("b"));
    world.connect(a, b, Cable::new().latency(ms(7)));
    world.connect_one_way(b, a, Cable::new().mtu(3));
    world.send(a, b, b"1234");
    world.send(b, a, b"1234");
    world.send(b, a, b"123");
    assert_eq!(world.next_until(FOREVER).unwrap().at, Duration::ZERO);
    assert_eq!(world.next_until(FOREVER).unwrap().at, ms(7));
    assert_eq!(world.next_until(FOREVER), None);
}

#[test]
fn nobody_receives_at_an_address_without_a_node() {
    let mut world = World::seeded(1);
    let (a, b) = (world.node("a"), world.node("b"));
    let elsewhere: SocketAddr = "[::1]:5683".parse().unwrap();
    world.send(a, elsewhere, b"x");
    world.send(a, b, b"x");
    world.remove(b);
    assert_eq!(world.next_until(ms(1)), None);
    assert_eq!((world.statistics().lost, world.find("b")), (2, None));
    world.node_at("b", elsewhere);
    assert_eq!(world.find("b"), Some(elsewhere));
    world.send(a, elsewhere, b"x");
    assert_eq!(world.next_until(FOREVER).unwrap().node, elsewhere);
    assert_ne!(world.node("c"), b, "an address is not given twice");
}

#[test]
fn events_come_in_time_order_and_the_clock_goes_with_them() {
    let mut world = World::seeded(1).cable(Cable::new().latency(ms(5))).starting_at(ms(100));
    let (a, b) = (world.node("a"), world.node("b"));
    world.set_timer(b, Some(ms(105)));
    world.set_timer(a, Some(ms(1)));
    world.alarm(a, ms(105), 42);
    world.send(a, b, b"x");
    let mut seen = Vec::new();
    while let Some(event) = world.next_until(ms(200)) {
        assert_eq!(event.at, world.now());
        seen.push((event.at, event.node, matches!(event.what, Happening::Timer)));
    }
    assert_eq!(seen, [(ms(100), a, true), (ms(105), b, false), (ms(105), a, false), (ms(105), b, true)]);
    assert_eq!((world.now(), world.next_at()), (ms(200), None));
    world.set_timer(a, Some(ms(300)));
    world.set_timer(a, None);
    assert_eq!(world.next_until(FOREVER), None, "an unset timer is not due");
}

#[test]
#[should_panic(expected = "no time passes any more")]
fn a_node_that_is_always_due_is_found() {
    let mut world = World::seeded(1);
    let a = world.node("a");
    world.set_timer(a, Some(Duration::ZERO));
    while world.next_until(ms(1)).is_some() {
        world.set_timer(a, Some(Duration::ZERO));
    }
}

#[test]
fn the_ladder_shows_who_sent_what_and_what_became_of_it() {
    let mut world = World::seeded(1).cable(Cable::new().latency(ms(50)));
    let (client, server) = (world.node("client"), world.node("server"));
    world.send(client, server, b"hello");
    world.next_until(ms(50));
    world.note(server, "registered");
    world.connect(client, server, Cable::new().duplication(1.0));
    world.send(server, client, b"welcome");
    world.cut(client, server);
    world.send(client, server, b"again");
    let expected = "     seconds client        server
    0.000000 o------       |             #1 hello
    0.050000 |      ------->             #1
    0.050000 |             *             registered
    0.050000 |       ------o             #2 welcome
    0.050000 |       ======o             #2 duplicated
    0.050000 x-------      |             #2 lost (cut)
    0.050000 x-------      |             #2 lost (cut)
    0.050000 o------x      |             #3 lost (cut): again
";
    let ladder = world.trace().ladder(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    assert_eq!(ladder, expected, "\n{ladder}");
}

#[test]
fn the_recording_keeps_the_latest_records_only() {
    let mut world = World::seeded(1).trace_limit(3);
    let (a, b) = (world.node("a"), world.node("b"));
    (0..5_u8).for_each(|number| world.send(a, b, &[number]));
    assert!(world.trace().sent(a, b).map(|(_, bytes)| bytes[0]).eq([2, 3, 4]));
    assert!(world.trace().ladder(|bytes| format!("{bytes:?}")).contains("2 earlier records were not kept"));
}

/// A thousand datagrams of four bytes, one each 10 ms: 400 bytes a second.
#[test]
fn bandwidth_delays_and_a_full_queue_loses() {
    let (world, arrived) = thousand(Cable::new().latency(ms(50)).bandwidth(400), 9);
    assert_eq!(world.statistics().lost, 0);
    assert!(
        arrived.iter().all(|(at, number)| *at == ms(10) * *number + ms(60)),
        "the time of its own bytes, and the latency"
    );

    let (world, arrived) = thousand(Cable::new().bandwidth(200).queue(40), 9);
    let times: Vec<_> = arrived.iter().map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == ms(20)), "the cable is never idle");
    assert!((480..=520).contains(&arrived.len()), "half of them: {}", arrived.len());
    let waits = arrived.iter().map(|(at, number)| *at - ms(10) * *number);
    assert_eq!(waits.max(), Some(ms(200)), "ten datagrams wait at most");
    let lost = |record: &&Record| matches!(record, Record::Datagram { fate: Fate::Lost(Loss::QueueFull), .. });
    assert_eq!(world.trace().records().filter(lost).count() as u64, world.statistics().lost);
}
