//! Sessions resumed by ticket and by id (RFC 5077, RFC 5246 section 7.3, RFC 7627 section 5.3).

mod common;

use std::{sync::Arc, time::Duration};

use common::{Scene, Seen, Told, client_config, seconds};
use lapwing_dtls::{
    CipherSuite, Client, ClientConfig, Failure, ServerConfig, Session,
    alert::AlertDescription,
    credentials::{PeerIdentity, Psk},
};
use sim::Cable;

fn by_id() -> ClientConfig {
    let mut config = client_config();
    config.tickets = false;
    config
}

#[test]
fn a_session_is_resumed_by_ticket_and_by_id_in_two_round_trips() {
    for config in [client_config(), by_id()] {
        let mut scene = Scene::established(1, config, ServerConfig::default());
        let session = scene.client.session().cloned().expect("a session to resume");
        let sent = scene.world.statistics().sent;
        scene.connect(Some(session.clone()));
        scene.run(seconds(2));
        assert!(scene.handshake().resumed, "{session:?}");
        assert_eq!(scene.world.statistics().sent - sent, 5, "hello, cookie, hello, server's and client's Finished");
        let id = scene.association();
        assert!(
            matches!(scene.told.last(), Some(Told::Established(_, e)) if e.resumed && e.peer == PeerIdentity::Psk(common::IDENTITY.to_vec()))
        );
        assert!(scene.told.iter().any(|told| matches!(told, Told::Closed(old, _) if *old != id)));
        scene.assert_alive("after a resumption");
        // And again, by what the second handshake left.
        let session = scene.client.session().cloned().expect("a session to resume");
        scene.connect(Some(session));
        scene.run(seconds(2));
        assert!(scene.handshake().resumed);
        scene.assert_alive("after a second resumption");
    }
}

#[test]
fn a_session_is_resumed_after_a_restart_of_the_client() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let bytes = scene.client.session().unwrap().to_bytes();
    assert!(bytes.len() < 400, "{} bytes", bytes.len());
    scene.client = Client::new(Arc::new(client_config()), [5; 32]);
    scene.connect(Session::from_bytes(&bytes));
    scene.run(seconds(2));
    assert!(scene.handshake().resumed);
    scene.assert_alive("after a restart");
    for length in 0..bytes.len() {
        assert!(Session::from_bytes(&bytes[..length]).is_none());
    }
}

#[test]
fn a_resumption_survives_loss_doubling_and_reordering() {
    for seed in 0..200 {
        let mut config = if seed % 2 == 0 { client_config() } else { by_id() };
        config.retransmission.most = 9;
        let mut scene = Scene::established(seed, config, ServerConfig::default());
        let session = scene.client.session().cloned();
        scene.seen.clear();
        scene.world.set_cable(
            Cable::new()
                .latency(Duration::from_millis(30))
                .loss(0.2)
                .duplication(0.2)
                .reordering(0.2, Duration::from_millis(500)),
        );
        scene.connect(session);
        scene.run(seconds(300));
        assert!(scene.handshake().resumed, "seed {seed}: {:?}", scene.seen);
        scene.world.set_cable(Cable::new());
        scene.assert_alive(&format!("seed {seed}"));
    }
}

#[test]
fn a_server_that_knows_nothing_of_the_session_makes_a_full_handshake() {
    for config in [client_config(), by_id()] {
        let mut scene = Scene::established(1, config, ServerConfig::default());
        let session = scene.client.session().cloned();
        let mut server = lapwing_dtls::Server::new(Arc::default(), [9; 32]);
        server.add_psk(common::psk());
        scene.server = server;
        scene.connect(session);
        scene.run(seconds(2));
        assert!(!scene.handshake().resumed);
        scene.assert_alive("after a full handshake");
    }
}

#[test]
fn a_session_is_too_old_when_its_time_is_over() {
    for config in [client_config(), by_id()] {
        let mut server = ServerConfig::default();
        server.session_lifetime = seconds(100);
        let mut scene = Scene::established(1, config, server);
        let session = scene.client.session().cloned();
        scene.run(seconds(90));
        scene.connect(session.clone());
        scene.run(seconds(20));
        assert!(scene.handshake().resumed);
        scene.connect(session);
        scene.run(seconds(5));
        assert!(!scene.handshake().resumed);
    }
}

#[test]
fn a_key_that_was_taken_away_or_changed_takes_its_sessions_along() {
    for config in [client_config(), by_id()] {
        let mut scene = Scene::established(1, config, ServerConfig::default());
        let session = scene.client.session().cloned();
        scene.server.remove_psk(common::IDENTITY);
        scene.seen.clear();
        scene.connect(session);
        scene.run(seconds(5));
        assert_eq!(scene.seen, [Seen::Failed(Failure::Alert(AlertDescription::UNKNOWN_PSK_IDENTITY))]);
    }
}

