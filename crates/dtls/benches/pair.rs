//! A client and a server that hand each other their datagrams, without a socket and without time.
#![allow(dead_code, reason = "each bench uses a part of it")]

#[allow(dead_code, unreachable_pub, reason = "the tests' own, of which the benches use a part")]
#[path = "../tests/common/identities.rs"]
pub(crate) mod identities;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lapwing_dtls::{
    AssociationId, CipherSuite, Client, ClientConfig, Event, Server, ServerConfig, Session, credentials::Psk, server,
};

pub(crate) const NOW: Duration = Duration::from_secs(1);

pub(crate) fn psk() -> Psk {
    Psk::new("urn:dev:os:0023C7-000001", *b"sixteen secret b").expect("a key")
}

/// A client's configuration for that suite: a pre-shared key, or certificates of both ends with a path to the root.
pub(crate) fn client_config(suite: CipherSuite) -> Arc<ClientConfig> {
    let mut config = match suite {
        CipherSuite::PskAes128Ccm8 | CipherSuite::PskAes128CbcSha256 => ClientConfig::psk(psk()),
        _ => identities::certificate_config(2),
    };
    config.suites = vec![suite];
    Arc::new(config)
}

/// A server that knows clients of either kind.
pub(crate) fn server() -> Server {
    let mut config: ServerConfig = identities::server_config();
    // As OpenSSL has it: nobody resumes.
    config.session_lifetime = Duration::ZERO;
    let mut server = Server::new(Arc::new(config), [1; 32]);
    server.set_time(identities::TIME);
    server.add_psk(psk());
    server
}

/// An association, and both its ends.
pub(crate) struct Pair {
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) association: AssociationId,
    pub(crate) address: SocketAddr,
    buffer: Vec<u8>,
}

/// A full handshake of a new client with `server`.
pub(crate) fn shake(
    config: &Arc<ClientConfig>,
    server: &mut Server,
    address: SocketAddr,
    seed: u64,
    buffer: &mut Vec<u8>,
) -> (Client, AssociationId) {
    let mut bytes = [2; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let mut client = Client::new(Arc::clone(config), bytes);
    client.set_time(identities::TIME);
    client.connect(NOW, None::<Session>);
    loop {
        let mut quiet = true;
        buffer.clear();
        while let Some(datagram) = client.poll_transmit(buffer) {
            quiet = false;
            server.handle_datagram(NOW, address, &buffer[datagram]);
            buffer.clear();
        }
        while let Some((_, datagram)) = server.poll_transmit(buffer) {
            quiet = false;
            client.handle_datagram(NOW, &buffer[datagram]);
            buffer.clear();
        }
        if quiet {
            break;
        }
    }
    assert!(matches!(client.poll_event(), Some(Event::Established(_))), "the client's handshake");
    match server.poll_event() {
        Some(server::Event::Established { association, .. }) => (client, association),
        other => panic!("the server's handshake: {other:?}"),
    }
}

impl Pair {
    pub(crate) fn new(suite: CipherSuite) -> Self {
        let (mut server, mut buffer) = (server(), Vec::new());
        let address = ([192, 0, 2, 1], 5684).into();
        let (client, association) = shake(&client_config(suite), &mut server, address, 0, &mut buffer);
        Self { client, server, association, address, buffer }
    }

    /// The client's next record with that content.
    pub(crate) fn seal(&mut self, content: &[u8]) -> &[u8] {
        self.buffer.clear();
        self.client.send(content).expect("there is an association");
        let datagram = self.client.poll_transmit(&mut self.buffer).expect("a datagram");
        &self.buffer[datagram]
    }

    /// How many bytes of content the server finds in a datagram.
    pub(crate) fn open(&mut self, datagram: &[u8]) -> usize {
        self.server.handle_datagram(NOW, self.address, datagram);
        let mut found = None;
        while let Some(event) = self.server.poll_event() {
            match event {
                server::Event::Data { data, .. } => found = Some(data.len()),
                other => panic!("{other:?}"),
            }
        }
        found.expect("the record is taken")
    }
}
