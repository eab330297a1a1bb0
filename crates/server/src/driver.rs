//! The task that owns the sockets of an engine, and lets it act.

use std::{fmt, future::poll_fn, io, net::SocketAddr, time::Duration};

use lapwing::driver::{BootClock, Clock};
use lapwing_lwm2m::{Now, server::Channel};
use tokio::sync::mpsc;

use crate::sockets::Sockets;

/// The largest UDP payload. A smaller buffer would cut longer datagrams short without a word.
const DATAGRAM: usize = 65_535;
/// How many datagrams or commands are taken before others on this thread get their turn.
const BATCH: usize = 64;
/// How many items a slow subscriber may lag behind.
pub(crate) const SUBSCRIPTION: usize = 1_024;

/// A server engine, with whom it tells what.
pub(crate) trait Engine {
    /// What others ask of it.
    type Command;

    fn handle_datagram(&mut self, now: Now, channel: Channel, from: SocketAddr, datagram: &[u8]);
    fn handle_timeout(&mut self, now: Now);
    fn obey(&mut self, now: Now, command: Self::Command);
    /// The next thing to do. `buffer` is scratch space.
    fn poll<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Next<'a>;
}

/// What an engine wants next.
pub(crate) enum Next<'a> {
    /// Send this datagram there.
    Transmit(Channel, SocketAddr, &'a [u8]),
    /// Something was told to those who listen; there may be more.
    Told,
    /// Nothing until then.
    Wait(Option<Duration>),
}

pub(crate) struct Driver<E: Engine> {
    sockets: Sockets,
    pub(crate) engine: E,
    clock: BootClock,
    /// What the clock is set to.
    alarm: Option<Duration>,
    commands: mpsc::UnboundedReceiver<E::Command>,
}

impl<E: Engine + fmt::Debug> fmt::Debug for Driver<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("sockets", &self.sockets).field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl<E: Engine> Driver<E> {
    /// `engine` gets the time and a seed that cannot be foreseen.
    pub(crate) fn new(
        sockets: Sockets,
        commands: mpsc::UnboundedReceiver<E::Command>,
        engine: impl FnOnce(Now, [u8; 32]) -> E,
    ) -> io::Result<Driver<E>> {
        let mut seed = [0; 32];
        rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
        let clock = BootClock::new()?;
        Ok(Driver { sockets, engine: engine(clock.now(), seed), clock, alarm: None, commands })
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
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
        for _ in 0..BATCH {
            let Some((length, from)) = self.sockets.try_receive(channel, datagram)? else { return Ok(()) };
            self.engine.handle_datagram(self.clock.now(), channel, from, &datagram[..length]);
            self.flush(outgoing).await?;
        }
        // There may be more, but it is the turn of the others on this thread.
        tokio::task::yield_now().await;
        Ok(())
    }

    fn obey_all(&mut self, first: E::Command) {
        let now = self.clock.now();
        self.engine.obey(now, first);
        for _ in 1..BATCH {
            let Ok(command) = self.commands.try_recv() else { return };
            self.engine.obey(now, command);
        }
    }

    /// Does all that the engine wants, and gives the time of its next timer.
    async fn flush(&mut self, outgoing: &mut Vec<u8>) -> io::Result<Option<Duration>> {
        loop {
            match self.engine.poll(outgoing) {
                Next::Transmit(channel, to, datagram) => self.sockets.transmit(channel, to, datagram).await?,
                Next::Told => {}
                Next::Wait(deadline) => return Ok(deadline),
            }
        }
    }
}
