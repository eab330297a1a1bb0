//! What objects report reaches those who observe. (LwM2M Core 1.1 section 6.4; RFC 7641)

use std::time::Duration;

use lapwing::Path;
use lapwing_coap::wire::{Code, MessageType, option};

use crate::common::{
    self,
    bench::{self, FICKLE, SETTING},
};

const SECOND: Duration = Duration::from_secs(1);
const OBJECT: Path = Path::object(33_000).instance(0);

#[tokio::test(start_paused = true)]
async fn an_object_learns_what_is_observed_and_reports_it() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;
    assert_eq!(*state.observed.lock().unwrap(), []);

    let path = OBJECT.resource(SETTING);
    let observe = server.request_with(Code::GET, &path.to_string(), &[(option::OBSERVE, b"")], b"");
    let first = server.response(observe).await;
    assert_eq!((first.text(), first.observe.is_some()), ("0", true));
    // The object was told by the time that the answer was sent, or a moment later.
    server.silence(SECOND).await;
    assert_eq!(*state.observed.lock().unwrap(), [path]);

    *state.setting.lock().unwrap() = 3;
    state.changes().value(path, 3);
    let notification = server.response(observe).await;
    assert_eq!((notification.kind, notification.text()), (MessageType::Con, "3"));

    *state.setting.lock().unwrap() = 4;
    state.changes().changed(path);
    assert_eq!(server.response(observe).await.text(), "4");

    let cancel = server.request_with(Code::GET, &path.to_string(), &[(option::OBSERVE, &[1])], b"");
    // A cancellation has the token of its observation; with another one it is a plain read.
    assert_eq!(server.response(cancel).await.observe, None);
    state.changes().value(path, 5);
    let notification = server.next().await;
    server.send(MessageType::Rst, Code::EMPTY, notification.id, lapwing_coap::wire::Token::EMPTY, &[], b"");
    server.silence(SECOND).await;
    assert_eq!(*state.observed.lock().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_writes_is_reported_for_the_object() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    common::run(client, line);
    server.register().await;

    let path = OBJECT.resource(SETTING);
    let observe = server.request_with(Code::GET, &path.to_string(), &[(option::OBSERVE, b"")], b"");
    assert_eq!(server.response(observe).await.text(), "0");
    let write = server.request(Code::PUT, &path.to_string(), b"9");
    assert_eq!(server.response(write).await.code, Code::CHANGED);
    assert_eq!(server.response(observe).await.text(), "9");
}

#[tokio::test(start_paused = true)]
async fn a_notification_whose_read_fails_for_a_while_is_tried_again() {
    let (line, mut server) = common::line();
    let (client, state) = bench::client();
    common::run(client, line);
    server.register().await;

    let path = OBJECT.resource(FICKLE);
    let observe = server.request_with(Code::GET, &path.to_string(), &[(option::OBSERVE, b"")], b"");
    assert_eq!(server.response(observe).await.text(), "5");
    *state.failures.lock().unwrap() = 2;
    state.changes().changed(path);
    let notification = server.response(observe).await;
    assert_eq!((notification.code, notification.observe.is_some()), (Code::CONTENT, true));
    assert_eq!(*state.failures.lock().unwrap(), 0);
}
