//! The client engine, the bootstrap server engine and the management server engine together, over a cable in virtual time: bootstrap
//! over NoSec, a pre-shared key, raw public keys and certificates, to a server with a pre-shared key (LightweightM2M-1.1-int-0 to 2).

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use lapwing_dtls::{
    self as dtls,
    credentials::{CertificateUsage, ClientTrust, Identity, MatchingType, Pinned, Psk},
    crypto::PrivateKey,
};
use lapwing_lwm2m::{
    Now,
    account::{BootstrapAccount, RecordKey, Saved, Security},
    client::{Client, Config, Event, FlowEvent, FlowId, LwM2mVersion, Output, Status},
    definitions::{device, security, server},
    model::{Path, Resource, Tree, TreeObject},
    server::{
        Channel, SecurityInfo, Server, ServerConfig, ServerOutput,
        bootstrap::{self, Configuration, Plan},
    },
};
use sim::{Cable, Happening, World};

/// The name in the client's certificate.
const ENDPOINT: &str = "urn:imei:490154203237518";
/// The middle of 2030, when the certificates are valid.
const DATE: Duration = Duration::from_secs(1_910_000_000);
const BOOTSTRAP: (&[u8], &[u8]) = (b"bootstrap id", b"bootstrap secret");
const SERVER: (&[u8], &[u8]) = (b"\xffserver id", b"server secret 16");

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dtls/tests/vectors/x509/", $name)).to_vec()
    };
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn server_key() -> PrivateKey {
    PrivateKey::from_der(&vector!("leaf.key.der")).unwrap()
}

fn client_key() -> PrivateKey {
    PrivateKey::from_der(&vector!("client.key.der")).unwrap()
}

fn exactly(data: Vec<u8>) -> Pinned {
    Pinned { matching: MatchingType::Exact, data }
}

