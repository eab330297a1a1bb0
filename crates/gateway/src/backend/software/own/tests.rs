use std::os::unix::fs::PermissionsExt;

use super::super::testing::{Bench, job};
use super::*;

const NAME: &str = "agent";

fn own(bench: &Bench) -> (Own, Arc<Notify>, watch::Sender<bool>) {
    let (end, stays) = (Arc::new(Notify::new()), watch::Sender::new(false));
    let update = bench.path("updates").join(NAME);
    let own = Own::new(&update, Vec::new(), Arc::clone(&end), stays.subscribe()).unwrap();
    (own, end, stays)
}

#[tokio::test]
async fn a_verified_package_leaves_no_trace_until_it_is_installed() {
    let bench = Bench::new();
    let (own, _, _) = own(&bench);
    let package = bench.pack("# name: kettle\n# version: 2\n", &[(NAME, b"#!/bin/sh\n")]);
    let release = own.verify(&package).await.unwrap();
    assert_eq!((release.name.as_deref(), release.version.as_deref()), (Some("kettle"), Some("2")));
    assert!(!bench.path("updates").exists());
    let install = job(Task::Install, 1, &release, Some(&package.path));
    own.begin(&install).await.unwrap();
    assert_eq!(bench.text("updates/agent"), "#!/bin/sh\n");
    assert_eq!(own.resume(&install).await, Some(Ok(())), "it is there");
    fs::remove_file(bench.path("updates/agent")).unwrap();
    assert_eq!(own.resume(&install).await, Some(Ok(())), "it is put there again");
    assert_eq!(bench.text("updates/agent"), "#!/bin/sh\n");
}

#[tokio::test]
async fn activation_ends_the_agent_once_the_executable_is_where_the_runner_looks() {
    let bench = Bench::new();
    let (own, end, _stays) = own(&bench);
    let package = bench.pack("", &[(NAME, b"new")]);
    let release = own.verify(&package).await.unwrap();
    // Nothing is there, and nothing to make it of.
    let lost = own.begin(&job(Task::Activate, 2, &release, None)).await.unwrap_err();
    assert!(lost.reason.contains("is there any more"), "{lost}");
    // The folder of updates was in memory, and the power went after Install.
    let activate = job(Task::Activate, 2, &release, Some(&package.path));
    tokio::select! {
        ended = own.begin(&activate) => panic!("{ended:?}"),
        () = end.notified() => {}
    }
    assert_eq!(bench.text("updates/agent"), "new");
    // Another file is not what was installed.
    fs::write(bench.path("updates/agent"), "other").unwrap();
    tokio::select! {
        ended = own.begin(&activate) => panic!("{ended:?}"),
        () = end.notified() => {}
    }
    assert_eq!(bench.text("updates/agent"), "new");
}

#[tokio::test]
async fn an_activation_is_over_when_the_agent_has_come_to_stay() {
    let bench = Bench::new();
    let (own, _, stays) = own(&bench);
    let release = own.verify(&bench.pack("", &[(NAME, b"new")])).await.unwrap();
    let activate = job(Task::Activate, 2, &release, None);
    let mut resumed = own.resume(&activate);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), &mut resumed).await;
    assert!(waited.is_err(), "{waited:?}");
    stays.send_replace(true);
    assert_eq!(resumed.await, Some(Ok(())));
}

#[tokio::test]
async fn an_activation_has_not_failed_because_the_process_ends() {
    let bench = Bench::new();
    let (own, _, stays) = own(&bench);
    let release = own.verify(&bench.pack("", &[(NAME, b"new")])).await.unwrap();
    let activate = job(Task::Activate, 2, &release, None);
    drop(stays);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(50), own.resume(&activate)).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn an_executable_of_another_machine_is_refused() {
    let bench = Bench::new();
    let (own, _, _) = own(&bench);
    let mut other = fs::read("/proc/self/exe").unwrap()[..64].to_vec();
    other[18] ^= 0x55;
    let package = bench.pack("", &[(NAME, &other)]);
    let release = own.verify(&package).await.unwrap();
    let failure = own.begin(&job(Task::Install, 1, &release, Some(&package.path))).await.unwrap_err();
    assert_eq!(failure.result, Some(UpdateResult::PackageType), "{failure}");
    assert!(!bench.path("updates/agent").exists());
    other[18] ^= 0x55;
    let package = bench.pack("", &[(NAME, &other)]);
    let release = own.verify(&package).await.unwrap();
    own.begin(&job(Task::Install, 2, &release, Some(&package.path))).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_not_used() {
    let bench = Bench::new();
    let (own, _, _) = own(&bench);
    let package = bench.pack("", &[(NAME, b"new")]);
    let release = own.verify(&package).await.unwrap();
    let install = job(Task::Install, 1, &release, Some(&package.path));
    let updates = bench.path("updates");
    fs::create_dir(&updates).unwrap();
    fs::set_permissions(&updates, fs::Permissions::from_mode(0o777)).unwrap();
    let failure = own.begin(&install).await.unwrap_err();
    assert!(failure.reason.contains("others than this user"), "{failure}");
    fs::remove_dir(&updates).unwrap();
    std::os::unix::fs::symlink(bench.folder.path(), &updates).unwrap();
    let failure = own.begin(&install).await.unwrap_err();
    assert!(failure.reason.contains("others than this user"), "{failure}");
    assert!(!bench.path("agent").exists());
}

#[tokio::test]
async fn packages_are_refused_with_their_results() {
    let bench = Bench::new();
    let (own, _, _) = own(&bench);
    let refused = own.verify(&bench.pack("", &[("other", b"new")])).await.unwrap_err();
    assert_eq!(refused.result, Some(UpdateResult::PackageType), "{refused}");
    fs::write(bench.path("package"), "no package").unwrap();
    let refused = own.verify(&bench.package("package")).await.unwrap_err();
    assert_eq!(refused.result, Some(UpdateResult::PackageType), "{refused}");
}
