//! A network of any number of hosts, with the test at the other end of each way.

use std::io;
use std::sync::{Arc, Mutex};

use lapwing::driver::{Net, Previous};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::{LineSocket, Server};

/// The client's side: every connection is a line of its own.
pub(crate) struct Network {
    opened: UnboundedSender<(String, Server)>,
}

/// The test's side: the hosts that the client has connected to, in their order.
pub(crate) struct Hosts(UnboundedReceiver<(String, Server)>);

pub(crate) fn network() -> (Network, Hosts) {
    let (opened, hosts) = unbounded_channel();
    (Network { opened }, Hosts(hosts))
}

impl Hosts {
    /// The next host that the client connects to.
    pub(crate) async fn next(&mut self) -> (String, Server) {
        self.0.recv().await.expect("the client runs")
    }
}

impl Net for Network {
    type Socket = LineSocket;

    fn connect(
        &self,
        host: &str,
        _: u16,
        _: Option<Previous>,
        _: Option<u16>,
    ) -> impl Future<Output = io::Result<LineSocket>> + Send + 'static {
        let (to_server, from_client) = unbounded_channel();
        let (to_client, from_server) = unbounded_channel();
        let server = Server { to_client, from_client, next_id: 1, began: Instant::now() };
        // The test may have ended.
        let _ = self.opened.send((host.to_owned(), server));
        let home = Arc::new(Mutex::new(None));
        let local = ([192, 0, 2, 1], 40_000).into();
        async move { Ok(LineSocket { to_server, from_server: Some(from_server), home, local }) }
    }

    fn reconnect(&self, socket: LineSocket) -> io::Result<LineSocket> {
        Ok(socket)
    }
}
