//! The client: one server, one association at a time.

mod handshake;
mod hello;
mod server_flight;

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{
    agreed::Finished,
    alert::{Alert, AlertDescription},
    association::{Association, Heard, Role},
    config::{ClientConfig, ClientCredentials},
    event::{Closed, Counters, Established, Failure, INBOX_LIMIT, SendError},
    handshake::Fragments,
    outbox::Outbox,
    protection::{EPOCH, Standing},
    record::{CONNECTION_ID_AT, ContentType, Record, Records},
    session::Session,
};
use handshake::{Context, Handshake, is_acceptable};

/// What a [`Client`] tells.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The handshake is complete: both ends hold the same keys.
    Established(Established),
    /// The handshake ended without an association. One that was there before goes on.
    Failed(Failure),
    /// The server has sent this.
    Data(&'a [u8]),
    /// After an import: this is authentic, but it may have come before. If it answers something that was sent since, call
    /// [`Client::confirm`]; otherwise it must have no effect.
    Unconfirmed {
        /// The number of its record.
        record: u64,
        /// What the server has sent, now or long ago.
        data: &'a [u8],
    },
    /// The association ended.
    Closed(Closed),
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A flight of the handshake was not answered: it is sent again, or the handshake given up (RFC 6347 section 4.2.4).
    Retransmission,
}

enum Queued {
    Established(Established),
    Failed(Failure),
    Data(Range<usize>),
    Unconfirmed(u64, Range<usize>),
    Closed(Closed),
}

/// One client and its server (RFC 6347).
///
/// `now` is the time elapsed since any fixed moment; it must not go back. After each call that takes `&mut self`, poll in this
/// order until each gives `None`: [`Client::poll_event`], [`Client::poll_transmit`]; then wait until [`Client::poll_timeout`].
///
/// Nothing that comes from the network makes a call fail. What is not authentic ends no association; during a handshake, where
/// nothing can be authentic, alerts and messages that do not fit are believed only when nothing better has come before
/// the next time-out.
pub struct Client {
    config: Arc<ClientConfig>,
    rng: ChaCha20Rng,
    /// The time since 1970, where it is known.
    unix: Option<Duration>,
    handshake: Option<Box<Handshake>>,
    association: Option<Box<Association>>,
    outbox: Outbox<()>,
    /// What events lend.
    inbox: Vec<u8>,
    events: VecDeque<Queued>,
    counters: Counters,
}

/// What a handshake's step needs of the client. A macro, since the parts must stay borrowed apart.
macro_rules! context {
    ($client:ident, $now:expr) => {
        Context { now: $now, unix: $client.unix, outbox: &mut $client.outbox, rng: &mut $client.rng }
    };
}

impl Client {
    /// A client without an association. `seed` must be secret, unpredictable and never used twice: randoms, Connection IDs and
    /// the keys of key exchanges are drawn from it.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, seed: [u8; 32]) -> Self {
        Self {
            config,
            unix: None,
            rng: ChaCha20Rng::from_seed(seed),
            handshake: None,
            association: None,
            outbox: Outbox::new(),
            inbox: Vec::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Begins a handshake, to resume `session` where the server still knows it. An association that is there goes on until the
    /// new one is complete.
    pub fn connect(&mut self, now: Duration, session: Option<Session>) {
        let context = &mut context!(self, now);
        self.handshake = Some(Box::new(Handshake::start(self.config.clone(), session, context)));
    }

    /// Tells the time since 1970, which the server's certificates are checked against; `None`, as at first, where it is not known or
    /// cannot be right. It stays until it is told again, so tell it before whatever is to be checked against it: that is
    /// cheap. An association whose server was believed without a check of validity is checked as soon as the time is known, and
    /// ends with [`Closed::Certificate`] if it should not have been.
    pub fn set_time(&mut self, unix: Option<Duration>) {
        self.unix = unix;
        self.verify_again();
    }

    fn verify_again(&mut self) {
        let (Some(association), Some(_)) = (&mut self.association, self.unix) else { return };
        let ClientCredentials::Certificate { trust, .. } = &self.config.credentials else { return };
        if let Err(error) = association.verify_again(|sent| trust.verify(sent, self.unix)) {
            association.alert(Alert::fatal(error.alert()), (), &mut self.outbox);
            self.association = None;
            self.events.push_back(Queued::Closed(Closed::Certificate(error)));
        }
    }

    /// Whether there is an association.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        self.association.is_some()
    }

