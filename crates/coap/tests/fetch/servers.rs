//! Servers as they are: slow, with small blocks, without a size, changing, forgetting, refusing (RFC 7959 sections 2.4 and 2.9, RFC
//! 7252 section 5.2.2, RFC 8516).

use std::{sync::Arc, time::Duration};

use lapwing_coap::{
    Block, BlockSize, Code, Message, MessageType,
    fetch::{Config, Failure, Restart, Resume},
};
use sim::{Cable, World};

use crate::lab::{ETAG, Lab, Told, empty, ms, pattern, retyped, with_token};

const LENGTH: usize = 300_000;
const NOW: Duration = Duration::ZERO;

fn lab() -> Lab {
    Lab::new(World::seeded(3).cable(Cable::new().latency(ms(50))), pattern(LENGTH))
}

fn resume(offset: u64) -> Option<Resume<'static>> {
    Some(Resume { offset, etag: ETAG })
}

fn offset(request: &Message<'_>) -> u64 {
    request.options.block2().unwrap().map_or(0, Block::offset)
}

fn head(etag: &[u8]) -> Told {
    Told::Head { size: Some(LENGTH as u64), etag: Some(etag.to_vec()) }
}

#[test]
fn a_body_of_any_length_comes_whole_whether_its_size_is_told_or_not() {
    for length in [0, 1, 1023, 1024, 1025, 2048, 10_240, 102_400, 102_401] {
        for told in [true, false] {
            let mut lab = Lab::new(World::seeded(3).cable(Cable::new().latency(ms(50))), pattern(length));
            lab.site.size = told;
            let flow = lab.fetch(100);
            assert!(flow.is_finished(), "{length}: {:?}", flow.told);
            assert_eq!((flow.fetch.counters().again, flow.fetch.counters().fallbacks), (0, 0));
        }
    }
}

/// Without Size2 it looks for the end by asking beyond it, which costs no time.
#[test]
fn an_unknown_size_costs_no_more_than_a_window_of_refusals() {
    let took = |told| {
        let mut lab = lab();
        lab.site.size = told;
        let flow = lab.fetch(100);
        assert!(flow.is_finished(), "{:?}", flow.told);
        (flow.ended.unwrap(), flow.window)
    };
    let ((known, _), (unknown, window)) = (took(true), took(false));
    assert!(unknown <= known + ms(1), "{unknown:?} instead of {known:?}");
    assert!(window > 0);
}

/// A server that knows no blocks gives the whole body at once.
#[test]
fn a_body_without_block_option_is_whole() {
    let mut lab = Lab::new(World::seeded(3), pattern(1200));
    lab.serve(|_, request, site| {
        assert_eq!(request.options.block2(), Ok(None), "not asked for in blocks");
        let mut bytes = site.say(request, Code::CONTENT, None);
        bytes.push(0xff);
        bytes.extend_from_slice(&site.body);
        vec![(NOW, bytes)]
    });
    let flow = lab.fetch(10);
    assert_eq!(flow.told, [Told::Head { size: Some(1200), etag: None }, Told::Finished]);
    assert!(flow.is_finished());
}

#[test]
fn smaller_blocks_than_asked_for_are_taken_from_the_start_midway_and_at_a_resumed_offset() {
    for largest in [BlockSize::B16, BlockSize::B64, BlockSize::B512] {
        let mut lab = lab();
        lab.site.largest = largest;
        assert!(lab.fetch(1000).is_finished());

        let mut lab = self::lab();
        lab.serve(move |_, request, site| {
            if offset(request) > 100_000 {
                site.largest = largest;
            }
            vec![(NOW, site.block(request))]
        });
        let flow = lab.fetch(1000);
        assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
        assert_eq!(flow.fetch.counters().again, 0);

        let mut lab = self::lab();
        lab.site.largest = largest;
        let flow = lab.start(Config::default(), resume(100_000));
        lab.run(1000);
        let flow = &lab.flows[flow];
        assert_eq!(flow.told, [head(ETAG), Told::Finished], "resumed");
        assert!(flow.fetch.counters().again < 1024);
    }
}

