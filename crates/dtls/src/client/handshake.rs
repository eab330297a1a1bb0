//! The client's side of a handshake. Messages are checked first; what is refused changes nothing but the doubt that the next
//! time-out believes.

use std::{sync::Arc, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::Rng};

use super::server_flight::ServerFlight;
use crate::{
    agreed::{Agreed, Believed, Finished, Peer},
    alert::{Alert, AlertDescription},
    association::Role,
    config::{ClientConfig, ClientCredentials},
    credentials::{CertificateType, Identity, PeerIdentity, Psk, ServerTrust},
    crypto::{ECDSA_SHA256, KeyShare, Kind, Premaster, psk_premaster},
    event::Failure,
    exchange::Exchange,
    flight::Flight,
    handshake::{
        Certificates, ClientKeyExchange, Complete, Fragment, HandshakeType, HelloVerifyRequest, NewSessionTicket,
        ServerHello, Signed, Taken,
    },
    outbox::Outbox,
    protection::Protection,
    record::ConnectionId,
    session::{Secrets, Session},
};

enum State {
    /// The ClientHello was sent.
    Hello,
    /// The ServerHello has come, and some of what follows it.
    Server(ServerFlight),
    /// Keys are there; the server's Finished will show that they are the same.
    Finish { agreed: Agreed, secrets: Secrets, resumed: bool, ticket: Vec<u8> },
}

/// A message that was checked, with what the step needs of it.
pub(super) enum Input {
    /// What was agreed on, and whether the session is resumed.
    Hello(Agreed, bool),
    Certificate(Believed),
    /// With what both halves of the key give, unless the key is shared before.
    KeyExchange(Option<Premaster>),
    /// The server wants our certificate, and whether it can use ours.
    Request(bool),
    Done,
    Ticket(Vec<u8>),
    Finished,
}

/// What time and the server's messages need to be answered.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) unix: Option<Duration>,
    pub(super) outbox: &'a mut Outbox<()>,
    pub(super) rng: &'a mut ChaCha20Rng,
}

/// What the ClientHello says, the configuration aside.
pub(super) struct Offer {
    pub(super) random: [u8; 32],
    pub(super) own_id: Option<ConnectionId>,
    /// The session to be resumed.
    pub(super) session: Option<Session>,
    /// Its id, or with a ticket a name for the attempt.
    pub(super) session_id: Vec<u8>,
    /// The cookie of the newest HelloVerifyRequest.
    pub(super) cookie: Vec<u8>,
}

pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    offer: Offer,
    /// How many HelloVerifyRequests were answered.
    cookies: u8,
    /// Whether the flight was sent more than once.
    again: bool,
    state: State,
    exchange: Exchange<()>,
}

impl Handshake {
    /// A server that restarts asks for a new cookie; more than these are an attack.
    const MOST_COOKIES: u8 = 4;

    pub(super) fn start(config: Arc<ClientConfig>, session: Option<Session>, context: &mut Context<'_>) -> Self {
        let session = session.filter(|session| is_usable(&config, session, context.unix));
        let mut random = [0; 32];
        context.rng.fill_bytes(&mut random);
        let own_id = config.connection_id.map(|length| random_id(length, context.rng));
        // With a ticket the session id only tells that the ticket was taken (RFC 5077 section 3.4).
        let session_id = match &session {
            Some(session) if !session.ticket.is_empty() => {
                let mut name = vec![0; 32];
                context.rng.fill_bytes(&mut name);
                name
            }
            Some(session) => session.id.clone(),
            None => Vec::new(),
        };
        let flight = Flight::new(0, 0);
        let mut handshake = Self {
            offer: Offer { random, own_id, session, session_id, cookie: Vec::new() },
            cookies: 0,
            again: false,
            state: State::Hello,
            exchange: Exchange::new(context.now, (), config.max_datagram, &config.retransmission, flight, 0),
            config,
        };
        handshake.hello(context);
        handshake
    }

