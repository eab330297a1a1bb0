//! Several blocks a request by Q-Block2 (RFC 9177) where the server has it, and nothing lost where it does not.

use std::time::Duration;

use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType,
    fetch::{Config, Failure, Restart, Resume},
    wire::option,
};
use sim::{Cable, World};

use crate::lab::{ETAG, Flow, Lab, MIB, Site, Told, at_once, empty, ms, pattern, retyped, rough};

const NOW: Duration = Duration::ZERO;

pub fn config() -> Config {
    let mut config = Config::default();
    config.q_block2 = true;
    config
}

/// 300 ms round trip, 10 Mbit/s with a queue of one bandwidth-delay product.
fn link(loss: f64) -> Cable {
    Cable::new().latency(ms(150)).loss(loss).bandwidth(1_250_000).queue(375_000)
}

fn lab(length: usize) -> Lab {
    let mut lab = Lab::new(World::seeded(31).cable(Cable::new().latency(ms(50))), pattern(length));
    lab.site.q_block2 = true;
    lab
}

fn fetch(lab: &mut Lab, config: Config) -> &Flow {
    let flow = lab.start(config, None);
    lab.run(10_000);
    let flow = &lab.flows[flow];
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    flow
}

fn asks_so(request: &Message<'_>) -> bool {
    request.options.q_block2().next().is_some()
}

/// Beside a window of Block2 requests in the same worlds: bytes per second and messages per MiB.
fn compare(loss: f64) -> [(f64, f64); 2] {
    [Config::default(), config()].map(|config| {
        let (mut seconds, mut messages) = (0.0, 0);
        for seed in 1..=3 {
            let mut lab = Lab::new(World::seeded(seed).cable(link(loss)), pattern(20 * MIB));
            lab.site.q_block2 = true;
            let flow = fetch(&mut lab, config.clone());
            let counters = flow.fetch.counters();
            assert!(counters.again <= 64 * 1024, "{counters:?}");
            assert!(flow.memory <= 1_400_000, "{} bytes of memory", flow.memory);
            seconds += flow.ended.unwrap().as_secs_f64();
            messages += counters.messages;
        }
        let measured = ((3 * 20 * MIB) as f64 / seconds, messages as f64 / 60.0);
        println!(
            "loss {loss}, Q-Block2 {}: {:.0} bytes/s, {:.0} messages a MiB",
            config.q_block2, measured.0, measured.1
        );
        measured
    })
}

#[test]
fn one_request_brings_ten_blocks() {
    let [(rate, _), (quick, messages)] = compare(0.0);
    assert!(messages < 125.0, "{messages}");
    assert!(quick > 0.95 * rate, "{quick} against {rate}");
}

#[test]
fn losses_cost_no_more_than_with_block2() {
    for (loss, most) in [(0.01, 250.0), (0.05, 700.0)] {
        let [(rate, _), (quick, messages)] = compare(loss);
        assert!(messages < most, "{messages}");
        assert!(quick > 0.95 * rate, "{quick} against {rate}");
    }
}

#[test]
fn twenty_cuts_are_survived() {
    let mut lab = Lab::new(World::seeded(32).cable(link(0.01)), pattern(20 * MIB));
    lab.site.q_block2 = true;
    let mut flow = lab.start(config(), None);
    let (mut windows, mut received) = (0, 0);
    for _ in 0..20 {
        let run = ms(1000) + lab.world.random().up_to(ms(5000));
        let limit = lab.world.now() + run;
        lab.run_until(limit);
        let cut = lab.flows.remove(flow);
        assert_eq!(cut.ended, None, "{:?}", cut.told);
        windows += cut.window as u64;
        received += cut.fetch.counters().received;
        flow = lab.start(config(), Some(Resume { offset: cut.offset, etag: ETAG }));
    }
    lab.run(10_000);
    let flow = &lab.flows[flow];
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    let again = received + flow.fetch.counters().received - (20 * MIB) as u64;
    assert!(again <= windows, "{again} bytes came twice, of {windows} that were under way");
    assert!(lab.site.messages < 20_000 / 3, "{} messages", lab.site.messages);
}

/// The link is away for five seconds, twenty times: afterwards it is asked anew whether the server has Q-Block2.
#[test]
fn a_link_that_comes_back_is_used_again() {
    let mut lab = Lab::new(World::seeded(33).cable(link(0.0)), pattern(40 * MIB));
    lab.site.q_block2 = true;
    let flow = lab.start(config(), None);
    for _ in 0..20 {
        lab.run_for(6);
        lab.world.cut(lab.client, lab.server);
        lab.run_for(5);
        lab.world.restore(lab.client, lab.server);
    }
    lab.run(10_000);
    let (flow, counters) = (&lab.flows[flow], lab.flows[flow].fetch.counters());
    assert!(flow.is_finished(), "{:?}", flow.told);
    assert!(counters.messages < counters.requests / 4, "{counters:?}");
}

