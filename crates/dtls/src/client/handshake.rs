//! The client's side of a handshake. Messages are checked first; what is refused changes nothing but the doubt that the next
//! time-out believes.

use std::{sync::Arc, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::Rng};

use crate::{
    alert::{Alert, AlertDescription},
    config::{ClientConfig, ClientCredentials, Retransmission},
    credentials::PeerIdentity,
    crypto::{CipherSuite, MasterSecret, Transcript, psk_premaster, record_keys, same, verify_data},
    event::Failure,
    flight::{Backoff, Flight},
    handshake::{
        ClientHello, Complete, EMPTY_RENEGOTIATION_INFO_SCSV, Extensions, Fragment, HandshakeType, HelloVerifyRequest,
        List16, NewSessionTicket, Reassembly, ServerHello, Taken,
    },
    outbox::Outbox,
    protection::{EPOCH, Protection},
    record::{ConnectionId, VERSION},
    session::{Secrets, Session},
    wire::put_vector16,
};

type Refusal = AlertDescription;

/// What the ServerHello has settled.
#[derive(Clone)]
struct Agreed {
    suite: CipherSuite,
    extended_master_secret: bool,
    encrypt_then_mac: bool,
    server_random: [u8; 32],
    session_id: Vec<u8>,
    peer_id: Option<ConnectionId>,
    ticket: bool,
    resumed: bool,
}

enum State {
    /// The ClientHello was sent.
    Hello,
    /// The ServerHello has come, and some of what follows it.
    Server { agreed: Agreed, key_exchange: bool },
    /// Keys are there; the server's Finished will show that they are the same.
    Finish { agreed: Agreed, secrets: Secrets, ticket: Vec<u8> },
}

/// A message that was checked, with what the step needs of it.
enum Input {
    Hello(Agreed),
    KeyExchange,
    Done,
    Ticket(Vec<u8>),
    Finished,
}

/// A handshake that is complete.
pub(super) struct Finished {
    pub(super) protection: Protection,
    pub(super) session: Session,
    pub(super) resumed: bool,
    /// Our last flight, where the server may ask for it again.
    pub(super) flight: Option<Flight>,
    pub(super) client_random: [u8; 32],
    pub(super) server_random: [u8; 32],
}

/// What time and the server's messages need to be answered.
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) outbox: &'a mut Outbox<()>,
}

pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    random: [u8; 32],
    own_id: Option<ConnectionId>,
    offered: Option<Session>,
    /// The session id of the ClientHello.
    session_id: Vec<u8>,
    /// How many HelloVerifyRequests were answered.
    cookies: u8,
    /// The cookie of the newest.
    cookie: Vec<u8>,
    /// Whether the flight was sent more than once.
    again: bool,
    state: State,
    transcript: Transcript,
    reassembly: Reassembly,
    flight: Flight,
    backoff: Backoff,
    protection: Option<Protection>,
    /// What speaks against success, without being authentic.
    doubt: Option<Failure>,
}

impl Handshake {
    /// A server that restarts asks for a new cookie; more than these are an attack.
    const MOST_COOKIES: u8 = 4;

    pub(super) fn start(
        config: Arc<ClientConfig>,
        offered: Option<Session>,
        rng: &mut ChaCha20Rng,
        context: &mut Context<'_>,
    ) -> Self {
        // A session is resumed only with what it was made with (RFC 7627 section 5.3).
        let offered = offered.filter(|Session { secrets, .. }| {
            config.usable_suites().any(|suite| suite == secrets.suite)
                && secrets.extended_master_secret == config.extended_master_secret
        });
        let mut random = [0; 32];
        rng.fill_bytes(&mut random);
        let own_id = config.connection_id.map(|length| random_id(length, rng));
        // With a ticket the session id only tells that the ticket was taken (RFC 5077 section 3.4).
        let session_id = match &offered {
            Some(session) if !session.ticket.is_empty() => {
                let mut name = vec![0; 32];
                rng.fill_bytes(&mut name);
                name
            }
            Some(session) => session.id.clone(),
            None => Vec::new(),
        };
        let mut handshake = Self {
            random,
            own_id,
            session_id,
            cookies: 0,
            cookie: Vec::new(),
            again: false,
            state: State::Hello,
            transcript: Transcript::new(),
            reassembly: Reassembly::new(0),
            flight: Flight::new(0, 0),
            backoff: Backoff::start(context.now, &config.retransmission),
            protection: None,
            doubt: None,
            offered,
            config,
        };
        handshake.hello(context);
        handshake
    }

