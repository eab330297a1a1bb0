//! Client-initiated bootstrap (LwM2M Core 1.1 section 6.1.3.3; LightweightM2M-1.1-int-0, 1 and 2).

use lapwing_coap::{Code, ContentFormat};
use lapwing_dtls::{
    credentials::{CertificateUsage, Identity, MatchingType},
    crypto::PrivateKey,
};
use lapwing_lwm2m::{
    account::{SecurityMode, ServerId},
    client::{Event, LwM2mVersion, Status},
    model::{Instance, Resource},
};

use super::{TLV, VERSIONS, config, psk, security, server, tlv, unsigned};
use crate::harness::{Ask, Harness, seconds};

/// int-0: the account is written, and the client registers with the server that it names.
#[test]
fn int_0_an_account_is_written_and_used() {
    for version in VERSIONS {
        let mut config = config();
        config.version = version;
        let mut harness = Harness::new(config);
        harness.declare();
        let request = harness.take_bootstrap_request();
        // The preferred content format came with LwM2M 1.1.
        let expected: &[&str] = if version == LwM2mVersion::V1_0 { &["ep=gw"] } else { &["ep=gw", "pct=11542"] };
        assert_eq!(request.query, expected);
        assert_eq!(harness.opens[0].uri.as_str(), "coap://bootstrap.example:5783");
        harness.answer(&request, Code::CHANGED);
        harness.put_account(1, "coap://server.example", 7, 300);
        harness.expect_silence();
        assert_eq!(harness.client.accounts().count(), 0, "nothing counts before the Finish");
        assert_eq!(harness.finish(), Code::CHANGED);
        assert_eq!(harness.next_event(), Event::BootstrapFinished);
        assert_eq!(harness.accounts(), [(7, "coap://server.example".to_owned(), 300)]);
        let register = harness.take();
        assert_eq!((register.to, register.code), (ServerId::Server(7), Code::POST));
        assert_eq!(register.query[1], "lt=300");
        assert!(register.text().contains("</1/1>"), "{}", register.text());
        harness.speak_as(ServerId::Server(7));
        harness.answer_created(&register, &["rd", "a"]);
        assert_eq!(harness.client.status(7), Some(Status::Registered));
        harness.settle();
        assert_eq!(harness.flows.len(), 1, "the flow to the bootstrap server is closed");
        assert_eq!(harness.request(Ask::get("/1/1/1").accept(ContentFormat::TEXT)).text(), "300");
    }
}

