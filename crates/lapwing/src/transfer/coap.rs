//! Pulls over CoAP, plain and over DTLS.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use lapwing_coap::fetch::{self, Event, Failure, Fetch, MessageIds, Resource, Resume};
use lapwing_coap::{Code, Message, MessageType, Writer};

use super::pull::{Part, Restart, Step};
use super::secure::{Heard, Secure};
use super::{Cause, Head, PullConfig, Scheme, Uri};
use crate::driver::{BootClock, Clock, Socket, UdpPeer};

/// Longer datagrams do not come.
const MAX_DATAGRAM: usize = 2048;
/// So much is handed on at once, if it comes fast enough.
const CHUNK: usize = 1 << 16;
/// For so long bytes are gathered.
const GATHER: Duration = Duration::from_millis(100);
/// A window's worth of answers may come at once.
const RECEIVE_BUFFER: usize = 1 << 20;
/// After so many messages from one port, silence may be due to message IDs that came again.
const MANY: u64 = 60_000;
/// So many datagrams are taken in before others get their turn.
const TURN: usize = 256;

/// One connection to a CoAP server.
pub(super) struct Coap {
    request: Request,
    socket: UdpPeer,
    secure: Option<Box<Secure>>,
    /// None before the handshake is complete.
    fetch: Option<Fetch>,
    ids: MessageIds,
    clock: BootClock,
    incoming: Box<[u8]>,
    decrypted: Vec<u8>,
    outgoing: Vec<u8>,
    /// What has come and was not handed on, and since when.
    gathered: Vec<u8>,
    since: Duration,
    restart: Option<Restart>,
    /// It is over, once what was gathered is handed on.
    end: Option<Step>,
}

/// What is asked for, and what of it is there.
struct Request {
    host: Option<String>,
    path: Vec<String>,
    query: Vec<String>,
    part: Part,
    max_rate: Option<u64>,
    q_block2: bool,
}

impl Request {
    fn new(config: &PullConfig, uri: &Uri, part: &Part) -> Result<Self, Cause> {
        let host = uri.server().host();
        let address = host.split('%').next().unwrap_or_default().parse::<IpAddr>();
        Ok(Self {
            host: address.is_err().then(|| host.to_ascii_lowercase()),
            path: uri.segments()?,
            query: uri.arguments()?,
            part: part.clone(),
            max_rate: config.max_rate,
            q_block2: config.q_block2,
        })
    }

    fn begin(&self, now: Duration, seed: [u8; 32]) -> Fetch {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        let resource = Resource { host: self.host.as_deref(), path: &path, query: &query, ..Resource::default() };
        let etag = self.part.etag.as_deref();
        let resume = etag.map(|etag| Resume { offset: self.part.offset, etag });
        let mut config = fetch::Config::default();
        (config.max_rate, config.q_block2) = (self.max_rate, self.q_block2);
        Fetch::new(now, config, &resource, resume, seed)
    }
}

impl Coap {
    /// Looks the name up and opens a socket. A handshake follows by polling. Of several addresses, that of the number of this `attempt`
    /// is tried first.
    pub(super) async fn open(config: &PullConfig, uri: &Uri, part: &Part, attempt: usize) -> Result<Self, Cause> {
        let request = Request::new(config, uri, part)?;
        let server = uri.server();
        let mut secure = match uri.scheme() {
            Scheme::Coaps => Some(Box::new(Secure::new(config, uri)?)),
            _ => None,
        };
        let addresses = tokio::net::lookup_host((server.host(), server.port())).await;
        let mut addresses: Vec<_> = addresses.map_err(|error| Cause::resolving(&error))?.collect();
        let first = attempt % addresses.len().max(1);
        addresses.rotate_left(first);
        let socket = connect(&addresses, part.local_port)?;
        let clock = BootClock::new().map_err(lost)?;
        let now = clock.now();
        let fetch = match &mut secure {
            Some(secure) => {
                secure.connect(now);
                None
            }
            None => Some(request.begin(now.elapsed, seed()?)),
        };
        let [low, high, ..] = seed()?;
        Ok(Self {
            request,
            socket,
            secure,
            fetch,
            ids: MessageIds::new(u16::from_le_bytes([low, high])),
            clock,
            incoming: vec![0; MAX_DATAGRAM].into(),
            decrypted: Vec::new(),
            outgoing: Vec::new(),
            gathered: Vec::new(),
            since: Duration::ZERO,
            restart: None,
            end: None,
        })
    }

