//! A client with a bootstrap account only, the bootstrap server and the server that it is sent to, all engines over one
//! cable (LwM2M core 1.1 section 6.1): in the end the client is registered, or keeps what it had.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use lapwing_coap::wire::{Code, describe};
use lapwing_dtls as dtls;
use lapwing_lwm2m::{
    Now,
    account::{BootstrapAccount, Saved, Security},
    client::{Client, Command, Config, Event, FlowEvent, FlowId, Output},
    definitions::{security, server},
    model::{Instance, Node, Path, Resource, Tree},
    server::{
        self as management, Channel, Identity, SecurityInfo, ServerConfig, ServerOutput,
        bootstrap::{self, Configuration, Failure, Happening, Plan, Task},
    },
};
use sim::{Cable, Happening as Happened, World};

const SSID: u16 = 101;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All three, with the sockets of the servers as nodes of the world.
struct Town {
    world: World,
    bootstrap: bootstrap::Server,
    management: management::Server,
    client: Client,
    bootstraps: [SocketAddr; 2],
    managements: [SocketAddr; 2],
    address: SocketAddr,
    flows: HashMap<FlowId, SocketAddr>,
    told: Vec<bootstrap::Event>,
    heard: Vec<Event>,
}

const CHANNELS: [Channel; 2] = [Channel::Plain, Channel::Secure];

fn bootstrap_psk() -> dtls::credentials::Psk {
    dtls::credentials::Psk::new("bootstrap-gw", *b"the key of a bootstrap").expect("a key")
}

impl Town {
    /// `secure` is whether the client has to be bootstrapped over PSK.
    fn new(mut world: World, secure: bool) -> Town {
        let bootstraps = ["bootstrap", "bootstraps"].map(|name| world.node(name));
        let managements = ["server", "servers"].map(|name| world.node(name));
        let address = world.node("gw");
        let now = Now::from_elapsed(world.now());
        let mut limits = bootstrap::Config::default();
        limits.dtls = Some(dtls::ServerConfig::default());
        let mut bootstrap = bootstrap::Server::new(now, limits, world.random().seed());
        let mut config = ServerConfig::default();
        config.dtls = Some(dtls::ServerConfig::default());
        let mut management = management::Server::new(now, config, world.random().seed());
        let info = dtls::credentials::Psk::new("gw-at-work", *b"handed out by a bootstrap").expect("a key");
        management.set_security(now, "gw", Some(SecurityInfo::Psk(info))).expect("the first");
        let mut account = BootstrapAccount::new(format!("coap://{}", bootstraps[0]).parse().expect("a URI"));
        if secure {
            bootstrap.set_security(now, "gw", Some(SecurityInfo::Psk(bootstrap_psk()))).expect("the first");
            let psk = Security::psk(bootstrap_psk().identity(), bootstrap_psk().key()).expect("a key");
            account = BootstrapAccount::new(format!("coaps://{}", bootstraps[1]).parse().expect("a URI")).security(psk);
        }
        let mut config = Config::new("gw", Vec::new());
        config.bootstrap = Some(account);
        let mut client = Client::new(now, config, world.random().seed(), Saved::new()).expect("a configuration");
        client.declare(now, Tree::new());
        let (flows, told, heard) = Default::default();
        Town { world, bootstrap, management, client, bootstraps, managements, address, flows, told, heard }
    }

    fn now(&self) -> Now {
        Now::from_elapsed(self.world.now())
    }

    /// The account of the server over PSK, and its Server instance.
    fn configuration(&self) -> Configuration {
        Configuration::new()
            .auto_id()
            .delete(Path::object(security::OBJECT_ID))
            .delete(Path::object(server::OBJECT_ID))
            .instance(security::OBJECT_ID, 1, account(self.managements[1]))
            .instance(server::OBJECT_ID, 0, registering(300))
    }

    fn plan(&mut self, plan: Plan) {
        self.bootstrap.set_plan(self.now(), "gw", Some(plan));
    }

    fn run(&mut self, time: Duration) {
        let end = self.world.now() + time;
        self.pump();
        while let Some(event) = self.world.next_until(end) {
            let now = self.now();
            let channel =
                |sockets: &[SocketAddr; 2]| sockets.iter().position(|at| *at == event.node).map(|at| CHANNELS[at]);
            match (event.what, channel(&self.bootstraps), channel(&self.managements)) {
                (Happened::Datagram { from, bytes }, Some(channel), _) => {
                    self.bootstrap.handle_datagram(now, channel, from, &bytes);
                }
                (Happened::Datagram { from, bytes }, _, Some(channel)) => {
                    self.management.handle_datagram(now, channel, from, &bytes);
                }
                (Happened::Datagram { from, bytes }, None, None) => {
                    let flow = self.flows.iter().find(|(_, to)| **to == from).map(|(flow, _)| *flow);
                    if let Some(flow) = flow {
                        self.client.handle_datagram(now, flow, &bytes);
                    }
                }
                (_, Some(_), _) => self.bootstrap.handle_timeout(now),
                (_, _, Some(_)) => self.management.handle_timeout(now),
                _ => self.client.handle_timeout(now),
            }
            self.pump();
        }
    }

