//! The bootstrap server beside the one that manages clients: its own sockets, its own engine, and its own keys.

mod file;
mod told;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    net::SocketAddr,
    sync::Arc,
};

use lapwing_lwm2m::{
    Now,
    server::{
        Channel, SecurityError, SecurityInfo,
        bootstrap::{self as engine, Config, Event, Output, Plan},
    },
};
use tokio::sync::{broadcast, mpsc, oneshot};

pub use self::file::BootstrapFileError;
pub(crate) use self::told::{Told, told};
use crate::{
    Presented, Subscription,
    driver::{Driver, Engine, Next, SUBSCRIPTION},
    sockets::Sockets,
};

/// How much of what was told of sessions is remembered.
const HISTORY: usize = 500;

/// The engine, and what was told of its sessions.
pub(crate) struct Bootstrap {
    engine: engine::Server,
    events: broadcast::Sender<Event>,
    history: VecDeque<Told>,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The task of the bootstrap server, and how to speak with it.
pub(crate) fn start(sockets: Sockets, config: Config) -> io::Result<(Driver<Bootstrap>, BootstrapHandle)> {
    let (commands, received) = mpsc::unbounded_channel();
    let events = broadcast::Sender::new(SUBSCRIPTION);
    let handle = BootstrapHandle(Arc::new(Shared {
        commands,
        events: events.downgrade(),
        addresses: sockets.addresses()?,
        presented: Presented::of(config.dtls.as_ref()),
    }));
    let driver = Driver::new(sockets, received, |now, seed| Bootstrap {
        engine: engine::Server::new(now, config, seed),
        events,
        history: VecDeque::new(),
    })?;
    Ok((driver, handle))
}

impl Bootstrap {
    pub(crate) fn set_plan(&mut self, now: Now, endpoint: &str, plan: Plan) {
        self.engine.set_plan(now, endpoint, Some(plan));
    }

    pub(crate) fn set_security(&mut self, now: Now, endpoint: &str, info: SecurityInfo) -> Result<(), SecurityError> {
        self.engine.set_security(now, endpoint, Some(info)).map(|_| ())
    }

    fn remember(&mut self, event: &Event) {
        self.history.extend(told(event));
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
    }
}

impl Engine for Bootstrap {
    type Command = Question;

    fn handle_datagram(&mut self, now: Now, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.engine.handle_datagram(now, channel, from, datagram);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.engine.handle_timeout(now);
    }

    fn obey(&mut self, now: Now, question: Question) {
        question(self, now);
    }

    fn poll<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Next<'a> {
        match self.engine.poll_output(buffer) {
            Output::Transmit(channel, to, datagram) => Next::Transmit(channel, to, datagram),
            Output::Wait(deadline, _) => Next::Wait(deadline),
            Output::Event(event) => {
                self.remember(&event);
                // Sending fails when nobody listens.
                drop(self.events.send(event));
                Next::Told
            }
        }
    }
}

/// A question about the engine's state.
type Question = Box<dyn FnOnce(&mut Bootstrap, Now) + Send>;

#[derive(Debug)]
struct Shared {
    // Unbounded, since whoever sends waits for the answer before sending again.
    commands: mpsc::UnboundedSender<Question>,
    // Weak, so that subscriptions end with the server.
    events: broadcast::WeakSender<Event>,
    /// The plain one, and the secure one where there is one.
    addresses: (SocketAddr, Option<SocketAddr>),
    presented: Presented,
}

/// A running bootstrap server, to say what clients get and to hear what happens. Cheap to clone; may be used from any thread.
///
/// It does not keep the server running: once that has ended, nothing is set, lists are empty and subscriptions end.
#[derive(Debug, Clone)]
pub struct BootstrapHandle(Arc<Shared>);

impl BootstrapHandle {
    /// Where clients ask over plain CoAP.
    pub fn coap_address(&self) -> SocketAddr {
        self.0.addresses.0
    }

    /// Where clients ask over DTLS; `None` where there is no such socket.
    pub fn coaps_address(&self) -> Option<SocketAddr> {
        self.0.addresses.1
    }

    /// What the bootstrap server shows of itself to clients without a pre-shared key.
    pub fn presented(&self) -> &Presented {
        &self.0.presented
    }

    /// Sets what an endpoint gets when it asks, or with `None` that it gets nothing: see
    /// [`engine::Server::set_plan`]. Gives what it would have got before.
    pub async fn set_plan(&self, endpoint: &str, plan: Option<Plan>) -> Option<Arc<Plan>> {
        let endpoint = endpoint.to_owned();
        self.ask(move |server, now| {
            let before = server.engine.plan(&endpoint).cloned();
            server.engine.set_plan(now, &endpoint, plan);
            before
        })
        .await
        .flatten()
    }

    /// What every endpoint gets, by its name.
    pub async fn plans(&self) -> BTreeMap<String, Arc<Plan>> {
        let all = |server: &mut Bootstrap, _| {
            server.engine.plans().map(|(endpoint, plan)| (endpoint.to_string(), Arc::clone(plan))).collect()
        };
        self.ask(all).await.unwrap_or_default()
    }

    /// Says what an endpoint has to show before it is bootstrapped; `None` says nothing of it any more. See
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
        self.ask(move |server, now| server.engine.set_security(now, &endpoint, info)).await.unwrap_or(Ok(None))
    }

    /// What endpoints have to show, by their names.
    pub async fn securities(&self) -> BTreeMap<String, SecurityInfo> {
        let all = |server: &mut Bootstrap, _| {
            server.engine.securities().map(|(endpoint, info)| (endpoint.to_owned(), info.clone())).collect()
        };
        self.ask(all).await.unwrap_or_default()
    }

    /// What happens from now on.
    pub fn subscribe(&self) -> Subscription<Event> {
        Subscription::to(&self.0.events)
    }

    /// The last of what was told of sessions, oldest first.
    pub(crate) async fn history(&self) -> Vec<Told> {
        self.ask(|server, _| server.history.iter().cloned().collect()).await.unwrap_or_default()
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Bootstrap, Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question = Box::new(move |server: &mut Bootstrap, now| {
            // Who asked may have gone.
            let _ = answer.send(question(server, now));
        });
        self.0.commands.send(question).ok()?;
        answered.await.ok()
    }
}
