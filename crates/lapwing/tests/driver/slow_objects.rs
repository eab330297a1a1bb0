//! Objects that take their time: the server is acknowledged in time, nobody else waits, and a read has 60 s.
//! (RFC 7252 section 5.2.2)

use std::task::Poll;
use std::time::Duration;

use lapwing::{
    Client, InstanceId, Object, ObjectDefinition, Operations, Resource, ResourceDefinition, ResourceId, ResourceType,
};
use lapwing_coap::wire::{Code, MessageType};

use crate::common::{
    self,
    bench::{self, NEVER, READY, SLOW},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_slow_read_is_acknowledged_in_time_and_delays_nobody() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    common::run(client, line);
    server.register().await;

    let slow = server.request(Code::GET, &format!("/33000/0/{SLOW}"), b"");
    let ready = server.request(Code::GET, &format!("/33000/0/{READY}"), b"");
    let first = server.next().await;
    assert_eq!((first.kind, first.code, first.token, first.text()), (MessageType::Ack, Code::CONTENT, ready, "7"));
    assert!(first.at < SECOND / 10, "{first:?}");

    let acknowledgement = server.next().await;
    assert_eq!((acknowledgement.kind, acknowledgement.code), (MessageType::Ack, Code::EMPTY));
    assert!(acknowledgement.at < 2 * SECOND, "after ACK_TIMEOUT: {acknowledgement:?}");

    let second = server.next().await;
    assert_eq!((second.kind, second.code, second.token, second.text()), (MessageType::Con, Code::CONTENT, slow, "1"));
    assert!((10 * SECOND..11 * SECOND).contains(&second.at), "{second:?}");
    server.acknowledge(&second);
    server.silence(100 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_read_that_does_not_end_is_dropped_after_60_s() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    let never = server.request(Code::GET, &format!("/33000/0/{NEVER}"), b"");
    let response = server.response(never).await;
    assert_eq!(response.code, Code::SERVICE_UNAVAILABLE);
    assert!((60 * SECOND..61 * SECOND).contains(&response.at), "{response:?}");
    assert_eq!(state.log(), ["60 dropped"]);
}

#[tokio::test(start_paused = true)]
async fn reads_run_beside_each_other() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    common::run(client, line);
    server.register().await;

    let tokens: Vec<_> = (0..5).map(|_| server.request(Code::GET, &format!("/33000/0/{SLOW}"), b"")).collect();
    let mut answered = Vec::new();
    while answered.len() < tokens.len() {
        let message = server.next().await;
        if message.code == Code::CONTENT {
            assert!(message.at < 11 * SECOND, "{message:?}");
            server.acknowledge(&message);
            answered.push(message.token);
        }
    }
    answered.sort_by_key(|token| token.as_bytes().to_vec());
    assert_eq!(answered, tokens);
}

/// An object that computes, and lets others take their turn as any executor has it: by waking itself.
struct Busy;

static BUSY: &[ResourceDefinition] = &[
    ResourceDefinition::new(0, "Ready", Operations::Read, ResourceType::Integer),
    ResourceDefinition::new(1, "Busy", Operations::Read, ResourceType::Integer),
];
static BUSY_OBJECT: ObjectDefinition = ObjectDefinition::new(33_001, "Busy", BUSY);

impl Object for Busy {
    fn definition(&self) -> &ObjectDefinition {
        &BUSY_OBJECT
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &[0, 1]
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> lapwing::Result<Resource> {
        let mut turns = if resource == 1 { 300_000 } else { 0 };
        std::future::poll_fn(|cx| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        Ok(7.into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_read_gives_way_to_others() {
    let (line, mut server) = common::line();
    let client = Client::builder("busy").server("coap://server.example").lifetime(0).object(Busy).build().unwrap();
    common::run(client, line);
    server.register().await;

    let busy = server.request(Code::GET, "/33001/0/1", b"");
    tokio::task::yield_now().await;
    let ready = server.request(Code::GET, "/33001/0/0", b"");
    assert_eq!(server.next().await.token, ready);
    assert_eq!(server.next().await.token, busy);
}
