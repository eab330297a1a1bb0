//! The server's side of a handshake, from a ClientHello whose cookie was right.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::Rng};

use super::sessions::Sessions;
use crate::{
    alert::{Alert, AlertDescription},
    config::ServerConfig,
    credentials::{PeerIdentity, Psk},
    crypto::{CipherSuite, Kind, MasterSecret, Transcript, psk_premaster, record_keys, same, verify_data},
    event::Failure,
    flight::{Backoff, Flight},
    handshake::{
        ClientHello, Complete, EMPTY_RENEGOTIATION_INFO_SCSV, Extensions, Fragment, HandshakeType, NewSessionTicket,
        Reassembly, ServerHello, Taken,
    },
    outbox::Outbox,
    protection::{EPOCH, Protection},
    record::{ConnectionId, VERSION},
    session::{Secrets, Session},
    wire::Reader,
};

type Refusal = AlertDescription;

/// What the hellos have agreed on.
#[derive(Clone)]
struct Agreed {
    suite: CipherSuite,
    extended_master_secret: bool,
    encrypt_then_mac: bool,
    client_random: [u8; 32],
    server_random: [u8; 32],
    session_id: Vec<u8>,
    own_id: ConnectionId,
    peer_id: Option<ConnectionId>,
    ticket: bool,
}

enum State {
    /// The ServerHelloDone was sent.
    Key(Agreed),
    /// Keys are there; the client's Finished will show that they are the same.
    Finish { agreed: Agreed, secrets: Secrets, resumed: bool },
}

enum Input {
    /// The ClientKeyExchange, with the identity and its key.
    Key(Vec<u8>, Psk),
    Finished,
}

/// A handshake that is complete.
pub(super) struct Finished {
    pub(super) protection: Protection,
    pub(super) session: Session,
    pub(super) resumed: bool,
    pub(super) flight: Option<Flight>,
    pub(super) randoms: ([u8; 32], [u8; 32]),
}

/// What a step may use of the server.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) from: SocketAddr,
    pub(super) outbox: &'a mut Outbox<SocketAddr>,
    pub(super) rng: &'a mut ChaCha20Rng,
    pub(super) psks: &'a BTreeMap<Vec<u8>, Psk>,
    pub(super) sessions: &'a mut Sessions,
}

/// What the ClientHello was, beside its content.
pub(super) struct Arrival {
    /// The number of its record: ours go on from it (RFC 6347 section 4.2.1).
    pub(super) record: u64,
    /// Its message number.
    pub(super) sequence: u16,
    /// Header and body.
    pub(super) message: Complete,
}

pub(super) struct Handshake {
    config: Arc<ServerConfig>,
    pub(super) started: Duration,
    hello_sequence: u16,
    client_random: [u8; 32],
    state: State,
    transcript: Transcript,
    reassembly: Reassembly,
    flight: Flight,
    backoff: Backoff,
    protection: Option<Protection>,
    doubt: Option<Failure>,
    /// An alert was sent: one is enough.
    alerted: bool,
}

impl Handshake {
    /// Answers a ClientHello, or refuses it.
    pub(super) fn start(
        config: Arc<ServerConfig>,
        hello: &ClientHello<'_>,
        arrival: &Arrival,
        own_id: ConnectionId,
        context: &mut Context<'_>,
    ) -> Result<Self, Refusal> {
        let (agreed, resumed) = negotiate(&config, hello, own_id, context)?;
        let mut transcript = Transcript::new();
        transcript.update(arrival.message.as_bytes());
        let mut handshake = Self {
            started: context.now,
            hello_sequence: arrival.sequence,
            client_random: hello.random,
            state: State::Key(agreed.clone()),
            transcript,
            reassembly: Reassembly::new(arrival.sequence.wrapping_add(1)),
            flight: Flight::new(arrival.sequence, arrival.record),
            backoff: Backoff::start(context.now, &config.retransmission),
            protection: None,
            doubt: None,
            alerted: false,
            config,
        };
        handshake.hello(hello, &agreed);
        match resumed {
            Some(secrets) => handshake.resume(agreed, secrets, context),
            None => handshake.transcript.update(handshake.flight.say(HandshakeType::ServerHelloDone, &[])),
        }
        handshake.send(context);
        Ok(handshake)
    }

