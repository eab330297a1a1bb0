//! Replays the corpora of the fuzz targets, with every truncation and a million mutations, through the readers of LwM2M's formats.

use std::fs;
use std::path::Path;

use lapwing_coap::link::Links;
use lapwing_lwm2m::format::link::{parse_discover, parse_registration};
use sim::Mutator;

#[path = "../../../fuzz/bodies/tlv.rs"]
mod tlv;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The order of a directory is arbitrary, and the mutations shall be the same everywhere.
    paths.sort();
    assert!(paths.len() > 10, "there is a corpus in {}", directory.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_tlv_of_the_corpus_and_every_truncation_of_it() {
    for input in corpus("tlv") {
        (0..=input.len()).for_each(|length| tlv::check(&input[..length]));
    }
}

#[test]
fn a_million_mutations_of_tlv() {
    let mut mutator = Mutator::seeded(11542, corpus("tlv"));
    for round in 0..1_000_000 {
        tlv::check_at(round % (tlv::PLACES + 1), mutator.next());
    }
}

/// What is no link-format is neither a registration nor an answer to Discover.
#[test]
fn mutations_of_link_format() {
    let mut mutator = Mutator::seeded(40, corpus("link_format"));
    for _ in 0..100_000 {
        let payload = mutator.next();
        let (registration, discover) = (parse_registration(payload), parse_discover("", payload));
        if Links::parse(payload).is_err() {
            assert!(registration.is_err() && discover.is_err(), "{}", payload.escape_ascii());
        }
    }
}
