//! Replays the corpora of the fuzz targets, with every truncation and a million mutations, through the readers of LwM2M's formats.

use std::fs;
use std::path::Path;

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
