//! Objects that take their time: the server is acknowledged in time, nobody else waits, and a read has 60 s.
//! (RFC 7252 section 5.2.2)

use std::time::Duration;

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