    fn hello(&mut self, context: &mut Context<'_>) {
        let mut suites = Vec::new();
        let numbers = self.config.usable_suites().map(CipherSuite::number);
        suites.extend(numbers.chain([EMPTY_RENEGOTIATION_INFO_SCSV]).flat_map(u16::to_be_bytes));
        let ticket = self.offered.as_ref().map_or(&[][..], |session| &session.ticket);
        let extensions = Extensions {
            server_name: self.config.server_name.as_deref().map(str::as_bytes),
            encrypt_then_mac: self.config.usable_suites().any(CipherSuite::is_cbc),
            extended_master_secret: self.config.extended_master_secret,
            session_ticket: self.config.tickets.then_some(ticket),
            connection_id: self.own_id,
            ..Extensions::default()
        };
        let mut body = Vec::new();
        ClientHello {
            version: VERSION,
            random: self.random,
            session_id: &self.session_id,
            cookie: &self.cookie,
            suites: List16::new(&suites).unwrap_or_default(),
            compression: &[0],
            extensions,
        }
        .put(&mut body);
        self.flight.begin();
        self.transcript = Transcript::new();
        self.transcript.update(self.flight.say(HandshakeType::ClientHello, &body));
        self.send(context);
    }

    fn send(&mut self, context: &mut Context<'_>) {
        self.again = false;
        let most = self.config.max_datagram;
        self.flight.transmit(context.now, self.protection.as_mut(), most, (), context.outbox);
        self.backoff = Backoff::start(context.now, &self.config.retransmission);
    }

    /// The length of the Connection ID in records to this handshake.
    pub(super) fn own_id_length(&self) -> usize {
        self.own_id.map_or(0, |id| id.len())
    }

    pub(super) fn protection(&mut self) -> Option<&mut Protection> {
        self.protection.as_mut()
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.reassembly.memory() + self.flight.memory()
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.backoff.deadline()
    }

