//! What an association takes and what it does not: replays, forgeries, closure, a new handshake from its address
//! (RFC 6347 sections 4.1.2.6, 4.1.2.7 and 4.2.8).

mod common;

use std::time::Duration;

use common::{Scene, Seen, Told, client_config, seconds};
use lapwing_dtls::{Closed, SendError, ServerConfig};
use sim::Cable;

fn plain() -> Scene {
    let mut server = ServerConfig::default();
    server.connection_id = None;
    Scene::established(1, client_config(), server)
}

#[test]
fn a_record_acts_once_however_often_it_comes() {
    for mut scene in [plain(), Scene::established(1, client_config(), ServerConfig::default())] {
        scene.send(b"once");
        scene.run(seconds(1));
        let (from, datagram) = scene.arrived.last().cloned().unwrap();
        for _ in 0..3 {
            scene.server.handle_datagram(scene.world.now(), from, &datagram);
        }
        scene.pump();
        assert_eq!(scene.data(), [b"once"]);
        assert_eq!(scene.server.counters().unauthentic, 3);
    }
}

#[test]
fn every_record_arrives_in_any_order_and_none_twice() {
    let mut scene = plain();
    scene.world.set_cable(Cable::new().duplication(0.5).reordering(0.5, Duration::from_millis(200)));
    for number in 0..40u8 {
        scene.send(&[number]);
        scene.run(Duration::from_millis(10));
    }
    scene.run(seconds(1));
    let mut data: Vec<_> = scene.data().into_iter().map(<[u8]>::to_vec).collect();
    assert!(!data.is_sorted(), "some overtook others");
    data.sort();
    assert_eq!(data, (0..40).map(|number| vec![number]).collect::<Vec<_>>());
}

#[test]
fn no_byte_of_a_record_can_be_changed() {
    for mut scene in [plain(), Scene::established(1, client_config(), ServerConfig::default())] {
        scene.client.send(b"authentic").unwrap();
        let mut buffer = Vec::new();
        let range = scene.client.poll_transmit(&mut buffer).unwrap();
        let datagram = buffer[range].to_vec();
        let (now, from) = (scene.world.now(), scene.here);
        for at in 0..datagram.len() {
            for bit in 0..8 {
                let mut changed = datagram.clone();
                changed[at] ^= 1 << bit;
                scene.server.handle_datagram(now, from, &changed);
                scene.pump();
                assert!(scene.data().is_empty(), "byte {at}, bit {bit}");
            }
        }
        scene.server.handle_datagram(now, from, &datagram);
        scene.pump();
        assert_eq!(scene.data(), [b"authentic"]);
        assert_eq!(scene.server.associations(), 1);
    }
}

#[test]
fn alerts_in_the_clear_end_no_association() {
    let mut scene = plain();
    let (now, here) = (scene.world.now(), scene.here);
    for (level, description) in [(1, 0), (2, 0), (2, 40), (2, 20)] {
        for sequence in [0, 9] {
            let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 2, level, description];
            scene.client.handle_datagram(now, &alert);
            scene.server.handle_datagram(now, here, &alert);
        }
    }
    scene.assert_alive("after forged alerts");
}

#[test]
fn closing_is_told_to_the_other_end() {
    let mut scene = plain();
    scene.client.close();
    scene.pump();
    scene.run(seconds(1));
    assert!(matches!(scene.told.last(), Some(Told::Closed(_, Closed::CloseNotify))));
    assert_eq!(scene.server.associations(), 0);
    assert_eq!(scene.client.send(b"too late"), Err(SendError::NotEstablished));

    let mut scene = plain();
    let id = scene.association();
    scene.server.close(id);
    scene.pump();
    scene.run(seconds(1));
    assert_eq!(scene.seen.last(), Some(&Seen::Closed(Closed::CloseNotify)));
    assert!(!scene.client.is_established());
    assert_eq!(scene.server.send(id, b"too late"), Err(SendError::NotEstablished));
}