    fn hello(&mut self, hello: &ClientHello<'_>, agreed: &Agreed) {
        let renegotiation =
            hello.suites.contains(EMPTY_RENEGOTIATION_INFO_SCSV) || hello.extensions.renegotiation_info.is_some();
        let extensions = Extensions {
            renegotiation_info: renegotiation.then_some(&[]),
            extended_master_secret: agreed.extended_master_secret,
            encrypt_then_mac: agreed.encrypt_then_mac,
            session_ticket: agreed.ticket.then_some(&[]),
            connection_id: agreed.peer_id.map(|_| agreed.own_id),
            ..Extensions::default()
        };
        let mut body = Vec::new();
        ServerHello {
            version: VERSION,
            random: agreed.server_random,
            session_id: &agreed.session_id,
            suite: agreed.suite.number(),
            extensions,
        }
        .put(&mut body);
        self.transcript.update(self.flight.say(HandshakeType::ServerHello, &body));
    }

    /// A short handshake: our Finished comes first (RFC 5246 section 7.3).
    fn resume(&mut self, agreed: Agreed, secrets: Secrets, context: &mut Context<'_>) {
        self.protection = Some(protect(&agreed, &secrets.master));
        self.finish(&agreed, &secrets, context);
        self.state = State::Finish { agreed, secrets, resumed: true };
    }

    /// Adds ticket and Finished to the flight.
    fn finish(&mut self, agreed: &Agreed, secrets: &Secrets, context: &mut Context<'_>) {
        if agreed.ticket {
            let ticket = context.sessions.seal(context.now, secrets, context.rng);
            let mut body = Vec::new();
            NewSessionTicket { lifetime_hint: context.sessions.lifetime_hint(), ticket: &ticket }.put(&mut body);
            self.transcript.update(self.flight.say(HandshakeType::NewSessionTicket, &body));
        }
        let verify = verify_data(&secrets.master, b"server finished", &self.transcript.hash());
        self.transcript.update(self.flight.finish(&verify));
    }

    fn send(&mut self, context: &mut Context<'_>) {
        let most = self.config.max_datagram;
        self.flight.transmit(context.now, self.protection.as_mut(), most, context.from, context.outbox);
        self.backoff = Backoff::start(context.now, &self.config.retransmission);
    }

    pub(super) fn protection(&mut self) -> Option<&mut Protection> {
        self.protection.as_mut()
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.backoff.deadline()
    }

    /// The Connection ID that was given to the client.
    pub(super) const fn own_id(&self) -> ConnectionId {
        match &self.state {
            State::Key(agreed) | State::Finish { agreed, .. } => agreed.own_id,
        }
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.reassembly.memory() + self.flight.memory()
    }

    /// Whether this ClientHello, with the same cookie, is the one that began this handshake.
    pub(super) fn is_begun_by(&self, sequence: u16, hello: &ClientHello<'_>) -> bool {
        self.hello_sequence == sequence && self.client_random == hello.random
    }

    /// The client did not get our flight.
    pub(super) fn repeat(&mut self, context: &mut Context<'_>) {
        let most = self.config.max_datagram;
        self.flight.repeat(context.now, self.protection.as_mut(), most, context.from, context.outbox);
    }

