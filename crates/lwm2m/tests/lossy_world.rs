//! Registration and observation over cables that lose, repeat and re-order (LwM2M core 1.1 sections 6.2 and 6.4).
//!
//! Each seed is a world of its own. A world is judged by [`stormy`] or [`drizzly`], which tell what is wrong instead of failing, so
//! that the last tests can show that they notice what they are there for.

mod common;

use std::{cell::Cell, collections::HashSet, time::Duration};

use common::{Town, path, seconds};
use lapwing_lwm2m::{
    attributes::Changes,
    client::Event,
    model::{Node, Resource, Value},
    server::{Content, Request, RequestId, Response, ServerEvent},
};
use sim::{Cable, World};

const LEVEL: &str = "/3/0/9";
/// Within this time after the last loss everyone is registered and observed: a client gives up an attempt after at most 93 s
/// (MAX_TRANSMIT_WAIT) and then waits for at most 5 min, and so does the server before it asks again.
const RECOVERY: Duration = Duration::from_secs(93 + 300 + 7);

/// What a mutant does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    None,
    /// Nothing is ever sent again: a datagram that was sent before is lost.
    WithoutRetries,
    /// The client's last value is not told to its engine.
    WithoutTheLastValue,
}

/// What people do at a server: they observe each gateway as soon as it is there, and ask again if that failed.
struct Operator {
    asked: Vec<Option<RequestId>>,
}

impl Operator {
    fn work(&mut self, town: &mut Town) {
        for number in 0..town.gateways.len() {
            if let Some(id) = self.asked[number] {
                if town.answer(id).is_none() {
                    continue;
                }
                self.asked[number] = None;
            }
            let endpoint = town.gateways[number].endpoint.clone();
            if town.server.observations(&endpoint).next().is_none() {
                self.asked[number] = town.ask(number, Request::Observe { path: path(LEVEL), format: None });
            }
        }
    }
}

/// The values that the server was notified of, by gateway.
fn notified(town: &Town, number: usize) -> Vec<i64> {
    let endpoint = &town.gateways[number].endpoint;
    let values = town.events.iter().filter_map(|(_, event)| match event {
        ServerEvent::Notification { registration, response, .. } if *registration.endpoint == **endpoint => {
            Some(level(&response.content))
        }
        _ => None,
    });
    values.collect()
}

fn level(content: &Content) -> i64 {
    match content {
        Content::Node(Node::Resource(Resource::Single(Value::Integer(level)))) => *level,
        other => panic!("no level: {other:?}"),
    }
}

fn world(seed: u64, loss: f64) -> World {
    let cable = Cable::new().latency(seconds(1) / 50).jitter(seconds(1) / 5);
    let cable = cable.loss(loss).duplication(0.2).reordering(0.2, seconds(3));
    World::seeded(seed).cable(cable).trace_limit(300)
}

fn mutate(town: &mut Town, mutant: Mutant) {
    if mutant == Mutant::WithoutRetries {
        let mut seen = HashSet::new();
        town.world.lose_when(move |from, to, bytes| !seen.insert((from, to, bytes.to_vec())));
    }
}

/// Up to 40 % loss for 20 minutes of virtual time in which values change, then none. Gives what is wrong afterwards.
fn stormy(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut town = Town::new(world(seed, (seed % 41) as f64 / 100.0));
    for number in 0..2 {
        town.add(&format!("gw{number}"), |_| ());
    }
    mutate(&mut town, mutant);
    let mut operator = Operator { asked: vec![None; 2] };
    let mut value = 0;
    for step in 0..240 {
        town.run(seconds(5));
        operator.work(&mut town);
        if step % 3 == 0 {
            value += 1;
            town.set(step % 2, path(LEVEL), value);
        }
    }
    let last: Vec<i64> = (0..2).map(|number| value + 1 + number).collect();
    for (number, value) in last.iter().enumerate() {
        if mutant == Mutant::WithoutTheLastValue {
            town.gateways[number].set_unnoticed(path(LEVEL), (*value).into());
        } else {
            town.set(number, path(LEVEL), *value);
        }
    }
    town.world.set_cable(Cable::new().latency(seconds(1) / 50).duplication(0.2).reordering(0.2, seconds(3)));
    for _ in 0..RECOVERY.as_secs() / 5 {
        town.run(seconds(5));
        operator.work(&mut town);
    }
    let result = (0..2).try_for_each(|number| recovered(&mut town, number, last[number]));
    result.map_err(|error| told(&town, seed, mutant, &error))
}

/// Whether all of `values` are in `all`, in their order.
fn is_within(values: &[i64], all: &[i64]) -> bool {
    let mut all = all.iter();
    values.iter().all(|value| all.any(|other| other == value))
}

/// What went wrong, with what went over the wire where nobody wanted it to go wrong.
fn told(town: &Town, seed: u64, mutant: Mutant, error: &str) -> String {
    let ladder = if mutant == Mutant::None { town.ladder() } else { String::new() };
    format!("seed {seed}: {error}\n{ladder}")
}