/// RFC 6347 section 4.2.8: a client that has lost its state may begin anew from the same address; until it is authentic the
/// association that is there goes on.
#[test]
fn a_new_handshake_from_a_live_address_disturbs_nothing_until_it_is_authentic() {
    for config in [ServerConfig::default(), {
        let mut config = ServerConfig::default();
        config.connection_id = None;
        config
    }] {
        let mut scene = Scene::established(1, client_config(), config);
        let old = scene.association();
        // Somebody else at the client's address: with cookie, without the key.
        let mut stranger = client_config();
        stranger.credentials = common::credentials(common::IDENTITY, b"guessed");
        let mut intruder = lapwing_dtls::Client::new(std::sync::Arc::new(stranger), [8; 32]);
        intruder.connect(scene.world.now(), None);
        for _ in 0..4 {
            exchange(&mut scene, &mut intruder);
            // In each state of that handshake the association goes on.
            let told = scene.told.len();
            scene.client.send(b"still here").unwrap();
            scene.pump();
            scene.run(Duration::from_millis(100));
            assert_eq!(scene.told[told..], [Told::Data(old, b"still here".to_vec())]);
            scene.server.send(old, b"yes").unwrap();
            scene.pump();
            scene.run(Duration::from_millis(100));
            assert_eq!(scene.seen.last(), Some(&Seen::Data(b"yes".to_vec())));
        }
        scene.run(seconds(100));
        assert_eq!(scene.server.handshakes(), 0, "it was given up");
        assert_eq!(scene.server.associations(), 1);
        // The client itself, which has lost its state.
        scene.connect(None);
        scene.run(seconds(5));
        assert!(scene.told.contains(&Told::Closed(old, Closed::Replaced)), "{:?}", scene.told);
        assert_eq!(scene.server.associations(), 1);
        scene.assert_alive("after a new handshake");
    }
}

/// One flight there and one back, without the cable.
fn exchange(scene: &mut Scene, intruder: &mut lapwing_dtls::Client) {
    let (now, from) = (scene.world.now(), scene.here);
    let mut buffer = Vec::new();
    while let Some(range) = intruder.poll_transmit(&mut buffer) {
        scene.server.handle_datagram(now, from, &buffer[range]);
    }
    while let Some((_, range)) = scene.server.poll_transmit(&mut buffer) {
        intruder.handle_datagram(now, &buffer[range.clone()]);
        scene.client.handle_datagram(now, &buffer[range]);
    }
}

#[test]
fn what_does_not_fit_into_a_datagram_is_refused_and_what_fits_is_not_larger() {
    for suite in [lapwing_dtls::CipherSuite::PskAes128Ccm8, lapwing_dtls::CipherSuite::PskAes128CbcSha256] {
        let mut client = client_config();
        client.suites = vec![suite];
        client.max_datagram = 300;
        let mut scene = Scene::established(1, client, ServerConfig::default());
        let mut sent = 0;
        for length in 0..400 {
            match scene.client.send(&vec![7; length]) {
                Ok(()) => sent += 1,
                Err(error) => assert!(error == SendError::TooLong(length) && length > 200, "{length}: {error}"),
            }
        }
        scene.pump();
        scene.run(seconds(1));
        assert_eq!(scene.data().len(), sent);
        assert!(scene.arrived.iter().all(|(_, datagram)| datagram.len() <= 300));
    }
}

#[test]
fn associations_are_bounded_and_the_one_silent_longest_gives_way() {
    let mut config = ServerConfig::default();
    config.max_associations = 2;
    let mut scene = Scene::established(1, client_config(), config);
    let mut ids = vec![scene.association()];
    for host in 2..4 {
        scene.server.add_psk(common::psk());
        scene.client = lapwing_dtls::Client::new(std::sync::Arc::new(client_config()), [host; 32]);
        scene.move_to(format!("10.1.0.{host}:5684").parse().unwrap());
        scene.connect(None);
        scene.run(seconds(2));
        ids.push(scene.association());
        assert!(scene.server.associations() <= 2);
    }
    assert!(scene.told.contains(&Told::Closed(ids[0], Closed::Evicted)), "{:?}", scene.told);
    assert_eq!(scene.server.send(ids[0], b""), Err(SendError::NotEstablished));
    assert_eq!(scene.server.send(ids[1], b""), Ok(()));
}
