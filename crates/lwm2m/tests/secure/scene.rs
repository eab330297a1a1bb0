//! A client, the cable, and a server that a test scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use lapwing_coap::{Code, Message, MessageType, Token, Writer, wire};
use lapwing_dtls::{
    self as dtls, AssociationId, Closed, Established, Failure,
    credentials::Psk,
    record::{ContentType, Records},
    server::Event as Told,
};
use lapwing_lwm2m::{
    Now,
    account::{Record, RecordKey, Saved, Security, ServerAccount},
    client::{Client, Command, Config, Event, FlowEvent, FlowId, Output, PersistId, Status, StoreError, Target},
};
use sim::{Cable, Happening, World};

use crate::objects::Objects;

pub(crate) const IDENTITY: &[u8] = b"the gateway's identity";
pub(crate) const KEY: &[u8] = b"sixteen secret b";
/// How many bytes the server's Connection IDs have.
const ID: usize = 6;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A cable on which nothing is lost.
pub(crate) fn good() -> Cable {
    Cable::new().latency(Duration::from_millis(20))
}

pub(crate) fn account(there: SocketAddr) -> ServerAccount {
    let security = Security::psk(IDENTITY, KEY).expect("a key");
    ServerAccount::new(1, format!("coaps://{there}").parse().expect("a URI")).security(security).lifetime(600)
}

pub(crate) fn server_with(config: dtls::ServerConfig, seed: u8) -> dtls::Server {
    let mut server = dtls::Server::new(Arc::new(config), [seed; 32]);
    server.add_psk(Psk::new(IDENTITY, KEY).expect("a key"));
    server
}

/// What becomes of a record that is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// It is stored at once.
    Stores,
    /// It waits for [`Scene::store`].
    Waits,
    /// It cannot be stored.
    Fails,
    /// It is not stored, and the client is told that it is.
    Lies,
}

/// A request that the server got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) at: Duration,
    pub(crate) code: Code,
    pub(crate) path: String,
    pub(crate) query: Vec<String>,
    pub(crate) size: usize,
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) config: Config,
    pub(crate) client: Client,
    pub(crate) objects: Objects,
    /// Where the client engine's timer goes off; its sockets come and go.
    brain: SocketAddr,
    /// The flow, and the address that the server sees.
    pub(crate) flow: Option<(FlowId, SocketAddr)>,
    next_port: u16,
    pub(crate) opens: Vec<Target>,
    /// The client's time since 1970, if it knows it.
    pub(crate) unix: Option<Duration>,
    /// Whether the driver tells which port a flow starts from.
    pub(crate) tells_port: bool,
    /// Whether the port that is asked for belongs to somebody else.
    pub(crate) port_taken: bool,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) disk: Disk,
    pub(crate) saved: Saved,
    /// The same, to be looked at.
    pub(crate) records: BTreeMap<RecordKey, Vec<u8>>,
    pub(crate) persisting: Vec<(PersistId, Record)>,
    /// How many records were stored of the association.
    pub(crate) stored: usize,
    /// Every datagram that came to the client.
    pub(crate) received: Vec<Vec<u8>>,
    /// Numbers of protected records that left the client, with their Connection IDs.
    numbers: BTreeSet<(Vec<u8>, u64)>,
    /// Of protected records without a Connection ID.
    pub(crate) bare_numbers: Vec<u64>,
    pub(crate) sizes: Vec<usize>,
    runs: u32,

    pub(crate) server: dtls::Server,
    pub(crate) there: SocketAddr,
    pub(crate) handshakes: Vec<(Duration, Established)>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) closed: Vec<Closed>,
    /// The association that spoke last.
    pub(crate) association: Option<AssociationId>,
    pub(crate) registrations: BTreeSet<String>,
    pub(crate) asked: Vec<Asked>,
    /// Whether the server answers requests.
    pub(crate) answers: bool,
    replies: BTreeMap<Token, Code>,
    next_id: u16,
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ladder = self.world.trace().ladder(|bytes| {
                let kinds = Records::new(bytes, ID).map(|record| format!("{:?}/{}", record.content_type, record.epoch));
                format!("{} {}", bytes.len(), kinds.collect::<Vec<_>>().join(" "))
            });
            eprintln!("{ladder}\n{:?}\n{:?}\n{:#?}", self.client, self.asked, self.events);
        }
    }
}

impl Scene {
    /// A client that has not begun, a good cable, and defaults.
    pub(crate) fn new() -> Scene {
        Scene::with(1, good(), |_| {}, dtls::ServerConfig::default())
    }

