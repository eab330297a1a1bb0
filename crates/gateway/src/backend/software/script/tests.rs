use std::fs;

use lapwing::objects::software::package::Format;

use super::super::testing::{Bench, job};
use super::*;

/// A program that writes down how it is called, and with which content.
const PROGRAM: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" | sed "s|$here|HERE|g" >> "$here/calls"
case $1 in
    verify) grep -q good "$2" || { echo "this is not good" >&2; exit 53; }; echo "name: kettle"; echo "version: 2" ;;
    install) cat "$2" > "$here/installed"; [ ! -e "$here/fails" ] ;;
    start) while [ ! -e "$here/go" ]; do sleep 0.05; done ;;
    status) exit "$(cat "$here/status")" ;;
esac
"#;

fn script(bench: &Bench, payload: Payload) -> Script {
    let program = bench.program("program", PROGRAM).to_str().unwrap().to_owned();
    let script = Script::new(vec![program], payload, true, bench.path("own"));
    Script { runs: script.runs.without_systemd(), ..script }
}

#[tokio::test]
async fn the_program_looks_at_packages_and_installs_them() {
    let bench = Bench::new();
    let script = script(&bench, Payload::Bare);
    fs::write(bench.path("package"), "a good package").unwrap();
    let package = bench.package("package");
    let release = script.verify(&package).await.unwrap();
    assert_eq!(release, package.release().name("kettle").version("2"));
    script.begin(&job(Task::Install, 1, &release, Some(&package.path))).await.unwrap();
    assert_eq!(bench.text("installed"), "a good package");
    for task in [Task::Activate, Task::Stop, Task::Deactivate, Task::Purge, Task::Remove] {
        script.begin(&job(task, 2, &release, None)).await.unwrap();
    }
    let calls = "verify HERE/package\ninstall HERE/own/runs/1/package\nactivate\nstop\ndeactivate\npurge\nremove\n";
    assert_eq!(bench.text("calls"), calls);

    fs::write(bench.path("fails"), "").unwrap();
    let failure = script.begin(&job(Task::Install, 3, &release, Some(&package.path))).await.unwrap_err();
    assert!(
        failure.reason.ends_with("program install: ended with exit code 1") && failure.result.is_none(),
        "{failure}"
    );
    fs::write(bench.path("package"), "a bad package").unwrap();
    let refused = script.verify(&bench.package("package")).await.unwrap_err();
    assert_eq!(refused.result, Some(UpdateResult::Integrity));
    assert!(refused.reason.contains("this is not good"), "{refused}");
}

#[tokio::test]
async fn what_was_begun_is_followed_and_never_begun_again() {
    let bench = Bench::new();
    let first = script(&bench, Payload::Bare);
    let release = Package::new("package", 0, [0; 32]).release();
    let start = job(Task::Start, 7, &release, None);
    let begun = async {
        while !bench.path("calls").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = first.begin(&start) => panic!("{ended:?}"),
        () = begun => {}
    }
    drop(first);
    let second = script(&bench, Payload::Bare);
    fs::write(bench.path("go"), "").unwrap();
    assert_eq!(second.resume(&start).await, Some(Ok(())));
    assert_eq!(second.resume(&job(Task::Start, 8, &release, None)).await, None);
    assert_eq!(bench.text("calls"), "start\n");
}

#[tokio::test]
async fn what_the_software_does_is_asked_for() {
    let bench = Bench::new();
    let script = script(&bench, Payload::Bare);
    let release = Package::new("package", 0, [0; 32]).release();
    for (code, state) in [
        ("0", Some(OperationalState::Running)),
        ("1", Some(OperationalState::Failed)),
        ("3", Some(OperationalState::Stopped)),
        ("4", None),
    ] {
        fs::write(bench.path("status"), code).unwrap();
        assert_eq!(script.operational_state(&release).await, state);
    }
}

#[tokio::test]
async fn a_packed_file_is_what_the_program_gets() {
    let bench = Bench::new();
    let script = script(&bench, Payload::Packed(Format::new(FILE)));
    let package = bench.pack("# name: outer\n", &[(FILE, b"a good package")]);
    let release = script.verify(&package).await.unwrap();
    assert_eq!((release.name.as_deref(), release.length), (Some("kettle"), package.length));
    assert!(!bench.path("own/package").exists(), "no trace is left");
    script.begin(&job(Task::Install, 1, &release, Some(&package.path))).await.unwrap();
    assert_eq!(bench.text("installed"), "a good package");
    assert!(!bench.path("own/package").exists(), "what is installed is not kept");
    fs::write(bench.path("package"), "a good package").unwrap();
    let refused = script.verify(&bench.package("package")).await.unwrap_err();
    assert_eq!(refused.result, Some(UpdateResult::PackageType));
}

#[tokio::test]
async fn a_program_that_does_not_end_refuses_a_package_and_knows_no_state() {
    let bench = Bench::new();
    let program = bench.program("program", "#!/bin/sh\nexec sleep 600\n").to_str().unwrap().to_owned();
    let script = Script::new(vec![program], Payload::Bare, true, bench.path("own"));
    let script = Script { look: Duration::from_secs(1), ..script };
    fs::write(bench.path("package"), "a package").unwrap();
    let package = bench.package("package");
    let refused = script.verify(&package).await.unwrap_err();
    assert!(refused.reason.contains("it has not ended in 1 s"), "{refused}");
    tokio::time::pause();
    assert_eq!(script.operational_state(&package.release()).await, None);
}