#[test]
fn resuming_fetches_what_is_missing_and_sends_no_etag() {
    let mut lab = lab();
    lab.serve(|_, request, site| {
        assert_eq!(request.options.etag(), None);
        vec![(NOW, site.block(request))]
    });
    let flow = lab.start(Config::default(), resume(200_001));
    lab.run(100);
    assert_eq!(lab.flows[flow].told, [head(ETAG), Told::Finished]);
    assert_eq!(lab.site.asked.first(), Some(&199_680));
    assert!(lab.site.asked.iter().all(|offset| *offset >= 199_680));
}

#[test]
fn resuming_starts_over_with_another_etag_or_none() {
    for (now, etag, why) in
        [(Some(&b"two"[..]), ETAG, Restart::Changed), (None, ETAG, Restart::NoEtag), (Some(ETAG), b"", Restart::NoEtag)]
    {
        let mut lab = lab();
        lab.site.etag = now.map(<[u8]>::to_vec);
        let flow = lab.start(Config::default(), Some(Resume { offset: 102_400, etag }));
        lab.run(100);
        let head = Told::Head { size: Some(LENGTH as u64), etag: now.map(<[u8]>::to_vec) };
        let flow = &lab.flows[flow];
        assert_eq!(flow.told, [Told::Restarted(why), head, Told::Finished]);
        assert!(flow.is_finished() && flow.fetch.counters().fallbacks == 0);
    }
}

/// aiocoap answers 4.08 to a first block that is not block 0; others 4.00 beyond what they have; others ignore which block was
/// asked for.
#[test]
fn resuming_starts_over_where_the_server_does_not_go_on() {
    for code in [Some(Code::REQUEST_ENTITY_INCOMPLETE), Some(Code::BAD_REQUEST), Some(Code::BAD_OPTION), None] {
        let mut lab = lab();
        let mut begun = false;
        lab.serve(move |_, request, site| {
            begun |= offset(request) == 0;
            let answer = match code {
                _ if begun => site.block(request),
                Some(code) => site.say(request, code, None),
                None => site.give(request, 0, BlockSize::B1024),
            };
            vec![(NOW, answer)]
        });
        let flow = lab.start(Config::default(), resume(102_400));
        lab.run(100);
        let flow = &lab.flows[flow];
        let why = Restart::NotResumable(code.unwrap_or(Code::CONTENT));
        assert_eq!(flow.told, [Told::Restarted(why), head(ETAG), Told::Finished]);
        assert!(flow.is_finished() && flow.fetch.counters().fallbacks == 0, "the window is not to blame");
    }
}

#[test]
fn a_body_that_changes_midway_comes_again_and_one_block_at_a_time() {
    let mut lab = lab();
    let mut most = 0;
    lab.serve(move |_, request, site| {
        most = most.max(offset(request));
        if most > 150_000 {
            site.etag = Some(b"two".to_vec());
        }
        vec![(NOW, site.block(request))]
    });
    let flow = lab.fetch(1000);
    assert_eq!(flow.told, [head(ETAG), Told::Restarted(Restart::Changed), head(b"two"), Told::Finished]);
    assert!(flow.is_finished());
    assert_eq!(flow.fetch.counters().fallbacks, 1);
}

/// Another ETag for each answer: nothing can be put together.
#[test]
fn a_body_that_changes_all_the_time_fails() {
    let mut lab = lab();
    lab.serve(move |_, request, site| {
        site.etag = Some(site.id.to_be_bytes().to_vec());
        site.id += 1;
        vec![(NOW, site.block(request))]
    });
    let flow = lab.fetch(1000);
    assert_eq!(flow.told.last(), Some(&Told::Failed(Failure::Unstable)));
}