/// Loss, duplicates, re-ordering, jitter and small blocks, in many worlds.
#[test]
fn whatever_the_link_does_the_body_is_right() {
    for seed in 0..200 {
        let mut lab = Lab::new(World::seeded(seed).cable(rough(seed)), pattern(130_000 + seed as usize * 777));
        lab.site.q_block2 = seed % 10 < 9;
        lab.site.size = seed % 3 > 0;
        lab.site.largest = BlockSize::at_most(64 << (seed % 5)).unwrap();
        lab.persist(config(), seed);
    }
}

#[test]
fn bodies_of_any_length_come_whole_and_short_ones_are_not_worth_the_question() {
    for length in [0, 1, 1024, 60_000, 80_000, 80_896, 80_897, 90_000, 300_000, 1_000_000] {
        for told in [true, false] {
            let mut lab = lab(length);
            lab.site.size = told;
            let flow = fetch(&mut lab, config());
            let counters = flow.fetch.counters();
            assert_eq!((counters.again, counters.fallbacks, counters.lost), (0, 0, 0), "{length}: {counters:?}");
            if told {
                let blocks = length.div_ceil(1024).max(1) as u64;
                assert_eq!(counters.requests, blocks, "nothing is asked for beyond the end");
                assert_eq!(counters.messages == blocks, length < 80_000, "{length}: {counters:?}");
            }
        }
    }
}

/// A server that gives two of three blocks: the others are asked for again.
#[test]
fn what_a_server_leaves_out_is_asked_for_again() {
    let mut lab = lab(400_000);
    let mut given = 0;
    lab.serve(move |_, request, site| {
        let mut answers = site.answers(request);
        if asks_so(request) {
            answers.retain(|_| {
                given += 1;
                given % 3 > 0
            });
        }
        at_once(answers)
    });
    let flow = fetch(&mut lab, config());
    assert_eq!(flow.fetch.counters().again, 0);
}

