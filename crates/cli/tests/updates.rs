//! `lapwing manage firmware`: updates from a shell, of the real agent, through the real server.

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Outcome, Running, Server, eventually, lapwing};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value as Json, json};

const LENGTH: usize = 256 << 10;

/// A server, and an agent whose firmware a script installs.
struct Bench {
    folder: tempfile::TempDir,
    server: Server,
    agent: Running,
}

impl Bench {
    /// `script` runs after the image was copied to `installed`.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (program, config, path) = (folder.path().join("install"), folder.path().join("agent.toml"), folder.path());
        fs::write(&program, format!("#!/bin/sh\ncat \"$1\" > '{}/installed'\n{script}\n", path.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let text = format!(
            "state = '{}/state'\nsocket = 'control'\n[firmware]\nprogram = ['{}']\nconfirm = 'now'\n",
            path.display(),
            program.display()
        );
        fs::write(&config, text).unwrap();
        let server = Server::start();
        let agent = server.agent("gw", &["--config", config.to_str().unwrap()]);
        Self { folder, server, agent }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with so many bytes, by its name.
    fn file(&self, name: &str, length: usize) -> String {
        let path = self.path(name);
        fs::write(&path, content(length)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn firmware(&self, arguments: &[&str]) -> Outcome {
        self.server.manage(&[&["firmware"], arguments].concat())
    }
}

/// What the server has at this path of its API.
fn asked(server: &Server, path: &str) -> Json {
    let answer = ureq::get(&format!("{}api/{path}", server.api)).call().unwrap();
    serde_json::from_str(&answer.into_body().read_to_string().unwrap()).unwrap()
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn firmware_is_pushed_and_updated_in_plain_lines() {
    let bench = Bench::new("exit 0");
    let image = bench.file("image.swu", LENGTH);
    let lines = bench.firmware(&["push", &image, "--update"]).text();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines.contains(&"gw firmware: image.swu  262144 of 262144 bytes (100 %)"), "{lines:?}");
    assert!(lines.contains(&"gw firmware: the package is there"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"gw firmware: the update has succeeded"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(['\r', '\x1b'])), "no control characters: {lines:?}");
    assert!(fs::read(bench.path("installed")).unwrap() == content(LENGTH));
    let status = bench.firmware(&["status"]).text();
    assert!(status.starts_with("idle (state 0); the update has succeeded (result 1)\n/5/0/1 "), "{status}");
    let line = |line: &str| line.split_whitespace().eq(["/5/0/5", "Update", "Result", "1"]);
    assert!(status.lines().any(line), "{status}");
}

#[test]
fn only_an_update_that_has_succeeded_is_exit_code_0() {
    let bench = Bench::new("exit 3");
    let image = bench.file("image", 5000);
    // There is nothing to install.
    let complaint = bench.firmware(&["update"]).failed(1);
    let expected =
        "lapwing: gw/5/0/2: 4.05 METHOD_NOT_ALLOWED; the client says: idle (state 0); nothing has ended (result 0)";
    assert_eq!(complaint, expected);
    assert!(bench.firmware(&["push", &image]).text().ends_with("gw firmware: the package is there"));
    let refused = bench.firmware(&["push", &image]).failed(1);
    let expected =
        "lapwing: gw firmware: the client answered 4.00; a package is there already, which `cancel` discards";
    assert_eq!(refused, expected);
    let failed = bench.firmware(&["update"]).failed(1);
    assert_eq!(failed, "lapwing: gw firmware: the update has failed (result 8)");
    // The package stays, and can be discarded.
    assert_eq!(bench.firmware(&["cancel"]).text(), "gw firmware: cancelled");
    let status = bench.firmware(&["status"]).text();
    assert!(status.starts_with("idle (state 0); the update was cancelled (result 10)\n"), "{status}");
    assert!(bench.firmware(&["cancel"]).failed(1).contains("4.05 METHOD_NOT_ALLOWED"));
    let missing = bench.firmware(&["push", "/no/such/file"]).failed(1);
    assert!(missing.starts_with("lapwing: /no/such/file: No such file"), "{missing}");
    // All of it at once fails as a whole.
    bench.firmware(&["push", &image, "--update"]).failed(1);
}

#[test]
fn documents_tell_of_each_step() {
    let bench = Bench::new("exit 0");
    let image = bench.file("image", LENGTH);
    let printed = bench.firmware(&["push", &image, "--update", "--json"]).text();
    let documents: Vec<Json> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let transfers: Vec<&Json> = documents.iter().filter_map(|document| document.get("transfer")).collect();
    assert_eq!(transfers[0]["file"], json!("image"));
    assert_eq!(transfers.last().map(|last| (&last["state"], &last["bytes"])), Some((&json!("done"), &json!(LENGTH))));
    assert_eq!(documents.last(), Some(&json!({"done": "the update has succeeded"})));
}

#[test]
fn a_push_that_is_interrupted_is_ended() {
    let bench = Bench::new("exit 0");
    let image = bench.file("image", 64 << 20);
    let push = Running::start(&["manage", "--api", &bench.server.api, "firmware", "push", &image]);
    assert!(push.line().starts_with("gw firmware: image  "));
    bench.agent.signal(Signal::STOP);
    let (code, _, said) = push.stop(Signal::INT);
    assert_eq!((code, said.trim_end()), (Some(1), "lapwing: interrupted; the push was ended"));
    assert_eq!(asked(&bench.server, "transfers")[0]["state"], json!("cancelled"));
    bench.agent.signal(Signal::CONT);
    // Nothing is waited for that does not change.
    assert_eq!(bench.firmware(&["cancel"]).text(), "gw firmware: cancelled");
    assert!(!bench.path("installed").exists());
}

/// What a terminal of 72 columns shows of `lapwing manage firmware`, and whether that has succeeded.
fn on_a_terminal(bench: &Bench, arguments: &[&str]) -> (String, bool) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 25, ws_col: 72, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let user = File::options().read(true).write(true).open(name).unwrap();
    let mut shown = Vec::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapwing"));
    command.args(["manage", "--api", &bench.server.api, "firmware"]).args(arguments);
    let mut child = command.stdin(Stdio::null()).stdout(user).spawn().unwrap();
    // The last copy of the user's end goes with the child, and the terminal ends with an error then.
    drop(command);
    let _ = File::from(terminal).read_to_end(&mut shown);
    let succeeded = child.wait().unwrap().success();
    let shown = String::from_utf8(shown).unwrap();
    for line in shown.split(['\r', '\n']) {
        assert!(line.trim_start_matches("\x1b[K").len() < 72, "no line wraps: {line:?}");
    }
    (shown, succeeded)
}

#[test]
fn a_terminal_shows_a_bar() {
    let bench = Bench::new("exit 0");
    let image = bench.file("image", LENGTH);
    let (shown, succeeded) = on_a_terminal(&bench, &["push", &image, "--update"]);
    assert!(succeeded);
    let bar = "\r\x1b[Kgw firmware: image  [########################] 100 %  256 KiB of";
    assert!(shown.contains(bar), "{shown:?}");
    assert!(shown.ends_with("\r\x1b[Kgw firmware: the update has succeeded\r\n"), "{shown:?}");
}

#[test]
fn who_waits_sees_for_how_long_nothing_has_changed() {
    let bench = Bench::new("exit 0");
    // Nobody listens there, and the client tries again and again.
    let nowhere = "http://127.0.0.1:1/image";
    let waited = bench.firmware(&["pull", nowhere, "--wait", "6"]);
    let says = "nothing has changed for 5 s; the client says: downloading (state 1); nothing has ended (result 0)";
    let lines: Vec<&str> = waited.stdout.lines().collect();
    assert_eq!(lines, ["gw firmware: the package is on its way", &format!("gw firmware: {says}")]);
    assert_eq!(bench.firmware(&["cancel"]).text(), "gw firmware: cancelled");
    let waited = bench.firmware(&["pull", nowhere, "--wait", "6", "--json"]);
    let last: Json = serde_json::from_str(waited.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"state": 1, "result": 0, "unchangedFor": 5}));
    assert_eq!(bench.firmware(&["cancel"]).text(), "gw firmware: cancelled");
    // On the device there is more to see: why, when it is tried again, and when no more.
    bench.agent.says("http://127.0.0.1:1/image cannot be fetched now: ");
    bench.agent.says("; tried again in 1 s, given up in 600 s if no byte comes");
    let (shown, succeeded) = on_a_terminal(&bench, &["pull", nowhere, "--wait", "4"]);
    assert!(
        !succeeded && shown.contains("\r\x1b[Kgw firmware: the package is on its way  nothing new for 3 s"),
        "{shown:?}"
    );
    let status = lapwing(&["status", "--socket", bench.path("control").to_str().unwrap()]).text();
    let why = status.lines().find(|line| line.contains("; next attempt in ")).unwrap_or_else(|| panic!("{status}"));
    assert!(why.contains("refused") && why.contains(", given up in 9 min"), "{why}");
}

#[test]
fn firmware_is_pulled_from_a_file_that_the_server_hosts_and_from_anywhere() {
    let bench = Bench::new("exit 0");
    let image = bench.file("image v2.swu", LENGTH);
    for scheme in ["coap", "http"] {
        let lines = bench.firmware(&["pull", &image, "--scheme", scheme, "--update"]).text();
        assert!(lines.ends_with("\ngw firmware: the update has succeeded"), "{lines}");
        let transfer = &asked(&bench.server, "transfers")[0];
        assert_eq!((&transfer["state"], &transfer["bytes"]), (&json!("done"), &json!(LENGTH)));
        let uri = transfer["uri"].as_str().unwrap();
        assert!(uri.starts_with(&format!("{scheme}://127.0.0.1:")) && uri.contains("-image-v2.swu?to="), "{uri}");
        assert!(fs::read(bench.path("installed")).unwrap() == content(LENGTH));
        assert_eq!(asked(&bench.server, "files")["files"], json!([]), "it is not hosted longer than it is needed");
        fs::remove_file(bench.path("installed")).unwrap();
    }
    let nowhere = "http://127.0.0.1:1/image";
    let failed = bench.firmware(&["pull", "ftp://127.0.0.1/image"]).failed(1);
    assert_eq!(failed, "lapwing: gw firmware: the URI's protocol is not supported (result 9)");
    // Waiting ends when nothing changes; the client goes on.
    let waited = bench.firmware(&["pull", nowhere, "--wait", "1"]).failed(1);
    let expected = "lapwing: gw firmware: nothing has changed for 1 s; the client says: downloading (state 1); nothing has \
        ended (result 0); it may go on, and its log tells with what; `cancel` ends a download";
    assert_eq!(waited, expected);
    assert_eq!(bench.firmware(&["cancel"]).text(), "gw firmware: cancelled");
    eventually(|| bench.firmware(&["status"]).text().starts_with("idle (state 0)"), || "the end".to_owned());
}
