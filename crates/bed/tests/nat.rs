//! The NAT does what a NAT does: another port, and the old one forgotten.

use std::net::UdpSocket;
use std::time::Duration;

use bed::{eventually, nat::Nat};

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
    socket
}

#[test]
fn a_datagram_to_the_old_port_does_not_arrive() {
    let (server, client) = (socket(), socket());
    let nat = Nat::start(server.local_addr().expect("bound"), None);
    client.connect(nat.address).expect("loopback");
    let mut buffer = [0; 100];
    let mut ask = || {
        client.send(b"up").expect("loopback");
        server.recv_from(&mut buffer).expect("it is passed on").1
    };
    let (first, again) = (ask(), ask());
    assert_eq!(first, again, "the port stays");
    nat.rebind();
    let second = ask();
    assert_ne!(first, second);
    assert_eq!(nat.ports(), [first.port(), second.port()]);
    let mut buffer = [0; 100];
    server.send_to(b"to the new port", second).expect("loopback");
    assert_eq!(client.recv(&mut buffer).expect("it arrives"), 15);
    server.send_to(b"to the old port", first).expect("loopback");
    eventually("the datagram at the NAT", || (nat.dropped() == 1).then_some(()));
    assert!(client.recv(&mut buffer).is_err(), "it is not passed on");
    assert_eq!(nat.sent(), vec![b"up"; 3]);
}

#[test]
fn it_changes_its_port_by_itself() {
    let (server, client) = (socket(), socket());
    let nat = Nat::start(server.local_addr().expect("bound"), Some(Duration::from_millis(100)));
    client.connect(nat.address).expect("loopback");
    let ports = eventually("three ports", || Some(nat.ports()).filter(|ports| ports.len() > 3));
    let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(distinct.len(), ports.len());
    client.send(b"up").expect("loopback");
    let mut buffer = [0; 100];
    let from = server.recv_from(&mut buffer).expect("it is passed on").1;
    assert!(nat.ports().contains(&from.port()) && from.port() != ports[0]);
}
