//! The task that owns the sockets and the engine.

use std::{collections::HashMap, fmt, future::poll_fn, io, sync::Arc, time::Duration};

use lapwing::driver::{BootClock, Clock};
use lapwing_lwm2m::server::{
    self as engine, Channel, LogEntry, RequestError, RequestId, Response, SecurityError, SecurityInfo, ServerConfig,
    ServerEvent, ServerOutput,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{Handle, Presented, handle::Command, sockets::Sockets};

/// The largest UDP payload. A smaller buffer would cut longer datagrams short without a word.
const DATAGRAM: usize = 65_535;
/// How many datagrams or commands are taken before others on this thread get their turn.
const BATCH: usize = 64;
/// How many items a slow subscriber may lag behind.
const SUBSCRIPTION: usize = 1_024;

struct Waiting {
    ticket: u64,
    answer: oneshot::Sender<Result<Response, RequestError>>,
}

pub(crate) struct Driver {
    sockets: Sockets,
    engine: engine::Server,
    clock: BootClock,
    /// What the clock is set to.
    alarm: Option<Duration>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: broadcast::Sender<ServerEvent>,
    log: broadcast::Sender<Arc<LogEntry>>,
    waiting: HashMap<RequestId, Waiting>,
    tickets: HashMap<u64, RequestId>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("sockets", &self.sockets).field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Driver {
    pub(crate) fn new(sockets: Sockets, config: ServerConfig) -> io::Result<(Driver, Handle)> {
        let mut seed = [0; 32];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
        let (sender, commands) = mpsc::unbounded_channel();
        let events = broadcast::Sender::new(SUBSCRIPTION);
        let log = broadcast::Sender::new(SUBSCRIPTION);
        let handle = Handle::new(
            sender,
            events.downgrade(),
            log.downgrade(),
            sockets.addresses()?,
            Presented::of(config.dtls.as_ref()),
        );
        let clock = BootClock::new()?;
        let engine = engine::Server::new(clock.now(), config, seed);
        let driver = Driver {
            sockets,
            engine,
            clock,
            alarm: None,
            commands,
            events,
            log,
            waiting: HashMap::new(),
            tickets: HashMap::new(),
        };
        Ok((driver, handle))
    }

    pub(crate) fn set_security(&mut self, endpoint: &str, info: SecurityInfo) -> Result<(), SecurityError> {
        self.engine.set_security(self.clock.now(), endpoint, Some(info)).map(|_| ())
    }

    /// Runs until a socket fails.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let mut datagram = vec![0; DATAGRAM];
        let mut outgoing = Vec::new();
        loop {
            let deadline = self.flush(&mut outgoing).await?;
            self.set_alarm(deadline);
            let Driver { sockets, commands, clock, alarm, .. } = &mut self;
            tokio::select! {
                ready = sockets.readable() => {
                    let channel = ready?;
                    self.receive(channel, &mut datagram, &mut outgoing).await?;
                }
                Some(command) = commands.recv() => self.obey_all(command),
                () = poll_fn(|cx| clock.poll_until(cx, *alarm)) => {
                    self.alarm = None;
                    self.engine.handle_timeout(self.clock.now());
                }
            }
        }
    }

    /// An alarm that is early does no harm, and most deadlines are put off again before they come: setting the clock each
    /// time would cost a system call a message.
    fn set_alarm(&mut self, deadline: Option<Duration>) {
        let early = self.alarm.is_some_and(|alarm| deadline.is_none_or(|deadline| alarm <= deadline));
        if !early {
            self.alarm = deadline;
        }
    }

    /// Takes what has arrived, and answers each datagram before the next one is looked at.
    async fn receive(&mut self, channel: Channel, datagram: &mut [u8], outgoing: &mut Vec<u8>) -> io::Result<()> {
        self.engine.set_log_events(self.log.receiver_count() > 0);
        for _ in 0..BATCH {
            let Some((length, from)) = self.sockets.try_receive(channel, datagram)? else { return Ok(()) };
            self.engine.handle_datagram(self.clock.now(), channel, from, &datagram[..length]);
            self.flush(outgoing).await?;
        }
        // There may be more, but it is the turn of the others on this thread.
        tokio::task::yield_now().await;
        Ok(())
    }

    fn obey_all(&mut self, first: Command) {
        self.engine.set_log_events(self.log.receiver_count() > 0);
        self.obey(first);
        for _ in 1..BATCH {
            let Ok(command) = self.commands.try_recv() else { return };
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.now();
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

    /// Does all that the engine wants, and gives the time of its next timer.
    async fn flush(&mut self, outgoing: &mut Vec<u8>) -> io::Result<Option<Duration>> {
        loop {
            match self.engine.poll_output(outgoing) {
                ServerOutput::Transmit(channel, to, datagram) => self.sockets.transmit(channel, to, datagram).await?,
                ServerOutput::Answer(id, result) => {
                    let Some(waiting) = self.waiting.remove(&id) else { continue };
                    self.tickets.remove(&waiting.ticket);
                    // Who asked may have gone.
                    let _ = waiting.answer.send(result);
                }
                // Sending fails when nobody listens.
                ServerOutput::Event(ServerEvent::Exchanged(entry)) => drop(self.log.send(entry)),
                ServerOutput::Event(event) => drop(self.events.send(event)),
                ServerOutput::Wait(deadline, _) => return Ok(deadline),
            }
        }
    }
}
