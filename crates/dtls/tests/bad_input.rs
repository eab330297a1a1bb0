//! Whatever comes in: no panic, no state of strangers, no association lost, and no answer larger than what came until the cookie
//! has come back (RFC 6347 sections 4.1.2.7 and 4.2.1).

mod common;

use std::time::Duration;

use common::{Scene, Seen, client_config, seconds};
use lapwing_dtls::{ServerConfig, handshake::Fragments, record::Records};
use sim::{Cable, Mutator};

/// All that a handshake, a resumption and some data send, to the server and to the client.
fn conversation() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut config = client_config();
    config.connection_id = Some(6);
    let mut scene = Scene::established(1, config, ServerConfig::default());
    scene.assert_alive("for the recording");
    let session = scene.client.session().cloned();
    scene.connect(session);
    scene.run(seconds(2));
    scene.client.close();
    scene.pump();
    scene.run(seconds(2));
    (scene.arrived.into_iter().map(|(_, datagram)| datagram).collect(), scene.received)
}

#[test]
fn a_million_mutated_records_and_flights_cost_a_server_no_association_and_no_memory() {
    let mut scene = Scene::established(2, client_config(), ServerConfig::default());
    let own = scene.arrived.iter().map(|(_, datagram)| datagram.clone());
    let inputs: Vec<_> = conversation().0.into_iter().chain(own).collect();
    let mut mutator = Mutator::seeded(6347, inputs.clone());
    let (here, stranger) = (scene.here, "192.0.2.66:6".parse().unwrap());
    let mut now = scene.world.now();
    let mut buffer = Vec::new();
    let mut most = 0;
    for round in 0..1_000_000u32 {
        // Both from the client's address and from elsewhere.
        let from = if round % 2 == 0 { here } else { stranger };
        let datagram = mutator.next();
        scene.server.handle_datagram(now, from, datagram);
        while scene.server.poll_event().is_some() {}
        buffer.clear();
        while let Some((_, range)) = scene.server.poll_transmit(&mut buffer) {
            // Only a ClientHello whose cookie is right, which a mutation may leave alone, gets more than it brought.
            let cookies = has_cookie(datagram);
            assert!(cookies || range.len() <= datagram.len(), "{} bytes for {datagram:02x?}", range.len());
        }
        if round % 64 == 0 {
            now += Duration::from_millis(50);
            scene.server.handle_timeout(now);
        }
        most = most.max(scene.server.handshakes());
    }
    assert!(most <= 2, "{most} handshakes from two addresses");
    let counters = scene.server.counters();
    let seen = [counters.malformed, counters.unauthentic, counters.unexpected, counters.cookies];
    assert!(seen.iter().all(|count| *count > 50_000), "mutations get to each of the checks: {counters:?}");
    assert!(scene.server.memory() < 64 * 1024, "{} bytes", scene.server.memory());
    scene.world.alarm(here, now, 0);
    while scene.world.next_until(now).is_some() {}
    scene.pump();
    scene.assert_alive("after a million");
}

fn has_cookie(datagram: &[u8]) -> bool {
    use lapwing_dtls::handshake::ClientHello;
    let bodies = Records::new(datagram, 6).filter(|record| record.epoch == 0).map(|record| record.body);
    let mut fragments = bodies.flat_map(Fragments::new);
    fragments.any(|fragment| ClientHello::parse(fragment.body).is_some_and(|hello| !hello.cookie.is_empty()))
}

#[test]
fn a_million_mutated_records_and_flights_cost_a_client_no_association_and_no_memory() {
    let mut scene = Scene::established(2, client_config(), ServerConfig::default());
    let inputs: Vec<_> = conversation().1.into_iter().chain(scene.received.clone()).collect();
    let mut mutator = Mutator::seeded(9146, inputs);
    let now = scene.world.now();
    let mut buffer = Vec::new();
    for _ in 0..1_000_000 {
        scene.client.handle_datagram(now, mutator.next());
        assert_eq!(scene.client.poll_event(), None);
        buffer.clear();
        assert_eq!(scene.client.poll_transmit(&mut buffer), None);
    }
    assert!(scene.client.memory() < 16 * 1024, "{} bytes", scene.client.memory());
    scene.assert_alive("after a million");
}