    fn pump(&mut self) {
        let now = self.now();
        let mut buffer = Vec::new();
        loop {
            match self.bootstrap.poll_output(&mut buffer) {
                bootstrap::Output::Transmit(channel, to, bytes) => {
                    self.world.send(self.bootstraps[channel as usize], to, bytes);
                }
                bootstrap::Output::Event(event) => self.told.push(event),
                bootstrap::Output::Wait(at, _) => break self.world.set_timer(self.bootstraps[0], at),
            }
        }
        loop {
            match self.management.poll_output(&mut buffer) {
                ServerOutput::Transmit(channel, to, bytes) => {
                    self.world.send(self.managements[channel as usize], to, bytes);
                }
                ServerOutput::Event(_) | ServerOutput::Answer(..) | ServerOutput::Pull(..) | ServerOutput::Fetch(_) => {
                }
                ServerOutput::Wait(at, _) => break self.world.set_timer(self.managements[0], at),
            }
        }
        loop {
            match self.client.poll_output(&mut buffer) {
                Output::Open(flow, target) => {
                    let to = format!("{}:{}", target.host(), target.port()).parse().expect("an address");
                    self.flows.insert(flow, to);
                    self.client.handle_flow(now, flow, FlowEvent::Opened);
                }
                Output::Close(flow) => drop(self.flows.remove(&flow)),
                Output::Transmit(flow, bytes) => self.world.send(self.address, self.flows[&flow], bytes),
                Output::Persist(id, _) => self.client.persisted(now, id, Ok(())),
                Output::Event(event) => self.heard.push(event),
                Output::Wait(at, _) => break self.world.set_timer(self.address, at),
                _ => {}
            }
        }
    }

    /// How the sessions ended.
    fn ends(&self) -> Vec<Result<(), Failure>> {
        let end = |event: &bootstrap::Event| match &event.what {
            Happening::Finished => Some(Ok(())),
            Happening::Failed(why) => Some(Err(why.clone())),
            _ => None,
        };
        self.told.iter().filter_map(end).collect()
    }

    /// The codes of the answers to the tasks, in order.
    fn answers(&self) -> Vec<Code> {
        let code = |event: &bootstrap::Event| match &event.what {
            Happening::Answered { response, .. } => Some(response.code),
            _ => None,
        };
        self.told.iter().filter_map(code).collect()
    }

    /// The lifetime of the registration, and the identity that it was made with.
    fn registered(&self) -> Option<(u32, Option<Identity>)> {
        self.management.registration("gw").map(|held| (held.lifetime, held.identity.clone()))
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}\n{:#?}\n{:#?}",
                self.world.trace().ladder(|bytes| describe(bytes).to_string()),
                self.told,
                self.heard
            );
        }
    }
}

fn account(secure: SocketAddr) -> Vec<(u16, Resource)> {
    vec![
        (security::LWM2M_SERVER_URI, format!("coaps://{secure}").into()),
        (security::BOOTSTRAP_SERVER, false.into()),
        (security::SECURITY_MODE, 0.into()),
        (security::PUBLIC_KEY_OR_IDENTITY, b"gw-at-work".as_slice().into()),
        (security::SERVER_PUBLIC_KEY, b"".as_slice().into()),
        (security::SECRET_KEY, b"handed out by a bootstrap".as_slice().into()),
        (security::SHORT_SERVER_ID, SSID.into()),
    ]
}

fn registering(lifetime: u32) -> Vec<(u16, Resource)> {
    vec![
        (server::SHORT_SERVER_ID, SSID.into()),
        (server::LIFETIME, lifetime.into()),
        (server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE, true.into()),
        (server::BINDING, "U".into()),
    ]
}

fn at_work() -> Option<Identity> {
    Some(Identity::Psk(b"gw-at-work".as_slice().into()))
}

fn cable() -> Cable {
    Cable::new().latency(Duration::from_millis(20))
}

