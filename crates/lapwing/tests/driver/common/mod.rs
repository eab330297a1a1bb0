//! A network of one line under tokio's paused clock, with the test at the server's end, message by message.

pub(crate) mod bench;
pub(crate) mod disk;
pub(crate) mod files;
pub(crate) mod firmware;
pub(crate) mod network;
pub(crate) mod package;
pub(crate) mod scene;
pub(crate) mod software;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lapwing::driver::{self, Disk, FileSystem, Net, Previous, Socket, TokioClock};
use lapwing::store::Store;
use lapwing::{Client, RunError};
use lapwing_coap::wire::{Block, Code, Message, MessageType, Token, Writer, option};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Runs a test that is itself called many times by one.
pub(crate) fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

/// The server's end of the line.
pub(crate) struct Server {
    to_client: UnboundedSender<Vec<u8>>,
    from_client: UnboundedReceiver<Vec<u8>>,
    next_id: u16,
    pub(crate) began: Instant,
}

/// A network that leads to the test. Each look-up takes its outcome from `outcomes`, and works when that is empty.
#[derive(Clone)]
pub(crate) struct Line {
    to_server: UnboundedSender<Vec<u8>>,
    from_server: Arc<Mutex<Option<UnboundedReceiver<Vec<u8>>>>>,
    pub(crate) outcomes: Arc<Mutex<VecDeque<io::Error>>>,
    /// Where on this machine the way to the server starts now.
    pub(crate) local: Arc<Mutex<SocketAddr>>,
    pub(crate) lookups: Arc<Mutex<Vec<Lookup>>>,
}

/// Host, port, and what the attempt before used.
type Lookup = (String, u16, Option<Previous>);

pub(crate) struct LineSocket {
    to_server: UnboundedSender<Vec<u8>>,
    from_server: Option<UnboundedReceiver<Vec<u8>>>,
    home: Arc<Mutex<Option<UnboundedReceiver<Vec<u8>>>>>,
    local: SocketAddr,
}

impl Drop for LineSocket {
    fn drop(&mut self) {
        *self.home.lock().unwrap() = self.from_server.take();
    }
}

pub(crate) fn line() -> (Line, Server) {
    let (to_server, from_client) = unbounded_channel();
    let (to_client, from_server) = unbounded_channel();
    let line = Line {
        to_server,
        from_server: Arc::new(Mutex::new(Some(from_server))),
        outcomes: Arc::default(),
        local: Arc::new(Mutex::new(([192, 0, 2, 1], 40_000).into())),
        lookups: Arc::default(),
    };
    (line, Server { to_client, from_client, next_id: 1, began: Instant::now() })
}

/// Runs the client until it stops, without a store.
pub(crate) fn run(client: Client, line: Line) -> JoinHandle<Result<(), RunError>> {
    run_with_store(client, line, None::<Store<FileSystem>>)
}

pub(crate) fn run_with_store<N: Net, D: Disk>(
    client: Client,
    line: N,
    store: Option<Store<D>>,
) -> JoinHandle<Result<(), RunError>> {
    tokio::spawn(driver::run(client, line, TokioClock::new(), store, std::future::pending()))
}

impl Net for Line {
    type Socket = LineSocket;

    fn connect(
        &self,
        host: &str,
        port: u16,
        previous: Option<Previous>,
        _: Option<u16>,
    ) -> impl Future<Output = io::Result<LineSocket>> + Send + 'static {
        self.lookups.lock().unwrap().push((host.to_owned(), port, previous));
        let opened = match self.outcomes.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(LineSocket {
                to_server: self.to_server.clone(),
                from_server: self.from_server.lock().unwrap().take(),
                home: Arc::clone(&self.from_server),
                local: *self.local.lock().unwrap(),
            }),
        };
        async move { opened }
    }

    fn reconnect(&self, mut socket: LineSocket) -> io::Result<LineSocket> {
        socket.local = *self.local.lock().unwrap();
        Ok(socket)
    }
}

impl Socket for LineSocket {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn peer(&self) -> SocketAddr {
        ([192, 0, 2, 2], 5683).into()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(from_server) = &mut self.from_server else { return Poll::Pending };
        let Some(datagram) = ready!(from_server.poll_recv(cx)) else { return Poll::Pending };
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Poll::Ready(Ok(datagram.len()))
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        // The test may have ended.
        let _ = self.to_server.send(datagram.to_vec());
        Ok(())
    }
}

