//! Nanoseconds and allocations of one request through the client engine: `cargo bench -p lapwing-lwm2m --bench client`.
//!
//! A request is: datagram in, operation out, its content in, answer out, and what to wait for. The object's own value is
//! the application's matter; here it is an integer, which costs no allocation. Over DTLS, the server's end is not counted.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use divan::{AllocProfiler, Bencher, black_box};
use lapwing_coap::{Code, MessageType, Token, Writer, wire::option};
use lapwing_dtls::{AssociationId, CipherSuite, Server, credentials::Psk, server::Event};
use lapwing_lwm2m::{
    Now,
    account::{Saved, Security, ServerAccount},
    client::{Client, Config, FlowEvent, FlowId, Output, Reply},
    definitions::device,
    model::{Instance, Node, Tree, TreeObject},
};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

struct Registered {
    client: Client,
    flow: FlowId,
    now: Duration,
    next_id: u16,
    buffer: Vec<u8>,
}

impl Registered {
    fn new() -> Registered {
        let account = ServerAccount::new(1, "coap://127.0.0.1".parse().expect("a URI"));
        Registered::at(account, |register| Some(created(register)))
    }

    /// At a server that speaks DTLS.
    fn secure(suite: CipherSuite) -> (Registered, Server, AssociationId) {
        let psk = Psk::new("bench", *b"sixteen secret b").expect("a key");
        let security = Security::psk("bench", *b"sixteen secret b").expect("a key").suites([suite]);
        let account = ServerAccount::new(1, "coaps://127.0.0.1".parse().expect("a URI")).security(security);
        let (mut server, mut association) = (Server::new(Arc::default(), [2; 32]), None);
        server.add_psk(psk);
        let registered = Registered::at(account, |datagram| {
            let mut answer = Vec::new();
            server.handle_datagram(Duration::ZERO, SocketAddr::from(([127, 0, 0, 1], 40_000)), datagram);
            let mut registers = Vec::new();
            while let Some(event) = server.poll_event() {
                match event {
                    Event::Established { association: id, .. } => association = Some(id),
                    Event::Data { data, .. } => registers.push(created(data)),
                    _ => {}
                }
            }
            for register in registers {
                server.send(association.expect("an association"), &register).expect("it fits");
            }
            server.poll_transmit(&mut answer).map(|_| answer)
        });
        (registered, server, association.expect("an association"))
    }

    /// What `answer` makes of a datagram of the client goes back to it.
    fn at(account: ServerAccount, mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Registered {
        let config = Config::new("bench", vec![account.lifetime(0)]);
        let mut client = Client::new(Now::default(), config, [1; 32], Saved::new()).expect("a configuration");
        let mut tree = Tree::new();
        let resources = [device::MANUFACTURER, device::BATTERY_LEVEL, device::MEMORY_FREE];
        tree.insert(TreeObject::new(&device::V1_1).with_instance(0, resources));
        client.declare(Now::default(), tree);
        let (mut buffer, mut flow) = (Vec::with_capacity(1_500), None);
        loop {
            match client.poll_output(&mut buffer) {
                Output::Open(opened, _) => {
                    flow = Some(opened);
                    client.handle_flow(Now::default(), opened, FlowEvent::Opened);
                }
                Output::Transmit(flow, datagram) => {
                    if let Some(answer) = answer(datagram) {
                        client.handle_datagram(Now::default(), flow, &answer);
                    }
                }
                Output::Persist(id, _) => client.persisted(Now::default(), id, Ok(())),
                Output::Wait(..) => break,
                _ => {}
            }
        }
        Registered { client, flow: flow.expect("a flow"), now: Duration::ZERO, next_id: 0, buffer }
    }

    fn get(&mut self, path: &[&str], datagram: &mut Vec<u8>) {
        self.next_id = self.next_id.wrapping_add(1);
        self.now += Duration::from_micros(20);
        datagram.clear();
        let token = Token::new(&self.now.as_nanos().to_be_bytes()[8..]).expect("eight bytes");
        let mut writer = Writer::new(datagram, MessageType::Con, Code::GET, self.next_id, token);
        for segment in path {
            writer.option_str(option::URI_PATH, segment);
        }
        writer.finish();
    }

    fn serve(&mut self, datagram: &[u8], mut content: impl FnMut() -> Node) -> usize {
        let now = Now::from_elapsed(self.now);
        self.client.handle_datagram(now, self.flow, datagram);
        let mut sent = 0;
        loop {
            match self.client.poll_output(&mut self.buffer) {
                Output::Operation(id, _) => self.client.complete(now, id, Ok(Reply::Content(content()))),
                Output::Transmit(_, answer) => sent += answer.len(),
                Output::Wait(..) => return sent,
                _ => {}
            }
        }
    }
}

/// The answer to a Register.
fn created(register: &[u8]) -> Vec<u8> {
    let register = lapwing_coap::Message::parse(register).expect("a message");
    let mut answer = Vec::new();
    Writer::new(&mut answer, MessageType::Ack, Code::CREATED, register.id, register.token)
        .option_str(option::LOCATION_PATH, "rd")
        .option_str(option::LOCATION_PATH, "1")
        .finish();
    answer
}

/// GET /3/0/9.
#[divan::bench]
fn resource(bencher: Bencher<'_, '_>) {
    let (mut registered, mut datagram) = (Registered::new(), Vec::with_capacity(64));
    for _ in 0..70_000 {
        registered.get(&["3", "0", "9"], &mut datagram);
        registered.serve(&datagram, || Node::single(80));
    }
    bencher.bench_local(|| {
        registered.get(&["3", "0", "9"], &mut datagram);
        black_box(registered.serve(&datagram, || Node::single(80)))
    });
}

fn device() -> Node {
    Node::Instance(Instance::from([(0, "Lapwing".into()), (9, 80.into()), (10, 4_096.into())]))
}

/// GET /3/0, three resources in TLV.
#[divan::bench]
fn instance(bencher: Bencher<'_, '_>) {
    let (mut registered, mut datagram) = (Registered::new(), Vec::with_capacity(64));
    for _ in 0..70_000 {
        registered.get(&["3", "0"], &mut datagram);
        registered.serve(&datagram, device);
    }
    bencher.bench_local(|| {
        registered.get(&["3", "0"], &mut datagram);
        black_box(registered.serve(&datagram, device))
    });
}

/// The same over an association with a pre-shared key.
#[divan::bench(args = [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128CbcSha256])]
fn instance_over_dtls(bencher: Bencher<'_, '_>, suite: CipherSuite) {
    let (mut registered, mut server, association) = Registered::secure(suite);
    let (mut message, mut count) = (Vec::with_capacity(64), 0_u64);
    let mut request = || {
        count += 1;
        message.clear();
        let token = Token::new(&count.to_be_bytes()).expect("eight bytes");
        Writer::new(&mut message, MessageType::Con, Code::GET, count as u16, token)
            .option_str(option::URI_PATH, "3")
            .option_str(option::URI_PATH, "0")
            .finish();
        server.send(association, &message).expect("it fits");
        let mut datagram = Vec::new();
        server.poll_transmit(&mut datagram).expect("a datagram");
        datagram
    };
    for _ in 0..70_000 {
        let datagram = request();
        registered.now += Duration::from_micros(20);
        registered.serve(&datagram, device);
    }
    bencher.with_inputs(request).bench_local_values(|datagram| {
        registered.now += Duration::from_micros(20);
        black_box(registered.serve(&datagram, device))
    });
}