#[test]
fn a_refusal_midway_fails_with_its_code_and_keeps_what_came() {
    for code in [Code::NOT_FOUND, Code::VALID, Code::INTERNAL_SERVER_ERROR, Code::UNAUTHORIZED] {
        for from in [0, 150_528] {
            let mut lab = lab();
            lab.serve(move |_, request, site| {
                let gone = offset(request) >= from;
                vec![(NOW, if gone { site.say(request, code, None) } else { site.block(request) })]
            });
            let flow = lab.fetch(100);
            assert_eq!(flow.told.last(), Some(&Told::Failed(Failure::Refused(code))));
            assert_eq!(flow.offset, from);
        }
    }
}

/// One request at a time after 4.08, as the server may keep only one block; the window is tried once more.
#[test]
fn a_server_that_cannot_follow_is_asked_for_one_block_at_a_time() {
    let mut lab = lab();
    let (mut expected, mut refused) = (0, 0);
    lab.serve(move |_, request, site| {
        let asked = offset(request);
        if asked <= expected {
            expected = expected.max(asked + 1024);
            return vec![(NOW, site.block(request))];
        }
        refused += 1;
        assert!(refused < 100, "it learns");
        vec![(NOW, site.say(request, Code::REQUEST_ENTITY_INCOMPLETE, None))]
    });
    // A request that overtakes another one makes the server refuse.
    lab.world.set_cable(Cable::new().latency(ms(50)).reordering(0.3, ms(20)));
    let flow = lab.fetch(1000);
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    assert_eq!(flow.fetch.counters().fallbacks, 2);
    assert!(!flow.told.iter().any(|told| matches!(told, Told::Restarted(_))));
}

#[test]
fn a_transfer_that_the_server_has_lost_begins_anew() {
    let mut lab = lab();
    let mut lost = false;
    lab.serve(move |_, request, site| {
        lost |= offset(request) >= 150_000;
        let refused = lost && offset(request) > 0;
        lost &= offset(request) > 0;
        vec![(
            NOW,
            if refused { site.say(request, Code::REQUEST_ENTITY_INCOMPLETE, None) } else { site.block(request) },
        )]
    });
    let flow = lab.start(Config::default(), None);
    lab.run(4);
    assert!(lab.flows[flow].told.contains(&Told::Restarted(Restart::Incomplete)), "{:?}", lab.flows[flow].told);
    lab.serve(|_, request, site| vec![(NOW, site.block(request))]);
    lab.run(100);
    assert!(lab.flows[flow].is_finished());
}

/// 4.29 (RFC 8516) and 5.03 (RFC 7252 section 5.9.3.4) with Max-Age: nothing is asked for until then.
#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_wants() {
    for code in [Code::TOO_MANY_REQUESTS, Code::SERVICE_UNAVAILABLE] {
        let mut lab = lab();
        let mut since: Option<Duration> = None;
        lab.serve(move |now, request, site| {
            let busy = offset(request) >= 100_000 && since.is_none_or(|since| now - since < ms(300));
            if busy {
                since.get_or_insert(now);
                return vec![(NOW, site.say(request, code, Some(20)))];
            }
            assert!(since.is_none_or(|since| now - since >= Duration::from_secs(20)), "asked for at {now:?}");
            vec![(NOW, site.block(request))]
        });
        let flow = lab.fetch(1000);
        assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
        assert_eq!(flow.fetch.counters().fallbacks, 1);
        assert!(flow.ended.unwrap() > Duration::from_secs(20));
    }
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let mut lab = lab();
    lab.serve(|_, request, site| vec![(NOW, site.say(request, Code::SERVICE_UNAVAILABLE, Some(3600)))]);
    assert_eq!(lab.fetch(100).told, [Told::Failed(Failure::Busy(Duration::from_secs(3600)))]);
    lab = self::lab();
    lab.serve(|_, request, site| vec![(NOW, site.say(request, Code::SERVICE_UNAVAILABLE, Some(0)))]);
    let flow = lab.fetch(200);
    assert!(matches!(flow.told[..], [Told::Failed(Failure::Busy(_))]), "{:?}", flow.told);
    assert!(lab.site.asked.len() < 100, "{}", lab.site.asked.len());
}

