//! Handshakes with raw public keys and certificates: what they agree on, whom they believe, and how they fare when datagrams are
//! lost, doubled and re-ordered (RFC 8422, RFC 7250, RFC 7925 sections 4.3 and 4.4).

mod common;

use std::time::Duration;

use common::{
    Scene, Seen, Told, client_config,
    identities::{
        CURVE_SUITES, TIME, certificate_config, certificate_trust, certified_client, client_key, raw_client,
        raw_config, raw_trust, server_config, server_key, ways,
    },
    seconds,
};
use lapwing_dtls::{
    CipherSuite, ClientConfig, Established, ServerConfig,
    credentials::{PeerIdentity, ServerTrust, common_name},
    handshake::{ClientHello, Fragments, HandshakeType, ServerHello},
    record::Records,
};
use sim::Cable;

fn scene(seed: u64, cable: Cable, client: ClientConfig, server: ServerConfig) -> Scene {
    let mut scene = Scene::with(seed, cable, client, server);
    scene.client.set_time(TIME);
    scene.server.set_time(TIME);
    scene
}

/// A scene with an association.
fn shaken(seed: u64, client: ClientConfig, server: ServerConfig) -> Scene {
    let mut scene = scene(seed, Cable::new().latency(Duration::from_millis(20)), client, server);
    scene.connect(None);
    scene.run(seconds(5));
    assert!(scene.client.is_established(), "{:?} {:?}", scene.seen, scene.told);
    scene
}

/// What the server says of the association that was made last.
fn theirs(scene: &Scene) -> &Established {
    let mut told = scene.told.iter().rev();
    let established = told.find_map(|told| match told {
        Told::Established(_, established) => Some(established),
        _ => None,
    });
    established.unwrap_or_else(|| panic!("{:?}", scene.told))
}

#[test]
fn raw_public_keys_take_six_flights_and_both_ends_know_each_other() {
    let mut scene = scene(1, Cable::new().latency(Duration::from_millis(50)), raw_config(), server_config());
    scene.connect(None);
    scene.run(seconds(1));
    let established = scene.handshake().clone();
    assert_eq!(established.suite, CipherSuite::EcdheEcdsaAes128Ccm8);
    assert!(established.extended_master_secret && !established.resumed && !established.validity_unchecked);
    assert_eq!(established.peer, PeerIdentity::RawPublicKey(server_key().public_key().to_der()));
    assert_eq!(theirs(&scene).peer, PeerIdentity::RawPublicKey(client_key().public_key().to_der()));
    assert_eq!(scene.world.statistics().sent, 6, "one datagram a flight");
    scene.assert_alive("after a handshake");
}

#[test]
fn every_suite_works_in_every_way_and_without_extended_master_secret_or_connection_id() {
    for (way, config) in ways() {
        for suite in CURVE_SUITES {
            for plain in [false, true] {
                let mut client = config.clone();
                client.suites = vec![suite];
                client.extended_master_secret = !plain;
                client.connection_id = (!plain).then_some(4);
                let label = format!("{way} {suite} {plain}");
                let mut scene = scene(3, Cable::new().latency(Duration::from_millis(20)), client, server_config());
                scene.connect(None);
                scene.run(seconds(5));
                assert!(scene.client.is_established(), "{label}: {:?} {:?}", scene.seen, scene.told);
                let agreed = scene.handshake();
                assert_eq!((agreed.suite, agreed.extended_master_secret), (suite, !plain), "{label}");
                assert_eq!(agreed.encrypt_then_mac, suite == CipherSuite::EcdheEcdsaAes128CbcSha256, "{label}");
                scene.assert_alive(&label);
            }
        }
    }
}

#[test]
fn every_suite_survives_loss_doubling_and_reordering_in_every_way() {
    for (index, (way, config)) in ways().into_iter().enumerate() {
        for suite in CURVE_SUITES {
            for seed in 0..8 {
                let cable = Cable::new()
                    .latency(Duration::from_millis(30))
                    .loss(0.2)
                    .duplication(0.2)
                    .reordering(0.2, Duration::from_millis(500));
                let mut client = config.clone();
                client.suites = vec![suite];
                client.retransmission.most = 9;
                let mut server = server_config();
                server.retransmission.most = 9;
                // Of one size that needs no fragments, and of some that do.
                let size = [1232, 576, 200][seed as usize % 3];
                (client.max_datagram, server.max_datagram) = (size, size);
                let mut scene = scene(100 * index as u64 + seed, cable, client, server);
                scene.connect(None);
                scene.run(seconds(600));
                let label = format!("{way} {suite} {seed}");
                assert!(scene.client.is_established(), "{label}: {:?} {:?}", scene.seen, scene.told);
                assert!(scene.arrived.iter().all(|(_, datagram)| datagram.len() <= size), "{label}");
                assert!(scene.received.iter().all(|datagram| datagram.len() <= size), "{label}");
                scene.world.set_cable(Cable::new());
                scene.seen.retain(|seen| matches!(seen, Seen::Established(_)));
                scene.assert_alive(&label);
            }
        }
    }
}

