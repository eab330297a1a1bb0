//! Sessions of raw public keys and certificates: resumed by ticket and by id (RFC 5077, RFC 5246 section 7.3, RFC 7627 section 5.3),
//! and associations that go on after a restart.

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    Scene, Seen, Told, client_config,
    identities::{TIME, certificate_config, other_key, raw_client, raw_config, server_config, ways},
    seconds,
};
use lapwing_dtls::{
    CipherSuite, Client, ClientConfig, Established, Failure, Server, ServerConfig, Session,
    alert::AlertDescription,
    credentials::{Identity, PeerIdentity},
    handshake::{Fragments, HandshakeType},
    record::Records,
};
use sim::Cable;

fn established(client: ClientConfig, server: ServerConfig) -> Scene {
    let mut scene = Scene::with(1, Cable::new(), client, server);
    scene.client.set_time(TIME);
    scene.server.set_time(TIME);
    scene.connect(None);
    scene.run(seconds(2));
    assert!(scene.client.is_established(), "{:?} {:?}", scene.seen, scene.told);
    scene
}

fn again(scene: &mut Scene, session: Option<Session>) -> Established {
    scene.seen.retain(|seen| !matches!(seen, Seen::Established(_)));
    scene.connect(session);
    scene.run(seconds(5));
    scene.handshake().clone()
}

/// What the server says of the client.
fn client_of(scene: &Scene) -> PeerIdentity {
    let mut told = scene.told.iter().rev();
    let peer = told.find_map(|told| match told {
        Told::Established(_, established) => Some(established.peer.clone()),
        _ => None,
    });
    peer.unwrap()
}

#[test]
fn sessions_are_resumed_by_ticket_and_by_id_and_both_ends_still_know_each_other() {
    for (way, config) in ways() {
        for tickets in [true, false] {
            let label = format!("{way} tickets {tickets}");
            let mut client = config.clone();
            client.tickets = tickets;
            let mut scene = established(client, server_config());
            let (server, client) = (scene.handshake().peer.clone(), client_of(&scene));
            let session = scene.client.session().cloned().expect("a session to resume");
            let before = scene.received.len();
            let resumed = again(&mut scene, Some(session));
            assert!(resumed.resumed, "{label}");
            assert_eq!((resumed.peer, client_of(&scene)), (server, client), "{label}");
            // Neither certificates nor what goes with them.
            for record in scene.received[before..].iter().flat_map(|datagram| Records::new(datagram, 0)) {
                let fragments = Fragments::new(record.body).filter(|_| record.epoch == 0);
                assert!(fragments.map(|fragment| fragment.kind).all(|kind| kind != HandshakeType::Certificate));
            }
            scene.assert_alive(&label);
        }
    }
}

#[test]
fn a_session_is_resumed_after_a_restart_of_the_client() {
    for (way, config) in ways() {
        let mut scene = established(config.clone(), server_config());
        let bytes = scene.client.session().unwrap().to_bytes();
        scene.client = Client::new(Arc::new(config), [5; 32]);
        scene.client.set_time(TIME);
        assert!(again(&mut scene, Session::from_bytes(&bytes)).resumed, "{way}");
        scene.assert_alive(&way);
        assert!((0..bytes.len()).all(|length| Session::from_bytes(&bytes[..length]).is_none()));
    }
}

#[test]
fn a_resumption_survives_loss_doubling_and_reordering() {
    for (way, config) in ways() {
        for seed in 0..20 {
            let mut client = config.clone();
            client.tickets = seed % 2 == 0;
            client.retransmission.most = 9;
            let mut scene = established(client, server_config());
            let session = scene.client.session().cloned();
            let cable = Cable::new().latency(Duration::from_millis(30)).loss(0.2).duplication(0.2);
            scene.world.set_cable(cable.reordering(0.2, Duration::from_millis(500)));
            scene.seen.clear();
            scene.connect(session);
            scene.run(seconds(300));
            let label = format!("{way} {seed}: {:?}", scene.seen);
            assert!(scene.handshake().resumed, "{label}");
            scene.world.set_cable(Cable::new());
            scene.assert_alive(&label);
        }
    }
}