/// Each answer takes two seconds more than its round trip, and comes separately (RFC 7252 section 5.2.2): the empty
/// acknowledgement, then a confirmable response, which is acknowledged.
#[test]
fn slow_and_separate_answers_are_waited_for_and_acknowledged() {
    let mut lab = lab();
    let mut id = 1000;
    lab.serve(move |_, request, site| {
        id += 1;
        let answer = retyped(&site.block(request), MessageType::Con, id);
        let mut answers = vec![(Duration::from_secs(2), answer)];
        if request.kind == MessageType::Con {
            answers.insert(0, (NOW, empty(MessageType::Ack, request.id)));
        }
        answers
    });
    let flow = lab.fetch(1000);
    let counters = flow.fetch.counters();
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    assert_eq!((counters.again, counters.lost, counters.retransmissions), (0, 0, 0), "{counters:?}");
    let acknowledged = lab.world.trace().sent(lab.client, lab.server);
    let acknowledged = acknowledged.filter(|(_, bytes)| bytes.len() == 4 && bytes[0] == 0x60).count();
    assert_eq!(acknowledged, lab.site.asked.len());
}

#[test]
fn an_accepted_request_whose_answer_is_lost_is_made_again() {
    let mut lab = lab();
    let mut first = true;
    lab.serve(move |_, request, site| {
        if std::mem::take(&mut first) {
            return vec![(NOW, empty(MessageType::Ack, request.id))];
        }
        vec![(NOW, site.block(request))]
    });
    let flow = lab.fetch(100);
    assert!(flow.is_finished(), "{:?}", flow.told);
    assert!((30..40).contains(&flow.ended.unwrap().as_secs()), "{:?}", flow.ended);
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let mut lab = lab();
    lab.serve(|_, _, _| Vec::new());
    let flow = lab.fetch(1000);
    assert_eq!(flow.told, [Told::Failed(Failure::TimedOut)]);
    assert!(flow.ended.unwrap() <= Duration::from_secs(93), "{:?}", flow.ended);
    assert_eq!(lab.site.asked.len(), 5, "MAX_RETRANSMIT and one");

    let mut lab = self::lab();
    lab.serve(|now, request, site| if now < ms(500) { vec![(NOW, site.block(request))] } else { Vec::new() });
    let flow = lab.fetch(1000);
    assert_eq!(flow.told.last(), Some(&Told::Failed(Failure::TimedOut)));
    let waited = flow.ended.unwrap();
    assert!((93..95).contains(&waited.as_secs()), "{waited:?}");
    let probes = flow.fetch.counters().probes;
    assert!((5..=12).contains(&probes), "{probes} probes, further and further apart");
}

#[test]
fn a_reset_and_an_unknown_critical_option_end_it() {
    let mut lab = lab();
    lab.serve(|_, request, _| vec![(NOW, empty(MessageType::Rst, request.id))]);
    assert_eq!(lab.fetch(10).told, [Told::Failed(Failure::Reset)]);
    let mut lab = self::lab();
    lab.serve(|_, request, site| {
        let mut answer = site.say(request, Code::CONTENT, None);
        answer.extend_from_slice(&[0xd0, 65_000_u16.to_be_bytes()[1]]);
        vec![(NOW, answer)]
    });
    assert!(matches!(lab.fetch(10).told[..], [Told::Failed(Failure::BadOption(_))]));
}

/// Every answer three times, one of them half a minute later, and a stranger's beside each: nothing is taken twice.
#[test]
fn duplicates_replays_and_answers_to_nothing_change_nothing() {
    let mut lab = lab();
    lab.serve(move |_, request, site| {
        let answer = site.block(request);
        let mut token = request.token.as_bytes().to_vec();
        token[6] ^= 0x80;
        let unasked = with_token(&answer, &token);
        let strange = with_token(&answer, b"unknown");
        let misplaced = retyped(&answer, MessageType::Ack, request.id.wrapping_add(1));
        vec![
            (NOW, unasked),
            (NOW, strange),
            (NOW, misplaced),
            (NOW, answer.clone()),
            (NOW, answer.clone()),
            (ms(700), answer),
        ]
    });
    let flow = lab.fetch(100);
    let counters = flow.fetch.counters();
    assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
    assert_eq!((counters.received, counters.again), (LENGTH as u64, 0));
    assert_eq!(counters.requests, LENGTH.div_ceil(1024) as u64);
}

