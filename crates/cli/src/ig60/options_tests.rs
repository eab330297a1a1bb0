use serde_json::{Value as Json, json};

use super::*;

/// What Python's argparse makes of command lines; `interop/ig60/argparse_says.py` prints it.
const SAID: &str = include_str!("argparse.jsonl");

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

fn options(line: &[&str]) -> Options {
    match parse(&words(line)) {
        Ok(Wanted::Client(options)) => options,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn complaint(line: &[&str]) -> String {
    parse(&words(line)).unwrap_err()
}

/// As argparse shows it. A key is compared as what it is, which is nobody's to print.
fn shown(parsed: &Result<Wanted, String>, said: &Json) -> Json {
    let options = match parsed {
        Err(_) => return json!(2),
        Ok(Wanted::Help) => return json!(0),
        Ok(Wanted::Client(options)) => options,
    };
    let key = |key: &Secret, name: &str| match said[name].as_str() {
        Some(text) if *key == Secret::new(text) => json!(text),
        _ => json!("another key"),
    };
    json!({
        "port": options.port,
        "bootstrap_address": options.bootstrap_address,
        "bootstrap_port": options.bootstrap_port,
        "bootstrap_psk": key(&options.bootstrap_psk, "bootstrap_psk"),
        "server_address": options.server_address,
        "server_port": options.server_port,
        "server_psk": key(&options.server_psk, "server_psk"),
        "endpoint": options.endpoint,
        "lifetime": options.lifetime,
        "debug": options.debug,
    })
}

#[test]
fn command_lines_are_taken_and_refused_as_argparse_does() {
    let mut taken = 0;
    for line in SAID.lines() {
        let said: Json = serde_json::from_str(line).unwrap();
        let arguments: Vec<String> = serde_json::from_value(said[0].clone()).unwrap();
        let parsed = parse(&arguments);
        assert_eq!(shown(&parsed, &said[1]), said[1], "{arguments:?}: {parsed:?}");
        taken += usize::from(said[1].is_object());
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn the_documented_command_line_works() {
    let options = options(&["--server", "192.0.2.1", "--server-port", "5684", "-e", "my-ig60"]);
    assert_eq!((options.server_address.as_str(), options.server_port), ("192.0.2.1", 5684));
    assert_eq!((options.endpoint.as_str(), options.port, options.lifetime), ("my-ig60", 5782, 3600));
}

#[test]
fn complaints_say_what_is_wrong() {
    assert_eq!(complaint(&["-p", "abc"]), "argument -p/--port: invalid int value: 'abc'");
    assert_eq!(complaint(&["-e"]), "argument -e/--endpoint: expected one argument");
    assert_eq!(complaint(&["-d1"]), "argument -d/--debug: ignored explicit argument '1'");
    assert_eq!(complaint(&["x", "-y", "--", "-d"]), "unrecognized arguments: x -y -- -d");
    assert_eq!(complaint(&["--server-p=1"]), "ambiguous option: --server-p could match --server-port, --server-psk");
}

#[test]
fn the_help_names_every_option_within_the_width_of_a_terminal() {
    let help = help("lwm2m-python-client");
    for spec in &SPECS {
        assert!(help.contains(&format!("  {}{}, {}", spec.short, spec.shown_value(), spec.long)), "{help}");
    }
    assert!(help.lines().all(|line| line.len() <= WIDTH), "{help}");
    assert!(help.starts_with("usage: lwm2m-python-client [-h] [-p PORT] [-bs ADDRESS] "), "{help}");
}

#[test]
fn keys_are_not_printed() {
    let parsed = parse(&words(&["-sk", "73656372", "-bk=73656372"]));
    assert!(!format!("{parsed:?}").contains("7365"), "{parsed:?}");
}
