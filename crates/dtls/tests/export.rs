//! An association that goes on after a restart without a handshake, and what was recorded before has no effect.

mod common;

use std::sync::Arc;

use common::{Scene, Seen, Told, client_config, seconds};
use lapwing_dtls::{Client, SendError, ServerConfig, record::Records};

fn with_ids() -> Scene {
    let mut client = client_config();
    client.connection_id = Some(4);
    Scene::established(1, client, ServerConfig::default())
}

/// The client's process is killed, and started again with what was stored.
fn restart(scene: &mut Scene, stored: &[u8]) {
    scene.client = Client::new(Arc::new(client_config()), [77; 32]);
    assert!(scene.client.import(stored));
}

#[test]
fn a_client_goes_on_after_a_restart_and_what_was_recorded_before_has_no_effect() {
    let mut scene = with_ids();
    let export = scene.client.export(1000).unwrap();
    assert!(export.bytes.len() < 400, "{} bytes", export.bytes.len());
    scene.client.exported(&export);
    for _ in 0..100 {
        scene.assert_alive("before the restart");
    }
    let recorded = scene.received.clone();
    restart(&mut scene, &export.bytes);
    assert_eq!(scene.client.send(b"too early"), Err(SendError::NoNumberLeft));
    let next = scene.client.export(1000).unwrap();
    scene.client.exported(&next);
    scene.seen.clear();
    for datagram in &recorded {
        scene.client.handle_datagram(scene.world.now(), datagram);
    }
    scene.pump();
    assert!(scene.seen.iter().all(|seen| matches!(seen, Seen::Unconfirmed(..))), "nothing acts by itself");
    assert!(scene.client.is_established(), "no recorded alert ends it");
    // A request with a fresh token, and its answer.
    scene.seen.clear();
    scene.send(b"update, token 7");
    scene.run(seconds(1));
    assert_eq!(scene.told.last(), Some(&Told::Data(scene.association(), b"update, token 7".to_vec())));
    let id = scene.association();
    scene.server.send(id, b"answer to 7").unwrap();
    scene.pump();
    scene.run(seconds(1));
    let [Seen::Unconfirmed(record, data)] = &scene.seen[..] else { panic!("{:?}", scene.seen) };
    assert_eq!(data, b"answer to 7");
    scene.client.confirm(*record);
    scene.seen.clear();
    for datagram in &recorded {
        scene.client.handle_datagram(scene.world.now(), datagram);
    }
    scene.pump();
    assert_eq!(scene.seen, []);
    scene.assert_alive("after the restart");
}

/// Whenever the process dies, no record number is used twice: the importer goes on above all that were used.
#[test]
fn no_record_number_is_ever_used_twice() {
    let mut random = sim::Random::seeded(9);
    let mut scene = with_ids();
    let mut stored = scene.client.export(5).unwrap();
    let mut waiting = None;
    // More than the first export leaves: what may already be on the disk goes on after five.
    let sent = (0..10).filter(|_| scene.client.send(b"numbered").is_ok()).count();
    assert_eq!((sent, scene.client.numbers_left()), (5, 0));
    for _ in 0..4000 {
        match random.below(8) {
            0 => {
                let bytes = stored.bytes.clone();
                restart(&mut scene, &bytes);
                waiting = None;
            }
            1 | 2 => waiting = scene.client.export(random.below(20) as u32),
            // It may reach the disk without our knowing.
            3 => stored = waiting.take().unwrap_or(stored),
            4 => {
                if let Some(export) = waiting.take() {
                    stored = export;
                    scene.client.exported(&stored);
                }
            }
            _ => drop(scene.client.send(b"numbered")),
        }
        scene.pump();
    }
    scene.run(seconds(1));
    let mut numbers: Vec<_> = scene
        .arrived
        .iter()
        .flat_map(|(_, datagram)| Records::new(datagram, 6))
        .filter(|record| record.epoch == 1)
        .map(|record| record.sequence)
        .collect();
    let count = numbers.len();
    assert!(count > 300, "{count} records");
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count);
}

#[test]
fn a_server_goes_on_after_a_restart() {
    let mut scene = with_ids();
    let id = scene.association();
    let export = scene.server.export(id, 100).unwrap();
    scene.server = lapwing_dtls::Server::new(Arc::default(), [3; 32]);
    let id = scene.server.import(scene.world.now(), scene.here, &export.bytes).unwrap();
    let next = scene.server.export(id, 100).unwrap();
    scene.server.exported(id, &next);
    scene.server.send(id, b"are you there?").unwrap();
    scene.pump();
    scene.run(seconds(1));
    assert_eq!(scene.seen.last(), Some(&Seen::Data(b"are you there?".to_vec())));
    scene.send(b"yes");
    scene.run(seconds(1));
    let Some(Told::Unconfirmed(from, record, data)) = scene.told.last().cloned() else { panic!("{:?}", scene.told) };
    assert_eq!((from, &data[..]), (id, &b"yes"[..]));
    scene.server.confirm(id, record);
    scene.assert_alive("after the server's restart");
}

#[test]
fn what_is_no_export_of_this_end_is_not_taken() {
    let mut scene = with_ids();
    let export = scene.client.export(1).unwrap();
    let mut client = Client::new(Arc::new(client_config()), [1; 32]);
    for length in 0..export.bytes.len() {
        assert!(!client.import(&export.bytes[..length]));
    }
    let mut other_version = export.bytes.to_vec();
    other_version[0] = 99;
    assert!(!client.import(&other_version));
    assert!(scene.server.import(seconds(0), scene.here, &export.bytes).is_none(), "that of a client");
    assert!(client.import(&export.bytes) && client.is_established());
    assert_eq!(format!("{export:?}"), "Export { next: 2, .. }", "no secret is printed");
}