#[test]
fn a_client_is_bootstrapped_and_registers_over_psk_where_it_is_sent() {
    for secure in [false, true] {
        let mut town = Town::new(World::seeded(7).cable(cable()), secure);
        let configuration = town.configuration();
        town.plan(Plan::apply(configuration).expect("it is one"));
        town.run(seconds(30));
        assert_eq!(town.ends(), [Ok(())]);
        assert!(town.answers().iter().all(|code| code.is_success()), "{:?}", town.answers());
        assert_eq!(town.registered(), Some((300, at_work())), "secure: {secure}");
        assert!(town.heard.contains(&Event::BootstrapFinished));
        let identity = secure.then(|| Identity::Psk(b"bootstrap-gw".as_slice().into()));
        let asked = town.told.iter().find_map(|event| match &event.what {
            Happening::Requested { identity, .. } => Some(identity.clone()),
            _ => None,
        });
        assert_eq!(asked, Some(identity));
    }
}

#[test]
fn a_second_bootstrap_brings_another_configuration() {
    let mut town = Town::new(World::seeded(8).cable(cable()), true);
    let configuration = town.configuration();
    town.plan(Plan::apply(configuration.clone()).expect("it is one"));
    town.run(seconds(30));
    town.plan(Plan::apply(configuration.instance(server::OBJECT_ID, 0, registering(77))).expect("it is one"));
    let now = town.now();
    town.client.command(now, Command::Bootstrap);
    town.run(seconds(60));
    assert_eq!(town.ends(), [Ok(()), Ok(())]);
    assert_eq!(town.registered(), Some((77, at_work())));
}

#[test]
fn losses_put_it_off_and_no_more() {
    for seed in 0..30 {
        let mut town = Town::new(World::seeded(seed).cable(cable().loss(0.2)), seed % 2 == 0);
        let configuration = town.configuration();
        town.plan(Plan::apply(configuration).expect("it is one"));
        town.run(seconds(3_600));
        assert_eq!(town.registered(), Some((300, at_work())), "seed {seed}");
        // The answer to the last request cannot be known to have arrived: where it is lost often enough, the client has gone.
        let ended = town.ends().pop().expect("a session");
        let unknown = |why: &Failure| matches!(why, Failure::Unanswered { task, .. } if *task == Task::Finish.step());
        assert!(ended.as_ref().err().is_none_or(unknown), "seed {seed}: {ended:?}");
        assert_eq!(town.bootstrap.sessions(), 0, "seed {seed}");
    }
}

#[test]
fn an_inconsistent_configuration_is_corrected_in_the_same_session() {
    // Section 6.1.7.2: 4.06 to the Finish, and the client waits for corrections.
    let mut town = Town::new(World::seeded(9).cable(cable()), true);
    let path = |text: &str| text.parse::<Path>().expect("a path");
    let write = |at: &str, resources: Vec<(u16, Resource)>| {
        Task::write(path(at), Node::Instance(resources.into_iter().collect::<Instance>()))
    };
    let (account, server) = (write("/0/5", account(town.managements[1])), write("/1/5", registering(60)));
    town.plan(Plan::script([server, Task::Finish, account, Task::read(path("/1")), Task::Finish]));
    town.run(seconds(30));
    let answers = town.answers();
    let expected = [Code::CHANGED, Code::NOT_ACCEPTABLE, Code::CHANGED, Code::CONTENT, Code::CHANGED];
    assert_eq!((answers, town.ends()), (expected.to_vec(), vec![Ok(())]));
    assert_eq!(town.registered(), Some((60, at_work())));
}

#[test]
fn what_is_never_made_consistent_leaves_the_client_as_it_was() {
    let mut town = Town::new(World::seeded(10).cable(cable()), true);
    let server = registering(60).into_iter().collect::<Instance>();
    town.plan(Plan::script([Task::write("/1/5".parse().expect("a path"), Node::Instance(server))]));
    town.run(seconds(30));
    assert_eq!(town.ends(), [Err(Failure::FinishRefused(Code::NOT_ACCEPTABLE))]);
    assert_eq!(town.registered(), None);
    assert!(town.heard.iter().any(|event| matches!(event, Event::BootstrapInconsistent(_))));
    // It asks again by itself, and is helped then.
    let configuration = town.configuration();
    town.plan(Plan::apply(configuration).expect("it is one"));
    town.run(seconds(3_600));
    assert_eq!(town.registered(), Some((300, at_work())));
}

#[test]
fn who_is_not_configured_is_refused_until_it_is() {
    let mut town = Town::new(World::seeded(11).cable(cable()), true);
    town.run(seconds(60));
    assert!(!town.ends().is_empty() && town.ends().iter().all(|end| *end == Err(Failure::NoPlan)), "{:?}", town.ends());
    let configuration = town.configuration();
    town.plan(Plan::apply(configuration).expect("it is one"));
    town.run(seconds(3_600));
    assert_eq!(town.registered(), Some((300, at_work())));
}
