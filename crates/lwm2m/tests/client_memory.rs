//! What a server can make a client hold, counted by the allocator: 192 KiB beyond its observations, whatever it sends.

#[path = "../../coap/tests/common/meter.rs"]
mod meter;

use std::time::Duration;

use lapwing_coap::{
    Code, Message, MessageType, Token, Writer,
    wire::{Block, BlockSize, option},
};
use lapwing_lwm2m::{
    Now,
    account::{Saved, ServerAccount},
    client::{Client, Config, ErrorCode, FlowEvent, FlowId, OperationKind, Output, Reply, Status},
    definitions::{device, firmware_update, test_object_v1_0},
    model::{Node, Tree, TreeObject, Value},
};
use meter::Meter;

const PEER: i64 = 192 * 1024;
/// An observation with its path, attributes and token; 256 of them at most.
const OBSERVATION: i64 = 1_024;

struct Gateway {
    client: Client,
    flow: Option<FlowId>,
    now: Duration,
    /// Operations are never answered.
    stuck: bool,
    executed: u64,
    buffer: Vec<u8>,
    /// What the client holds since it was registered.
    meter: Meter,
}

impl Gateway {
    fn new() -> Gateway {
        let account = ServerAccount::new(1, "coap://127.0.0.1".parse().unwrap()).lifetime(0);
        let config = Config::new("gw", vec![account]);
        let client = Client::new(Now::default(), config, [3; 32], Saved::new()).unwrap();
        let buffer = Vec::with_capacity(2_048);
        let mut gateway = Gateway {
            client,
            flow: None,
            now: Duration::ZERO,
            stuck: false,
            executed: 0,
            buffer,
            meter: Meter::default(),
        };
        let mut tree = Tree::new();
        tree.insert(TreeObject::new(&device::V1_1).with_instance(0, [device::MANUFACTURER, device::REBOOT]));
        tree.insert(TreeObject::new(&firmware_update::V1_0).with_instance(0, [0, 3]).with_streamed(0));
        let test = [test_object_v1_0::INTEGER_VALUE, test_object_v1_0::OPAQUE_VALUE];
        tree.insert(TreeObject::new(&test_object_v1_0::V1_0).with_instance(0, test));
        gateway.client.declare(Now::default(), tree);
        gateway.drive();
        assert_eq!(gateway.client.status(1), Some(Status::Registered));
        gateway
    }

    /// Does what the client wants; its Register is accepted, its answers lead nowhere.
    fn drive(&mut self) {
        let now = Now::from_elapsed(self.now);
        loop {
            match self.client.poll_output(&mut self.buffer) {
                Output::Wait(..) => return,
                Output::Open(flow, _) => {
                    self.flow = Some(flow);
                    self.client.handle_flow(now, flow, FlowEvent::Opened);
                }
                Output::Transmit(flow, datagram) => {
                    let message = Message::parse(datagram).unwrap();
                    if message.code == Code::POST {
                        let mut answer = Vec::new();
                        Writer::new(&mut answer, MessageType::Ack, Code::CREATED, message.id, message.token)
                            .option_str(option::LOCATION_PATH, "rd")
                            .finish();
                        self.client.handle_datagram(now, flow, &answer);
                    }
                }
                Output::Operation(id, operation) => {
                    self.executed += u64::from(matches!(operation.kind, OperationKind::Execute { .. }));
                    if !self.stuck {
                        let reply = match operation.kind {
                            OperationKind::Read { path } if path.resource_id() == Some(150) => {
                                Ok(Reply::Content(Node::single(Value::Opaque(vec![7; 60_000]))))
                            }
                            OperationKind::Read { path } if path.resource_id().is_some() => {
                                Ok(Reply::Content(Node::single(1)))
                            }
                            OperationKind::Receive { .. } => continue,
                            OperationKind::Read { .. } => Err(ErrorCode::Internal),
                            _ => Ok(Reply::Done),
                        };
                        self.client.complete(now, id, reply);
                    }
                }
                Output::Persist(id, _) => self.client.persisted(now, id, Ok(())),
                _ => {}
            }
        }
    }

    fn deliver(&mut self, datagram: &[u8]) {
        let (flow, now) = (self.flow.unwrap(), Now::from_elapsed(self.now));
        self.measure(|gateway| gateway.client.handle_datagram(now, flow, datagram));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = Now::from_elapsed(self.now);
        self.measure(|gateway| gateway.client.handle_timeout(now));
    }

    fn measure(&mut self, act: impl FnOnce(&mut Gateway)) {
        let mut meter = self.meter;
        meter.of(|| {
            act(self);
            self.drive();
        });
        self.meter = meter;
    }
}

/// A request of each kind, with a token and message ID of its own; uploads are begun and never ended.
fn request(round: u32, buffer: &mut Vec<u8>) {
    let (code, path, block) = match round % 9 {
        0 => (Code::GET, "3/0/0", None),
        1 => (Code::GET, "3441/0/150", None),
        2 => (Code::POST, "3/0/4", None),
        3 => (Code::PUT, "3441/0/120", None),
        4 => (Code::PUT, "3441/0/150", Some(0)),
        5 => (Code::PUT, "3441/0/150", Some(round / 9 % 63)),
        6 => (Code::PUT, "5/0/0", Some(0)),
        7 => (Code::GET, "nothing/at/all", None),
        _ => (Code::FETCH, "", None),
    };
    buffer.clear();
    let token = Token::new(&round.to_be_bytes()).unwrap();
    let mut writer = Writer::new(buffer, MessageType::Con, code, round as u16, token);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        writer.option_str(option::URI_PATH, segment);
    }
    if code == Code::PUT {
        writer.option_uint(option::CONTENT_FORMAT, if block.is_some() { 42 } else { 0 });
    }
    if let Some(number) = block {
        writer.option_block(option::BLOCK1, Block { number, more: true, size: BlockSize::B1024 });
        writer.payload(&[9; 1_024]);
    } else if code == Code::PUT {
        writer.payload(b"7");
    }
    writer.finish();
}

#[test]
fn a_server_cannot_make_a_client_hold_more_than_its_share() {
    let mut gateway = Gateway::new();
    let mut datagram = Vec::with_capacity(2_048);
    for stuck in [false, true] {
        gateway.stuck = stuck;
        for round in 0..100_000 {
            request(round, &mut datagram);
            gateway.deliver(&datagram);
            if round % 100 == 0 {
                gateway.pass(Duration::from_millis(50));
                assert!(gateway.meter.live <= PEER, "{} bytes, round {round}, stuck {stuck}", gateway.meter.live);
            }
        }
    }
    gateway.stuck = false;
    gateway.pass(Duration::from_secs(400));
    assert!(gateway.meter.live <= PEER, "{} bytes at rest", gateway.meter.live);
    // Observations come on top, and are bounded.
    for round in 0..1_000u32 {
        let token = Token::new(&(round | 0x8000_0000).to_be_bytes()).unwrap();
        datagram.clear();
        Writer::new(&mut datagram, MessageType::Con, Code::GET, round as u16, token)
            .option_uint(option::OBSERVE, 0)
            .option_str(option::URI_PATH, "3")
            .option_str(option::URI_PATH, "0")
            .option_str(option::URI_PATH, "0")
            .finish();
        gateway.deliver(&datagram);
        gateway.pass(Duration::from_millis(1));
    }
    assert!(gateway.meter.live <= PEER + 256 * OBSERVATION, "{} bytes with observations", gateway.meter.live);
    assert!(gateway.executed > 0);
}
