//! The power goes at every point of a push or a pull and the update that follows, and the disk loses any part of what was not synced: no
//! package whose last block was acknowledged is lost, a pull goes on, and no installer is started twice for one Execute, or without a
//! trace; and at every point of an update of the other side of a machine, which a reboot shows.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lapwing::objects::firmware::Installed;
use lapwing_coap::wire::Code;
use sim::disk::{Crash, explore};

use crate::common::disk::{Lie, Simulated};
use crate::common::files::{CHUNK, Files, PACE};
use crate::common::firmware::{FOLDER, IMAGE, INSTALLING, Machine, Scene, builder};

/// What happens until the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    /// A package is pushed, and installed at once.
    Push,
    /// One is fetched, and installed at once.
    Pull,
    /// One is pushed, and installed to the other side; the machine reboots.
    OtherSide,
}

/// What the world outside of the disk knows when the power goes.
#[derive(Default)]
struct Seen {
    machine: Arc<Machine>,
    files: Files,
    /// The last block was acknowledged, or a URI.
    came: bool,
    /// The Execute was.
    executed: bool,
    /// The success of the update was shown.
    succeeded: bool,
}

impl Seen {
    fn called(&self, what: &str) -> usize {
        self.machine.calls().iter().filter(|call| call.starts_with(what)).count()
    }
}

/// Longer than what a pull does not sync.
const CHUNKS: usize = 12;

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

async fn scene(disk: &sim::Disk, lie: Option<Lie>, seen: &Seen) -> Result<Scene, String> {
    let builder = builder(disk, &seen.machine).source(seen.files.clone());
    let firmware = builder.open_on(Simulated::new(disk, lie), FOLDER);
    Ok(Scene::with(firmware.map_err(|error| error.to_string())?).await)
}

fn changed(code: Code) -> Result<bool, String> {
    if code == Code::CHANGED { Ok(true) } else { Err(code.to_string()) }
}

async fn bring(course: Course, scene: &mut Scene, seen: &mut Seen) -> Result<(), String> {
    if course == Course::Pull {
        seen.came = changed(scene.write("/5/0/1", "coap://files.example/image").await)?;
        scene.wait(PACE * (CHUNKS as u32 + 1)).await;
        return Ok(());
    }
    for number in 0..3 {
        match scene.block(number, number < 2, 7, Some(192)).await {
            Code::CONTINUE => {}
            code => seen.came = changed(code)?,
        }
    }
    Ok(())
}

/// Brings a package and has it installed, as far as the disk goes along.
fn update(course: Course, disk: &sim::Disk, lie: Option<Lie>, seen: &mut Seen) -> Result<(), String> {
    *seen = Seen::default();
    seen.files.put(&package(course), b"1");
    if course == Course::OtherSide {
        *seen.machine.outcome.lock().unwrap() = Ok(Installed::AfterReboot(vec![1]));
    }
    in_virtual_time(async {
        let mut scene = scene(disk, lie, seen).await?;
        bring(course, &mut scene, seen).await?;
        seen.executed = changed(scene.execute("/5/0/2").await)?;
        scene.wait(INSTALLING + Duration::from_secs(10)).await;
        // When the power goes the process goes with it, and shows nothing more.
        if !disk.has_crashed() {
            seen.succeeded = scene.state().await == ("0".to_owned(), "1".to_owned());
        }
        scene.kill().await;
        Ok(())
    })
}

fn package(course: Course) -> Vec<u8> {
    match course {
        Course::Pull => (0..CHUNKS * CHUNK).map(|at| (at / 5) as u8).collect(),
        _ => vec![7; 192],
    }
}

/// Starts a client on what is left, and looks at it as a server does.
fn judge(course: Course, disk: &sim::Disk, crash: Crash, seen: &Seen) {
    let (installed, rebooted) = (seen.called("install"), seen.called("reboot"));
    let (state, result) = in_virtual_time(async {
        let mut scene = scene(disk, None, seen).await.unwrap();
        scene.wait(INSTALLING + PACE * CHUNKS as u32 + Duration::from_secs(10)).await;
        let state = scene.state().await;
        scene.kill().await;
        state
    });
    let found = (state.as_str(), result.as_str());
    assert!(installed <= 1 && seen.called("install") == installed, "{crash}: a restart installs nothing");
    let allowed: &[(&str, &str)] = match (seen, course) {
        (Seen { succeeded: true, .. }, _) => &[("0", "1")],
        // What was written to the other side runs now, and the installer says so.
        _ if rebooted > 0 => &[("0", "1")],
        // What became of it is not known: the installer here keeps no record.
        (Seen { executed: true, .. }, _) => &[("2", "8"), ("0", "1")],
        _ if installed > 0 => &[("2", "8"), ("0", "1")],
        (Seen { came: true, .. }, _) => &[("2", "0"), ("2", "8")],
        (_, Course::Pull) => &[("0", "0"), ("2", "0")],
        _ => &[("0", "0"), ("0", "4"), ("2", "0")],
    };
    assert!(allowed.contains(&found), "{crash}: {found:?} is none of {allowed:?}");
    if state == "2" {
        assert!(disk.read(IMAGE).is_ok_and(|image| image == package(course)), "{crash}: the package is not what came");
    } else {
        assert!(!disk.exists(IMAGE).unwrap(), "{crash}: something is left");
    }
}

fn everywhere(course: Course, lie: Option<Lie>) {
    let seen = RefCell::new(Seen::default());
    explore(
        20,
        |disk| update(course, disk, lie, &mut seen.borrow_mut()),
        |disk, crash| {
            let seen = seen.borrow();
            let calls = seen.machine.calls();
            judge(course, disk, crash, &seen);
            *seen.machine.calls.lock().unwrap() = calls;
        },
    );
}

#[test]
fn at_every_point_of_a_push_there_is_what_was_acknowledged_and_nothing_is_installed_twice() {
    everywhere(Course::Push, None);
}

#[test]
fn at_every_point_of_a_pull_it_goes_on_and_nothing_is_installed_twice() {
    everywhere(Course::Pull, None);
}

#[test]
fn at_every_point_of_an_update_of_the_other_side_what_was_rebooted_into_is_what_was_installed() {
    everywhere(Course::OtherSide, None);
}

#[test]
fn without_either_sync_the_tests_above_fail() {
    for course in [Course::Push, Course::Pull, Course::OtherSide] {
        for lie in [Lie::File, Lie::Folder] {
            let outcome = catch_unwind(AssertUnwindSafe(|| everywhere(course, Some(lie))));
            assert!(outcome.is_err(), "nobody noticed that the sync of {lie:?} was taken out of {course:?}");
        }
    }
}