    /// Sends the flight again, or gives up. What speaks against success may be forged, so that it does not end the handshake
    /// before its time; but then the next word is the client's.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        if !self.backoff.expire(context.now, &self.config.retransmission) {
            return Err(self.doubt.unwrap_or(Failure::TimedOut));
        }
        if self.doubt.is_none() {
            let most = self.config.max_datagram;
            self.flight.transmit(context.now, self.protection.as_mut(), most, context.from, context.outbox);
        }
        Ok(())
    }

    /// An alert that is not authentic: it is the reason if nothing better comes.
    pub(super) fn alert(&mut self, alert: Alert) {
        if alert.fatal {
            self.doubt = Some(Failure::Alert(alert.description));
        }
    }

    /// Something was refused: the client hears of it, once, and may still do better.
    pub(super) fn refuse(&mut self, refusal: Refusal, context: &mut Context<'_>) {
        self.doubt = Some(Failure::Refused(refusal));
        if !self.alerted {
            self.alerted = true;
            self.flight.alert(Alert::fatal(refusal), context.from, context.outbox);
        }
    }

    /// Takes a fragment. Gives whether it was of use.
    pub(super) fn fragment(&mut self, epoch: u16, fragment: &Fragment<'_>) -> bool {
        if (fragment.kind == HandshakeType::Finished) != (epoch == EPOCH) {
            return false;
        }
        // The client says all of its flight again by its own timer; ours answers if the flight was lost.
        self.reassembly.add(fragment) == Taken::Kept
    }

    /// Takes what is complete, in order.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        while let Some(message) = self.reassembly.complete() {
            match self.check(&message, context.psks) {
                Ok(input) => {
                    self.reassembly.accept();
                    self.doubt = None;
                    if let Some(finished) = self.step(input, &message, context) {
                        return Some(finished);
                    }
                }
                Err(refusal) => {
                    self.reassembly.refuse();
                    self.refuse(refusal, context);
                }
            }
        }
        None
    }

    fn check(&self, message: &Complete, psks: &BTreeMap<Vec<u8>, Psk>) -> Result<Input, Refusal> {
        match (&self.state, message.kind) {
            (State::Key(_), HandshakeType::ClientKeyExchange) => {
                let mut reader = Reader(message.body());
                let identity = reader.vector16().ok_or(Refusal::DECODE_ERROR)?;
                reader.end(()).ok_or(Refusal::DECODE_ERROR)?;
                let psk = psks.get(identity).ok_or(Refusal::UNKNOWN_PSK_IDENTITY)?;
                Ok(Input::Key(identity.to_vec(), psk.clone()))
            }
            (State::Finish { secrets, .. }, HandshakeType::Finished) => {
                let expected = verify_data(&secrets.master, b"client finished", &self.transcript.hash());
                if same(&expected, message.body()) { Ok(Input::Finished) } else { Err(Refusal::DECRYPT_ERROR) }
            }
            _ => Err(Refusal::UNEXPECTED_MESSAGE),
        }
    }

    fn step(&mut self, input: Input, message: &Complete, context: &mut Context<'_>) -> Option<Finished> {
        self.transcript.update(message.as_bytes());
        match input {
            Input::Key(identity, psk) => {
                let State::Key(agreed) = &self.state else { return None };
                let agreed = agreed.clone();
                let premaster = psk_premaster(psk.key());
                let master = if agreed.extended_master_secret {
                    MasterSecret::extended(&premaster, &self.transcript.hash())
                } else {
                    MasterSecret::derive(&premaster, &agreed.client_random, &agreed.server_random)
                };
                self.protection = Some(protect(&agreed, &master));
                let secrets = Secrets {
                    suite: agreed.suite,
                    extended_master_secret: agreed.extended_master_secret,
                    master,
                    peer: PeerIdentity::Psk(identity),
                    validity_unchecked: false,
                };
                self.state = State::Finish { agreed, secrets, resumed: false };
                None
            }
            Input::Finished => self.complete(context),
        }
    }

    fn complete(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        let State::Finish { agreed, secrets, resumed } = &self.state else { return None };
        let (agreed, secrets, resumed) = (agreed.clone(), secrets.clone(), *resumed);
        let mut flight = None;
        if !resumed {
            self.flight.begin();
            self.finish(&agreed, &secrets, context);
            self.send(context);
            flight = Some(core::mem::replace(&mut self.flight, Flight::new(0, 0)));
            if let Ok(id) = agreed.session_id[..].try_into() {
                context.sessions.insert(context.now, id, secrets.clone());
            }
        }
        Some(Finished {
            protection: self.protection.take()?,
            session: Session { secrets, id: Vec::new(), ticket: Vec::new() },
            resumed,
            flight,
            randoms: (agreed.client_random, agreed.server_random),
        })
    }
}