/// The client is registered and observed, the server has its last value, and hears of the next one at once.
fn recovered(town: &mut Town, number: usize, last: i64) -> Result<(), String> {
    let endpoint = town.gateways[number].endpoint.clone();
    town.registration(number).ok_or_else(|| format!("{endpoint} is not registered"))?;
    if town.gateways[number].observed != [path(LEVEL)] {
        return Err(format!("{endpoint} is not observed"));
    }
    let known = notified(town, number).last().copied();
    if known != Some(last) {
        return Err(format!("{endpoint} has {last}, the server {known:?}"));
    }
    town.set(number, path(LEVEL), last + 1_000);
    town.run(seconds(10));
    let known = notified(town, number).last().copied();
    if known == Some(last + 1_000) {
        Ok(())
    } else {
        Err(format!("{endpoint} has {}, the server {known:?}", last + 1_000))
    }
}

/// At most 10 % loss: every value that crosses `gt` arrives, in order, unless a notification is reported as lost. Gives whether one was.
fn drizzly(seed: u64, mutant: Mutant) -> Result<bool, String> {
    let mut town = Town::new(world(seed, (seed % 11) as f64 / 100.0));
    town.add("gw", |_| ());
    town.run_until(seconds(600), |town| town.registration(0).is_some());
    let changes = Changes::parse(["gt=50"]).expect("attributes");
    let ready = |result: Result<Response, _>| result.is_ok_and(|response| response.code.is_success());
    while !ready(town.exchange(0, Request::WriteAttributes { path: path(LEVEL), changes })) {}
    while !ready(town.exchange(0, Request::Observe { path: path(LEVEL), format: None })) {}
    mutate(&mut town, mutant);
    town.events.clear();
    town.gateways[0].events.clear();

    let mut demanded = Vec::new();
    for round in 0..12 {
        // Below and above the threshold in turn (it begins at 80), with changes between that demand nothing.
        for offset in [0, 1, 2] {
            let value = if round % 2 == 0 { 20 } else { 60 } + round / 2 * 3 + offset;
            if offset == 0 {
                demanded.push(value);
            }
            if mutant == Mutant::WithoutTheLastValue && offset == 0 && round == 11 {
                town.gateways[0].set_unnoticed(path(LEVEL), value.into());
            } else {
                town.set(0, path(LEVEL), value);
            }
            town.run(seconds(40));
        }
    }
    town.run(seconds(100));
    let lost = town.gateways[0].events.iter().any(|(_, event)| matches!(event, Event::NotificationLost { .. }));
    let known = notified(&town, 0);
    // Who registers anew, since an Update was lost five times, is observed anew, and the first answer has the value of that moment.
    let anew = town.gateways[0].events.iter().any(|(_, event)| matches!(event, Event::Registered { .. }));
    if lost || known == demanded || anew && is_within(&demanded, &known) {
        return Ok(lost);
    }
    Err(told(&town, seed, mutant, &format!("{demanded:?} became {known:?}")))
}

fn all(seeds: std::ops::Range<u64>, judge: impl Fn(u64) -> Result<(), String>) {
    let wrong: Vec<String> = seeds.filter_map(|seed| judge(seed).err()).collect();
    assert!(wrong.is_empty(), "{} worlds went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn after_the_loss_everyone_is_registered_and_observed_again() {
    all(0..1_000, |seed| stormy(seed, Mutant::None));
}

#[test]
fn at_little_loss_every_demanded_value_arrives_or_is_reported() {
    let lost = Cell::new(0);
    all(0..1_000, |seed| drizzly(seed, Mutant::None).map(|reported| lost.set(lost.get() + usize::from(reported))));
    // Five transmissions of which each is lost, or its acknowledgement is, happen once in 4,000 notifications.
    assert!(lost.get() <= 10, "{} worlds reported a loss", lost.get());
}

#[test]
fn a_mutant_without_retries_is_noticed() {
    assert!((0..50).any(|seed| stormy(seed, Mutant::WithoutRetries).is_err()));
    // Without retries what is lost is reported, but far more often than one world in a hundred may.
    let lost = (0..50).filter(|seed| drizzly(*seed, Mutant::WithoutRetries) != Ok(false)).count();
    assert!(lost > 5, "{lost} of 50 worlds reported a loss");
}

#[test]
fn a_mutant_that_drops_the_last_value_is_noticed() {
    for seed in 0..20 {
        assert!(stormy(seed, Mutant::WithoutTheLastValue).is_err(), "seed {seed}");
        assert!(drizzly(seed, Mutant::WithoutTheLastValue).is_err(), "seed {seed}");
    }
}

#[test]
fn worlds_of_one_seed_are_the_same() {
    let run = || {
        let mut town = Town::new(world(5, 0.3));
        town.add("gw", |_| ());
        town.run(seconds(600));
        (format!("{:?}", town.world.statistics()), format!("{:?}", town.events))
    };
    assert_eq!(run(), run());
}

#[test]
#[ignore = "soak: minutes"]
fn soak_twenty_thousand_worlds() {
    all(1_000..21_000, |seed| stormy(seed, Mutant::None).and_then(|()| drizzly(seed, Mutant::None).map(drop)));
}
