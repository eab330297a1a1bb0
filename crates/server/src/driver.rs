//! The task that owns the socket and the engine.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use lapwing_lwm2m::server::{
    self as engine, LogEntry, RequestError, RequestId, Response, ServerConfig, ServerEvent, ServerOutput,
};
use tokio::{
    net::UdpSocket,
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, Sleep},
};

use crate::{Handle, clock::Clock, handle::Command};

/// The largest UDP payload. A smaller buffer would cut longer datagrams short without a word.
const DATAGRAM: usize = 65_535;
/// How many datagrams or commands are taken before others on this thread get their turn.
const BATCH: usize = 64;
const SUBSCRIPTION: usize = 1_024;

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    answer: oneshot::Sender<Result<Response, RequestError>>,
}

#[derive(Debug)]
pub(crate) struct Driver {
    socket: UdpSocket,
    engine: engine::Server,
    clock: Clock,
    commands: mpsc::UnboundedReceiver<Command>,
    events: broadcast::Sender<ServerEvent>,
    log: broadcast::Sender<Arc<LogEntry>>,
    waiting: HashMap<RequestId, Waiting>,
    tickets: HashMap<u64, RequestId>,
    outgoing: Vec<u8>,
}

impl Driver {
    pub(crate) fn new(socket: UdpSocket, address: SocketAddr, config: ServerConfig) -> (Driver, Handle) {
        todo!("{socket:?} {address} {config:?}")
    }

    pub(crate) async fn run(self) -> io::Result<()> {
        todo!()
    }
}
