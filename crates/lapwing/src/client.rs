//! A client as an application makes it: [`Client::builder`], then [`Client::run`], with a [`Handle`] to see and steer it meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapwing_lwm2m::account::{BootstrapAccount, ServerAccount, ServerId, ServerUri, ShortServerId, UriError};
use lapwing_lwm2m::client::{Command, Config, ConfigError, Event, LwM2mVersion, Notifications, Status};
use lapwing_lwm2m::model::ObjectId;
use tokio::sync::broadcast;

use crate::credentials::UnknownTime;
use crate::driver::{self, BootClock, FileSystem, Signal, Udp};
use crate::object::{Erased, Object};
use crate::store::{Store, StoreError};
use crate::transfer::Accounts;

/// So many events are kept for a slow reader of [`Events`]; older ones are dropped.
const EVENTS: usize = 64;

/// An LwM2M client that is ready to run.
///
/// ```no_run
/// # use lapwing::{InstanceId, Object, ObjectDefinition, Resource, ResourceId, definitions::device};
/// # struct Device;
/// # impl Object for Device {
/// #     fn definition(&self) -> &ObjectDefinition { &device::V1_1 }
/// #     fn resources(&self, _: InstanceId) -> &[ResourceId] { &[device::MANUFACTURER] }
/// #     async fn read(&self, _: InstanceId, _: ResourceId) -> lapwing::Result<Resource> { Ok("Lapwing".into()) }
/// # }
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let client = lapwing::Client::builder("urn:dev:ops:kettle-1").server("coap://localhost").lifetime(300).object(Device).build()?;
/// let handle = client.handle();
/// client.run(std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Client {
    pub(crate) config: Config,
    pub(crate) objects: Vec<Arc<dyn Erased>>,
    pub(crate) shared: Arc<Shared>,
    state: Option<PathBuf>,
    port: u16,
}

impl Client {
    /// A client of this Endpoint Client Name (LwM2M Core 1.1 section 7.3), 1 to 252 bytes; a URN is recommended.
    pub fn builder(endpoint: impl Into<String>) -> Builder {
        Builder {
            endpoint: endpoint.into(),
            version: LwM2mVersion::default(),
            notifications: Notifications::default(),
            lifetime: None,
            servers: Vec::new(),
            bootstrap: None,
            reset_accounts: false,
            trust_anchors: Vec::new(),
            unknown_time: UnknownTime::default(),
            connection_id: true,
            resume: false,
            objects: Vec::new(),
            state: None,
            port: 0,
            lent: None,
        }
    }

    /// What sees and steers the client while it runs.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Registers, and serves the servers until `shutdown` ends or [`Handle::shutdown`] is called; then it de-registers, for at most 5 s,
    /// unless its registrations are to [outlive](Builder::resume) it. Needs tokio around it, with I/O; all objects run in the task that awaits this.
    ///
    /// # Errors
    /// [`RunError`], at the beginning. Later nothing ends it but a shutdown: a server that cannot be reached is tried again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let store = self.state.as_ref().map(|folder| Store::open(FileSystem, folder)).transpose()?;
        let _held = store.as_ref().map(Store::hold).transpose()?;
        let (net, clock) = (Udp::from_port(self.port), BootClock::new()?);
        driver::run(self, net, clock, store, shutdown).await
    }

    /// The same for an application that has no tokio of its own: blocks this thread, until SIGINT, SIGTERM or [`Handle::shutdown`].
    ///
    /// # Errors
    /// As for [`run`](Client::run).
    pub fn run_blocking(self) -> Result<(), RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { self.run(driver::terminated()?).await })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Makes a [`Client`].
#[must_use]
pub struct Builder {
    endpoint: String,
    version: LwM2mVersion,
    notifications: Notifications,
    lifetime: Option<u32>,
    servers: Vec<Server>,
    bootstrap: Option<BootstrapAccount>,
    reset_accounts: bool,
    trust_anchors: Vec<Vec<u8>>,
    unknown_time: UnknownTime,
    connection_id: bool,
    resume: bool,
    objects: Vec<Arc<dyn Erased>>,
    state: Option<PathBuf>,
    port: u16,
    lent: Option<Accounts>,
}

enum Server {
    Uri(String),
    Account(Box<ServerAccount>),
}

impl Builder {
    /// Adds a server, `coap://host[:port]`, with the first Short Server ID that is free and the standard's defaults.
    pub fn server(mut self, uri: impl Into<String>) -> Self {
        self.servers.push(Server::Uri(uri.into()));
        self
    }

