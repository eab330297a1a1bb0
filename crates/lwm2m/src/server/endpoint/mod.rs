//! What is below a server engine: its two sockets, the DTLS server of the secure one, and a message layer for each remote.
//!
//! An engine gives every datagram to [`Endpoint::handle_datagram`] and then takes every [`Event`] out; it answers through the
//! peer of a remote ([`Endpoint::use_slot`]); and as long as there is something to send, it polls
//! [`Endpoint::poll_records`] and, for the remote in [`Endpoint::front`], first the events of its peer and then
//! [`Endpoint::poll_message`].
//!
//! A remote of the plain socket is an address. One of the secure socket is a DTLS association: with a Connection ID it outlives
//! changes of its address (RFC 9146 section 6), and all that is under way with it goes on. An identity has the association of its
//! registration and at most one more: a client fetches over a second one, or will register anew over it.

mod identity;
mod peers;

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::SocketAddr,
    ops::Range,
    sync::Arc,
    time::Duration,
};

use lapwing_coap::peer::Config;
use lapwing_dtls::{self as dtls, AssociationId, credentials::Psk};
use rand_chacha::{ChaCha12Rng, rand_core::Rng};

pub use self::identity::Identity;
use self::peers::Peers;
pub(in crate::server) use self::peers::{Slot, proves_address};
use crate::Now;

/// One of a server's two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// CoAP over UDP (`coap`).
    Plain,
    /// CoAP over DTLS (`coaps`).
    Secure,
}

/// Whom a server speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remote {
    /// Whoever is at this address.
    Plain(SocketAddr),
    /// Whoever holds the keys of this association, wherever that is.
    Secure(AssociationId),
}

impl Remote {
    /// Which socket it is reached through.
    pub fn channel(self) -> Channel {
        match self {
            Remote::Plain(_) => Channel::Plain,
            Remote::Secure(_) => Channel::Secure,
        }
    }
}

/// What has come in.
#[derive(Debug)]
pub(in crate::server) enum Event {
    /// A message, in the buffer that [`Endpoint::poll_event`] was given.
    Message(Remote),
    /// The address of a client is another one from now on.
    Moved {
        remote: Remote,
        to: SocketAddr,
        /// Of its registration.
        endpoint: Option<Arc<str>>,
    },
    /// An association ended, and all that was under way with it.
    Closed {
        remote: Remote,
        /// Of its registration.
        endpoint: Option<Arc<str>>,
    },
}

/// A datagram on its way out, by its place in a buffer.
#[derive(Debug)]
pub(in crate::server) struct Outgoing {
    pub(in crate::server) channel: Channel,
    pub(in crate::server) to: SocketAddr,
    pub(in crate::server) datagram: Range<usize>,
    /// The message inside, as it was before it was encrypted; empty in records of DTLS itself.
    pub(in crate::server) message: Range<usize>,
}

/// The DTLS side.
struct Secure {
    dtls: dtls::Server,
    sessions: HashMap<AssociationId, Identity>,
    by_identity: HashMap<Identity, Vec<AssociationId>>,
    /// What has happened and does not come from `dtls`.
    closed: VecDeque<Event>,
}

/// All that a server engine speaks with; see the [module](self). `O` is what it keeps of each of its requests.
pub(in crate::server) struct Endpoint<O> {
    peers: Peers<O>,
    secure: Option<Box<Secure>>,
    rng: ChaCha12Rng,
}

impl<O> Endpoint<O> {
    /// An endpoint that knows nobody. `strangers` bounds the remotes without a registration, of either socket. Without `dtls`
    /// it has no secure socket.
    pub(in crate::server) fn new(
        coap: Arc<Config>,
        strangers: usize,
        dtls: Option<Arc<dtls::ServerConfig>>,
        mut rng: ChaCha12Rng,
    ) -> Endpoint<O> {
        let secure = dtls.map(|config| {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            Box::new(Secure {
                dtls: dtls::Server::new(config, seed),
                sessions: HashMap::new(),
                by_identity: HashMap::new(),
                closed: VecDeque::new(),
            })
        });
        Endpoint { peers: Peers::new(coap, strangers), secure, rng }
    }

