//! The power goes at every point of an update of the program itself: whole executables only are ever started, the new one is activated
//! at most once, and what was acknowledged comes about or is reported. The runner is a stand-in for the script that is shipped, which
//! does the same in shell.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::objects::software::package::Format;
use lapwing::objects::software::{BoxFuture, Failure, Instance, Job, Manager, Package, Release, Software, Task};
use lapwing_coap::wire::Code;
use sha2::{Digest as _, Sha256};
use sim::disk::{Crash, explore};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::common::disk::{Lie, Simulated};
use crate::common::in_virtual_time;
use crate::common::package::package;
use crate::common::scene::Scene;

const NAME: &str = "agent";
const STATE: &str = "/state";
const RUN: &str = "/run/agent";
const PREVIOUS: &str = "/run/agent.previous";
const TRIAL: &str = "/run/trial";
const UPDATES: &str = "/updates";
const UPDATE: &str = "/updates/agent";
const PACKAGE: &str = "/state/own.package";
const OLD: &[u8] = b"the program that runs";
const NEW: &[u8] = b"the program that is to run";
const SOON: Duration = Duration::from_secs(20);

/// What was begun, each time.
type Begun = Arc<Mutex<Vec<Task>>>;

/// What the world outside of the disk knows.
#[derive(Default)]
struct Seen {
    /// The executables are in place.
    prepared: bool,
    begun: Begun,
    /// The last block was acknowledged.
    pushed: bool,
    /// The Execute of Install was, and its success was shown.
    install: bool,
    installed: bool,
    /// The same of Activate.
    activate: bool,
    active: bool,
}

impl Seen {
    fn begun(&self, task: Task) -> usize {
        self.begun.lock().unwrap().iter().filter(|begun| **begun == task).count()
    }
}

fn sha256(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// Puts the program where the runner takes it from, and ends the process.
struct Own {
    disk: sim::Disk,
    lie: Option<Lie>,
    begun: Begun,
    end: Arc<Notify>,
    /// It has registered.
    stays: watch::Receiver<bool>,
}

impl Own {
    fn put(&self, job: &Job) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::new(error.to_string());
        if self.disk.read(UPDATE).is_ok_and(|found| sha256(&found) == job.release.sha256) {
            return Ok(());
        }
        let path = job.package.as_ref().ok_or_else(|| Failure::new("there is no package"))?;
        let package = self.disk.read(path).map_err(failed)?;
        Format::new(NAME).unpack(&package[..], &Simulated::new(&self.disk, self.lie), Path::new(UPDATES))?;
        Ok(())
    }
}

impl Manager for Own {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        Box::pin(async {
            let package = self.disk.read(&package.path).map_err(|error| Failure::new(error.to_string()))?;
            Ok(Release::executable(&Format::new(NAME).verify(&package[..])?))
        })
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            self.begun.lock().unwrap().push(job.task);
            self.put(job)?;
            if job.task == Task::Activate {
                self.end.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async {
            if job.task == Task::Install {
                return Some(self.put(job));
            }
            let _ = self.stays.clone().wait_for(|stays| *stays).await;
            Some(Ok(()))
        })
    }
}

/// Copies a file in one step.
fn place(disk: &sim::Disk, from: &str, to: &str) -> io::Result<()> {
    write(disk, &format!("{to}.new"), &disk.read(from)?)?;
    disk.rename(format!("{to}.new"), to)?;
    disk.sync_directory("/run")
}

fn write(disk: &sim::Disk, path: &str, content: &[u8]) -> io::Result<()> {
    let file = disk.create(path)?;
    file.write(content)?;
    file.sync()?;
    disk.sync_directory("/run")
}

fn take_update(disk: &sim::Disk) -> io::Result<()> {
    place(disk, RUN, PREVIOUS)?;
    write(disk, TRIAL, b"0")?;
    place(disk, UPDATE, RUN)
}

fn roll_back(disk: &sim::Disk) -> io::Result<()> {
    place(disk, PREVIOUS, RUN)?;
    disk.remove(TRIAL)?;
    disk.sync_directory("/run")
}