    /// Adds a server of which more is to be said, such as the security that a `coaps` URI needs:
    ///
    /// ```
    /// use lapwing::{Client, Security, ServerAccount};
    ///
    /// let security = Security::psk("gateway-7", *b"sixteen secret b")?;
    /// let account = ServerAccount::new(1, "coaps://leshan.example".parse()?).security(security);
    /// let client = Client::builder("gateway-7").account(account).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn account(mut self, account: ServerAccount) -> Self {
        self.servers.push(Server::Account(Box::new(account)));
        self
    }

    /// The bootstrap server, which tells of the servers (LwM2M Core 1.1 section 6.1): it is asked where there is no server, and where
    /// none of them can be registered with.
    pub fn bootstrap(mut self, account: BootstrapAccount) -> Self {
        self.bootstrap = Some(account);
        self
    }

    /// Whether accounts that a bootstrap server wrote in an earlier run, and that [`state`](Builder::state) has kept, are forgotten. Otherwise
    /// they hold instead of those given here.
    pub fn reset_accounts(mut self, reset: bool) -> Self {
        self.reset_accounts = reset;
        self
    }

    /// Certificates in DER that are trusted where the certificate usage of an account (0/x/15) is 0 or 1; none by default.
    pub fn trust_anchors(mut self, certificates: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.trust_anchors.extend(certificates);
        self
    }

    /// What becomes of a server's certificate while the time is not known, where its validity counts; it is refused by default.
    pub fn unknown_time(mut self, policy: UnknownTime) -> Self {
        self.unknown_time = policy;
        self
    }

    /// Whether DTLS Connection IDs are offered (RFC 9146), by which an association outlives a change of the client's address; they are by
    /// default.
    pub fn connection_id(mut self, offered: bool) -> Self {
        self.connection_id = offered;
        self
    }

    /// Whether registrations outlive the process, with what servers observe; needs a [`state`](Builder::state). The client then ends without
    /// de-registering, and the next one with the same state goes on where the last one ended: with an Update over its DTLS association, or
    /// from the same port where there is no DTLS, and with notifications of what is observed. A server that does not know it any more is
    /// registered at. By default it registers each time, and servers observe anew.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Lifetime of the registrations in seconds, for all that were added by [`server`](Builder::server); 0 lapses never.
    /// Default 86,400.
    pub fn lifetime(mut self, seconds: u32) -> Self {
        self.lifetime = Some(seconds);
        self
    }

    /// The version of LwM2M to speak; 1.1 by default.
    pub fn version(mut self, version: LwM2mVersion) -> Self {
        self.version = version;
        self
    }

    /// Who is to know the credentials of the accounts, as they are at each time, to pull packages with.
    pub fn lend(mut self, accounts: Accounts) -> Self {
        self.lent = Some(accounts);
        self
    }

    /// How notifications are sent; confirmable by default.
    pub fn notifications(mut self, notifications: Notifications) -> Self {
        self.notifications = notifications;
        self
    }

    /// Adds an object. Objects 0 (Security) and 1 (Server) are there already.
    pub fn object(mut self, object: impl Object) -> Self {
        self.objects.push(Arc::new(object));
        self
    }

    /// A folder that keeps the accounts that a bootstrap server wrote, what servers change of them, which attributes they set, and DTLS
    /// associations; it is created if need be, open to its owner alone. It is one client's: another that runs with it at the same time is
    /// refused. Without one all that is forgotten when the process ends.
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }

    /// The local UDP port to send from; any free one by default.
    pub fn local_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// The first thing that makes no sense.
    pub fn build(self) -> Result<Client, BuildError> {
        let servers = accounts(self.servers, self.lifetime)?;
        if servers.is_empty() && self.bootstrap.is_none() {
            return Err(BuildError::NoServer);
        }
        for (index, object) in self.objects.iter().enumerate() {
            let id = object.definition().id;
            if id <= 1 || self.objects[..index].iter().any(|other| other.definition().id == id) {
                return Err(BuildError::Object(id));
            }
        }
        let mut config = Config::new(self.endpoint, servers);
        config.version = self.version;
        config.notifications = self.notifications;
        config.bootstrap = self.bootstrap;
        config.reset_accounts = self.reset_accounts;
        config.trust_anchors = self.trust_anchors;
        config.unknown_time = self.unknown_time;
        if !self.connection_id {
            config.dtls.connection_id = None;
        }
        if self.resume && self.state.is_none() {
            return Err(BuildError::NoState);
        }
        config.resume = self.resume;
        config.validate()?;
        Ok(Client {
            config,
            objects: self.objects,
            shared: Arc::new(Shared::new(self.lent)),
            state: self.state,
            port: self.port,
        })
    }
}

