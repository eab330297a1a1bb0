//! A bootstrap server, or somebody who would like to be one, that does what it must not.

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    account::ServerId,
    client::{Command, Event, Status},
    model::{Instance, Instances, Resource},
};

use super::{TLV, config, security, server, tlv, with_server};
use crate::harness::{Ask, Harness, seconds};

/// What is staged is bounded, whatever it is made of: octets, instances, values, other objects.
#[test]
fn more_than_may_be_staged_is_refused() {
    let huge = |id: u16| {
        let mut instance = security("coap://server.example", id + 1);
        instance.insert(3, vec![7; 20_000].into());
        instance
    };
    let empty = |id: u16| Instance::from([(0, (id + 1).into())]);
    let many = |_: u16| {
        let values = (0..900).map(|id| (id, u64::from(id)));
        Instance::from([(16, Resource::multiple(values))])
    };
    for (object, make) in [(0, &huge as &dyn Fn(u16) -> Instance), (1, &empty), (0, &many)] {
        let mut harness = Harness::bootstrapping(config());
        let mut taken = 0;
        let refusal = loop {
            let at = format!("/{object}/{}", taken + 1);
            let payload = tlv(&at, make(taken));
            match write(&mut harness, &at, &payload) {
                Code::CHANGED => taken += 1,
                code => break code,
            }
            assert!(taken < 2_000);
        };
        assert_eq!(refusal, Code::REQUEST_ENTITY_TOO_LARGE);
        assert!(taken > 1);
        // The session is still there, and its beginning can be thrown away.
        assert_eq!(harness.delete("/"), Code::DELETED);
        harness.put_account(1, "coap://server.example", 7, 300);
        assert_eq!(harness.finish(), Code::CHANGED);
    }
}

/// Writes a body in blocks, and gives the last code.
fn write(harness: &mut Harness, at: &str, payload: &[u8]) -> Code {
    use lapwing_coap::wire::{Block, BlockSize};
    let blocks = payload.chunks(1024).count();
    let mut code = Code::CONTINUE;
    for (number, block) in payload.chunks(1024).enumerate() {
        let block1 = Block { number: number as u32, more: number + 1 < blocks, size: BlockSize::B1024 };
        let block1 = Some(block1).filter(|_| blocks > 1);
        code = harness.code(Ask { block1, ..Ask::put(at, TLV, block) });
        if code != Code::CONTINUE {
            break;
        }
    }
    code
}

/// An endless bootstrap: it ends.
#[test]
fn an_endless_bootstrap_ends() {
    let mut harness = Harness::bootstrapping(config());
    let begun = harness.now;
    while harness.events.is_empty() {
        harness.ask(Ask::put("/1/0/1", ContentFormat::TEXT, b"60"));
        harness.sent.clear();
        harness.run_for(seconds(1));
        assert!(harness.now - begun < seconds(300));
    }
    assert!(matches!(harness.next_event(), Event::BootstrapFailed { .. }));
}

/// Instance 65535, inside of a payload that names several.
#[test]
fn the_reserved_instance_is_refused() {
    let mut harness = Harness::bootstrapping(config());
    let mut instances = tlv("/1", Instances::from([(1, server(1, 60))]));
    instances.extend([0x23, 0xff, 0xff, 0xc1, 0, 2]);
    assert_eq!(harness.code(Ask::put("/1", TLV, &instances)), Code::BAD_REQUEST);
    assert_eq!(harness.code(Ask::get("/1")), Code::NOT_FOUND, "nothing of it");
}

#[test]
fn deleting_everything_again_and_again_leaves_no_account_to_work_with() {
    let mut harness = Harness::registered_with(with_server());
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    for _ in 0..100 {
        assert_eq!(harness.delete("/"), Code::DELETED);
    }
    assert_eq!(harness.finish_with_text(), (Code::NOT_ACCEPTABLE, "there is no server account".to_owned()));
    assert_eq!(harness.client.status(1), Some(Status::Registered));
}

/// After the Finish: nothing is written any more, and a second Finish is none.
#[test]
fn nothing_counts_after_the_finish() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    harness.sent.clear();
    harness.speak_as(ServerId::Bootstrap);
    assert_eq!(harness.code(Ask::put("/1/1/1", ContentFormat::TEXT, b"1")), Code::BAD_REQUEST);
    assert_eq!(harness.delete("/"), Code::BAD_REQUEST);
    assert_eq!(harness.code(Ask::get("/1")), Code::BAD_REQUEST);
    assert_eq!(harness.finish(), Code::BAD_REQUEST);
    assert_eq!(harness.accounts()[0].2, 300);
    harness.settle();
    assert!(harness.flows.iter().all(|(_, server)| *server != ServerId::Bootstrap));
}

