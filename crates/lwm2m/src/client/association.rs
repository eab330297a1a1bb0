//! The DTLS association of a session: how it is made, how the server shows that it still knows it, and how it outlives the process.
//!
//! Two states decide. The [`Standing`] says whether the server can be expected to know the association; a [`Reservation`] says
//! what of it is durable. What is stored says from which record number on an import goes on, and no number from there on is used
//! by this process before a later one is stored: so none is ever used twice, whenever the process ends. When storing fails,
//! the association goes on with the numbers that it has, and then a handshake makes a new one.

use std::time::Duration;

use lapwing_dtls::{Closed, Established, Export, Failure as HandshakeFailure};

use super::{
    Event, Failure, Loss, PersistId, StoreError,
    backoff::Backoff,
    context::{Context, Item},
    registration::State,
    session::Session,
};
use crate::{
    account::{Record, RecordKey, Saved, ServerId},
    connection::{Standing, fingerprint},
};

/// What of the association is on its way to the disk.
#[derive(Default)]
pub(super) enum Reservation {
    /// Nothing.
    #[default]
    Idle,
    /// An export, whose numbers may be used when it is there.
    Storing(PersistId, Export),
    /// The last one did not get there. Nothing of this association is stored any more.
    Failed,
}

/// What is kept beside the connection.
#[derive(Default)]
pub(super) struct Association {
    reservation: Reservation,
    /// Something may be stored.
    recorded: bool,
    /// The local port of the flow, where the driver told it.
    local_port: Option<u16>,
    /// Where the server knows the association by its address: the local port that it was made at.
    port: Option<u16>,
    /// When the handshake was complete.
    made_at: Duration,
    /// Delays after associations that a server ended soon.
    closures: Backoff,
}

/// A server that ends associations sooner is broken: the client comes back at once only where they last longer.
const LASTING: Duration = Duration::from_secs(60);

/// What is stored: a version, the account's fingerprint, the local port (0 with a Connection ID), the export.
const VERSION: u8 = 1;
const HEAD: usize = 1 + 32 + 2;

impl Session {
    /// Takes up what an earlier run stored, if it was made with the account as it is.
    pub(super) fn import(&mut self, cx: &Context, saved: &Saved) {
        let content = saved.get(self.association_key()).unwrap_or_default();
        self.association.recorded = !content.is_empty();
        let Some(secure) = self.connection.secure_mut().filter(|_| cx.settings.profile.parameters.reservation > 0)
        else {
            return;
        };
        let Some((&[VERSION, ref basis @ .., high, low], export)) = content.split_first_chunk::<HEAD>() else { return };
        let port = u16::from_be_bytes([high, low]);
        if *basis != fingerprint(&self.account.security, &self.account.uri) {
            tracing::debug!(server = self.account.ssid, "the stored association is of another account");
        } else if secure.import(export, port == 0) {
            self.association.port = (port != 0).then_some(port);
        }
    }

    fn association_key(&self) -> RecordKey {
        RecordKey::Association(self.account.ssid)
    }

    /// The local port that the flow has to have for the association to go on over it.
    pub(super) fn wanted_port(&self) -> Option<u16> {
        self.association.port.filter(|_| self.standing() != Standing::Absent).or_else(|| self.registered_port())
    }

    /// The local port of the flow, where the driver told it.
    pub(super) fn local_port(&self) -> Option<u16> {
        self.association.local_port
    }

    pub(super) fn bound(&mut self, port: u16) {
        self.association.local_port = Some(port);
    }

    fn standing(&self) -> Standing {
        self.connection.secure().map_or(Standing::Absent, |secure| secure.standing())
    }

    /// Whether the server knows the association wherever the client is.
    pub(super) fn outlives_addresses(&self) -> bool {
        self.connection.secure().is_some_and(|secure| secure.outlives_addresses())
    }