fn accounts(servers: Vec<Server>, lifetime: Option<u32>) -> Result<Vec<ServerAccount>, BuildError> {
    let mut accounts: Vec<ServerAccount> = Vec::with_capacity(servers.len());
    let given = |server: &Server| match server {
        Server::Account(account) => Some(account.ssid),
        Server::Uri(_) => None,
    };
    let taken: Vec<ShortServerId> = servers.iter().filter_map(given).collect();
    for server in servers {
        let account = match server {
            Server::Account(account) => *account,
            Server::Uri(text) => {
                let uri: ServerUri = text.parse().map_err(|error| BuildError::Server { uri: text, error })?;
                let free = |ssid: &ShortServerId| {
                    !taken.contains(ssid) && !accounts.iter().any(|account| account.ssid == *ssid)
                };
                let ssid = (1..ShortServerId::MAX).find(free).unwrap_or(ShortServerId::MAX);
                let account = ServerAccount::new(ssid, uri);
                lifetime.map_or(account.clone(), |lifetime| account.lifetime(lifetime))
            }
        };
        accounts.push(account);
    }
    Ok(accounts)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why a client could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is neither a server to register with nor a bootstrap server.
    #[error("no server was given")]
    NoServer,
    /// Registrations are to outlive the process, and there is no folder to keep them in.
    #[error("registrations can outlive the process only with a state folder")]
    NoState,
    /// The URI of a server is none.
    #[error("server '{uri}': {error}")]
    Server {
        /// As it was given.
        uri: String,
        /// What is wrong.
        #[source]
        error: UriError,
    },
    /// The same object is there twice, or it is object 0 or 1, which are the client's own.
    #[error("object {0} is there already")]
    Object(ObjectId),
    /// Something else that the protocol does not permit.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Why a client could not begin to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The system gave no timer or no randomness.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// What was stored cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The protocol does not permit what was configured.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Sees and steers a client; cheap to clone, from any thread. Commands to a client that has stopped do nothing.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Every server with the state of its registration; empty before the client runs.
    pub fn status(&self) -> Vec<(ShortServerId, Status)> {
        lock(&self.0.status).clone()
    }

    /// Where a server is: as of its account, also for a while after that has gone; `None` before the client runs.
    pub fn uri(&self, server: ServerId) -> Option<ServerUri> {
        lock(&self.0.uris).get(&server).cloned()
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        Events(lock(&self.0.events).as_ref().map(broadcast::Sender::subscribe))
    }

    /// Sends an Update of the registration now: to one server, or to all.
    pub fn update(&self, server: Option<ShortServerId>) {
        self.0.request(Request::Command(Command::Update(server)));
    }

    /// Asks the bootstrap server now, where there is one.
    pub fn bootstrap(&self) {
        self.0.request(Request::Command(Command::Bootstrap));
    }

    /// De-registers everywhere; the client goes on running without doing anything until [`register`](Handle::register).
    pub fn deregister(&self) {
        self.0.request(Request::Command(Command::Deregister));
    }

    /// Registers where there is no registration, without waiting for the time of the next attempt.
    pub fn register(&self) {
        self.0.request(Request::Command(Command::Register));
    }

    /// A hint that a link, an address or a route of this machine has changed: servers that could not be reached are tried at once,
    /// and sockets are made anew where the way to their server starts from another address now.
    pub fn network_changed(&self) {
        self.0.request(Request::NetworkChanged);
    }

    /// Ends [`Client::run`], which de-registers unless its registrations are to outlive it.
    pub fn shutdown(&self) {
        self.0.request(Request::Shutdown);
    }
}

/// The events of a client as they happen; see [`Handle::events`]. Who reads slowly misses the oldest.
#[derive(Debug)]
pub struct Events(Option<broadcast::Receiver<Event>>);

impl Events {
    /// The next event, or `None` when the client has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        let events = self.0.as_mut()?;
        loop {
            match events.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "events were read too slowly")
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// What a [`Handle`] asks of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Command(Command),
    NetworkChanged,
    Shutdown,
}

/// What handles and driver have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) signal: Arc<Signal>,
    requests: Mutex<VecDeque<Request>>,
    status: Mutex<Vec<(ShortServerId, Status)>>,
    /// Those of accounts that have gone too, for who still talks of them.
    uris: Mutex<BTreeMap<ServerId, ServerUri>>,
    /// Gone when the client has stopped.
    events: Mutex<Option<broadcast::Sender<Event>>>,
    /// Whoever is to know the accounts' credentials.
    pub(crate) lent: Option<Accounts>,
}

impl Shared {
    fn new(lent: Option<Accounts>) -> Self {
        Self {
            lent,
            signal: Arc::default(),
            requests: Mutex::default(),
            status: Mutex::default(),
            uris: Mutex::default(),
            events: Mutex::new(Some(broadcast::Sender::new(EVENTS))),
        }
    }

    fn request(&self, request: Request) {
        let mut requests = lock(&self.requests);
        // Asking for the same again before it was heard changes nothing, so the queue is bounded.
        if !requests.contains(&request) {
            requests.push_back(request);
        }
        drop(requests);
        self.signal.raise();
    }

    pub(crate) fn take_requests(&self) -> VecDeque<Request> {
        std::mem::take(&mut lock(&self.requests))
    }

    pub(crate) fn publish(
        &self,
        status: impl Iterator<Item = (ShortServerId, Status)>,
        uris: impl Iterator<Item = (ServerId, ServerUri)>,
        event: Event,
    ) {
        let mut known = lock(&self.status);
        known.clear();
        known.extend(status);
        drop(known);
        lock(&self.uris).extend(uris);
        if let Some(events) = lock(&self.events).as_ref() {
            // Nobody may be listening.
            let _ = events.send(event);
        }
    }

    /// The client has stopped.
    pub(crate) fn close(&self) {
        lock(&self.events).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
