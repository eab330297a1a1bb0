//! The whole server over loopback sockets, both address families, with a client made of raw CoAP messages.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use lapwing_coap::{
    ContentFormat,
    wire::{Code, Message, MessageType, Token, Writer, option},
};
use lapwing_lwm2m::{
    model::{Node, Path, Resource, Value},
    server::{Content, Deregistration, Request, RequestError, ServerEvent},
};
use lapwing_server::{Handle, Interface, Server};
use tokio::{net::UdpSocket, time::timeout};

const SOON: Duration = Duration::from_secs(10);

fn path() -> Path {
    "/3/0/9".parse().expect("a path")
}

fn level(percent: i64) -> Content {
    Content::Node(Node::Resource(Resource::Single(Value::Integer(percent))))
}

/// Runs `test` beside a server on `host`, on one thread.
fn with_server<F: Future<Output = ()>>(host: IpAddr, test: impl FnOnce(Handle) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let any = SocketAddr::new(host, 0);
        let server = Server::builder().coap(any).http(any).bind().await.expect("bound");
        assert_ne!(server.coap_address().port(), 0);
        assert_ne!(server.http_address().port(), 0);
        let handle = server.handle();
        let test = async { timeout(2 * SOON, test(handle)).await.expect("in time") };
        server.run(test).await.expect("ran");
    });
}

struct Client {
    socket: UdpSocket,
    next: u16,
}

impl Client {
    async fn new(server: SocketAddr) -> Client {
        let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0)).await.expect("bound");
        socket.connect(server).await.expect("connected");
        Client { socket, next: 1 }
    }

    async fn send(&self, message: &[u8]) {
        self.socket.send(message).await.expect("sent");
    }

    async fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2_048];
        let length = timeout(SOON, self.socket.recv(&mut buffer)).await.expect("in time").expect("received");
        buffer.truncate(length);
        buffer
    }

    /// Registers; gives the segments of the Location.
    async fn register(&mut self, endpoint: &str) -> Vec<String> {
        self.next += 1;
        let mut message = Vec::new();
        let token = Token::new(&self.next.to_be_bytes()).expect("a token");
        let mut writer = Writer::new(&mut message, MessageType::Con, Code::POST, self.next, token);
        writer.option_str(option::URI_PATH, "rd").option_uint(option::CONTENT_FORMAT, 40);
        for query in [format!("ep={endpoint}"), "lwm2m=1.1".into(), "lt=60".into()] {
            writer.option_str(option::URI_QUERY, &query);
        }
        writer.payload(b"</1/0>,</3/0>").finish();
        self.send(&message).await;
        let answer = self.receive().await;
        let answer = Message::parse(&answer).expect("a message");
        assert_eq!((answer.code, answer.token), (Code::CREATED, token));
        answer.options.location_path().map(str::to_owned).collect()
    }

    /// Waits for a request and answers it with the level, or with an error.
    async fn answer(&self, code: Code, observe: Option<u32>, text: &str) -> Vec<u8> {
        let request = self.receive().await;
        let seen = Message::parse(&request).expect("a message");
        let mut answer = Vec::new();
        let mut writer = Writer::new(&mut answer, MessageType::Ack, code, seen.id, seen.token);
        if let Some(sequence) = observe {
            writer.option_uint(option::OBSERVE, sequence);
        }
        writer.option_uint(option::CONTENT_FORMAT, 0).payload(text.as_bytes()).finish();
        self.send(&answer).await;
        request
    }
}

async fn is_managed(handle: Handle) {
    let mut events = handle.subscribe();
    let mut log = handle.subscribe_log();
    let mut client = Client::new(handle.coap_address()).await;
    let location = client.register("gw").await;
    let ServerEvent::Registered { registration, .. } = events.next().await.expect("an event") else { panic!() };
    assert_eq!(location, ["rd", registration.id.as_str()]);
    assert_eq!(handle.registrations().await, std::slice::from_ref(&registration));
    assert_eq!(handle.registration("gw").await, Some(registration.clone()));
    assert_eq!(handle.registration("other").await, None);
    assert!(log.next().await.expect("logged").to_string().contains("POST /rd?ep=gw"));

    let read = Request::Read { path: path(), format: Some(ContentFormat::TEXT) };
    let (response, _) =
        tokio::join!(handle.request(registration.id, read, None), client.answer(Code::CONTENT, None, "85"));
    assert_eq!(response.expect("an answer").content, level(85));

    let observe = Request::Observe { path: path(), format: None };
    let (response, request) =
        tokio::join!(handle.request(registration.id, observe, None), client.answer(Code::CONTENT, Some(1), "84"));
    assert_eq!(response.expect("an answer").content, level(84));
    assert_eq!(handle.observations("gw").await, [path()]);
    let token = Message::parse(&request).expect("a message").token;
    let mut notification = Vec::new();
    let mut writer = Writer::new(&mut notification, MessageType::Con, Code::CONTENT, 7_000, token);
    writer.option_uint(option::OBSERVE, 2).option_uint(option::CONTENT_FORMAT, 0).payload(b"83").finish();
    client.send(&notification).await;
    assert_eq!(Message::parse(&client.receive().await).expect("a message").kind, MessageType::Ack);
    let ServerEvent::Notification { response, .. } = events.next().await.expect("an event") else { panic!() };
    assert_eq!(response.content, level(83));

    assert!(handle.forget_observation("gw", path()).await);
    assert!(handle.forget(registration.id).await);
    assert!(matches!(events.next().await, Some(ServerEvent::ObservationEnded { .. })));
    let ServerEvent::Deregistered { why, .. } = events.next().await.expect("an event") else { panic!() };
    assert_eq!(why, Deregistration::Forgotten);
    assert!(handle.log(Some("gw")).await.len() >= 6);
}

