use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use lapwing_lwm2m::account::ServerUri;
use lapwing_lwm2m::client::{FlowError, FlowEvent, FlowId, Target};

use super::net::{Net, Previous, Socket};

/// The sockets to the servers, and those that are being opened.
pub(super) struct Flows<N: Net> {
    net: N,
    flows: Vec<Flow<N>>,
    /// What each server's last flow used, to choose between the addresses of a name.
    history: Vec<(ServerUri, Previous)>,
}

struct Flow<N: Net> {
    id: FlowId,
    target: Target,
    way: Way<N>,
    /// An event that came of sending.
    event: Option<FlowEvent>,
}

enum Way<N: Net> {
    Opening(Pin<Box<dyn Future<Output = io::Result<N::Socket>> + Send>>),
    Open { socket: N::Socket, answered: bool },
    Gone,
}

/// What came in.
pub(super) enum Arrival {
    /// A datagram of this length is in the buffer.
    Datagram(usize),
    Event(FlowEvent),
}

impl<N: Net> Flows<N> {
    pub(super) fn new(net: N) -> Self {
        Self { net, flows: Vec::new(), history: Vec::new() }
    }

    pub(super) fn open(&mut self, id: FlowId, target: Target) {
        let previous = self.history.iter().find(|(uri, _)| *uri == target.uri).map(|(_, previous)| *previous);
        tracing::debug!(server = %target.server, host = target.host(), port = target.port(), "connecting");
        let opening = Box::pin(self.net.connect(target.host(), target.port(), previous, target.local_port));
        self.flows.push(Flow { id, target, way: Way::Opening(opening), event: None });
    }

    pub(super) fn close(&mut self, id: FlowId) {
        let Some(index) = self.flows.iter().position(|flow| flow.id == id) else { return };
        let flow = self.flows.swap_remove(index);
        if let Way::Open { socket, answered } = flow.way {
            self.history.retain(|(uri, _)| *uri != flow.target.uri);
            self.history.push((flow.target.uri, Previous { address: socket.peer(), answered }));
        }
    }

    pub(super) fn send(&mut self, id: FlowId, datagram: &[u8]) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.id == id) else { return };
        let Way::Open { socket, .. } = &flow.way else { return };
        let mut sent = socket.send(datagram);
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            // That was said of an earlier datagram; this one has not been sent yet.
            flow.event = Some(FlowEvent::Failed(FlowError::Refused));
            sent = socket.send(datagram);
        }
        match sent {
            Ok(()) => tracing::trace!(length = datagram.len(), "sent"),
            Err(error) => {
                tracing::debug!(server = %flow.target.server, %error, "not sent");
                // The address that it was sent from may be gone.
                flow.reconnect(&self.net);
            }
        }
    }

    /// The machine's addresses or routes may be others now: sockets that would start from another address are replaced.
    pub(super) fn network_changed(&mut self) {
        for flow in &mut self.flows {
            flow.reconnect(&self.net);
        }
    }

    /// What comes in next; a datagram is put at the beginning of `buffer`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<(FlowId, Arrival)> {
        for flow in &mut self.flows {
            if let Some(event) = flow.event.take() {
                return Poll::Ready((flow.id, Arrival::Event(event)));
            }
            if let Poll::Ready(arrival) = flow.poll(cx, buffer) {
                return Poll::Ready((flow.id, arrival));
            }
        }
        Poll::Pending
    }
}

impl<N: Net> Flow<N> {
    fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrival> {
        match &mut self.way {
            Way::Gone => Poll::Pending,
            Way::Open { socket, answered } => loop {
                return match socket.poll_receive(cx, buffer) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(length)) => {
                        *answered = true;
                        Poll::Ready(Arrival::Datagram(length))
                    }
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        Poll::Ready(Arrival::Event(FlowEvent::Failed(FlowError::Refused)))
                    }
                    // Said of a datagram on its way, such as "no route to host": it counts as lost.
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(server = %self.target.server, %error, "not delivered");
                        continue;
                    }
                };
            },
            Way::Opening(opening) => opening.as_mut().poll(cx).map(|opened| {
                let (way, event) = match opened {
                    Ok(socket) => {
                        tracing::debug!(server = %self.target.server, local = %socket.local(), peer = %socket.peer(), "connected");
                        self.event = Some(FlowEvent::Opened);
                        let port = socket.local().port();
                        (Way::Open { socket, answered: false }, FlowEvent::Bound(port))
                    }
                    Err(error) => {
                        let (server, host) = (self.target.server, self.target.host());
                        tracing::debug!(%server, host, %error, "not connected");
                        (Way::Gone, FlowEvent::Failed(blame(&error)))
                    }
                };
                self.way = way;
                Arrival::Event(event)
            }),
        }
    }

    fn reconnect(&mut self, net: &N) {
        let (socket, answered) = match std::mem::replace(&mut self.way, Way::Gone) {
            Way::Open { socket, answered } => (socket, answered),
            other => {
                self.way = other;
                return;
            }
        };
        let before = socket.local();
        match net.reconnect(socket) {
            Ok(socket) => {
                if socket.local() != before {
                    tracing::info!(server = %self.target.server, from = %before, to = %socket.local(), "address changed");
                    self.event = Some(FlowEvent::Moved);
                }
                self.way = Way::Open { socket, answered };
            }
            Err(error) => {
                tracing::debug!(server = %self.target.server, %error, "the socket has gone");
                self.event = Some(FlowEvent::Closed);
            }
        }
    }
}

/// Whether it was the name or the way that failed.
fn blame(error: &io::Error) -> FlowError {
    use io::ErrorKind::{
        AddrInUse, AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, PermissionDenied,
    };
    match error.kind() {
        AddrInUse | AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable | PermissionDenied => {
            FlowError::Unreachable
        }
        _ => FlowError::Unresolved,
    }
}