/// How client and bootstrap server prove who they are, and how the bootstrap server knows the client.
fn ways() -> [(&'static str, Security, Option<SecurityInfo>); 4] {
    let certified = Identity::certificates(vec![vector!("client.der")], client_key()).unwrap();
    let usage = CertificateUsage::DomainIssuedCertificate;
    let raw = Identity::raw_public_key(client_key());
    let server = exactly(server_key().public_key().to_der());
    [
        ("NoSec", Security::default(), None),
        (
            "PSK",
            Security::psk(BOOTSTRAP.0, BOOTSTRAP.1).unwrap(),
            Some(SecurityInfo::Psk(Psk::new(BOOTSTRAP.0, BOOTSTRAP.1).unwrap())),
        ),
        (
            "RPK",
            Security::raw_public_key(raw, server).unwrap(),
            Some(SecurityInfo::RawPublicKey(client_key().public_key().to_der())),
        ),
        (
            "X.509",
            Security::certificate(certified, usage, exactly(vector!("leaf.der"))).unwrap(),
            Some(SecurityInfo::X509),
        ),
    ]
}

struct Town {
    world: World,
    client: Client,
    brain: SocketAddr,
    flows: Vec<(FlowId, SocketAddr, SocketAddr)>,
    next_port: u16,
    events: Vec<Event>,
    saved: Saved,
    bootstrap: bootstrap::Server,
    /// The sockets of the bootstrap server and the server: plain, secure.
    doors: [[SocketAddr; 2]; 2],
    /// Where the timers of the servers go off.
    clocks: [SocketAddr; 2],
    told: Vec<bootstrap::Event>,
    server: Server,
}

const CHANNELS: [Channel; 2] = [Channel::Plain, Channel::Secure];

impl Town {
    fn new(seed: u64, loss: f64, security: Security, info: Option<SecurityInfo>, version: LwM2mVersion) -> Town {
        let cable = Cable::new().latency(Duration::from_millis(20)).loss(loss).duplication(loss / 2.0);
        let mut world = World::seeded(seed).cable(cable);
        let brain = world.node("brain");
        let doors = [[world.node("bs"), world.node("bss")], [world.node("lwm2m"), world.node("lwm2ms")]];
        let clocks = [world.node("clock of bs"), world.node("clock of lwm2m")];
        let now = Now::new(Duration::ZERO, Some(DATE));

        let mut dtls = dtls::ServerConfig::default();
        let chain = vec![vector!("leaf.der"), vector!("middle.der")];
        dtls.identities =
            vec![Identity::certificates(chain, server_key()).unwrap(), Identity::raw_public_key(server_key())];
        let mut trust = ClientTrust::default();
        (trust.anchors, trust.raw_public_keys) = (vec![vector!("root.der")], true);
        dtls.client_trust = trust;
        let mut config = bootstrap::Config::default();
        config.dtls = Some(dtls.clone());
        let mut bootstrap = bootstrap::Server::new(now, config, world.random().seed());
        bootstrap.set_security(now, ENDPOINT, info).unwrap();
        bootstrap.set_plan(now, ENDPOINT, Some(Plan::apply(plan(doors[1][1])).unwrap()));
        let mut config = ServerConfig::default();
        config.dtls = Some(dtls);
        let mut server = Server::new(now, config, world.random().seed());
        let psk = Psk::new(SERVER.0, SERVER.1).unwrap();
        server.set_security(now, ENDPOINT, Some(SecurityInfo::Psk(psk))).unwrap();

        let mut config = Config::new(ENDPOINT, Vec::new());
        config.version = version;
        let (scheme, door) = if security.is_secure() { ("coaps", doors[0][1]) } else { ("coap", doors[0][0]) };
        let uri = format!("{scheme}://{door}").parse().unwrap();
        config.bootstrap = Some(BootstrapAccount::new(uri).security(security));
        let client = Client::new(now, config, world.random().seed(), Saved::new()).unwrap();
        Town {
            world,
            client,
            brain,
            flows: Vec::new(),
            next_port: 40_000,
            events: Vec::new(),
            saved: Saved::new(),
            bootstrap,
            doors,
            clocks,
            told: Vec::new(),
            server,
        }
    }

    fn now(&self) -> Now {
        Now::new(self.world.now(), Some(DATE + self.world.now()))
    }

    fn begin(&mut self) {
        let mut tree = Tree::new();
        tree.insert(TreeObject::new(&device::V1_0).with_instance(0, [device::REBOOT]));
        self.client.declare(self.now(), tree);
        self.pump();
    }

    /// Lets time pass until the client is registered.
    fn run_to_registered(&mut self) {
        let end = self.world.now() + seconds(3_000);
        while self.client.status(101) != Some(Status::Registered) {
            let event = self.world.next_until(end).unwrap_or_else(|| panic!("{:?}\n{:?}", self.events, self.told));
            self.happen(event);
            self.pump();
        }
    }

    fn happen(&mut self, event: sim::Event) {
        let now = self.now();
        let door = |doors: &[SocketAddr; 2]| doors.iter().position(|door| *door == event.node);
        match event.what {
            Happening::Timer if event.node == self.brain => self.client.handle_timeout(now),
            Happening::Timer if event.node == self.clocks[0] => self.bootstrap.handle_timeout(now),
            Happening::Timer => self.server.handle_timeout(now),
            Happening::Datagram { from, bytes } => {
                if let Some(channel) = door(&self.doors[0]) {
                    self.bootstrap.handle_datagram(now, CHANNELS[channel], from, &bytes);
                } else if let Some(channel) = door(&self.doors[1]) {
                    self.server.handle_datagram(now, CHANNELS[channel], from, &bytes);
                } else if let Some((flow, ..)) = self.flows.iter().find(|(_, here, _)| *here == event.node) {
                    self.client.handle_datagram(now, *flow, &bytes);
                }
            }
            Happening::Alarm(_) => unreachable!("no alarm is set"),
        }
    }

    fn pump(&mut self) {
        let mut buffer = Vec::new();
        loop {
            match self.client.poll_output(&mut buffer) {
                Output::Wait(due, _) => break self.world.set_timer(self.brain, due),
                Output::Open(flow, target) => {
                    let here = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), self.next_port));
                    self.next_port += 1;
                    self.world.node_at("gateway", here);
                    let there = format!("{}:{}", target.host(), target.port()).parse().unwrap();
                    self.flows.push((flow, here, there));
                    self.client.handle_flow(self.now(), flow, FlowEvent::Opened);
                }
                Output::Close(flow) => self.flows.retain(|(open, ..)| *open != flow),
                Output::Transmit(flow, datagram) => {
                    let (_, here, there) = self.flows.iter().find(|(open, ..)| *open == flow).expect("a flow");
                    self.world.send(*here, *there, datagram);
                }
                Output::Persist(id, record) => {
                    self.saved.insert(record);
                    self.client.persisted(self.now(), id, Ok(()));
                }
                Output::Event(event) => self.events.push(event),
                other => panic!("unexpected {other:?}"),
            }
        }
        loop {
            match self.bootstrap.poll_output(&mut buffer) {
                bootstrap::Output::Wait(due, _) => break self.world.set_timer(self.clocks[0], due),
                bootstrap::Output::Event(event) => self.told.push(event),
                bootstrap::Output::Transmit(channel, to, datagram) => {
                    let door = self.doors[0][usize::from(channel == Channel::Secure)];
                    self.world.send(door, to, datagram);
                }
            }
        }
        loop {
            match self.server.poll_output(&mut buffer) {
                ServerOutput::Wait(due, _) => break self.world.set_timer(self.clocks[1], due),
                ServerOutput::Transmit(channel, to, datagram) => {
                    let door = self.doors[1][usize::from(channel == Channel::Secure)];
                    self.world.send(door, to, datagram);
                }
                _ => {}
            }
        }
    }
}

