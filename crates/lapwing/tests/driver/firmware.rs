//! Firmware Update by push: object 5 as servers see it (OMA object 5 version 1.2; LightweightM2M-1.0-int-750 and after).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapwing::definitions::firmware_update::V1_0;
use lapwing::objects::firmware::{Confirmation, Failure, Installed, Package, Severity, UpdateResult};
use lapwing_coap::ContentFormat;
use lapwing_coap::wire::{Code, option};
use lapwing_lwm2m::format::encode;
use lapwing_lwm2m::model::{Node, Path, Value};

use crate::common::disk::Simulated;
use crate::common::firmware::{FOLDER, IMAGE, INSTALLING, Machine, Scene, builder};

const SECOND: Duration = Duration::from_secs(1);
/// An answer has settled by then, and an installation that was begun has ended.
const DONE: Duration = INSTALLING.saturating_add(Duration::from_secs(10));

fn world() -> (sim::Disk, Arc<Machine>) {
    (sim::Disk::new(), Arc::default())
}

#[tokio::test(start_paused = true)]
async fn a_pushed_package_is_installed_and_every_state_is_notified() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.is(0, 0).await;
    scene.observe("/5/0/3").await;
    scene.observe("/5/0/5").await;
    scene.push(7).await;
    scene.wait(SECOND).await;
    assert_eq!(scene.notified("/5/0/3"), ["1", "2"]);
    assert_eq!(disk.read(IMAGE).unwrap(), [7; 192]);

    assert_eq!(scene.execute("/5/0/2").await, Code::CHANGED);
    scene.wait(SECOND).await;
    assert_eq!(scene.notified("/5/0/3"), ["1", "2", "3"]);
    assert_eq!(machine.calls(), [""; 0], "the answer and the notification are on their way first");
    assert_eq!(scene.execute("/5/0/2").await, Code::METHOD_NOT_ALLOWED);
    assert_eq!(scene.execute("/5/0/10").await, Code::METHOD_NOT_ALLOWED);
    assert_eq!(scene.write("/5/0/1", "").await, Code::METHOD_NOT_ALLOWED);
    scene.wait(DONE).await;
    assert_eq!(machine.calls(), ["install 192 bytes"]);
    assert_eq!(scene.notified("/5/0/3"), ["1", "2", "3", "0"]);
    assert_eq!(scene.notified("/5/0/5"), ["1"]);
    scene.is(0, 1).await;
    assert!(!disk.exists(IMAGE).unwrap(), "what is installed needs no copy");
    let stamp: i64 = scene.read("/5/0/12").await.parse().unwrap();
    assert!(stamp > 1_700_000_000);
}

#[tokio::test(start_paused = true)]
async fn the_result_is_there_before_the_state_is_idle() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.observe("/5/0/3").await;
    scene.push(7).await;
    scene.execute("/5/0/2").await;
    loop {
        scene.wait(SECOND / 10).await;
        if scene.notified("/5/0/3").last().is_some_and(|state| state == "0") {
            break;
        }
        scene.read("/5/0/3").await;
    }
    // Read at once, as an observer does.
    assert_eq!(scene.read("/5/0/5").await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_uri_is_answered_and_then_fails_as_nothing_fetches_it() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.observe("/5/0/3").await;
    for (uri, result) in
        [("coap://files.example/image", "9"), ("ftp://files.example", "9"), ("no uri", "7"), (":", "7")]
    {
        let before = scene.notified("/5/0/3").len();
        assert_eq!(scene.write("/5/0/1", uri).await, Code::CHANGED);
        assert_eq!(scene.notified("/5/0/3").len(), before, "the answer comes first");
        scene.wait(SECOND).await;
        assert_eq!(scene.notified("/5/0/3")[before..], ["1", "0"]);
        assert_eq!((scene.read("/5/0/5").await.as_str(), scene.read("/5/0/1").await.as_str()), (result, uri));
    }
    // Which is what the object says of itself: no protocol, push only.
    assert_eq!(scene.read("/5/0/9").await, "1");
    assert_eq!(scene.write("/5/0/1", "").await, Code::CHANGED);
    scene.is(0, 0).await;
    assert_eq!(scene.read("/5/0/1").await, "");
}

