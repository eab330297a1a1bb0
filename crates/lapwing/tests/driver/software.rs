//! Software Management: object 9 as servers see it (OMA-TS-LWM2M_SwMgmt-V1_0_2, and the object's definition in
//! version 1.1).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lapwing::ObjectLink;
use lapwing::definitions::software_management::V1_0;
use lapwing::objects::software::{Failure, Instance, OpenError, OperationalState, Software, UpdateResult};
#[cfg(feature = "http")]
use lapwing::objects::software::{State, Task};
use lapwing::transfer::Cause;
use lapwing_coap::ContentFormat;
use lapwing_coap::wire::{Code, option};
use lapwing_lwm2m::format::encode;
use lapwing_lwm2m::model::{Node, Path, Value};

use crate::common::disk::Simulated;
use crate::common::scene::Scene;
use crate::common::software::{FOLDER, File, Machine, VERIFYING, WORKING, builder, of, own, own_that, recorder, scene};

const SECOND: Duration = Duration::from_secs(1);
/// What was begun has ended by then, also if it waited for its answer to settle.
const DONE: Duration = WORKING.saturating_add(Duration::from_secs(10));
const VERIFIED: Duration = VERIFYING.saturating_add(SECOND);
const PACKAGE: &str = "/9/0/2";
const FILE: &str = "/state/kettle.package";

fn world() -> (sim::Disk, Arc<Machine>) {
    (sim::Disk::new(), Arc::default())
}

/// Executes a resource of instance 0, and waits for the end of what that begins.
async fn done(scene: &mut Scene, resource: u16) {
    assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::CHANGED);
    scene.wait(DONE).await;
}

/// A package in this state of instance 0: delivered, installed, active.
async fn delivered(scene: &mut Scene, fill: u8) {
    scene.push(PACKAGE, fill).await;
    scene.wait(VERIFIED).await;
    scene.shows(0, 3, 3).await;
}

async fn installed(scene: &mut Scene, fill: u8) {
    delivered(scene, fill).await;
    done(scene, 4).await;
    scene.shows(0, 4, 2).await;
}

