//! The server's side of a handshake, from a ClientHello whose cookie was right.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use rand_chacha::ChaCha20Rng;

use super::{
    client_flight::{ClientFlight, Trust},
    negotiation::{identity, negotiate},
    sessions::Sessions,
};
use crate::{
    agreed::{Agreed, Believed, Finished, Peer},
    alert::{Alert, AlertDescription},
    association::Role,
    config::ServerConfig,
    credentials::{CertificateType, Identity, Psk},
    crypto::{ECDSA_SHA256, KeyShare, Kind, Premaster, SECP256R1, signed_parameters},
    event::Failure,
    exchange::Exchange,
    flight::Flight,
    handshake::{
        CertificateRequest, Certificates, ClientHello, Complete, EMPTY_RENEGOTIATION_INFO_SCSV, EcdheParameters,
        Extensions, Fragment, HandshakeType, NewSessionTicket, ServerHello, ServerKeyExchange, Signed, Taken,
    },
    outbox::Outbox,
    protection::Protection,
    record::{ConnectionId, VERSION},
    session::{Secrets, Session},
};

#[expect(clippy::large_enum_variant, reason = "it lies in a handshake, which is boxed")]
enum State {
    /// The ServerHelloDone was sent, and some of the answer may have come.
    Client(ClientFlight),
    /// Keys are there; the client's Finished will show that they are the same.
    Finish { agreed: Agreed, secrets: Secrets, resumed: bool },
}

/// A message that was checked, with what the step needs of it.
pub(super) enum Input {
    Certificate(Believed),
    /// What the key exchange gave, and who the client is.
    Key(Premaster, Peer),
    /// The client holds the key of its certificate.
    Verified,
    Finished,
}

