//! Handshakes with a pre-shared key: what they agree on, and how they fare when datagrams are lost, doubled, re-ordered and cut
//! (RFC 6347 sections 4.2.1 to 4.2.4, RFC 4279).

mod common;

use std::time::Duration;

use common::{Scene, Seen, Told, client_config, seconds};
use lapwing_dtls::{
    CipherSuite, ClientCredentials, Failure, ServerConfig,
    alert::AlertDescription,
    credentials::{PeerIdentity, Psk},
    handshake::Fragments,
    record::{ContentType, Records},
};
use sim::Cable;

#[test]
fn a_handshake_takes_six_flights_and_both_ends_agree() {
    let mut scene = Scene::new(1, Cable::new().latency(Duration::from_millis(50)));
    scene.connect(None);
    scene.run(seconds(1));
    let established = scene.handshake().clone();
    assert_eq!(established.suite, CipherSuite::PskAes128Ccm8);
    assert!(established.extended_master_secret && !established.resumed && !established.encrypt_then_mac);
    let Some(Told::Established(_, theirs)) = scene.told.first() else { panic!("{:?}", scene.told) };
    assert_eq!(theirs.own_connection_id, established.peer_connection_id);
    assert_eq!(established.peer_connection_id.len(), 6);
    assert_eq!(theirs.peer_connection_id, established.own_connection_id);
    assert_eq!(theirs.peer, PeerIdentity::Psk(common::IDENTITY.to_vec()));
    assert_eq!(scene.world.statistics().sent, 6, "one datagram a flight");
    assert_eq!(scene.client.poll_timeout(), None);
    assert_eq!(scene.server.poll_timeout(), None);
    scene.assert_alive("after a handshake");
}

#[test]
fn every_suite_works_with_and_without_connection_ids() {
    for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128CbcSha256] {
        for client_id in [None, Some(0), Some(1), Some(32)] {
            for server_id in [None, Some(0), Some(1), Some(32)] {
                let mut client = client_config();
                client.suites = vec![suite];
                client.connection_id = client_id;
                let mut server = ServerConfig::default();
                server.connection_id = server_id;
                let mut scene = Scene::established(7, client, server);
                let label = format!("{suite} {client_id:?} {server_id:?}");
                let agreed = scene.handshake().clone();
                let (own, peer) = match (client_id, server_id) {
                    (Some(own), Some(peer)) => (own, peer),
                    _ => (0, 0),
                };
                assert_eq!(agreed.own_connection_id.len(), own, "{label}");
                assert_eq!(agreed.peer_connection_id.len(), peer, "{label}");
                assert_eq!(agreed.encrypt_then_mac, suite == CipherSuite::PskAes128CbcSha256, "{label}");
                scene.assert_alive(&label);
            }
        }
    }
}

#[test]
fn a_handshake_survives_loss_doubling_and_reordering() {
    for seed in 0..300 {
        let cable = Cable::new()
            .latency(Duration::from_millis(30))
            .loss(0.2)
            .duplication(0.2)
            .reordering(0.2, Duration::from_millis(500));
        let mut client = client_config();
        client.retransmission.most = 9;
        let mut server = ServerConfig::default();
        server.retransmission.most = 9;
        let mut scene = Scene::with(seed, cable, client, server);
        scene.connect(None);
        scene.run(seconds(300));
        assert!(
            scene.client.is_established(),
            "seed {seed}: {:?} {:?}\n{}",
            scene.seen,
            scene.told,
            scene.world.trace().ladder(|bytes| format!("{} {:?}", bytes.len(), kinds(bytes)))
        );
        scene.world.set_cable(Cable::new());
        scene.assert_alive(&format!("seed {seed}"));
    }
}

/// The same when messages come in many small pieces (RFC 6347 section 4.2.3).
#[test]
fn a_handshake_survives_fragments_of_all_orders() {
    for seed in 0..100 {
        let cable =
            Cable::new().latency(Duration::from_millis(30)).loss(0.1).reordering(0.5, Duration::from_millis(90));
        let mut server = ServerConfig::default();
        server.max_datagram = 64;
        let mut client = client_config();
        client.retransmission.most = 9;
        let psk = Psk::new(vec![b'i'; 3000], &b"a key"[..]).unwrap();
        client.credentials = ClientCredentials::Psk(psk.clone());
        client.max_datagram = 512;
        let mut scene = Scene::with(seed, cable, client.clone(), server);
        scene.server.add_psk(psk);
        scene.connect(None);
        scene.run(seconds(300));
        assert!(scene.client.is_established(), "seed {seed}: {:?}", scene.seen);
        assert!(scene.arrived.iter().all(|(_, datagram)| datagram.len() <= 512));
    }
}