    pub(super) async fn next(&mut self) -> Step {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The datagrams go another way from now on. None when no way is left.
    pub(super) fn network_changed(&mut self) -> Result<(), Cause> {
        let other = connect(&[self.socket.peer()], None)?;
        if other.local().ip() != self.socket.local().ip() {
            self.socket = other;
        }
        let now = self.clock.now();
        if let Some(secure) = &mut self.secure {
            secure.moved(now);
        }
        if let Some(fetch) = &mut self.fetch {
            fetch.path_changed(now.elapsed);
        }
        Ok(())
    }

    /// The local port that the next connection should have.
    pub(super) fn port_to_keep(&self) -> Option<u16> {
        let many = self.fetch.as_ref().is_some_and(|fetch| fetch.counters().messages > MANY);
        (!many).then(|| self.socket.local().port())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        for _ in 0..TURN {
            let now = self.clock.now().elapsed;
            if let Some(step) = self.take(now) {
                return Poll::Ready(step);
            }
            if let Err(error) = self.transmit(now) {
                self.end.get_or_insert(Step::Failed(lost(error)));
                continue;
            }
            match self.socket.poll_receive(cx, &mut self.incoming) {
                Poll::Ready(Ok(length)) => self.receive(length),
                Poll::Ready(Err(error)) => {
                    self.end.get_or_insert(Step::Failed(lost(error)));
                }
                Poll::Pending => {
                    let gathered = (!self.gathered.is_empty()).then(|| self.since + GATHER);
                    let fetch = self.fetch.as_ref().and_then(|fetch| Some(fetch.poll_timeout()?.0));
                    let secure = self.secure.as_ref().and_then(|secure| secure.timeout());
                    let due = [gathered, fetch, secure].into_iter().flatten().min();
                    if self.clock.poll_until(cx, due).is_pending() {
                        return Poll::Pending;
                    }
                    self.expire();
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What is to be told now.
    fn take(&mut self, now: Duration) -> Option<Step> {
        while self.end.is_none() && self.gathered.len() < CHUNK {
            let Some(event) = self.fetch.as_mut().and_then(Fetch::poll_event) else { break };
            match event {
                Event::Data { bytes, .. } => {
                    if self.gathered.is_empty() {
                        self.since = now;
                    }
                    self.gathered.extend_from_slice(bytes);
                    let length = bytes.len();
                    if let Some(fetch) = &mut self.fetch {
                        fetch.consumed(now, length);
                    }
                }
                Event::Head(head) => return Some(self.head(head)),
                Event::Restarted(why) => {
                    self.gathered.clear();
                    self.request.part = Part::default();
                    self.restart = Some(why.into());
                }
                Event::Finished => self.end = Some(Step::Finished),
                Event::Failed(failure) => self.end = Some(Step::Failed(failure.into())),
                _ => {}
            }
        }
        let ready = self.end.is_some() || self.gathered.len() >= CHUNK || now >= self.since + GATHER;
        if ready && !self.gathered.is_empty() {
            return Some(Step::Data(std::mem::take(&mut self.gathered)));
        }
        self.end.take()
    }

    fn head(&mut self, head: fetch::Head) -> Step {
        let head = Head {
            offset: self.request.part.etag.as_ref().map_or(0, |_| self.request.part.offset),
            size: head.size,
            etag: head.etag().map(<[u8]>::to_vec),
            local_port: Some(self.socket.local().port()),
        };
        Step::Head(head, self.restart.take())
    }

    fn transmit(&mut self, now: Duration) -> io::Result<()> {
        if let Some(fetch) = &mut self.fetch {
            while let Some(range) = fetch.poll_transmit(now, || self.ids.next(|_| false), &mut self.outgoing) {
                match &mut self.secure {
                    Some(secure) => secure.send(&self.outgoing[range]),
                    None => self.socket.send(&self.outgoing[range])?,
                }
                self.outgoing.clear();
            }
        }
        if let Some(secure) = &mut self.secure {
            while let Some(range) = secure.poll_transmit(&mut self.outgoing) {
                self.socket.send(&self.outgoing[range])?;
                self.outgoing.clear();
            }
        }
        Ok(())
    }

    fn receive(&mut self, length: usize) {
        let now = self.clock.now();
        match (&mut self.secure, &mut self.fetch) {
            (None, Some(fetch)) => {
                if !fetch.handle_datagram(now.elapsed, &self.incoming[..length])
                    && let Some(reset) = reset_of(&self.incoming[..length])
                {
                    // What cannot be sent is as lost as what the network loses.
                    let _ = self.socket.send(&reset);
                }
            }
            (Some(secure), _) => {
                secure.handle_datagram(now, &self.incoming[..length]);
                self.hear();
            }
            (None, None) => {}
        }
    }

    /// What DTLS has to tell.
    fn hear(&mut self) {
        let now = self.clock.now();
        let Some(secure) = &mut self.secure else { return };
        while let Some(heard) = secure.poll(now, &mut self.decrypted) {
            match (heard, &mut self.fetch) {
                (Heard::Data, Some(fetch)) => {
                    if !fetch.handle_datagram(now.elapsed, &self.decrypted)
                        && let Some(reset) = reset_of(&self.decrypted)
                    {
                        secure.send(&reset);
                    }
                }
                (Heard::Data, None) => {}
                (Heard::Established, Some(fetch)) => fetch.path_changed(now.elapsed),
                (Heard::Established, fetch) => match seed() {
                    Ok(seed) => *fetch = Some(self.request.begin(now.elapsed, seed)),
                    Err(cause) => self.end = Some(Step::Failed(cause)),
                },
                (Heard::Failed(cause), _) => self.end = Some(Step::Failed(cause)),
            }
        }
    }

    fn expire(&mut self) {
        let now = self.clock.now();
        if let Some(fetch) = &mut self.fetch {
            fetch.handle_timeout(now.elapsed);
        }
        if let Some(secure) = &mut self.secure {
            secure.handle_timeout(now);
            self.hear();
        }
    }
}

/// What a confirmable message is answered that means nothing here, such as the ping of a server that wants to know whether the client is
/// where it has moved to (RFC 7252 sections 4.2 and 4.3).
fn reset_of(datagram: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(datagram).ok().filter(|message| message.kind == MessageType::Con)?;
    let mut reset = Vec::new();
    Writer::empty(&mut reset, MessageType::Rst, message.id);
    Some(reset)
}

/// A socket to the first address to which there is a way, from `port` if that is free.
fn connect(addresses: &[SocketAddr], port: Option<u16>) -> Result<UdpPeer, Cause> {
    let mut failed = None;
    for address in addresses {
        let ports = port.into_iter().chain([0]);
        for port in ports {
            match UdpPeer::connect(port, *address) {
                Ok(socket) => {
                    if let Err(error) = socket.set_receive_buffer(RECEIVE_BUFFER) {
                        tracing::debug!(%error, "the receive buffer stays small");
                    }
                    return Ok(socket);
                }
                Err(error) => failed = Some(error),
            }
        }
    }
    Err(failed.map_or_else(|| Cause::Unresolvable("it has no address".into()), lost))
}

impl Drop for Coap {
    fn drop(&mut self) {
        let Some(secure) = &mut self.secure else { return };
        secure.close();
        while let Some(range) = secure.poll_transmit(&mut self.outgoing) {
            // Who does not hear it forgets the association later.
            let _ = self.socket.send(&self.outgoing[range]);
            self.outgoing.clear();
        }
    }
}

/// What random numbers are drawn from.
pub(super) fn seed() -> Result<[u8; 32], Cause> {
    let mut seed = [0; 32];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()).map_err(|error| lost(error.into()))?;
    Ok(seed)
}

fn lost(error: io::Error) -> Cause {
    Cause::Lost(error.to_string())
}

impl From<fetch::Restart> for Restart {
    fn from(why: fetch::Restart) -> Self {
        match why {
            fetch::Restart::Changed => Self::Changed,
            fetch::Restart::NoEtag => Self::NoEtag,
            _ => Self::NotResumable,
        }
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            Failure::TimedOut | Failure::Reset => Self::Lost(text),
            Failure::Refused(Code::NOT_FOUND) => Self::NotFound(text),
            Failure::Refused(Code::BAD_GATEWAY | Code::GATEWAY_TIMEOUT) => Self::Lost(text),
            Failure::Refused(_) => Self::Refused(text),
            Failure::Busy(pause) => Self::Busy(text, pause),
            Failure::Unstable => Self::Unstable,
            _ => Self::Protocol(text),
        }
    }
}