/// Whoever has got hold of a key must not live on by a ticket when it was changed, also where it was taken away before.
#[test]
fn a_session_of_another_key_with_the_same_identity_is_not_resumed() {
    for (config, removed) in [(client_config(), false), (client_config(), true), (by_id(), false), (by_id(), true)] {
        let mut scene = Scene::established(1, config, ServerConfig::default());
        let session = scene.client.session().cloned();
        if removed {
            scene.server.remove_psk(common::IDENTITY);
        }
        scene.server.add_psk(Psk::new(common::IDENTITY, *b"another secret b").unwrap());
        scene.seen.clear();
        scene.connect(session);
        scene.run(seconds(5));
        assert_eq!(scene.seen, [Seen::Failed(Failure::Alert(AlertDescription::BAD_RECORD_MAC))]);
    }
}

#[test]
fn a_server_without_resumption_gives_nothing_to_resume() {
    for config in [client_config(), by_id()] {
        let mut server = ServerConfig::default();
        server.session_lifetime = Duration::ZERO;
        let scene = Scene::established(1, config, server);
        assert!(scene.client.session().is_none());
    }
}

#[test]
fn remembered_sessions_are_bounded() {
    let mut server = ServerConfig::default();
    server.max_sessions = 4;
    let mut scene = Scene::established(1, by_id(), server);
    let first = scene.client.session().cloned();
    for _ in 0..4 {
        scene.connect(None);
        scene.run(seconds(2));
    }
    let last = scene.client.session().cloned();
    scene.connect(last);
    scene.run(seconds(2));
    assert!(scene.handshake().resumed);
    scene.connect(first);
    scene.run(seconds(2));
    assert!(!scene.handshake().resumed, "the oldest gave way");
}

/// RFC 7627 section 5.3: a session that was made without Extended Master Secret is not resumed by a client that has it; one that was
/// made with it is never resumed without.
#[test]
fn a_full_handshake_is_made_when_extended_master_secret_differs() {
    let mut without = client_config();
    without.extended_master_secret = false;
    let mut scene = Scene::established(1, without.clone(), ServerConfig::default());
    assert!(!scene.handshake().extended_master_secret);
    let old = scene.client.session().cloned();
    scene.connect(old.clone());
    scene.run(seconds(2));
    assert!(scene.handshake().resumed, "the same on both sides");
    scene.client = Client::new(Arc::new(client_config()), [5; 32]);
    scene.connect(old);
    scene.run(seconds(2));
    assert!(scene.handshake().extended_master_secret && !scene.handshake().resumed);
    let new = scene.client.session().cloned();
    scene.client = Client::new(Arc::new(without), [6; 32]);
    scene.connect(new);
    scene.run(seconds(2));
    assert!(!scene.handshake().extended_master_secret && !scene.handshake().resumed);
    scene.assert_alive("after all");
}

/// RFC 7627 section 5.3: a client that wants to resume without what the session was made with is refused.
#[test]
fn a_session_with_extended_master_secret_is_not_resumed_without() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let mut bytes = scene.client.session().unwrap().to_bytes().to_vec();
    // Version and suite, then whether it was made with Extended Master Secret; the ticket has its own word on that.
    assert_eq!(std::mem::replace(&mut bytes[3], 0), 1);
    let mut without = client_config();
    without.extended_master_secret = false;
    scene.client = Client::new(Arc::new(without), [6; 32]);
    scene.seen.clear();
    scene.connect(Session::from_bytes(&bytes));
    scene.run(seconds(5));
    assert_eq!(scene.seen, [Seen::Failed(Failure::Alert(AlertDescription::HANDSHAKE_FAILURE))]);
}

#[test]
fn a_session_is_resumed_with_its_own_suite() {
    let mut cbc = client_config();
    cbc.suites = vec![CipherSuite::PskAes128CbcSha256];
    let mut scene = Scene::established(1, cbc, ServerConfig::default());
    let session = scene.client.session().cloned();
    scene.client = Client::new(Arc::new(client_config()), [5; 32]);
    scene.connect(session);
    scene.run(seconds(2));
    let agreed = scene.handshake();
    assert!(agreed.resumed && agreed.suite == CipherSuite::PskAes128CbcSha256 && agreed.encrypt_then_mac);
    scene.assert_alive("with its own suite");
}

/// A ticket that was changed in any place is none: there is a full handshake, and no failure.
#[test]
fn a_ticket_that_is_not_whole_leads_to_a_full_handshake() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let bytes = scene.client.session().unwrap().to_bytes();
    for at in (bytes.len() - 120..bytes.len()).step_by(7) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let Some(session) = Session::from_bytes(&changed) else { continue };
        scene.connect(Some(session));
        scene.run(seconds(2));
        assert!(!scene.handshake().resumed, "byte {at}");
    }
    scene.assert_alive("after all");
}