    fn hello(&mut self, context: &mut Context<'_>) {
        let mut body = Vec::new();
        self.offer.put(&self.config, &mut body);
        // The number of the ServerHello is that of the ClientHello which it answers.
        self.exchange.restart(u16::from(self.cookies));
        self.exchange.say(HandshakeType::ClientHello, &body);
        self.send(context);
    }

    fn send(&mut self, context: &mut Context<'_>) {
        self.again = false;
        self.exchange.send(context.now, context.outbox);
    }

    /// The length of the Connection ID in records to this handshake.
    pub(super) fn own_id_length(&self) -> usize {
        self.offer.own_id.map_or(0, |id| id.len())
    }

    pub(super) const fn protection(&mut self) -> Option<&mut Protection> {
        self.exchange.protection.as_mut()
    }

    pub(super) fn memory(&self) -> usize {
        let peer = match &self.state {
            State::Hello => 0,
            State::Server(flight) => flight.server.as_ref().map_or(0, |server| server.peer.identity.len()),
            State::Finish { secrets, .. } => secrets.peer.len(),
        };
        size_of::<Self>() + self.exchange.memory() + peer
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.exchange.deadline()
    }

    /// Sends the flight again, or gives up.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        if let Some(doubt) = self.exchange.doubts() {
            if let (Failure::Refused(_) | Failure::Certificate(_), Some(alert)) = (doubt, doubt.alert()) {
                self.exchange.send_alert(alert, context.outbox);
            }
            return Err(doubt);
        }
        self.again = true;
        if self.exchange.expire(context.now, context.outbox) { Ok(()) } else { Err(Failure::TimedOut) }
    }

    /// An alert that is not authentic: it is believed when nothing better comes before the next time-out.
    pub(super) fn alert(&mut self, alert: Alert) {
        if alert.fatal {
            self.exchange.doubt(Failure::Alert(alert.description));
        }
    }

    /// Takes a fragment. Gives whether it was of use.
    pub(super) fn fragment(&mut self, epoch: u16, fragment: &Fragment<'_>, context: &mut Context<'_>) -> bool {
        if matches!(self.state, State::Hello)
            && fragment.kind == HandshakeType::HelloVerifyRequest
            && fragment.is_whole()
        {
            return epoch == 0 && self.verify_request(fragment, context);
        }
        match self.exchange.fragment(epoch, fragment) {
            Taken::Kept => true,
            Taken::Old if fragment.kind == HandshakeType::ServerHelloDone => {
                self.exchange.repeat(context.now, context.outbox);
                true
            }
            Taken::Old | Taken::Refused => false,
        }
    }

    fn verify_request(&mut self, fragment: &Fragment<'_>, context: &mut Context<'_>) -> bool {
        let Some(request) = HelloVerifyRequest::parse(fragment.body) else { return false };
        // A datagram may come twice. A server that has restarted is believed when our answer to the one before is not answered.
        let doubled =
            request.cookie == self.offer.cookie || (fragment.sequence < u16::from(self.cookies) && !self.again);
        if request.cookie.is_empty() || doubled || self.cookies == Self::MOST_COOKIES {
            return false;
        }
        self.cookies += 1;
        self.offer.cookie = request.cookie.to_vec();
        self.hello(context);
        true
    }

    /// Takes what is complete, in order.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        while let Some(message) = self.exchange.next() {
            match self.check(&message, context.unix) {
                Ok(input) => {
                    self.exchange.accept(&message);
                    if let Some(finished) = self.step(input, context) {
                        return Some(finished);
                    }
                }
                Err(failure) => self.exchange.refuse(failure),
            }
        }
        None
    }

    fn check(&self, message: &Complete, unix: Option<Duration>) -> Result<Input, Failure> {
        match (&self.state, message.kind) {
            (State::Hello, HandshakeType::ServerHello) => {
                let hello = ServerHello::parse(message.body()).ok_or(AlertDescription::DECODE_ERROR)?;
                let (agreed, resumed) = self.offer.check(&self.config, &hello)?;
                Ok(Input::Hello(agreed, resumed))
            }
            (State::Server(flight), _) => flight.check(message, &self.config, unix),
            (State::Finish { agreed: Agreed { ticket: true, .. }, .. }, HandshakeType::NewSessionTicket) => {
                let ticket = NewSessionTicket::parse(message.body()).ok_or(AlertDescription::DECODE_ERROR)?;
                Ok(Input::Ticket(ticket.ticket.to_vec()))
            }
            (State::Finish { secrets, .. }, HandshakeType::Finished) => self
                .exchange
                .check_finished(&secrets.master, b"server finished", message.body())
                .map(|()| Input::Finished),
            _ => Err(AlertDescription::UNEXPECTED_MESSAGE.into()),
        }
    }

    /// `check` lets each input through in its state only.
    fn step(&mut self, input: Input, context: &mut Context<'_>) -> Option<Finished> {
        match (input, &mut self.state) {
            (Input::Hello(agreed, resumed), State::Hello) => self.begin(agreed, resumed, context),
            (Input::Certificate(server), State::Server(flight)) => flight.server = Some(server),
            (Input::KeyExchange(premaster), State::Server(flight)) => {
                flight.key_exchange = true;
                flight.premaster = premaster;
            }
            (Input::Request(suits), State::Server(flight)) => flight.request = Some(suits),
            (Input::Done, State::Server(_)) => {
                if let State::Server(flight) = core::mem::replace(&mut self.state, State::Hello) {
                    self.answer(flight, context);
                }
            }
            (Input::Ticket(new), State::Finish { ticket, .. }) => *ticket = new,
            (Input::Finished, State::Finish { .. }) => return self.finish(context),
            _ => {}
        }
        None
    }

    /// The ServerHello has come: keys are there where a session is resumed, otherwise the server has more to say.
    fn begin(&mut self, agreed: Agreed, resumed: bool, context: &mut Context<'_>) {
        let session = self.offer.session.as_ref().filter(|_| resumed);
        self.state = match session.map(|session| session.secrets.clone()) {
            Some(secrets) => {
                self.exchange.protection = Some(agreed.protection(Role::Client, &secrets.master));
                State::Finish { agreed, secrets, resumed, ticket: Vec::new() }
            }
            None => {
                let with_curve = agreed.suite.kind() == Kind::EcdheEcdsa;
                let share = with_curve.then(|| KeyShare::generate(context.rng));
                State::Server(ServerFlight::new(agreed, share))
            }
        };
    }

    /// Answers the server's flight with ours, from our certificate to the Finished.
    fn answer(&mut self, flight: ServerFlight, context: &mut Context<'_>) {
        let config = self.config.clone();
        self.exchange.begin();
        let (premaster, peer) = match (&config.credentials, flight.share, flight.premaster, flight.server) {
            (ClientCredentials::Psk(psk), ..) => (self.say_identity(psk), Peer::psk(psk.identity())),
            (ClientCredentials::Certificate { identity, .. }, Some(share), Some(premaster), Some(server)) => {
                if let Some(suits) = flight.request {
                    self.say_certificate(identity, flight.agreed.client_certificate, suits);
                }
                self.say_share(&share);
                (premaster, server.peer)
            }
            // `check` lets the flight end only when all of them are there.
            _ => return,
        };
        let agreed = flight.agreed;
        let master = agreed.master(&premaster, &self.exchange.transcript());
        if let (ClientCredentials::Certificate { identity, .. }, Some(true)) = (&config.credentials, flight.request) {
            let signature = identity.key().sign_hash(&self.exchange.transcript());
            let mut body = Vec::new();
            Signed { scheme: ECDSA_SHA256, signature: &signature }.put(&mut body);
            self.exchange.say(HandshakeType::CertificateVerify, &body);
        }
        self.exchange.protection = Some(agreed.protection(Role::Client, &master));
        self.exchange.say_finished(&master, b"client finished");
        let secrets = agreed.secrets(master, peer);
        self.state = State::Finish { agreed, secrets, resumed: false, ticket: Vec::new() };
        self.send(context);
    }

    fn say_identity(&mut self, psk: &Psk) -> Premaster {
        let mut body = Vec::new();
        ClientKeyExchange::Psk(psk.identity()).put(&mut body);
        self.exchange.say(HandshakeType::ClientKeyExchange, &body);
        psk_premaster(psk.key())
    }

    /// Our certificates or raw public key; where the server can use neither, that there are none (RFC 5246 section 7.4.6).
    fn say_certificate(&mut self, identity: &Identity, kind: CertificateType, suits: bool) {
        let mut body = Vec::new();
        match kind {
            CertificateType::RawPublicKey if suits => {
                identity.to_send().for_each(|key| Certificates::put_raw_public_key(&mut body, key));
            }
            _ => Certificates::put_x509(&mut body, identity.to_send().filter(|_| suits)),
        }
        self.exchange.say(HandshakeType::Certificate, &body);
    }

    fn say_share(&mut self, share: &KeyShare) {
        let mut body = Vec::new();
        ClientKeyExchange::EcdheEcdsa(share.public()).put(&mut body);
        self.exchange.say(HandshakeType::ClientKeyExchange, &body);
    }

    fn finish(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        let State::Finish { agreed, secrets, resumed, ticket } = core::mem::replace(&mut self.state, State::Hello)
        else {
            return None;
        };
        let mut flight = None;
        if resumed {
            self.exchange.begin();
            self.exchange.say_finished(&secrets.master, b"client finished");
            self.send(context);
            flight = Some(self.exchange.take_flight());
        }
        let old = self.offer.session.take().filter(|_| resumed).map(|session| session.ticket).unwrap_or_default();
        Some(Finished {
            protection: self.exchange.protection.take()?,
            randoms: (agreed.client_random, agreed.server_random),
            session: Session {
                secrets,
                // The name of an attempt with a ticket is not the id of a session.
                id: if old.is_empty() { agreed.session_id } else { Vec::new() },
                ticket: if ticket.is_empty() { old } else { ticket },
            },
            resumed,
            flight,
        })
    }
}