/// What is started next.
fn start(disk: &sim::Disk) -> io::Result<Vec<u8>> {
    if disk.exists(TRIAL)? {
        let tries = disk.read(TRIAL)?;
        match tries.first() {
            Some(b'0'..b'3') => write(disk, TRIAL, &[tries[0] + 1])?,
            _ => roll_back(disk)?,
        }
    }
    disk.read(RUN)
}

/// One life of the program.
struct Life {
    scene: Scene,
    end: Arc<Notify>,
    stays: watch::Sender<bool>,
    disk: sim::Disk,
}

impl Life {
    /// It starts, and registers.
    async fn begin(disk: &sim::Disk, lie: Option<Lie>, running: &[u8], begun: &Begun) -> Result<Self, String> {
        let (end, stays) = (Arc::new(Notify::new()), watch::Sender::new(false));
        let begun = Arc::clone(begun);
        let own = Own { disk: disk.clone(), lie, begun, end: Arc::clone(&end), stays: stays.subscribe() };
        let running = sha256(running);
        let builder = Software::builder().instance(0, "own", Instance::own(own, move || Ok(running)));
        let software = builder.open_on(Simulated::new(disk, lie), STATE).map_err(|error| error.to_string())?;
        let mut scene = Scene::new(software).await;
        // It is told beside all else which executable runs.
        scene.wait(Duration::from_millis(1)).await;
        Ok(Self { scene, end, stays, disk: disk.clone() })
    }

    /// It has registered, and will not be taken back.
    fn stay(&self) -> io::Result<()> {
        if self.disk.exists(TRIAL)? {
            self.disk.remove(TRIAL)?;
            self.disk.sync_directory("/run")?;
        }
        self.stays.send_replace(true);
        Ok(())
    }

    async fn shown(&mut self) -> [String; 3] {
        [self.scene.read("/9/0/7").await, self.scene.read("/9/0/9").await, self.scene.read("/9/0/12").await]
    }

    async fn execute(&mut self, path: &str) -> Result<bool, String> {
        match self.scene.execute(path, "").await {
            Code::CHANGED => Ok(true),
            code => Err(code.to_string()),
        }
    }
}

/// What comes of an update; `broken`: the new program does not register.
fn update(disk: &sim::Disk, broken: bool, lie: Option<Lie>, seen: &RefCell<Seen>) -> Result<(), String> {
    *seen.borrow_mut() = Seen::default();
    let begun = Arc::clone(&seen.borrow().begun);
    let text = |error: io::Error| error.to_string();
    disk.create_directory("/run").and_then(|()| disk.create_directory(UPDATES)).map_err(text)?;
    write(disk, RUN, OLD).and_then(|()| disk.sync_directory("/")).map_err(text)?;
    seen.borrow_mut().prepared = true;
    in_virtual_time(async {
        let mut life = Life::begin(disk, lie, OLD, &begun).await?;
        life.stay().map_err(text)?;
        let package = package(NAME, NEW);
        let blocks: Vec<&[u8]> = package.chunks(64).collect();
        for (number, block) in (0..).zip(&blocks) {
            let more = number as usize + 1 < blocks.len();
            match life.scene.block_of("/9/0/2", number, more, &[42], block, None).await {
                Code::CONTINUE => {}
                Code::CHANGED => seen.borrow_mut().pushed = true,
                code => return Err(code.to_string()),
            }
        }
        life.scene.wait(SOON).await;
        let done = life.execute("/9/0/4").await?;
        seen.borrow_mut().install = done;
        life.scene.wait(SOON).await;
        let found = life.shown().await;
        seen.borrow_mut().installed = !disk.has_crashed() && found == ["4", "2", "0"];
        let done = life.execute("/9/0/10").await?;
        seen.borrow_mut().activate = done;
        life.scene.wait(SOON).await;
        timeout(SOON, life.end.notified()).await.map_err(|_| "it does not end".to_owned())?;
        life.scene.kill().await;
        take_update(disk).map_err(text)?;
        let running = start(disk).map_err(text)?;
        if broken {
            roll_back(disk).map_err(text)?;
            let mut life = Life::begin(disk, lie, OLD, &begun).await?;
            assert_eq!(life.shown().await, ["3", "58", "0"]);
            life.scene.kill().await;
            return Ok(());
        }
        let mut life = Life::begin(disk, lie, &running, &begun).await?;
        life.stay().map_err(text)?;
        life.scene.wait(SOON).await;
        let found = life.shown().await;
        seen.borrow_mut().active = !disk.has_crashed() && found == ["4", "2", "1"];
        life.scene.kill().await;
        if disk.has_crashed() { Err("the disk is gone".to_owned()) } else { Ok(()) }
    })
}