#[test]
fn a_flight_is_sent_again_after_one_second_and_then_twice_as_long_each_time() {
    let mut scene = Scene::new(1, Cable::new().loss(1.0));
    scene.connect(None);
    let mut times = Vec::new();
    while let Some((at, _)) = scene.client.poll_timeout() {
        times.push(at.as_secs());
        scene.run(at - scene.world.now());
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63]);
    assert_eq!(scene.seen, [Seen::Failed(Failure::TimedOut)]);
    assert_eq!(scene.world.statistics().sent, 6);
    scene.run(seconds(600));
    assert_eq!(scene.world.statistics().sent, 6, "it was given up");
}

#[test]
fn the_wait_grows_to_sixty_seconds() {
    let mut client = client_config();
    client.retransmission.most = 9;
    let mut scene = Scene::with(1, Cable::new().loss(1.0), client, ServerConfig::default());
    scene.connect(None);
    let mut times = Vec::new();
    while let Some((at, _)) = scene.client.poll_timeout() {
        times.push(at.as_secs());
        scene.run(at - scene.world.now());
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63, 123, 183, 243, 303]);
}

/// RFC 4279 section 2: with `unknown_psk_identity`, and only once.
#[test]
fn an_unknown_identity_is_answered_with_alert_115() {
    let mut client = client_config();
    client.credentials = common::credentials(b"stranger", common::KEY);
    let mut scene = Scene::with(1, Cable::new().latency(Duration::from_millis(20)), client, ServerConfig::default());
    scene.connect(None);
    scene.run(seconds(100));
    assert_eq!(scene.seen, [Seen::Failed(Failure::Alert(AlertDescription::UNKNOWN_PSK_IDENTITY))]);
    assert_eq!(scene.told, [Told::Failed(Failure::Refused(AlertDescription::UNKNOWN_PSK_IDENTITY))]);
    assert_eq!(scene.server.handshakes(), 0);
    assert_eq!(alerts(&scene.received), [[2, 115]]);
}

#[test]
fn a_wrong_key_is_reported_on_both_sides() {
    let mut client = client_config();
    client.credentials = common::credentials(common::IDENTITY, b"another");
    let mut scene = Scene::with(1, Cable::new().latency(Duration::from_millis(20)), client, ServerConfig::default());
    scene.connect(None);
    scene.run(seconds(100));
    assert_eq!(scene.seen, [Seen::Failed(Failure::Alert(AlertDescription::BAD_RECORD_MAC))]);
    assert_eq!(scene.told, [Told::Failed(Failure::Refused(AlertDescription::BAD_RECORD_MAC))]);
    assert_eq!((scene.server.handshakes(), scene.server.associations()), (0, 0));
}

#[test]
fn no_common_suite_is_a_handshake_failure() {
    let mut client = client_config();
    client.suites = vec![CipherSuite::PskAes128CbcSha256];
    let mut server = ServerConfig::default();
    server.suites = vec![CipherSuite::PskAes128Ccm8];
    let mut scene = Scene::with(1, Cable::new(), client, server);
    scene.connect(None);
    scene.run(seconds(30));
    assert_eq!(scene.seen, [Seen::Failed(Failure::Alert(AlertDescription::HANDSHAKE_FAILURE))]);
    assert_eq!(scene.server.handshakes(), 0);
}

#[test]
fn suites_that_do_not_go_with_a_key_are_neither_offered_nor_taken() {
    let mut client = client_config();
    client.suites = CipherSuite::ALL.into_iter().rev().collect();
    let mut server = ServerConfig::default();
    server.suites = client.suites.clone();
    let scene = Scene::established(1, client, server);
    assert_eq!(scene.handshake().suite, CipherSuite::PskAes128CbcSha256);
    let hello = &scene.arrived[0].1[25..];
    let hello = lapwing_dtls::handshake::ClientHello::parse(hello).unwrap();
    assert_eq!(hello.suites.iter().collect::<Vec<_>>(), [0x00ae, 0xc0a8, 0x00ff]);
}

/// RFC 6347 section 4.2.1: no state before the cookie has come back, and an answer smaller than the question.
#[test]
fn a_server_keeps_nothing_and_says_little_before_the_cookie_comes_back() {
    let mut scene = Scene::new(1, Cable::new());
    let there = scene.there;
    scene.world.lose_when(move |_, to, _| to != there);
    scene.connect(None);
    scene.run(seconds(20));
    assert!(scene.arrived.len() > 3);
    assert_eq!(scene.server.handshakes(), 0);
    assert_eq!(scene.server.counters().cookies, scene.arrived.len() as u64);
    let hello = scene.arrived[0].1.clone();
    let from = scene.here;
    let mut buffer = Vec::new();
    scene.server.handle_datagram(scene.world.now(), from, &hello);
    let (to, range) = scene.server.poll_transmit(&mut buffer).unwrap();
    assert!(to == from && range.len() < hello.len() && range.len() == 44);
    assert_eq!(scene.server.poll_transmit(&mut buffer), None);
}

