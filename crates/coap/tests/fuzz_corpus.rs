//! Replays the corpora of the fuzz targets, with every truncation and a million mutations of each, through the bodies of those targets.

use std::fs;
use std::path::Path;

use sim::Mutator;

#[path = "../../../fuzz/bodies/datagram.rs"]
mod datagram;
#[path = "../../../fuzz/bodies/link_format.rs"]
mod link_format;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The order of a directory is arbitrary, and the mutations shall be the same everywhere.
    paths.sort();
    assert!(paths.len() > 10, "there is a corpus in {}", directory.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn every_truncation(inputs: &[Vec<u8>], check: impl Fn(&[u8])) {
    inputs.iter().for_each(|input| (0..=input.len()).for_each(|length| check(&input[..length])));
}

#[test]
fn every_datagram_of_the_corpus_and_every_truncation_of_it() {
    every_truncation(&corpus("datagram"), |bytes| {
        datagram::check(bytes);
        datagram::check_description(bytes);
    });
}

#[test]
fn every_link_format_of_the_corpus_and_every_truncation_of_it() {
    every_truncation(&corpus("link_format"), link_format::check);
}

#[test]
fn a_million_mutations_of_datagrams() {
    let mut mutator = Mutator::seeded(7252, corpus("datagram"));
    for round in 0..1_000_000 {
        let bytes = mutator.next();
        datagram::check(bytes);
        if round % 16 == 0 {
            datagram::check_description(bytes);
        }
    }
}

#[test]
fn a_million_mutations_of_link_format() {
    let mut mutator = Mutator::seeded(6690, corpus("link_format"));
    (0..1_000_000).for_each(|_| link_format::check(mutator.next()));
}
