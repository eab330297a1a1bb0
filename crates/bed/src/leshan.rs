//! Leshan's server, client (library 2.0.0-M18) and bootstrap server (2.0.0-M15) as processes that speak JSON lines:
//! `interop/leshan`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::KeyFiles;
use crate::{PATIENCE, Process, target, workspace};

/// The command that starts one of the peers of a module, as `cargo xtask test` has built it.
fn java(module: &str, class: &str) -> Command {
    let built = target().join("leshan").join(module);
    assert!(built.join("out").exists(), "{} is missing: run `cargo xtask test leshan`", built.display());
    let mut command = Command::new("java");
    command
        .arg("-cp")
        .arg(format!("{0}/out:{0}/lib/*", built.display()))
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", class])
        .current_dir(workspace());
    command
}

/// How a server is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// A folder of LWM2M XML files: the objects it knows beside those of its library.
    pub models: Option<&'a Path>,
    /// Requests go to the address of a client's last notification too: by default only to that of its last Register or
    /// Update. The bootstrap server has no such option.
    pub follow: bool,
    /// The length of its own Connection IDs; none: it uses no Connection ID.
    pub connection_id: Option<u8>,
    /// The certificate that it shows, or its raw public key where a client asks for one, and the root it trusts; none:
    /// it has pre-shared keys only.
    pub keys: Option<(&'a KeyFiles, &'a Path)>,
    /// The only cipher suites it takes, by their IANA names; none: those of its library.
    pub suites: &'a [&'a str],
    /// It knows no Extended Master Secret (RFC 7627).
    pub without_extended_master_secret: bool,
}

impl Options<'_> {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: String| arguments.push(format!("{name}={value}"));
        if let Some(models) = self.models {
            add("models", models.display().to_string());
        }
        if self.follow {
            add("follow", true.to_string());
        }
        if let Some(length) = self.connection_id {
            add("cid", length.to_string());
        }
        if let Some((own, trusted)) = self.keys {
            add("key", own.private.display().to_string());
            add("cert", own.certificate.display().to_string());
            add("trust", trusted.display().to_string());
        }
        if !self.suites.is_empty() {
            add("suites", self.suites.join(","));
        }
        if self.without_extended_master_secret {
            add("ems", "none".to_owned());
        }
        arguments
    }
}

/// Leshan's server or bootstrap server. Tests share one: each takes an endpoint name of its own and sees only that
/// client's events.
#[derive(Debug)]
pub struct Server {
    /// The port of plain CoAP on the loopback address it was started with.
    pub coap: u16,
    /// The port of CoAP over DTLS.
    pub coaps: u16,
    process: Mutex<Process>,
    shared: Arc<Shared>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    answers: HashMap<u64, Value>,
    events: Vec<Value>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // A test that failed while it held the lock must not fail its neighbours.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, time: Duration, mut take: impl FnMut(&mut Inbox) -> Option<T>) -> Option<T> {
        let end = Instant::now() + time;
        let mut inbox = self.lock();
        loop {
            if let Some(found) = take(&mut inbox) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            inbox = self.arrived.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Server {
    /// Starts the management server on free ports of `host`.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(host: &str, options: Options<'_>) -> Self {
        Self::of(java("server", "LeshanServerPeer"), host, options)
    }

    /// Starts the bootstrap server on free ports of `host`.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn bootstrap(host: &str, options: Options<'_>) -> Self {
        Self::of(java("bootstrap", "LeshanBootstrapPeer"), host, options)
    }

