//! A registration that outlives the process, with what its server observes (LwM2M Core 1.1 sections 6.2 and 6.4, RFC 7641 section 3.4).

use lapwing_coap::{Code, ContentFormat, MessageType};
use lapwing_lwm2m::{
    account::{Record, RecordKey, Saved},
    client::{Command, Config, Event, Loss, Status, StoreError},
};

use crate::harness::{Ask, Harness, seconds};

const PORT: u16 = 40_000;

fn config() -> Config {
    let mut config = Harness::config();
    // So that no Update gets between.
    config.servers[0].lifetime = 0;
    config.resume = true;
    config
}

/// A client that is registered as `/rd/a` from its port, with nothing left to be taken.
fn registered() -> Harness {
    let mut harness = Harness::new(config());
    harness.port = Some(PORT);
    harness.declare();
    harness.accept_registration();
    harness
}

/// The process ends without a word, and another one begins with what was stored.
fn killed(before: &Harness, config: Config) -> Harness {
    let mut harness = Harness::with_saved(config, before.saved.clone());
    harness.port = Some(PORT + 1);
    harness.now = before.now + seconds(100);
    harness
}

/// The client's Update of its old registration was taken.
fn resumes(harness: &mut Harness) {
    let update = harness.take();
    assert_eq!((update.code, update.path.join("/").as_str()), (Code::POST, "rd/a"));
    assert_eq!(harness.client.status(1), Some(Status::Registering));
    harness.expect_silence();
    harness.answer(&update, Code::CHANGED);
    harness.run_for(seconds(0));
    let events: Vec<Event> = harness.events.drain(..).collect();
    assert!(events.iter().any(|event| matches!(event, Event::Resumed { server: 1, .. })), "{events:?}");
    assert_eq!(harness.client.status(1), Some(Status::Registered));
}

#[test]
fn a_killed_client_goes_on_with_its_registration_and_its_observations() {
    let mut before = registered();
    assert_eq!(before.write_attributes("/3/0/9", &["pmin=5"]), Code::CHANGED);
    let token = before.observe("/3/0/9");
    before.change("/3/0/9", 79);
    before.run_for(seconds(5));
    let last = before.notification(token);
    let mut harness = killed(&before, config());
    harness.objects.set("/3/0/9", 42);
    harness.declare();
    assert_eq!(harness.opens[0].local_port, Some(PORT), "the server knows it by its address");
    let update = harness.sent[0].clone();
    assert_eq!((update.format, &update.query[..]), (Some(ContentFormat::LINK_FORMAT), &[][..]));
    assert!(update.text().contains("</3/0>"), "what there is now is not known to be what the server was told");
    resumes(&mut harness);
    // What may have changed meanwhile is told, within the attributes that were set before.
    harness.run_for(seconds(5));
    let notification = harness.notification(token);
    assert_eq!(notification.text(), "42");
    let ahead = (notification.observe.unwrap() - last.observe.unwrap()) & 0xff_ffff;
    assert!((1..1 << 23).contains(&ahead), "it is the newer one");
    harness.run_for(seconds(1));
    harness.change("/3/0/9", 43);
    harness.run_for(seconds(3));
    harness.expect_silence();
    harness.run_for(seconds(1));
    assert_eq!(harness.notification(token).text(), "43");
    assert_eq!(harness.code(Ask::get("/3/0/9")), Code::CONTENT, "it is served as before");

    // And once more: the numbers go on from there.
    let mut again = killed(&harness, config());
    again.declare();
    resumes(&mut again);
    again.run_for(seconds(5));
    let later = again.notification(token).observe.unwrap();
    assert!((1..1 << 23).contains(&((later - notification.observe.unwrap()) & 0xff_ffff)));
}

#[test]
fn no_observation_is_answered_before_it_is_durable() {
    let mut harness = registered();
    harness.stores = false;
    let id = harness.ask(Ask::observe("/3/0/9"));
    harness.expect_silence();
    let killed_now = killed(&harness, config());
    let (persist, record) = harness.persisting.pop_front().expect("it is stored first");
    assert_eq!(record.key, RecordKey::Registration(1));
    // A second one while the first is on its way to the disk has a turn of its own.
    let second = harness.ask(Ask::observe("/3/0/0"));
    harness.client.persisted(harness.time(), persist, Ok(()));
    let answer = harness.take();
    assert_eq!((answer.id, answer.code, answer.observe.is_some()), (id, Code::CONTENT, true));
    harness.expect_silence();
    let (persist, _) = harness.persisting.pop_front().expect("the second one");
    harness.client.persisted(harness.time(), persist, Err(StoreError));
    let answer = harness.take();
    assert_eq!((answer.id, answer.code, answer.observe), (second, Code::INTERNAL_SERVER_ERROR, None));

    // Had it ended before, its server would not have been told of an observation either.
    let mut harness = killed_now;
    harness.declare();
    resumes(&mut harness);
    harness.expect_silence();
}

