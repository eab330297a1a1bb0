//! Hosted files, pulled as clients of ours pull them (RFC 7959, RFC 9177). No other server with Q-Block2 is tested.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use lapwing::{
    Security,
    transfer::{Credentials, Loan, Proxy, PullConfig, Pulled, Puller},
};
use serde_json::json;

use crate::support::TestServer;

const LENGTH: usize = 8 << 20;

/// Datagrams that went one way.
type Count = Arc<AtomicU64>;

/// Passes datagrams on to the server and back, and counts those of the one client.
fn relay(server: SocketAddr) -> (SocketAddr, Count) {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    far.connect(server).unwrap();
    let (address, count) = (near.local_addr().unwrap(), Count::default());
    let (back_near, back_far, counted) = (near.try_clone().unwrap(), far.try_clone().unwrap(), Arc::clone(&count));
    thread::spawn(move || {
        let (mut buffer, mut back) = (vec![0; 2048], Some((back_near, back_far)));
        while let Ok((length, client)) = near.recv_from(&mut buffer) {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = far.send(&buffer[..length]);
            if let Some((near, far)) = back.take() {
                thread::spawn(move || {
                    let mut buffer = vec![0; 2048];
                    while let Ok(length) = far.recv(&mut buffer) {
                        let _ = near.send_to(&buffer[..length], client);
                    }
                });
            }
        }
    });
    (address, count)
}

struct Key(Security);

impl Credentials for Key {
    fn lend(&self, _: &str, _: u16) -> Loan {
        Loan::Granted(Box::new(self.0.clone()))
    }
}

fn pull(uri: &str, q_block2: bool) -> Vec<u8> {
    let mut config = PullConfig::default();
    (config.proxy, config.q_block2, config.give_up) = (Proxy::Direct, q_block2, Duration::from_secs(30));
    let security = Security::psk("puller", (0..16).collect::<Vec<u8>>()).unwrap();
    config.credentials = Some(Arc::new(Key(security)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut body = Vec::new();
        let mut pull = Puller::new(config).pull(uri.parse().unwrap(), None, None);
        loop {
            match pull.next().await {
                Pulled::Data(bytes) => body.extend_from_slice(bytes),
                Pulled::Done => return body,
                Pulled::Head(_) => {}
                other => panic!("{other:?}"),
            }
        }
    })
}

/// A file of which no two blocks are alike, at a server with the credentials of [`pull`].
fn server() -> (TestServer, Vec<u8>) {
    let server = TestServer::start();
    let words = (0..LENGTH as u32 / 4).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes());
    let body: Vec<u8> = words.collect();
    assert_eq!(server.call("PUT", "/api/files/image", &[], &body).status, 201);
    let key = json!({"identity": "puller", "key": "000102030405060708090a0b0c0d0e0f"});
    let entry = json!({"endpoint": "puller", "tls": {"mode": "psk", "details": key}});
    assert_eq!(server.put("/api/security/clients", &entry).status, 200);
    (server, body)
}

/// The datagrams that the client has sent for a body that is right.
fn datagrams(scheme: &str, server: SocketAddr, body: &[u8], q_block2: bool) -> u64 {
    let (address, count) = relay(server);
    assert!(pull(&format!("{scheme}://{address}/files/image"), q_block2) == body);
    count.load(Ordering::SeqCst)
}

#[test]
fn a_file_is_pulled_over_coap_with_q_block2_of_our_own_server() {
    let (server, body) = server();
    let (without, with) = (datagrams("coap", server.coap, &body, false), datagrams("coap", server.coap, &body, true));
    println!("{without} datagrams of the client without Q-Block2, {with} with it");
    assert!(without >= LENGTH as u64 / 1024);
    assert!(with < without / 2, "{with} instead of {without}");
}

#[test]
fn a_file_is_pulled_over_coaps_with_q_block2_of_our_own_server() {
    let (server, body) = server();
    let (without, with) =
        (datagrams("coaps", server.coaps, &body, false), datagrams("coaps", server.coaps, &body, true));
    println!("{without} datagrams of the client without Q-Block2, {with} with it");
    assert!(without >= LENGTH as u64 / 1024);
    assert!(with < without / 2, "{with} instead of {without}");
}