    /// Takes in a datagram. What has come of it is in [`Endpoint::poll_event`]; but a message over plain CoAP is the datagram
    /// itself, and the remote it came from is given at once.
    pub(in crate::server) fn handle_datagram(
        &mut self,
        now: Now,
        channel: Channel,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<Remote> {
        match (channel, &mut self.secure) {
            (Channel::Plain, _) => Some(Remote::Plain(from)),
            (Channel::Secure, Some(secure)) => {
                secure.dtls.set_time(now.unix);
                secure.dtls.handle_datagram(now.elapsed, from, datagram);
                None
            }
            (Channel::Secure, None) => None,
        }
    }

    /// What has come in over DTLS, or become of associations. A message is in `plaintext`.
    pub(in crate::server) fn poll_event(&mut self, now: Duration, plaintext: &mut Vec<u8>) -> Option<Event> {
        let secure = self.secure.as_mut()?;
        loop {
            if let Some(event) = secure.closed.pop_front() {
                return Some(event);
            }
            match secure.dtls.poll_event()? {
                dtls::server::Event::Established { association, address, established } => {
                    let identity = Identity::of(&established.peer);
                    tracing::info!(%address, %identity, suite = ?established.suite, resumed = established.resumed, "secure session");
                    secure.sessions.insert(association, identity.clone());
                    self.established(association, identity);
                    return self.poll_event(now, plaintext);
                }
                dtls::server::Event::Failed { address, failure } => {
                    tracing::info!(%address, %failure, "no secure session");
                }
                dtls::server::Event::Data { association, data } if secure.sessions.contains_key(&association) => {
                    plaintext.clear();
                    plaintext.extend_from_slice(data);
                    return Some(Event::Message(Remote::Secure(association)));
                }
                dtls::server::Event::Moved { association, address } => {
                    let remote = Remote::Secure(association);
                    let Some(slot) = self.peers.use_slot(remote) else { continue };
                    // RFC 9146 section 6: its answer will show that the client is there, or an answer to a later request.
                    if let Some(earlier) = slot.unproven.take() {
                        slot.peer.cancel(earlier);
                    }
                    slot.unproven = Some(slot.peer.ping(now));
                    let endpoint = slot.endpoint.clone();
                    tracing::info!(%address, endpoint = endpoint.as_deref(), "a client moved");
                    return Some(Event::Moved { remote, to: address, endpoint });
                }
                dtls::server::Event::Closed { association, why } => {
                    tracing::info!(identity = secure.sessions.get(&association).map(tracing::field::display), %why, "secure session ended");
                    return Some(self.gone(association));
                }
                // The rest comes of imports, and there are none; or of an association that was closed here meanwhile.
                _ => {}
            }
        }
    }

    /// A client has shown who it is. What it had before is of use only where it is registered.
    fn established(&mut self, association: AssociationId, identity: Identity) {
        let Some(secure) = &mut self.secure else { return };
        let all = secure.by_identity.entry(identity).or_default();
        let earlier = all.clone();
        all.push(association);
        for earlier in earlier {
            if self.peers.is_stranger(Remote::Secure(earlier)) {
                self.close(earlier);
            }
        }
        self.seen(Remote::Secure(association));
    }

    /// Forgets an association that has ended.
    fn gone(&mut self, association: AssociationId) -> Event {
        let remote = Remote::Secure(association);
        if let Some(secure) = &mut self.secure
            && let Some(identity) = secure.sessions.remove(&association)
            && let Entry::Occupied(mut all) = secure.by_identity.entry(identity)
        {
            all.get_mut().retain(|other| *other != association);
            if all.get().is_empty() {
                all.remove();
            }
        }
        let endpoint = self.peers.remove(remote).and_then(|slot| slot.endpoint);
        Event::Closed { remote, endpoint }
    }

    /// Ends an association, and tells the client so. [`Event::Closed`] follows.
    pub(in crate::server) fn close(&mut self, association: AssociationId) {
        let known = self.secure.as_ref().is_some_and(|secure| secure.sessions.contains_key(&association));
        if !known {
            return;
        }
        let event = self.gone(association);
        if let Some(secure) = &mut self.secure {
            secure.dtls.close(association);
            secure.closed.push_back(event);
        }
    }

    /// Ends the associations of an identity.
    pub(in crate::server) fn close_identity(&mut self, identity: &Identity) {
        let all = self.secure.as_ref().and_then(|secure| secure.by_identity.get(identity)).cloned();
        for association in all.into_iter().flatten() {
            self.close(association);
        }
    }

    /// Lets clients with this key in from now on.
    pub(in crate::server) fn add_psk(&mut self, psk: Psk) {
        if let Some(secure) = &mut self.secure {
            secure.dtls.add_psk(psk);
        }
    }

    /// Lets clients with this identity in no longer. The association it has stays.
    pub(in crate::server) fn remove_psk(&mut self, identity: &[u8]) {
        if let Some(secure) = &mut self.secure {
            secure.dtls.remove_psk(identity);
        }
    }

    /// Who a remote has shown itself to be; over plain CoAP nobody shows anything.
    pub(in crate::server) fn identity(&self, remote: Remote) -> Option<&Identity> {
        match remote {
            Remote::Plain(_) => None,
            Remote::Secure(association) => self.secure.as_ref()?.sessions.get(&association),
        }
    }

    /// Where a remote is now; `None` when its association has ended.
    pub(in crate::server) fn address(&self, remote: Remote) -> Option<SocketAddr> {
        match remote {
            Remote::Plain(address) => Some(address),
            Remote::Secure(association) => self.secure.as_ref()?.dtls.address(association),
        }
    }

    /// A client has answered what was sent only to the address it has moved to ([`proves_address`]).
    pub(in crate::server) fn prove_address(&mut self, remote: Remote) {
        if let Some(slot) = self.peers.use_slot(remote) {
            slot.unproven = None;
        }
        if let (Remote::Secure(association), Some(secure)) = (remote, &mut self.secure) {
            secure.dtls.prove_address(association);
        }
    }

    /// What is known of a remote.
    pub(in crate::server) fn get(&self, remote: Remote) -> Option<&Slot<O>> {
        self.peers.get(remote)
    }

    /// As [`Endpoint::get`], for a caller who is about to use it: the peer is polled afterwards.
    pub(in crate::server) fn use_slot(&mut self, remote: Remote) -> Option<&mut Slot<O>> {
        self.peers.use_slot(remote)
    }

    /// The slot of a remote that has just sent something, made where it is new. When there are too many strangers like it, the
    /// one seen least recently goes, with its association.
    pub(in crate::server) fn seen(&mut self, remote: Remote) -> &mut Slot<O> {
        let dropped = self.peers.seen(remote, &mut self.rng);
        self.let_go(dropped);
        self.peers.use_slot(remote).expect("the slot is there, or was just made")
    }

    /// A registration of this remote begins: it is a stranger no longer.
    pub(in crate::server) fn admit(&mut self, remote: Remote, endpoint: &Arc<str>) {
        self.peers.admit(remote, endpoint);
    }

    /// A registration of this remote goes on with another. An association that is left without one ends, and with it what is
    /// under way there: then this is true.
    pub(in crate::server) fn leave(&mut self, remote: Remote) -> bool {
        self.dismiss(remote);
        match remote {
            Remote::Secure(association) if self.peers.is_stranger(remote) => {
                self.close(association);
                true
            }
            _ => false,
        }
    }

    /// A registration of this remote has ended.
    pub(in crate::server) fn dismiss(&mut self, remote: Remote) {
        let dropped = self.peers.dismiss(remote);
        self.let_go(dropped);
    }

    fn let_go(&mut self, dropped: Option<Remote>) {
        if let Some(Remote::Secure(association)) = dropped {
            self.close(association);
        }
    }

    /// The next remote whose peer may have something to say.
    pub(in crate::server) fn front(&self) -> Option<Remote> {
        self.peers.front()
    }

    /// The next datagram of DTLS itself: handshakes, alerts.
    pub(in crate::server) fn poll_records(&mut self, buffer: &mut Vec<u8>) -> Option<Outgoing> {
        let (to, datagram) = self.secure.as_mut()?.dtls.poll_transmit(buffer)?;
        Some(Outgoing { channel: Channel::Secure, to, datagram, message: 0..0 })
    }

    /// The next message of the remote in [`Endpoint::front`]; without one, another is in front. To be called when
    /// [`Endpoint::poll_records`] gives nothing.
    pub(in crate::server) fn poll_message(&mut self, now: Duration, buffer: &mut Vec<u8>) -> Option<Outgoing> {
        let remote = self.front()?;
        let message = self.peers.poll_transmit(now, buffer)?;
        match (remote, &mut self.secure) {
            (Remote::Plain(to), _) => {
                Some(Outgoing { channel: Channel::Plain, to, datagram: message.clone(), message })
            }
            (Remote::Secure(association), Some(secure)) => {
                if let Err(why) = secure.dtls.send(association, &buffer[message.clone()]) {
                    // As if it were lost: what matters is sent again.
                    tracing::debug!(?association, %why, "not sent");
                    buffer.truncate(message.start);
                    return None;
                }
                let (to, datagram) = secure.dtls.poll_transmit(buffer)?;
                Some(Outgoing { channel: Channel::Secure, to, datagram, message })
            }
            (Remote::Secure(_), None) => None,
        }
    }

    /// When [`Endpoint::handle_timeout`] is to be called next.
    pub(in crate::server) fn next_timeout(&self) -> Option<Duration> {
        let handshakes = self.secure.as_ref().and_then(|secure| secure.dtls.poll_timeout()).map(|(at, _)| at);
        self.peers.next_timeout().into_iter().chain(handshakes).min()
    }

    /// Does what is due.
    pub(in crate::server) fn handle_timeout(&mut self, now: Now) {
        self.peers.handle_timeout(now.elapsed);
        if let Some(secure) = &mut self.secure {
            secure.dtls.set_time(now.unix);
            secure.dtls.handle_timeout(now.elapsed);
        }
    }

    /// How many remotes there are.
    pub(in crate::server) fn len(&self) -> usize {
        self.peers.len()
    }

    /// How many of them have no registration.
    pub(in crate::server) fn strangers(&self) -> usize {
        self.peers.strangers()
    }

    /// How many bytes the DTLS side holds, about; messages not counted.
    pub(in crate::server) fn secure_memory(&self) -> usize {
        self.secure.as_ref().map_or(0, |secure| secure.dtls.memory())
    }
}
