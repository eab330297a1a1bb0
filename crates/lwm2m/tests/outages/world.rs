//! The world of one seed: who is in it, what happens to them, and what must come of it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use lapwing_coap::wire::describe;
use lapwing_dtls::credentials::Psk;
use lapwing_lwm2m::{
    Now,
    account::{Saved, SecurityMode, ServerAccount},
    attributes::Changes,
    client::{self, Client, Command, Config, FlowEvent, FlowId, Notifications, OperationKind, Output, Reply, Status},
    definitions::{device, firmware_update, test_object_v1_0},
    model::{Instance, Node, Path, Tree, TreeObject, Value},
    server::{
        Channel, Content, Request, RequestId, Response, SecurityInfo, Server, ServerConfig, ServerEvent, ServerOutput,
    },
};
use sim::{Cable, Happening, Random, World};

/// Every change is given with its value, and demanded.
const LEVEL: Path = Path::object(3).instance(0).resource(device::BATTERY_LEVEL);
/// Changes are told without a value: the instance is read.
const STATE: Path = Path::object(5).instance(0);
/// Only crossings are demanded.
const THRESHOLD: Path = Path::object(3441).instance(0).resource(test_object_v1_0::INTEGER_VALUE);
const LT: i64 = 20;
const GT: i64 = 80;
const PATHS: [Path; 3] = [LEVEL, STATE, THRESHOLD];
const ENDPOINT: &str = "gw";

/// When the loss ends.
const CALM: Duration = Duration::from_secs(900);
/// A Register that is under way gives up after MAX_TRANSMIT_WAIT; the longest delay before the next one is 5 min.
const REGISTERED: Duration = Duration::from_secs(93 + 300);
/// Over DTLS, an association that is presumed to be there is given up after two retransmissions and a handshake after 63 s; and what
/// was registered over an association that the server replaced meanwhile is found out by an Update, at half of the lifetime.
const SECURED: Duration = Duration::from_secs(9 + 63 + 165 + 93);
/// A request to observe gives up after as long, and the server's longest delay before the next one is 5 min, too.
const OBSERVED: Duration = Duration::from_secs(2 * (93 + 300));

/// How the client and the server speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    /// Over DTLS with a Connection ID.
    ConnectionId,
    /// Over DTLS without one.
    Address,
}

/// What is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The timer after which a server is tried again does not go off.
    IgnoresRetries,
    /// The timers of handshakes, and of associations that the server may have lost, do not go off.
    IgnoresDoubt,
    /// The last change before the loss ends is not told to the client engine.
    DropsLastValue,
    /// Notifications are sent without asking for an acknowledgement.
    NonConfirmable,
}

/// One world.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    seed: u64,
    way: Way,
    loss: f64,
    duplication: f64,
    reordering: f64,
    lifetime: u32,
    /// The cable is cut for a while.
    outage: Option<(Duration, Duration)>,
    /// The client's address changes.
    moves: Option<Duration>,
    /// A NAT gives the client another address, and tells nobody.
    rebinds: Option<Duration>,
    /// The client's process is killed and started again.
    restarts: Option<Duration>,
    /// The server forgets the client.
    forgets: Option<Duration>,
    /// Whether every demanded value must arrive.
    strict: bool,
    fault: Fault,
}

impl Plan {
    /// The same with a fault.
    pub(crate) fn with(self, fault: Fault) -> Plan {
        Plan { fault, ..self }
    }

    /// The same over DTLS, with what only DTLS survives.
    pub(crate) fn over(self, way: Way) -> Plan {
        let mut random = Random::seeded(self.seed ^ 0xd715);
        let mut sometimes = || if random.chance(0.3) { Some(random.up_to(CALM)) } else { None };
        Plan {
            way,
            rebinds: sometimes().filter(|_| !self.strict),
            restarts: sometimes().filter(|_| !self.strict),
            ..self
        }
    }

    /// Up to 40 % loss, and everything else that may go wrong.
    pub(crate) fn rough(seed: u64) -> Plan {
        let mut random = Random::seeded(seed ^ 0x5eed);
        let seconds = |random: &mut Random| random.up_to(CALM);
        let sometimes = |random: &mut Random| if random.chance(0.3) { Some(seconds(random)) } else { None };
        Plan {
            seed,
            way: Way::Plain,
            rebinds: None,
            restarts: None,
            loss: 0.4 * random.below(1_001) as f64 / 1_000.0,
            duplication: 0.2 * random.below(1_001) as f64 / 1_000.0,
            reordering: 0.2 * random.below(1_001) as f64 / 1_000.0,
            lifetime: 30 + random.below(300) as u32,
            outage: sometimes(&mut random).map(|from| (from, from + random.up_to(CALM - from))),
            moves: sometimes(&mut random),
            forgets: sometimes(&mut random),
            strict: false,
            fault: Fault::None,
        }
    }

