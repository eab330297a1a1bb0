//! What requests cost the client engine, plain and over DTLS, counted by the allocator: no allocation beyond the object's own values, no state for
//! what comes before the registration, and at most 192 KiB for a server that sends whatever it likes.

#[path = "../../coap/tests/common/meter.rs"]
mod meter;

use std::{mem, net::SocketAddr, sync::Arc, time::Duration};

use lapwing_coap::{Code, ContentFormat, Message, MessageType, Token, Writer, wire::option};
use lapwing_dtls::{AssociationId, Server, credentials::Psk, server::Event as Told};
use lapwing_lwm2m::{
    account::{Saved, SecurityMode, ServerAccount},
    client::{Client, Config, FlowEvent, FlowId, OperationId, OperationKind, Output, Reply, Status},
    definitions::{device, test_object_v1_0},
    model::{Instance, Instances, Node, Path, Resource, Tree, TreeObject, Value},
};
use meter::Meter;

/// Numbers and values.
type Options<'a> = &'a [(u16, &'a [u8])];

const PEER: i64 = 192 * 1024;

/// A client, every call of which is measured, and a server that a test speaks for.
struct Measured {
    client: Client,
    flow: FlowId,
    now: Duration,
    meter: Meter,
    /// Whether what the application gives and gets is counted, too.
    values: bool,
    buffer: Vec<u8>,
    datagram: Vec<u8>,
    next_id: u16,
    /// The last message that the client sent, and how many it sent.
    sent: (Vec<u8>, usize),
    /// The server's end of DTLS, if they speak over it; what it does is not counted.
    secure: Option<(Server, Option<AssociationId>)>,
}

impl Measured {
    /// A client whose Register has left.
    fn registering() -> Measured {
        Measured::registering_over(false)
    }

    fn registering_over(dtls: bool) -> Measured {
        let uri = if dtls { "coaps://192.0.2.1" } else { "coap://192.0.2.1" };
        let mut account = ServerAccount::new(1, uri.parse().expect("a URI")).lifetime(0);
        let secure = dtls.then(|| {
            let psk = Psk::new("identity", *b"sixteen secret b").expect("a key");
            account.security = SecurityMode::Psk(psk.clone()).into();
            let mut server = Server::new(Arc::default(), [3; 32]);
            server.add_psk(psk);
            (server, None)
        });
        let config = Config::new("gateway", vec![account]);
        let now = Duration::from_secs(1000);
        let mut client = Client::new(now.into(), config, [1; 32], Saved::new()).expect("a configuration");
        let mut tree = Tree::new();
        let (own, other) = (content(), [test_object_v1_0::STRING_VALUE, test_object_v1_0::OPAQUE_VALUE]);
        let executable = [device::REBOOT, device::TIMEZONE];
        tree.insert(TreeObject::new(&device::V1_1).with_instance(0, own.keys().copied().chain(executable)));
        tree.insert(TreeObject::new(&test_object_v1_0::V1_0).with_instance(0, other));
        client.declare(now.into(), tree);
        let mut buffer = Vec::with_capacity(1500);
        let flow = loop {
            if let Output::Open(flow, _) = client.poll_output(&mut buffer) {
                break flow;
            }
        };
        client.handle_flow(now.into(), flow, FlowEvent::Opened);
        let (datagram, sent) = (Vec::with_capacity(2000), (Vec::with_capacity(2000), 0));
        let (meter, values, next_id) = (Meter::default(), false, 0);
        let mut gateway = Measured { client, flow, now, meter, values, buffer, datagram, next_id, sent, secure };
        assert!(gateway.run(|_| None));
        while gateway.secure.is_some() && gateway.sent.0.is_empty() {
            gateway.carry();
        }
        gateway
    }

    fn registered() -> Measured {
        Measured::registered_over(false)
    }

    fn registered_over(dtls: bool) -> Measured {
        let mut gateway = Measured::registering_over(dtls);
        gateway.accept_registration();
        gateway
    }

    /// Gives the client what its DTLS server has to say.
    fn carry(&mut self) {
        let mut buffer = Vec::new();
        while let Some((server, _)) = &mut self.secure
            && let Some((_, range)) = server.poll_transmit(&mut buffer)
        {
            self.meter.of(|| self.client.handle_datagram(self.now.into(), self.flow, &buffer[range]));
            self.run(|_| None);
        }
    }

    fn accept_registration(&mut self) {
        let register = Message::parse(&self.sent.0).expect("a message");
        assert_eq!(register.code, Code::POST);
        self.datagram.clear();
        Writer::new(&mut self.datagram, MessageType::Ack, Code::CREATED, register.id, register.token)
            .option_str(option::LOCATION_PATH, "rd")
            .option_str(option::LOCATION_PATH, "1")
            .finish();
        self.deliver(|_| None);
        assert_eq!(self.client.status(1), Some(Status::Registered));
        self.meter = Meter::default();
    }

    /// Writes a confirmable request of the server.
    fn ask(&mut self, code: Code, path: &str, options: Options<'_>, payload: &[u8]) {
        self.next_id = self.next_id.wrapping_add(1);
        self.datagram.clear();
        let token = Token::new(&self.next_id.to_be_bytes()).expect("two bytes");
        let mut writer = Writer::new(&mut self.datagram, MessageType::Con, code, self.next_id, token);
        let (before, after): (Vec<_>, Vec<_>) = options.iter().partition(|(number, _)| *number < option::URI_PATH);
        for (number, value) in before {
            writer.option_bytes(number, value);
        }
        for segment in path[1..].split('/') {
            writer.option_str(option::URI_PATH, segment);
        }
        for (number, value) in after {
            writer.option_bytes(number, value);
        }
        writer.payload(payload).finish();
    }

    /// Delivers what was written, and lets `answer` say what becomes of operations; what it makes is not counted.
    fn deliver(&mut self, answer: impl FnMut(OperationKind) -> Option<Reply>) -> bool {
        let mut sealed = Vec::new();
        let datagram = match &mut self.secure {
            None => &self.datagram[..],
            Some((server, association)) => {
                server.send(association.expect("an association"), &self.datagram).expect("it fits");
                let (_, range) = server.poll_transmit(&mut sealed).expect("a datagram");
                &sealed[range]
            }
        };
        let (client, now) = (&mut self.client, self.now);
        self.meter.of(|| client.handle_datagram(now.into(), self.flow, datagram));
        self.run(answer)
    }

    /// Polls until the client waits. Whether it sent anything.
    fn run(&mut self, mut answer: impl FnMut(OperationKind) -> Option<Reply>) -> bool {
        let sent = self.sent.1;
        loop {
            let (client, buffer) = (&mut self.client, &mut self.buffer);
            let operation: Option<(OperationId, OperationKind)> = match self.meter.of(|| client.poll_output(buffer)) {
                Output::Wait(..) => return self.sent.1 > sent,
                Output::Transmit(_, datagram) => {
                    self.sent.1 += 1;
                    self.sent.0.clear();
                    match &mut self.secure {
                        None => self.sent.0.extend_from_slice(datagram),
                        Some((server, association)) => open(server, association, self.now, datagram, &mut self.sent.0),
                    }
                    None
                }
                Output::Persist(id, _) => {
                    self.meter.of(|| self.client.persisted(self.now.into(), id, Ok(())));
                    None
                }
                Output::Operation(id, operation) => Some((id, operation.kind)),
                _ => None,
            };
            if let Some((id, kind)) = operation
                && let Some(reply) = if self.values { self.meter.of(|| answer(kind)) } else { answer(kind) }
            {
                self.meter.of(|| self.client.complete(self.now.into(), id, Ok(reply)));
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.meter.of(|| self.client.handle_timeout(self.now.into()));
        self.run(|_| None);
    }

    /// The code of the last message sent.
    fn code(&self) -> Code {
        Message::parse(&self.sent.0).expect("a message").code
    }

    fn acknowledge(&mut self) {
        let id = Message::parse(&self.sent.0).expect("a message").id;
        self.datagram.clear();
        Writer::empty(&mut self.datagram, MessageType::Ack, id);
        self.deliver(|_| None);
    }
}

/// Puts what the client's datagram carries into `message`.
fn open(
    server: &mut Server,
    association: &mut Option<AssociationId>,
    now: Duration,
    datagram: &[u8],
    message: &mut Vec<u8>,
) {
    server.handle_datagram(now, SocketAddr::from(([192, 0, 2, 9], 40_000)), datagram);
    while let Some(event) = server.poll_event() {
        match event {
            Told::Established { association: id, .. } => *association = Some(id),
            Told::Data { data, .. } => message.extend_from_slice(data),
            other => panic!("{other:?}"),
        }
    }
}

fn content() -> Instance {
    Instance::from([
        (device::MANUFACTURER, "Lapwing".into()),
        (device::AVAILABLE_POWER_SOURCES, Resource::multiple([(0, 1), (1, 5)])),
        (device::BATTERY_LEVEL, 80.into()),
        (device::MEMORY_FREE, 4096.into()),
        (device::ERROR_CODE, Resource::multiple([(0, 0)])),
    ])
}

/// What the application answers to a Read.
fn read(path: &Path) -> Node {
    let instance = content();
    match path.ids() {
        [_] => Node::Object(Instances::from([(0, instance)])),
        [_, _] => Node::Instance(instance),
        [_, _, id] => Node::Resource(instance[id].clone()),
        [_, _, id, at] => Node::Value(instance[id].get(*at).expect("there").clone()),
        _ => unreachable!("nothing is read at the root"),
    }
}

/// How often it allocates each time, once it has been done often.
#[track_caller]
fn allocations(gateway: &mut Measured, mut act: impl FnMut(&mut Measured)) -> u64 {
    const ROUNDS: u64 = 500;
    (0..3000).for_each(|_| act(gateway));
    let before = gateway.meter;
    (0..ROUNDS).for_each(|_| act(gateway));
    let more = gateway.meter.allocations - before.allocations;
    assert_eq!(more % ROUNDS, 0, "the same each time: {more}");
    more / ROUNDS
}

/// Every level, in TLV and as text: what the application gives is all there is.
#[test]
fn a_read_allocates_nothing_beyond_the_values() {
    [false, true].into_iter().for_each(read_allocates_nothing);
}

fn read_allocates_nothing(dtls: bool) {
    let mut gateway = Measured::registered_over(dtls);
    let tlv = ContentFormat::TLV.0.to_be_bytes();
    for path in ["/3/0/0", "/3/0/9", "/3/0/6/1", "/3/0/6", "/3/0", "/3"] {
        for accept in [&[][..], &[(option::ACCEPT, &tlv[..])]] {
            let each = allocations(&mut gateway, |gateway| {
                gateway.now += Duration::from_millis(5);
                gateway.ask(Code::GET, path, accept, b"");
                assert!(gateway.deliver(|kind| match kind {
                    OperationKind::Read { path } => Some(Reply::Content(read(&path))),
                    other => panic!("a Read, not {other:?}"),
                }));
                assert_eq!(gateway.code(), Code::CONTENT);
            });
            println!("GET {path} {accept:?} dtls {dtls}: {each} allocations");
            assert_eq!(each, 0, "{path} {accept:?} dtls {dtls}");
        }
    }
}

/// What the application is given, it could not have with fewer: as many as a copy takes.
#[test]
fn a_write_allocates_the_values_alone() {
    let mut gateway = Measured::registered();
    let (text, format) = ("Europe/Berlin", ContentFormat::TLV.0.to_be_bytes());
    let tlv = [&[0xc8, 15, 13][..], text.as_bytes()].concat();
    let cases: [(&str, Code, Options<'_>, &[u8]); 2] = [
        ("/3/0/15", Code::PUT, &[], text.as_bytes()),
        ("/3/0", Code::POST, &[(option::CONTENT_FORMAT, &format)], &tlv),
    ];
    for (path, code, options, payload) in cases {
        let mut copies = Meter::default();
        let mut rounds = 0;
        let each = allocations(&mut gateway, |gateway| {
            gateway.now += Duration::from_millis(250);
            gateway.ask(code, path, options, payload);
            assert!(gateway.deliver(|kind| match kind {
                OperationKind::Write { node, .. } => {
                    rounds += 1;
                    copies.of(|| drop(node.clone()));
                    Some(Reply::Done)
                }
                other => panic!("a Write, not {other:?}"),
            }));
            assert_eq!(gateway.code(), Code::CHANGED);
        });
        println!("{code} {path}: {each} allocations");
        assert_eq!(each, copies.allocations / rounds, "{path}");
    }
}

#[test]
fn an_execute_allocates_nothing() {
    let mut gateway = Measured::registered();
    let each = allocations(&mut gateway, |gateway| {
        gateway.ask(Code::POST, "/3/0/4", &[], b"");
        assert!(gateway.deliver(|_| Some(Reply::Done)));
        assert_eq!(gateway.code(), Code::CHANGED);
        // Until it has settled.
        gateway.pass(Duration::from_secs(5));
    });
    assert_eq!(each, 0);
}

/// With the value given, and with it read.
#[test]
fn a_notification_allocates_nothing_beyond_the_values() {
    [false, true].into_iter().for_each(notification_allocates_nothing);
}

fn notification_allocates_nothing(dtls: bool) {
    let mut gateway = Measured::registered_over(dtls);
    gateway.ask(Code::GET, "/3/0/9", &[(option::OBSERVE, b"")], b"");
    gateway.deliver(|_| Some(Reply::Content(Node::single(80))));
    let path: Path = "/3/0/9".parse().expect("a path");
    let mut level = 0;
    for given in [true, false] {
        let each = allocations(&mut gateway, |gateway| {
            gateway.now += Duration::from_secs(1);
            level += 1;
            let value = given.then_some(Value::Integer(level));
            gateway.meter.of(|| gateway.client.notify(gateway.now.into(), path, value));
            assert!(gateway.run(|_| Some(Reply::Content(Node::single(level)))));
            assert_eq!(gateway.code(), Code::CONTENT);
            gateway.acknowledge();
        });
        assert_eq!(each, 0, "given: {given}, dtls {dtls}");
    }
}

/// Before the registration is complete, requests are dropped: no answer, no operation, no byte.
#[test]
fn a_strangers_datagrams_before_registration_cost_no_state() {
    let mut gateway = Measured::registering();
    gateway.meter = Meter::default();
    let uri_path = option::URI_PATH;
    for round in 0..10_000_u32 {
        match round % 6 {
            0 => gateway.ask(Code::GET, "/3/0", &[], b""),
            1 => gateway.ask(Code::GET, "/3/0/9", &[(option::OBSERVE, b"")], b""),
            2 => gateway.ask(Code::PUT, "/3/0/15", &[(option::BLOCK1, &[0x0e])], &[b'x'; 1024]),
            3 => gateway.ask(Code::POST, "/3/0/4", &[(0xff01, b"?")], b""),
            4 => gateway.ask(Code::DELETE, "/3441/0", &[], b""),
            _ => gateway.datagram.truncate(usize::from(uri_path).min(round as usize % 9)),
        }
        let sent = gateway.deliver(|kind| panic!("{kind:?}"));
        assert!(!sent, "{round}: {:?}", gateway.sent);
    }
    assert_eq!((gateway.meter.allocations, gateway.meter.live), (0, 0));
    // What is no request is rejected, and forgotten; then the server answers.
    let register = mem::take(&mut gateway.sent.0);
    for id in 0..10_000_u16 {
        let code = if id % 2 == 0 { Code::EMPTY } else { Code::CONTENT };
        gateway.datagram.clear();
        Writer::new(&mut gateway.datagram, MessageType::Con, code, id, Token::EMPTY).finish();
        assert!(gateway.deliver(|kind| panic!("{kind:?}")));
        assert_eq!(Message::parse(&gateway.sent.0).map(|sent| (sent.kind, sent.id)), Ok((MessageType::Rst, id)));
    }
    println!("noise before registration: {:?}", gateway.meter);
    assert!(gateway.meter.live < 1024, "{:?}", gateway.meter);
    gateway.sent.0 = register;
    gateway.accept_registration();
}

/// Uploads, long answers half fetched, slow requests, all at once, from the server that the client is registered at.
#[test]
fn a_servers_worst_stays_within_192_kib() {
    let mut gateway = Measured::registered();
    gateway.values = true;
    let long = "x".repeat(60 * 1024);
    let mut most = 0;
    for round in 0..6000_u32 {
        let number = round % 1000;
        let block = ((number % 63) << 4 | 0x0e).to_be_bytes();
        let (opaque, query) = (ContentFormat::OPAQUE.0.to_be_bytes(), number.to_be_bytes());
        match round / 1000 {
            0 | 3 => gateway.ask(Code::POST, "/3/0/4", &[], b""),
            1 => gateway.ask(Code::GET, "/3/0/0", &[(option::URI_QUERY, &query), (option::BLOCK2, &[0])], b""),
            2 | 5 => gateway.ask(
                Code::PUT,
                "/3441/0/150",
                &[(option::CONTENT_FORMAT, &opaque), (option::BLOCK1, &block[2..])],
                &[b'x'; 1024],
            ),
            _ => gateway.ask(Code::GET, "/3/0/9", &[(option::URI_QUERY, &query)], b""),
        }
        gateway.now += Duration::from_millis(1);
        gateway.deliver(|kind| match kind {
            OperationKind::Read { path } if path.resource_id() == Some(device::BATTERY_LEVEL) => None,
            OperationKind::Read { .. } => Some(Reply::Content(Node::single(&long[..30 * 1024]))),
            _ => Some(Reply::Done),
        });
        most = most.max(gateway.meter.live);
    }
    println!("a server's worst: {most} bytes at most, {:?}", gateway.meter);
    assert!((128 * 1024..PEER).contains(&most), "{most}");
    gateway.pass(Duration::from_secs(3600));
}
