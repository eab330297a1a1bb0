//! What a request costs the driver and all below it, counted by the allocator: nothing beyond the object's own values.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lapwing::driver::{self, Clock, FileSystem, Net, Previous, Socket};
use lapwing::store::Store;
use lapwing::{
    Client, InstanceId, Object, ObjectDefinition, Operations, Resource, ResourceDefinition, ResourceId, ResourceType,
};
use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};
use lapwing_lwm2m::Now;

static RESOURCES: &[ResourceDefinition] = &[
    ResourceDefinition::new(0, "Number", Operations::Read, ResourceType::Integer),
    ResourceDefinition::new(1, "Text", Operations::Read, ResourceType::String),
];
static METER: ObjectDefinition = ObjectDefinition::new(33_002, "Meter", RESOURCES);

struct Meter;

impl Object for Meter {
    fn definition(&self) -> &ObjectDefinition {
        &METER
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &[0, 1]
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> lapwing::Result<Resource> {
        Ok(if resource == 0 { 7.into() } else { "a text of its own".into() })
    }
}

/// A line that holds one datagram in each direction, in buffers that are there already.
#[derive(Clone)]
struct Line(Arc<Mutex<Ends>>);

struct Ends {
    to_client: Option<Vec<u8>>,
    from_client: Vec<u8>,
}

impl Net for Line {
    type Socket = Line;

    fn connect(
        &self,
        _: &str,
        _: u16,
        _: Option<Previous>,
        _: Option<u16>,
    ) -> impl Future<Output = io::Result<Line>> + Send + 'static {
        std::future::ready(Ok(self.clone()))
    }

    fn reconnect(&self, socket: Line) -> io::Result<Line> {
        Ok(socket)
    }
}

impl Socket for Line {
    fn local(&self) -> SocketAddr {
        ([192, 0, 2, 1], 1).into()
    }

    fn peer(&self) -> SocketAddr {
        ([192, 0, 2, 2], 2).into()
    }

    fn poll_receive(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(datagram) = self.0.lock().unwrap().to_client.take() else { return Poll::Pending };
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Poll::Ready(Ok(datagram.len()))
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let mut ends = self.0.lock().unwrap();
        ends.from_client.clear();
        ends.from_client.extend_from_slice(datagram);
        Ok(())
    }
}

/// It is always the same moment.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Now {
        Now::from_elapsed(Duration::from_secs(1))
    }

    fn poll_until(&mut self, _: &mut Context<'_>, _: Option<Duration>) -> Poll<()> {
        Poll::Pending
    }
}

/// Answers the registration, then asks for `path` a thousand times; the allocations of the last hundred together.
fn allocations_of(path: [&str; 3], expected: &[u8]) -> u64 {
    let ends = Ends { to_client: None, from_client: Vec::with_capacity(2048) };
    let line = Line(Arc::new(Mutex::new(ends)));
    let client = Client::builder("meter").server("coap://192.0.2.2").lifetime(0).object(Meter).build().unwrap();
    let store = None::<Store<FileSystem>>;
    let mut running = pin!(driver::run(client, line.clone(), Standing, store, std::future::pending()));
    let mut poll = || assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    poll();
    let register = line.0.lock().unwrap().from_client.clone();
    let register = Message::parse(&register).unwrap();
    let mut created = Vec::new();
    Writer::new(&mut created, MessageType::Ack, Code::CREATED, register.id, register.token)
        .option_str(option::LOCATION_PATH, "rd")
        .finish();
    line.0.lock().unwrap().to_client = Some(created);
    poll();

    let mut allocations = 0;
    for number in 0..1000_u16 {
        let mut request = Vec::new();
        let token = Token::new(&number.to_be_bytes()).unwrap();
        let mut writer = Writer::new(&mut request, MessageType::Con, Code::GET, number, token);
        for segment in path {
            writer.option_str(option::URI_PATH, segment);
        }
        writer.option_uint(option::ACCEPT, 0).finish();
        line.0.lock().unwrap().to_client = Some(request);
        let counted = allocation_counter::measure(&mut poll);
        if number >= 900 {
            allocations += counted.count_total;
        }
        let answer = line.0.lock().unwrap().from_client.clone();
        let answer = Message::parse(&answer).unwrap();
        assert_eq!((answer.code, answer.token, answer.payload), (Code::CONTENT, token, expected));
    }
    allocations
}

#[test]
fn a_number_is_read_without_an_allocation() {
    assert_eq!(allocations_of(["33002", "0", "0"], b"7"), 0);
}

#[test]
fn a_text_is_allocated_by_its_object_alone() {
    assert_eq!(allocations_of(["33002", "0", "1"], b"a text of its own"), 100);
}
