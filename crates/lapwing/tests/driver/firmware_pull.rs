//! Firmware Update by pull: the package is fetched from a URI (OMA object 5 version 1.2, resources 1, 3, 5, 8 and 9;
//! LightweightM2M-1.0-int-771, 773, 775 and 778). Where it comes from is in virtual time; what fetches it really is tested by itself.

use std::sync::Arc;
use std::time::Duration;

use lapwing::transfer::Cause;
use lapwing_coap::wire::Code;

use crate::common::disk::Simulated;
use crate::common::files::{CHUNK, Files, GIVE_UP, PACE};
use crate::common::firmware::{FOLDER, IMAGE, INSTALLING, Machine, Scene, builder};

const URI: &str = "coap://files.example/image";
const SECOND: Duration = Duration::from_secs(1);
/// What is stored of a pull is so old at most.
const SYNC: Duration = Duration::from_secs(5);

struct World {
    disk: sim::Disk,
    machine: Arc<Machine>,
    files: Files,
}

impl World {
    /// With a file of so many chunks, none of which is like the next.
    fn new(chunks: usize) -> Self {
        Self { disk: sim::Disk::new(), machine: Arc::default(), files: Files::new(&content(chunks, 0)) }
    }

    async fn scene(&self) -> Scene {
        self.scene_on(Simulated::new(&self.disk, None)).await
    }

    async fn scene_on(&self, disk: Simulated) -> Scene {
        let builder = builder(&self.disk, &self.machine).source(self.files.clone());
        let mut scene = Scene::with(builder.open_on(disk, FOLDER).unwrap()).await;
        scene.observe("/5/0/3").await;
        scene
    }

    #[track_caller]
    fn has(&self, content: &[u8]) {
        assert!(self.disk.read(IMAGE).unwrap() == content, "another package");
    }

    #[track_caller]
    fn has_nothing(&self) {
        assert_eq!(self.disk.list(FOLDER).unwrap(), ["state"]);
    }
}

fn content(chunks: usize, seed: u8) -> Vec<u8> {
    (0..chunks * CHUNK).map(|at| (at / 7) as u8 ^ seed).collect()
}

/// How long so many chunks take.
fn time(chunks: usize) -> Duration {
    PACE * chunks as u32 + SECOND / 2
}

#[tokio::test(start_paused = true)]
async fn a_package_is_fetched_and_installed_and_every_state_is_notified() {
    let world = World::new(20);
    let mut scene = world.scene().await;
    assert_eq!(scene.read("/5/0/9").await, "2", "both ways");
    assert_eq!(scene.write("/5/0/1", URI).await, Code::CHANGED);
    assert_eq!(scene.notified("/5/0/3"), [""; 0], "the answer comes first");
    scene.wait(time(10)).await;
    scene.is(1, 0).await;
    assert_eq!(scene.execute("/5/0/2").await, Code::METHOD_NOT_ALLOWED);
    scene.wait(time(10)).await;
    scene.is(2, 0).await;
    assert_eq!(scene.read("/5/0/1").await, URI);
    world.has(&content(20, 0));
    assert_eq!(scene.execute("/5/0/2").await, Code::CHANGED);
    scene.wait(INSTALLING + 10 * SECOND).await;
    scene.is(0, 1).await;
    assert_eq!(scene.notified("/5/0/3"), ["1", "2", "3", "0"]);
    assert_eq!(world.machine.calls(), [format!("install {} bytes", 20 * CHUNK)]);
    world.has_nothing();
}