/// RFC 7366: with and without, the MAC of CBC is right.
#[test]
fn cbc_works_with_the_mac_inside_too() {
    for (way, mut client) in ways() {
        client.suites = vec![CipherSuite::EcdheEcdsaAes128CbcSha256];
        client.encrypt_then_mac = false;
        let mut scene = shaken(5, client, server_config());
        assert!(!scene.handshake().encrypt_then_mac);
        scene.assert_alive(&way);
    }
}

/// RFC 7250 section 3: each end sends what the other can read.
#[test]
fn one_end_may_have_a_certificate_and_the_other_a_raw_public_key() {
    let trust = ServerTrust::Certificate(certificate_trust(2));
    let mut scene = shaken(1, ClientConfig::certificate(raw_client(), trust), server_config());
    assert!(matches!(&scene.handshake().peer, PeerIdentity::Certificate(chain) if chain.len() == 1));
    assert!(matches!(theirs(&scene).peer, PeerIdentity::RawPublicKey(_)));
    scene.assert_alive("a raw public key and a certificate");
    let mut scene = shaken(1, ClientConfig::certificate(certified_client(), raw_trust()), server_config());
    assert!(matches!(scene.handshake().peer, PeerIdentity::RawPublicKey(_)));
    let PeerIdentity::Certificate(chain) = &theirs(&scene).peer else { panic!("{:?}", theirs(&scene)) };
    assert_eq!(common_name(&chain[0]).as_deref(), Some("urn:imei:490154203237518"));
    scene.assert_alive("a certificate and a raw public key");
}

#[test]
fn a_server_has_pre_shared_keys_and_identities_at_once() {
    let mut configs = ways();
    configs.push(("pre-shared key".to_owned(), client_config()));
    for (way, client) in configs {
        let kind = client.suites[0].kind();
        let mut scene = shaken(1, client, server_config());
        assert_eq!(scene.handshake().suite.kind(), kind, "{way}");
        scene.assert_alive(&way);
    }
}

/// What a client offers that has all suites, and what the server takes of it, by what the server has.
#[test]
fn suites_that_do_not_go_with_the_credentials_are_neither_offered_nor_taken() {
    let mut client = raw_config();
    client.suites = CipherSuite::ALL.to_vec();
    let mut server = server_config();
    server.suites = CipherSuite::ALL.into_iter().rev().collect();
    let scene = shaken(1, client, server);
    assert_eq!(scene.handshake().suite, CipherSuite::EcdheEcdsaAes128CbcSha256);
    let hello = ClientHello::parse(&scene.arrived[0].1[25..]).unwrap();
    assert_eq!(hello.suites.iter().collect::<Vec<_>>(), [0xc0ae, 0xc02b, 0xc023, 0x00ff]);
    assert_eq!(hello.extensions.groups.map(|groups| groups.contains(23)), Some(true));
    assert_eq!(hello.extensions.server_certificate_types, Some(&[2][..]));
    assert_eq!(hello.extensions.client_certificate_types, Some(&[2][..]));
}

/// RFC 6066 section 3, and RFC 7250 section 4.1: a name is sent where there is one, and X.509 is not said.
#[test]
fn a_client_with_certificates_says_which_host_it_wants() {
    let scene = shaken(1, certificate_config(2), server_config());
    let hello = ClientHello::parse(&scene.arrived[0].1[25..]).unwrap();
    assert_eq!(hello.extensions.server_name, Some(&b"lwm2m.example"[..]));
    assert_eq!(hello.extensions.server_certificate_types, None);
    assert_eq!(hello.extensions.client_certificate_types, None);
    let hello =
        scene.received.iter().flat_map(|datagram| Records::new(datagram, 0)).flat_map(|record| {
            Fragments::new(record.body).find(|fragment| fragment.kind == HandshakeType::ServerHello)
        });
    let hello = ServerHello::parse(hello.take(1).next().unwrap().body).unwrap();
    assert_eq!(hello.extensions.server_certificate_types, None);
    assert_eq!(hello.extensions.uncompressed_points, Some(true));
}

/// Whichever two datagrams of a handshake are lost, and one of those that are sent again, it is completed.
#[test]
fn any_datagrams_of_a_handshake_may_be_lost() {
    for (size, config) in [(1232, raw_config()), (1232, certificate_config(2)), (500, certificate_config(2))] {
        // Six in all, and with fragments two more.
        let all = if size < 1000 { 10 } else { 6 };
        for first in 0..all {
            for second in first..all {
                let (mut client, mut server) = (config.clone(), server_config());
                (client.max_datagram, server.max_datagram) = (size, size);
                let mut scene = scene(7, Cable::new().latency(Duration::from_millis(20)), client, server);
                let mut number = 0;
                scene.world.lose_when(move |_, _, _| {
                    number += 1;
                    number == first + 1 || number == second + 1 || number == all + 1
                });
                scene.connect(None);
                scene.run(seconds(120));
                let label = format!("{size}: without {first} and {second}");
                assert!(scene.client.is_established(), "{label}: {:?} {:?}", scene.seen, scene.told);
                scene.world.lose_when(|_, _, _| false);
                scene.assert_alive(&label);
            }
        }
    }
}
