//! Lapwing on tokio: sockets, timers, files, and the operations of the objects around the engine.
//!
//! [`Client::run`](crate::Client::run) is all that most need. This module is for those who bring their own network, clock or disk,
//! and the one place whose interface may name types of tokio.
//!
//! Everything runs in the task that awaits [`run`]: the objects' futures are polled there too, and nothing is spawned but
//! writes to disk and look-ups of names, which block. While nothing is due it sleeps without a wake-up.

mod clock;
mod disk;
mod fd;
mod flows;
mod net;
mod objects;
mod operations;
mod records;
mod signal;
mod tasks;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lapwing_lwm2m::Now;
use lapwing_lwm2m::account::{ServerId, ShortServerId};
use lapwing_lwm2m::client::{self as engine, Command, Event, Output};

pub(crate) use clock::unix_time;
pub use clock::{BootClock, Clock, TokioClock};
pub use disk::{Disk, FileSystem};
pub use net::{Net, Previous, Socket, Udp, UdpPeer};
pub(crate) use signal::Signal;

use crate::client::{Client, Request, RunError, Shared};
use crate::store::Store;
use flows::{Arrival, Flows};
use objects::Objects;
use operations::{Operations, Sides};
use records::Records;

/// No datagram over IP is longer.
const MAX_DATAGRAM: usize = 65_535;
/// After so many inputs it is the turn of others on this thread, sockets among them.
const INPUTS: usize = 64;
/// How long a client that is told to stop waits for its servers to hear of it.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs a client on this network, clock and store until `shutdown` ends and every server was told, or 5 s have passed; where registrations are
/// to outlive it, nobody is told. Without a store, what servers change of their accounts is forgotten when the process ends.
///
/// # Errors
/// [`RunError::Config`] and [`RunError::Store`], at the beginning. Later nothing ends it but `shutdown`.
pub async fn run<N: Net, C: Clock, D: Disk>(
    client: Client,
    net: N,
    clock: C,
    store: Option<Store<D>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let span = tracing::info_span!("client", endpoint = client.config.endpoint);
    let mut driver = span.in_scope(|| Driver::new(client, net, clock, store))?;
    let mut shutdown = pin!(shutdown);
    std::future::poll_fn(|cx| {
        let _entered = span.enter();
        if driver.farewell.is_none() && shutdown.as_mut().poll(cx).is_ready() {
            driver.leave();
        }
        driver.poll(cx)
    })
    .await;
    Ok(())
}

/// Tells whoever is to know it which accounts there are.
fn lend(shared: &Shared, engine: &engine::Client) {
    let Some(lent) = &shared.lent else { return };
    let servers = engine.accounts().map(|account| (&account.uri, &account.security));
    lent.set(servers.chain(engine.bootstrap_account().map(|account| (&account.uri, &account.security))));
}

struct Driver<N: Net, C, D> {
    engine: engine::Client,
    clock: C,
    /// When the last input came.
    now: Now,
    flows: Flows<N>,
    objects: Objects,
    operations: Operations,
    records: Records<D>,
    shared: Arc<Shared>,
    /// When the engine wants to be called.
    wait: Option<Duration>,
    /// The client was told to stop: when it stops although not every server has heard of it.
    farewell: Option<Duration>,
    /// Servers are not told that it stops: another process goes on with its registrations.
    resumable: bool,
    stopped: bool,
    /// The last input was a datagram.
    heard: bool,
    transmit: Vec<u8>,
    receive: Box<[u8]>,
}

