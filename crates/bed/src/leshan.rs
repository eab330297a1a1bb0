//! Leshan's server and client (library 2.0.0-M18) as processes that speak JSON lines: `interop/leshan`.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{PATIENCE, Process, target, workspace};

/// The command that starts one of the peers, as `cargo xtask test` has built it.
fn java(class: &str) -> Command {
    let built = target().join("leshan");
    let mut command = Command::new("java");
    command
        .arg("-cp")
        .arg(format!("{0}/out:{0}/lib/*", built.display()))
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", class])
        .current_dir(workspace());
    command
}

/// Leshan's server. Tests share one: each takes an endpoint name of its own and sees only that client's events.
#[derive(Debug)]
pub struct Server {
    /// The port of plain CoAP on the loopback address it was started with.
    pub coap: u16,
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
    /// Starts the server on free ports of `host`; `models` is a folder of LWM2M XML files.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(host: &str, models: &Path) -> Self {
        let mut command = java("LeshanServerPeer");
        let mut process = Process::start(command.args([host, "0", "0", &format!("models={}", models.display())]));
        let coap = process.out.next_that("ready", |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == "ready").then(|| event["coap"].as_u64().and_then(|port| u16::try_from(port).ok()))?
        });
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
        Self { coap, process: Mutex::new(process), shared, next: AtomicU64::new(1) }
    }

    /// Performs one operation (`interop/leshan/README.md` lists them) for the client `endpoint` and gives its answer:
    /// `code` and, by operation, `content`, `links`, `location`; or `error`.
    ///
    /// # Panics
    /// When no answer came.
    pub fn ask(&self, endpoint: &str, operation: &str, path: &str, more: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut request = json!({"id": id, "op": operation, "ep": endpoint, "path": path});
        if let (Value::Object(request), Value::Object(more)) = (&mut request, more) {
            request.extend(more);
        }
        self.process.lock().unwrap_or_else(PoisonError::into_inner).say(&request.to_string());
        self.shared
            .wait(PATIENCE, |inbox| inbox.answers.remove(&id))
            .unwrap_or_else(|| panic!("Leshan gave no answer to {request}"))
    }

    /// Takes the next event of that name for that client out of the inbox, waiting up to `time`.
    pub fn event_within(&self, time: Duration, name: &str, endpoint: &str) -> Option<Value> {
        self.shared.wait(time, |inbox| {
            let of = |event: &Value| event["ep"] == endpoint || event["client"]["ep"] == endpoint;
            let at = inbox.events.iter().position(|event| event["event"] == name && of(event))?;
            Some(inbox.events.remove(at))
        })
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

/// Starts Leshan's client: it registers at `server` as `endpoint`, and de-registers after [`Process::close_input`].
///
/// # Panics
/// Where it does not start.
#[must_use]
pub fn client(server: &str, endpoint: &str, lifetime: u32, models: &Path) -> Process {
    let mut command = java("LeshanClientPeer");
    Process::start(
        command.args([server, endpoint]).args([format!("lifetime={lifetime}"), format!("models={}", models.display())]),
    )
}
