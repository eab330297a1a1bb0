//! The runner of the agent, `packaging/ig60/ig60_lwm2m2_client.sh`: it starts what comes first, puts an update in its place when the
//! agent ends with 65, and takes back one that does not register.
//!
//! The agents here are fakes, small scripts that note that they were started: what is tested is the runner.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/ig60/ig60_lwm2m2_client.sh");
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd/lapwing.service");
const REGISTER: &str = "rm \"$LAPWING_TRIAL\"";

struct Gateway {
    root: TempDir,
    trial_seconds: u32,
    /// Another runner started this one, instead of `stub`.
    below: bool,
}

impl Gateway {
    /// With this fake agent as the one that came with the machine.
    fn new(initial: &str) -> Self {
        let gateway = Self { root: tempfile::tempdir().unwrap(), trial_seconds: 60, below: false };
        for folder in ["usr", "updates"] {
            fs::create_dir(gateway.path(folder)).unwrap();
            fs::set_permissions(gateway.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        gateway.write("usr/agent", &fake_agent("initial", initial));
        gateway
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// This fake agent is the update that waits.
    fn update(&self, body: &str) {
        self.write("updates/agent", &fake_agent("update", body));
    }

    /// What `take_update` leaves: this fake agent on trial, that was started so often, over the one that came with the machine.
    fn on_trial(&self, body: &str, tries: &str) {
        self.write("run/agent", &fake_agent("update", body));
        self.write("run/agent.previous", &fs::read_to_string(self.path("usr/agent")).unwrap());
        self.write("run/trial", tries);
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        // A shell cannot trap what was ignored when it began, as SIGHUP is below `nohup`.
        let mut runner = Command::new("env");
        runner.args(["--default-signal", "sh", RUNNER]).args(arguments).stdin(Stdio::null()).env("PATH", path);
        runner.env("LAPWING_INITIAL", self.path("usr/agent")).env("LAPWING_RUN", self.path("run"));
        runner
            .env("LAPWING_UPDATES", self.path("updates"))
            .env("LAPWING_TRIAL_SECONDS", self.trial_seconds.to_string());
        if self.below {
            runner.env("LAPWING_BELOW", self.path("stub"));
        }
        runner.env("FAKE_LOG", self.path("log")).spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Option<i32> {
        finish(self.start(arguments)).code()
    }

    /// Which agents were started since the last call, with their arguments.
    fn started(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        log.lines().map(str::to_owned).collect()
    }

    fn is_left(&self, name: &str) -> bool {
        self.path("run").join(name).exists()
    }
}

/// A script that notes that it runs, then does this.
fn fake_agent(version: &str, body: &str) -> String {
    format!("#!/bin/sh\n# A fake agent.\necho \"{version} $*\" >>\"$FAKE_LOG\"\n{body}\n")
}

/// Ends with the first code at its first start, then with the second.
fn ends_with(first: u8, then: u8) -> String {
    format!("[ \"$(grep -c initial \"$FAKE_LOG\")\" -gt 1 ] && exit {then}\nexit {first}")
}

fn finish(mut child: Child) -> ExitStatus {
    until("the runner ends", || child.try_wait().unwrap())
}

fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(ready) = ready() {
            return ready;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn the_first_start_copies_the_agent_and_later_ones_do_not() {
    let gateway = Gateway::new("exit 0");
    assert_eq!(gateway.run(&["-e", "my gateway", ""]), Some(0));
    assert_eq!(gateway.started(), ["initial -e my gateway "]);

    gateway.write("usr/agent", &fake_agent("newer initial", "exit 0"));
    assert_eq!(gateway.run(&[]), Some(0));
    assert_eq!(gateway.started(), ["initial "]);
}

#[test]
fn the_runner_ends_with_the_code_of_the_agent() {
    for code in [0, 2, 4, 11, 64, 66] {
        let gateway = Gateway::new(&format!("exit {code}"));
        assert_eq!((gateway.run(&["-d"]), gateway.started()), (Some(code), vec!["initial -d".to_owned()]));
    }
}

#[test]
fn an_update_that_registers_stays_and_has_the_same_arguments() {
    let gateway = Gateway::new("exit 65");
    gateway.update(&format!("{REGISTER}; exit 7"));
    assert_eq!(gateway.run(&["-e", "kettle"]), Some(7));
    assert_eq!(gateway.started(), ["initial -e kettle", "update -e kettle"]);
    assert!(!gateway.is_left("trial"));

    // It is there after a restart too.
    assert_eq!(gateway.run(&[]), Some(7));
    assert_eq!(gateway.started(), ["update "]);
}

#[test]
fn an_update_may_be_updated() {
    let gateway = Gateway::new("exit 65");
    let second = fake_agent("second update", &format!("{REGISTER}; exit 0"));
    gateway.write("second", &second);
    let take_second =
        format!("cp \"{}\" \"{}\"", gateway.path("second").display(), gateway.path("updates/agent").display());
    gateway.update(&format!("{REGISTER}; {take_second}; exit 65"));
    assert_eq!(gateway.run(&[]), Some(0));
    assert_eq!(gateway.started(), ["initial ", "update ", "second update "]);
}

#[test]
fn an_update_is_taken_from_a_folder_that_nobody_else_can_write_to() {
    for others in ["mode", "link"] {
        let root = Gateway::new("exit 0");
        let (good, place) = (root.path("good"), root.path("place"));
        let put =
            format!("cp '{}' \"$LAPWING_UPDATE\"; echo \"$LAPWING_UPDATE\" >'{}'", good.display(), place.display());
        root.write("usr/agent", &fake_agent("initial", &format!("{put}; exit 65")));
        root.write("good", &fake_agent("own update", &format!("{REGISTER}; exit 7")));
        // Somebody else has made the folder, and waits for this.
        root.update("exit 66");
        if others == "mode" {
            fs::set_permissions(root.path("updates"), fs::Permissions::from_mode(0o1777)).unwrap();
        } else {
            fs::rename(root.path("updates"), root.path("elsewhere")).unwrap();
            std::os::unix::fs::symlink(root.path("elsewhere"), root.path("updates")).unwrap();
        }
        assert_eq!(root.run(&[]), Some(7), "{others}");
        assert_eq!(root.started(), ["initial ", "own update "], "{others}");
        let place = fs::read_to_string(place).unwrap();
        let folder = Path::new(place.trim()).parent().unwrap();
        assert!(!folder.starts_with(root.root.path()) && !folder.exists(), "{}", folder.display());
    }
}

#[test]
fn no_script_writes_where_it_does_not_look_who_owns_the_folder() {
    let folder = Path::new(RUNNER).parent().unwrap();
    for script in ["ig60_fw_update.sh", "ig60_lwm2m2_client.sh"] {
        let text = fs::read_to_string(folder.join(script)).unwrap();
        let names = text.lines().filter(|line| !line.starts_with('#') && line.contains("/tmp"));
        let expected: &[&str] = match script {
            // The first client's, which `claim_updates` looks at.
            "ig60_lwm2m2_client.sh" => &["updates=${LAPWING_UPDATES:-/tmp/swupdate}"],
            _ => &[],
        };
        assert_eq!(names.collect::<Vec<_>>(), expected, "{script}");
    }
}

#[test]
fn an_update_that_ends_before_it_has_registered_is_taken_back() {
    for code in [0, 1, 65, 101] {
        let gateway = Gateway::new(&ends_with(65, 9));
        gateway.update(&format!("exit {code}"));
        assert_eq!(gateway.run(&["-d"]), Some(9));
        assert_eq!(gateway.started(), ["initial -d", "update -d", "initial -d"]);
        assert!(!gateway.is_left("trial") && !gateway.is_left("agent.previous"));
    }
}

#[test]
fn an_update_that_cannot_even_start_is_taken_back() {
    let gateway = Gateway::new(&ends_with(65, 9));
    gateway.write("updates/agent", "\x7fELF and nothing that runs");
    assert_eq!(gateway.run(&[]), Some(9));
    assert_eq!(gateway.started(), ["initial ", "initial "]);
}

#[test]
fn an_update_that_does_not_register_in_time_is_taken_back() {
    let gateway = Gateway { trial_seconds: 2, ..Gateway::new(&ends_with(65, 9)) };
    gateway.update("exec sleep 600");
    assert_eq!(gateway.run(&[]), Some(9));
    assert_eq!(gateway.started(), ["initial ", "update ", "initial "]);
}

#[test]
fn an_update_that_does_not_listen_is_killed() {
    let gateway = Gateway { trial_seconds: 1, ..Gateway::new(&ends_with(65, 9)) };
    gateway.update("trap '' TERM; exec sleep 600");
    assert_eq!(gateway.run(&[]), Some(9));
    assert_eq!(gateway.started(), ["initial ", "update ", "initial "]);
}

#[test]
fn time_is_not_kept_for_an_update_that_has_registered() {
    let gateway = Gateway { trial_seconds: 2, ..Gateway::new("exit 65") };
    gateway.update(&format!("{REGISTER}; sleep 5; exit 7"));
    assert_eq!(gateway.run(&[]), Some(7));
    assert_eq!(gateway.started(), ["initial ", "update "]);
}

#[test]
fn after_a_power_cut_a_trial_goes_on_and_comes_to_an_end() {
    for tries in ["0", "2", ""] {
        let gateway = Gateway::new("exit 9");
        gateway.on_trial(&format!("{REGISTER}; exit 7"), tries);
        assert_eq!((gateway.run(&[]), gateway.started()), (Some(7), vec!["update ".to_owned()]), "{tries}");
    }
    let gateway = Gateway::new("exit 9");
    gateway.on_trial(&format!("{REGISTER}; exit 7"), "3");
    assert_eq!((gateway.run(&[]), gateway.started()), (Some(9), vec!["initial ".to_owned()]));

    // The time was over, and the power went before the old one was back.
    let gateway = Gateway::new("exit 9");
    gateway.on_trial("exit 7", "1");
    fs::rename(gateway.path("run/trial"), gateway.path("run/trial.over")).unwrap();
    assert_eq!((gateway.run(&[]), gateway.started()), (Some(9), vec!["initial ".to_owned()]));
    assert!(!gateway.is_left("trial.over"));
}

#[test]
fn what_ran_before_comes_back_whenever_the_power_goes() {
    let gateway = Gateway::new("exit 9");
    gateway.on_trial("exit 7", "3");
    gateway.write("run/agent.previous", &fake_agent("before", "exit 5"));
    // The power goes when it is back, before that is noted.
    let cut = format!("#!/bin/sh\ngrep -q update '{}' || kill -9 $PPID\n", gateway.path("run/agent").display());
    gateway.write("bin/sync", &cut);
    assert_eq!((gateway.run(&[]), gateway.started()), (None, vec![]));
    assert!(gateway.is_left("trial"));
    fs::remove_file(gateway.path("bin/sync")).unwrap();
    assert_eq!((gateway.run(&[]), gateway.started()), (Some(5), vec!["before ".to_owned()]));
    assert!(!gateway.is_left("trial"));
}

#[test]
fn each_start_of_a_trial_counts() {
    let gateway = Gateway::new("exit 9");
    gateway.on_trial("exec sleep 600", "0");
    for tries in ["1", "2", "3"] {
        let runner = gateway.start(&[]);
        until("the update starts", || (gateway.started() == ["update "]).then_some(()));
        assert_eq!(fs::read_to_string(gateway.path("run/trial")).unwrap().trim(), tries);
        signal(&runner, "TERM");
        finish(runner);
    }
    assert_eq!((gateway.run(&[]), gateway.started()), (Some(9), vec!["initial ".to_owned()]));
}

#[test]
fn a_signal_goes_to_the_agent_whose_code_counts_and_takes_nothing_back() {
    let gateway = Gateway::new("exit 9");
    gateway.on_trial("sleep 600 &\ntrap 'kill $!; exit 4' TERM HUP\necho ready >>\"$FAKE_LOG\"\nwait", "0");
    for name in ["TERM", "HUP"] {
        let runner = gateway.start(&[]);
        let log = || fs::read_to_string(gateway.path("log")).unwrap_or_default();
        until("the agent is ready", || log().contains("ready").then_some(()));
        signal(&runner, name);
        assert_eq!(finish(runner).code(), Some(4));
        assert_eq!(gateway.started(), ["update ", "ready"]);
        assert!(gateway.is_left("trial"));
    }
}

#[test]
fn a_signal_leaves_no_update_to_another_runner() {
    let gateway = Gateway { below: true, ..Gateway::new("exit 9") };
    let agent = "sleep 600 &\ntrap 'kill $!; exit 65' TERM\necho ready >>\"$FAKE_LOG\"\nwait";
    gateway.write("run/agent", &fake_agent("lapwing", agent));
    let runner = gateway.start(&[]);
    let log = || fs::read_to_string(gateway.path("log")).unwrap_or_default();
    until("the agent is ready", || log().contains("ready").then_some(()));
    signal(&runner, "TERM");
    assert_eq!(finish(runner).code(), Some(0));
}

#[test]
fn without_an_update_the_agent_is_started_again() {
    let gateway = Gateway::new(&ends_with(65, 9));
    assert_eq!((gateway.run(&[]), gateway.started().len()), (Some(9), 2));
}

#[test]
fn what_was_made_for_python_is_run_by_python() {
    let gateway = Gateway::new("exit 65");
    gateway.write("updates/agent", "import sys");
    gateway.write("bin/python", &fake_agent("fake python", &format!("{REGISTER}; exit 3")));
    assert_eq!(gateway.run(&["-d"]), Some(3));
    let executable = gateway.path("run/agent");
    assert_eq!(gateway.started(), ["initial -d".to_owned(), format!("fake python {} -d", executable.display())]);
}

#[test]
fn below_another_runner_what_came_with_the_machine_takes_the_place_of_what_that_one_starts() {
    let gateway = Gateway { below: true, ..Gateway::new("exit 9") };
    gateway.write("bin/python", &fake_agent("fake python", "exit 3"));
    let back = format!("fake python {} -d", gateway.path("stub").display());
    let initial = fs::read(gateway.path("usr/agent")).unwrap();
    let again = |why: &str| {
        assert_eq!(gateway.run(&["-d"]), Some(3), "{why}");
        assert_eq!(gateway.started().last(), Some(&back), "{why}");
        assert!(fs::read(gateway.path("stub")).unwrap() == initial && !gateway.path("run").exists(), "{why}");
    };
    gateway.write("stub", "");
    gateway.write("run/agent", &fake_agent("update", "exit 1"));
    gateway.write("run/trial", "0");
    again("it has ended before it had registered");
    gateway.write("stub", "");
    gateway.write("run/agent", &fake_agent("update", "exit 1"));
    gateway.write("run/trial", "3");
    again("it was started often enough");
    gateway.write("stub", "");
    again("nothing is there");

    // Once it has registered, what comes later falls back to it.
    gateway.write(
        "run/agent",
        &fake_agent(
            "lapwing",
            &format!("{REGISTER}; [ -e \"$FAKE_LOG.took\" ] && exit 7; touch \"$FAKE_LOG.took\"; exit 65"),
        ),
    );
    gateway.write("run/trial", "0");
    gateway.update("exit 1");
    assert_eq!(gateway.run(&[]), Some(7));
    assert_eq!(gateway.started(), ["lapwing ", "update ", "lapwing "]);
}

#[test]
fn help_is_the_agents_and_changes_nothing() {
    let gateway = Gateway::new("exit 0");
    assert_eq!((gateway.run(&["-d", "--help"]), gateway.started()), (Some(0), vec!["initial -d --help".to_owned()]));
    assert!(!Path::exists(&gateway.path("run")));
}

#[test]
fn systemd_takes_the_unit_that_starts_the_runner() {
    let root = tempfile::tempdir().unwrap();
    let place = |from: &str, to: &str| {
        let to = root.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    place(UNIT, "etc/systemd/system/lapwing.service");
    place(RUNNER, "usr/bin/ig60_lwm2m2_client.sh");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["verify", "--man=no", "--recursive-errors=no", "--root"]).arg(root.path()).arg("lapwing.service");
    let Ok(output) = analyze.output() else {
        eprintln!("not run: systemd-analyze is not installed here");
        return;
    };
    assert_eq!((output.status.success(), String::from_utf8_lossy(&output.stderr)), (true, "".into()));
}
