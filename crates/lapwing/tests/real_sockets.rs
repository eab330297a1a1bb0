//! A client and the development server on this machine's loopback, over IPv4 and IPv6.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::credentials::Psk;
use lapwing::definitions::device;
use lapwing::driver::{Net, Socket, Udp};
use lapwing::store::StoreError;
use lapwing::{Changes, Client, InstanceId, Object, ObjectDefinition, Path, Resource, ResourceId, RunError, Value};
use lapwing_coap::wire::Code;
use lapwing_lwm2m::model::Node;
use lapwing_lwm2m::server::{Content, Registration, Request, Response, SecurityInfo, ServerEvent, WriteMode};
use lapwing_server::{Handle, Server, Subscription};
use tokio::time::timeout;

/// What takes longer on loopback has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const LEVEL: Path = Path::object(device::OBJECT_ID).instance(0).resource(device::BATTERY_LEVEL);

struct Device(Arc<Mutex<Option<Changes>>>);

impl Object for Device {
    fn definition(&self) -> &ObjectDefinition {
        &device::V1_1
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &[device::BATTERY_LEVEL]
    }

    async fn read(&self, _: InstanceId, _: ResourceId) -> lapwing::Result<Resource> {
        Ok(40.into())
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        *self.0.lock().unwrap() = observed.contains(&LEVEL).then_some(changes);
    }
}

async fn serve(address: &str) -> Handle {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let server = Server::builder().coap(address.parse().unwrap()).http(any).bind().await.unwrap();
    let handle = server.handle();
    tokio::spawn(server.run(std::future::pending()));
    handle
}

/// Waits for an event that `pick` wants.
async fn event<T>(events: &mut Subscription<ServerEvent>, mut pick: impl FnMut(ServerEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = pick(events.next().await.expect("the server runs")) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("it happens in time")
}

fn registered(event: ServerEvent) -> Option<Arc<Registration>> {
    if let ServerEvent::Registered { registration, .. } = event { Some(registration) } else { None }
}

fn value(response: &Response) -> Option<&Value> {
    match &response.content {
        Content::Node(node) => node.value(),
        _ => None,
    }
}

async fn is_managed_over(address: &str) {
    let server = serve(address).await;
    let mut events = server.subscribe();
    let uri = format!("coap://{}", server.coap_address());
    let changes = Arc::default();
    let client = Client::builder("device").server(uri).object(Device(Arc::clone(&changes))).build().unwrap();
    let handle = client.handle();
    let running = tokio::spawn(client.run(std::future::pending()));

    let registration = event(&mut events, registered).await;
    assert_eq!(registration.endpoint.as_ref(), "device");
    let read = Request::Read { path: LEVEL, format: None };
    let response = server.request(registration.id, read, Some(PATIENCE)).await.unwrap();
    assert_eq!((response.code, value(&response)), (Code::CONTENT, Some(&Value::Integer(40))));

    let observe = Request::Observe { path: LEVEL, format: None };
    server.request(registration.id, observe, Some(PATIENCE)).await.unwrap();
    let changes = timeout(PATIENCE, async {
        loop {
            if let Some(changes) = changes.lock().unwrap().clone() {
                return changes;
            }
            tokio::task::yield_now().await;
        }
    });
    changes.await.unwrap().value(LEVEL, 55);
    let notified = event(&mut events, |event| match event {
        ServerEvent::Notification { response, .. } => value(&response).cloned(),
        _ => None,
    });
    assert_eq!(notified.await, Value::Integer(55));

    handle.shutdown();
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    assert!(server.registrations().await.is_empty());
}

#[tokio::test]
async fn a_client_is_managed_over_ipv4() {
    is_managed_over("127.0.0.1:0").await;
}

#[tokio::test]
async fn a_client_is_managed_over_ipv6() {
    is_managed_over("[::1]:0").await;
}

/// A socket with a port of its own hears its peer and nobody else.
#[tokio::test]
async fn a_stranger_is_not_heard() {
    let peer = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut socket = Udp::default().connect("127.0.0.1", peer.local_addr().unwrap().port(), None, None).await.unwrap();
    let stranger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = SocketAddr::from(([127, 0, 0, 1], socket.local().port()));
    stranger.send_to(b"stranger", client).await.unwrap();
    peer.send_to(b"peer", client).await.unwrap();
    let mut buffer = [0; 100];
    let received = std::future::poll_fn(|cx| socket.poll_receive(cx, &mut buffer));
    let length = timeout(PATIENCE, received).await.unwrap().unwrap();
    assert_eq!(&buffer[..length], b"peer");
    let more = std::future::poll_fn(|cx| socket.poll_receive(cx, &mut buffer));
    assert!(timeout(Duration::from_millis(50), more).await.is_err());
}

/// Ends the process with the test.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An example beside this test's own program, where cargo puts what it builds for `cargo test`.
fn example(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap().parent().unwrap().join("../examples").join(name));
    command.stdin(Stdio::null());
    command
}

