//! How the rest of the program speaks with the running server.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lapwing_lwm2m::{
    model::Path,
    server::{
        self as engine, LogEntry, Registration, RegistrationId, Request, RequestError, Response, SecurityError,
        SecurityInfo, ServerEvent,
    },
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    BootstrapHandle, Presented,
    hosting::{Held, Hosting},
};

/// A question about the engine's state.
pub(crate) type Question = Box<dyn FnOnce(&mut engine::Server, lapwing_lwm2m::Now) + Send>;

/// Where the bytes of a push are, and who hears how many the client has taken.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) file: Held,
    pub(crate) taken: watch::Sender<u64>,
}

/// What a [`Handle`] asks of the driver.
pub(crate) enum Command {
    Request {
        ticket: u64,
        registration: RegistrationId,
        request: Request,
        timeout: Option<Duration>,
        answer: oneshot::Sender<Result<Response, RequestError>>,
        /// What a push is of.
        supply: Option<Supply>,
    },
    Cancel {
        ticket: u64,
    },
    Ask(Question),
}

#[derive(Debug)]
struct Shared {
    // Unbounded, since whoever sends waits for the answer before sending again.
    commands: mpsc::UnboundedSender<Command>,
    // Weak, so that subscriptions end with the server.
    events: broadcast::WeakSender<ServerEvent>,
    log: broadcast::WeakSender<Arc<LogEntry>>,
    tickets: AtomicU64,
    /// The plain one, and the secure one where there is one.
    addresses: (SocketAddr, Option<SocketAddr>),
    presented: Presented,
    bootstrap: Option<BootstrapHandle>,
    hosting: Hosting,
}

