//! The engine that manages clients, and who waits for its answers.

use std::{collections::HashMap, fmt, io, net::SocketAddr, sync::Arc};

use lapwing_lwm2m::{
    Now,
    server::{
        self as engine, Channel, LogEntry, RequestError, RequestId, Response, SecurityError, SecurityInfo,
        ServerConfig, ServerEvent, ServerOutput,
    },
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    BootstrapHandle, Handle, Presented,
    driver::{Driver, Engine, Next, SUBSCRIPTION},
    handle::Command,
    sockets::Sockets,
};

struct Waiting {
    ticket: u64,
    answer: oneshot::Sender<Result<Response, RequestError>>,
}

pub(crate) struct Management {
    engine: engine::Server,
    events: broadcast::Sender<ServerEvent>,
    log: broadcast::Sender<Arc<LogEntry>>,
    waiting: HashMap<RequestId, Waiting>,
    tickets: HashMap<u64, RequestId>,
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The task of the management server, and how to speak with it.
pub(crate) fn start(
    sockets: Sockets,
    config: ServerConfig,
    bootstrap: Option<BootstrapHandle>,
) -> io::Result<(Driver<Management>, Handle)> {
    let (sender, commands) = mpsc::unbounded_channel();
    let events = broadcast::Sender::new(SUBSCRIPTION);
    let log = broadcast::Sender::new(SUBSCRIPTION);
    let presented = Presented::of(config.dtls.as_ref());
    let handle = Handle::new(sender, events.downgrade(), log.downgrade(), sockets.addresses()?, presented, bootstrap);
    let driver = Driver::new(sockets, commands, |now, seed| Management {
        engine: engine::Server::new(now, config, seed),
        events,
        log,
        waiting: HashMap::new(),
        tickets: HashMap::new(),
    })?;
    Ok((driver, handle))
}

impl Management {
    pub(crate) fn set_security(&mut self, now: Now, endpoint: &str, info: SecurityInfo) -> Result<(), SecurityError> {
        self.engine.set_security(now, endpoint, Some(info)).map(|_| ())
    }
}

impl Engine for Management {
    type Command = Command;

    fn handle_datagram(&mut self, now: Now, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.engine.set_log_events(self.log.receiver_count() > 0);
        self.engine.handle_datagram(now, channel, from, datagram);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.engine.handle_timeout(now);
    }

    fn obey(&mut self, now: Now, command: Command) {
        self.engine.set_log_events(self.log.receiver_count() > 0);
        match command {
            Command::Request { ticket, registration, request, timeout, answer } => {
                let id = self.engine.request(now, registration, request, timeout);
                self.waiting.insert(id, Waiting { ticket, answer });
                self.tickets.insert(ticket, id);
            }
            Command::Cancel { ticket } => {
                if let Some(id) = self.tickets.remove(&ticket) {
                    self.waiting.remove(&id);
                    self.engine.cancel(now, id);
                }
            }
            Command::Ask(question) => question(&mut self.engine, now),
        }
    }

    fn poll<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Next<'a> {
        match self.engine.poll_output(buffer) {
            ServerOutput::Transmit(channel, to, datagram) => return Next::Transmit(channel, to, datagram),
            ServerOutput::Wait(deadline, _) => return Next::Wait(deadline),
            ServerOutput::Answer(id, result) => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    self.tickets.remove(&waiting.ticket);
                    // Who asked may have gone.
                    let _ = waiting.answer.send(result);
                }
            }
            // Sending fails when nobody listens.
            ServerOutput::Event(ServerEvent::Exchanged(entry)) => drop(self.log.send(entry)),
            ServerOutput::Event(event) => drop(self.events.send(event)),
        }
        Next::Told
    }
}
