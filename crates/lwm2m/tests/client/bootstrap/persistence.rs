//! Accounts outlive the process, all in one record: the old ones or the new ones, never neither.

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    account::{Record, RecordKey, Saved, ServerId},
    client::{Event, StoreError},
};

use super::{config, psk, server, with_server};
use crate::harness::{Ask, Harness};

const TEXT: ContentFormat = ContentFormat::TEXT;

/// A client that was bootstrapped with one server.
fn bootstrapped() -> Harness {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    harness
}

/// Durable, then said; and one record holds it all.
#[test]
fn accounts_are_stored_before_the_finish_is_answered() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    harness.stores = false;
    harness.ask(Ask::new(Code::POST, "/bs"));
    harness.expect_silence();
    assert_eq!(harness.persisting.len(), 1);
    let (id, record) = harness.persisting.pop_front().unwrap();
    assert_eq!(record.key, RecordKey::Accounts);
    assert!(harness.client.accounts().next().is_none(), "in force when it is durable");
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CHANGED);
    assert_eq!(harness.client.accounts().count(), 1);
}

/// A disk that fails is 5.00; the session stays open, and the bootstrap server may try again.
#[test]
fn what_cannot_be_stored_is_not_in_force() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    harness.stores = false;
    harness.ask(Ask::new(Code::POST, "/bs"));
    let (id, _) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Err(StoreError));
    assert_eq!(harness.take().code, Code::INTERNAL_SERVER_ERROR);
    assert!(harness.client.accounts().next().is_none());
    harness.stores = true;
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.client.accounts().count(), 1);
}

/// The connection goes while the accounts are on their way to the disk: there they are, and so they count.
#[test]
fn what_is_stored_counts_though_nobody_hears_of_it() {
    use lapwing_lwm2m::client::{FlowError, FlowEvent};
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    harness.stores = false;
    harness.ask(Ask::new(Code::POST, "/bs"));
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Failed(FlowError::Unreachable));
    let (id, _) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    assert_eq!(harness.take().to, ServerId::Server(7));
}

/// Stored accounts win over those configured.
#[test]
fn stored_accounts_win() {
    let mut harness = bootstrapped().restarted(with_server());
    assert_eq!(harness.next_event(), Event::AccountsUsed { stored: true });
    assert_eq!(harness.accounts(), [(7, "coap://server.example".to_owned(), 300)]);
    harness.declare();
    assert_eq!(harness.take().to, ServerId::Server(7));
    assert_eq!(harness.client.bootstrap_account().unwrap().uri.host(), "bootstrap.example");
}

/// Unless they are to be forgotten, for ever.
#[test]
fn stored_accounts_can_be_forgotten() {
    let mut config = with_server();
    config.reset_accounts = true;
    let mut harness = bootstrapped().restarted(config);
    assert_eq!(harness.next_event(), Event::AccountsUsed { stored: false });
    assert_eq!(harness.accounts(), [(1, "coap://server.example".to_owned(), 60)]);
    harness.drive();
    let again = harness.restarted(with_server());
    assert_eq!(again.accounts()[0].0, 1);
}

/// A damaged record is passed over, and told of.
#[test]
fn a_damaged_record_is_passed_over() {
    let harness = bootstrapped();
    let record = harness.saved_accounts().unwrap().clone();
    let flipped = (0..record.content.len()).map(|at| {
        let mut content = record.content.to_vec();
        content[at] ^= 0x10;
        content
    });
    let cut = (1..record.content.len()).map(|length| record.content[..length].to_vec());
    for content in flipped.chain(cut) {
        let saved: Saved = [Record::new(RecordKey::Accounts, content)].into_iter().collect();
        let mut harness = Harness::with_saved(with_server(), saved);
        assert_eq!(harness.next_event(), Event::AccountsDamaged);
        assert_eq!(harness.next_event(), Event::AccountsUsed { stored: false });
        assert_eq!(harness.accounts()[0].0, 1);
    }
}

