//! Replays the corpus of the fuzz target for software packages, with truncations and mutations, through the body of that target.

use std::fs;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzEncoder;
use lapwing::objects::software::package::Format;
use sim::Mutator;

#[path = "../../../fuzz/bodies/software_package.rs"]
mod software_package;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/software_package");

fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(CORPUS);
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The order of a directory is arbitrary, and the mutations shall be the same everywhere.
    paths.sort();
    assert!(paths.len() > 10, "there is a corpus in {}", directory.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_package_of_the_corpus_and_truncations_of_it() {
    for input in corpus() {
        (0..=input.len()).step_by(31).chain([input.len()]).for_each(|length| software_package::check(&input[..length]));
    }
}

/// The corpus was packed by Python's tarfile, in each of its formats.
#[test]
fn what_python_packs_as_it_should_is_taken_and_nothing_else() {
    for (name, taken) in [
        ("good", true),
        ("good_folder", true),
        ("good_gnu", true),
        ("good_pax", true),
        ("global", true),
        ("other_file", true),
        ("no_end", false),
        ("wrong_sum", false),
        ("no_list", false),
        ("no_agent", false),
        ("twice", false),
        ("traversal", false),
        ("link", false),
        ("fifo", false),
        ("long_name", false),
        ("pax_path", false),
    ] {
        let archive = fs::read(Path::new(CORPUS).join(name)).unwrap();
        let verified = Format::new("agent").verify(GzEncoder::new(&archive[..], Compression::fast()));
        assert_eq!(verified.is_ok(), taken, "{name}: {verified:?}");
    }
}

#[test]
fn mutations_of_packages() {
    let mut mutator = Mutator::seeded(9, corpus());
    (0..20_000).for_each(|_| software_package::check(mutator.next()));
}