/// The handshake under attack: mutations of its own flights come before each of the true ones.
#[test]
fn a_handshake_amid_mutations_of_its_flights_ends_well_or_is_reported() {
    let (to_server, to_client) = conversation();
    let mut good = 0;
    for seed in 0..200 {
        let mut scene = Scene::new(seed, Cable::new().latency(Duration::from_millis(20)));
        let mut at_server = Mutator::seeded(seed, to_server.clone());
        let mut at_client = Mutator::seeded(seed, to_client.clone());
        scene.connect(None);
        for _ in 0..1200 {
            for _ in 0..2 {
                scene.client.handle_datagram(scene.world.now(), at_client.next());
                scene.server.handle_datagram(scene.world.now(), scene.here, at_server.next());
                scene.pump();
            }
            scene.run(Duration::from_millis(50));
        }
        scene.run(seconds(100));
        let failed = scene.seen.iter().any(|seen| matches!(seen, Seen::Failed(_)));
        assert!(scene.client.is_established() != failed, "seed {seed}: {:?}", scene.seen);
        good += usize::from(!failed);
        assert!(scene.server.memory() < 256 * 1024 && scene.client.memory() < 64 * 1024);
    }
    assert!(good >= 100, "{good} of 200 were completed");
}

/// Thousands of addresses that do send their cookie back: handshakes stay bounded.
#[test]
fn handshakes_of_strangers_are_bounded_in_number_and_memory() {
    let mut config = ServerConfig::default();
    config.max_handshakes = 16;
    let mut scene = Scene::with(1, Cable::new(), client_config(), config);
    let mut buffer = Vec::new();
    for port in 1..3000u16 {
        let from = format!("192.0.2.66:{port}").parse().unwrap();
        let mut client = lapwing_dtls::Client::new(std::sync::Arc::new(client_config()), [port as u8; 32]);
        client.connect(seconds(1), None);
        for _ in 0..2 {
            buffer.clear();
            let hello = client.poll_transmit(&mut buffer).unwrap();
            scene.server.handle_datagram(seconds(1), from, &buffer[hello]);
            while let Some((_, answer)) = scene.server.poll_transmit(&mut buffer) {
                client.handle_datagram(seconds(1), &buffer[answer]);
            }
        }
        assert!(scene.server.handshakes() <= 16);
    }
    assert_eq!(scene.server.handshakes(), 16);
    assert!(scene.server.memory() < 64 * 1024, "{} bytes", scene.server.memory());
}

/// Our messages and records are numbered on from those of the hello, and must not run over.
#[test]
fn a_hello_at_the_end_of_the_numbers_is_no_hello() {
    for (at, number) in [(13 + 4, &[0xff; 2][..]), (5, &[0xff; 6][..])] {
        let mut scene = Scene::new(1, Cable::new());
        scene.client.connect(seconds(1), None);
        let (from, mut buffer) = (scene.here, Vec::new());
        let hello = scene.client.poll_transmit(&mut buffer).unwrap();
        scene.server.handle_datagram(seconds(1), from, &buffer[hello]);
        let (_, request) = scene.server.poll_transmit(&mut buffer).unwrap();
        scene.client.handle_datagram(seconds(1), &buffer[request]);
        let hello = scene.client.poll_transmit(&mut buffer).unwrap();
        let mut last = buffer[hello.clone()].to_vec();
        last[at..at + number.len()].copy_from_slice(number);
        scene.server.handle_datagram(seconds(1), from, &last);
        assert_eq!((scene.server.handshakes(), scene.server.counters().malformed), (0, 1));
        // The same with numbers that a client has.
        scene.server.handle_datagram(seconds(1), from, &buffer[hello]);
        assert_eq!(scene.server.handshakes(), 1);
    }
}