    /// The flow is open: goes on with the association that is there, or begins a handshake.
    pub(super) fn secure_flow(&mut self, cx: &mut Context, since: Duration) {
        let same_port = self.association.port.is_some() && self.association.port == self.association.local_port;
        let goes_on = self.standing() != Standing::Absent && (self.outlives_addresses() || same_port);
        let Some(secure) = self.connection.secure_mut() else { return self.begin_registration(cx, since) };
        self.state = State::Securing { since };
        if !goes_on {
            secure.connect(cx.now);
        } else if secure.numbers_left() > 0 {
            self.go_on(cx, since);
        } else if !matches!(self.association.reservation, Reservation::Storing(..)) {
            self.reserve(cx);
        }
    }

    /// Over an association that was made in another run or on another flow.
    fn go_on(&mut self, cx: &mut Context, since: Duration) {
        self.presume(cx);
        self.begin_registration(cx, since);
    }

    /// Gives the server the time of a message and two retransmissions to show that it still knows the association.
    pub(super) fn presume(&mut self, cx: &Context) {
        let patience = self.connection.config().transmission.longest_ack_timeout() * 3;
        if let Some(secure) = self.connection.secure_mut() {
            secure.presume(cx.now + patience);
        }
    }

    /// When the server has not shown for too long that it knows the association.
    pub(super) fn doubt_due(&self) -> Option<Duration> {
        match (self.standing(), &self.state) {
            (Standing::Presumed { until }, State::Registering { .. } | State::Registered(_)) => until,
            _ => None,
        }
    }

    /// The server does not know the association: a handshake is needed.
    pub(super) fn doubted(&mut self, cx: &mut Context) {
        self.forsake();
        match self.state {
            State::Registering { since, request, leaving: false, .. } => {
                tracing::debug!(server = self.account.ssid, "the server does not answer over the stored association");
                self.connection.peer().cancel(request);
                self.state = State::Securing { since };
                self.connection.secure_mut().into_iter().for_each(|secure| secure.connect(cx.now));
            }
            State::Registering { .. } => self.attempt_failed(cx, Failure::TimedOut),
            _ => self.lost(cx, Loss::TimedOut),
        }
    }

    /// The next flow begins with a handshake.
    pub(super) fn forsake(&mut self) {
        if let Some(secure) = self.connection.secure_mut() {
            secure.forsake();
        }
    }

    pub(super) fn established(&mut self, cx: &mut Context, established: &Established) {
        let connection_id = !established.peer_connection_id.is_empty();
        self.association.port = self.association.local_port.filter(|_| !connection_id);
        self.association.reservation = Reservation::Idle;
        self.association.made_at = cx.now;
        let (server, resumed, suite) = (self.account.ssid, established.resumed, established.suite);
        tracing::debug!(server, %suite, resumed, connection_id, "association established");
        cx.event(Event::Secured { server, resumed, connection_id });
        if established.validity_unchecked {
            cx.event(Event::ValidityUnchecked { server: ServerId::Server(server) });
        }
        self.reserve(cx);
        if let State::Securing { since } = self.state {
            self.begin_anew(cx, since);
        }
    }

    pub(super) fn handshake_failed(&mut self, cx: &mut Context, why: HandshakeFailure) {
        if let State::Securing { .. } = self.state {
            self.attempt_failed(cx, Failure::Handshake(why));
        }
    }

    /// The association has ended, and not by this end.
    pub(super) fn association_closed(&mut self, cx: &mut Context, why: Closed) {
        match self.state {
            State::Registering { .. } => self.attempt_failed(cx, Failure::Closed(why)),
            State::Registered(_) if cx.now.saturating_sub(self.association.made_at) < LASTING => {
                self.end_registration(cx, Loss::Closed(why));
                self.backoff = self.association.closures;
                self.attempt_failed(cx, Failure::Closed(why));
                self.association.closures = self.backoff;
            }
            State::Registered(_) => {
                self.association.closures.reset();
                self.lost(cx, Loss::Closed(why));
            }
            State::Deregistering { .. } => self.deregistered(cx),
            _ => {}
        }
    }