impl<N: Net, C: Clock, D: Disk> Driver<N, C, D> {
    fn new(client: Client, net: N, clock: C, store: Option<Store<D>>) -> Result<Self, RunError> {
        let Client { config, objects, shared, .. } = client;
        let mut seed = [0; 32];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()).map_err(std::io::Error::from)?;
        let resumable = config.resume && store.is_some();
        let records = Records::new(store);
        let saved = records.load(&config.servers)?;
        let now = clock.now();
        let mut engine = engine::Client::new(now, config, seed, saved)?;
        let objects = Objects::new(objects, &shared.signal);
        engine.declare(now, objects.tree());
        let operations = Operations::new(Arc::clone(&shared.signal));
        lend(&shared, &engine);
        Ok(Self {
            engine,
            clock,
            now,
            flows: Flows::new(net),
            objects,
            operations,
            records,
            shared,
            wait: None,
            farewell: None,
            resumable,
            stopped: false,
            heard: false,
            transmit: Vec::new(),
            receive: vec![0; MAX_DATAGRAM].into(),
        })
    }

    /// Ready when the client has stopped.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.signal.awake();
        for _ in 0..INPUTS {
            self.pump();
            let left = self.farewell.is_some() && self.resumable && self.records.are_durable();
            if self.stopped || left {
                return Poll::Ready(());
            }
            ready!(self.poll_input(cx));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does all that the engine wants done.
    fn pump(&mut self) {
        let mut buffer = std::mem::take(&mut self.transmit);
        loop {
            let sides = &mut Sides { engine: &mut self.engine, objects: &mut self.objects, now: self.now };
            match sides.engine.poll_output(&mut buffer) {
                Output::Transmit(flow, datagram) => self.flows.send(flow, datagram),
                Output::Operation(id, operation) => self.operations.begin(sides, id, operation),
                Output::Chunk(id, bytes, last) => self.operations.chunk(id, bytes, last),
                Output::Abort(id, why) => self.operations.abort(sides, id, why),
                Output::Settled(id) => self.operations.settled(sides, id),
                Output::Open(flow, target) => self.flows.open(flow, target),
                Output::Close(flow) => self.flows.close(flow),
                Output::Persist(id, record) => self.records.save(id, record),
                Output::Event(event) => self.on_event(event),
                Output::Wait(until, _) => {
                    self.wait = until;
                    break;
                }
                other => tracing::error!(?other, "the engine wants what this driver does not know"),
            }
        }
        self.transmit = buffer;
    }

    /// Takes the next thing that comes from outside of the engine.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What a datagram has set going is done before the next one is looked for: its answer has left by then, so that a peer that is quick
        // has sent more, and no sleep lies between. Whoever goes on for ever by itself keeps no datagram out: they take turns.
        let heard = std::mem::take(&mut self.heard);
        if heard && self.shared.signal.is_raised() && self.poll_signal(cx).is_ready() {
            return Poll::Ready(());
        }
        if let Poll::Ready((flow, arrival)) = self.flows.poll(cx, &mut self.receive) {
            self.now = self.clock.now();
            self.heard = true;
            match arrival {
                Arrival::Datagram(length) => self.engine.handle_datagram(self.now, flow, &self.receive[..length]),
                Arrival::Event(event) => self.engine.handle_flow(self.now, flow, event),
            }
        } else if self.poll_signal(cx).is_ready() {
        } else if let Poll::Ready((id, result)) = self.records.poll(cx) {
            self.now = self.clock.now();
            self.engine.persisted(self.now, id, result);
        } else {
            let deadline = [self.wait, self.farewell].into_iter().flatten().min();
            ready!(self.clock.poll_until(cx, deadline));
            self.now = self.clock.now();
            self.engine.handle_timeout(self.now);
            if self.farewell.is_some_and(|farewell| farewell <= self.now.elapsed) {
                tracing::warn!("stopping although not every server has heard of it");
                self.stopped = true;
            }
        }
        Poll::Ready(())
    }

    /// Takes what objects and handles have to say.
    fn poll_signal(&mut self, cx: &Context<'_>) -> Poll<()> {
        ready!(self.shared.signal.poll(cx));
        self.now = self.clock.now();
        self.take_requests();
        self.take_changes();
        self.operations.poll(&mut Sides { engine: &mut self.engine, objects: &mut self.objects, now: self.now });
        Poll::Ready(())
    }

    fn leave(&mut self) {
        self.now = self.clock.now();
        self.farewell = Some(self.now.elapsed + FAREWELL);
        if !self.resumable {
            self.engine.command(self.now, Command::Deregister);
        }
    }

    fn take_requests(&mut self) {
        for request in self.shared.take_requests() {
            match request {
                Request::Command(command) => self.engine.command(self.now, command),
                Request::NetworkChanged => {
                    self.flows.network_changed();
                    self.engine.command(self.now, Command::NetworkChanged);
                }
                Request::Shutdown if self.farewell.is_none() => self.leave(),
                Request::Shutdown => {}
            }
        }
    }

    fn take_changes(&mut self) {
        let mut instances_changed = false;
        for entry in self.objects.iter_mut() {
            let (paths, instances) = entry.pending.take();
            instances_changed |= instances;
            for changed in paths {
                for value in changed.values {
                    self.engine.notify(self.now, changed.path, Some(value));
                }
                if changed.unread {
                    self.engine.notify(self.now, changed.path, None);
                }
            }
        }
        if instances_changed {
            self.engine.declare(self.now, self.objects.tree());
        }
    }

    fn on_event(&mut self, event: Event) {
        self.log(&event);
        match &event {
            Event::Observed(paths) => self.objects.watch(paths),
            Event::Stopped => self.stopped = self.farewell.is_some(),
            _ => {}
        }
        let servers =
            self.engine.accounts().filter_map(|account| Some((account.ssid, self.engine.status(account.ssid)?)));
        let uris = self.engine.accounts().map(|account| (ServerId::Server(account.ssid), account.uri.clone()));
        let bootstrap = self.engine.bootstrap_account().map(|account| (ServerId::Bootstrap, account.uri.clone()));
        self.shared.publish(servers, uris.chain(bootstrap), event);
        lend(&self.shared, &self.engine);
    }

    fn log(&self, event: &Event) {
        let uri = |server: &ShortServerId| {
            let account = self.engine.accounts().find(|account| account.ssid == *server);
            account.map_or("", |account| account.uri.as_str())
        };
        match event {
            Event::Registered { server, after } => tracing::info!(server, uri = uri(server), ?after, "registered"),
            Event::Resumed { server, after } => {
                tracing::info!(server, uri = uri(server), ?after, "registration resumed")
            }
            Event::Updated { server } => tracing::debug!(server, "registration updated"),
            Event::RegistrationFailed { server, reason, retry_in: Some(retry_in) } => {
                tracing::warn!(server, uri = uri(server), %reason, ?retry_in, "not registered");
            }
            Event::RegistrationFailed { server, reason, retry_in: None } => {
                tracing::error!(server, uri = uri(server), %reason, "not registered, and out of attempts");
            }
            Event::ServerLost { server, reason } => {
                tracing::warn!(server, uri = uri(server), %reason, "registration lost");
            }
            Event::Deregistered { server, .. } => tracing::info!(server, uri = uri(server), "de-registered"),
            Event::NotificationLost { server, path } => tracing::warn!(server, %path, "notification lost"),
            Event::ValidityUnchecked { server } => tracing::warn!(%server, "certificate's validity not checked"),
            Event::AccountsUsed { stored } => tracing::info!(stored, "accounts chosen"),
            Event::AccountsDamaged => tracing::error!("the stored accounts cannot be read"),
            Event::BootstrapBegun => tracing::info!("bootstrap begun"),
            Event::BootstrapFinished => tracing::info!("bootstrap finished"),
            Event::BootstrapInconsistent(why) => tracing::warn!(%why, "bootstrap inconsistent"),
            Event::BootstrapRefused(path) => tracing::warn!(%path, "bootstrap refused by an object"),
            Event::BootstrapFailed { reason, retry_in } => tracing::warn!(%reason, ?retry_in, "bootstrap failed"),
            other => tracing::debug!(?other),
        }
    }
}

impl<N: Net, C, D> Drop for Driver<N, C, D> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Ends when the process is asked to end: SIGINT (Ctrl-C) or SIGTERM. Later signals of these kinds no longer end the process by themselves.
///
/// # Errors
/// When the signals cannot be waited for.
pub fn terminated() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(std::future::poll_fn(move |cx| {
        if interrupt.poll_recv(cx).is_ready() || terminate.poll_recv(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}
