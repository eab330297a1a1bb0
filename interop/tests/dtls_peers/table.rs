//! The table in `docs/dtls-peers.md` claims what tests prove, and nothing else.

use std::{collections::BTreeSet, fs, process::Command};

use bed::workspace;

/// The names of all tests of this program but this module's.
fn tests() -> BTreeSet<String> {
    let myself = std::env::current_exe().expect("a running program has a file");
    let list = Command::new(myself).args(["--list", "--format", "terse"]).output().expect("it lists its tests");
    let list = String::from_utf8(list.stdout).expect("names are text");
    let names = list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned);
    names.filter(|name| !name.starts_with("table::")).collect()
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_cell_names_tests_or_says_why_it_is_empty_and_every_test_has_its_cell() {
    let text = fs::read_to_string(workspace().join("docs/dtls-peers.md")).expect("docs/dtls-peers.md is there");
    let tests = tests();
    let mut named = BTreeSet::new();
    let mut features: Vec<Vec<&str>> = Vec::new();
    let mut peer = "";
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            peer = heading;
            features.push(Vec::new());
        } else if let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let [feature, client, server] = cells[..] else { panic!("{peer}: {row}") };
            if feature == "feature" {
                continue;
            }
            features.last_mut().expect("a table is below a heading").push(feature);
            for cell in [client, server] {
                let names: Vec<&str> = quoted(cell).collect();
                let empty = cell.strip_prefix("empty: ").is_some_and(|why| !why.is_empty() && names.is_empty());
                assert!(
                    empty || !names.is_empty(),
                    "{peer}, {feature}: `{cell}` is neither proven nor said to be empty"
                );
                named.extend(names.iter().map(|name| name.to_string()));
            }
        } else if let Some(more) = line.strip_prefix("Also: ") {
            named.extend(quoted(more).map(str::to_owned));
        }
    }
    assert!(features.len() >= 5 && features.windows(2).all(|pair| pair[0] == pair[1]), "every peer has every row");
    let unknown: Vec<_> = named.difference(&tests).collect();
    assert!(unknown.is_empty(), "no such tests: {unknown:?}");
    let unnamed: Vec<_> = tests.difference(&named).collect();
    assert!(unnamed.is_empty(), "tests that the table does not name: {unnamed:?}");
}