async fn active(scene: &mut Scene, fill: u8) {
    installed(scene, fill).await;
    done(scene, 10).await;
    assert_eq!(scene.read("/9/0/12").await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_pushed_package_goes_through_every_state_and_each_is_notified() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    scene.shows(0, 0, 0).await;
    for resource in [7, 9, 12, 21] {
        scene.observe(&format!("/9/0/{resource}")).await;
    }
    scene.push(PACKAGE, 7).await;
    scene.shows(0, 2, 1).await;
    scene.wait(VERIFIED).await;
    assert_eq!(disk.read(FILE).unwrap(), [7; 192]);
    assert_eq!(scene.execute("/9/0/4", "").await, Code::CHANGED);
    scene.shows(0, 3, 3).await;
    scene.wait(DONE).await;
    scene.shows(0, 4, 2).await;
    assert!(!disk.exists(FILE).unwrap(), "what is installed needs no copy");
    done(&mut scene, 10).await;
    assert_eq!(scene.notified("/9/0/7"), ["1", "2", "3", "4"]);
    assert_eq!(scene.notified("/9/0/9"), ["1", "3", "2"]);
    assert_eq!(scene.notified("/9/0/12"), ["1"]);
    assert_eq!(scene.notified("/9/0/21"), ["0", "1"]);
    assert_eq!(machine.calls(), ["Install 7 from Some(7)", "Activate 7"]);
    assert_eq!((scene.read("/9/0/0").await.as_str(), scene.read("/9/0/1").await.as_str()), ("kettle", "Some(7)"));
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn a_package_is_fetched_as_the_user_that_the_server_names() {
    let (disk, machine) = world();
    *machine.file.lock().unwrap() = File { content: vec![5; 150], etag: Some(vec![1]), failure: None };
    let mut scene = scene(&disk, &machine).await;
    scene.observe("/9/0/7").await;
    assert_eq!(scene.write("/9/0/14", "cook").await, Code::CHANGED);
    assert_eq!(scene.write("/9/0/15", "salt").await, Code::CHANGED);
    assert_eq!(scene.write("/9/0/3", "http://files.example/kettle").await, Code::CHANGED);
    scene.shows(0, 1, 1).await;
    scene.wait(10 * SECOND).await;
    scene.shows(0, 3, 3).await;
    assert_eq!(scene.notified("/9/0/7"), ["1", "2", "3"]);
    assert_eq!(disk.read(FILE).unwrap(), [5; 150]);
    assert_eq!(machine.calls(), ["fetch http://files.example/kettle as cook from 0"]);
    // They are written only.
    for resource in ["/9/0/2", "/9/0/3", "/9/0/14", "/9/0/15"] {
        assert_eq!(scene.try_read(resource).await, Err(Code::METHOD_NOT_ALLOWED));
    }
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn one_write_of_the_instance_says_where_from_and_as_whom() {
    let (disk, machine) = world();
    *machine.file.lock().unwrap() = File { content: vec![5; 10], ..File::default() };
    let mut scene = scene(&disk, &machine).await;
    let values = [(3, "http://files.example"), (14, "cook"), (15, "salt")];
    let values = values.map(|(id, text)| (id, Value::from(text).into()));
    let mut body = Vec::new();
    let (path, node) = (Path::object(9).instance(0), Node::Instance(values.into_iter().collect()));
    encode(ContentFormat::TLV, &path, &node, &mut body).unwrap();
    let tlv = ContentFormat::TLV.0.to_be_bytes();
    let token = scene.server.request_with(Code::POST, "/9/0", &[(option::CONTENT_FORMAT, &tlv)], &body);
    assert_eq!(scene.answer(token).await.code, Code::CHANGED);
    scene.wait(10 * SECOND).await;
    scene.shows(0, 3, 3).await;
    assert_eq!(machine.calls(), ["fetch http://files.example/ as cook from 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_says_why_and_is_over() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    scene.observe("/9/0/7").await;
    let gone = Cause::NotFound("404".into());
    let lost = Cause::GaveUp { after: SECOND, last: None };
    for (uri, failure, result) in [
        ("no uri", None, 56),
        ("ftp://files.example", None, 56),
        ("", None, 56),
        ("coap://files.example", Some((0, gone)), 56),
        ("coap://files.example", Some((0, lost)), 52),
    ] {
        let before = scene.notified("/9/0/7").len();
        *machine.file.lock().unwrap() = File { failure, ..File::default() };
        assert_eq!(scene.write("/9/0/3", uri).await, Code::CHANGED);
        scene.wait(10 * SECOND).await;
        scene.shows(0, 0, result).await;
        assert_eq!(scene.notified("/9/0/7")[before..], ["1", "0"]);
        assert!(!scene.read("/9/0/16").await.is_empty(), "a reason is given");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_was_cut_off_goes_on_when_the_same_uri_is_written_again() {
    let (disk, machine) = world();
    let lost = Cause::GaveUp { after: SECOND, last: None };
    let file = File { content: (0..200).collect(), etag: Some(vec![1]), failure: Some((128, lost)) };
    *machine.file.lock().unwrap() = file.clone();
    let mut scene = scene(&disk, &machine).await;
    for _ in 0..2 {
        assert_eq!(scene.write("/9/0/3", "coap://files.example/a").await, Code::CHANGED);
        scene.wait(10 * SECOND).await;
        scene.shows(0, 0, 52).await;
    }
    machine.file.lock().unwrap().failure = None;
    assert_eq!(scene.write("/9/0/3", "coap://files.example/a").await, Code::CHANGED);
    scene.wait(10 * SECOND).await;
    scene.shows(0, 3, 3).await;
    assert_eq!(disk.read(FILE).unwrap(), file.content);
    let fetch = |from: u32| format!("fetch coap://files.example/a from {from}");
    assert_eq!(machine.calls(), [fetch(0), fetch(128), fetch(128)]);
    // Another one begins at its first byte.
    scene.execute("/9/0/6", "").await;
    *machine.file.lock().unwrap() = File { failure: Some((128, Cause::Lost("x".into()))), ..file };
    for name in ["a", "b"] {
        scene.write("/9/0/3", &format!("coap://files.example/{name}")).await;
        scene.wait(10 * SECOND).await;
    }
    assert_eq!(machine.calls()[3..], [fetch(0), "fetch coap://files.example/b from 0".to_owned()]);
}

#[tokio::test(start_paused = true)]
async fn a_pull_goes_on_after_a_restart_with_the_same_login() {
    let (disk, machine) = world();
    *machine.file.lock().unwrap() = File { content: vec![5; 1000], etag: Some(vec![1]), failure: None };
    let mut before = scene(&disk, &machine).await;
    before.write("/9/0/14", "cook").await;
    before.write("/9/0/15", "salt").await;
    before.write("/9/0/3", "coap://files.example/a").await;
    before.wait(8 * SECOND).await;
    before.shows(0, 1, 1).await;
    before.kill().await;
    let mut scene = scene(&disk, &machine).await;
    scene.shows(0, 1, 1).await;
    scene.wait(30 * SECOND).await;
    scene.shows(0, 3, 3).await;
    assert_eq!(disk.read(FILE).unwrap(), [5; 1000]);
    let calls = machine.calls();
    assert_eq!((calls.len(), calls[0].as_str()), (2, "fetch coap://files.example/a as cook from 0"));
    let from = calls[1].strip_prefix("fetch coap://files.example/a as cook from ").unwrap();
    assert!(from.parse::<u32>().unwrap() >= 64, "{from}");
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn the_application_sees_what_servers_see_and_no_secrets() {
    let (disk, machine) = world();
    *machine.file.lock().unwrap() = File { content: vec![5; 640], ..File::default() };
    let instance = Instance::new(recorder(&disk, &machine)).release("kettle", "0");
    let software = builder(&machine, instance).open_on(Simulated::new(&disk, None), FOLDER).unwrap();
    let software = Arc::new(software);
    let mut scene = Scene::new(Arc::clone(&software)).await;
    assert!(software.overview(1).is_none());
    scene.write("/9/0/3", "http://cook:salt@files.example/kettle?key=sugar").await;
    scene.wait(6 * SECOND).await;
    let coming = software.overview(0).unwrap();
    assert_eq!((coming.state, coming.result), (State::DownloadStarted, UpdateResult::Downloading));
    assert_eq!((coming.release.0.as_str(), coming.release.1.as_str()), ("kettle", "0"));
    let origin = coming.origin.unwrap();
    assert!(origin.contains("files.example/kettle"), "{origin}");
    assert!(!["cook", "salt", "sugar"].iter().any(|secret| origin.contains(secret)), "{origin}");
    let progress = coming.progress.unwrap();
    assert_eq!((progress.received % 64, progress.size), (0, Some(640)));
    scene.wait(20 * SECOND).await;
    scene.execute("/9/0/4", "").await;
    let installing = software.overview(0).unwrap();
    assert_eq!((installing.task, installing.origin, installing.progress), (Some(Task::Install), None, None));
    assert_eq!(installing.release.1, "Some(5)");
}

#[tokio::test(start_paused = true)]
async fn each_thing_is_done_in_its_state_only() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    let executes = [4, 6, 10, 11, 19, 20, 22];
    let refused = |allowed: &'static [u16]| executes.into_iter().filter(move |each| !allowed.contains(each));
    // INITIAL: nothing is there.
    for resource in refused(&[]) {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::METHOD_NOT_ALLOWED, "{resource}");
    }
    // DOWNLOAD STARTED
    assert_eq!(scene.block_of(PACKAGE, 0, true, &[42], &[7; 64], None).await, Code::CONTINUE);
    assert_eq!(scene.write("/9/0/3", "coap://files.example").await, Code::BAD_REQUEST);
    for resource in refused(&[]) {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::METHOD_NOT_ALLOWED, "{resource}");
    }
    // DELIVERED
    delivered(&mut scene, 7).await;
    for resource in refused(&[4, 6]) {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::METHOD_NOT_ALLOWED, "{resource}");
    }
    assert_eq!(scene.block_of(PACKAGE, 0, true, &[42], &[7; 64], None).await, Code::BAD_REQUEST);
    assert_eq!(scene.write("/9/0/3", "coap://files.example").await, Code::BAD_REQUEST);
    // While it is being installed
    scene.execute("/9/0/4", "").await;
    for resource in refused(&[]) {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::METHOD_NOT_ALLOWED, "{resource}");
    }
    scene.wait(DONE).await;
    // INSTALLED, not active
    for resource in [4, 19, 20] {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::METHOD_NOT_ALLOWED, "{resource}");
    }
    assert_eq!(scene.write("/9/0/3", "coap://files.example").await, Code::BAD_REQUEST);
    scene.shows(0, 4, 2).await;
    assert_eq!(machine.calls(), ["Install 7 from Some(7)"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_installation_stays_delivered_and_can_be_tried_again() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    delivered(&mut scene, 7).await;
    *machine.outcome.lock().unwrap() = Err(Failure::new("it depends on a stove"));
    done(&mut scene, 4).await;
    scene.shows(0, 3, 58).await;
    assert_eq!(scene.read("/9/0/16").await, "it depends on a stove");
    *machine.outcome.lock().unwrap() = Ok(());
    done(&mut scene, 4).await;
    scene.shows(0, 4, 2).await;
    assert_eq!(scene.read("/9/0/16").await, "");
    assert_eq!(machine.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_package_that_is_refused_leaves_nothing_behind() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    scene.observe("/9/0/7").await;
    for result in [UpdateResult::Integrity, UpdateResult::PackageType, UpdateResult::NoSpace] {
        *machine.verified.lock().unwrap() = Err(Failure::new("no signature").with_result(result));
        scene.push(PACKAGE, 7).await;
        scene.wait(VERIFIED).await;
        scene.shows(0, 0, result as u8).await;
        assert_eq!(scene.read("/9/0/16").await, "no signature");
        assert!(!disk.exists(FILE).unwrap());
    }
    assert_eq!(scene.notified("/9/0/7"), ["1", "2", "0", "1", "2", "0", "1", "2", "0"]);
    // When it is to be installed, too.
    *machine.verified.lock().unwrap() = Ok(());
    delivered(&mut scene, 7).await;
    disk.open(FILE).unwrap().write_at(100, &[8]).unwrap();
    done(&mut scene, 4).await;
    scene.shows(0, 0, 53).await;
    assert!(!disk.exists(FILE).unwrap());
    assert_eq!(machine.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused_before_its_first_byte() {
    let (disk, machine) = world();
    *machine.file.lock().unwrap() = File { content: vec![5; 1001], ..File::default() };
    let free = Simulated::with_free(&disk, (1 << 20) + 1000);
    let instance = Instance::new(recorder(&disk, &machine));
    let mut scene = Scene::new(builder(&machine, instance).open_on(free, FOLDER).unwrap()).await;
    let before = disk.operations().len();
    let too_large = scene.block_of(PACKAGE, 0, true, &[42], &[7; 64], Some(1001)).await;
    assert_eq!(too_large, Code::REQUEST_ENTITY_TOO_LARGE);
    scene.shows(0, 0, 50).await;
    scene.write("/9/0/3", "coap://files.example").await;
    scene.wait(10 * SECOND).await;
    scene.shows(0, 0, 50).await;
    assert!(!disk.operations()[before..].contains(&sim::disk::Operation::Create(FILE.into())));
}

#[tokio::test(start_paused = true)]
async fn uninstall_removes_or_makes_ready_for_an_update() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    active(&mut scene, 7).await;
    for arguments in ["2", "0,1", "1,0", "x"] {
        assert_eq!(scene.execute("/9/0/6", arguments).await, Code::BAD_REQUEST, "{arguments}");
    }
    // For an update: the software stays where it is.
    assert_eq!(scene.execute("/9/0/6", "1").await, Code::CHANGED);
    scene.shows(0, 0, 0).await;
    assert_eq!((scene.read("/9/0/1").await.as_str(), scene.read("/9/0/21").await.as_str()), ("Some(7)", "1"));
    delivered(&mut scene, 8).await;
    assert_eq!(scene.read("/9/0/1").await, "Some(8)");
    done(&mut scene, 4).await;
    scene.shows(0, 4, 2).await;
    assert_eq!(machine.calls()[2..], ["Install 8 from Some(8) over Some(\"Some(7)\")"]);

    *machine.outcome.lock().unwrap() = Err(Failure::new("in use"));
    done(&mut scene, 6).await;
    scene.shows(0, 4, 59).await;
    *machine.outcome.lock().unwrap() = Ok(());
    assert_eq!(scene.execute("/9/0/6", "0").await, Code::CHANGED);
    scene.wait(DONE).await;
    scene.shows(0, 0, 0).await;
    scene.acts(false, OperationalState::Stopped).await;
    assert_eq!(scene.read("/9/0/0").await, "");
    assert_eq!(machine.calls()[3..], ["Remove 8", "Remove 8"]);

    // What was not installed is thrown away.
    delivered(&mut scene, 9).await;
    assert_eq!(scene.execute("/9/0/6", "").await, Code::CHANGED);
    scene.shows(0, 0, 0).await;
    assert!(!disk.exists(FILE).unwrap());
    assert_eq!(machine.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn activation_start_and_stop_are_told_apart() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    installed(&mut scene, 7).await;
    scene.acts(false, OperationalState::Stopped).await;
    for (resource, during, active, then) in [
        (10, OperationalState::Initializing, true, OperationalState::Running),
        (20, OperationalState::ShuttingDown, true, OperationalState::Stopped),
        (19, OperationalState::Initializing, true, OperationalState::Running),
        (11, OperationalState::ShuttingDown, false, OperationalState::Stopped),
    ] {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::CHANGED);
        assert_eq!(scene.read("/9/0/21").await, (during as u8).to_string());
        scene.wait(DONE).await;
        scene.acts(active, then).await;
        scene.shows(0, 4, 2).await;
    }
    done(&mut scene, 10).await;
    // What is so already needs nothing.
    done(&mut scene, 10).await;
    done(&mut scene, 19).await;
    done(&mut scene, 22).await;
    let calls = ["Activate 7", "Stop 7", "Start 7", "Deactivate 7", "Activate 7", "Purge 7"];
    assert_eq!(machine.calls()[1..], calls);

    // It crashes by itself, which is seen sooner or later where somebody looks.
    scene.observe("/9/0/21").await;
    *machine.operational.lock().unwrap() = Some(OperationalState::Failed);
    scene.wait(70 * SECOND).await;
    assert_eq!(scene.notified("/9/0/21"), ["4"]);
    scene.acts(true, OperationalState::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_activation_could_not_start_has_failed() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    installed(&mut scene, 7).await;
    *machine.outcome.lock().unwrap() = Err(Failure::new("no such unit"));
    done(&mut scene, 10).await;
    scene.acts(false, OperationalState::Failed).await;
    scene.shows(0, 4, 2).await;
    assert_eq!(scene.read("/9/0/16").await, "no such unit");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_acknowledged_and_not_begun() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    delivered(&mut scene, 7).await;
    disk.fail_after(0, std::io::ErrorKind::Other);
    assert_eq!(scene.execute("/9/0/4", "").await, Code::INTERNAL_SERVER_ERROR);
    scene.wait(DONE).await;
    scene.shows(0, 3, 3).await;
    assert_eq!(machine.calls(), [""; 0], "no intent, no installation");
}

#[tokio::test(start_paused = true)]
async fn a_package_whose_coming_cannot_be_stored_is_lost_and_may_come_again() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    // Of the last block: its writing and syncing goes well.
    for number in 0..2 {
        assert_eq!(scene.block_of(PACKAGE, number, true, &[42], &[7; 64], None).await, Code::CONTINUE);
    }
    disk.fail_after(3, std::io::ErrorKind::Other);
    assert_eq!(scene.block_of(PACKAGE, 2, false, &[42], &[7; 64], None).await, Code::INTERNAL_SERVER_ERROR);
    scene.shows(0, 0, 57).await;
    delivered(&mut scene, 8).await;
}

#[tokio::test(start_paused = true)]
async fn instances_are_independent_of_each_other() {
    let (disk, machine) = world();
    let instance = || Instance::new(recorder(&disk, &machine));
    let two = builder(&machine, instance()).instance(7, "stove", instance().release("stove", "1.2"));
    let mut scene = of(&disk, two).await;
    delivered(&mut scene, 7).await;
    assert_eq!(scene.execute("/9/0/4", "").await, Code::CHANGED);
    // While that takes its time.
    scene.push("/9/7/2", 9).await;
    scene.wait(VERIFIED).await;
    scene.shows(7, 3, 3).await;
    scene.shows(0, 3, 3).await;
    assert_eq!(scene.execute("/9/7/4", "").await, Code::CHANGED);
    scene.wait(DONE).await;
    scene.shows(0, 4, 2).await;
    scene.shows(7, 4, 2).await;
    assert_eq!(machine.calls(), ["Install 7 from Some(7)", "Install 9 from Some(9)"]);
    assert_eq!(scene.try_read("/9/1/7").await, Err(Code::NOT_FOUND));
    // Servers do not make instances, nor take them away.
    for (code, path) in [(Code::POST, "/9"), (Code::DELETE, "/9/7")] {
        let body = ContentFormat::TLV.0.to_be_bytes();
        let options: &[(u16, &[u8])] = if code == Code::POST { &[(option::CONTENT_FORMAT, &body)] } else { &[] };
        let token = scene.server.request_with(code, path, options, b"");
        assert_eq!(scene.answer(token).await.code, Code::METHOD_NOT_ALLOWED);
    }
    scene.kill().await;
    // They are found again by their names.
    let swapped = Software::builder().instance(0, "stove", instance()).instance(1, "oven", instance());
    let mut scene = of(&disk, swapped).await;
    assert_eq!(scene.read("/9/0/1").await, "Some(9)");
    scene.shows(1, 0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn names_are_those_of_files_and_come_once() {
    let (disk, machine) = world();
    let instance = || Instance::new(recorder(&disk, &machine));
    let open = |builder: lapwing::objects::software::Builder| builder.open_on(Simulated::new(&disk, None), FOLDER);
    for name in ["", "..", "a/b", "a.package", &"a".repeat(101)] {
        let refused = open(Software::builder().instance(0, name, instance()));
        assert!(matches!(refused, Err(OpenError::Name(_))), "{name}");
    }
    for (id, name) in [(0, "b"), (1, "a")] {
        let refused = open(Software::builder().instance(0, "a", instance()).instance(id, name, instance()));
        assert!(matches!(refused, Err(OpenError::Twice(twice)) if twice == id));
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_there_is_is_offered() {
    let (disk, machine) = world();
    let mut without = recorder(&disk, &machine);
    without.can_purge = false;
    let linked = Instance::new(recorder(&disk, &machine)).release("stove", "1.2");
    let linked = linked.checkpoint(ObjectLink::new(33_000, 1)).settings(ObjectLink::new(33_001, 2));
    let two = Software::builder().instance(0, "kettle", Instance::new(without)).instance(1, "stove", linked);
    let mut scene = of(&disk, two).await;
    for resource in ["/9/0/5", "/9/0/13", "/9/0/17", "/9/0/18"] {
        assert_eq!(scene.try_read(resource).await, Err(Code::NOT_FOUND), "{resource}");
    }
    // Nothing fetches packages here.
    assert_eq!(scene.write("/9/0/3", "coap://files.example").await, Code::NOT_FOUND);
    assert_eq!(scene.execute("/9/0/22", "").await, Code::NOT_FOUND);
    for (resource, value) in [(0, "stove"), (1, "1.2"), (5, "33000:1"), (8, "0"), (13, "33001:2"), (16, "")] {
        assert_eq!(scene.read(&format!("/9/1/{resource}")).await, value, "{resource}");
    }
    assert_eq!(scene.write("/9/1/13", "33001:3").await, Code::CHANGED);
    assert_eq!(scene.write("/9/1/8", "1").await, Code::CHANGED);
    scene.kill().await;
    let linked = Instance::new(recorder(&disk, &machine)).settings(ObjectLink::new(33_001, 2));
    let mut scene = of(&disk, Software::builder().instance(1, "stove", linked)).await;
    assert_eq!((scene.read("/9/1/13").await.as_str(), scene.read("/9/1/8").await.as_str()), ("33001:3", "1"));
}

#[tokio::test(start_paused = true)]
async fn lwm2m_1_0_has_what_the_first_version_of_the_object_has() {
    let (disk, machine) = world();
    let mut scene = of(&disk, builder(&machine, Instance::new(recorder(&disk, &machine))).definition(&V1_0)).await;
    active(&mut scene, 7).await;
    for resource in [19, 20, 22] {
        assert_eq!(scene.execute(&format!("/9/0/{resource}"), "").await, Code::NOT_FOUND);
    }
    assert_eq!(scene.try_read("/9/0/21").await, Err(Code::NOT_FOUND));
}

#[tokio::test(start_paused = true)]
async fn a_restart_ends_a_push_and_keeps_all_else() {
    let (disk, machine) = world();
    let mut first = scene(&disk, &machine).await;
    assert_eq!(first.block_of(PACKAGE, 0, true, &[42], &[7; 64], None).await, Code::CONTINUE);
    first.kill().await;
    let mut second = scene(&disk, &machine).await;
    second.shows(0, 0, 52).await;
    assert!(!disk.exists(FILE).unwrap());
    assert_eq!(second.block_of(PACKAGE, 1, true, &[42], &[7; 64], None).await, Code::REQUEST_ENTITY_INCOMPLETE);
    // Whole, but not yet verified.
    second.push(PACKAGE, 7).await;
    second.kill().await;
    let mut third = scene(&disk, &machine).await;
    third.shows(0, 2, 1).await;
    third.wait(VERIFIED).await;
    third.shows(0, 3, 3).await;
    third.kill().await;
    let mut fourth = scene(&disk, &machine).await;
    fourth.shows(0, 3, 3).await;
    done(&mut fourth, 4).await;
    done(&mut fourth, 10).await;
    fourth.kill().await;
    *machine.operational.lock().unwrap() = Some(OperationalState::Stopped);
    let mut fifth = scene(&disk, &machine).await;
    fifth.shows(0, 4, 2).await;
    fifth.acts(true, OperationalState::Stopped).await;
    assert_eq!(machine.calls(), ["Install 7 from Some(7)", "Activate 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_package_that_came_before_a_restart_must_still_be_what_came() {
    let (disk, machine) = world();
    let mut before = scene(&disk, &machine).await;
    before.push(PACKAGE, 7).await;
    before.kill().await;
    disk.open(FILE).unwrap().write_at(100, &[8]).unwrap();
    let mut after = scene(&disk, &machine).await;
    after.wait(VERIFIED).await;
    after.shows(0, 0, 53).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_cut_off_is_asked_after_and_never_begun_again() {
    for (resumed, state, result) in [(None, 3, 58), (Some(Ok(())), 4, 2), (Some(Err(Failure::new("bad"))), 3, 58)] {
        let (disk, machine) = world();
        *machine.resumed.lock().unwrap() = resumed;
        let mut before = scene(&disk, &machine).await;
        delivered(&mut before, 7).await;
        before.execute("/9/0/4", "").await;
        before.wait(WORKING / 2).await;
        before.kill().await;
        let mut after = scene(&disk, &machine).await;
        after.wait(DONE).await;
        after.shows(0, state, result).await;
        assert_eq!(machine.calls(), ["Install 7 from Some(7)", "resume Install"]);
    }
}

#[tokio::test(start_paused = true)]
async fn servers_are_told_of_new_objects_at_once_if_they_ask_for_it() {
    use crate::common::bench;
    for announce in [false, true] {
        let (disk, machine) = world();
        let software = builder(&machine, Instance::new(recorder(&disk, &machine)));
        let software = software.open_on(Simulated::new(&disk, None), FOLDER).unwrap();
        let (bench, state) = bench::object();
        let client = lapwing::Client::builder("gw").server("coap://server.example").lifetime(0);
        let mut scene = Scene::of(client.object(software).object(bench).build().unwrap()).await;
        scene.write("/9/0/8", if announce { "1" } else { "0" }).await;
        delivered(&mut scene, 7).await;
        // What is installed brings an instance, of which nobody tells.
        state.instances.lock().unwrap().push(1);
        done(&mut scene, 4).await;
        let told: Vec<bool> = scene.updates.iter().map(|update| update.text().contains("</33000/1>")).collect();
        assert_eq!(told, if announce { vec![true] } else { vec![] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_package_in_a_tlv_comes_without_its_header() {
    let (disk, machine) = world();
    let mut scene = scene(&disk, &machine).await;
    let path = Path::object(9).instance(0).resource(2);
    let mut body = Vec::new();
    encode(ContentFormat::TLV, &path, &Node::single(Value::Opaque(vec![9; 150])), &mut body).unwrap();
    let tlv = ContentFormat::TLV.0.to_be_bytes();
    let blocks: Vec<&[u8]> = body.chunks(64).collect();
    for (number, block) in (0..).zip(&blocks) {
        let more = number + 1 < blocks.len() as u32;
        let code = scene.block_of(PACKAGE, number, more, &tlv, block, None).await;
        assert_eq!(code, if more { Code::CONTINUE } else { Code::CHANGED });
    }
    assert_eq!(disk.read(FILE).unwrap(), [9; 150]);
    scene.wait(VERIFIED).await;
    scene.execute("/9/0/6", "").await;
    // Fewer octets than the header says.
    assert_eq!(scene.block_of(PACKAGE, 0, true, &tlv, blocks[0], None).await, Code::CONTINUE);
    assert_eq!(scene.block_of(PACKAGE, 1, false, &tlv, blocks[1], None).await, Code::BAD_REQUEST);
    scene.shows(0, 0, 53).await;
}

#[tokio::test(start_paused = true)]
async fn the_program_itself_is_active_when_the_new_one_has_come_to_stay() {
    let (disk, machine) = world();
    let mut old = own(&disk, &machine, 1).await;
    old.acts(false, OperationalState::Running).await;
    installed(&mut old, 2).await;
    assert_eq!(old.execute("/9/0/10", "").await, Code::CHANGED);
    assert_eq!(machine.calls().len(), 1, "the answer is on its way first");
    old.wait(5 * SECOND).await;
    assert_eq!(machine.calls()[1..], ["Activate 2 from Some(2)"]);
    old.kill().await;
    // It is on trial, and started twice meanwhile.
    *machine.resumed.lock().unwrap() = Some(Ok(()));
    let trial = own(&disk, &machine, 2).await;
    trial.kill().await;
    let mut new = own(&disk, &machine, 2).await;
    new.acts(false, OperationalState::Running).await;
    assert!(disk.exists(FILE).unwrap());
    new.wait(VERIFIED).await;
    new.acts(true, OperationalState::Running).await;
    new.shows(0, 4, 2).await;
    assert!(!disk.exists(FILE).unwrap());
    assert_eq!(machine.calls()[2..], ["resume Activate", "resume Activate"]);
    // And it can be updated again.
    installed(&mut new, 3).await;
    new.acts(false, OperationalState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_was_taken_back_is_reported() {
    let (disk, machine) = world();
    let mut old = own(&disk, &machine, 1).await;
    installed(&mut old, 2).await;
    old.execute("/9/0/10", "").await;
    old.wait(5 * SECOND).await;
    old.kill().await;
    let trial = own(&disk, &machine, 2).await;
    trial.kill().await;
    let mut old = own(&disk, &machine, 1).await;
    old.shows(0, 3, 58).await;
    old.acts(false, OperationalState::Running).await;
    assert!(old.read("/9/0/16").await.contains("runs"));
    // It may be tried again, when a server wants that.
    done(&mut old, 4).await;
    old.shows(0, 4, 2).await;
    let activations = machine.calls().iter().filter(|call| call.starts_with("Activate")).count();
    assert_eq!(activations, 1);
}

/// What tells which executable runs, and waits for the other end to say so.
fn slow(running: u8) -> (mpsc::Sender<()>, impl FnOnce() -> io::Result<[u8; 32]> + Send + Sync) {
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let told = move || {
        gone.into_inner().unwrap().recv().map_err(io::Error::other)?;
        Ok([running; 32])
    };
    (go, told)
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_which_executable_runs() {
    let (disk, machine) = world();
    // As long as no update depends on it, nobody asks.
    let asked = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&asked);
    let runs = move || {
        note.store(true, Ordering::Relaxed);
        Ok([1; 32])
    };
    let mut old = own_that(&disk, &machine, runs).await;
    installed(&mut old, 2).await;
    old.execute("/9/0/10", "").await;
    old.wait(5 * SECOND).await;
    old.kill().await;
    assert!(!asked.load(Ordering::Relaxed));
    let activated = machine.calls().len();
    for running in [2, 1] {
        let (go, runs) = slow(running);
        let mut scene = own_that(&disk, &machine, runs).await;
        // It registers and answers, and what was left stays as it was: nothing is begun beside it.
        scene.shows(0, 4, 2).await;
        scene.acts(false, OperationalState::Running).await;
        assert_eq!(scene.execute("/9/0/10", "").await, Code::METHOD_NOT_ALLOWED);
        assert_eq!(scene.write("/9/0/3", "coap://files.example").await, Code::BAD_REQUEST);
        scene.observe("/9/0/9").await;
        go.send(()).unwrap();
        scene.wait(SECOND / 2).await;
        if running == 2 {
            assert_eq!(machine.calls()[activated..], ["resume Activate"]);
            scene.shows(0, 4, 2).await;
        } else {
            scene.shows(0, 3, 58).await;
            assert_eq!(scene.notified("/9/0/9"), ["58"]);
        }
        scene.kill().await;
    }
    // What cannot be read is not said to run.
    let mut scene = own(&disk, &machine, 1).await;
    done(&mut scene, 4).await;
    scene.execute("/9/0/10", "").await;
    scene.wait(5 * SECOND).await;
    scene.kill().await;
    let mut scene = own_that(&disk, &machine, || Err(io::Error::other("no /proc"))).await;
    scene.wait(SECOND).await;
    scene.shows(0, 3, 58).await;
}

#[tokio::test(start_paused = true)]
async fn the_program_itself_takes_a_package_in_almost_every_state_and_is_never_removed() {
    let (disk, machine) = world();
    let mut scene = own(&disk, &machine, 1).await;
    delivered(&mut scene, 2).await;
    delivered(&mut scene, 3).await;
    done(&mut scene, 4).await;
    for (resource, arguments) in [(6, ""), (6, "0"), (11, ""), (19, ""), (20, "")] {
        let code = scene.execute(&format!("/9/0/{resource}"), arguments).await;
        assert_eq!(code, Code::METHOD_NOT_ALLOWED, "{resource} {arguments}");
    }
    assert_eq!(scene.execute("/9/0/22", "").await, Code::NOT_FOUND);
    // While it comes another one is refused.
    assert_eq!(scene.block_of(PACKAGE, 0, true, &[42], &[4; 64], None).await, Code::CONTINUE);
    assert_eq!(scene.write("/9/0/3", "coap://files.example").await, Code::BAD_REQUEST);
    // What takes it back, as the earlier client did and as the standard has it.
    assert_eq!(scene.write("/9/0/3", "\0").await, Code::CHANGED);
    scene.shows(0, 0, 0).await;
    assert_eq!(scene.block_of(PACKAGE, 1, true, &[42], &[4; 64], None).await, Code::REQUEST_ENTITY_INCOMPLETE);
    scene.shows(0, 0, 0).await;
    delivered(&mut scene, 5).await;
    assert_eq!(scene.execute("/9/0/6", "1").await, Code::CHANGED);
    scene.shows(0, 0, 0).await;
    assert!(!disk.exists(FILE).unwrap());
    assert_eq!(machine.calls(), ["Install 3 from Some(3)"]);
}