#[tokio::test(start_paused = true)]
async fn an_empty_package_or_a_nul_resets() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    for (format, package) in [(None, &b""[..]), (Some(42), b""), (Some(42), b"\0")] {
        scene.push(7).await;
        scene.is(2, 0).await;
        let options = format.map(|format| [format]);
        let options: Vec<(u16, &[u8])> = options.iter().map(|format| (option::CONTENT_FORMAT, &format[..])).collect();
        let token = scene.server.request_with(Code::PUT, "/5/0/0", &options, package);
        assert_eq!(scene.answer(token).await.code, Code::CHANGED);
        scene.is(0, 0).await;
        assert!(!disk.exists(IMAGE).unwrap());
    }
    // In the middle of a push too, which then ends.
    assert_eq!(scene.block(0, true, 7, None).await, Code::CONTINUE);
    assert_eq!(scene.write("/5/0/1", "").await, Code::CHANGED);
    assert_eq!(scene.block(1, true, 7, None).await, Code::REQUEST_ENTITY_INCOMPLETE);
    scene.is(0, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_a_push_and_drops_a_package() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    assert_eq!(scene.execute("/5/0/10").await, Code::METHOD_NOT_ALLOWED);
    assert_eq!(scene.block(0, true, 7, None).await, Code::CONTINUE);
    assert_eq!(scene.execute("/5/0/10").await, Code::CHANGED);
    scene.is(0, 10).await;
    assert_eq!(scene.block(1, true, 7, None).await, Code::REQUEST_ENTITY_INCOMPLETE);
    scene.is(0, 10).await;
    scene.push(8).await;
    assert_eq!(scene.execute("/5/0/10").await, Code::CHANGED);
    scene.is(0, 10).await;
    assert!(!disk.exists(IMAGE).unwrap());
    assert_eq!(machine.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_does_not_go_on_ends_in_idle_with_a_lost_connection() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    assert_eq!(scene.block(0, true, 7, None).await, Code::CONTINUE);
    scene.is(1, 0).await;
    scene.wait(1000 * SECOND).await;
    scene.is(0, 4).await;
    assert_eq!(scene.block(1, true, 7, None).await, Code::REQUEST_ENTITY_INCOMPLETE);
    assert!(!disk.exists(IMAGE).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_push_begun_anew_is_one_push() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.observe("/5/0/3").await;
    assert_eq!(scene.block(0, true, 1, None).await, Code::CONTINUE);
    assert_eq!(scene.block(1, true, 1, None).await, Code::CONTINUE);
    scene.push(2).await;
    scene.wait(SECOND).await;
    assert_eq!(scene.notified("/5/0/3"), ["1", "2"]);
    assert_eq!(disk.read(IMAGE).unwrap(), [2; 192]);
    // A package on top of a package is refused (4.00), and the one that is there stays.
    assert_eq!(scene.block(0, true, 3, None).await, Code::BAD_REQUEST);
    assert_eq!(scene.write("/5/0/1", "coap://files.example").await, Code::BAD_REQUEST);
    scene.is(2, 0).await;
    assert_eq!(disk.read(IMAGE).unwrap(), [2; 192]);
}

#[tokio::test(start_paused = true)]
async fn a_package_that_does_not_fit_is_refused_before_it_is_stored() {
    let (disk, machine) = world();
    // A mebibyte of it is to stay free.
    let free = Simulated::with_free(&disk, (1 << 20) + 1000);
    let mut scene = Scene::with(builder(&disk, &machine).open_on(free, FOLDER).unwrap()).await;
    let before = disk.operations().len();
    assert_eq!(scene.block(0, true, 7, Some(1001)).await, Code::REQUEST_ENTITY_TOO_LARGE);
    scene.is(0, 2).await;
    let created = sim::disk::Operation::Create(IMAGE.into());
    assert!(!disk.operations()[before..].contains(&created));
    assert_eq!(scene.block(0, true, 7, Some(1000)).await, Code::CONTINUE);
    scene.is(1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_ends_the_push_with_too_little_space() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    assert_eq!(scene.block(0, true, 7, None).await, Code::CONTINUE);
    disk.fail_after(0, std::io::ErrorKind::StorageFull);
    assert_eq!(scene.block(1, true, 7, None).await, Code::REQUEST_ENTITY_TOO_LARGE);
    scene.is(0, 2).await;
    assert!(!disk.exists(IMAGE).unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.push(7).await;
    disk.fail_after(0, std::io::ErrorKind::Other);
    assert_eq!(scene.execute("/5/0/2").await, Code::INTERNAL_SERVER_ERROR);
    scene.is(2, 0).await;
    scene.wait(DONE).await;
    assert_eq!(machine.calls(), [""; 0], "no intent, no installation");
}

#[tokio::test(start_paused = true)]
async fn a_failed_update_keeps_the_package_to_try_again() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.observe("/5/0/3").await;
    scene.push(7).await;
    *machine.outcome.lock().unwrap() = Err(Failure::new("the flash is worn out"));
    scene.execute("/5/0/2").await;
    scene.wait(DONE).await;
    scene.is(2, 8).await;
    *machine.outcome.lock().unwrap() = Err(Failure::new("not ours").with_result(UpdateResult::PackageType));
    scene.execute("/5/0/2").await;
    scene.wait(DONE).await;
    scene.is(0, 6).await;
    assert_eq!(scene.notified("/5/0/3"), ["1", "2", "3", "2", "3", "0"]);
    assert_eq!(machine.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_package_that_was_damaged_on_the_disk_is_not_installed() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.push(7).await;
    disk.open(IMAGE).unwrap().write_at(100, &[8]).unwrap();
    scene.execute("/5/0/2").await;
    scene.wait(DONE).await;
    scene.is(0, 5).await;
    assert_eq!(machine.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_package_says_what_it_is_or_is_refused() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    let package = Package { name: Some("gate".into()), version: Some("7.2".into()) };
    *machine.inspected.lock().unwrap() = Ok(package);
    scene.push(7).await;
    assert_eq!((scene.read("/5/0/6").await.as_str(), scene.read("/5/0/7").await.as_str()), ("gate", "7.2"));
    assert_eq!(scene.execute("/5/0/10").await, Code::CHANGED);
    let token = scene.server.request(Code::GET, "/5/0/6", b"");
    assert_eq!(scene.answer(token).await.code, Code::NOT_FOUND);
    *machine.inspected.lock().unwrap() = Err(Failure::new("no signature").with_result(UpdateResult::Integrity));
    scene.push(7).await;
    scene.is(0, 5).await;
    assert!(!disk.exists(IMAGE).unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_update_is_put_off_for_as_long_as_the_server_permits() {
    let (disk, machine) = world();
    let busy = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&busy);
    let builder = builder(&disk, &machine)
        .deferral(move |severity| severity != Severity::Critical && asked.load(Ordering::SeqCst));
    let mut scene = Scene::with(builder.open_on(Simulated::new(&disk, None), FOLDER).unwrap()).await;
    assert_eq!(scene.write("/5/0/13", "3600").await, Code::CHANGED);
    scene.push(7).await;
    assert_eq!(scene.execute("/5/0/2").await, Code::CHANGED);
    scene.is(2, 11).await;
    scene.wait(3590 * SECOND).await;
    scene.is(2, 11).await;
    scene.wait(DONE).await;
    scene.wait(DONE).await;
    scene.is(0, 1).await;

    // What is critical is not put off.
    assert_eq!(scene.write("/5/0/11", "3").await, Code::BAD_REQUEST);
    assert_eq!(scene.write("/5/0/11", "0").await, Code::CHANGED);
    scene.push(7).await;
    assert_eq!(scene.execute("/5/0/2").await, Code::CHANGED);
    scene.is(3, 0).await;
    scene.wait(DONE).await;
    assert_eq!(machine.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_automatic_upgrade_needs_no_execute() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    assert_eq!(scene.write("/5/0/14", "1").await, Code::CHANGED);
    scene.push(7).await;
    scene.is(3, 0).await;
    scene.wait(DONE).await;
    scene.is(0, 1).await;
    assert_eq!(machine.calls(), ["install 192 bytes"]);
}

#[tokio::test(start_paused = true)]
async fn a_package_may_come_as_tlv_or_by_post() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    let path = Path::object(5).instance(0).resource(0);
    let mut body = Vec::new();
    encode(ContentFormat::TLV, &path, &Node::single(Value::Opaque(vec![9; 700])), &mut body).unwrap();
    let tlv = ContentFormat::TLV.0.to_be_bytes();
    let token = scene.server.request_with(Code::PUT, "/5/0/0", &[(option::CONTENT_FORMAT, &tlv)], &body);
    assert_eq!(scene.answer(token).await.code, Code::CHANGED);
    scene.is(2, 0).await;
    assert_eq!(disk.read(IMAGE).unwrap(), [9; 700]);
    scene.write("/5/0/1", "").await;
    let token = scene.server.request_with(Code::POST, "/5/0/0", &[(option::CONTENT_FORMAT, &[42])], &[5; 20]);
    assert_eq!(scene.answer(token).await.code, Code::CHANGED);
    assert_eq!(disk.read(IMAGE).unwrap(), [5; 20]);
}

#[tokio::test(start_paused = true)]
async fn a_package_in_a_tlv_comes_block_by_block_without_its_header() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    let path = Path::object(5).instance(0).resource(0);
    let package: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    let mut body = Vec::new();
    encode(ContentFormat::TLV, &path, &Node::single(Value::Opaque(package.clone())), &mut body).unwrap();
    let tlv = ContentFormat::TLV.0.to_be_bytes();
    let blocks = |body: &[u8]| body.chunks(64).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut last = Code::CONTINUE;
    let all = blocks(&body);
    for (number, block) in (0..).zip(&all) {
        assert_eq!(last, Code::CONTINUE);
        last = scene.block_of(number, number as usize + 1 < all.len(), &tlv, block, None).await;
    }
    assert_eq!(last, Code::CHANGED);
    assert!(disk.read(IMAGE).unwrap() == package);
    scene.write("/5/0/1", "").await;

    // Fewer octets than the header says.
    for (number, block) in (0..3).zip(blocks(&body)) {
        last = scene.block_of(number, number < 2, &tlv, &block, None).await;
    }
    assert_eq!(last, Code::BAD_REQUEST);
    scene.is(0, 5).await;
}

#[tokio::test(start_paused = true)]
async fn lwm2m_1_0_has_what_the_first_version_of_the_object_has() {
    let (disk, machine) = world();
    let firmware = builder(&disk, &machine).definition(&V1_0).open_on(Simulated::new(&disk, None), FOLDER).unwrap();
    let mut scene = Scene::with(firmware).await;
    assert_eq!(scene.execute("/5/0/10").await, Code::NOT_FOUND);
    scene.push(7).await;
    scene.execute("/5/0/2").await;
    scene.wait(DONE).await;
    scene.is(0, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_a_package_and_what_servers_have_set_and_ends_a_push() {
    let (disk, machine) = world();
    let mut scene = Scene::new(&disk, &machine).await;
    scene.write("/5/0/11", "2").await;
    assert_eq!(scene.block(0, true, 7, None).await, Code::CONTINUE);
    scene.kill().await;
    let mut scene = Scene::new(&disk, &machine).await;
    scene.is(0, 4).await;
    assert!(!disk.exists(IMAGE).unwrap());
    assert_eq!(scene.block(1, true, 7, None).await, Code::REQUEST_ENTITY_INCOMPLETE);
    scene.push(7).await;
    scene.kill().await;
    let mut scene = Scene::new(&disk, &machine).await;
    scene.is(2, 0).await;
    assert_eq!(scene.read("/5/0/11").await, "2");
    scene.execute("/5/0/2").await;
    scene.wait(DONE).await;
    scene.is(0, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_was_cut_off_is_asked_after_and_never_begun_again() {
    for (resumed, state, result) in [
        (None, 2, 8),
        (Some(Ok(Installed::Done)), 0, 1),
        (Some(Err(Failure::new("bad").with_result(UpdateResult::Integrity))), 0, 5),
    ] {
        let (disk, machine) = world();
        *machine.resumed.lock().unwrap() = resumed;
        let mut scene = Scene::new(&disk, &machine).await;
        scene.push(7).await;
        scene.execute("/5/0/2").await;
        scene.wait(INSTALLING / 2).await;
        scene.kill().await;
        let mut scene = Scene::new(&disk, &machine).await;
        scene.wait(DONE).await;
        scene.is(state, result).await;
        assert_eq!(machine.calls(), ["install 192 bytes", "resume"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_reboot_is_judged_after_it() {
    let failed = Confirmation::Failed(Failure::new("the old one runs"));
    for (confirmation, state, result) in [(Confirmation::Running, 0, 1), (failed, 2, 8)] {
        let (disk, machine) = world();
        *machine.outcome.lock().unwrap() = Ok(Installed::AfterReboot(vec![4, 2]));
        *machine.confirmation.lock().unwrap() = Confirmation::Pending;
        let mut scene = Scene::new(&disk, &machine).await;
        scene.push(7).await;
        scene.execute("/5/0/2").await;
        scene.wait(DONE).await;
        scene.is(3, 0).await;
        assert_eq!(machine.calls(), ["install 192 bytes", "reboot"]);
        scene.kill().await;
        // Only the process was started anew: the reboot is still to come.
        let mut scene = Scene::new(&disk, &machine).await;
        scene.wait(SECOND).await;
        scene.is(3, 0).await;
        assert_eq!(machine.calls()[2..], ["confirm [4, 2]", "reboot"]);
        scene.kill().await;
        *machine.confirmation.lock().unwrap() = confirmation;
        let mut scene = Scene::new(&disk, &machine).await;
        scene.wait(SECOND).await;
        scene.is(state, result).await;
    }
}
