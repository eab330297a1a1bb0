//! Keys appear in no output, whatever is logged, and in no file that others may read.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::secrets::forms;
use common::secure::{KEY, SecureServer};
use rustix::process::Signal;

#[test]
fn the_forms_of_a_key_are_found() {
    let bytes = *b"secret for tests";
    for said in [
        format!("{bytes:?}"),
        format!("{bytes:x?}").replace(", ", ""),
        bytes.escape_ascii().to_string(),
        KEY.to_uppercase(),
    ] {
        assert!(forms(KEY).iter().any(|form| said.contains(form)), "{said}");
    }
}

#[test]
fn a_pre_shared_key_is_never_printed() {
    let trace = [("LAPWING_LOG", "trace")];
    let server = SecureServer::start_in(&trace);
    let state = server.folder.path().join("state");
    let agent = server.agent_in(&trace, "gw", &server.key_file(), &["--state", state.to_str().unwrap()]);
    agent.says("gw registered at coaps://");
    assert!(server.manage(&["read", "/3/0/13"]).text().contains("Current Time"));
    assert!(server.manage(&["read", "/0"]).failed(1).contains("4.0"), "object 0 is nobody's to read");
    agent.says("TRACE");

    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let files: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.iter().any(|file| file.ends_with("association-1")), "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");

    let (_, printed, said) = agent.stop(Signal::TERM);
    let (_, served, told) = server.process.stop(Signal::TERM);
    for output in [printed.concat(), said, served.concat(), told] {
        for form in forms(KEY) {
            assert!(!output.contains(&form), "{form:?} was printed: {output}");
        }
    }
}