    fn of(mut command: Command, host: &str, options: Options<'_>) -> Self {
        let mut process = Process::start(command.args([host, "0", "0"]).args(options.arguments()));
        let ready = process.out.next_that("ready", |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == "ready").then_some(event)
        });
        let port = |name: &str| ready[name].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let shared = Arc::new(Shared::default());
        let inbox = Arc::clone(&shared);
        let mut lines = process.out.take();
        thread::spawn(move || {
            while let Some(line) = lines.wait() {
                let Ok(item) = serde_json::from_str::<Value>(&line) else { continue };
                let mut guard = inbox.lock();
                match item["id"].as_u64() {
                    Some(id) => drop(guard.answers.insert(id, item)),
                    None => guard.events.push(item),
                }
                inbox.arrived.notify_all();
            }
        });
        Self { coap: port("coap"), coaps: port("coaps"), process: Mutex::new(process), shared, next: AtomicU64::new(1) }
    }

    /// Performs one operation (`interop/leshan/README.md` lists them) for the client `endpoint` and gives its answer:
    /// `code` and, by operation, `content`, `links`, `location`; or `error`. A `timeout` in milliseconds among `more` is for the client's answer.
    ///
    /// # Panics
    /// When no answer came.
    pub fn ask(&self, endpoint: &str, operation: &str, path: &str, more: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut request = json!({"id": id, "op": operation, "ep": endpoint, "path": path});
        if let (Value::Object(request), Value::Object(more)) = (&mut request, more) {
            request.extend(more);
        }
        let longer = Duration::from_millis(request["timeout"].as_u64().unwrap_or_default());
        self.process.lock().unwrap_or_else(PoisonError::into_inner).say(&request.to_string());
        self.shared
            .wait(PATIENCE + longer, |inbox| inbox.answers.remove(&id))
            .unwrap_or_else(|| panic!("Leshan gave no answer to {operation} {path} of {endpoint}"))
    }

    /// Lets a client in by pre-shared key; `key` is in hexadecimal digits.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn allow_psk(&self, endpoint: &str, identity: &str, key: &str) {
        self.allow(endpoint, "psk", json!({"identity": identity, "key": key}));
    }

    /// Lets a client in by its raw public key, a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn allow_raw_public_key(&self, endpoint: &str, key: &[u8]) {
        self.allow(endpoint, "rpk", json!({"key": crate::hex(key)}));
    }

    /// Lets a client in whose certificate is of the trusted root and has `endpoint` as its common name.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn allow_certificate(&self, endpoint: &str) {
        self.allow(endpoint, "x509", json!({}));
    }

    fn allow(&self, endpoint: &str, how: &str, more: Value) {
        let answer = self.ask(endpoint, how, "/", more);
        assert!(answer["error"].is_null(), "{how} of {endpoint}: {answer}");
    }

    /// Gives the bootstrap server what it does with that client, in order: `interop/leshan/README.md` has the shapes.
    ///
    /// # Panics
    /// Where it refuses.
    pub fn script(&self, endpoint: &str, tasks: Value) {
        self.allow(endpoint, "script", json!({"tasks": tasks}));
    }

    /// Takes the next event of that name for that client out of the inbox, waiting up to `time`.
    pub fn event_within(&self, time: Duration, name: &str, endpoint: &str) -> Option<Value> {
        self.take(time, |event| {
            event["event"] == name && (event["ep"] == endpoint || event["client"]["ep"] == endpoint)
        })
    }

    fn take(&self, time: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        self.shared.wait(time, |inbox| {
            let at = inbox.events.iter().position(&wanted)?;
            Some(inbox.events.remove(at))
        })
    }

    /// The next notification of that path from that client; those of other paths stay in the inbox.
    ///
    /// # Panics
    /// When none came.
    pub fn notification(&self, endpoint: &str, path: &str) -> Value {
        let wanted = |event: &Value| event["event"] == "notify" && event["ep"] == endpoint && event["path"] == path;
        self.take(PATIENCE, wanted)
            .unwrap_or_else(|| panic!("Leshan saw no {path} of {endpoint}; left: {:?}", self.shared.lock().events))
    }

    /// The next event of that name for that client.
    ///
    /// # Panics
    /// When none came.
    pub fn event(&self, name: &str, endpoint: &str) -> Value {
        self.event_within(PATIENCE, name, endpoint)
            .unwrap_or_else(|| panic!("Leshan saw no {name} of {endpoint}; left: {:?}", self.shared.lock().events))
    }
}

/// What Leshan's client shows a server, and by what it knows it.
#[derive(Debug, Clone, Copy)]
pub enum Credentials<'a> {
    /// Plain CoAP.
    None,
    /// A pre-shared key, in hexadecimal digits.
    Psk(&'a str, &'a str),
    /// A raw public key, and the server's.
    RawPublicKey(&'a KeyFiles, &'a KeyFiles),
    /// A certificate, and the server's own.
    Certificate(&'a KeyFiles, &'a KeyFiles),
}

/// Starts Leshan's client: it registers at `server` as `endpoint`, and de-registers after [`Process::close_input`]. `more` are
/// further arguments of `LeshanClientPeer`, such as `bootstrap=true` or `cid=0`.
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn client(server: &str, endpoint: &str, credentials: Credentials<'_>, more: &[String]) -> Process {
    let file = |name: &str, path: &Path| format!("{name}={}", path.display());
    let credentials = match credentials {
        Credentials::None => Vec::new(),
        Credentials::Psk(identity, key) => vec![format!("identity={identity}"), format!("key={key}")],
        Credentials::RawPublicKey(own, server) => {
            vec![file("key", &own.private), file("pub", &own.public), file("server", &server.public)]
        }
        Credentials::Certificate(own, server) => {
            vec![file("key", &own.private), file("cert", &own.certificate), file("server", &server.certificate)]
        }
    };
    let mut command = java("server", "LeshanClientPeer");
    Process::start(command.args([server, endpoint]).args(credentials).args(more))
}