#[test]
fn a_server_that_has_forgotten_is_registered_at() {
    let mut before = registered();
    before.observe("/3/0/9");
    let mut harness = killed(&before, config());
    harness.declare();
    let update = harness.take();
    harness.answer(&update, Code::NOT_FOUND);
    let events: Vec<Event> = harness.events.drain(..).collect();
    assert!(events.contains(&Event::ServerLost { server: 1, reason: Loss::Forgotten }), "{events:?}");
    harness.accept_registration();
    harness.change("/3/0/9", 12);
    harness.expect_silence();
    // What it is registered as now is what counts.
    let mut harness = killed(&harness, config());
    harness.declare();
    resumes(&mut harness);
    harness.expect_silence();
}

#[test]
fn from_another_port_a_server_does_not_know_the_client() {
    let before = registered();
    let mut harness = killed(&before, config());
    harness.port_taken = true;
    harness.declare();
    harness.accept_registration();
    assert_eq!(harness.opens[0].local_port, Some(PORT));
}

#[test]
fn of_another_configuration_nothing_is_gone_on_with() {
    let before = registered();
    let change: [fn(&mut Config); 3] = [
        |config| config.endpoint = "other".to_owned(),
        |config| config.servers[0].uri = "coap://other.example".parse().unwrap(),
        |config| config.resume = false,
    ];
    for change in change {
        let mut other = config();
        change(&mut other);
        let mut harness = killed(&before, other);
        harness.declare();
        harness.accept_registration();
    }
    // Without it, what is stored is removed, and nothing is stored again.
    let mut harness = killed(&before, Harness::config());
    harness.declare();
    harness.accept_registration();
    assert!(harness.saved.record(RecordKey::Registration(1)).unwrap().content.is_empty());
    assert!(Harness::registered().saved.record(RecordKey::Registration(1)).is_none());
}

#[test]
fn what_was_ended_stays_ended() {
    let mut before = registered();
    let token = before.observe("/3/0/9");
    before.ask_as(Ask { observe: Some(1), ..Ask::get("/3/0/9") }, 900, token);
    before.sent.clear();
    let kept = before.observe("/3/0/0");
    let mut harness = killed(&before, config());
    harness.declare();
    resumes(&mut harness);
    harness.notification(kept);
    harness.expect_silence();
    // After a De-register there is nothing to go on with.
    harness.command(Command::Deregister);
    let mut harness = killed(&harness, config());
    harness.declare();
    harness.accept_registration();
}

#[test]
fn an_observation_of_what_has_gone_is_ended() {
    let mut before = registered();
    let token = before.observe("/3/0/9");
    let mut harness = killed(&before, config());
    harness.objects.remove("/3/0/9");
    harness.declare();
    resumes(&mut harness);
    let last = harness.take();
    assert_eq!((last.kind, last.code, last.token), (MessageType::Con, Code::NOT_FOUND, token));
    harness.acknowledge(&last);
    let mut harness = killed(&harness, config());
    harness.declare();
    resumes(&mut harness);
    harness.expect_silence();
}

#[test]
fn a_notification_that_nobody_waits_for_ends_its_observation_and_nothing_else() {
    let mut before = registered();
    before.observe("/3/0/9");
    before.observe("/3/0/0");
    let mut harness = killed(&before, config());
    harness.declare();
    resumes(&mut harness);
    let first = harness.take();
    harness.reset(&first);
    let second = harness.take();
    harness.acknowledge(&second);
    assert_ne!(first.token, second.token);
    harness.expect_silence();
    assert_eq!(harness.client.status(1), Some(Status::Registered));
}

#[test]
fn a_damaged_record_means_a_register() {
    let mut before = registered();
    before.observe("/3/0/9");
    let whole = before.saved.record(RecordKey::Registration(1)).unwrap().content.to_vec();
    for cut in 0..whole.len() {
        let mut saved = Saved::new();
        saved.insert(Record::new(RecordKey::Registration(1), whole[..cut].to_vec()));
        let mut harness = Harness::with_saved(config(), saved);
        harness.port = Some(PORT);
        harness.declare();
        harness.accept_registration();
    }
}