/// Everything is deleted but the bootstrap server's account, and one account with a pre-shared key is written.
fn plan(there: SocketAddr) -> Configuration {
    let secured: [(u16, Resource); 6] = [
        (security::LWM2M_SERVER_URI, format!("coaps://{there}").into()),
        (security::BOOTSTRAP_SERVER, false.into()),
        (security::SECURITY_MODE, 0.into()),
        (security::PUBLIC_KEY_OR_IDENTITY, SERVER.0.into()),
        (security::SECRET_KEY, SERVER.1.into()),
        (security::SHORT_SERVER_ID, 101.into()),
    ];
    let account: [(u16, Resource); 4] = [
        (server::SHORT_SERVER_ID, 101.into()),
        (server::LIFETIME, 300.into()),
        (server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE, true.into()),
        (server::BINDING, "U".into()),
    ];
    let configuration = Configuration::new().delete(Path::object(0)).delete(Path::object(1)).auto_id();
    configuration.instance(security::OBJECT_ID, 1, secured).instance(server::OBJECT_ID, 0, account)
}

#[test]
fn every_way_to_prove_who_one_is_leads_to_a_registration() {
    for version in [LwM2mVersion::V1_0, LwM2mVersion::V1_1] {
        for (label, security, info) in ways() {
            let mut town = Town::new(1, 0.0, security, info, version);
            town.begin();
            town.run_to_registered();
            assert!(town.world.now() < seconds(5), "{label}: {:?}", town.world.now());
            assert_eq!(town.events[..2], [Event::BootstrapBegun, Event::BootstrapFinished], "{label}");
            assert!(town.server.registration(ENDPOINT).is_some(), "{label}");
            assert!(matches!(town.told.last().unwrap().what, bootstrap::Happening::Finished), "{label}");
            let finished = town.world.now();
            while let Some(event) = town.world.next_until(finished + seconds(60)) {
                town.happen(event);
                town.pump();
            }
            assert_eq!(
                (town.flows.len(), town.bootstrap.sessions()),
                (1, 0),
                "{label}: nothing is left of the session"
            );
            assert!(town.saved.record(RecordKey::Association(101)).is_some(), "{label}");
        }
    }
}

/// A fifth of all datagrams are lost, and some come twice: it takes longer, and may take another try.
#[test]
fn loss_delays_a_bootstrap_and_does_not_harm_it() {
    for seed in 0..40 {
        let [.., psk, _, _] = ways();
        for (label, security, info) in [psk, ways()[(seed % 4) as usize].clone()] {
            let mut town = Town::new(seed, 0.2, security, info, LwM2mVersion::V1_1);
            town.begin();
            town.run_to_registered();
            let accounts: Vec<_> = town.client.accounts().map(|account| (account.ssid, account.lifetime)).collect();
            assert_eq!(accounts, [(101, 300)], "{label}, seed {seed}");
        }
    }
}

/// The wrong key of a bootstrap server: nothing is written, and it is tried again ever more rarely.
#[test]
fn a_bootstrap_server_with_another_key_is_not_believed() {
    let wrong = Security::psk(BOOTSTRAP.0, b"another secret".as_slice()).unwrap();
    let info = SecurityInfo::Psk(Psk::new(BOOTSTRAP.0, BOOTSTRAP.1).unwrap());
    let mut town = Town::new(3, 0.0, wrong, Some(info), LwM2mVersion::V1_1);
    town.begin();
    while let Some(event) = town.world.next_until(seconds(600)) {
        town.happen(event);
        town.pump();
    }
    let begun = town.events.iter().filter(|event| matches!(event, Event::BootstrapBegun)).count();
    let failed = town.events.iter().filter(|event| {
        matches!(event, Event::BootstrapFailed { reason: lapwing_lwm2m::client::Failure::Handshake(_), .. })
    });
    assert!((4..12).contains(&begun), "{begun} times in ten minutes");
    assert!(failed.count() + 1 >= begun, "{:?}", town.events);
    assert!(town.saved.record(RecordKey::Accounts).is_none());
}