/// A running server, to ask its clients and to hear what happens. Cheap to clone; may be used from any thread.
///
/// It does not keep the server running: once that has ended, requests fail with [`RequestError::Stopped`], lists are
/// empty and subscriptions end.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(
        commands: mpsc::UnboundedSender<Command>,
        events: broadcast::WeakSender<ServerEvent>,
        log: broadcast::WeakSender<Arc<LogEntry>>,
        addresses: (SocketAddr, Option<SocketAddr>),
        presented: Presented,
        bootstrap: Option<BootstrapHandle>,
        hosting: Hosting,
    ) -> Handle {
        let tickets = AtomicU64::new(0);
        Handle(Arc::new(Shared { commands, events, log, tickets, addresses, presented, bootstrap, hosting }))
    }

    /// The files, and what becomes of them.
    pub(crate) fn hosting(&self) -> &Hosting {
        &self.0.hosting
    }

    /// Where clients register over plain CoAP.
    pub fn coap_address(&self) -> SocketAddr {
        self.0.addresses.0
    }

    /// Where clients register over DTLS; `None` where the server has no such socket.
    pub fn coaps_address(&self) -> Option<SocketAddr> {
        self.0.addresses.1
    }

    /// What the server shows of itself to clients without a pre-shared key.
    pub fn presented(&self) -> &Presented {
        &self.0.presented
    }

    /// The bootstrap server beside this one; `None` where there is none.
    pub fn bootstrap(&self) -> Option<&BootstrapHandle> {
        self.0.bootstrap.as_ref()
    }

    /// Asks a client and waits for its answer, at most `timeout` (without it
    /// [`ServerConfig::request_timeout`](engine::ServerConfig::request_timeout)). A code of class 4 or 5 is an answer.
    ///
    /// Dropping the future cancels the request: a late answer is rejected with RST. What the client has done by then it
    /// has done.
    ///
    /// # Errors
    /// No answer came, or one that cannot be understood.
    pub async fn request(
        &self,
        registration: RegistrationId,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Response, RequestError> {
        self.send(registration, request, timeout, None).await
    }

    /// Writes a file to an opaque resource, as by [`Handle::request`]; `timeout` is how long the client may take for a block.
    pub(crate) async fn push(
        &self,
        registration: RegistrationId,
        path: Path,
        supply: Supply,
        timeout: Option<Duration>,
    ) -> Result<Response, RequestError> {
        let request = Request::Push { path, size: supply.file.size() };
        self.send(registration, request, timeout, Some(supply)).await
    }

    async fn send(
        &self,
        registration: RegistrationId,
        request: Request,
        timeout: Option<Duration>,
        supply: Option<Supply>,
    ) -> Result<Response, RequestError> {
        let (answer, answered) = oneshot::channel();
        let ticket = self.0.tickets.fetch_add(1, Ordering::Relaxed);
        let command = Command::Request { ticket, registration, request, timeout, answer, supply };
        self.0.commands.send(command).map_err(|_| RequestError::Stopped)?;
        let mut guard = CancelOnDrop { handle: self, ticket: Some(ticket) };
        let result = answered.await.unwrap_or(Err(RequestError::Stopped));
        guard.ticket = None;
        result
    }

    /// Every registration, sorted by endpoint.
    pub async fn registrations(&self) -> Vec<Arc<Registration>> {
        let mut all =
            self.ask(|server, _| server.registrations().cloned().collect::<Vec<_>>()).await.unwrap_or_default();
        all.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        all
    }

    /// The registration of an endpoint.
    pub async fn registration(&self, endpoint: &str) -> Option<Arc<Registration>> {
        let endpoint = endpoint.to_owned();
        self.ask(move |server, _| server.registration(&endpoint).cloned()).await.flatten()
    }

    /// What is observed of an endpoint, registered or not, in order.
    pub async fn observations(&self, endpoint: &str) -> Vec<Path> {
        let endpoint = endpoint.to_owned();
        self.ask(move |server, _| server.observations(&endpoint).collect()).await.unwrap_or_default()
    }

    /// Forgets an observation without telling the client: its next notification is rejected with RST, which ends the
    /// observation there (RFC 7641 section 3.6). Tells whether there was one.
    pub async fn forget_observation(&self, endpoint: &str, path: Path) -> bool {
        let endpoint = endpoint.to_owned();
        self.ask(move |server, now| server.forget_observation(now, &endpoint, path)).await.unwrap_or(false)
    }

    /// Drops a registration without telling the client: its next Update is answered 4.04. Tells whether there was one.
    pub async fn forget(&self, registration: RegistrationId) -> bool {
        self.ask(move |server, now| server.forget(now, registration)).await.unwrap_or(false)
    }

    /// Says what an endpoint has to show before it may register; `None` says nothing of it any more. See
    /// [`engine::Server::set_security`]. Gives what was said before.
    ///
    /// # Errors
    /// The identity is another endpoint's. Nothing has changed then.
    pub async fn set_security(
        &self,
        endpoint: &str,
        info: Option<SecurityInfo>,
    ) -> Result<Option<SecurityInfo>, SecurityError> {
        let endpoint = endpoint.to_owned();
        self.ask(move |server, now| server.set_security(now, &endpoint, info)).await.unwrap_or(Ok(None))
    }

    /// What endpoints have to show, by their names.
    pub async fn securities(&self) -> BTreeMap<String, SecurityInfo> {
        let all = |server: &mut engine::Server, _| {
            server.securities().map(|(endpoint, info)| (endpoint.to_owned(), info.clone())).collect()
        };
        self.ask(all).await.unwrap_or_default()
    }

    /// The last messages to and from an endpoint, or all, oldest first; at most
    /// [`ServerConfig::log`](engine::ServerConfig::log) are held for all together.
    pub async fn log(&self, endpoint: Option<&str>) -> Vec<Arc<LogEntry>> {
        let endpoint = endpoint.map(str::to_owned);
        self.ask(move |server, _| {
            let wanted =
                |entry: &&Arc<LogEntry>| endpoint.is_none() || entry.endpoint.as_deref() == endpoint.as_deref();
            server.log().filter(wanted).cloned().collect()
        })
        .await
        .unwrap_or_default()
    }

    /// What happens from now on, except messages.
    pub fn subscribe(&self) -> Subscription<ServerEvent> {
        Subscription::to(&self.0.events)
    }

    /// The messages that come and go from now on.
    pub fn subscribe_log(&self) -> Subscription<Arc<LogEntry>> {
        Subscription::to(&self.0.log)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut engine::Server, lapwing_lwm2m::Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question = Box::new(move |server: &mut engine::Server, now| {
            // Who asked may have gone.
            let _ = answer.send(question(server, now));
        });
        self.0.commands.send(Command::Ask(question)).ok()?;
        answered.await.ok()
    }
}

struct CancelOnDrop<'a> {
    handle: &'a Handle,
    ticket: Option<u64>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            // A server that has stopped has nothing to cancel.
            let _ = self.handle.0.commands.send(Command::Cancel { ticket });
        }
    }
}

/// A stream of what happens. It holds the last 1,024 items; who is slower loses the oldest.
pub struct Subscription<T>(Option<broadcast::Receiver<T>>);

impl<T: Clone> Subscription<T> {
    pub(crate) fn to(sender: &broadcast::WeakSender<T>) -> Subscription<T> {
        Subscription(sender.upgrade().map(|sender| sender.subscribe()))
    }

    /// The next item; `None` once the server has stopped. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Option<T> {
        let receiver = self.0.as_mut()?;
        loop {
            match receiver.recv().await {
                Ok(item) => return Some(item),
                Err(broadcast::error::RecvError::Lagged(lost)) => tracing::warn!(lost, "a subscriber is too slow"),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
