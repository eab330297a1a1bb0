//! systemd's own systemctl enables and disables units in a root of their own. Whether they run is a note of a stand-in: a real manager
//! would have to be the first process of this machine.

use super::super::testing::{Bench, is_installed, job};
use super::*;

const UNIT: &str = "kettle.service";
const TEXT: &str = "[Service]\nExecStart=@folder@/bin/kettle\n[Install]\nWantedBy=multi-user.target\n";
const SYSTEMCTL: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
systemctl="systemctl --root=$here/root"
case $1 in
    enable) $systemctl enable "$3" && echo active > "$here/state" ;;
    disable) $systemctl disable "$3" && echo inactive > "$here/state" ;;
    start) [ ! -e "$here/fails" ] || { echo "Job failed" >&2; exit 1; }; echo active > "$here/state" ;;
    stop) echo inactive > "$here/state" ;;
    is-enabled) $systemctl is-enabled "$2" ;;
    show) cat "$here/state" ;;
esac
"#;

/// The manager of the unit, where systemctl is there.
fn unit(bench: &Bench) -> Option<Unit> {
    if !is_installed("systemctl") {
        return None;
    }
    let program = bench.program("systemctl", SYSTEMCTL).to_str().unwrap().to_owned();
    let units = bench.path("root/etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    let unit = Unit::new(UNIT, Vec::new(), bench.path("installed"));
    Some(Unit { service: unit.service.systemctl(vec![program]), place: Place { units, ..unit.place }, ..unit })
}

fn release(bench: &Bench, version: &str) -> Package {
    bench.pack(&format!("# version: {version}\n"), &[(UNIT, TEXT.as_bytes()), ("bin/kettle", version.as_bytes())])
}

#[tokio::test]
async fn a_unit_is_installed_updated_and_removed() {
    let bench = Bench::new();
    let Some(unit) = unit(&bench) else { return };
    let package = release(&bench, "1");
    let first = unit.verify(&package).await.unwrap();
    assert_eq!(first, package.release().name(UNIT).version("1"));
    assert!(!bench.path("installed").exists(), "no trace");
    unit.begin(&job(Task::Install, 1, &first, Some(&package.path))).await.unwrap();
    let current = bench.path("installed/current");
    assert_eq!(bench.text("installed/current/bin/kettle"), "1");
    let text = bench.text("root/etc/systemd/system/kettle.service");
    assert!(text.contains(&format!("ExecStart={}/bin/kettle", current.display())), "{text}");
    assert_eq!(unit.service.is_enabled().await, Some(false), "that is up to Activate");

    unit.begin(&job(Task::Activate, 2, &first, None)).await.unwrap();
    assert_eq!(unit.service.is_enabled().await, Some(true));
    assert_eq!(unit.operational_state(&first).await, Some(OperationalState::Running));
    unit.begin(&job(Task::Stop, 3, &first, None)).await.unwrap();
    assert_eq!(unit.operational_state(&first).await, Some(OperationalState::Stopped));
    fs::write(bench.path("fails"), "").unwrap();
    let failure = unit.begin(&job(Task::Start, 4, &first, None)).await.unwrap_err();
    assert!(failure.reason.contains("start kettle.service") && failure.reason.contains("Job failed"), "{failure}");

    let package = release(&bench, "2");
    let second = unit.verify(&package).await.unwrap();
    let mut install = job(Task::Install, 5, &second, Some(&package.path));
    install.replaces = Some(first);
    unit.begin(&install).await.unwrap();
    assert_eq!(bench.text("installed/current/bin/kettle"), "2");
    assert!(!bench.path("installed/1").exists(), "the earlier one is gone");
    assert_eq!(unit.service.is_enabled().await, Some(false));

    unit.begin(&job(Task::Remove, 6, &second, None)).await.unwrap();
    assert!(!bench.path("installed").exists() && !bench.path("root/etc/systemd/system/kettle.service").exists());
    let calls = bench.text("calls");
    assert!(calls.ends_with("disable --now kettle.service\ndaemon-reload\n"), "{calls}");
}

#[tokio::test]
async fn after_a_restart_the_machine_is_looked_at() {
    let bench = Bench::new();
    let Some(unit) = unit(&bench) else { return };
    let package = release(&bench, "1");
    let release = unit.verify(&package).await.unwrap();
    let install = job(Task::Install, 1, &release, Some(&package.path));
    assert_eq!(unit.resume(&install).await, None, "it was not begun");
    unit.begin(&install).await.unwrap();
    assert_eq!(unit.resume(&install).await, Some(Ok(())));
    let activate = job(Task::Activate, 2, &release, None);
    assert_eq!(unit.resume(&activate).await, None);
    unit.begin(&activate).await.unwrap();
    assert_eq!(unit.resume(&activate).await, Some(Ok(())));
    assert_eq!(unit.resume(&job(Task::Deactivate, 3, &release, None)).await, None);
    assert_eq!(unit.resume(&job(Task::Purge, 4, &release, None)).await, None);
    // The power went in the middle of the next one, which can be done again under another number.
    fs::create_dir(bench.path("installed/5")).unwrap();
    assert_eq!(unit.resume(&job(Task::Install, 5, &release, Some(&package.path))).await, None);
    unit.begin(&job(Task::Install, 6, &release, Some(&package.path))).await.unwrap();
    assert!(!bench.path("installed/5").exists());
}

#[tokio::test]
async fn what_others_have_in_the_folder_stays() {
    let bench = Bench::new();
    let Some(unit) = unit(&bench) else { return };
    let others = ["installed/others/file", "installed/05/file"];
    for other in others {
        fs::create_dir_all(bench.path(other).parent().unwrap()).unwrap();
        fs::write(bench.path(other), "theirs").unwrap();
    }
    let package = release(&bench, "1");
    let release = unit.verify(&package).await.unwrap();
    unit.begin(&job(Task::Install, 1, &release, Some(&package.path))).await.unwrap();
    let remove = job(Task::Remove, 2, &release, None);
    assert_eq!(unit.resume(&remove).await, None, "it was not begun");
    unit.begin(&remove).await.unwrap();
    assert_eq!(unit.resume(&remove).await, Some(Ok(())));
    assert!(!bench.path("installed/1").exists() && !bench.path("installed/current").exists());
    assert!(others.iter().all(|other| bench.text(other) == "theirs"));
}

#[tokio::test]
async fn a_package_without_the_unit_is_refused() {
    let bench = Bench::new();
    let Some(unit) = unit(&bench) else { return };
    let refused = unit.verify(&bench.pack("", &[("bin/kettle", b"1")])).await.unwrap_err();
    assert!(refused.reason.contains("it has no file kettle.service"), "{refused}");
}
