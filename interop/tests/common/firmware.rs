//! Object 5 as a server sees it.

use std::fs;

use serde_json::json;

use super::Agent;
use super::registered::{LESHAN, Registered, leshan, register_with};

pub(crate) const PACKAGE: &str = "/5/0/0";
pub(crate) const URI: &str = "/5/0/1";
pub(crate) const UPDATE: &str = "/5/0/2";
pub(crate) const STATE: &str = "/5/0/3";
pub(crate) const RESULT: &str = "/5/0/5";

pub(crate) const IDLE: i64 = 0;
pub(crate) const DOWNLOADING: i64 = 1;
pub(crate) const DOWNLOADED: i64 = 2;
pub(crate) const UPDATING: i64 = 3;

/// Keeps what it is given, so that a test can compare it.
pub(crate) const KEEP: &str = "cat \"$0\" > {folder}/installed";

/// A configuration with a shell's words for the installer, which gets the image as `$0`; `more` are further lines of the section and
/// further sections.
pub(crate) fn installed_by(script: &str, more: &str) -> String {
    format!(
        "state = '{{folder}}/state'\n[firmware]\nprogram = ['/bin/sh', '-c', '''{script}''']\nconfirm = 'now'\n{more}\n"
    )
}

/// A gateway whose firmware is installed so, with its state and its result observed.
pub(crate) fn observed(endpoint: &str, configuration: &str) -> Registered {
    let gateway = register_with(endpoint, 300, configuration);
    gateway.observe_update();
    gateway
}

/// A gateway of its own firmware version, 1.0, which the installer `script` may change by writing to `{folder}/os-release`.
pub(crate) fn versioned(endpoint: &str, script: &str) -> Registered {
    let mounts = "echo IMAGE_VERSION=1.0 > {folder}/os-release; mount --bind {folder}/os-release /etc/os-release";
    let gateway = Registered::new(Agent::with_mounts(&leshan(), endpoint, mounts, &installed_by(script, "")));
    gateway.observe_update();
    gateway
}

/// A package that is another for each seed.
pub(crate) fn package(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

impl Registered {
    pub(crate) fn observe_update(&self) {
        assert_eq!(self.observe(STATE), IDLE);
        assert_eq!(self.observe(RESULT), 0);
    }

    /// State and result, by one request.
    pub(crate) fn state_and_result(&self) -> (i64, i64) {
        let object = self.read("/5/0", "TLV");
        let number = |resource: &str| object["resources"][resource].as_i64().expect("a number");
        (number("3"), number("5"))
    }

    pub(crate) fn push_in(&self, format: &str, code: &str, package: &[u8]) {
        let request = json!({"content": bed::hex(package), "format": format, "timeout": 60_000});
        self.get(code, "write", PACKAGE, request);
    }

    pub(crate) fn push(&self, code: &str, package: &[u8]) {
        self.push_in("OPAQUE", code, package);
    }

    /// What the installer that keeps everything ([`KEEP`]) was given.
    pub(crate) fn installed(&self) -> Vec<u8> {
        fs::read(self.agent.folder.path().join("installed")).expect("something was installed")
    }

    /// The package comes: the states are told in order.
    pub(crate) fn downloads(&self) {
        assert_eq!(self.told_until(STATE, DOWNLOADED), [DOWNLOADING, DOWNLOADED]);
        assert_eq!(self.state_and_result(), (DOWNLOADED, 0));
    }

    /// Has the package installed, which succeeds.
    pub(crate) fn updates(&self) {
        self.execute("2.04", UPDATE);
        assert_eq!(self.told_until(STATE, IDLE), [UPDATING, IDLE]);
        // Whoever sees the state reads the result at once.
        assert_eq!(self.state_and_result(), (IDLE, 1));
        self.told_until(RESULT, 1);
    }

    /// The download that was begun ends so: the result is there when Idle is told.
    pub(crate) fn download_fails(&self, result: i64) {
        assert_eq!(self.told_until(STATE, IDLE), [DOWNLOADING, IDLE]);
        assert_eq!(self.state_and_result(), (IDLE, result));
        assert_eq!(self.told_until(RESULT, result), [result]);
    }

    /// A line of its log with this text.
    pub(crate) fn says(&mut self, text: &str) -> String {
        self.agent.process.err.next_with(text)
    }

    /// Nothing of that path is told for a while.
    pub(crate) fn is_told_nothing_of(&self, path: &str) {
        let of = |event: &serde_json::Value| event["path"] == path;
        let time = std::time::Duration::from_millis(300);
        assert!(!LESHAN.event_within(time, "notify", &self.agent.endpoint).is_some_and(|event| of(&event)));
    }
}
