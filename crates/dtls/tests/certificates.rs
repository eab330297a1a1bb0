//! Handshakes with raw public keys and certificates: what they agree on, whom they believe, and how they fare when datagrams are
//! lost, doubled and re-ordered (RFC 8422, RFC 7250, RFC 7925 sections 4.3 and 4.4).

mod common;

use std::time::Duration;

use common::{
    Scene, Seen, Told,
    identities::{CURVE_SUITES, TIME, client_key, raw_config, server_config, server_key, ways},
    seconds,
};
use lapwing_dtls::{CipherSuite, ClientConfig, Established, ServerConfig, credentials::PeerIdentity};
use sim::Cable;

fn scene(seed: u64, cable: Cable, client: ClientConfig, server: ServerConfig) -> Scene {
    let mut scene = Scene::with(seed, cable, client, server);
    scene.client.set_time(TIME);
    scene.server.set_time(TIME);
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