/// What a ClientHello has beside a ticket, in bytes, about.
const HELLO: usize = 256;

/// A session is resumed only with what it was made with (RFC 7627 section 5.3), and if the ClientHello with its ticket needs no
/// fragments: servers that keep nothing before the cookie has come back cannot take them.
fn is_usable(config: &ClientConfig, session: &Session, unix: Option<Duration>) -> bool {
    is_acceptable(config, &session.secrets, unix)
        && session.ticket.len() + HELLO <= config.max_datagram
        && session.secrets.extended_master_secret == config.extended_master_secret
}

/// Whether such secrets, with such a server, could come of a handshake with this configuration.
pub(super) fn is_acceptable(config: &ClientConfig, secrets: &Secrets, unix: Option<Duration>) -> bool {
    is_believed(&config.credentials, secrets, unix)
        && config.usable_suites().any(|usable| usable == secrets.suite)
        && (secrets.extended_master_secret || !config.require_extended_master_secret)
}

/// Whether the server that these secrets are shared with is one that the credentials are for.
fn is_believed(credentials: &ClientCredentials, secrets: &Secrets, unix: Option<Duration>) -> bool {
    let verified = |trust: &ServerTrust| trust.verify(&secrets.peer.parts(), unix).is_ok();
    match (credentials, &secrets.peer) {
        (ClientCredentials::Psk(psk), PeerIdentity::Psk(identity)) => psk.identity() == identity,
        (ClientCredentials::Certificate { trust, .. }, PeerIdentity::RawPublicKey(_)) => {
            trust.certificate_type() == CertificateType::RawPublicKey && verified(trust)
        }
        // The certificates of the issuers are there only as long as they are still to be verified.
        (ClientCredentials::Certificate { trust, .. }, PeerIdentity::Certificate(_)) => {
            trust.certificate_type() == CertificateType::X509 && (!secrets.validity_unchecked || verified(trust))
        }
        _ => false,
    }
}

fn random_id(length: usize, rng: &mut ChaCha20Rng) -> ConnectionId {
    let mut bytes = [0; ConnectionId::MAX_LENGTH];
    let bytes = &mut bytes[..length.min(ConnectionId::MAX_LENGTH)];
    rng.fill_bytes(bytes);
    ConnectionId::new(bytes).unwrap_or_default()
}
