//! A client and a server in a world of virtual time.
#![allow(dead_code, unreachable_pub, reason = "each scenario file uses a part of it")]

pub mod identities;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lapwing_dtls::{
    AssociationId, Client, ClientConfig, ClientCredentials, Closed, Established, Event, Failure, Server, ServerConfig,
    Session, credentials::Psk, server,
};
use sim::{Cable, Happening, World};

pub const IDENTITY: &[u8] = b"urn:dev:os:0023C7-000001";
pub const KEY: &[u8] = b"sixteen secret b";

/// An event of the client, kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Established(Established),
    Failed(Failure),
    Data(Vec<u8>),
    Unconfirmed(u64, Vec<u8>),
    Closed(Closed),
}

/// An event of the server, kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Established(AssociationId, Established),
    Failed(Failure),
    Data(AssociationId, Vec<u8>),
    Unconfirmed(AssociationId, u64, Vec<u8>),
    Moved(AssociationId, SocketAddr),
    Closed(AssociationId, Closed),
}

pub struct Scene {
    pub world: World,
    pub client: Client,
    pub server: Server,
    /// Where the client is.
    pub here: SocketAddr,
    pub there: SocketAddr,
    pub seen: Vec<Seen>,
    pub told: Vec<Told>,
    /// Every datagram that arrived at the server, with where it came from.
    pub arrived: Vec<(SocketAddr, Vec<u8>)>,
    /// Every datagram that arrived at the client.
    pub received: Vec<Vec<u8>>,
}

pub fn psk() -> Psk {
    Psk::new(IDENTITY, KEY).unwrap()
}

pub fn credentials(identity: &[u8], key: &[u8]) -> ClientCredentials {
    ClientCredentials::Psk(Psk::new(identity, key).unwrap())
}

pub fn client_config() -> ClientConfig {
    ClientConfig::psk(psk())
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Scene {
    pub fn new(seed: u64, cable: Cable) -> Self {
        Self::with(seed, cable, client_config(), ServerConfig::default())
    }

    pub fn with(seed: u64, cable: Cable, client: ClientConfig, server: ServerConfig) -> Self {
        let mut world = World::seeded(seed).cable(cable);
        let (here, there) = (world.node("client"), world.node("server"));
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        let mut server = Server::new(Arc::new(server), key);
        server.add_psk(psk());
        key[31] = 1;
        let client = Client::new(Arc::new(client), key);
        Self {
            world,
            client,
            server,
            here,
            there,
            seen: Vec::new(),
            told: Vec::new(),
            arrived: Vec::new(),
            received: Vec::new(),
        }
    }

    /// A scene with an association.
    pub fn established(seed: u64, client: ClientConfig, server: ServerConfig) -> Self {
        let mut scene = Self::with(seed, Cable::new().latency(Duration::from_millis(20)), client, server);
        scene.connect(None);
        scene.run(seconds(5));
        assert!(scene.client.is_established(), "{:?}", scene.seen);
        scene
    }

    pub fn connect(&mut self, session: Option<Session>) {
        self.client.connect(self.world.now(), session);
        self.pump();
    }

    pub fn send(&mut self, data: &[u8]) {
        self.client.send(data).unwrap();
        self.pump();
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while let Some(event) = self.world.next_until(end) {
            let client = event.node != self.there;
            match event.what {
                Happening::Timer if client => self.client.handle_timeout(event.at),
                Happening::Timer => self.server.handle_timeout(event.at),
                Happening::Datagram { bytes, .. } if client => {
                    self.received.push(bytes.to_vec());
                    self.client.handle_datagram(event.at, &bytes);
                }
                Happening::Datagram { from, bytes } => {
                    self.arrived.push((from, bytes.to_vec()));
                    self.server.handle_datagram(event.at, from, &bytes);
                }
                Happening::Alarm(_) => unreachable!("no alarm is set"),
            }
            self.pump();
        }
    }

    pub fn pump(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.seen.push(match event {
                Event::Established(established) => Seen::Established(established),
                Event::Failed(failure) => Seen::Failed(failure),
                Event::Data(data) => Seen::Data(data.to_vec()),
                Event::Unconfirmed { record, data } => Seen::Unconfirmed(record, data.to_vec()),
                Event::Closed(why) => Seen::Closed(why),
                other => panic!("{other:?}"),
            });
        }
        while let Some(event) = self.server.poll_event() {
            self.told.push(match event {
                server::Event::Established { association, established, .. } => {
                    Told::Established(association, established)
                }
                server::Event::Failed { failure, .. } => Told::Failed(failure),
                server::Event::Data { association, data } => Told::Data(association, data.to_vec()),
                server::Event::Unconfirmed { association, record, data } => {
                    Told::Unconfirmed(association, record, data.to_vec())
                }
                server::Event::Moved { association, address } => Told::Moved(association, address),
                server::Event::Closed { association, why } => Told::Closed(association, why),
                other => panic!("{other:?}"),
            });
        }
        let mut buffer = Vec::new();
        while let Some(range) = self.client.poll_transmit(&mut buffer) {
            self.world.send(self.here, self.there, &buffer[range]);
        }
        while let Some((to, range)) = self.server.poll_transmit(&mut buffer) {
            self.world.send(self.there, to, &buffer[range]);
        }
        self.world.set_timer(self.here, self.client.poll_timeout().map(|(at, _)| at));
        self.world.set_timer(self.there, self.server.poll_timeout().map(|(at, _)| at));
    }

    /// The client is somewhere else from now on; what is sent to its old address is lost.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.world.remove(self.here);
        self.world.node_at("client", address);
        self.here = address;
    }

    /// The last handshake that the client completed.
    pub fn handshake(&self) -> &Established {
        let established = |seen: &'_ Seen| matches!(seen, Seen::Established(_));
        match self.seen.iter().rfind(|seen| established(seen)) {
            Some(Seen::Established(established)) => established,
            _ => panic!("no handshake was completed: {:?}", self.seen),
        }
    }

    /// The server's name for the association that was made last.
    pub fn association(&self) -> AssociationId {
        let ids = self.told.iter().rev().filter_map(|told| match told {
            Told::Established(id, _) => Some(*id),
            _ => None,
        });
        ids.take(1).next().expect("an association")
    }

    /// What the server was sent by clients.
    pub fn data(&self) -> Vec<&[u8]> {
        let data = |told: &'_ Told| matches!(told, Told::Data(..));
        self.told
            .iter()
            .filter(|told| data(told))
            .map(|told| match told {
                Told::Data(_, data) => &data[..],
                _ => unreachable!("filtered"),
            })
            .collect()
    }

    /// Data goes both ways.
    pub fn assert_alive(&mut self, label: &str) {
        let (told, seen) = (self.told.len(), self.seen.len());
        self.send(b"to the server");
        self.run(seconds(1));
        let id = match &self.told[told..] {
            [.., Told::Data(id, data)] => {
                assert_eq!(data, b"to the server");
                *id
            }
            other => panic!("{label}: {other:?}"),
        };
        self.server.send(id, b"to the client").unwrap();
        self.pump();
        self.run(seconds(1));
        assert_eq!(self.seen[seen..], [Seen::Data(b"to the client".to_vec())], "{label}");
    }
}
