//! What becomes of registrations when a bootstrap changes the accounts (LwM2M Core 1.1 section 6.1.3.3, step 3).

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    account::{RecordKey, ServerId},
    client::{Command, Config, Event, Status},
};

use super::{security, server, with_server};
use crate::harness::{Ask, Harness, seconds};

const TEXT: ContentFormat = ContentFormat::TEXT;

fn config() -> Config {
    let mut config = with_server();
    config.servers[0].lifetime = 0;
    config
}

fn bootstrapping() -> Harness {
    let mut harness = Harness::registered_with(config());
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    harness
}

fn finish(harness: &mut Harness) {
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
}

/// An account that stays as it was: its registration and its observations go on, on the same flow, and nothing is said.
#[test]
fn an_unchanged_account_goes_on() {
    let mut harness = Harness::registered_with(config());
    let token = harness.observe("/3/0/9");
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    finish(&mut harness);
    harness.settle();
    harness.expect_silence();
    assert_eq!((harness.opens.len(), harness.client.status(1)), (2, Some(Status::Registered)));
    harness.speak_as(ServerId::Server(1));
    harness.change("/3/0/9", 50);
    assert_eq!(harness.notification(token).text(), "50");
}

/// Another lifetime is told by an Update.
#[test]
fn a_changed_lifetime_is_told_by_an_update() {
    let mut harness = bootstrapping();
    assert_eq!(harness.code(Ask::put("/1/0/1", TEXT, b"120")), Code::CHANGED);
    finish(&mut harness);
    let update = harness.take();
    assert_eq!(
        (update.to, &update.query[..], &update.path[..]),
        (ServerId::Server(1), &["lt=120".to_owned()][..], &["rd".to_owned(), "a".to_owned()][..])
    );
    harness.settle();
    assert_eq!(harness.opens.len(), 2);
}

/// A further server is registered with; the first is told that there is a new instance of the Server object.
#[test]
fn a_new_account_registers() {
    let mut harness = bootstrapping();
    harness.put_account(5, "coap://second.example", 2, 90);
    finish(&mut harness);
    let (update, register) = (harness.take(), harness.take());
    assert_eq!((update.to, update.text().contains("</1/5>")), (ServerId::Server(1), true));
    assert_eq!((register.to, &register.path[..]), (ServerId::Server(2), &["rd".to_owned()][..]));
    harness.speak_as(ServerId::Server(1));
    harness.answer(&update, Code::CHANGED);
    harness.speak_as(ServerId::Server(2));
    harness.answer_created(&register, &["rd", "b"]);
    assert_eq!(harness.client.status(2), Some(Status::Registered));
    // Each server has rights on its own account only.
    assert_eq!(harness.code(Ask::get("/1/5/1").accept(TEXT)), Code::CONTENT);
    assert_eq!(harness.code(Ask::get("/1/0/1").accept(TEXT)), Code::UNAUTHORIZED);
}

/// The account has gone: the server is told, and what it had stored is removed.
#[test]
fn an_account_that_went_is_de_registered() {
    let mut harness = bootstrapping();
    assert_eq!(harness.delete("/0/0"), Code::DELETED);
    assert_eq!(harness.delete("/1/0"), Code::DELETED);
    harness.put_account(5, "coap://second.example", 2, 90);
    finish(&mut harness);
    let (farewell, register) = (harness.take(), harness.take());
    assert_eq!(
        (farewell.to, farewell.code, &farewell.path[..]),
        (ServerId::Server(1), Code::DELETE, &["rd".to_owned(), "a".to_owned()][..])
    );
    assert_eq!(register.to, ServerId::Server(2));
    assert!(!register.text().contains("</1/0>"), "{}", register.text());
    assert_eq!(harness.client.status(1), None);
    // It has no rights any more while its De-register is under way.
    harness.speak_as(ServerId::Server(1));
    harness.ask(Ask::get("/3/0/0"));
    harness.expect_silence();
    harness.answer(&farewell, Code::DELETED);
    assert_eq!(harness.next_event(), Event::Deregistered { server: 1, back_in: None });
    assert!(harness.flows.iter().all(|(_, server)| *server != ServerId::Server(1)));
    assert!(harness.saved.record(RecordKey::Server(1)).is_none_or(|record| record.content.is_empty()));
}

/// The same Short Server ID leads elsewhere: the old server is told farewell, the new one is registered with.
#[test]
fn an_account_that_leads_elsewhere_registers_there() {
    let mut harness = bootstrapping();
    assert_eq!(harness.code(Ask::put("/0/0/0", TEXT, b"coap://elsewhere.example")), Code::CHANGED);
    finish(&mut harness);
    let (farewell, register) = (harness.take(), harness.take());
    assert_eq!((farewell.code, register.code), (Code::DELETE, Code::POST));
    assert_eq!(harness.opens.last().unwrap().uri.host(), "elsewhere.example");
    harness.speak_as(ServerId::Server(1));
    harness.answer_created(&register, &["rd", "b"]);
    assert_eq!(harness.client.status(1), Some(Status::Registered));
    assert_eq!(harness.code(Ask::get("/3/0/0")), Code::CONTENT);
    // The old server does not answer: it is left all the same.
    harness.run_for(seconds(100));
    assert_eq!(harness.flows.len(), 1);
}

/// Operations that a server had under way when its account went end without it.
#[test]
fn operations_of_a_server_that_went_end() {
    let mut harness = Harness::registered_with(config());
    harness.automatic = false;
    harness.ask(Ask::get("/3/0/0"));
    harness.ask(Ask::new(Code::POST, "/3/0/4"));
    let (read, execute) = (harness.operation().0, harness.operation().0);
    // Both were acknowledged, for they take their time.
    harness.run_for(seconds(1));
    harness.sent.clear();
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    assert_eq!(harness.put_instance("/0/0", security("coap://second.example", 2)), Code::CHANGED);
    assert_eq!(harness.put_instance("/1/0", server(2, 90)), Code::CHANGED);
    finish(&mut harness);
    use crate::harness::More;
    use lapwing_lwm2m::client::{ErrorCode, Reply, Why};
    assert!([read, execute].iter().all(|id| harness.more.contains(&More::Abort(*id, Why::Unreachable))));
    let farewell = harness.take();
    harness.speak_as(ServerId::Server(1));
    harness.answer(&farewell, Code::DELETED);
    harness.complete(read, Err(ErrorCode::Unavailable));
    harness.complete(execute, Ok(Reply::Done));
    assert_eq!(harness.take().to, ServerId::Server(2));
}

/// While the bootstrap server works on the accounts, no server changes its own.
#[test]
fn a_server_cannot_change_its_account_meanwhile() {
    let mut harness = bootstrapping();
    harness.speak_as(ServerId::Server(1));
    assert_eq!(harness.code(Ask::put("/1/0/1", TEXT, b"77")), Code::SERVICE_UNAVAILABLE);
    assert_eq!(harness.code(Ask::get("/1/0/1")), Code::CONTENT);
    harness.speak_as(ServerId::Bootstrap);
    finish(&mut harness);
    harness.speak_as(ServerId::Server(1));
    assert_eq!(harness.code(Ask::put("/1/0/1", TEXT, b"77")), Code::CHANGED);
}