#[tokio::test]
async fn the_client_with_a_pre_shared_key_comes_back_over_its_association() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut server = Server::builder().coap(any).coaps(any).http(any).bind().await.unwrap();
    let psk = Psk::new("gateway-7", *b"sixteen secret b").unwrap();
    server.set_security("gateway-7", SecurityInfo::Psk(psk)).unwrap();
    let (uri, handle) = (format!("coaps://{}", server.coaps_address().unwrap()), server.handle());
    tokio::spawn(server.run(std::future::pending()));
    let folder = tempfile::tempdir().unwrap();
    let (key, state) = (folder.path().join("psk.hex"), folder.path().join("state"));
    std::fs::write(&key, "7369787465656e207365637265742062\n").unwrap();

    let mut events = handle.subscribe();
    let mut remotes = Vec::new();
    for _ in 0..2 {
        let mut command = example("psk_client");
        let _example =
            Example(command.arg(&uri).arg("gateway-7").arg(&key).arg(&state).spawn().expect("the example is built"));
        let registration = event(&mut events, registered).await;
        assert!(registration.is_secure());
        remotes.push(registration.remote);
        let stored = async {
            while !state.join("association-1").exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, stored).await.expect("the association is stored");
    }
    // It was killed: a new handshake would have made another association.
    assert_eq!(remotes[0], remotes[1]);
}

#[tokio::test]
async fn the_minimal_client_is_a_whole_client() {
    let server = serve("127.0.0.1:0").await;
    let mut events = server.subscribe();
    let uri = format!("coap://{}", server.coap_address());
    let _example = Example(example("minimal_client").arg(uri).spawn().expect("the example is built"));
    let registration = event(&mut events, registered).await;
    assert_eq!((registration.endpoint.as_ref(), registration.lifetime), ("minimal", 300));

    let (load, label) = (Path::object(33_000).instance(0).resource(0), Path::object(33_000).instance(0).resource(1));
    let ask = |request| server.request(registration.id, request, Some(PATIENCE));
    let response = ask(Request::Read { path: load, format: None }).await.unwrap();
    assert_eq!(response.code, Code::CONTENT);
    let write =
        |text: &str| Request::Write { path: label, mode: WriteMode::Replace, format: None, node: Node::single(text) };
    assert_eq!(ask(write(&"x".repeat(65))).await.unwrap().code, Code::BAD_REQUEST);
    assert_eq!(ask(write("cellar")).await.unwrap().code, Code::CHANGED);
    let response = ask(Request::Read { path: label, format: None }).await.unwrap();
    assert_eq!(response.code, Code::CONTENT);
    assert!(format!("{:?}", response.content).contains("cellar"), "{response:?}");
}

/// The signals of a terminal or a service manager end it in order.
#[tokio::test]
async fn a_signal_de_registers_the_minimal_client() {
    let server = serve("127.0.0.1:0").await;
    let mut events = server.subscribe();
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../examples/minimal_client");
    let uri = format!("coap://{}", server.coap_address());
    let mut example =
        Example(Command::new(&program).arg(uri).stdin(Stdio::null()).spawn().expect("the example is built"));
    event(&mut events, registered).await;
    let pid = rustix::process::Pid::from_child(&example.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    event(&mut events, |event| matches!(event, ServerEvent::Deregistered { .. }).then_some(())).await;
    let status = timeout(PATIENCE, tokio::task::spawn_blocking(move || example.0.wait())).await.unwrap().unwrap();
    assert!(status.unwrap().success());
}

/// Two with one state would use the same record numbers of a stored association.
#[tokio::test]
async fn a_state_folder_is_one_clients() {
    let server = serve("127.0.0.1:0").await;
    let mut events = server.subscribe();
    let folder = tempfile::tempdir().unwrap();
    let client = || {
        let device = Device(Arc::default());
        let uri = format!("coap://{}", server.coap_address());
        Client::builder("device").server(uri).object(device).state(folder.path()).build().unwrap()
    };
    for _ in 0..2 {
        let first = client();
        let handle = first.handle();
        let first = tokio::spawn(first.run(std::future::pending()));
        event(&mut events, registered).await;
        let second = client().run(std::future::ready(())).await;
        assert!(matches!(second, Err(RunError::Store(StoreError::InUse { .. }))), "{second:?}");
        handle.shutdown();
        timeout(PATIENCE, first).await.expect("it stops").unwrap().unwrap();
    }
}