    /// The same without Connection IDs.
    pub(crate) fn without_connection_id() -> Scene {
        Scene::with(1, good(), |config| config.dtls.connection_id = None, dtls::ServerConfig::default())
    }

    pub(crate) fn with(
        seed: u64,
        cable: Cable,
        configure: impl FnOnce(&mut Config),
        server: dtls::ServerConfig,
    ) -> Scene {
        let mut world = World::seeded(seed).cable(cable);
        let (brain, there) = (world.node("client"), world.node("server"));
        let mut config = Config::new("gw", vec![account(there)]);
        configure(&mut config);
        let client = Client::new(Now::default(), config.clone(), world.random().seed(), Saved::new()).expect("sense");
        Scene {
            world,
            config,
            client,
            objects: Objects::gateway(),
            brain,
            flow: None,
            next_port: 40_000,
            opens: Vec::new(),
            unix: None,
            tells_port: true,
            port_taken: false,
            events: Vec::new(),
            disk: Disk::Stores,
            saved: Saved::new(),
            records: BTreeMap::new(),
            persisting: Vec::new(),
            stored: 0,
            received: Vec::new(),
            numbers: BTreeSet::new(),
            bare_numbers: Vec::new(),
            sizes: Vec::new(),
            runs: 0,
            server: server_with(server, 1),
            there,
            handshakes: Vec::new(),
            failures: Vec::new(),
            closed: Vec::new(),
            association: None,
            registrations: BTreeSet::new(),
            asked: Vec::new(),
            answers: true,
            replies: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// Registered, with nothing under way.
    pub(crate) fn registered(mut self) -> Scene {
        self.declare();
        self.run(seconds(5));
        assert_eq!(self.client.status(1), Some(Status::Registered), "{:?}", self.events);
        self
    }

    pub(crate) fn declare(&mut self) {
        let tree = self.objects.tree();
        self.client.declare(self.now(), tree);
        self.pump();
    }

    pub(crate) fn now(&self) -> Now {
        Now { unix: self.unix, ..Now::from_elapsed(self.world.now()) }
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.client.command(self.now(), command);
        self.pump();
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while let Some(event) = self.world.next_until(end) {
            match event.what {
                Happening::Timer if event.node == self.there => self.server.handle_timeout(event.at),
                Happening::Timer => self.client.handle_timeout(self.now()),
                Happening::Datagram { from, bytes } if event.node == self.there => {
                    self.server.handle_datagram(event.at, from, &bytes);
                }
                Happening::Datagram { bytes, .. } => {
                    if let Some((flow, _)) = self.flow.filter(|(_, address)| *address == event.node) {
                        self.received.push(bytes.to_vec());
                        self.client.handle_datagram(self.now(), flow, &bytes);
                    }
                }
                Happening::Alarm(_) => unreachable!("no alarm is set"),
            }
            self.pump();
        }
    }

    /// Time passes while nothing runs here; what comes meanwhile is lost.
    pub(crate) fn suspend(&mut self, time: Duration) {
        self.world.set_timer(self.brain, None);
        let end = self.world.now() + time;
        while self.world.next_until(end).is_some() {}
        self.client.handle_timeout(self.now());
        self.pump();
    }

    /// Lets time pass until the client is registered, and gives the time it took.
    pub(crate) fn run_to_registered(&mut self) -> Duration {
        let (begin, seen) = (self.world.now(), self.registered_times());
        while self.registered_times() == seen {
            assert!(self.world.now() < begin + seconds(1_000), "not registered");
            self.run(Duration::from_millis(10));
        }
        self.world.now() - begin
    }

    pub(crate) fn registered_times(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Registered { .. })).count()
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.client.status(1)
    }

    /// Gives a datagram to the client.
    pub(crate) fn inject(&mut self, datagram: &[u8]) {
        if let Some((flow, _)) = self.flow {
            self.client.handle_datagram(self.now(), flow, datagram);
        }
        self.pump();
    }

    pub(crate) fn pump(&mut self) {
        self.pump_client();
        self.pump_server();
    }