#[tokio::test(start_paused = true)]
async fn the_protocols_are_those_that_are_built() {
    let world = World::new(1);
    let mut scene = world.scene().await;
    // CoAP and CoAPS; with the feature `http` HTTP and HTTPS.
    for (instance, built) in [true, true, cfg!(feature = "http"), cfg!(feature = "http")].into_iter().enumerate() {
        let read = scene.try_read(&format!("/5/0/8/{instance}")).await;
        assert_eq!(read, if built { Ok(instance.to_string()) } else { Err(Code::NOT_FOUND) });
    }
    scene.write("/5/0/1", "http://files.example/image").await;
    scene.wait(time(1)).await;
    if cfg!(feature = "http") { scene.is(2, 0).await } else { scene.is(0, 9).await }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_fetched_ends_in_idle_with_its_result() {
    let world = World::new(1);
    let mut scene = world.scene().await;
    for (cause, uri, result) in [
        (Some(Cause::NotFound("4.04".into())), URI, "7"),
        (Some(Cause::Unresolvable("files.example".into())), URI, "7"),
        (Some(Cause::Refused("4.03".into())), URI, "4"),
        (Some(Cause::Certificate("self-signed".into())), "coaps://files.example/", "4"),
        (Some(Cause::NoCredentials), "coaps://files.example/", "4"),
        (None, "ftp://files.example/image", "9"),
        (None, "no uri", "7"),
    ] {
        world.files.with(|file| file.missing = cause);
        let before = scene.notified("/5/0/3").len();
        assert_eq!(scene.write("/5/0/1", uri).await, Code::CHANGED);
        scene.wait(SECOND).await;
        assert_eq!(scene.notified("/5/0/3")[before..], ["1", "0"], "{uri}");
        assert_eq!((scene.read("/5/0/5").await.as_str(), scene.read("/5/0/1").await.as_str()), (result, uri));
        world.has_nothing();
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_before_its_first_byte() {
    let world = World::new(2);
    world.files.with(|file| file.size = Some(1001));
    // A mebibyte of it is to stay free.
    let mut scene = world.scene_on(Simulated::with_free(&world.disk, (1 << 20) + 1000)).await;
    scene.write("/5/0/1", URI).await;
    scene.wait(time(5)).await;
    scene.is(0, 2).await;
    assert_eq!(scene.notified("/5/0/3"), ["1", "0"]);
    assert_eq!(world.files.transfers(), [(0, 0)]);
    world.has_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_ends_in_idle_and_the_same_uri_goes_on() {
    let world = World::new(20);
    world.files.with(|file| file.silent_at = Some(8 * CHUNK));
    let mut scene = world.scene().await;
    scene.write("/5/0/1", URI).await;
    scene.wait(time(8) + GIVE_UP).await;
    scene.is(0, 4).await;
    world.files.with(|file| file.silent_at = None);
    // Not even a restart takes the part away.
    scene.kill().await;
    let mut scene = world.scene().await;
    scene.is(0, 4).await;
    scene.write("/5/0/1", URI).await;
    scene.wait(time(12)).await;
    scene.is(2, 0).await;
    world.has(&content(20, 0));
    assert_eq!(world.files.transfers(), [(0, 8 * CHUNK), (8 * CHUNK, 12 * CHUNK)]);
}

#[tokio::test(start_paused = true)]
async fn the_part_is_of_no_use_to_another_uri_or_another_file() {
    let world = World::new(20);
    world.files.with(|file| file.silent_at = Some(8 * CHUNK));
    let mut scene = world.scene().await;
    for _ in 0..2 {
        scene.write("/5/0/1", URI).await;
        scene.wait(time(8) + GIVE_UP).await;
        scene.is(0, 4).await;
        world.files.put(&content(10, 1), b"2");
    }
    world.files.with(|file| file.silent_at = None);
    scene.write("/5/0/1", "coap://other.example/image").await;
    scene.wait(time(10)).await;
    scene.is(2, 0).await;
    world.has(&content(10, 1));
    assert_eq!(world.files.transfers(), [(0, 8 * CHUNK), (0, 8 * CHUNK), (0, 10 * CHUNK)]);
    // A push takes its place as well.
    scene.write("/5/0/1", "").await;
    scene.push(7).await;
    world.has(&[7; 192]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was_synced() {
    let world = World::new(40);
    let mut scene = world.scene().await;
    scene.write("/5/0/1", URI).await;
    for _ in 0..2 {
        scene.wait(time(12)).await;
        scene.kill().await;
        scene = world.scene().await;
        scene.is(1, 0).await;
    }
    scene.wait(time(40)).await;
    scene.is(2, 0).await;
    world.has(&content(40, 0));
    let transfers = world.files.transfers();
    assert_eq!(transfers.len(), 3);
    for pair in transfers.windows(2) {
        let reached = pair[0].0 + pair[0].1;
        let lost = reached - pair[1].0;
        assert!(lost <= SYNC.as_secs() as usize * CHUNK, "{transfers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_package_without_an_etag_comes_anew_after_a_restart() {
    let world = World::new(10);
    world.files.with(|file| file.etag = None);
    let mut scene = world.scene().await;
    scene.write("/5/0/1", URI).await;
    scene.wait(time(8)).await;
    scene.kill().await;
    let mut scene = world.scene().await;
    scene.wait(time(10)).await;
    scene.is(2, 0).await;
    world.has(&content(10, 0));
    assert_eq!(world.files.transfers(), [(0, 8 * CHUNK), (0, 10 * CHUNK)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_or_a_reset_ends_a_pull_and_drops_the_part() {
    for (resource, result) in [("/5/0/10", 10), ("/5/0/1", 0)] {
        let world = World::new(20);
        let mut scene = world.scene().await;
        scene.write("/5/0/1", URI).await;
        scene.wait(time(8)).await;
        let code = match resource {
            "/5/0/1" => scene.write(resource, "").await,
            _ => scene.execute(resource).await,
        };
        assert_eq!(code, Code::CHANGED);
        scene.is(0, result).await;
        world.has_nothing();
        scene.wait(time(8)).await;
        assert_eq!(world.files.transfers(), [(0, 8 * CHUNK)], "nothing comes any more");
        scene.write("/5/0/1", URI).await;
        scene.wait(time(20)).await;
        world.has(&content(20, 0));
        assert_eq!(world.files.transfers()[1], (0, 20 * CHUNK));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_else_begins_while_a_package_is_fetched() {
    let world = World::new(10);
    let mut scene = world.scene().await;
    scene.write("/5/0/1", URI).await;
    scene.wait(time(3)).await;
    assert_eq!(scene.write("/5/0/1", "coap://files.example/other").await, Code::BAD_REQUEST);
    assert_eq!(scene.block(0, true, 7, Some(192)).await, Code::BAD_REQUEST);
    scene.is(1, 0).await;
    scene.wait(time(7)).await;
    assert_eq!(scene.write("/5/0/1", URI).await, Code::BAD_REQUEST);
    scene.is(2, 0).await;
    world.has(&content(10, 0));
    assert_eq!(world.files.transfers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_package_of_unknown_size_is_fetched_until_the_disk_is_full() {
    let world = World::new(30);
    world.files.with(|file| file.size = None);
    let mut scene = world.scene().await;
    scene.write("/5/0/1", URI).await;
    scene.wait(time(3)).await;
    world.disk.set_capacity(8 * CHUNK as u64);
    scene.wait(time(20)).await;
    scene.is(0, 2).await;
    world.has_nothing();
}