/// Lets the runner go on with what is left, and looks at the program as a server does.
fn judge(disk: &sim::Disk, broken: bool, crash: Crash, seen: &Seen) {
    if !seen.prepared {
        return;
    }
    let before = (seen.begun(Task::Install), seen.begun(Task::Activate));
    let mut running = start(disk).unwrap();
    assert!(running == OLD || running == NEW, "{crash}: a part of a program is started");
    if running == NEW && broken {
        assert!(disk.exists(TRIAL).unwrap(), "{crash}: a broken program is not on trial");
        roll_back(disk).unwrap();
        running = start(disk).unwrap();
    }
    let found = in_virtual_time(async {
        let mut life = Life::begin(disk, None, &running, &seen.begun).await.unwrap();
        life.stay().unwrap();
        life.scene.wait(SOON).await;
        let found = life.shown().await;
        life.scene.kill().await;
        found
    });
    assert!(before.0 <= 1 && before.1 <= 1, "{crash}: begun twice");
    assert_eq!(before, (seen.begun(Task::Install), seen.begun(Task::Activate)), "{crash}: a restart begins nothing");
    assert!(running == OLD || before.1 == 1, "{crash}: it was never activated");
    let (delivered, installed, active, failed) = (["3", "3", "0"], ["4", "2", "0"], ["4", "2", "1"], ["3", "58", "0"]);
    let allowed = match seen {
        _ if running == NEW => vec![active],
        Seen { active: true, .. } => vec![],
        Seen { activate: true, .. } => vec![failed],
        _ if before.1 > 0 => vec![failed],
        Seen { installed: true, .. } => vec![installed, failed],
        Seen { install: true, .. } => vec![installed],
        _ if before.0 > 0 => vec![installed],
        Seen { pushed: true, .. } => vec![delivered, installed],
        _ => vec![["0", "0", "0"], ["0", "52", "0"], delivered],
    };
    assert!(allowed.iter().any(|allowed| found == *allowed), "{crash}: {found:?} is none of {allowed:?}");
    if found == delivered || found == failed {
        assert!(disk.read(PACKAGE).is_ok_and(|file| file == package(NAME, NEW)), "{crash}: not the package");
    }
}

fn everywhere(broken: bool, lie: Option<Lie>) {
    let seen = RefCell::new(Seen::default());
    explore(
        10,
        |disk| update(disk, broken, lie, &seen),
        |disk, crash| {
            let seen = seen.borrow();
            let begun = seen.begun.lock().unwrap().clone();
            judge(disk, broken, crash, &seen);
            *seen.begun.lock().unwrap() = begun;
        },
    );
}

#[test]
fn at_every_point_of_an_update_of_itself_a_whole_program_runs_and_says_what_it_is() {
    everywhere(false, None);
}

#[test]
fn at_every_point_of_an_update_to_a_broken_program_the_old_one_comes_back_and_says_so() {
    everywhere(true, None);
}

#[test]
fn without_either_sync_the_tests_above_fail() {
    for broken in [false, true] {
        for lie in [Lie::File, Lie::Folder] {
            let outcome = catch_unwind(AssertUnwindSafe(|| everywhere(broken, Some(lie))));
            assert!(outcome.is_err(), "broken {broken}: nobody noticed that the sync of {lie:?} was taken out");
        }
    }
}