/// What a step may use of the server.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) unix: Option<Duration>,
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
    client_random: [u8; 32],
    cookie: Vec<u8>,
    state: State,
    exchange: Exchange<SocketAddr>,
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
    ) -> Result<Self, AlertDescription> {
        let (agreed, resumed) = negotiate(&config, hello, own_id, context)?;
        let mut exchange = Exchange::new(
            context.now,
            context.from,
            config.max_datagram,
            &config.retransmission,
            Flight::new(arrival.sequence, arrival.record),
            arrival.sequence.wrapping_add(1),
        );
        exchange.record(&arrival.message);
        say_hello(&mut exchange, hello, &agreed, resumed.is_some());
        let state = match resumed {
            Some(secrets) => {
                // A short handshake: our Finished comes first (RFC 5246 section 7.3).
                exchange.protection = Some(agreed.protection(Role::Server, &secrets.master));
                say_finished(&mut exchange, &agreed, &secrets, context);
                State::Finish { agreed, secrets, resumed: true }
            }
            None => {
                let share = (agreed.suite.kind() == Kind::EcdheEcdsa).then(|| KeyShare::generate(context.rng));
                if let (Some(share), Some(own)) = (&share, identity(&config, agreed.server_certificate)) {
                    say_certificate(&mut exchange, own);
                    say_share(&mut exchange, own, share, &agreed);
                    let mut body = Vec::new();
                    CertificateRequest::put(&mut body, &[CertificateRequest::ECDSA_SIGN], &[ECDSA_SHA256]);
                    exchange.say(HandshakeType::CertificateRequest, &body);
                }
                exchange.say(HandshakeType::ServerHelloDone, &[]);
                State::Client(ClientFlight::new(agreed, share))
            }
        };
        exchange.send(context.now, context.outbox);
        Ok(Self {
            started: context.now,
            client_random: hello.random,
            cookie: hello.cookie.to_vec(),
            state,
            exchange,
            alerted: false,
            config,
        })
    }

    pub(super) const fn protection(&mut self) -> Option<&mut Protection> {
        self.exchange.protection.as_mut()
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.exchange.deadline()
    }

    /// The Connection ID that was given to the client.
    pub(super) fn own_id(&self) -> ConnectionId {
        let agreed = match &self.state {
            State::Client(flight) => &flight.agreed,
            State::Finish { agreed, .. } => agreed,
        };
        agreed.connection_ids.unwrap_or_default().0
    }

    pub(super) fn memory(&self) -> usize {
        let peer = match &self.state {
            State::Client(flight) => flight.memory(),
            State::Finish { secrets, .. } => secrets.peer.len(),
        };
        size_of::<Self>() + self.exchange.memory() + peer
    }

    /// Whether this ClientHello is the one that began this handshake. A client that gets another cookie answers with that one: whoever
    /// repeats what was seen on the way, whatever is changed in it, only has the same flight sent again.
    pub(super) fn is_begun_by(&self, hello: &ClientHello<'_>) -> bool {
        self.client_random == hello.random && self.cookie == hello.cookie
    }

    /// The client did not get our flight.
    pub(super) fn repeat(&mut self, context: &mut Context<'_>) {
        self.exchange.repeat(context.now, context.outbox);
    }

    /// Sends the flight again, or gives up. What speaks against success may be forged, so that it does not end the handshake
    /// before its time; but then the next word is the client's.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        if self.exchange.expire(context.now, context.outbox) {
            return Ok(());
        }
        Err(self.exchange.doubts().unwrap_or(Failure::TimedOut))
    }

    /// An alert that is not authentic: it is the reason if nothing better comes.
    pub(super) fn alert(&mut self, alert: Alert) {
        if alert.fatal {
            self.exchange.doubt(Failure::Alert(alert.description));
        }
    }

    /// A record is not authentic, most likely since the client has another key: it hears of it.
    pub(super) fn refuse_record(&mut self, context: &mut Context<'_>) {
        let failure = Failure::Refused(AlertDescription::BAD_RECORD_MAC);
        self.exchange.doubt(failure);
        self.tell(failure, context);
    }

    /// The client hears what was refused, once, and may still do better.
    fn tell(&mut self, failure: Failure, context: &mut Context<'_>) {
        if let Some(alert) = failure.alert().filter(|_| !self.alerted) {
            self.alerted = true;
            self.exchange.send_alert(alert, context.outbox);
        }
    }

    /// Takes a fragment. Gives whether it was of use.
    pub(super) fn fragment(&mut self, epoch: u16, fragment: &Fragment<'_>) -> bool {
        // The client says all of its flight again by its own timer; ours answers if the flight was lost.
        self.exchange.fragment(epoch, fragment) == Taken::Kept
    }

    /// Takes what is complete, in order.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        while let Some(message) = self.exchange.next() {
            match self.check(&message, context) {
                Ok(input) => {
                    self.exchange.accept(&message);
                    if let Some(finished) = self.step(input, context) {
                        return Some(finished);
                    }
                }
                Err(failure) => {
                    self.exchange.refuse(failure);
                    self.tell(failure, context);
                }
            }
        }
        None
    }

    fn check(&self, message: &Complete, context: &Context<'_>) -> Result<Input, Failure> {
        match (&self.state, message.kind) {
            (State::Client(flight), _) => {
                let trust = Trust { psks: context.psks, clients: &self.config.client_trust, unix: context.unix };
                flight.check(message, &trust, &self.exchange.transcript())
            }
            (State::Finish { secrets, .. }, HandshakeType::Finished) => self
                .exchange
                .check_finished(&secrets.master, b"client finished", message.body())
                .map(|()| Input::Finished),
            _ => Err(AlertDescription::UNEXPECTED_MESSAGE.into()),
        }
    }

    /// `check` lets each input through in its state only.
    fn step(&mut self, input: Input, context: &mut Context<'_>) -> Option<Finished> {
        match (input, &mut self.state) {
            (Input::Certificate(client), State::Client(flight)) => flight.client = Some(client),
            (Input::Key(premaster, peer), State::Client(flight)) => {
                let master = flight.agreed.master(&premaster, &self.exchange.transcript());
                self.exchange.protection = Some(flight.agreed.protection(Role::Server, &master));
                flight.secrets = Some(flight.agreed.secrets(master, peer));
                // Whoever has a certificate still has to show that its key is there.
                if flight.client.is_none() {
                    self.await_finished();
                }
            }
            (Input::Verified, State::Client(_)) => self.await_finished(),
            (Input::Finished, State::Finish { .. }) => return self.complete(context),
            _ => {}
        }
        None
    }

    fn await_finished(&mut self) {
        if let State::Client(flight) = &mut self.state
            && let Some(secrets) = flight.secrets.take()
        {
            self.state = State::Finish { agreed: flight.agreed.clone(), secrets, resumed: false };
        }
    }

    fn complete(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        let State::Finish { agreed, secrets, resumed } = &self.state else { return None };
        let (agreed, secrets, resumed) = (agreed.clone(), secrets.clone(), *resumed);
        let mut flight = None;
        if !resumed {
            self.exchange.begin();
            say_finished(&mut self.exchange, &agreed, &secrets, context);
            self.exchange.send(context.now, context.outbox);
            flight = Some(self.exchange.take_flight());
            if let Ok(id) = agreed.session_id[..].try_into() {
                context.sessions.insert(context.now, id, &secrets);
            }
        }
        Some(Finished {
            protection: self.exchange.protection.take()?,
            session: Session { secrets, id: Vec::new(), ticket: Vec::new() },
            resumed,
            flight,
            randoms: (agreed.client_random, agreed.server_random),
        })
    }
}