    /// Whether a handshake is under way.
    #[must_use]
    pub const fn is_handshaking(&self) -> bool {
        self.handshake.is_some()
    }

    /// What is needed to resume the session of the association by a shorter handshake. `None` where the server gave neither an id nor
    /// a ticket, or after an import.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.association.as_ref()?.session().filter(|session| !(session.id.is_empty() && session.ticket.is_empty()))
    }

    /// Takes a datagram from the server.
    pub fn handle_datagram(&mut self, now: Duration, datagram: &[u8]) {
        let mut records = Records::new(datagram, self.connection_id_length(datagram));
        for record in records.by_ref() {
            if record.epoch == 0 {
                self.handle_clear(now, &record);
            } else {
                self.handle_protected(now, &record);
            }
        }
        self.counters.malformed += u64::from(records.skipped());
    }

    /// How long the Connection ID in a datagram is: that of the association, or that of the handshake under way.
    fn connection_id_length(&self, datagram: &[u8]) -> usize {
        let pending = self.handshake.as_ref().map_or(0, |handshake| handshake.own_id_length());
        let Some(id) = self.association.as_ref().map(|association| association.own_id()) else { return pending };
        let here = datagram.get(CONNECTION_ID_AT..).is_some_and(|rest| rest.starts_with(id.as_bytes()));
        if pending == 0 || (here && !id.is_empty()) { id.len() } else { pending }
    }

    fn handle_clear(&mut self, now: Duration, record: &Record<'_>) {
        let Some(handshake) = &mut self.handshake else {
            self.counters.unexpected += 1;
            return;
        };
        match record.content_type {
            ContentType::Handshake => self.handle_fragments(now, 0, record.body),
            ContentType::Alert => match Alert::parse(record.body) {
                Some(alert) => handshake.alert(alert),
                None => self.counters.malformed += 1,
            },
            // The epoch of the next record says the same.
            ContentType::ChangeCipherSpec => {}
            ContentType::ApplicationData | ContentType::Tls12Cid => self.counters.unexpected += 1,
        }
    }

    fn handle_fragments(&mut self, now: Duration, epoch: u16, body: &[u8]) {
        let Some(handshake) = &mut self.handshake else { return };
        let context = &mut context!(self, now);
        for fragment in Fragments::new(body) {
            if !handshake.fragment(epoch, &fragment, context) {
                self.counters.unexpected += 1;
            }
        }
        if let Some(finished) = handshake.advance(context) {
            self.complete(finished);
        }
    }

    fn complete(&mut self, finished: Finished) {
        self.handshake = None;
        if self.association.take().is_some() {
            self.events.push_back(Queued::Closed(Closed::Replaced));
        }
        let resumed = finished.resumed;
        let association = Association::new(Role::Client, finished);
        self.events.push_back(Queued::Established(association.established(resumed)));
        self.association = Some(Box::new(association));
        self.verify_again();
    }

    fn handle_protected(&mut self, now: Duration, record: &Record<'_>) {
        if self.inbox.len() > INBOX_LIMIT {
            return;
        }
        if let Some(protection) = self.handshake.as_mut().and_then(|handshake| handshake.protection()) {
            let mut content = Vec::new();
            if let Some(opened) = protection.open(record, &mut content) {
                let content = content[opened.content].to_vec();
                return self.handle_first(now, opened.content_type, &content);
            }
        }
        let Some(association) = &mut self.association else {
            self.counters.unauthentic += 1;
            return;
        };
        let most = self.config.max_datagram;
        let Some((heard, standing, sequence)) = association.handle(record, &mut self.inbox) else {
            self.counters.unauthentic += 1;
            return;
        };
        match heard {
            Heard::Data(range) if standing == Standing::Unconfirmed => {
                self.events.push_back(Queued::Unconfirmed(sequence, range));
            }
            Heard::Data(range) => self.events.push_back(Queued::Data(range)),
            Heard::Repeat => association.repeat(now, most, (), &mut self.outbox),
            Heard::HelloRequest => {
                association.alert(Alert::warning(AlertDescription::NO_RENEGOTIATION), (), &mut self.outbox)
            }
            Heard::Closed(why) => {
                association.alert(Alert::warning(AlertDescription::CLOSE_NOTIFY), (), &mut self.outbox);
                self.association = None;
                self.events.push_back(Queued::Closed(why));
            }
            Heard::Nothing => {}
        }
    }

    /// Takes an authentic record of the handshake that is under way.
    fn handle_first(&mut self, now: Duration, content_type: ContentType, content: &[u8]) {
        match content_type {
            ContentType::Handshake => self.handle_fragments(now, EPOCH, content),
            ContentType::Alert => {
                if let Some(alert) = Alert::parse(content).filter(|alert| alert.fatal) {
                    self.fail(Failure::Alert(alert.description));
                }
            }
            // What overtakes the Finished is not taken: it would be known only later that the handshake was right.
            _ => self.counters.unexpected += 1,
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.handshake = None;
        self.events.push_back(Queued::Failed(failure));
    }

    /// Sends `data` in one record of one datagram.
    ///
    /// # Errors
    /// When there is no association, or no room or number for it. Nothing is sent then.
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendError> {
        let association = self.association.as_mut().ok_or(SendError::NotEstablished)?;
        association.send(data, self.config.max_datagram, (), &mut self.outbox)
    }

    /// Closes the association, and tells the server so. A handshake that is under way ends as well. There will be no event.
    pub fn close(&mut self) {
        self.handshake = None;
        if let Some(mut association) = self.association.take() {
            association.alert(Alert::warning(AlertDescription::CLOSE_NOTIFY), (), &mut self.outbox);
        }
    }

    /// The time has come that [`Client::poll_timeout`] gave.
    pub fn handle_timeout(&mut self, now: Duration) {
        let Some(handshake) = self.handshake.as_mut().filter(|handshake| handshake.deadline() <= now) else { return };
        if let Err(failure) = handshake.expire(&mut context!(self, now)) {
            self.fail(failure);
        }
    }

    /// When [`Client::handle_timeout`] is to be called next, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        self.handshake.as_ref().map(|handshake| (handshake.deadline(), Timer::Retransmission))
    }

    /// Appends the next datagram to `buffer` and gives its place there.
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        self.outbox.pop(buffer).map(|((), range)| range)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        let Some(event) = self.events.pop_front() else {
            self.inbox.clear();
            return None;
        };
        Some(match event {
            Queued::Established(established) => Event::Established(established),
            Queued::Failed(failure) => Event::Failed(failure),
            Queued::Data(range) => Event::Data(&self.inbox[range]),
            Queued::Unconfirmed(record, range) => Event::Unconfirmed { record, data: &self.inbox[range] },
            Queued::Closed(why) => Event::Closed(why),
        })
    }

    /// Exports the association, to go on with it after a restart. Of the record numbers, the next `ahead` stay with this client; the
    /// import goes on after them. Until [`Client::exported`] is told that the bytes are stored durably, this client uses no
    /// number which an older export, or this one, has given away.
    ///
    /// The bytes are secret. `None` where there is no association.
    pub fn export(&mut self, ahead: u32) -> Option<crate::export::Export> {
        self.association.as_mut().map(|association| association.export(ahead))
    }

    /// The export is stored durably in the place of all older ones: the numbers that it reserved may be used.
    pub fn exported(&mut self, export: &crate::export::Export) {
        if let Some(association) = &mut self.association {
            association.exported(export);
        }
    }

    /// How many records may still be sent before the association must be exported again.
    #[must_use]
    pub fn numbers_left(&self) -> u64 {
        self.association.as_ref().map_or(0, |association| association.numbers_left())
    }

    /// Takes up an exported association. `false`, and nothing changes, where these bytes are not one of a client, or one that
    /// no handshake with this configuration could have made: its server is another, or its suite is not allowed.
    ///
    /// Nothing can be sent before it has been exported again, and [`Client::exported`] called.
    pub fn import(&mut self, bytes: &[u8]) -> bool {
        match Association::import(Role::Client, bytes) {
            Some(association) if is_acceptable(&self.config, association.secrets(), self.unix) => {
                self.association = Some(Box::new(association));
                self.verify_again();
                true
            }
            _ => false,
        }
    }

    /// After an import: the record with this number answers something that was sent since. It and all before it can never
    /// act again, and what comes from now on is [`Event::Data`].
    pub fn confirm(&mut self, record: u64) {
        if let Some(association) = &mut self.association {
            association.confirm(record);
        }
    }

    /// What was not passed on.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How many bytes are held, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let handshake = self.handshake.as_ref().map_or(0, |handshake| handshake.memory());
        size_of::<Self>()
            + self.outbox.memory()
            + self.inbox.capacity()
            + handshake
            + self.association.as_ref().map_or(0, |association| association.memory())
            + self.events.capacity() * size_of::<Queued>()
    }
}