    /// At most 10 % loss.
    pub(crate) fn fair(seed: u64) -> Plan {
        let rough = Plan::rough(seed);
        Plan { loss: rough.loss / 4.0, outage: None, moves: None, strict: true, ..rough }
    }
}

/// What became of the values that were demanded.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) arrived: usize,
    /// Those that the client reported it could not deliver.
    pub(crate) reported: usize,
}

/// Runs a plan; what is violated comes with a ladder diagram.
pub(crate) fn run(plan: &Plan) -> Result<Tally, String> {
    let mut test = Test::new(plan);
    match test.run() {
        Ok(()) => Ok(test.tally),
        Err(violation) => {
            let ladder = test.world.trace().ladder(|datagram| describe(datagram).to_string());
            Err(format!("{violation}\n{plan:?}\n{:?} {:?}\n{ladder}", test.client, test.server))
        }
    }
}

/// What the test asks of the client's node, by the tags of its alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Change,
    Moves,
    Rebinds,
    Restarts,
    Forgets,
    Cut,
    Restore,
    SetUp,
}

const TAGS: [Tag; 8] =
    [Tag::Change, Tag::Moves, Tag::Rebinds, Tag::Restarts, Tag::Forgets, Tag::Cut, Tag::Restore, Tag::SetUp];

/// What the server does once to every client, until it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    WriteAttributes,
    Observe(Path),
}

/// One observed path, as the test follows it.
#[derive(Debug, Default)]
struct Watch {
    value: i64,
    /// Whether the client is observed, as it says.
    observed: bool,
    /// Values that must arrive, in this order.
    demanded: VecDeque<i64>,
    /// What the server was told last.
    known: Option<i64>,
}

struct Test<'a> {
    plan: &'a Plan,
    world: World,
    client: Client,
    config: Config,
    saved: Saved,
    server: Server,
    /// Where the client engine's timers and the test's alarms go off; its sockets come and go.
    brain: SocketAddr,
    server_at: SocketAddr,
    flow: Option<(FlowId, SocketAddr)>,
    next_port: u16,
    watches: BTreeMap<Path, Watch>,
    steps: BTreeMap<Step, Option<RequestId>>,
    violation: Option<String>,
    tally: Tally,
}