fn say_hello(exchange: &mut Exchange<SocketAddr>, hello: &ClientHello<'_>, agreed: &Agreed, resumed: bool) {
    let asked = &hello.extensions;
    let renegotiation = hello.suites.contains(EMPTY_RENEGOTIATION_INFO_SCSV) || asked.renegotiation_info.is_some();
    // Certificates are spoken of only where they will be sent (RFC 7250 section 4.2).
    let certificates = agreed.suite.kind() == Kind::EcdheEcdsa && !resumed;
    let (client, server) = ([agreed.client_certificate as u8], [agreed.server_certificate as u8]);
    let extensions = Extensions {
        renegotiation_info: renegotiation.then_some(&[]),
        extended_master_secret: agreed.extended_master_secret,
        encrypt_then_mac: agreed.encrypt_then_mac,
        session_ticket: agreed.ticket.then_some(&[]),
        connection_id: agreed.connection_ids.map(|(own, _)| own),
        uncompressed_points: asked.uncompressed_points.filter(|_| certificates),
        client_certificate_types: asked.client_certificate_types.filter(|_| certificates).map(|_| &client[..]),
        server_certificate_types: asked.server_certificate_types.filter(|_| certificates).map(|_| &server[..]),
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
    exchange.say(HandshakeType::ServerHello, &body);
}

fn say_certificate(exchange: &mut Exchange<SocketAddr>, own: &Identity) {
    let mut body = Vec::new();
    match own.certificate_type() {
        CertificateType::X509 => Certificates::put_x509(&mut body, own.to_send()),
        CertificateType::RawPublicKey => {
            own.to_send().for_each(|key| Certificates::put_raw_public_key(&mut body, key));
        }
    }
    exchange.say(HandshakeType::Certificate, &body);
}

/// Our half of the key, signed (RFC 8422 section 5.4).
fn say_share(exchange: &mut Exchange<SocketAddr>, own: &Identity, share: &KeyShare, agreed: &Agreed) {
    let mut encoded = Vec::new();
    EcdheParameters::put(&mut encoded, share.public());
    let message = signed_parameters(&agreed.client_random, &agreed.server_random, &encoded);
    let signature = own.key().sign(&message);
    let signed = Signed { scheme: ECDSA_SHA256, signature: &signature };
    let parameters = EcdheParameters { curve: SECP256R1, point: share.public(), encoded: &encoded, signed };
    let mut body = Vec::new();
    ServerKeyExchange::EcdheEcdsa(parameters).put(&mut body);
    exchange.say(HandshakeType::ServerKeyExchange, &body);
}

/// Adds ticket and Finished to the flight.
fn say_finished(exchange: &mut Exchange<SocketAddr>, agreed: &Agreed, secrets: &Secrets, context: &mut Context<'_>) {
    if agreed.ticket {
        let ticket = context.sessions.seal(context.now, secrets, context.psks, context.rng);
        let mut body = Vec::new();
        NewSessionTicket { lifetime_hint: context.sessions.lifetime_hint(), ticket: &ticket }.put(&mut body);
        exchange.say(HandshakeType::NewSessionTicket, &body);
    }
    exchange.say_finished(&secrets.master, b"server finished");
}