/// While the accounts are being stored, too.
#[test]
fn nothing_counts_while_it_is_stored() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    harness.stores = false;
    harness.ask(Ask::new(Code::POST, "/bs"));
    assert_eq!(harness.code(Ask::put("/1/1/1", ContentFormat::TEXT, b"1")), Code::BAD_REQUEST);
    assert_eq!(harness.finish(), Code::BAD_REQUEST);
    assert_eq!(harness.persisting.len(), 1);
    let (id, _) = harness.persisting.pop_front().unwrap();
    harness.client.persisted(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CHANGED);
    assert_eq!(harness.accounts()[0].2, 300);
}

/// Before it was asked, a bootstrap server is nobody.
#[test]
fn nobody_writes_before_the_request() {
    let mut harness = Harness::new(config());
    harness.network = Err(lapwing_lwm2m::client::FlowError::Unresolved);
    harness.declare();
    harness.deliver(&[0x40, 0x03, 0, 1, 0xb1, b'1']);
    harness.expect_silence();
}

/// A server is no bootstrap server: not by its flow, and not while one is being bootstrapped from.
#[test]
fn a_server_is_no_bootstrap_server() {
    let mut harness = Harness::registered_with(with_server());
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    harness.put_account(5, "coap://second.example", 2, 90);
    harness.speak_as(ServerId::Server(1));
    let account = tlv("/0/0", security("coap://evil.example", 1));
    assert_eq!(harness.code(Ask::new(Code::POST, "/bs")), Code::NOT_FOUND);
    assert_eq!(harness.code(Ask::put("/0/0", TLV, &account)), Code::UNAUTHORIZED);
    assert_eq!(
        harness.code(Ask::put("/1", TLV, &tlv("/1", Instances::from([(0, server(1, 1))])))),
        Code::METHOD_NOT_ALLOWED
    );
    assert_eq!(harness.delete("/"), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.delete("/1/0"), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.code(Ask::get("/0/0")), Code::UNAUTHORIZED);
    assert_eq!(harness.code(Ask::get("/").accept(ContentFormat::LINK_FORMAT)), Code::METHOD_NOT_ALLOWED);
    assert_eq!(harness.accounts().len(), 1);
}

/// Every bit of every write, turned over: an answer, and accounts that can be worked with, or none.
#[test]
fn damaged_writes_are_answered() {
    let mut secured = super::psk("coaps://server.example", 7, b"identity", b"key");
    secured.extend([(14, "name".into()), (16, Resource::multiple([(0, 0xc0a8_u64)]))]);
    let one = Instances::from([(1, secured)]);
    let (secured, account) = (tlv("/0", one), tlv("/1", Instances::from([(1, server(7, 300))])));
    let mut finished = 0;
    for bit in 0..8 * (secured.len() + account.len()) {
        let (mut secured, mut account) = (secured.clone(), account.clone());
        match secured.get_mut(bit / 8) {
            Some(octet) => *octet ^= 1 << (bit % 8),
            None => account[bit / 8 - secured.len()] ^= 1 << (bit % 8),
        }
        let mut harness = Harness::bootstrapping(config());
        for (at, payload) in [("/0", &secured), ("/1", &account)] {
            let code = harness.code(Ask::put(at, TLV, payload));
            assert!(code == Code::CHANGED || code.is_client_error(), "{bit}: {code}");
        }
        match harness.finish() {
            Code::CHANGED => {
                finished += 1;
                assert_eq!(harness.restarted(config()).accounts(), harness.accounts(), "{bit}");
            }
            code => assert_eq!(code, Code::NOT_ACCEPTABLE, "{bit}"),
        }
    }
    assert!(finished > 100, "turned bits of a key or a name do no harm: {finished}");
}

/// What is not even CoAP, or is no request.
#[test]
fn noise_ends_nothing() {
    let mut harness = Harness::bootstrapping(config());
    let mut random = 0x2545_f491_u32;
    for length in 0..600 {
        let noise: Vec<u8> = (0..length % 60)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                random as u8
            })
            .collect();
        harness.deliver_noise(&noise);
    }
    harness.sent.clear();
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.finish(), Code::CHANGED);
}
