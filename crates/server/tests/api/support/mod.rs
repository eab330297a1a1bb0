//! A running server, and HTTP as scripts speak it.

pub(crate) mod device;
mod secure;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use lapwing_lwm2m::{
    model::{Instance, Instances, ObjectId, Resource},
    server::ServerConfig,
};
use lapwing_server::{Builder, Server};
use serde_json::Value as Json;
use tokio::sync::oneshot;

pub(crate) use device::{Device, Script};
pub(crate) use secure::SecureDevice;

/// Longer than anything here takes, so that a failure is told and not waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A server on free ports, ended with the test.
pub(crate) struct TestServer {
    pub(crate) coap: SocketAddr,
    pub(crate) coaps: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Where the bootstrap server is, plain and secure.
    pub(crate) bootstrap: Option<(SocketAddr, SocketAddr)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl TestServer {
    pub(crate) fn start() -> TestServer {
        TestServer::with(|_| ())
    }

    /// A server of which the secure side is configured.
    pub(crate) fn with(configure: impl FnOnce(&mut lapwing_dtls::ServerConfig) + Send + 'static) -> TestServer {
        TestServer::built(|builder| {
            let mut config = ServerConfig::default();
            configure(config.dtls.get_or_insert_default());
            builder.config(config)
        })
    }

    /// A server with a bootstrap server beside it.
    pub(crate) fn with_bootstrap() -> TestServer {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        TestServer::built(move |builder| builder.bootstrap(free).bootstraps(free))
    }

    pub(crate) fn built(build: impl FnOnce(Builder) -> Builder + Send + 'static) -> TestServer {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let free = SocketAddr::from(([127, 0, 0, 1], 0));
                let server = build(Server::builder().coap(free).coaps(free).http(free)).bind().await.unwrap();
                let handle = server.handle();
                let bootstrap =
                    handle.bootstrap().and_then(|server| Some((server.coap_address(), server.coaps_address()?)));
                let addresses =
                    (server.coap_address(), server.coaps_address().unwrap(), server.http_address(), bootstrap);
                tell.send(addresses).unwrap();
                server.run(async { drop(stopped.await) }).await.unwrap();
            });
        });
        let (coap, coaps, http, bootstrap) = told.recv_timeout(PATIENCE).unwrap();
        TestServer { coap, coaps, http, bootstrap, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], b"")
    }

    pub(crate) fn put(&self, path: &str, json: &Json) -> Answer {
        self.call("PUT", path, &[("Content-Type", "application/json")], json.to_string().as_bytes())
    }

    pub(crate) fn post(&self, path: &str, json: &Json) -> Answer {
        self.call("POST", path, &[("Content-Type", "application/json")], json.to_string().as_bytes())
    }

    /// One request on a connection of its own. HTTP/1.0 needs no chunks.
    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.send(method, path, headers, body);
        let mut bytes = Vec::new();
        // A server that refuses a body may close before it has read it all.
        if let Err(error) = stream.read_to_end(&mut bytes) {
            assert!(!bytes.is_empty(), "{method} {path}: {error}");
        }
        Answer::parse(bytes).unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    /// A request of which no more than this comes; `None` where there is no answer.
    pub(crate) fn call_cut_short(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let mut stream = self.send(method, path, headers, body);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        // It may be closed without a word.
        let _ = stream.read_to_end(&mut bytes);
        Answer::parse(bytes)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.0\r\n");
        if !headers.iter().any(|(name, _)| *name == "Content-Length") {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.http);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        // As above: the refusal may come first.
        let _ = stream.write_all(body);
        stream
    }

    /// Listens to `/api/event`; what happens after this call is heard.
    pub(crate) fn events(&self, query: &str) -> Events {
        let stream = self.send("GET", &format!("/api/event{query}"), &[("Accept", "text/event-stream")], b"");
        let mut events = Events { lines: BufReader::new(stream) };
        let mut head = events.line();
        assert!(head.contains(" 200 "), "{head}");
        while !head.starts_with(": open") {
            head = events.line();
        }
        events
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(mut bytes: Vec<u8>) -> Option<Answer> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, text: String::from_utf8_lossy(&body).into_owned(), body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split(':').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
        let line = self.head.lines().skip(1).find(named)?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// The JSON of a 200.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.text).unwrap()
    }

    /// Checks an error: its status, and how its line of text begins.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, begins: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.starts_with(begins), "{:?} does not begin with {begins:?}", self.text);
        assert_eq!(self.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}

/// A stream of server-sent events.
pub(crate) struct Events {
    lines: BufReader<TcpStream>,
}

impl Events {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("an event in time");
        assert!(!line.is_empty(), "the stream ended");
        line.truncate(line.trim_end().len());
        line
    }

    /// The next event: its name and its data.
    pub(crate) fn next(&mut self) -> (String, Json) {
        let mut name = String::new();
        // A stream without events is kept alive.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.line();
            assert!(Instant::now() < deadline, "in vain: an event");
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }

    /// The data of the next event of that name; others are passed over.
    pub(crate) fn wait_for(&mut self, name: &str) -> Json {
        loop {
            let (next, data) = self.next();
            if next == name {
                return data;
            }
        }
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A client named `gw` with a Device and the test objects, and the server at which it is registered.
pub(crate) fn gateway() -> (TestServer, Device) {
    let server = TestServer::start();
    let device = Device::register(server.coap, "gw", objects(), &["lt=300"]);
    (server, device)
}

/// What `gw` has.
pub(crate) fn objects() -> BTreeMap<ObjectId, Instances> {
    let device: Instance = [
        (0, Resource::Single("Lapwing".into())),
        (6, Resource::multiple([(0, 1), (1, 5)])),
        (9, Resource::Single(85.into())),
        (11, Resource::multiple([(0, 0)])),
        (14, Resource::Single("+01:00".into())),
    ]
    .into();
    let test: Instance = [
        (110, Resource::Single("initial".into())),
        (120, Resource::Single(1024.into())),
        (1120, Resource::multiple([(0, 1), (1, 2)])),
    ]
    .into();
    [(3, [(0, device)].into()), (3441, [(0, test)].into()), (3442, [(0, Instance::new())].into())].into()
}