fn protect(agreed: &Agreed, master: &MasterSecret) -> Protection {
    let (client, server) = record_keys(master, agreed.suite, &agreed.client_random, &agreed.server_random);
    // Both directions use the extension or neither does (RFC 9146 section 3).
    let own = agreed.peer_id.map(|_| agreed.own_id).unwrap_or_default();
    Protection::new((server.seal, client.open), agreed.encrypt_then_mac, own, agreed.peer_id.unwrap_or_default())
}

/// What we make of a ClientHello, and the session that is resumed.
fn negotiate(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    own_id: ConnectionId,
    context: &mut Context<'_>,
) -> Result<(Agreed, Option<Secrets>), Refusal> {
    let extensions = &hello.extensions;
    // DTLS counts its versions down.
    if hello.version > VERSION {
        return Err(Refusal::PROTOCOL_VERSION);
    }
    let suite = usable(config, context.psks).find(|suite| hello.suites.contains(suite.number()));
    let suite = suite.ok_or(Refusal::HANDSHAKE_FAILURE)?;
    if extensions.renegotiation_info.is_some_and(|info| !info.is_empty())
        || (config.require_extended_master_secret && !extensions.extended_master_secret)
    {
        return Err(Refusal::HANDSHAKE_FAILURE);
    }
    let resumed = resumable(config, hello, context)?;
    let suite = resumed.as_ref().map_or(suite, |secrets| secrets.suite);
    let ticket = extensions.session_ticket.is_some() && context.sessions.is_enabled();
    let session_id = match &resumed {
        Some(_) => hello.session_id.to_vec(),
        // A ticket goes with no id (RFC 5077 section 3.4).
        None if ticket || !context.sessions.is_enabled() => Vec::new(),
        None => random(context.rng).to_vec(),
    };
    let peer_id = extensions.connection_id.filter(|_| config.connection_id.is_some());
    let agreed = Agreed {
        suite,
        extended_master_secret: extensions.extended_master_secret,
        encrypt_then_mac: extensions.encrypt_then_mac && suite.is_cbc(),
        client_random: hello.random,
        server_random: random(context.rng),
        session_id,
        own_id,
        peer_id,
        // One ticket serves until its time is over.
        ticket: ticket && resumed.is_none(),
    };
    Ok((agreed, resumed))
}

/// The session that the client may resume. A session is resumed only with what it was made with.
fn resumable(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    context: &Context<'_>,
) -> Result<Option<Secrets>, Refusal> {
    let ticket = hello.extensions.session_ticket.filter(|ticket| !ticket.is_empty());
    let secrets = match ticket {
        _ if !context.sessions.is_enabled() || hello.session_id.is_empty() => None,
        Some(ticket) => context.sessions.open(context.now, ticket),
        None => context.sessions.get(context.now, hello.session_id),
    };
    let usable = |secrets: &Secrets| {
        hello.suites.contains(secrets.suite.number())
            && usable(config, context.psks).any(|suite| suite == secrets.suite)
            && matches!(&secrets.peer, PeerIdentity::Psk(identity) if context.psks.contains_key(identity))
    };
    let Some(secrets) = secrets.filter(usable) else { return Ok(None) };
    match (secrets.extended_master_secret, hello.extensions.extended_master_secret) {
        // RFC 7627 section 5.3.
        (true, false) => Err(Refusal::HANDSHAKE_FAILURE),
        (false, true) => Ok(None),
        _ => Ok(Some(secrets)),
    }
}

/// The suites that go with what the server has.
fn usable(config: &ServerConfig, psks: &BTreeMap<Vec<u8>, Psk>) -> impl Iterator<Item = CipherSuite> {
    config
        .suites
        .iter()
        .copied()
        .filter(|suite| suite.kind() == Kind::Psk && (!psks.is_empty() || config.identities.is_empty()))
}

fn random(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}