/// A server that answers some requests with another block than the one asked for, again and again.
#[test]
fn a_block_that_was_not_asked_for_is_not_taken() {
    let mut lab = lab();
    lab.serve(|_, request, site| {
        let number = (offset(request) / 1024) as u32;
        let given = if number == 100 { 99 } else { number };
        vec![(NOW, site.give(request, given, BlockSize::B1024))]
    });
    let flow = lab.fetch(100);
    assert_eq!(flow.told, [head(ETAG), Told::Failed(Failure::Misfit)]);
    assert_eq!(flow.offset, 102_400, "what came before is good");
}

/// Size2 is an indication (RFC 7959 section 4): too small or too great, the last block is what counts.
#[test]
fn a_wrong_size_does_no_harm() {
    for wrong in [10_000, 900_000] {
        let mut lab = lab();
        let body = Arc::clone(&lab.site.body);
        lab.serve(move |_, request, site| {
            let first = site.body.len() == LENGTH && request.options.size2().is_some();
            if !first {
                return vec![(NOW, site.block(request))];
            }
            let right = (LENGTH as u32).to_be_bytes();
            let answer = site.block(request);
            let place = answer.windows(3).position(|bytes| bytes == &right[1..]).unwrap();
            let mut answer = answer;
            answer[place..place + 3].copy_from_slice(&u32::to_be_bytes(wrong)[1..]);
            vec![(NOW, answer)]
        });
        let flow = lab.start(Config::default(), None);
        lab.run(100);
        let flow = &lab.flows[flow];
        let told = if wrong == 10_000 { None } else { Some(u64::from(wrong)) };
        assert!(flow.is_finished(), "{:?} at {}", flow.told, flow.offset);
        assert!(told.is_none() || flow.told[0] == Told::Head { size: told, etag: Some(ETAG.to_vec()) });
        assert_eq!(body.len(), LENGTH);
    }
}

/// What is not consumed holds the fetch up, as long as it takes; then it goes on.
#[test]
fn a_slow_consumer_holds_it_up_and_no_more_is_kept_than_was_allowed() {
    let mut config = Config::default();
    config.buffer = 64 * 1024;
    let mut lab = lab();
    let flow = lab.start(config, None);
    lab.flows[flow].holds = true;
    lab.run(500);
    assert_eq!((lab.flows[flow].held, &lab.flows[flow].told[..]), (64 * 1024, &[head(ETAG)][..]));
    assert!(lab.flows[flow].memory <= 160 * 1024, "{}", lab.flows[flow].memory);
    let now = lab.world.now();
    lab.flows[flow].fetch.consumed(now, 1024);
    lab.run(500);
    assert_eq!(lab.flows[flow].held, 65 * 1024);
    lab.flows[flow].holds = false;
    let now = lab.world.now();
    lab.flows[flow].fetch.consumed(now, 64 * 1024);
    lab.run(500);
    assert!(lab.flows[flow].is_finished(), "{:?}", lab.flows[flow].told);
}

/// 2^20 blocks can be numbered (RFC 7959 section 2.2): 16 MiB in blocks of 16 bytes.
#[test]
fn more_blocks_than_can_be_numbered_are_not_begun() {
    let mut lab = lab();
    let flow = lab.start(Config::default(), resume(u64::MAX - 3));
    lab.run(10);
    assert_eq!(lab.flows[flow].told, [Told::Failed(Failure::TooLong)]);
    assert_eq!(lab.site.asked, []);

    let mut lab = Lab::new(World::seeded(3), pattern((16 << 20) + 1));
    lab.site.largest = BlockSize::B16;
    let flow = lab.fetch(10);
    assert_eq!(flow.told.last(), Some(&Told::Failed(Failure::TooLong)));
    assert_eq!(lab.site.asked, [0]);
}