#[test]
fn a_client_is_managed_over_ipv4() {
    with_server(IpAddr::V4(Ipv4Addr::LOCALHOST), is_managed);
}

#[test]
fn a_client_is_managed_over_ipv6() {
    with_server(IpAddr::V6(Ipv6Addr::LOCALHOST), is_managed);
}

#[test]
fn requests_time_out_and_dropped_ones_are_cancelled() {
    with_server(Ipv4Addr::LOCALHOST.into(), |handle| async move {
        let mut client = Client::new(handle.coap_address()).await;
        client.register("gw").await;
        let registration = handle.registration("gw").await.expect("registered").id;
        let read = || Request::Read { path: path(), format: None };
        let result = handle.request(registration, read(), Some(Duration::from_millis(50))).await;
        assert_eq!(result, Err(RequestError::TimedOut));
        client.receive().await;

        let dropped = timeout(Duration::from_millis(50), handle.request(registration, read(), None)).await;
        assert!(dropped.is_err());
        // Commands are taken in their order: once this is answered, the cancellation has been taken too.
        assert!(handle.registration("gw").await.is_some());
        let request = client.receive().await;
        let seen = Message::parse(&request).expect("a message");
        let mut late = Vec::new();
        Writer::new(&mut late, MessageType::Con, Code::NOT_FOUND, 9, seen.token).finish();
        client.send(&late).await;
        let rejected = client.receive().await;
        assert_eq!(Message::parse(&rejected).map(|message| (message.kind, message.id)), Ok((MessageType::Rst, 9)));
    });
}

#[test]
fn many_requests_are_open_at_a_time() {
    with_server(Ipv4Addr::LOCALHOST.into(), |handle| async move {
        let mut clients = Vec::new();
        for number in 0..50 {
            let mut client = Client::new(handle.coap_address()).await;
            client.register(&format!("gw{number:02}")).await;
            clients.push(client);
        }
        let registrations = handle.registrations().await;
        assert!(registrations.is_sorted_by_key(|registration| registration.endpoint.clone()));
        let mut open = tokio::task::JoinSet::new();
        for registration in &registrations {
            let (handle, id) = (handle.clone(), registration.id);
            open.spawn(async move { handle.request(id, Request::Read { path: path(), format: None }, None).await });
        }
        for (number, client) in clients.iter().enumerate().rev() {
            client.answer(Code::CONTENT, None, &number.to_string()).await;
        }
        let mut values = Vec::new();
        while let Some(result) = open.join_next().await {
            values.push(result.expect("ran").expect("an answer").payload);
        }
        values.sort();
        values.dedup();
        assert_eq!(values.len(), 50);
    });
}

#[test]
fn once_stopped_nothing_hangs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::builder().coap(any).http(any).bind().await.expect("bound");
        let handle = server.handle();
        let mut events = handle.subscribe();
        server.run(async {}).await.expect("ran");
        assert!(events.next().await.is_none());
        assert!(handle.subscribe().next().await.is_none());
        assert_eq!(handle.registrations().await, []);
        let id = "aaaaaaaaaaaaaaaa".parse().expect("an id");
        let result = handle.request(id, Request::Delete { path: path() }, None).await;
        assert_eq!(result, Err(RequestError::Stopped));
    });
}

#[test]
fn a_taken_address_is_told_by_its_interface() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let udp = std::net::UdpSocket::bind(any).and_then(|socket| Ok((socket.local_addr()?, socket))).expect("bound");
        let tcp = TcpListener::bind(any).and_then(|socket| Ok((socket.local_addr()?, socket))).expect("bound");
        let error = Server::builder().coap(udp.0).http(any).bind().await.expect_err("it is taken");
        assert_eq!((error.interface, error.address), (Interface::Coap, udp.0));
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), format!("cannot listen for CoAP at {}", udp.0));
        let error = Server::builder().coap(any).http(tcp.0).bind().await.expect_err("it is taken");
        assert_eq!((error.interface, error.address), (Interface::Http, tcp.0));
    });
}
