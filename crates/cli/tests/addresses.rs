//! An address that cannot be listened on is named together with the flag that chooses another.

mod common;

use std::net::{TcpListener, UdpSocket};

use common::lapwing;

#[test]
fn a_taken_port_is_told_with_its_flag() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let udp_socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = udp_socket.local_addr().unwrap();
    let taken = TcpListener::bind(tcp).unwrap();
    for command in ["serve", "demo"] {
        let complaint = lapwing(&[command, "--coap", &udp.to_string(), "--http", "127.0.0.1:0"]).failed(1);
        let expected =
            format!("lapwing: cannot listen for CoAP at {udp}: it is taken; choose another by --coap ADDR:PORT");
        assert_eq!(complaint, expected);
        let complaint = lapwing(&[command, "--coap", "127.0.0.1:0", "--http", &tcp.to_string()]).failed(1);
        let expected =
            format!("lapwing: cannot listen for HTTP at {tcp}: it is taken; choose another by --http ADDR:PORT");
        assert_eq!(complaint, expected);
    }
    drop(taken);
}

#[test]
fn an_address_of_another_machine_is_told_with_its_flag() {
    // TEST-NET-3 (RFC 5737) is nobody's.
    let complaint = lapwing(&["serve", "--coap", "203.0.113.1:0", "--http", "127.0.0.1:0"]).failed(1);
    assert!(
        complaint.contains("203.0.113.1:0: it is not an address of this machine; choose another by --coap"),
        "{complaint}"
    );
}
