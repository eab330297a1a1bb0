//! The disk gives back another record of object 9 than it was given: what it was in is lost, and no order that follows is taken for an
//! earlier one by what carries it out, which remembers by number what it has done.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::objects::software::{BoxFuture, Failure, Instance, Job, Manager, Package, Release};
use lapwing_coap::wire::Code;
use sim::disk::{Crash, explore};

use crate::common::disk::Simulated;
use crate::common::in_virtual_time;
use crate::common::scene::Scene;
use crate::common::software::{FOLDER, Machine, Recorder, WORKING, builder, recorder};

const RECORD: &str = "/state/kettle";
const DONE: Duration = WORKING.saturating_add(Duration::from_secs(1));

/// A machine that remembers the numbers of what it has done.
#[derive(Default, Clone)]
struct World {
    machine: Arc<Machine>,
    done: Arc<Mutex<BTreeSet<u64>>>,
}

struct Remembering {
    recorder: Recorder,
    done: Arc<Mutex<BTreeSet<u64>>>,
}

impl Manager for Remembering {
    fn verify<'a>(&'a self, package: &'a Package) -> BoxFuture<'a, Result<Release, Failure>> {
        self.recorder.verify(package)
    }

    fn begin<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            let ended = self.recorder.begin(job).await;
            assert!(self.done.lock().unwrap().insert(job.number), "{} comes again", job.number);
            ended
        })
    }

    fn resume<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Option<Result<(), Failure>>> {
        Box::pin(async { self.done.lock().unwrap().contains(&job.number).then_some(Ok(())) })
    }
}

async fn open(disk: &sim::Disk, world: &World) -> Result<Scene, String> {
    let manager = Remembering { recorder: recorder(disk, &world.machine), done: Arc::clone(&world.done) };
    let builder = builder(&world.machine, Instance::new(manager));
    let software = builder.open_on(Simulated::new(disk, None), FOLDER).map_err(|error| error.to_string())?;
    Ok(Scene::new(software).await)
}

/// Pushes a package of this byte and has it installed.
async fn install(scene: &mut Scene, byte: u8) -> Result<(), String> {
    let code = scene.block_of("/9/0/2", 0, false, &[42], &[byte; 64], Some(64)).await;
    changed(code)?;
    scene.wait(DONE).await;
    changed(scene.execute("/9/0/4", "").await)?;
    scene.wait(DONE).await;
    Ok(())
}

fn changed(code: Code) -> Result<(), String> {
    if code == Code::CHANGED { Ok(()) } else { Err(code.to_string()) }
}

fn damage(disk: &sim::Disk) -> Result<(), String> {
    let damage = || {
        let mut record = disk.read(RECORD)?;
        let middle = record.len() / 2;
        record[middle] ^= 0x10;
        let file = disk.create(RECORD)?;
        file.write(&record)?;
        file.sync()
    };
    damage().map_err(|error: std::io::Error| error.to_string())
}

/// A package is installed, its record damaged, and another package installed.
fn update(disk: &sim::Disk, seen: &RefCell<World>) -> Result<(), String> {
    let world = World::default();
    *seen.borrow_mut() = world.clone();
    in_virtual_time(async {
        let mut scene = open(disk, &world).await?;
        install(&mut scene, 1).await?;
        scene.kill().await;
        damage(disk)?;
        let mut scene = open(disk, &world).await?;
        install(&mut scene, 2).await?;
        scene.kill().await;
        if disk.has_crashed() { Err("the disk is gone".to_owned()) } else { Ok(()) }
    })
}

/// Nothing is begun twice, and nothing is told to be installed that was not.
fn judge(disk: &sim::Disk, crash: Crash, world: &World) {
    let begun = |byte: u8| {
        let call = format!("Install {byte} ");
        world.machine.calls().iter().filter(|begun| begun.starts_with(&call)).count()
    };
    let before = [begun(1), begun(2)];
    let (state, version) = in_virtual_time(async {
        let mut scene = open(disk, world).await.unwrap();
        scene.wait(DONE).await;
        let state = scene.read("/9/0/7").await;
        let version = scene.read("/9/0/1").await;
        scene.kill().await;
        (state, version)
    });
    assert_eq!([begun(1), begun(2)], before, "{crash}: a restart begins nothing");
    assert!(before.iter().all(|times| *times <= 1), "{crash}: begun twice: {before:?}");
    for (byte, times) in [1_u8, 2].into_iter().zip(before) {
        let is_told = state == "4" && version == format!("{:?}", Some(byte));
        assert!(!is_told || times == 1, "{crash}: {byte} is told to be installed, and was not");
    }
}

#[test]
fn after_damage_at_every_point_nothing_is_taken_for_done_that_was_not_begun() {
    let seen = RefCell::default();
    explore(10, |disk| update(disk, &seen), |disk, crash| judge(disk, crash, &seen.borrow()));
}

#[tokio::test(start_paused = true)]
async fn the_server_is_told_that_what_was_stored_is_lost() {
    let (disk, world) = (sim::Disk::new(), World::default());
    let mut scene = open(&disk, &world).await.unwrap();
    install(&mut scene, 1).await.unwrap();
    scene.shows(0, 4, 2).await;
    scene.kill().await;
    damage(&disk).unwrap();
    // It stays so.
    for _ in 0..2 {
        let mut scene = open(&disk, &world).await.unwrap();
        scene.shows(0, 0, 57).await;
        assert_eq!(scene.read("/9/0/16").await, "what was stored of it cannot be read any more");
        scene.kill().await;
    }
    let mut scene = open(&disk, &world).await.unwrap();
    install(&mut scene, 1).await.unwrap();
    scene.shows(0, 4, 2).await;
    assert_eq!(world.done.lock().unwrap().len(), 2);
}