    /// Ends the association, and tells the server as long as there is a flow.
    pub(super) fn close_association(&mut self, cx: &mut Context) {
        let mut farewell = Vec::new();
        let datagram = self.connection.secure_mut().and_then(|secure| secure.close(&mut farewell));
        if let Some((flow, _)) = self.flow.zip(datagram) {
            cx.outputs.push_back(Item::Transmit(flow, farewell));
        }
    }

    /// The flow ends, and with it an association that was used on it and is known to the server by its address.
    pub(super) fn end_with_flow(&mut self, cx: &mut Context) {
        if !self.outlives_addresses() && self.standing() != (Standing::Presumed { until: None }) {
            self.close_association(cx);
        }
        self.association.local_port = None;
    }

    /// Asks for the association to be stored with further record numbers, unless it could not be taken up again.
    fn reserve(&mut self, cx: &mut Context) {
        if self.retired {
            return;
        }
        let ahead = cx.settings.profile.parameters.reservation;
        let port = if self.outlives_addresses() { Some(0) } else { self.association.port };
        let Some((secure, port)) = self.connection.secure_mut().zip(port).filter(|_| ahead > 0) else { return };
        let Some(export) = secure.export(ahead) else { return };
        let mut content = Vec::with_capacity(HEAD + export.bytes.len());
        content.push(VERSION);
        content.extend_from_slice(&fingerprint(&self.account.security, &self.account.uri));
        content.extend_from_slice(&port.to_be_bytes());
        content.extend_from_slice(&export.bytes);
        let id = cx.persist(Record::new(self.association_key(), content));
        self.association.reservation = Reservation::Storing(id, export);
        self.association.recorded = true;
    }

    /// Whether that record is of this session's association.
    pub(super) fn is_reserving(&self, id: PersistId) -> bool {
        matches!(self.association.reservation, Reservation::Storing(storing, _) if storing == id)
    }

    /// The export is durable, or could not be stored.
    pub(super) fn reserved(&mut self, cx: &mut Context, result: Result<(), StoreError>) {
        let Reservation::Storing(_, export) = std::mem::take(&mut self.association.reservation) else { return };
        let Some(secure) = self.connection.secure_mut() else { return };
        match result {
            Ok(()) => secure.exported(&export),
            Err(StoreError) => {
                tracing::warn!(
                    server = self.account.ssid,
                    "the association could not be stored: a restart takes a handshake"
                );
                self.association.reservation = Reservation::Failed;
            }
        }
        if let (State::Securing { since }, Standing::Presumed { .. }) = (&self.state, secure.standing()) {
            let since = *since;
            if secure.numbers_left() > 0 { self.go_on(cx, since) } else { secure.connect(cx.now) }
        }
    }

    /// Reserves further numbers while there are some left, and makes a new association where that fails. Returns whether there was
    /// anything to do.
    pub(super) fn watch_numbers(&mut self, cx: &mut Context) -> bool {
        let ahead = u64::from(cx.settings.profile.parameters.reservation);
        let Some(secure) = self.connection.secure().filter(|_| ahead > 0) else { return false };
        match (&self.association.reservation, &self.state) {
            (Reservation::Idle | Reservation::Failed, State::Deregistering { .. }) if secure.numbers_left() == 0 => {
                self.deregistered(cx);
                true
            }
            (Reservation::Idle, State::Registering { .. } | State::Registered(_))
                if secure.numbers_left() <= ahead / 2 =>
            {
                self.reserve(cx);
                !matches!(self.association.reservation, Reservation::Idle)
            }
            (Reservation::Failed, State::Registered(_)) if secure.numbers_left() == 0 => {
                self.forsake();
                self.lost(cx, Loss::NotStored);
                true
            }
            (Reservation::Failed, State::Registering { .. }) if secure.numbers_left() == 0 => {
                self.forsake();
                self.attempt(cx);
                true
            }
            _ => false,
        }
    }

    /// The association is about to be closed: nothing is to be taken up again.
    pub(super) fn forget_record(&mut self, cx: &mut Context) {
        if std::mem::take(&mut self.association.recorded) {
            cx.persist(Record::new(self.association_key(), Vec::new()));
        }
    }
}
