//! The server: all clients of one socket.

mod client_flight;
mod cookie;
mod handshake;
mod negotiation;
mod peers;
mod sessions;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    ops::Range,
    sync::Arc,
    time::Duration,
};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use zeroize::Zeroizing;

use crate::{
    agreed::Finished,
    alert::{Alert, AlertDescription},
    association::{Association, Heard, Role},
    client::Timer,
    config::ServerConfig,
    credentials::{CertificateType, PeerIdentity, Psk},
    event::{Closed, Counters, Established, Failure, INBOX_LIMIT, SendError},
    export::Export,
    flight::put_alert,
    handshake::{ClientHello, Complete, Fragment, Fragments, HandshakeType, HelloVerifyRequest},
    outbox::Outbox,
    protection::{EPOCH, Standing},
    record::{self, ConnectionId, ContentType, Record, Records, VERSION_1_0},
};
use cookie::Cookies;
use handshake::{Arrival, Context, Handshake};
pub use peers::AssociationId;
use peers::Peers;
use sessions::Sessions;

/// What a [`Server`] tells.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A client has completed its handshake.
    Established {
        /// Names the association from now on.
        association: AssociationId,
        /// Where the client is.
        address: SocketAddr,
        /// What was agreed on.
        established: Established,
    },
    /// A handshake ended without an association. Only those are told that ended by an alert, ours or the client's.
    Failed {
        /// Where the client is, or says it is.
        address: SocketAddr,
        /// Why.
        failure: Failure,
    },
    /// A client has sent this.
    Data {
        /// Which one.
        association: AssociationId,
        /// What.
        data: &'a [u8],
    },
    /// After an import: authentic, but it may have come before. See [`Server::confirm`].
    Unconfirmed {
        /// Which client.
        association: AssociationId,
        /// The number of its record.
        record: u64,
        /// What it has sent, now or long ago.
        data: &'a [u8],
    },
    /// The newest record of a client came from another address. What is sent goes there from now on, at most three times as much
    /// as came from there until [`Server::prove_address`] (RFC 9146 section 6).
    Moved {
        /// Which client.
        association: AssociationId,
        /// Where it is now.
        address: SocketAddr,
    },
    /// An association ended.
    Closed {
        /// Which one.
        association: AssociationId,
        /// Why.
        why: Closed,
    },
}

enum Queued {
    Established(AssociationId, SocketAddr, Established),
    Failed(SocketAddr, Failure),
    Data(AssociationId, Range<usize>),
    Unconfirmed(AssociationId, u64, Range<usize>),
    Moved(AssociationId, SocketAddr),
    Closed(AssociationId, Closed),
}

/// The DTLS server of one socket (RFC 6347).
///
/// `now` and the order of polling are as with [`Client`](crate::Client). Until a client has sent back its cookie, nothing is kept of
/// it and no answer is larger than what came. What is not authentic ends no association: a new handshake from the
/// address of a live one disturbs it only when it is complete (RFC 6347 section 4.2.8).
///
/// A client is found by its Connection ID, then by its address.
///
/// A ClientHello has to come in one fragment: to put fragments together they would have to be kept, of anyone, before the cookie
/// has come back. Those of this profile have 100 to 300 bytes, and a ticket.
pub struct Server {
    config: Arc<ServerConfig>,
    rng: ChaCha20Rng,
    /// The time since 1970, where it is known.
    unix: Option<Duration>,
    cookies: Cookies,
    sessions: Sessions,
    psks: BTreeMap<Vec<u8>, Psk>,
    handshakes: BTreeMap<SocketAddr, Box<Handshake>>,
    peers: Peers,
    outbox: Outbox<SocketAddr>,
    /// What events lend.
    inbox: Vec<u8>,
    events: VecDeque<Queued>,
    counters: Counters,
}

/// A client says its hello twice, and again where cookies change. Our messages are numbered on from there, so that one which begins
/// at the end of the numbers is refused.
const MOST_HELLOS: u16 = 255;
/// The same for records in the clear.
const MOST_NUMBER: u64 = record::MAX_SEQUENCE / 2;

