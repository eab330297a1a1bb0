//! A streamed resource: blocks are given one by one, and the next is asked for when the last is stored.
//! (RFC 7959 section 2.5; LwM2M Core 1.1 section 6.3.3)

use std::time::Duration;

use lapwing_coap::wire::{Code, Token, option};

use crate::common::{
    self, Server,
    bench::{self, PACKAGE, WORK},
};

const SECOND: Duration = Duration::from_secs(1);

/// Block `number` of 64 bytes.
fn put(server: &mut Server, number: u32, more: bool) -> Token {
    let block = number << 4 | u32::from(more) << 3 | 2;
    let block = block.to_be_bytes();
    let block = &block[block.iter().take_while(|byte| **byte == 0).count()..];
    let options: [(u16, &[u8]); 3] =
        [(option::CONTENT_FORMAT, &[42]), (option::BLOCK1, block), (option::SIZE1, &[192])];
    server.request_with(Code::PUT, &format!("/33000/0/{PACKAGE}"), &options, &[number as u8; 64])
}

#[tokio::test(start_paused = true)]
async fn a_block_is_answered_when_it_is_stored() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    *state.storing.lock().unwrap() = 5 * SECOND;
    common::run(client, line);
    server.register().await;

    for number in 0..3 {
        let token = put(&mut server, number, number < 2);
        let response = server.response(token).await;
        let expected = if number < 2 { Code::CONTINUE } else { Code::CHANGED };
        assert_eq!((response.code, response.block1.map(|block| block.number)), (expected, Some(number)));
        let at = 5 * (number + 1) * SECOND;
        assert!((at..at + SECOND).contains(&response.at), "{response:?}");
    }
    assert_eq!(state.log(), ["5 stored 64", "10 stored 64", "15 stored 64", "15 received 192 of Some(192)"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_begins_anew_ends_the_one_before() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    for (number, more) in [(0, true), (1, true), (0, true), (1, false)] {
        let token = put(&mut server, number, more);
        let response = server.response(token).await;
        assert_eq!(response.code, if more { Code::CONTINUE } else { Code::CHANGED });
    }
    let log = state.log();
    assert_eq!(log.iter().filter(|line| line.contains("aborted")).count(), 1, "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains("received 128")).count(), 1, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_go_on_is_given_up() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    let token = put(&mut server, 0, true);
    assert_eq!(server.response(token).await.code, Code::CONTINUE);
    tokio::time::sleep(1000 * SECOND).await;
    assert!(state.log().last().is_some_and(|line| line.ends_with("aborted")), "{:?}", state.log());
    let token = put(&mut server, 1, false);
    assert_eq!(server.response(token).await.code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[tokio::test(start_paused = true)]
async fn a_body_holds_no_turn() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    let token = put(&mut server, 0, true);
    assert_eq!(server.response(token).await.code, Code::CONTINUE);
    let work = server.request(Code::POST, &format!("/33000/0/{WORK}"), b"0");
    assert_eq!(server.response(work).await.code, Code::CHANGED);
    let token = put(&mut server, 1, false);
    assert_eq!(server.response(token).await.code, Code::CHANGED);
    assert_eq!(
        state.log(),
        ["0 stored 64", "0 begin [(0, None)]", "4 end [(0, None)]", "4 stored 64", "4 received 128 of Some(192)"]
    );
}
