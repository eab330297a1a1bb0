//! Bootstrap-Write and -Delete of the application's objects: staged, and applied at the Finish (LwM2M Core 1.1 section 6.1.2).

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    client::{ErrorCode, Event, OperationKind, Origin, Reply, WriteMode},
    definitions::test_object_v1_0 as test,
    model::{Instance, Node},
};

use super::{TLV, config, tlv};
use crate::{
    harness::{Ask, Harness, seconds},
    objects::path,
};

const TEXT: ContentFormat = ContentFormat::TEXT;

fn bootstrapping() -> Harness {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    harness.automatic = false;
    harness
}

fn instance(text: &str) -> Instance {
    Instance::from([(test::STRING_VALUE, text.into())])
}

/// Nothing is done before the Finish; then in order, one after the other, as the bootstrap server's; then the accounts are stored.
#[test]
fn objects_are_changed_at_the_finish() {
    let mut harness = bootstrapping();
    harness.stores = false;
    let whole = tlv("/3441/0", instance("new"));
    assert_eq!(harness.code(Ask::put("/3441/0", TLV, &whole)), Code::CHANGED);
    assert_eq!(harness.code(Ask::put("/3441/4", TLV, &tlv("/3441/4", instance("fourth")))), Code::CHANGED);
    // What may only be read by a server: a bootstrap server may write it.
    assert_eq!(harness.code(Ask::put("/4/0/0", TEXT, b"21")), Code::CHANGED);
    assert_eq!(harness.delete("/5/0"), Code::DELETED);
    harness.run_for(seconds(10));
    assert!(harness.operations.is_empty());
    harness.ask(Ask::new(Code::POST, "/bs"));
    let mut done = Vec::new();
    while let Some((id, operation)) = harness.operations.pop_front() {
        assert_eq!((operation.origin, harness.operations.len()), (Origin::Bootstrap, 0), "one at a time");
        assert!(harness.persisting.is_empty());
        let reply = harness.objects.run(&operation.kind);
        done.push(operation.kind);
        harness.complete(id, reply);
    }
    assert_eq!(
        done,
        [
            OperationKind::Delete { path: path("/5/0") },
            OperationKind::Write {
                path: path("/4/0"),
                mode: WriteMode::Update,
                node: Node::Instance(Instance::from([(0, 21.into())]))
            },
            OperationKind::Write {
                path: path("/3441/0"),
                mode: WriteMode::Replace,
                node: Node::Instance(instance("new"))
            },
            OperationKind::Create { object: 3441, instance: Some(4), resources: instance("fourth") },
        ]
    );
    harness.expect_silence();
    let (id, _) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
}

/// What is written again, or deleted, is done once, as the last word had it.
#[test]
fn the_last_word_counts() {
    let mut harness = bootstrapping();
    for (at, payload) in
        [("/3441/0/110", &b"a"[..]), ("/3441/0/110", b"b"), ("/3441/2/110", b"c"), ("/3441/3/110", b"d")]
    {
        assert_eq!(harness.code(Ask::put(at, TEXT, payload)), Code::CHANGED, "{at}");
    }
    assert_eq!(harness.delete("/3441/2"), Code::DELETED);
    assert_eq!(harness.delete("/3441/0"), Code::DELETED);
    assert_eq!(harness.code(Ask::put("/3441/0/120", TEXT, b"7")), Code::CHANGED);
    harness.ask(Ask::new(Code::POST, "/bs"));
    let (id, operation) = harness.operation();
    let Node::Instance(content) = Node::Instance(Instance::from([(120, 7.into())])) else { unreachable!() };
    assert_eq!(
        operation.kind,
        OperationKind::Write { path: path("/3441/0"), mode: WriteMode::Replace, node: Node::Instance(content) }
    );
    harness.complete(id, Ok(Reply::Done));
    let (id, operation) = harness.operation();
    assert!(matches!(operation.kind, OperationKind::Create { instance: Some(3), .. }), "{operation:?}");
    harness.complete(id, Ok(Reply::Created(3)));
    assert!(harness.operations.is_empty());
    assert_eq!(harness.take().code, Code::CHANGED);
}

/// An object refuses: the Finish is refused with 4.06, the accounts stay, and the bootstrap server may correct itself.
#[test]
fn a_refusal_refuses_the_finish() {
    let mut harness = bootstrapping();
    assert_eq!(harness.code(Ask::put("/3441/0/120", TEXT, b"7")), Code::CHANGED);
    harness.ask(Ask::new(Code::POST, "/bs"));
    let (id, _) = harness.operation();
    harness.complete(id, Err(ErrorCode::BadRequest));
    let answer = harness.take();
    assert_eq!((answer.code, answer.text()), (Code::NOT_ACCEPTABLE, "/3441/0 cannot be had so"));
    assert_eq!(harness.next_event(), Event::BootstrapRefused(path("/3441/0")));
    assert!(harness.saved_accounts().is_none() && harness.client.accounts().next().is_none());
    assert_eq!(harness.code(Ask::put("/3441/0/120", TEXT, b"8")), Code::CHANGED);
    harness.ask(Ask::new(Code::POST, "/bs"));
    let (id, _) = harness.operation();
    harness.complete(id, Ok(Reply::Done));
    assert_eq!(harness.take().code, Code::CHANGED);
}

/// A failure here is 5.00.
#[test]
fn a_failure_is_not_the_bootstrap_servers() {
    for late in [false, true] {
        let mut harness = bootstrapping();
        assert_eq!(harness.code(Ask::put("/3441/0/120", TEXT, b"7")), Code::CHANGED);
        harness.ask(Ask::new(Code::POST, "/bs"));
        let (id, _) = harness.operation();
        if late {
            // The application takes longer than it may.
            harness.run_for(seconds(60));
            assert!(harness.sent.pop_front().unwrap().payload.is_empty(), "the acknowledgement");
        } else {
            harness.complete(id, Err(ErrorCode::Internal));
        }
        assert_eq!(harness.take().code, Code::INTERNAL_SERVER_ERROR);
        harness.complete(id, Ok(Reply::Done));
        assert!(harness.client.accounts().next().is_none());
    }
}

/// An instance that stands for a part of the device cannot go; the others do.
#[test]
fn what_cannot_be_deleted_stays() {
    let mut harness = bootstrapping();
    assert_eq!(harness.delete("/4"), Code::DELETED);
    harness.ask(Ask::new(Code::POST, "/bs"));
    let (id, operation) = harness.operation();
    assert_eq!(operation.kind, OperationKind::Delete { path: path("/4/0") });
    harness.complete(id, Err(ErrorCode::MethodNotAllowed));
    assert_eq!(harness.take().code, Code::CHANGED);
}

/// The connection to the bootstrap server goes while the application does its part: the old accounts stay.
#[test]
fn a_lost_flow_ends_it_before_anything_is_stored() {
    use lapwing_lwm2m::client::{FlowError, FlowEvent};
    let mut harness = bootstrapping();
    assert_eq!(harness.code(Ask::put("/3441/0/120", TEXT, b"7")), Code::CHANGED);
    harness.ask(Ask::new(Code::POST, "/bs"));
    let (id, _) = harness.operation();
    let flow = harness.flow.unwrap();
    harness.client.handle_flow(harness.time(), flow, FlowEvent::Failed(FlowError::Unreachable));
    assert!(matches!(harness.next_event(), Event::BootstrapFailed { .. }));
    harness.complete(id, Ok(Reply::Done));
    assert!(harness.saved_accounts().is_none() && harness.client.accounts().next().is_none());
}
