//! What cannot be used is refused at once: one line that names it, and exit code 2.

mod common;

use std::fs;

use common::lapwing;

/// What `lapwing run --config` says to a file with this text.
fn run_with(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    fs::write(&file, text).unwrap();
    let complaint = lapwing(&["run", "--config", file.to_str().unwrap()]).failed(2);
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint.replace(file.to_str().unwrap(), "FILE")
}

#[test]
fn an_unknown_key_is_refused_naming_the_nearest_known_one() {
    assert_eq!(run_with("lifetim = 5"), "lapwing: FILE: unknown key `lifetim`; the nearest known one is `lifetime`");
}

#[test]
fn a_wrong_value_is_refused_naming_key_value_and_what_was_expected() {
    assert_eq!(
        run_with("lifetime = 'long'"),
        "lapwing: FILE: `lifetime` = \"long\": expected seconds from 0 to 4294967295"
    );
    assert_eq!(
        run_with("[device]\ncurrent-time-writable = 1"),
        "lapwing: FILE: `device.current-time-writable` = 1: expected true or false"
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    assert!(run_with("endpoint 'x'").starts_with("lapwing: FILE: line 1, column "));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let complaint = lapwing(&["run", "--config", "/nonexistent/agent.toml"]).failed(2);
    assert_eq!(complaint, "lapwing: cannot read /nonexistent/agent.toml: No such file or directory (os error 2)");
}

#[test]
fn what_is_missing_is_named_with_its_flag() {
    let expected = "lapwing: no server: give --server or --bootstrap-server, or `server` or `bootstrap-server` in the file that --config names";
    assert_eq!(lapwing(&["run", "--endpoint", "x"]).failed(2), expected);
    let expected = "lapwing: no endpoint: give --endpoint, or `endpoint` in the file that --config names";
    assert_eq!(lapwing(&["run", "--server", "coap://127.0.0.1"]).failed(2), expected);
}

#[test]
fn flags_are_checked_as_keys_are() {
    let complaint = lapwing(&["run", "--server", "http://x", "--endpoint", "x"]).failed(2);
    assert!(
        complaint
            .contains("'http://x' for '--server <URI>': expected a URI such as coaps://host:5684 or coap://host:5683"),
        "{complaint}"
    );
    let complaint = lapwing(&["run", "--server", "coap://x", "--endpoint", ""]).failed(2);
    assert!(complaint.contains("--endpoint"), "{complaint}");
    let complaint = lapwing(&["run", "--server", "coap://x", "--endpoint", "x", "--lwm2m-version", "2"]).failed(2);
    assert!(complaint.contains("\"1.0\" or \"1.1\""), "{complaint}");
    let complaint = lapwing(&["run", "--server", "coap://x", "--endpoint", "x", "--lifetime", "soon"]).failed(2);
    assert!(complaint.contains("--lifetime"), "{complaint}");
}

#[test]
fn bare_verbs_are_reserved() {
    for verb in ["read", "write", "update"] {
        assert!(lapwing(&[verb]).failed(2).contains("unrecognized subcommand"), "{verb}");
    }
}

#[test]
fn every_command_has_an_example_in_its_help() {
    let verbs = ["clients", "read", "write", "execute", "create", "delete", "discover", "observe", "attributes"];
    let commands = [vec!["demo"], vec!["run"], vec!["serve"], vec!["manage"]];
    let verbs = verbs.iter().map(|verb| vec!["manage", verb]);
    for command in commands.into_iter().chain(verbs) {
        let help = lapwing(&[command.as_slice(), &["--help"]].concat()).text();
        let example = format!("lapwing {}", command.join(" "));
        let examples = help.split("Example").nth(1).unwrap_or_else(|| panic!("{command:?}: {help}"));
        assert!(examples.contains(&example), "{command:?}: {help}");
    }
}
