//! docs/api/http.md and the tests hold each other to account.

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the tests in the files beside this one.
fn tests() -> BTreeSet<String> {
    let files = fs::read_dir(root().join("tests/api")).unwrap().map(|entry| entry.unwrap().path());
    let mut names = BTreeSet::new();
    for file in files.filter(|path| path.is_file() && !path.ends_with("doc.rs")) {
        let text = fs::read_to_string(file).unwrap();
        let after = text.split("#[test]").skip(1);
        names.extend(after.map(|rest| rest.split("fn ").nth(1).unwrap().split('(').next().unwrap().to_owned()));
    }
    names
}

/// The cells of each row of the tables that have a column `Test`, with the heading above.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut with_tests = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            with_tests = false;
            continue;
        }
        let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        if cells.last().is_some_and(|cell| cell == "Test") {
            with_tests = true;
        } else if with_tests && !cells[0].starts_with("---") {
            rows.push(cells);
        }
    }
    rows
}

#[test]
fn each_row_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("../../docs/api/http.md")).unwrap();
    let rows = rows(&text);
    assert!(rows.len() > 60, "only {} rows were found", rows.len());
    let tests = tests();
    for row in &rows {
        let name = row.last().unwrap().trim_matches('`');
        assert!(tests.contains(name), "no test is named {name}, but a row is: {row:?}");
    }
}

#[test]
fn each_test_of_the_api_is_named_by_a_row() {
    let text = fs::read_to_string(root().join("../../docs/api/http.md")).unwrap();
    let named: BTreeSet<String> =
        rows(&text).iter().map(|row| row.last().unwrap().trim_matches('`').to_owned()).collect();
    let silent: Vec<_> = tests().into_iter().filter(|test| !named.contains(test)).collect();
    assert!(silent.is_empty(), "docs/api/http.md says nothing of {silent:?}");
}