/// What a handshake's step needs of the server. A macro, since the parts must stay borrowed apart.
macro_rules! context {
    ($server:ident, $now:expr, $from:expr) => {
        &mut Context {
            now: $now,
            unix: $server.unix,
            from: $from,
            outbox: &mut $server.outbox,
            rng: &mut $server.rng,
            psks: &$server.psks,
            sessions: &mut $server.sessions,
        }
    };
}

impl Server {
    /// A server without clients. `seed` must be secret, unpredictable and never used twice: cookies, tickets, randoms, Connection IDs
    /// and the keys of key exchanges are drawn from it.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut cookie_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *cookie_key);
        let mut ticket_key = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *ticket_key);
        let ticket_key = config.ticket_key.as_ref().unwrap_or(&ticket_key);
        Self {
            sessions: Sessions::new(ticket_key, config.session_lifetime, config.max_sessions),
            cookies: Cookies::new(cookie_key),
            psks: BTreeMap::new(),
            handshakes: BTreeMap::new(),
            peers: Peers::new(),
            outbox: Outbox::new(),
            inbox: Vec::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            rng,
            unix: None,
            config,
        }
    }

    /// Lets clients with this key in. One with the same identity gives way; sessions that were made with another key cannot be resumed.
    pub fn add_psk(&mut self, psk: Psk) {
        self.sessions.forget(&PeerIdentity::Psk(psk.identity().to_vec()));
        self.psks.insert(psk.identity().to_vec(), psk);
    }

    /// No new handshake with this identity, and no resumption. Associations that are there stay: [`Server::close`] ends them.
    pub fn remove_psk(&mut self, identity: &[u8]) {
        self.sessions.forget(&PeerIdentity::Psk(identity.to_vec()));
        self.psks.remove(identity);
    }

    /// Tells the time since 1970, which clients' certificates are checked against; as [`Client::set_time`](crate::Client::set_time).
    pub fn set_time(&mut self, unix: Option<Duration>) {
        let became_known = self.unix.is_none() && unix.is_some();
        self.unix = unix;
        if became_known {
            self.peers.unchecked().into_iter().for_each(|id| self.verify_again(id));
        }
    }

    fn verify_again(&mut self, id: AssociationId) {
        let (Some(peer), Some(_)) = (self.peers.get_mut(id), self.unix) else { return };
        let trust = &self.config.client_trust;
        let verified = peer.association.verify_again(|sent| trust.verify(CertificateType::X509, sent, self.unix));
        if let Err(error) = verified {
            peer.association.alert(Alert::fatal(error.alert()), peer.address, &mut self.outbox);
            self.peers.remove(id);
            self.events.push_back(Queued::Closed(id, Closed::Certificate(error)));
        }
    }

    /// Takes a datagram.
    pub fn handle_datagram(&mut self, now: Duration, from: SocketAddr, datagram: &[u8]) {
        let mut records = Records::new(datagram, self.config.connection_id.unwrap_or(0));
        for record in records.by_ref() {
            if record.epoch == 0 {
                self.handle_clear(now, from, &record);
            } else {
                self.handle_protected(now, from, &record, datagram.len());
            }
        }
        self.counters.malformed += u64::from(records.skipped());
    }

    fn handle_clear(&mut self, now: Duration, from: SocketAddr, record: &Record<'_>) {
        match record.content_type {
            ContentType::Handshake => {
                for fragment in Fragments::new(record.body) {
                    if fragment.kind == HandshakeType::ClientHello {
                        self.handle_hello(now, from, record.sequence, &fragment);
                    } else {
                        self.handle_fragment(now, from, 0, &fragment);
                    }
                }
            }
            ContentType::Alert => match (Alert::parse(record.body), self.handshakes.get_mut(&from)) {
                (Some(alert), Some(handshake)) => handshake.alert(alert),
                _ => self.counters.unexpected += 1,
            },
            ContentType::ChangeCipherSpec if self.handshakes.contains_key(&from) => {}
            _ => self.counters.unexpected += 1,
        }
    }

    fn handle_hello(&mut self, now: Duration, from: SocketAddr, number: u64, fragment: &Fragment<'_>) {
        // Before the cookie has come back, fragments could only be put together by keeping them.
        let plausible = fragment.is_whole() && fragment.sequence <= MOST_HELLOS && number <= MOST_NUMBER;
        let hello = Some(fragment).filter(|_| plausible);
        let Some(hello) = hello.and_then(|fragment| ClientHello::parse(fragment.body)) else {
            self.counters.malformed += 1;
            return;
        };
        if !self.cookies.verify(now, from, &hello) {
            self.counters.cookies += 1;
            return self.ask_for_cookie(now, from, number, fragment.sequence, &hello);
        }
        if let Some(handshake) = self.handshakes.get_mut(&from)
            && handshake.is_begun_by(&hello)
        {
            return handshake.repeat(context!(self, now, from));
        }
        let message = Complete::new(HandshakeType::ClientHello, fragment.sequence, fragment.body);
        let arrival = Arrival { record: number, sequence: fragment.sequence, message };
        let own_id = self.free_id();
        let config = self.config.clone();
        match Handshake::start(config, &hello, &arrival, own_id, context!(self, now, from)) {
            Ok(handshake) => {
                self.make_room();
                self.handshakes.insert(from, Box::new(handshake));
            }
            Err(refusal) => {
                self.outbox.write(from, |buffer| put_alert(buffer, Alert::fatal(refusal), number));
                self.events.push_back(Queued::Failed(from, Failure::Refused(refusal)));
            }
        }
    }

    fn ask_for_cookie(&mut self, now: Duration, from: SocketAddr, number: u64, sequence: u16, hello: &ClientHello<'_>) {
        if self.outbox.is_flooded() {
            return;
        }
        let mut body = Vec::new();
        HelloVerifyRequest { version: VERSION_1_0, cookie: &self.cookies.make(now, from, hello) }.put(&mut body);
        let message = Complete::new(HandshakeType::HelloVerifyRequest, sequence, &body);
        self.outbox.write(from, |buffer| {
            // Its number is that of the ClientHello, since we keep none (RFC 6347 section 4.2.1).
            record::put_header(buffer, ContentType::Handshake, 0, number, &[], message.as_bytes().len());
            buffer.extend_from_slice(message.as_bytes());
        });
    }

    /// A Connection ID that no association has.
    fn free_id(&mut self) -> ConnectionId {
        let mut bytes = [0; ConnectionId::MAX_LENGTH];
        let length = self.config.connection_id.unwrap_or(0).min(ConnectionId::MAX_LENGTH);
        // With ids so short that they run out, the handshake goes on, and its association will be found by its address.
        for _ in 0..16 {
            self.rng.fill_bytes(&mut bytes[..length]);
            let id = ConnectionId::new(&bytes[..length]).unwrap_or_default();
            let pending = self.handshakes.values().any(|handshake| handshake.own_id() == id);
            if length == 0 || !(pending || self.peers.has_connection_id(id)) {
                return id;
            }
        }
        ConnectionId::EMPTY
    }

    /// Ends the oldest handshake when there are too many.
    fn make_room(&mut self) {
        while self.handshakes.len() >= self.config.max_handshakes.max(1) {
            let oldest = self.handshakes.iter().min_by_key(|(_, handshake)| handshake.started);
            let Some(address) = oldest.map(|(address, _)| *address) else { return };
            self.handshakes.remove(&address);
        }
    }

    fn handle_fragment(&mut self, now: Duration, from: SocketAddr, epoch: u16, fragment: &Fragment<'_>) {
        let Some(handshake) = self.handshakes.get_mut(&from) else {
            self.counters.unexpected += 1;
            return;
        };
        if !handshake.fragment(epoch, fragment) {
            self.counters.unexpected += 1;
        }
        if let Some(finished) = handshake.advance(context!(self, now, from)) {
            self.complete(now, from, finished);
        }
    }

    fn complete(&mut self, now: Duration, from: SocketAddr, finished: Finished) {
        self.handshakes.remove(&from);
        while self.peers.len() >= self.config.max_associations.max(1) {
            let Some(evicted) = self.peers.evict() else { break };
            self.events.push_back(Queued::Closed(evicted, Closed::Evicted));
        }
        let resumed = finished.resumed;
        let association = Association::new(Role::Server, finished);
        let established = association.established(resumed);
        let (id, replaced) = self.peers.insert(now, from, association);
        if let Some(replaced) = replaced {
            self.events.push_back(Queued::Closed(replaced, Closed::Replaced));
        }
        self.events.push_back(Queued::Established(id, from, established));
        self.verify_again(id);
    }

    fn handle_protected(&mut self, now: Duration, from: SocketAddr, record: &Record<'_>, size: usize) {
        if self.inbox.len() > INBOX_LIMIT {
            return;
        }
        let mut content = Vec::new();
        let first = self.handshakes.get_mut(&from).and_then(|handshake| handshake.protection());
        if let Some(opened) = first.and_then(|protection| protection.open(record, &mut content)) {
            let content = content[opened.content].to_vec();
            return self.handle_first(now, from, opened.content_type, &content);
        }
        let Some(id) = self.peers.find(from, record.connection_id) else {
            return self.handle_unauthentic(now, from);
        };
        let heard = self.peers.get_mut(id).and_then(|peer| peer.association.handle(record, &mut self.inbox));
        let Some((heard, standing, sequence)) = heard else {
            return self.handle_unauthentic(now, from);
        };
        if self.peers.heard(id, now, from, size, standing == Standing::Newest) {
            self.events.push_back(Queued::Moved(id, from));
        }
        match heard {
            Heard::Data(range) if standing == Standing::Unconfirmed => {
                self.events.push_back(Queued::Unconfirmed(id, sequence, range));
            }
            Heard::Data(range) => self.events.push_back(Queued::Data(id, range)),
            Heard::Repeat => {
                let most = self.config.max_datagram;
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.association.repeat(now, most, peer.address, &mut self.outbox);
                }
            }
            Heard::Closed(why) => {
                self.close(id);
                self.events.push_back(Queued::Closed(id, why));
            }
            Heard::HelloRequest | Heard::Nothing => {}
        }
    }

    /// Takes an authentic record of a handshake that is under way.
    fn handle_first(&mut self, now: Duration, from: SocketAddr, content_type: ContentType, content: &[u8]) {
        match content_type {
            ContentType::Handshake => {
                for fragment in Fragments::new(content) {
                    self.handle_fragment(now, from, EPOCH, &fragment);
                }
            }
            ContentType::Alert => {
                if let Some(alert) = Alert::parse(content).filter(|alert| alert.fatal) {
                    self.fail(from, Failure::Alert(alert.description));
                }
            }
            _ => self.counters.unexpected += 1,
        }
    }

    /// Where a Finished is awaited, the most likely reason is another key: the client hears of it.
    fn handle_unauthentic(&mut self, now: Duration, from: SocketAddr) {
        self.counters.unauthentic += 1;
        if let Some(handshake) = self.handshakes.get_mut(&from)
            && handshake.protection().is_some()
        {
            handshake.refuse_record(context!(self, now, from));
        }
    }

    fn fail(&mut self, address: SocketAddr, failure: Failure) {
        self.handshakes.remove(&address);
        if failure != Failure::TimedOut {
            self.events.push_back(Queued::Failed(address, failure));
        }
    }

    /// Sends `data` to a client in one record of one datagram.
    ///
    /// # Errors
    /// When there is no such association, or no room, number or proven address for it. Nothing is sent then.
    pub fn send(&mut self, association: AssociationId, data: &[u8]) -> Result<(), SendError> {
        let peer = self.peers.get_mut(association).ok_or(SendError::NotEstablished)?;
        let size = peer.association.datagram_size(data.len());
        if peer.allowance.is_some_and(|allowance| allowance < size) {
            return Err(SendError::AddressNotProven);
        }
        peer.association.send(data, self.config.max_datagram, peer.address, &mut self.outbox)?;
        peer.allowance = peer.allowance.map(|allowance| allowance - size);
        Ok(())
    }

    /// Something that was sent to the client since it moved was answered: its address is its own.
    pub fn prove_address(&mut self, association: AssociationId) {
        if let Some(peer) = self.peers.get_mut(association) {
            peer.allowance = None;
        }
    }

    /// Closes an association, and tells the client so. There will be no event.
    pub fn close(&mut self, association: AssociationId) {
        if let Some(mut peer) = self.peers.remove(association) {
            let alert = Alert::warning(AlertDescription::CLOSE_NOTIFY);
            peer.association.alert(alert, peer.address, &mut self.outbox);
        }
    }

    /// Where the client of an association is.
    #[must_use]
    pub fn address(&self, association: AssociationId) -> Option<SocketAddr> {
        self.peers.get(association).map(|peer| peer.address)
    }

    /// The time has come that [`Server::poll_timeout`] gave.
    pub fn handle_timeout(&mut self, now: Duration) {
        let due = self.handshakes.iter().filter(|(_, handshake)| handshake.deadline() <= now);
        for address in due.map(|(address, _)| *address).collect::<Vec<_>>() {
            let Some(handshake) = self.handshakes.get_mut(&address) else { continue };
            if let Err(failure) = handshake.expire(context!(self, now, address)) {
                self.fail(address, failure);
            }
        }
    }

    /// When [`Server::handle_timeout`] is to be called next, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        self.handshakes.values().map(|handshake| (handshake.deadline(), Timer::Retransmission)).min()
    }

    /// Appends the next datagram to `buffer` and gives where it goes to and its place in the buffer.
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<(SocketAddr, Range<usize>)> {
        self.outbox.pop(buffer)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        let Some(event) = self.events.pop_front() else {
            self.inbox.clear();
            return None;
        };
        Some(match event {
            Queued::Established(association, address, established) => {
                Event::Established { association, address, established }
            }
            Queued::Failed(address, failure) => Event::Failed { address, failure },
            Queued::Data(association, range) => Event::Data { association, data: &self.inbox[range] },
            Queued::Unconfirmed(association, record, range) => {
                Event::Unconfirmed { association, record, data: &self.inbox[range] }
            }
            Queued::Moved(association, address) => Event::Moved { association, address },
            Queued::Closed(association, why) => Event::Closed { association, why },
        })
    }

    /// Exports an association; as [`Client::export`](crate::Client::export). The client's address is not in it.
    pub fn export(&mut self, association: AssociationId, ahead: u32) -> Option<Export> {
        self.peers.get_mut(association).map(|peer| peer.association.export(ahead))
    }

    /// The export is stored durably; as [`Client::exported`](crate::Client::exported).
    pub fn exported(&mut self, association: AssociationId, export: &Export) {
        if let Some(peer) = self.peers.get_mut(association) {
            peer.association.exported(export);
        }
    }

    /// Takes up an exported association with a client at `address`. `None`, and nothing changes, where these bytes are not one of a
    /// server.
    pub fn import(&mut self, now: Duration, address: SocketAddr, bytes: &[u8]) -> Option<AssociationId> {
        let association = Association::import(Role::Server, bytes)?;
        let (id, replaced) = self.peers.insert(now, address, association);
        if let Some(replaced) = replaced {
            self.events.push_back(Queued::Closed(replaced, Closed::Replaced));
        }
        self.verify_again(id);
        Some(id)
    }

    /// After an import: the record with this number answers something that was sent since; as
    /// [`Client::confirm`](crate::Client::confirm).
    pub fn confirm(&mut self, association: AssociationId, record: u64) {
        if let Some(peer) = self.peers.get_mut(association) {
            peer.association.confirm(record);
        }
    }

    /// What was not passed on.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How many handshakes are under way.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// How many associations there are.
    #[must_use]
    pub fn associations(&self) -> usize {
        self.peers.len()
    }

    /// How many bytes are held, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let handshakes = self.handshakes.values().map(|handshake| handshake.memory()).sum::<usize>();
        size_of::<Self>()
            + handshakes
            + self.peers.memory()
            + self.sessions.memory()
            + self.outbox.memory()
            + self.inbox.capacity()
            + self.events.capacity() * size_of::<Queued>()
    }
}