    /// Sends the flight again, or gives up.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let parameters: &Retransmission = &self.config.retransmission;
        if let Some(doubt) = self.doubt.take() {
            if let Failure::Refused(description) = doubt {
                self.flight.alert(Alert::fatal(description), (), context.outbox);
            }
            return Err(doubt);
        }
        if !self.backoff.expire(context.now, parameters) {
            return Err(Failure::TimedOut);
        }
        self.again = true;
        let most = self.config.max_datagram;
        self.flight.transmit(context.now, self.protection.as_mut(), most, (), context.outbox);
        Ok(())
    }

    /// An alert that is not authentic: it is believed when nothing better comes before the next time-out.
    pub(super) fn alert(&mut self, alert: Alert) {
        if alert.fatal {
            self.doubt = Some(Failure::Alert(alert.description));
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
        if (fragment.kind == HandshakeType::Finished) != (epoch == EPOCH) {
            return false;
        }
        match self.reassembly.add(fragment) {
            Taken::Kept => true,
            Taken::Old if fragment.kind == HandshakeType::ServerHelloDone => {
                let most = self.config.max_datagram;
                self.flight.repeat(context.now, self.protection.as_mut(), most, (), context.outbox);
                true
            }
            Taken::Old | Taken::Refused => false,
        }
    }

    fn verify_request(&mut self, fragment: &Fragment<'_>, context: &mut Context<'_>) -> bool {
        let Some(request) = HelloVerifyRequest::parse(fragment.body) else { return false };
        // A datagram may come twice. A server that has restarted is believed when our answer to the one before is not answered.
        let doubled = request.cookie == self.cookie || (fragment.sequence < u16::from(self.cookies) && !self.again);
        if request.cookie.is_empty() || doubled || self.cookies == Self::MOST_COOKIES {
            return false;
        }
        self.cookies += 1;
        self.doubt = None;
        // The number of the ServerHello is that of the ClientHello which it answers.
        self.reassembly = Reassembly::new(u16::from(self.cookies));
        self.cookie = request.cookie.to_vec();
        self.hello(context);
        true
    }

    /// Takes what is complete, in order.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        while let Some(message) = self.reassembly.complete() {
            match self.check(&message) {
                Ok(input) => {
                    self.reassembly.accept();
                    self.doubt = None;
                    if let Some(finished) = self.step(input, &message, context) {
                        return Some(finished);
                    }
                }
                Err(refusal) => {
                    self.reassembly.refuse();
                    self.doubt = Some(Failure::Refused(refusal));
                }
            }
        }
        None
    }

    fn check(&self, message: &Complete) -> Result<Input, Refusal> {
        match (&self.state, message.kind) {
            (State::Hello, HandshakeType::ServerHello) => {
                let hello = ServerHello::parse(message.body()).ok_or(Refusal::DECODE_ERROR)?;
                self.check_hello(&hello).map(Input::Hello)
            }
            (State::Server { key_exchange: false, .. }, HandshakeType::ServerKeyExchange) => {
                // The hint says nothing to us: the identity is configured (RFC 4279 section 5.2).
                let mut reader = crate::wire::Reader(message.body());
                let hint = reader.vector16().ok_or(Refusal::DECODE_ERROR)?;
                reader.end(hint).map(|_| Input::KeyExchange).ok_or(Refusal::DECODE_ERROR)
            }
            (State::Server { .. }, HandshakeType::ServerHelloDone) => {
                if message.body().is_empty() {
                    Ok(Input::Done)
                } else {
                    Err(Refusal::DECODE_ERROR)
                }
            }
            (State::Finish { agreed: Agreed { ticket: true, .. }, .. }, HandshakeType::NewSessionTicket) => {
                let ticket = NewSessionTicket::parse(message.body()).ok_or(Refusal::DECODE_ERROR)?;
                Ok(Input::Ticket(ticket.ticket.to_vec()))
            }
            (State::Finish { secrets, .. }, HandshakeType::Finished) => {
                let expected = verify_data(&secrets.master, b"server finished", &self.transcript.hash());
                if same(&expected, message.body()) { Ok(Input::Finished) } else { Err(Refusal::DECRYPT_ERROR) }
            }
            _ => Err(Refusal::UNEXPECTED_MESSAGE),
        }
    }

    fn check_hello(&self, hello: &ServerHello<'_>) -> Result<Agreed, Refusal> {
        if hello.version != VERSION {
            return Err(Refusal::PROTOCOL_VERSION);
        }
        let extensions = &hello.extensions;
        let suite = self.config.usable_suites().find(|suite| suite.number() == hello.suite);
        let suite = suite.ok_or(Refusal::ILLEGAL_PARAMETER)?;
        let unasked = (extensions.connection_id.is_some() && self.own_id.is_none())
            || (extensions.session_ticket.is_some() && !self.config.tickets)
            || (extensions.extended_master_secret && !self.config.extended_master_secret)
            || extensions.groups.is_some()
            || extensions.signature_schemes.is_some();
        if unasked {
            return Err(Refusal::UNSUPPORTED_EXTENSION);
        }
        if extensions.renegotiation_info.is_some_and(|info| !info.is_empty())
            || (self.config.require_extended_master_secret && !extensions.extended_master_secret)
        {
            return Err(Refusal::HANDSHAKE_FAILURE);
        }
        let resumed =
            self.offered.as_ref().filter(|_| !self.session_id.is_empty() && hello.session_id == self.session_id);
        if let Some(session) = resumed {
            if session.secrets.suite != suite {
                return Err(Refusal::ILLEGAL_PARAMETER);
            }
            if session.secrets.extended_master_secret != extensions.extended_master_secret {
                return Err(Refusal::HANDSHAKE_FAILURE);
            }
        }
        Ok(Agreed {
            suite,
            extended_master_secret: extensions.extended_master_secret,
            encrypt_then_mac: extensions.encrypt_then_mac && suite.is_cbc(),
            server_random: hello.random,
            session_id: hello.session_id.to_vec(),
            peer_id: extensions.connection_id,
            ticket: extensions.session_ticket.is_some(),
            resumed: resumed.is_some(),
        })
    }

    fn step(&mut self, input: Input, message: &Complete, context: &mut Context<'_>) -> Option<Finished> {
        match (input, core::mem::replace(&mut self.state, State::Hello)) {
            (Input::Hello(agreed), _) => {
                self.transcript.update(message.as_bytes());
                let resumed = self.offered.as_ref().filter(|_| agreed.resumed).map(|session| session.secrets.clone());
                self.state = match resumed {
                    Some(secrets) => {
                        self.protection = Some(self.protect(&agreed, &secrets.master));
                        State::Finish { agreed, secrets, ticket: Vec::new() }
                    }
                    None => State::Server { agreed, key_exchange: false },
                };
                None
            }
            (Input::KeyExchange, State::Server { agreed, .. }) => {
                self.transcript.update(message.as_bytes());
                self.state = State::Server { agreed, key_exchange: true };
                None
            }
            (Input::Done, State::Server { agreed, .. }) => {
                self.transcript.update(message.as_bytes());
                self.answer(agreed, context);
                None
            }
            (Input::Ticket(new), State::Finish { agreed, secrets, .. }) => {
                self.transcript.update(message.as_bytes());
                self.state = State::Finish { agreed, secrets, ticket: new };
                None
            }
            (Input::Finished, State::Finish { agreed, secrets, ticket }) => {
                self.transcript.update(message.as_bytes());
                self.finish(agreed, secrets, ticket, context)
            }
            (_, state) => {
                // `check` lets each input through in its state only.
                self.state = state;
                None
            }
        }
    }

    /// Sends ClientKeyExchange, ChangeCipherSpec and Finished.
    fn answer(&mut self, agreed: Agreed, context: &mut Context<'_>) {
        let ClientCredentials::Psk(psk) = &self.config.credentials else { return };
        let premaster = psk_premaster(psk.key());
        let mut body = Vec::new();
        put_vector16(&mut body, |buffer| buffer.extend_from_slice(psk.identity()));
        self.flight.begin();
        self.transcript.update(self.flight.say(HandshakeType::ClientKeyExchange, &body));
        let master = if agreed.extended_master_secret {
            MasterSecret::extended(&premaster, &self.transcript.hash())
        } else {
            MasterSecret::derive(&premaster, &self.random, &agreed.server_random)
        };
        self.protection = Some(self.protect(&agreed, &master));
        let verify = verify_data(&master, b"client finished", &self.transcript.hash());
        self.transcript.update(self.flight.finish(&verify));
        let secrets = Secrets {
            suite: agreed.suite,
            extended_master_secret: agreed.extended_master_secret,
            master,
            peer: PeerIdentity::Psk(psk.identity().to_vec()),
            validity_unchecked: false,
        };
        self.state = State::Finish { agreed, secrets, ticket: Vec::new() };
        self.send(context);
    }

    fn protect(&self, agreed: &Agreed, master: &MasterSecret) -> Protection {
        let (client, server) = record_keys(master, agreed.suite, &self.random, &agreed.server_random);
        // Both directions use the extension or neither does (RFC 9146 section 3).
        let own = self.own_id.filter(|_| agreed.peer_id.is_some()).unwrap_or_default();
        Protection::new((client.seal, server.open), agreed.encrypt_then_mac, own, agreed.peer_id.unwrap_or_default())
    }

    fn finish(
        &mut self,
        agreed: Agreed,
        secrets: Secrets,
        ticket: Vec<u8>,
        context: &mut Context<'_>,
    ) -> Option<Finished> {
        let mut flight = None;
        if agreed.resumed {
            let verify = verify_data(&secrets.master, b"client finished", &self.transcript.hash());
            self.flight.begin();
            self.flight.finish(&verify);
            self.send(context);
            flight = Some(core::mem::replace(&mut self.flight, Flight::new(0, 0)));
        }
        let old = self.offered.take().filter(|_| agreed.resumed).map(|session| session.ticket).unwrap_or_default();
        let by_id = agreed.session_id.clone();
        Some(Finished {
            protection: self.protection.take()?,
            session: Session {
                secrets,
                // The name of an attempt with a ticket is not the id of a session.
                id: if old.is_empty() { by_id } else { Vec::new() },
                ticket: if ticket.is_empty() { old } else { ticket },
            },
            resumed: agreed.resumed,
            flight,
            client_random: self.random,
            server_random: agreed.server_random,
        })
    }
}

fn random_id(length: usize, rng: &mut ChaCha20Rng) -> ConnectionId {
    let mut bytes = [0; ConnectionId::MAX_LENGTH];
    let bytes = &mut bytes[..length.min(ConnectionId::MAX_LENGTH)];
    rng.fill_bytes(bytes);
    ConnectionId::new(bytes).unwrap_or_default()
}
