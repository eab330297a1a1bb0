//! What changes an object: one at a time, in order, as a whole or not at all, and told to those who observe.
//! (LwM2M Core 1.1 sections 6.3.3 to 6.3.8)

use std::time::Duration;

use lapwing_coap::wire::{Code, option};

use crate::common::{
    self,
    bench::{self, READY, REBOOT, SETTING, WORK},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn mutations_of_an_object_take_turns_and_reads_do_not() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    server.request(Code::POST, &format!("/33000/0/{WORK}"), b"0");
    server.request(Code::PUT, &format!("/33000/0/{SETTING}"), b"42");
    server.request(Code::POST, &format!("/33000/0/{WORK}"), b"1");
    let ready = server.request(Code::GET, &format!("/33000/0/{READY}"), b"");
    let read = server.response(ready).await;
    assert!(read.at < SECOND / 10, "{read:?}");

    let mut changed = 0;
    while changed < 3 {
        let message = server.next().await;
        if message.code == Code::CHANGED {
            server.acknowledge(&message);
            changed += 1;
        }
    }
    assert_eq!(
        state.log(),
        [
            "0 begin [(0, None)]",
            "4 end [(0, None)]",
            "4 stage 42",
            "8 commit 42",
            "8 begin [(1, None)]",
            "12 end [(1, None)]"
        ]
    );
    assert_eq!(*state.setting.lock().unwrap(), 42);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_changes_nothing() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    let write = server.request(Code::PUT, &format!("/33000/0/{SETTING}"), b"-1");
    assert_eq!(server.response(write).await.code, Code::BAD_REQUEST);
    assert!(state.log().is_empty(), "{:?}", state.log());
}

#[tokio::test(start_paused = true)]
async fn a_mutation_that_takes_too_long_runs_to_its_end_and_one_that_waits_for_it_is_not_begun() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    // The third begins at 50 s, when it has 10 s left, and the fourth has none.
    *state.working.lock().unwrap() = 25 * SECOND;
    let path = format!("/33000/0/{SETTING}");
    for value in [b"1", b"2", b"3", b"4"] {
        server.request(Code::PUT, &path, value);
    }
    let mut answers = Vec::new();
    while answers.len() < 4 {
        let message = server.next().await;
        if message.code != Code::EMPTY {
            answers.push((message.at.as_secs(), message.code));
            server.acknowledge(&message);
        }
    }
    let (changed, unavailable) = (Code::CHANGED, Code::SERVICE_UNAVAILABLE);
    assert_eq!(answers, [(25, changed), (50, changed), (60, unavailable), (60, unavailable)]);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(state.log(), ["0 stage 1", "25 commit 1", "25 stage 2", "50 commit 2", "50 stage 3", "75 commit 3"]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_an_answer_waits_until_it_has_settled() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    let reboot = server.request(Code::POST, &format!("/33000/0/{REBOOT}"), b"");
    let response = server.response(reboot).await;
    assert_eq!(response.code, Code::CHANGED);
    assert_eq!(state.log(), ["0 execute reboot"]);
    tokio::time::sleep(10 * SECOND).await;
    // ACK_TIMEOUT x ACK_RANDOM_FACTOR = 3 s.
    assert_eq!(state.log(), ["0 execute reboot", "3 reboot"]);
}

#[tokio::test(start_paused = true)]
async fn instances_come_and_go_and_the_registration_is_updated() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    // /33000 with an instance 5 that has resource 4 = 1, as TLV (LwM2M Core 1.1 section 7.4.5).
    let tlv: (u16, &[u8]) = (option::CONTENT_FORMAT, &[0x2d, 0x16]);
    let create = server.request_with(Code::POST, "/33000", &[tlv], &[0x03, 5, 0xc1, 4, 1]);
    assert_eq!(server.response(create).await.code, Code::CREATED);
    let update = server.next().await;
    assert_eq!((update.code, update.path.join("/").as_str()), (Code::POST, "rd/1"));
    assert!(update.text().contains("</33000/5>"), "{}", update.text());
    server.send(lapwing_coap::wire::MessageType::Ack, Code::CHANGED, update.id, update.token, &[], b"");

    // Without a number the lowest free one is taken.
    let create = server.request_with(Code::POST, "/33000", &[tlv], &[0xc1, 4, 1]);
    assert_eq!(server.response(create).await.code, Code::CREATED);
    let update = server.next().await;
    assert!(update.text().contains("</33000/1>"), "{}", update.text());
    server.send(lapwing_coap::wire::MessageType::Ack, Code::CHANGED, update.id, update.token, &[], b"");

    let delete = server.request(Code::DELETE, "/33000/5", b"");
    assert_eq!(server.response(delete).await.code, Code::DELETED);
    let update = server.next().await;
    assert!(!update.text().contains("</33000/5>"), "{}", update.text());
    assert_eq!(state.log(), ["0 create 5 with 1 values", "0 create 1 with 1 values", "0 delete 5"]);
}