    fn pump_client(&mut self) {
        let mut buffer = Vec::new();
        let due = loop {
            match self.client.poll_output(&mut buffer) {
                Output::Wait(due, _) => break due,
                Output::Open(flow, target) => self.open(flow, target),
                Output::Close(flow) => {
                    if let Some((_, address)) = self.flow.take_if(|(open, _)| *open == flow) {
                        self.world.remove(address);
                    }
                }
                Output::Transmit(flow, datagram) => {
                    let (open, address) = self.flow.expect("a flow");
                    assert_eq!(open, flow, "a datagram on the flow that is open");
                    self.sizes.push(datagram.len());
                    let datagram = datagram.to_vec();
                    self.note_numbers(&datagram);
                    self.world.send(address, self.there, &datagram);
                }
                Output::Operation(id, operation) => {
                    let reply = self.objects.run(&operation.kind);
                    self.client.complete(self.now(), id, reply);
                }
                Output::Persist(id, record) => match self.disk {
                    Disk::Stores => self.keep(id, record),
                    Disk::Waits => self.persisting.push((id, record)),
                    Disk::Lies => self.client.persisted(self.now(), id, Ok(())),
                    Disk::Fails => self.client.persisted(self.now(), id, Err(StoreError)),
                },
                Output::Event(event) => self.events.push((self.world.now(), event)),
                Output::Settled(_) | Output::Abort(..) => {}
                other => panic!("unexpected {other:?}"),
            }
        };
        self.world.set_timer(self.brain, due);
    }

