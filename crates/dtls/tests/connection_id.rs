//! A client that moves: with a Connection ID the association goes on, without one it does not (RFC 9146 section 6).

mod common;

use common::{Scene, Seen, Told, client_config, seconds};
use lapwing_dtls::{ClientCredentials, ConnectionId, SendError, ServerConfig, record::Records};

#[test]
fn an_association_goes_on_from_another_address_without_a_handshake() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let id = scene.association();
    for port in 1..20 {
        let address = format!("192.0.2.1:{port}").parse().unwrap();
        scene.move_to(address);
        scene.send(b"here now");
        scene.run(seconds(1));
        assert_eq!(
            scene.told[scene.told.len() - 2..],
            [Told::Moved(id, address), Told::Data(id, b"here now".to_vec())]
        );
        scene.assert_alive("after a move");
        assert_eq!(scene.server.address(id), Some(address));
    }
    assert_eq!(scene.seen.iter().filter(|seen| matches!(seen, Seen::Established(_))).count(), 1);
}

#[test]
fn records_carry_the_ids_that_were_agreed_on() {
    let mut client = client_config();
    client.connection_id = Some(3);
    let mut scene = Scene::established(1, client, ServerConfig::default());
    let agreed = scene.handshake().clone();
    scene.assert_alive("with Connection IDs");
    let ids = |datagram: &[u8], length| -> Vec<ConnectionId> {
        Records::new(datagram, length).map(|record| ConnectionId::new(record.connection_id).unwrap()).collect()
    };
    assert_eq!(ids(&scene.arrived.last().unwrap().1, 6), [agreed.peer_connection_id]);
    assert_eq!(ids(scene.received.last().unwrap(), 3), [agreed.own_connection_id]);
}

#[test]
fn without_a_connection_id_a_new_address_is_a_stranger() {
    let mut server = ServerConfig::default();
    server.connection_id = None;
    let mut scene = Scene::established(1, client_config(), server);
    let id = scene.association();
    let old = scene.here;
    scene.move_to("192.0.2.1:9".parse().unwrap());
    scene.send(b"here now");
    scene.run(seconds(1));
    assert!(scene.data().is_empty());
    assert_eq!(scene.server.address(id), Some(old));
    scene.connect(scene.client.session().cloned());
    scene.run(seconds(2));
    assert!(scene.handshake().resumed);
    scene.assert_alive("after a resumption");
}

/// RFC 9146 section 6: only the newest record moves the client, and a replay from elsewhere does not.
#[test]
fn neither_a_replay_nor_a_late_record_moves_a_client() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let id = scene.association();
    let mut buffer = Vec::new();
    scene.client.send(b"late").unwrap();
    let late = scene.client.poll_transmit(&mut buffer).unwrap();
    scene.send(b"new");
    scene.run(seconds(1));
    let (now, elsewhere) = (scene.world.now(), "192.0.2.66:6".parse().unwrap());
    let newest = scene.arrived.last().unwrap().1.clone();
    scene.server.handle_datagram(now, elsewhere, &newest);
    scene.server.handle_datagram(now, elsewhere, &buffer[late]);
    scene.pump();
    assert_eq!(scene.data(), [&b"new"[..], b"late"]);
    assert_eq!(scene.server.address(id), Some(scene.here));
}

/// Three times what came may be sent to an address that is not proven.
#[test]
fn a_new_address_gets_at_most_three_times_what_came_from_it_until_it_is_proven() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let id = scene.association();
    scene.move_to("192.0.2.1:9".parse().unwrap());
    scene.send(b"here now");
    scene.run(seconds(1));
    let came = scene.arrived.last().unwrap().1.len();
    let (mut buffer, mut sent) = (Vec::new(), 0);
    loop {
        match scene.server.send(id, &[7; 20]) {
            Ok(()) => {
                let (to, range) = scene.server.poll_transmit(&mut buffer).unwrap();
                assert_eq!(to, scene.here);
                sent += range.len();
            }
            Err(error) => break assert_eq!(error, SendError::AddressNotProven),
        }
    }
    assert!(sent > came && sent <= 3 * came, "{sent} bytes for {came}");
    scene.server.prove_address(id);
    assert_eq!(scene.server.send(id, &[7; 1000]), Ok(()));
}

/// A NAT gives the address of a silent client to another: both associations go on.
#[test]
fn another_client_at_the_same_address_takes_nothing_from_one_with_a_connection_id() {
    let mut scene = Scene::established(1, client_config(), ServerConfig::default());
    let first_id = scene.association();
    let other = lapwing_dtls::credentials::Psk::new(&b"other"[..], &b"other key"[..]).unwrap();
    scene.server.add_psk(other.clone());
    let mut config = client_config();
    config.credentials = ClientCredentials::Psk(other);
    let second = lapwing_dtls::Client::new(std::sync::Arc::new(config), [5; 32]);
    let first = std::mem::replace(&mut scene.client, second);
    scene.connect(None);
    scene.run(seconds(2));
    scene.assert_alive("the other client");
    assert_eq!(scene.server.associations(), 2);
    scene.client = first;
    scene.move_to("192.0.2.1:9".parse().unwrap());
    scene.send(b"here now");
    scene.run(seconds(1));
    assert_eq!(scene.told.last(), Some(&Told::Data(first_id, b"here now".to_vec())));
}