/// RFC 9177 section 4.1: one confirmable request finds out, and what a server has against it is no harm. In time it costs at most
/// that this block comes a round trip later.
#[test]
fn a_server_without_it_is_not_troubled_twice() {
    type Refusal = fn(&Message<'_>, &mut Site) -> Vec<Vec<u8>>;
    let refusals: [(&str, u64, Refusal); 6] = [
        ("4.02", 1, |request, site| vec![site.say(request, Code::BAD_OPTION, None)]),
        ("5.00", 1, |request, site| vec![site.say(request, Code::INTERNAL_SERVER_ERROR, None)]),
        ("4.01 without Echo", 1, |request, site| vec![site.say(request, Code::UNAUTHORIZED, None)]),
        ("reset", 1, |request, _| vec![empty(MessageType::Rst, request.id)]),
        ("the first block by Block2", 1, |request, site| vec![site.give(request, 0, BlockSize::B1024)]),
        ("silence", 3, |_, _| Vec::new()),
    ];
    let ended = fetch(&mut lab(1_000_000), Config::default()).ended.unwrap();
    for (name, most, refusal) in refusals {
        let mut lab = lab(1_000_000);
        lab.serve(move |_, request, site| {
            if !asks_so(request) {
                return at_once(site.answers(request));
            }
            assert_eq!(request.kind, MessageType::Con, "{name}");
            at_once(refusal(request, site))
        });
        let flow = fetch(&mut lab, config());
        let counters = flow.fetch.counters();
        assert!(flow.ended.unwrap() <= ended + ms(10), "{name}: {:?} instead of {ended:?}", flow.ended);
        assert_eq!((counters.lost, counters.fallbacks, counters.again), (0, 0, 0), "{name}: {counters:?}");
        assert_eq!(counters.requests, 1_000_000_u64.div_ceil(1024) + most, "{name}");
    }
}

/// It can do it no more, all of a sudden: what it does not answer is asked for by Block2.
#[test]
fn a_server_that_stops_to_have_it_is_asked_by_block2() {
    for says in [true, false] {
        let mut lab = lab(2_000_000);
        lab.serve(move |now, request, site| {
            site.q_block2 = now < ms(600);
            match asks_so(request) && !site.q_block2 && says {
                true => vec![(NOW, site.say(request, Code::BAD_OPTION, None))],
                false => at_once(site.answers(request)),
            }
        });
        let flow = fetch(&mut lab, config());
        assert!(flow.ended.unwrap() < Duration::from_secs(5), "{:?}", flow.ended);
        assert_eq!((flow.fetch.counters().again, flow.fetch.counters().fallbacks), (0, 0));
    }
}

/// It has it, but gives nothing where several blocks are asked for: that is found out a few times, and then no more.
#[test]
fn a_server_that_gives_no_more_than_one_block_is_asked_by_block2() {
    let (mut lab, mut several) = (lab(2_000_000), 0);
    lab.serve(move |_, request, site| {
        if request.options.q_block2().count() > 1 {
            several += 1;
            assert!(several < 300, "it does not give in");
            return Vec::new();
        }
        at_once(site.answers(request))
    });
    let flow = fetch(&mut lab, config());
    assert!(flow.ended.unwrap() < Duration::from_secs(20), "{:?}", flow.ended);
}

#[test]
fn a_body_that_changes_midway_comes_again() {
    let mut lab = lab(600_000);
    lab.serve(|now, request, site| {
        if now > ms(700) {
            site.etag = Some(b"two".to_vec());
        }
        at_once(site.answers(request))
    });
    let flow = fetch(&mut lab, config());
    assert!(flow.told.contains(&Told::Restarted(Restart::Changed)), "{:?}", flow.told);
    assert_eq!(flow.fetch.counters().fallbacks, 1);
}

#[test]
fn a_part_goes_on_within_a_block_and_without_an_etag() {
    let mut lab = lab(1_000_000);
    lab.serve(|_, request, site| {
        assert_eq!(request.options.etag(), None, "RFC 9177 section 4.4");
        at_once(site.answers(request))
    });
    let flow = lab.start(config(), Some(Resume { offset: 200_001, etag: ETAG }));
    lab.run(100);
    let flow = &lab.flows[flow];
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    assert!(lab.site.asked.iter().all(|offset| *offset >= 199_680));
    assert!(lab.site.messages < lab.site.asked.len() as u64 / 2);
}

/// Each answer three times, one of them late, and another block with the same token: nothing is taken twice.
#[test]
fn duplicates_and_blocks_that_were_not_asked_for_change_nothing() {
    let mut lab = lab(1_000_000);
    lab.serve(|_, request, site| {
        let mut answers = Vec::new();
        for answer in site.answers(request) {
            answers.extend([(NOW, answer.clone()), (NOW, answer.clone()), (ms(700), answer)]);
        }
        if asks_so(request) {
            let other = Block { number: 3, more: false, size: BlockSize::B1024 };
            answers.push((NOW, site.give_q(request, other)));
        }
        answers
    });
    let flow = fetch(&mut lab, config());
    let counters = flow.fetch.counters();
    assert_eq!((counters.received, counters.again, counters.lost), (1_000_000, 0, 0), "{counters:?}");
}

/// Confirmable answers, as a server may send them: each is acknowledged.
#[test]
fn separate_answers_are_acknowledged() {
    let (mut lab, mut id) = (lab(300_000), 1000);
    lab.serve(move |_, request, site| {
        let answers = site.answers(request).into_iter().map(|answer| {
            id += 1;
            (ms(20), retyped(&answer, MessageType::Con, id))
        });
        let accepted = (request.kind == MessageType::Con).then(|| (NOW, empty(MessageType::Ack, request.id)));
        accepted.into_iter().chain(answers).collect()
    });
    let flow = fetch(&mut lab, config());
    assert_eq!((flow.fetch.counters().again, flow.fetch.counters().lost), (0, 0));
    let sent = lab.world.trace().sent(lab.client, lab.server);
    let acknowledged = sent.filter(|(_, bytes)| bytes.len() == 4 && bytes[0] == 0x60).count();
    assert_eq!(acknowledged, lab.site.asked.len());
}

/// A server that wants to know where the client is (RFC 9175 section 2.4), and forgets it now and then.
#[test]
fn an_echo_is_sent_back() {
    let (mut lab, mut refused) = (lab(6_000_000), 0);
    lab.serve(move |now, request, site| {
        let wanted = [if now < ms(800) { 1 } else { 2 }; 8];
        let answers = site.answers(request);
        if !asks_so(request) || request.options.echo() == Some(&wanted) {
            return at_once(answers);
        }
        let several = request.options.q_block2().count() > 1;
        refused += usize::from(several);
        assert!(refused < 300, "it does not give in");
        let answers = if several { vec![site.say(request, Code::UNAUTHORIZED, None)] } else { answers };
        at_once(answers.iter().map(|answer| with_echo(answer, &wanted)).collect())
    });
    let flow = fetch(&mut lab, config());
    let counters = flow.fetch.counters();
    assert_eq!((counters.again, counters.fallbacks), (0, 0));
    assert!(counters.messages < 6_000_000 / 1024 / 2, "{counters:?}");
}

fn with_echo(answer: &[u8], echo: &[u8]) -> Vec<u8> {
    let message = Message::parse(answer).unwrap();
    let mut bytes = Vec::new();
    let mut writer = lapwing_coap::Writer::new(&mut bytes, message.kind, message.code, message.id, message.token);
    for option in message.options.iter() {
        writer.option_bytes(option.number, option.value);
    }
    writer.option_bytes(option::ECHO, echo).payload(message.payload).finish();
    bytes
}

/// One that gives a block by Q-Block2 that was asked for by Block2 uses a critical option that is not expected.
#[test]
fn unasked_it_is_not_understood() {
    for config in [config(), Config::default()] {
        let mut lab = lab(300_000);
        lab.serve(|_, request, site| {
            let block = request.options.block2().unwrap();
            let first = Block { number: 0, more: false, size: BlockSize::B1024 };
            vec![(NOW, site.give_q(request, block.unwrap_or(first)))]
        });
        let flow = lab.start(config, None);
        lab.run(100);
        assert_eq!(lab.flows[flow].told, [Told::Failed(Failure::BadOption(option::Q_BLOCK2))]);
    }
}