/// A cookie is good from the address that it was sent to, and not for ever.
#[test]
fn a_cookie_of_another_address_or_time_is_answered_with_a_new_one() {
    let mut scene = Scene::new(1, Cable::new());
    scene.connect(None);
    scene.run(seconds(1));
    let with_cookie = scene.arrived[1].1.clone();
    let mut count = |now, from| {
        scene.server.handle_datagram(now, from, &with_cookie);
        (scene.server.handshakes(), scene.server.counters().cookies)
    };
    assert_eq!(count(seconds(2), "10.9.9.9:1".parse().unwrap()), (0, 2));
    assert_eq!(count(seconds(2), scene.here), (1, 2));
    assert_eq!(count(seconds(600), "10.9.9.9:1".parse().unwrap()), (1, 3));
    assert_eq!(count(seconds(600), scene.here), (1, 4));
}

/// A forged alert or message must not end a handshake that goes on.
#[test]
fn a_handshake_survives_forged_messages_in_the_clear() {
    let mut scene = Scene::new(3, Cable::new().latency(Duration::from_millis(100)));
    scene.connect(None);
    scene.run(Duration::from_millis(150));
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let done = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 12, 14, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let (now, here) = (scene.world.now(), scene.here);
    for forged in [&alert[..], &done] {
        scene.client.handle_datagram(now, forged);
        scene.server.handle_datagram(now, here, forged);
    }
    scene.run(seconds(10));
    assert!(scene.client.is_established(), "{:?}", scene.seen);
    scene.assert_alive("after forgeries");
}

/// The Finished is lost, and a forged record comes in its place: the true one, sent again, still counts.
#[test]
fn a_forged_finished_costs_no_handshake() {
    let mut scene = Scene::new(3, Cable::new().latency(Duration::from_millis(100)));
    let there = scene.there;
    scene.connect(None);
    scene.run(Duration::from_millis(350));
    let mut lost = 0;
    // Of the flight with the Finished, the first two are cut after the ClientKeyExchange.
    scene.world.lose_when(move |_, to, bytes| {
        lost += u32::from(to == there && bytes.len() > 100 && bytes[25 - 12] == 16);
        to == there && lost <= 2 && bytes[25 - 12] == 16
    });
    scene.run(Duration::from_millis(100));
    let (now, here) = (scene.world.now(), scene.here);
    let key_exchange = {
        let mut message = vec![16, 0, 0, 26, 0, 2, 0, 0, 0, 0, 0, 26, 0, 24];
        message.extend_from_slice(common::IDENTITY);
        let mut record = Vec::new();
        lapwing_dtls::record::put_header(&mut record, ContentType::Handshake, 0, 7, &[], message.len());
        [record, message].concat()
    };
    scene.server.handle_datagram(now, here, &key_exchange);
    let mut forged = Vec::new();
    lapwing_dtls::record::put_header(&mut forged, ContentType::Handshake, 1, 0, &[], 40);
    forged.extend_from_slice(&[7; 40]);
    scene.server.handle_datagram(now, here, &forged);
    scene.pump();
    assert_eq!(scene.server.counters().unauthentic, 1);
    // The alert that the forgery caused does not reach the client in time to be believed: it is lost.
    scene.world.cut_one_way(there, here);
    scene.run(Duration::from_millis(300));
    scene.world.restore(there, here);
    scene.run(seconds(30));
    assert!(scene.client.is_established(), "{:?} {:?}", scene.seen, scene.told);
    scene.assert_alive("after a forged Finished");
}

/// A server that restarted in the middle of a handshake knows no cookie of the time before.
#[test]
fn a_client_takes_a_second_cookie() {
    let mut scene = Scene::new(3, Cable::new().latency(Duration::from_millis(100)));
    scene.connect(None);
    scene.run(Duration::from_millis(250));
    let mut server = lapwing_dtls::Server::new(std::sync::Arc::default(), [9; 32]);
    server.add_psk(common::psk());
    scene.server = server;
    scene.run(seconds(10));
    assert!(scene.client.is_established(), "{:?}", scene.seen);
}

#[test]
fn extended_master_secret_can_be_demanded_and_the_clear_messages_are_as_the_standard_has_them() {
    let mut client = client_config();
    client.require_extended_master_secret = true;
    let mut server = ServerConfig::default();
    server.require_extended_master_secret = true;
    let scene = Scene::established(1, client, server);
    assert!(scene.handshake().extended_master_secret);
    let kinds: Vec<_> = scene.received.iter().flat_map(|datagram| kinds(datagram)).collect();
    // HelloVerifyRequest; ServerHello, ServerHelloDone; NewSessionTicket (and the Finished, which is protected).
    assert_eq!(kinds, [3, 2, 14, 4]);
}

fn kinds(datagram: &[u8]) -> Vec<u8> {
    let clear = Records::new(datagram, 0).filter(|record| record.epoch == 0);
    let bodies = clear.filter(|record| record.content_type == ContentType::Handshake).map(|record| record.body);
    bodies.flat_map(|body| Fragments::new(body).map(|fragment| fragment.kind as u8)).collect()
}

fn alerts(datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let records = datagrams.iter().flat_map(|datagram| Records::new(datagram, 0));
    records.filter(|record| record.content_type == ContentType::Alert).map(|record| record.body.to_vec()).collect()
}