/// A message that the client sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    /// When it came, since the test began.
    pub(crate) at: Duration,
    pub(crate) kind: MessageType,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    pub(crate) path: Vec<String>,
    pub(crate) queries: Vec<String>,
    pub(crate) block1: Option<Block>,
    pub(crate) observe: Option<u32>,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }
}

impl Server {
    /// The next message of the client.
    pub(crate) async fn next(&mut self) -> Received {
        let datagram = self.datagram().await;
        let message = Message::parse(&datagram).unwrap();
        Received {
            at: self.began.elapsed(),
            kind: message.kind,
            code: message.code,
            id: message.id,
            token: message.token,
            path: message.options.uri_path().map(str::to_owned).collect(),
            queries: message.options.uri_query().map(str::to_owned).collect(),
            block1: message.options.block1().unwrap(),
            observe: message.options.observe(),
            payload: message.payload.to_vec(),
        }
    }

    /// What the client sends next, whatever it is.
    pub(crate) async fn datagram(&mut self) -> Vec<u8> {
        let datagram = timeout(Duration::from_secs(1000), self.from_client.recv()).await;
        datagram.expect("the client says nothing").expect("the client runs")
    }

    /// Sends the client a datagram.
    pub(crate) fn send_datagram(&self, datagram: &[u8]) {
        self.to_client.send(datagram.to_vec()).unwrap();
    }

    /// Nothing comes for so long.
    pub(crate) async fn silence(&mut self, duration: Duration) {
        if let Ok(datagram) = timeout(duration, self.from_client.recv()).await {
            panic!("{:?}", Message::parse(&datagram.unwrap()));
        }
    }

    pub(crate) fn send(
        &self,
        kind: MessageType,
        code: Code,
        id: u16,
        token: Token,
        options: &[(u16, &[u8])],
        payload: &[u8],
    ) {
        let mut datagram = Vec::new();
        let mut writer = Writer::new(&mut datagram, kind, code, id, token);
        for (number, value) in options {
            writer.option_bytes(*number, value);
        }
        writer.payload(payload).finish();
        self.to_client.send(datagram).unwrap();
    }

    /// Takes the registration that comes next.
    pub(crate) async fn register(&mut self) -> Received {
        let register = self.next().await;
        assert_eq!((register.code, register.path.as_slice()), (Code::POST, &["rd".to_owned()][..]));
        let location: [(u16, &[u8]); 2] = [(option::LOCATION_PATH, b"rd"), (option::LOCATION_PATH, b"1")];
        self.send(MessageType::Ack, Code::CREATED, register.id, register.token, &location, b"");
        register
    }

    /// Sends a request with a message ID and token of its own; what it wants read is to come as text.
    pub(crate) fn request(&mut self, code: Code, path: &str, payload: &[u8]) -> Token {
        self.request_with(code, path, &[], payload)
    }

    /// The same with options, which may stand anywhere.
    pub(crate) fn request_with(&mut self, code: Code, path: &str, options: &[(u16, &[u8])], payload: &[u8]) -> Token {
        let id = self.next_id;
        self.next_id += 1;
        let token = Token::new(&id.to_be_bytes()).unwrap();
        let mut all: Vec<(u16, &[u8])> =
            path.split('/').skip(1).map(|part| (option::URI_PATH, part.as_bytes())).collect();
        if code == Code::GET {
            all.push((option::ACCEPT, b""));
        } else if !payload.is_empty() && !options.iter().any(|(number, _)| *number == option::CONTENT_FORMAT) {
            all.push((option::CONTENT_FORMAT, b""));
        }
        all.extend(options);
        all.sort_by_key(|(number, _)| *number);
        self.send(MessageType::Con, code, id, token, &all, payload);
        token
    }

    /// Acknowledges a confirmable message.
    pub(crate) fn acknowledge(&self, message: &Received) {
        assert_eq!(message.kind, MessageType::Con);
        self.send(MessageType::Ack, Code::EMPTY, message.id, Token::EMPTY, &[], b"");
    }

    /// The next message with this token, acknowledged if need be. Empty ACKs before it are passed over.
    pub(crate) async fn response(&mut self, token: Token) -> Received {
        loop {
            let message = self.next().await;
            if (message.kind, message.code) == (MessageType::Ack, Code::EMPTY) {
                continue;
            }
            assert_eq!(message.token, token, "{message:?}");
            if message.kind == MessageType::Con {
                self.acknowledge(&message);
            }
            return message;
        }
    }
}
