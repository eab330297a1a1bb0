//! The engine that manages clients, and who waits for its answers.

use std::{collections::HashMap, fmt, io, net::SocketAddr, sync::Arc};

use lapwing_coap::wire::Code;
use lapwing_lwm2m::{
    Now,
    server::{
        self as engine, Channel, Fetch, LogEntry, Part, RequestError, RequestId, Response, SecurityError, SecurityInfo,
        ServerConfig, ServerEvent, ServerOutput,
    },
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    BootstrapHandle, Handle, Presented,
    driver::{Driver, Engine, Next, SUBSCRIPTION},
    handle::{Command, Supply},
    hosting::{self, FileError, Hosting},
    sockets::Sockets,
};

struct Waiting {
    ticket: u64,
    answer: oneshot::Sender<Result<Response, RequestError>>,
    supply: Option<Supply>,
}

pub(crate) struct Management {
    engine: engine::Server,
    events: broadcast::Sender<ServerEvent>,
    log: broadcast::Sender<Arc<LogEntry>>,
    waiting: HashMap<RequestId, Waiting>,
    tickets: HashMap<u64, RequestId>,
    hosting: Hosting,
    /// The time of the last call that told it.
    now: Now,
    /// A block that was read.
    block: Vec<u8>,
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The task of the management server, and how to speak with it.
pub(crate) fn start(
    sockets: Sockets,
    mut config: ServerConfig,
    bootstrap: Option<BootstrapHandle>,
    hosting: Hosting,
) -> io::Result<(Driver<Management>, Handle)> {
    config.hosts = true;
    let (sender, commands) = mpsc::unbounded_channel();
    let events = broadcast::Sender::new(SUBSCRIPTION);
    let log = broadcast::Sender::new(SUBSCRIPTION);
    let presented = Presented::of(config.dtls.as_ref());
    let (told, logged) = (events.downgrade(), log.downgrade());
    let handle = Handle::new(sender, told, logged, sockets.addresses()?, presented, bootstrap, hosting.clone());
    let driver = Driver::new(sockets, commands, |now, seed| Management {
        engine: engine::Server::new(now, config, seed),
        events,
        log,
        waiting: HashMap::new(),
        tickets: HashMap::new(),
        hosting,
        now,
        block: Vec::new(),
    })?;
    Ok((driver, handle))
}

impl Management {
    pub(crate) fn set_security(&mut self, now: Now, endpoint: &str, info: SecurityInfo) -> Result<(), SecurityError> {
        self.engine.set_security(now, endpoint, Some(info)).map(|_| ())
    }

    /// A request has ended.
    fn answered(&mut self, id: RequestId, result: Result<Response, RequestError>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.tickets.remove(&waiting.ticket);
            // Who asked may have gone.
            let _ = waiting.answer.send(result);
        }
    }

    /// Gives the block of a push that is wanted. Reading it is a system call, as sending it is.
    fn supply(&mut self, id: RequestId, offset: u64, length: usize) {
        let Some(Supply { file, taken }) = self.waiting.get(&id).and_then(|waiting| waiting.supply.as_ref()) else {
            return;
        };
        taken.send_replace(offset);
        self.block.resize(length, 0);
        match file.read(offset, &mut self.block) {
            Ok(read) => self.engine.supply(self.now, id, offset, &self.block[..read]),
            Err(error) => {
                self.engine.cancel(self.now, id);
                self.answered(id, Err(RequestError::Failed(format!("the file cannot be read: {error}"))));
            }
        }
    }

    /// Answers who fetches a block of a hosted file.
    fn serve(&mut self, fetch: &Fetch) {
        let mut end = fetch.offset;
        let part = match self.hosting.open(fetch.path.iter().map(String::as_str)) {
            Ok((name, file)) => {
                self.block.resize(fetch.length, 0);
                file.read(fetch.offset, &mut self.block).map(|read| (name, file, read)).map_err(FileError::from)
            }
            Err(error) => Err(error),
        };
        let part = part.map(|(name, file, read)| {
            end += read as u64;
            let tag = hosting::tag(fetch.query.iter().map(String::as_str));
            self.hosting.transfers.served(tag, &name, fetch.offset, end);
            (file, read)
        });
        let answer = match &part {
            Ok((file, read)) => Ok(Part { etag: file.etag(), size: file.size(), bytes: &self.block[..*read] }),
            Err(FileError::NotFound) => Err(Code::NOT_FOUND),
            Err(error) => {
                tracing::warn!(%error, path = ?fetch.path, "a hosted file cannot be read");
                Err(Code::INTERNAL_SERVER_ERROR)
            }
        };
        self.engine.answer_fetch(self.now, fetch.id, answer);
    }
}

impl Engine for Management {
    type Command = Command;

    fn handle_datagram(&mut self, now: Now, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        self.now = now;
        self.engine.set_log_events(self.log.receiver_count() > 0);
        self.engine.handle_datagram(now, channel, from, datagram);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.engine.handle_timeout(now);
    }

    fn obey(&mut self, now: Now, command: Command) {
        self.now = now;
        self.engine.set_log_events(self.log.receiver_count() > 0);
        match command {
            Command::Request { ticket, registration, request, timeout, answer, supply } => {
                let id = self.engine.request(now, registration, request, timeout);
                self.waiting.insert(id, Waiting { ticket, answer, supply });
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
            ServerOutput::Answer(id, result) => self.answered(id, result),
            ServerOutput::Pull(id, offset, length) => self.supply(id, offset, length),
            ServerOutput::Fetch(fetch) => self.serve(&fetch),
            // Sending fails when nobody listens.
            ServerOutput::Event(ServerEvent::Exchanged(entry)) => drop(self.log.send(entry)),
            ServerOutput::Event(event) => drop(self.events.send(event)),
        }
        Next::Told
    }
}