/// Every resource that was written comes back, also what this client has no use for: the next bootstrap server reads it.
#[test]
fn everything_comes_back() {
    use lapwing_lwm2m::model::{ObjectLink, Resource};
    let mut harness = Harness::bootstrapping(config());
    let mut secured = psk("coaps://server.example", 7, b"identity", b"key");
    secured.extend([
        (4, vec![1, 2, 3].into()),
        (6, 3.into()),
        (9, "+4912345".into()),
        (11, 5.into()),
        (13, super::unsigned(1)),
        (16, Resource::multiple([(0, 0xc0a8_u64), (3, 0xae)])),
        (17, ObjectLink::new(21, 0).into()),
    ]);
    let mut account = server(7, 300);
    account.extend([
        (2, 1.into()),
        (3, 2.into()),
        (5, 3.into()),
        (10, ObjectLink::new(11, 0).into()),
        (13, super::unsigned(4)),
        (16, false.into()),
        (17, super::unsigned(5)),
        (18, super::unsigned(6)),
        (19, super::unsigned(7)),
        (20, super::unsigned(8)),
        (23, true.into()),
    ]);
    assert_eq!(harness.put_instance("/0/1", secured), Code::CHANGED);
    assert_eq!(harness.put_instance("/1/9", account), Code::CHANGED);
    let rights = Resource::multiple([(7, 15)]);
    let rights = lapwing_lwm2m::model::Instance::from([(0, 3.into()), (1, 0.into()), (2, rights), (3, 7.into())]);
    assert_eq!(harness.put_instance("/2/3", rights), Code::CHANGED);
    let written = [harness.request(Ask::get("/1")).payload, harness.request(Ask::get("/2")).payload];
    assert_eq!(harness.finish(), Code::CHANGED);
    let accounts: Vec<_> = harness.client.accounts().cloned().collect();
    assert!(!accounts[0].bootstrap_on_failure);
    assert_eq!(accounts[0].retry.sequence_count, Some(8));
    let mut again = harness.restarted(config());
    assert_eq!(again.client.accounts().cloned().collect::<Vec<_>>(), accounts);
    again.declare();
    again.events.clear();
    again.command(lapwing_lwm2m::client::Command::Bootstrap);
    again.begin_bootstrap();
    assert_eq!([again.request(Ask::get("/1")).payload, again.request(Ask::get("/2")).payload], written);
}

/// Configured accounts with all that they can have survive a bootstrap that does not touch them.
#[test]
fn configured_accounts_become_stored_ones() {
    use lapwing_lwm2m::account::{Retry, Security};
    let mut config = with_server();
    let account = &mut config.servers[0];
    account.uri = "coaps://server.example".parse().unwrap();
    account.security = Security::psk("id", *b"key").unwrap().sni("name");
    account.retry = Retry::UNSET.count(2).timer(3);
    account.bootstrap_on_failure = false;
    (account.default_pmin, account.disable_timeout, account.notification_storing) = (Some(1), Some(9), false);
    account.instance = Some(4);
    let expected = config.servers.clone();
    let mut harness = Harness::new(config.clone());
    harness.declare();
    harness.command(lapwing_lwm2m::client::Command::Bootstrap);
    harness.begin_bootstrap();
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.client.accounts().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(harness.opens.len(), 2, "nothing has changed: the attempt that is under way goes on");
    assert_eq!(harness.restarted(Harness::config()).client.accounts().cloned().collect::<Vec<_>>(), expected);
}

/// What a server changes of a bootstrapped account is a record of its own, and counts for these accounts only.
#[test]
fn a_servers_changes_belong_to_the_accounts_of_one_bootstrap() {
    let mut harness = bootstrapped();
    let register = harness.take();
    harness.speak_as(ServerId::Server(7));
    harness.answer_created(&register, &["rd", "a"]);
    assert_eq!(harness.code(Ask::put("/1/1/1", TEXT, b"90")), Code::CHANGED);
    assert_eq!(harness.restarted(config()).accounts()[0].2, 90);
    // Another bootstrap writes what the first one wrote.
    harness.settle();
    harness.sent.clear();
    harness.events.clear();
    harness.command(lapwing_lwm2m::client::Command::Bootstrap);
    harness.begin_bootstrap();
    assert_eq!(harness.code(Ask::put("/1/1/1", TEXT, b"300")), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.accounts()[0].2, 300);
    assert_eq!(harness.restarted(config()).accounts()[0].2, 300);
}
