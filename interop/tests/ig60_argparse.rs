//! The command lines that `lapwing ig60` is compared with are what Python's argparse says on this machine, too.

use std::fs;

#[test]
fn argparse_says_what_the_tests_of_lapwing_ig60_expect() {
    let script = bed::workspace().join("interop/ig60/argparse_says.py");
    let said = bed::run("python3", &[script.to_str().expect("text")]);
    assert!(said.status.success(), "{said:?}");
    let expected = fs::read(bed::workspace().join("crates/cli/src/ig60/argparse.jsonl")).expect("a file of ours");
    assert!(
        said.stdout == expected,
        "interop/ig60/argparse_says.py prints something else than crates/cli/src/ig60/argparse.jsonl"
    );
}