    fn open(&mut self, flow: FlowId, target: Target) {
        let asked = target.local_port.filter(|_| !self.port_taken);
        let port = asked.unwrap_or(self.next_port);
        self.next_port += u16::from(asked.is_none());
        self.opens.push(target);
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), port));
        self.world.node_at("gateway", address);
        self.flow = Some((flow, address));
        if self.tells_port {
            self.client.handle_flow(self.now(), flow, FlowEvent::Bound(port));
        }
        self.client.handle_flow(self.now(), flow, FlowEvent::Opened);
    }

    /// No number of a record is used twice with the same keys. Connection IDs are drawn anew for each association.
    fn note_numbers(&mut self, datagram: &[u8]) {
        for record in Records::new(datagram, ID).filter(|record| record.epoch > 0) {
            if record.content_type == ContentType::Tls12Cid {
                let id = record.connection_id.to_vec();
                assert!(self.numbers.insert((id, record.sequence)), "record number {} twice", record.sequence);
            } else {
                self.bare_numbers.push(record.sequence);
            }
        }
    }

    fn keep(&mut self, id: PersistId, record: Record) {
        self.write(record);
        self.client.persisted(self.now(), id, Ok(()));
    }

    /// What waited reaches the disk, and the client hears of it.
    pub(crate) fn store(&mut self) {
        for (id, record) in std::mem::take(&mut self.persisting) {
            self.keep(id, record);
        }
        self.pump();
    }

    fn write(&mut self, record: Record) {
        self.stored += usize::from(matches!(record.key, RecordKey::Association(_)));
        self.records.insert(record.key, record.content.to_vec());
        self.saved.insert(record);
    }

    /// Some of what waited reaches the disk, and the client does not hear of it.
    pub(crate) fn store_unheard(&mut self) {
        for (_, record) in std::mem::take(&mut self.persisting) {
            self.write(record);
        }
    }

    /// The client's process is killed and started again.
    pub(crate) fn kill(&mut self) {
        if let Some((_, address)) = self.flow.take() {
            self.world.remove(address);
        }
        self.persisting.clear();
        self.runs += 1;
        let mut seed = [100; 32];
        seed[..4].copy_from_slice(&self.runs.to_be_bytes());
        self.client = Client::new(self.now(), self.config.clone(), seed, self.saved.clone()).expect("sense");
    }

    /// The NAT gives the client another address and forgets the old one, and tells nobody.
    pub(crate) fn rebind(&mut self) {
        let (flow, old) = self.flow.expect("a flow");
        self.world.remove(old);
        let address = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 7), self.next_port));
        self.next_port += 1;
        self.world.node_at("gateway", address);
        self.flow = Some((flow, address));
    }

    /// The client's own address changes.
    pub(crate) fn move_client(&mut self) {
        self.rebind();
        let (flow, address) = self.flow.expect("a flow");
        self.client.handle_flow(self.now(), flow, FlowEvent::Bound(address.port()));
        self.client.handle_flow(self.now(), flow, FlowEvent::Moved);
        self.pump();
    }

    /// The server's process is killed and started again: it has no association and no registration.
    pub(crate) fn restart_server(&mut self) {
        self.server = server_with(dtls::ServerConfig::default(), 200);
        self.registrations.clear();
        self.association = None;
    }

    fn pump_server(&mut self) {
        let mut heard = Vec::new();
        while let Some(event) = self.server.poll_event() {
            match event {
                Told::Established { established, .. } => self.handshakes.push((self.world.now(), established)),
                Told::Failed { failure, .. } => self.failures.push(failure),
                Told::Data { association, data } => heard.push((association, data.to_vec())),
                Told::Closed { why, .. } => self.closed.push(why),
                _ => {}
            }
        }
        for (association, message) in heard {
            self.association = Some(association);
            self.hear(association, &message);
        }
        let mut buffer = Vec::new();
        while let Some((to, range)) = self.server.poll_transmit(&mut buffer) {
            self.world.send(self.there, to, &buffer[range]);
        }
        self.world.set_timer(self.there, self.server.poll_timeout().map(|(at, _)| at));
    }

    fn hear(&mut self, association: AssociationId, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("the client sends valid messages");
        if !message.code.is_request() {
            // An answer from an address shows that the client is there.
            self.server.prove_address(association);
            if message.code.is_response() {
                self.replies.insert(message.token, message.code);
            }
            return;
        }
        let path = message.options.uri_path().collect::<Vec<_>>().join("/");
        let query = message.options.uri_query().map(str::to_owned).collect();
        let (at, size) = (self.world.now(), message.payload.len());
        self.asked.push(Asked { at, code: message.code, path: path.clone(), query, size });
        if !self.answers {
            return;
        }
        let more = message.options.block1().ok().flatten().filter(|block| block.more);
        let known = self.registrations.contains(&path);
        let (code, location) = match (message.code, path.as_str()) {
            (Code::POST, "rd") if more.is_some() => (Code::CONTINUE, None),
            (Code::POST, "rd") => {
                let name = self.asked.len().to_string();
                self.registrations.insert(format!("rd/{name}"));
                (Code::CREATED, Some(name))
            }
            (Code::POST, _) if known => (Code::CHANGED, None),
            (Code::DELETE, _) if known => {
                self.registrations.remove(&path);
                (Code::DELETED, None)
            }
            _ => (Code::NOT_FOUND, None),
        };
        let mut answer = Vec::new();
        let mut writer = Writer::new(&mut answer, MessageType::Ack, code, message.id, message.token);
        for segment in location.iter().flat_map(|name| ["rd", name]) {
            writer.option_str(wire::option::LOCATION_PATH, segment);
        }
        if let Ok(Some(block)) = message.options.block1() {
            writer.option_block(wire::option::BLOCK1, block);
        }
        writer.finish();
        // It may be too much for an address that is not proven yet.
        let _ = self.server.send(association, &answer);
    }

    /// Sends a confirmable request to the client, and gives its token.
    pub(crate) fn ask(&mut self, code: Code, path: &str) -> Token {
        self.next_id += 1;
        let token = Token::new(&[7, (self.next_id >> 8) as u8, self.next_id as u8]).expect("three bytes");
        let mut request = Vec::new();
        let mut writer = Writer::new(&mut request, MessageType::Con, code, self.next_id, token);
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            writer.option_str(wire::option::URI_PATH, segment);
        }
        writer.finish();
        let association = self.association.expect("an association");
        let _ = self.server.send(association, &request);
        self.pump();
        token
    }

    /// A request to the client, and the code of its answer within a second, if there was one.
    pub(crate) fn request(&mut self, code: Code, path: &str) -> Option<Code> {
        let token = self.ask(code, path);
        self.run(seconds(1));
        self.replies.remove(&token)
    }

    /// The server can read from the client.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self, label: &str) {
        assert_eq!(self.status(), Some(Status::Registered), "{label}");
        assert_eq!(self.request(Code::GET, "/3/0/9"), Some(Code::CONTENT), "{label}");
    }

    /// Paths of the requests that the server got since, with their codes.
    pub(crate) fn asked_since(&self, from: usize) -> Vec<(Code, &str)> {
        self.asked[from..].iter().map(|asked| (asked.code, asked.path.as_str())).collect()
    }

    /// The handshakes since, by whether they resumed a session.
    pub(crate) fn resumed_since(&self, from: usize) -> Vec<bool> {
        self.handshakes[from..].iter().map(|(_, established)| established.resumed).collect()
    }

    /// The events since then but for those that tell of success.
    pub(crate) fn troubles(&self) -> Vec<&Event> {
        let ok = |event: &Event| {
            matches!(
                event,
                Event::Registered { .. }
                    | Event::Resumed { .. }
                    | Event::Updated { .. }
                    | Event::Secured { .. }
                    | Event::Observed(_)
            )
        };
        self.events.iter().map(|(_, event)| event).filter(|event| !ok(event)).collect()
    }
}