/// int-1: a pre-shared key, byte for byte.
#[test]
fn int_1_a_pre_shared_key_is_written() {
    let mut harness = Harness::bootstrapping(config());
    let (identity, key) = (b"\xff not text", b"\0sixteen octets\0");
    let mut instance = psk("coaps://server.example", 7, identity, key);
    // Suites of which this client has one (0/x/16), and a name for the server (0/x/14).
    instance.insert(16, Resource::multiple([(0, 0xc0a9_u64), (1, 0xc0a8)]));
    instance.insert(14, "lwm2m.example".into());
    assert_eq!(harness.put_instance("/0/1", instance), Code::CHANGED);
    assert_eq!(harness.put_instance("/1/0", server(7, 300)), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    let account = harness.client.accounts().next().unwrap().clone();
    assert_eq!((account.uri.port(), account.uri.is_secure()), (5684, true));
    let SecurityMode::Psk(psk) = &account.security.mode else { panic!("{account:?}") };
    assert_eq!((psk.identity(), psk.key()), (&identity[..], &key[..]));
    assert_eq!(account.security.suites, [lapwing_dtls::CipherSuite::PskAes128Ccm8]);
    assert_eq!(account.security.sni.as_deref(), Some("lwm2m.example"));
    let printed = format!("{account:?} {:?} {:?}", harness.client, harness.saved);
    assert!(!printed.contains("sixteen") && !printed.contains("115, 105, 120"), "{printed}");
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_der(&[seed; 32]).unwrap()
}

/// A raw public key: SubjectPublicKeyInfo, and the private key as PKCS#8, SEC1 or the number alone.
#[test]
fn a_raw_public_key_is_written() {
    let (own, theirs) = (key(1), key(2));
    for private in [own.to_der().to_vec(), vec![1; 32]] {
        let mut harness = Harness::bootstrapping(config());
        let mut instance = security("coaps://server.example", 7);
        instance.extend([
            (2, 1.into()),
            (3, own.public_key().to_der().into()),
            (4, theirs.public_key().to_der().into()),
            (5, private.into()),
        ]);
        assert_eq!(harness.put_instance("/0/1", instance), Code::CHANGED);
        assert_eq!(harness.put_instance("/1/0", server(7, 300)), Code::CHANGED);
        assert_eq!(harness.finish(), Code::CHANGED);
        let account = harness.client.accounts().next().unwrap();
        let SecurityMode::RawPublicKey { identity, server } = &account.security.mode else { panic!("{account:?}") };
        assert_eq!(identity.public_key(), own.public_key());
        assert!(server.is(&theirs.public_key().to_der()));
    }
}

/// int-2: a certificate, and what is known of the server's.
#[test]
fn int_2_a_certificate_is_written() {
    let certificate = include_bytes!("../../../../dtls/tests/vectors/x509/client.der").to_vec();
    let private = include_bytes!("../../../../dtls/tests/vectors/x509/client.key.der").to_vec();
    let mut harness = Harness::bootstrapping(config());
    let mut instance = security("coaps://server.example", 7);
    instance.extend([
        (2, 2.into()),
        (3, certificate.clone().into()),
        (4, vec![9; 32].into()),
        (5, private.into()),
        (13, unsigned(1)),
        (15, unsigned(2)),
    ]);
    assert_eq!(harness.put_instance("/0/1", instance), Code::CHANGED);
    assert_eq!(harness.put_instance("/1/0", server(7, 300)), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    let account = harness.client.accounts().next().unwrap();
    let SecurityMode::Certificate { identity, usage, server } = &account.security.mode else { panic!("{account:?}") };
    assert_eq!(Identity::to_send(identity).collect::<Vec<_>>(), [certificate]);
    assert_eq!((*usage, server.matching), (CertificateUsage::TrustAnchorAssertion, MatchingType::Sha256));
}

/// The Bootstrap-Finish may come before the answer to the Bootstrap-Request: UDP does not keep the order.
#[test]
fn what_comes_before_the_answer_counts() {
    let mut harness = Harness::new(config());
    harness.declare();
    let request = harness.take_bootstrap_request();
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.finish(), Code::CHANGED);
    harness.answer(&request, Code::CHANGED);
    assert_eq!(harness.next_event(), Event::BootstrapFinished);
    assert_eq!(harness.take().to, ServerId::Server(7));
    harness.settle();
    assert_eq!(harness.client.accounts().count(), 1);
}

/// Section 6.1.3.3: without a Finish for EXCHANGE_LIFETIME (247 s) the bootstrap has failed, and nothing of it counts.
#[test]
fn without_a_finish_nothing_counts() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    let begun = harness.now;
    let Event::BootstrapFailed { reason, retry_in: Some(_) } = harness.run_to_event() else { panic!() };
    assert_eq!(reason, lapwing_lwm2m::client::Failure::Unfinished);
    assert_eq!(harness.now - begun, seconds(247));
    assert_eq!(harness.client.accounts().count(), 0);
    assert!(harness.saved_accounts().is_none());
    // What was staged is gone with it: the next bootstrap begins anew.
    harness.run_for(seconds(3));
    harness.begin_bootstrap();
    assert_eq!(harness.finish(), Code::NOT_ACCEPTABLE);
}

/// A body of several blocks (RFC 7959), here two certificates' worth.
#[test]
fn a_write_may_come_in_blocks() {
    use lapwing_coap::wire::{Block, BlockSize};
    let mut harness = Harness::bootstrapping(config());
    let mut instance = security("coap://server.example", 7);
    instance.insert(3, vec![7; 1500].into());
    let payload = tlv("/0/1", instance);
    assert!(payload.len() > 1024);
    for (number, block) in payload.chunks(1024).enumerate() {
        let more = (number + 1) * 1024 < payload.len();
        let ask = Ask {
            block1: Some(Block { number: number as u32, more, size: BlockSize::B1024 }),
            ..Ask::put("/0/1", TLV, block)
        };
        assert_eq!(harness.code(ask), if more { Code::CONTINUE } else { Code::CHANGED });
    }
    assert_eq!(harness.put_instance("/1/0", server(7, 300)), Code::CHANGED);
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.client.accounts().count(), 1);
}

/// The account of the bootstrap server is itself an instance that it may replace (section 6.1.3.3).
#[test]
fn the_bootstrap_account_is_replaced_in_place() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    let mut other: Instance = super::bootstrap_security("coap://other.example");
    other.insert(11, 20.into());
    assert_eq!(harness.put_instance("/0/0", other), Code::CHANGED);
    assert_eq!(harness.client.bootstrap_account().unwrap().uri.host(), "bootstrap.example");
    assert_eq!(harness.finish(), Code::CHANGED);
    let account = harness.client.bootstrap_account().unwrap();
    assert_eq!((account.uri.host(), account.hold_off), ("other.example", Some(20)));
}
