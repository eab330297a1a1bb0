use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::super::program::LOOK;
use super::super::verdict::Verdict;
use super::*;

/// A folder with an image, and programs written by the test.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("image"), b"an image").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The updater that runs this shell script, with two arguments of its own.
    fn script(&self, text: &str, code: ExitCode) -> Script {
        let program = self.path("install image");
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        self.updater(&[program.to_str().unwrap(), "--to", "the other side"], code)
    }

    fn updater(&self, words: &[&str], code: ExitCode) -> Script {
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        let script = Script::new(command, code, self.path("runs"), Verdict::default());
        Script { runs: script.runs.without_systemd(), ..script }
    }

    async fn install(&self, script: &Script) -> Result<(), Failure> {
        script.install(7, &self.path("image")).await
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    async fn appears(&self, name: &str) {
        let began = Instant::now();
        while !self.path(name).exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "{name} does not appear");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[test]
fn exit_codes_mean_what_is_configured() {
    let result = |code: ExitCode, number| code.judge(number).err().map(|failure| (failure.result, failure.keep));
    assert_eq!(result(ExitCode::Posix, 0), None);
    for number in [1, 8, 127, 255] {
        assert_eq!(result(ExitCode::Posix, number), Some((UpdateResult::UpdateFailed, true)));
    }
    assert_eq!(result(ExitCode::Ig60, 1), None);
    assert_eq!(result(ExitCode::Ig60, 5), Some((UpdateResult::Integrity, false)));
    for number in [0, 8, 10, 11, 12, 127, 255, 256, -1] {
        assert_eq!(result(ExitCode::Ig60, number), Some((UpdateResult::UpdateFailed, false)), "{number}");
    }
}

#[tokio::test]
async fn the_program_gets_its_arguments_and_a_link_that_it_may_delete() {
    let bench = Bench::new();
    let called = bench.path("called");
    let script = bench.script(
        &format!(
            "cat \"$3\" > '{0}'; echo \" $1,$2,$#\" >> '{0}'; readlink \"$3\" >> '{0}'; rm \"$3\"",
            called.display()
        ),
        ExitCode::Posix,
    );
    assert_eq!(bench.install(&script).await, Ok(()));
    let expected = format!("an image --to,the other side,3\n{}\n", bench.path("image").display());
    assert_eq!(bench.text("called"), expected);
    assert_eq!(bench.text("image"), "an image");
    // The next one finds nothing of it in its way.
    assert_eq!(bench.install(&script).await, Ok(()));
}

#[tokio::test]
async fn there_is_none_beside_one_that_goes_on_even_if_its_number_was_lost() {
    let bench = Bench::new();
    let (began, go, daemon) = (bench.path("began"), bench.path("go"), bench.path("daemon"));
    // What it leaves behind is not the program.
    let text = format!(
        "echo >> '{}'; until [ -e '{go}' ]; do sleep 0.01; done; until [ ! -e '{go}' ]; do sleep 0.01; done & echo > '{}'",
        began.display(),
        daemon.display(),
        go = go.display()
    );
    let script = bench.script(&text, ExitCode::Posix);
    let image = bench.path("image");
    let begun = tokio::time::timeout(Duration::from_secs(5), async {
        tokio::join!(script.install(7, &image), bench.appears("began"))
    });
    // The agent ends meanwhile, and its record is damaged.
    assert!(begun.await.is_err());
    let failure = script.install(1, &image).await.unwrap_err();
    assert!(failure.keep && failure.reason.contains("an earlier run of it has not ended yet"), "{failure}");
    assert_eq!(bench.text("began"), "\n");
    fs::write(&go, b"").unwrap();
    bench.appears("daemon").await;
    let done = async {
        while script.install(2, &image).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.unwrap();
    assert_eq!(bench.text("began"), "\n\n");
    fs::remove_file(&go).unwrap();
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_a_failure() {
    let bench = Bench::new();
    let failure = bench.install(&bench.script("exit 3", ExitCode::Posix)).await.unwrap_err();
    assert_eq!(failure, Failure::new("the program ended with exit code 3"));
    let failure = bench.install(&bench.script("exit 2", ExitCode::Ig60)).await.unwrap_err();
    assert_eq!((failure.result, failure.keep), (UpdateResult::NoSpace, false));
    let missing = bench.updater(&["/nonexistent/install"], ExitCode::Posix);
    assert_eq!(bench.install(&missing).await.unwrap_err().reason, "the program ended with exit code 127");
    let said = bench.text("runs/7/log");
    assert!(said.contains("/nonexistent/install"), "{said}");
}

#[tokio::test]
async fn a_program_that_was_killed_with_all_its_group_has_failed() {
    let bench = Bench::new();
    let script = bench.script("kill -9 0", ExitCode::Posix);
    let failure = bench.install(&script).await.unwrap_err();
    assert!(failure.reason.contains("was ended before its end"), "{failure}");
    assert_eq!(script.resume(7).await, None);
}

#[tokio::test]
async fn what_was_begun_is_followed_to_its_end_by_whoever_comes_after() {
    let bench = Bench::new();
    let (calls, go) = (bench.path("calls"), bench.path("go"));
    let text =
        format!("echo call >> '{}'; while [ ! -e '{}' ]; do sleep 0.05; done; exit 5", calls.display(), go.display());
    let first = bench.script(&text, ExitCode::Ig60);
    tokio::select! {
        ended = bench.install(&first) => panic!("{ended:?}"),
        () = bench.appears("calls") => {}
    }
    // As after a restart of the agent: what was begun is known by the folder alone.
    let second = first.clone();
    drop(first);
    let (resumed, ()) = tokio::join!(second.resume(7), async {
        tokio::time::sleep(3 * LOOK).await;
        fs::write(&go, b"").unwrap();
    });
    assert_eq!(resumed.unwrap().unwrap_err().result, UpdateResult::Integrity);
    assert_eq!(
        second.resume(7).await.unwrap().unwrap_err().result,
        UpdateResult::Integrity,
        "however often it is asked"
    );
    assert_eq!(second.resume(8).await, None, "nothing is known of another one");
    assert_eq!(bench.text("calls"), "call\n");
}

#[tokio::test]
async fn what_a_program_says_without_end_fills_no_disk_and_holds_nobody_up() {
    let bench = Bench::new();
    // 64 MiB in lines, and what it says at last.
    let script = bench
        .script("echo begin; yes 'the same again' | head -c 67108864; echo 'that was it' >&2; exit 5", ExitCode::Ig60);
    let failure = bench.install(&script).await.unwrap_err();
    assert_eq!(failure.result, UpdateResult::Integrity, "it comes to its end: {failure}");
    let log = fs::read(bench.path("runs/7/log")).unwrap();
    assert!(log.len() < 9 << 20, "{} bytes", log.len());
    assert!(log.starts_with(b"begin\nthe same again\n"));
    assert!(log.ends_with(b"(it says more, which is not kept)\n"));
}

#[tokio::test]
async fn a_program_that_leaves_others_behind_has_ended_when_it_has() {
    let bench = Bench::new();
    let pids = bench.path("pids");
    // It holds on to whatever the program had.
    let text = format!("( trap '' HUP; exec sleep 600 <&0 ) & echo $! >> '{}'; echo done; exit 0", pids.display());
    let script = bench.script(&text, ExitCode::Posix);
    let began = Instant::now();
    assert_eq!(bench.install(&script).await, Ok(()));
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(bench.text("runs/7/log").contains("done"));
    // The next one takes no notice of it.
    assert_eq!(script.install(8, &bench.path("image")).await, Ok(()));
    for left in bench.text("pids").lines() {
        assert!(std::process::Command::new("kill").arg(left).status().unwrap().success(), "it was left alone");
    }
}