/// RFC 7627 section 5.3: a full handshake where the client has it now and the session has not; refused by the server where the session
/// has it and the client would go without.
#[test]
fn a_session_is_not_resumed_when_extended_master_secret_differs() {
    for (way, config) in ways() {
        for (then, now) in [(true, false), (false, true)] {
            let mut first = config.clone();
            first.extended_master_secret = then;
            let mut scene = established(first, server_config());
            let session = scene.client.session().cloned();
            let mut second = config.clone();
            second.extended_master_secret = now;
            scene.client = Client::new(Arc::new(second), [5; 32]);
            scene.client.set_time(TIME);
            let established = again(&mut scene, session);
            assert_eq!((established.resumed, established.extended_master_secret), (false, now), "{way}");
        }
    }
    // A client that offers such a session all the same, as ours does not: its hello, with the extension spoiled.
    let mut scene = established(raw_config(), server_config());
    let session = scene.client.session().cloned();
    let there = scene.there;
    scene.seen.clear();
    scene.told.clear();
    scene.world.lose_when(move |_, to, _| to == there);
    scene.connect(session);
    let mut hello = Vec::new();
    scene.client.handle_timeout(scene.world.now() + seconds(1));
    let range = scene.client.poll_transmit(&mut hello).unwrap();
    let mut hello = hello[range].to_vec();
    let at = hello.windows(4).position(|bytes| bytes == [0, 23, 0, 0]).unwrap();
    hello[at] = 0x7f;
    let (now, here) = (scene.world.now(), scene.here);
    scene.server.handle_datagram(now, here, &hello);
    let mut answer = Vec::new();
    let (_, range) = scene.server.poll_transmit(&mut answer).unwrap();
    let cookie = answer[range][28..].to_vec();
    // The cookie goes after version, random and the attempt's name; three lengths grow by it.
    let at = 25 + 2 + 32 + 1 + 32;
    hello.splice(at..=at, [&[16][..], &cookie].concat());
    for (at, length) in [(11, hello.len() - 13), (14 + 1, hello.len() - 25), (14 + 9, hello.len() - 25)] {
        hello[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    }
    scene.server.handle_datagram(now, here, &hello);
    scene.pump();
    assert_eq!(scene.told, [Told::Failed(Failure::Refused(AlertDescription::HANDSHAKE_FAILURE))]);
}

/// A server that does not believe such clients any more does not resume their sessions either.
#[test]
fn a_ticket_is_of_no_use_to_those_who_would_not_be_let_in() {
    let key = Some([9; 16].into());
    let mut with = server_config();
    with.ticket_key.clone_from(&key);
    let mut without = with.clone();
    without.client_trust.raw_public_keys = false;
    for (server, expected) in [(with.clone(), true), (without, false)] {
        let mut scene = established(raw_config(), with.clone());
        let session = scene.client.session().cloned();
        scene.server = Server::new(Arc::new(server), [8; 32]);
        scene.server.set_time(TIME);
        scene.seen.clear();
        scene.connect(session);
        scene.run(seconds(10));
        let resumed = scene.seen.iter().any(|seen| matches!(seen, Seen::Established(e) if e.resumed));
        let refused = Seen::Failed(Failure::Alert(AlertDescription::UNSUPPORTED_CERTIFICATE));
        assert_eq!((resumed, scene.seen.contains(&refused)), (expected, !expected));
    }
}

/// Tickets fit into a ClientHello of one datagram; a client that does not fit gets none and makes a full handshake.
#[test]
fn a_ticket_is_never_longer_than_a_client_hello_can_carry() {
    let long = |length| lapwing_dtls::credentials::Psk::new(vec![b'i'; length], &b"a key"[..]).unwrap();
    for (length, expected) in [(600, true), (2000, false)] {
        let mut scene = Scene::with(1, Cable::new(), ClientConfig::psk(long(length)), server_config());
        scene.server.add_psk(long(length));
        scene.connect(None);
        scene.run(seconds(2));
        let session = scene.client.session().cloned();
        assert_eq!(session.is_some(), expected, "an identity of {length} bytes");
        assert_eq!(again(&mut scene, session).resumed, expected);
    }
    // The client knows when a hello would have to be cut.
    let mut config = raw_config();
    config.max_datagram = 400;
    let mut scene = established(config, server_config());
    let session = scene.client.session().cloned();
    assert!(session.is_some());
    assert!(!again(&mut scene, session).resumed);
}

#[test]
fn associations_go_on_after_a_restart_of_either_end() {
    for (way, mut config) in ways() {
        config.connection_id = Some(4);
        let mut scene = established(config.clone(), server_config());
        let (ours, theirs) = (scene.handshake().peer.clone(), client_of(&scene));
        let export = scene.client.export(100).unwrap();
        assert!(export.bytes.len() < 1200, "{way}: {} bytes", export.bytes.len());
        let id = scene.association();
        let exported = scene.server.export(id, 100).unwrap();
        assert!(
            (0..export.bytes.len())
                .all(|length| !Client::new(Arc::new(config.clone()), [3; 32]).import(&export.bytes[..length]))
        );
        scene.client = Client::new(Arc::new(config), [3; 32]);
        assert!(scene.client.import(&export.bytes));
        let next = scene.client.export(100).unwrap();
        scene.client.exported(&next);
        scene.server = Server::new(Arc::new(server_config()), [3; 32]);
        let id = scene.server.import(scene.world.now(), scene.here, &exported.bytes).unwrap();
        let next = scene.server.export(id, 100).unwrap();
        scene.server.exported(id, &next);
        scene.send(b"still here");
        scene.run(seconds(1));
        let Some(Told::Unconfirmed(_, record, data)) = scene.told.last() else { panic!("{way}: {:?}", scene.told) };
        assert_eq!(data, b"still here");
        scene.server.confirm(id, *record);
        scene.server.send(id, b"so am I").unwrap();
        scene.pump();
        scene.run(seconds(1));
        let Some(Seen::Unconfirmed(record, _)) = scene.seen.last() else { panic!("{way}: {:?}", scene.seen) };
        scene.client.confirm(*record);
        scene.assert_alive(&way);
        assert!(!matches!(ours, PeerIdentity::Psk(_)) && !matches!(theirs, PeerIdentity::Psk(_)));
    }
}

/// An export of an association with another server than the configured one is of no use.
#[test]
fn an_export_is_taken_by_those_who_believe_the_same_server() {
    let mut scene = established(raw_config(), server_config());
    let export = scene.client.export(100).unwrap();
    let mut other = Server::new(Arc::new(server_config()), [3; 32]);
    assert!(other.import(seconds(0), scene.here, &export.bytes).is_none(), "it is a client's");
    let pinned = lapwing_dtls::credentials::ServerTrust::RawPublicKey(common::identities::exactly(
        &other_key().public_key().to_der(),
    ));
    let mut another_suite = raw_config();
    another_suite.suites = vec![CipherSuite::EcdheEcdsaAes128GcmSha256];
    let configs = [
        (raw_config(), true),
        (another_suite, false),
        (ClientConfig::certificate(Identity::raw_public_key(other_key()), common::identities::raw_trust()), true),
        (ClientConfig::certificate(raw_client(), pinned), false),
        (certificate_config(3), false),
        (client_config(), false),
    ];
    for (config, expected) in configs {
        assert_eq!(Client::new(Arc::new(config), [3; 32]).import(&export.bytes), expected);
    }
}
