//! The power goes at every point of a push and the update that follows, and the disk loses any part of what was not synced: no package
//! whose last block was acknowledged is lost, and no installer is started twice for one Execute, or without a trace.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lapwing_coap::wire::Code;
use sim::disk::{Crash, explore};

use crate::common::disk::{Lie, Simulated};
use crate::common::firmware::{FOLDER, IMAGE, INSTALLING, Machine, Scene, builder};

/// What the world outside of the disk knows when the power goes.
#[derive(Default)]
struct Seen {
    machine: Arc<Machine>,
    /// The last block was acknowledged.
    pushed: bool,
    /// The Execute was.
    executed: bool,
    /// The success of the update was shown.
    succeeded: bool,
}

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

/// Pushes a package and has it installed, as far as the disk goes along.
fn update(disk: &sim::Disk, lie: Option<Lie>, seen: &RefCell<Seen>) -> Result<(), String> {
    *seen.borrow_mut() = Seen::default();
    let machine = Arc::clone(&seen.borrow().machine);
    in_virtual_time(async {
        let firmware = builder(disk, &machine).open_on(Simulated::new(disk, lie), FOLDER);
        let mut scene = Scene::with(firmware.map_err(|error| error.to_string())?).await;
        for number in 0..3 {
            match scene.block(number, number < 2, 7, Some(192)).await {
                Code::CONTINUE => {}
                Code::CHANGED => seen.borrow_mut().pushed = true,
                code => return Err(code.to_string()),
            }
        }
        match scene.execute("/5/0/2").await {
            Code::CHANGED => seen.borrow_mut().executed = true,
            code => return Err(code.to_string()),
        }
        scene.wait(INSTALLING + Duration::from_secs(10)).await;
        // When the power goes the process goes with it, and shows nothing more.
        if !disk.has_crashed() {
            seen.borrow_mut().succeeded = scene.state().await == ("0".to_owned(), "1".to_owned());
        }
        scene.kill().await;
        Ok(())
    })
}

/// Starts a client on what is left, and looks at it as a server does.
fn judge(disk: &sim::Disk, crash: Crash, seen: &Seen) {
    let installed = || seen.machine.calls().iter().filter(|call| call.starts_with("install")).count();
    let before = installed();
    let (state, result) = in_virtual_time(async {
        let mut scene = Scene::new(disk, &seen.machine).await;
        scene.wait(INSTALLING + Duration::from_secs(10)).await;
        let state = scene.state().await;
        scene.kill().await;
        state
    });
    let found = (state.as_str(), result.as_str());
    assert!(before <= 1 && installed() == before, "{crash}: a restart installs nothing");
    let allowed: &[(&str, &str)] = match seen {
        Seen { succeeded: true, .. } => &[("0", "1")],
        // What became of it is not known: the installer here keeps no record.
        Seen { executed: true, .. } => &[("2", "8"), ("0", "1")],
        _ if before > 0 => &[("2", "8"), ("0", "1")],
        Seen { pushed: true, .. } => &[("2", "0"), ("2", "8")],
        _ => &[("0", "0"), ("0", "4"), ("2", "0")],
    };
    assert!(allowed.contains(&found), "{crash}: {found:?} is none of {allowed:?}");
    if state == "2" {
        assert!(disk.read(IMAGE).is_ok_and(|image| image == [7; 192]), "{crash}: the package is not what came");
    } else {
        assert!(!disk.exists(IMAGE).unwrap(), "{crash}: something is left");
    }
}

fn everywhere(lie: Option<Lie>) {
    let seen = RefCell::new(Seen::default());
    explore(
        20,
        |disk| update(disk, lie, &seen),
        |disk, crash| {
            let seen = seen.borrow();
            let calls = seen.machine.calls();
            judge(disk, crash, &seen);
            *seen.machine.calls.lock().unwrap() = calls;
        },
    );
}

#[test]
fn at_every_point_there_is_what_was_acknowledged_and_nothing_is_installed_twice() {
    everywhere(None);
}

#[test]
fn without_either_sync_the_test_above_fails() {
    for lie in [Lie::File, Lie::Folder] {
        let outcome = catch_unwind(AssertUnwindSafe(|| everywhere(Some(lie))));
        assert!(outcome.is_err(), "nobody noticed that the sync of {lie:?} was taken out");
    }
}
