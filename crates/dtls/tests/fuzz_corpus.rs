//! Replays the corpora of the fuzz targets, with every truncation and many mutations of each, through the bodies of those targets.

use std::fs;
use std::path::Path;

use sim::Mutator;

#[path = "../../../fuzz/bodies/dtls_certificate.rs"]
mod dtls_certificate;
#[path = "../../../fuzz/bodies/dtls_handshake.rs"]
mod dtls_handshake;
#[path = "../../../fuzz/bodies/dtls_record.rs"]
mod dtls_record;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The order of a directory is arbitrary, and the mutations shall be the same everywhere.
    paths.sort();
    assert!(paths.len() > 5, "there is a corpus in {}", directory.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn every_truncation(inputs: &[Vec<u8>], check: impl Fn(&[u8])) {
    inputs.iter().for_each(|input| (0..=input.len()).for_each(|length| check(&input[..length])));
}

#[test]
fn every_datagram_of_the_corpus_and_every_truncation_of_it() {
    every_truncation(&corpus("dtls_record"), dtls_record::check);
}

#[test]
fn every_handshake_record_of_the_corpus_and_every_truncation_of_it() {
    every_truncation(&corpus("dtls_handshake"), dtls_handshake::check);
}

#[test]
fn every_certificate_of_the_corpus_and_every_truncation_of_it() {
    every_truncation(&corpus("dtls_certificate"), dtls_certificate::check);
}

#[test]
fn five_thousand_mutations_of_certificates() {
    let mut mutator = Mutator::seeded(5280, corpus("dtls_certificate"));
    (0..5000).for_each(|_| dtls_certificate::check(mutator.next()));
}

#[test]
fn a_million_mutations_of_datagrams() {
    let mut mutator = Mutator::seeded(6347, corpus("dtls_record"));
    (0..1_000_000).for_each(|_| dtls_record::check(mutator.next()));
}

#[test]
fn a_million_mutations_of_handshake_records() {
    let mut mutator = Mutator::seeded(5246, corpus("dtls_handshake"));
    (0..1_000_000).for_each(|_| dtls_handshake::check(mutator.next()));
}