impl<'a> Test<'a> {
    fn new(plan: &'a Plan) -> Test<'a> {
        let held_back = Duration::from_secs(5);
        let cable = Cable::new()
            .latency(Duration::from_millis(20))
            .jitter(Duration::from_millis(30))
            .loss(plan.loss)
            .duplication(plan.duplication)
            .reordering(plan.reordering, held_back);
        let mut world = World::seeded(plan.seed).cable(cable);
        let (brain, server_at) = (world.node("client"), world.node("server"));
        let scheme = if plan.way == Way::Plain { "coap" } else { "coaps" };
        let uri = format!("{scheme}://{server_at}").parse().expect("an address makes a URI");
        let mut account = ServerAccount::new(1, uri).lifetime(plan.lifetime);
        let psk = Psk::new("identity", *b"sixteen secret b").expect("a key");
        if plan.way != Way::Plain {
            account = account.security(SecurityMode::Psk(psk.clone()).into());
        }
        let mut config = Config::new(ENDPOINT, vec![account]);
        config.dtls.connection_id = (plan.way == Way::ConnectionId).then_some(0);
        // So few that they run out now and then.
        config.dtls.reservation = 64;
        if plan.fault == Fault::NonConfirmable {
            config.notifications = Notifications::NonConfirmable;
        }
        let seeds = (world.random().seed(), world.random().seed());
        let client =
            Client::new(Now::default(), config.clone(), seeds.0, Saved::new()).expect("the configuration makes sense");
        let steps = PATHS.map(Step::Observe).into_iter().chain([Step::WriteAttributes]);
        let mut server_config = ServerConfig::default();
        server_config.dtls = Some(lapwing_dtls::ServerConfig::default());
        let mut server = Server::new(Now::default(), server_config, seeds.1);
        if plan.way != Way::Plain {
            server.set_security(Now::default(), ENDPOINT, Some(SecurityInfo::Psk(psk))).expect("the only identity");
        }
        Test {
            plan,
            world,
            client,
            config,
            saved: Saved::new(),
            server,
            brain,
            server_at,
            flow: None,
            next_port: 40_000,
            watches: PATHS.map(|path| (path, Watch { value: 50, ..Watch::default() })).into(),
            steps: steps.map(|step| (step, None)).collect(),
            violation: None,
            tally: Tally::default(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        self.client.declare(self.now(), tree());
        self.drive();
        self.alarms();
        self.run_until(CALM)?;
        self.world.set_cable(Cable::new().latency(Duration::from_millis(20)));
        self.last_change();
        let slower = if self.plan.way == Way::Plain { Duration::ZERO } else { SECURED };
        self.run_until(CALM + REGISTERED + slower)?;
        let server_has_it = self.server.registration(ENDPOINT).is_some();
        if self.client.status(1) != Some(Status::Registered) || !server_has_it {
            return Err("not registered within the documented back-off".into());
        }
        self.run_until(CALM + OBSERVED + slower)?;
        self.compare("within the documented back-off")?;
        if self.plan.strict
            && let Some((path, watch)) = self.watches.iter().find(|(_, watch)| !watch.demanded.is_empty())
        {
            return Err(format!("{path}: {:?} were demanded, and neither arrived nor were reported", watch.demanded));
        }
        // Observed means: what changes now arrives.
        PATHS.iter().for_each(|path| self.change(*path, 1_000, true));
        self.run_until(CALM + OBSERVED + slower + Duration::from_secs(5))?;
        self.compare("when it changes")?;
        self.client.command(self.now(), Command::Deregister);
        self.drive();
        self.run_until(CALM + OBSERVED + slower + Duration::from_secs(10))?;
        if self.server.registration(ENDPOINT).is_some() { Err("not de-registered".into()) } else { Ok(()) }
    }

    /// Whether the server knows what is; of the threshold, whether it is on the right side.
    fn compare(&self, when: &str) -> Result<(), String> {
        for (path, watch) in &self.watches {
            let known = watch.known.ok_or_else(|| format!("{path} is not observed {when}"))?;
            let same = if *path == THRESHOLD { side(known) == side(watch.value) } else { known == watch.value };
            if !same {
                return Err(format!("{path} is {}, and the server knows {known} {when}", watch.value));
            }
        }
        Ok(())
    }

    fn now(&self) -> Now {
        self.world.now().into()
    }

    fn alarms(&mut self) {
        let plan = self.plan.clone();
        let mut alarm = |at: Duration, tag: Tag| self.world.alarm(self.brain, at, tag as u64);
        let once = [
            (plan.moves, Tag::Moves),
            (plan.rebinds, Tag::Rebinds),
            (plan.restarts, Tag::Restarts),
            (plan.forgets, Tag::Forgets),
        ];
        once.into_iter().filter_map(|(at, tag)| Some((at?, tag))).for_each(|(at, tag)| alarm(at, tag));
        if let Some((from, to)) = plan.outage {
            alarm(from, Tag::Cut);
            alarm(to, Tag::Restore);
        }
        let mut random = Random::seeded(plan.seed ^ 0xc4a6e);
        let mut at = Duration::from_secs(10);
        while at < CALM - Duration::from_secs(1) {
            alarm(at, Tag::Change);
            at += random.up_to(Duration::from_secs(40));
        }
        for at in (5..(CALM + OBSERVED + SECURED).as_secs()).step_by(10) {
            alarm(Duration::from_secs(at), Tag::SetUp);
        }
    }

    fn run_until(&mut self, limit: Duration) -> Result<(), String> {
        while let Some(event) = self.world.next_until(limit) {
            match event.what {
                Happening::Datagram { from, bytes } if event.node == self.server_at => {
                    let channel = if self.plan.way == Way::Plain { Channel::Plain } else { Channel::Secure };
                    self.server.handle_datagram(self.now(), channel, from, &bytes);
                }
                Happening::Datagram { bytes, .. } => {
                    if let Some((flow, _)) = self.flow.filter(|(_, address)| *address == event.node) {
                        self.client.handle_datagram(self.now(), flow, &bytes);
                    }
                }
                Happening::Timer if event.node == self.server_at => self.server.handle_timeout(self.now()),
                Happening::Timer => self.client.handle_timeout(self.now()),
                Happening::Alarm(tag) => self.happen(TAGS[tag as usize]),
            }
            self.drive();
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
        }
        Ok(())
    }

    fn happen(&mut self, tag: Tag) {
        let address = self.flow.map(|(_, address)| address);
        match tag {
            Tag::Change => {
                let path = PATHS[self.world.random().below(3)];
                let value = match path {
                    THRESHOLD => self.world.random().below(101) as i64,
                    _ => self.watches[&path].value + 1,
                };
                self.change(path, value, true);
            }
            Tag::Moves => {
                self.world.note(self.brain, "moves");
                self.rebind();
                if let Some((flow, _)) = self.flow {
                    self.client.handle_flow(self.now(), flow, FlowEvent::Moved);
                }
            }
            Tag::Rebinds => {
                self.world.note(self.brain, "has another address");
                self.rebind();
            }
            Tag::Restarts => self.restart(),
            Tag::Forgets => {
                self.world.note(self.server_at, "forgets");
                if let Some(id) = self.server.registration(ENDPOINT).map(|registration| registration.id) {
                    self.server.forget(self.now(), id);
                }
            }
            // Whoever moves meanwhile has another way.
            Tag::Cut => address.into_iter().for_each(|address| self.world.cut(address, self.server_at)),
            Tag::Restore => {
                let client: Vec<SocketAddr> = (40_000..self.next_port).map(socket).collect();
                client.into_iter().for_each(|address| self.world.restore(address, self.server_at));
            }
            Tag::SetUp => self.set_up(),
        }
    }

    fn rebind(&mut self) {
        if let Some((_, address)) = &mut self.flow {
            self.world.remove(*address);
            *address = socket(self.next_port);
            self.next_port += 1;
            self.world.node_at("client", *address);
        }
    }

    /// What was to be told is told anew by whoever observes anew.
    fn restart(&mut self) {
        self.world.note(self.brain, "restarts");
        if let Some((_, address)) = self.flow.take() {
            self.world.remove(address);
        }
        let seed = self.world.random().seed();
        self.client = Client::new(self.now(), self.config.clone(), seed, self.saved.clone()).expect("as before");
        for watch in self.watches.values_mut() {
            watch.demanded.clear();
            watch.observed = false;
        }
        self.client.declare(self.now(), tree());
    }

    /// The last change before the loss ends, of everything.
    fn last_change(&mut self) {
        for path in PATHS {
            let value = if side(self.watches[&THRESHOLD].value) == 0 { 90 } else { 50 };
            let value = if path == THRESHOLD { value } else { self.watches[&path].value + 1 };
            self.change(path, value, self.plan.fault != Fault::DropsLastValue);
        }
        self.drive();
    }

    fn change(&mut self, path: Path, value: i64, told: bool) {
        let Some(watch) = self.watches.get_mut(&path) else { return };
        let before = std::mem::replace(&mut watch.value, value);
        let demanded = path == LEVEL || path == THRESHOLD && side(before) != side(value);
        if watch.observed && demanded {
            watch.demanded.push_back(value);
        }
        self.world.note(self.brain, format!("{path} is {value}"));
        if told {
            let given = (path != STATE).then_some(Value::Integer(value));
            let path = if path == STATE { STATE.resource(firmware_update::STATE) } else { path };
            self.client.notify(self.now(), path, given);
        }
        self.drive();
    }

    /// Asks for what has not been asked for, or failed.
    fn set_up(&mut self) {
        let Some(id) = self.server.registration(ENDPOINT).map(|registration| registration.id) else { return };
        let now = self.now();
        let attributes_first = self.steps.contains_key(&Step::WriteAttributes);
        for (step, asked) in &mut self.steps {
            let request = match *step {
                _ if asked.is_some() => continue,
                Step::Observe(THRESHOLD) if attributes_first => continue,
                Step::Observe(path) => Request::Observe { path, format: None },
                Step::WriteAttributes => {
                    let (lt, gt) = (format!("lt={LT}"), format!("gt={GT}"));
                    let changes = Changes::parse([&*lt, &*gt]).expect("attributes");
                    Request::WriteAttributes { path: THRESHOLD, changes }
                }
            };
            *asked = Some(self.server.request(now, id, request, None));
        }
    }

    fn drive(&mut self) {
        self.drive_client();
        self.drive_server();
    }

    fn drive_client(&mut self) {
        let mut buffer = Vec::new();
        loop {
            let now = self.now();
            match self.client.poll_output(&mut buffer) {
                Output::Open(flow, target) => {
                    let port = target.local_port.unwrap_or(self.next_port);
                    self.next_port += u16::from(target.local_port.is_none());
                    let address = socket(port);
                    self.world.node_at("client", address);
                    self.flow = Some((flow, address));
                    self.client.handle_flow(now, flow, FlowEvent::Bound(port));
                    self.client.handle_flow(now, flow, FlowEvent::Opened);
                }
                Output::Close(_) => {
                    if let Some((_, address)) = self.flow.take() {
                        self.world.remove(address);
                    }
                }
                Output::Transmit(_, datagram) => {
                    let (_, from) = self.flow.expect("datagrams need a flow");
                    self.world.send(from, self.server_at, datagram);
                }
                Output::Operation(id, operation) => {
                    let OperationKind::Read { path } = operation.kind else { panic!("unexpected {operation:?}") };
                    let node = self.read(path);
                    self.client.complete(now, id, Ok(Reply::Content(node)));
                }
                Output::Persist(id, record) => {
                    self.saved.insert(record);
                    self.client.persisted(now, id, Ok(()));
                }
                Output::Event(event) => self.client_event(event),
                Output::Wait(due, reason) => {
                    let ignored = match self.plan.fault {
                        Fault::IgnoresRetries => reason == client::Reason::Retry,
                        Fault::IgnoresDoubt => matches!(reason, client::Reason::Association | client::Reason::Dtls(_)),
                        _ => false,
                    };
                    self.world.set_timer(self.brain, due.filter(|_| !ignored));
                    return;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn read(&self, path: Path) -> Node {
        let value = self.watches[&path].value;
        match path {
            STATE => Node::Instance(Instance::from([(firmware_update::STATE, value.into())])),
            _ => Node::single(value),
        }
    }

    fn client_event(&mut self, event: client::Event) {
        self.world.note(self.brain, format!("{event:?}"));
        match event {
            // What was demanded and not delivered is reported herewith.
            client::Event::ServerLost { .. } | client::Event::NotificationLost { .. } => {
                for watch in self.watches.values_mut() {
                    self.tally.reported += watch.demanded.len();
                    watch.demanded.clear();
                }
            }
            client::Event::Observed(paths) => {
                self.watches.iter_mut().for_each(|(path, watch)| watch.observed = paths.contains(path));
            }
            _ => {}
        }
    }

    fn drive_server(&mut self) {
        let mut buffer = Vec::new();
        loop {
            match self.server.poll_output(&mut buffer) {
                ServerOutput::Transmit(_, to, datagram) => self.world.send(self.server_at, to, datagram),
                ServerOutput::Answer(id, result) => self.answered(id, result.ok()),
                ServerOutput::Event(ServerEvent::Notification { path, response, .. }) => self.arrived(path, &response),
                ServerOutput::Event(event) => {
                    let text = format!("{event:?}");
                    self.world.note(self.server_at, text.split(['{', '(']).next().unwrap_or_default().to_owned());
                }
                ServerOutput::Pull(..) | ServerOutput::Fetch(_) => {}
                ServerOutput::Wait(due, _) => return self.world.set_timer(self.server_at, due),
            }
        }
    }

    fn answered(&mut self, id: RequestId, response: Option<Response>) {
        let Some(step) = self.steps.iter().find(|(_, asked)| **asked == Some(id)).map(|(step, _)| *step) else {
            return;
        };
        match (step, response.filter(|response| response.code.is_success())) {
            (_, None) => drop(self.steps.insert(step, None)),
            (Step::WriteAttributes, Some(_)) => drop(self.steps.remove(&step)),
            (Step::Observe(path), Some(response)) => {
                self.steps.remove(&step);
                self.arrived(path, &response);
            }
        }
    }

    fn arrived(&mut self, path: Path, response: &Response) {
        let Content::Node(node) = &response.content else {
            self.violation = Some(format!("{path}: {response:?}"));
            return;
        };
        let at = if path == STATE { STATE.resource(firmware_update::STATE) } else { path };
        let value = node.get(&path, &at).and_then(Value::as_integer).expect("a number");
        let Some(watch) = self.watches.get_mut(&path) else { return };
        watch.known = Some(value);
        if let Some(place) = watch.demanded.iter().position(|demanded| *demanded == value) {
            self.tally.arrived += 1;
            let skipped: Vec<i64> = watch.demanded.drain(..=place).take(place).collect();
            if self.plan.strict && !skipped.is_empty() {
                self.violation = Some(format!("{path}: {value} arrived, and not {skipped:?} before it"));
            }
        }
    }
}

fn side(value: i64) -> i8 {
    i8::from(value > GT) - i8::from(value < LT)
}

fn socket(port: u16) -> SocketAddr {
    (Ipv4Addr::new(10, 1, 0, 1), port).into()
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.insert(TreeObject::new(&device::V1_2).with_instance(0, [device::BATTERY_LEVEL]));
    tree.insert(TreeObject::new(&firmware_update::V1_0).with_instance(0, [firmware_update::STATE]));
    tree.insert(TreeObject::new(&test_object_v1_0::V1_0).with_instance(0, [test_object_v1_0::INTEGER_VALUE]));
    tree
}
