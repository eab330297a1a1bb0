//! What both ends of a handshake do alike: messages in, in order; flights out, again and again; and what speaks against success.

use std::time::Duration;

use crate::{
    alert::{Alert, AlertDescription},
    config::Retransmission,
    crypto::{MasterSecret, Transcript, same, verify_data},
    event::Failure,
    flight::{Backoff, Flight},
    handshake::{Complete, Fragment, HandshakeType, Reassembly, Taken},
    outbox::Outbox,
    protection::{EPOCH, Protection},
};

/// The messages of a handshake with the end at `A`.
pub(crate) struct Exchange<A> {
    to: A,
    max_datagram: usize,
    retransmission: Retransmission,
    transcript: Transcript,
    reassembly: Reassembly,
    flight: Flight,
    backoff: Backoff,
    /// Both directions' keys, once they are there.
    pub(crate) protection: Option<Protection>,
    /// What speaks against success, without being authentic.
    doubt: Option<Failure>,
    /// How many messages may still be checked with the curve before the next time-out.
    checks: u8,
}

impl<A: Copy> Exchange<A> {
    /// How many messages are checked with the curve between two time-outs. A flight has three at most; the rest is for
    /// forgeries, which must not keep us busy.
    const CHECKS: u8 = 16;

    /// Our messages go on at `flight`; the other end's next is number `next`.
    pub(crate) fn new(
        now: Duration,
        to: A,
        max_datagram: usize,
        retransmission: &Retransmission,
        flight: Flight,
        next: u16,
    ) -> Self {
        Self {
            to,
            max_datagram,
            transcript: Transcript::new(),
            reassembly: Reassembly::new(next),
            flight,
            backoff: Backoff::start(now, retransmission),
            retransmission: retransmission.clone(),
            protection: None,
            doubt: None,
            checks: Self::CHECKS,
        }
    }

    /// Begins the handshake anew, at the other end's message `next`: what was said so far does not count (RFC 6347 section 4.2.1).
    pub(crate) fn restart(&mut self, next: u16) {
        self.transcript = Transcript::new();
        self.reassembly = Reassembly::new(next);
        self.doubt = None;
        self.flight.begin();
    }

    /// The hash of all that was said so far.
    pub(crate) fn transcript(&self) -> [u8; 32] {
        self.transcript.hash()
    }

    /// Adds a message to the transcript that was not taken from here.
    pub(crate) fn record(&mut self, message: &Complete) {
        self.transcript.update(message.as_bytes());
    }

    /// Begins our next flight.
    pub(crate) fn begin(&mut self) {
        self.flight.begin();
    }

    /// Adds a message in the clear to the flight.
    pub(crate) fn say(&mut self, kind: HandshakeType, body: &[u8]) {
        self.transcript.update(self.flight.say(kind, body));
    }

    /// Adds the change of keys and our Finished to the flight.
    pub(crate) fn say_finished(&mut self, master: &MasterSecret, label: &[u8]) {
        let verify = verify_data(master, label, &self.transcript.hash());
        self.transcript.update(self.flight.finish(&verify));
    }

    /// Whether this is the other end's Finished.
    pub(crate) fn check_finished(&self, master: &MasterSecret, label: &[u8], body: &[u8]) -> Result<(), Failure> {
        let expected = verify_data(master, label, &self.transcript.hash());
        if same(&expected, body) { Ok(()) } else { Err(AlertDescription::DECRYPT_ERROR.into()) }
    }

    /// Sends the flight, and again whenever the other end is silent.
    pub(crate) fn send(&mut self, now: Duration, outbox: &mut Outbox<A>) {
        self.transmit(now, outbox);
        self.backoff = Backoff::start(now, &self.retransmission);
    }

    fn transmit(&mut self, now: Duration, outbox: &mut Outbox<A>) {
        self.flight.transmit(now, self.protection.as_mut(), self.max_datagram, self.to, outbox);
    }

    /// Sends the flight again since the other end did not get it.
    pub(crate) fn repeat(&mut self, now: Duration, outbox: &mut Outbox<A>) {
        self.flight.repeat(now, self.protection.as_mut(), self.max_datagram, self.to, outbox);
    }

    /// The flight, for whoever has to send it again when the handshake is over.
    pub(crate) fn take_flight(&mut self) -> Flight {
        core::mem::replace(&mut self.flight, Flight::new(0, 0))
    }

    pub(crate) fn send_alert(&mut self, alert: AlertDescription, outbox: &mut Outbox<A>) {
        self.flight.alert(Alert::fatal(alert), self.to, outbox);
    }

    /// When [`Exchange::expire`] is due.
    pub(crate) const fn deadline(&self) -> Duration {
        self.backoff.deadline()
    }

    /// The deadline has come: sends the flight again if there is no doubt. `false` where that was done often enough.
    pub(crate) fn expire(&mut self, now: Duration, outbox: &mut Outbox<A>) -> bool {
        self.checks = Self::CHECKS;
        let goes_on = self.backoff.expire(now, &self.retransmission);
        if goes_on && self.doubt.is_none() {
            self.transmit(now, outbox);
        }
        goes_on
    }

    /// Something speaks against success: it is the reason for failing if nothing better comes.
    pub(crate) fn doubt(&mut self, failure: Failure) {
        self.doubt = Some(failure);
    }

    /// What spoke against success last.
    pub(crate) const fn doubts(&self) -> Option<Failure> {
        self.doubt
    }

    /// Takes a fragment of the other end's flight.
    pub(crate) fn fragment(&mut self, epoch: u16, fragment: &Fragment<'_>) -> Taken {
        if (fragment.kind == HandshakeType::Finished) != (epoch == EPOCH) {
            return Taken::Refused;
        }
        self.reassembly.add(fragment)
    }

    /// The next message, if it is complete. It stays until [`Exchange::accept`] or [`Exchange::refuse`].
    pub(crate) fn next(&mut self) -> Option<Complete> {
        let message = self.reassembly.complete()?;
        let costly = matches!(
            message.kind,
            HandshakeType::Certificate
                | HandshakeType::ServerKeyExchange
                | HandshakeType::ClientKeyExchange
                | HandshakeType::CertificateVerify
        );
        if costly {
            let Some(left) = self.checks.checked_sub(1) else {
                self.reassembly.refuse();
                return None;
            };
            self.checks = left;
        }
        Some(message)
    }

    /// The next message was right.
    pub(crate) fn accept(&mut self, message: &Complete) {
        self.reassembly.accept();
        self.doubt = None;
        self.transcript.update(message.as_bytes());
    }

    /// The next message was wrong: another may come in its place.
    pub(crate) fn refuse(&mut self, failure: Failure) {
        self.reassembly.refuse();
        self.doubt = Some(failure);
    }

    pub(crate) fn memory(&self) -> usize {
        self.reassembly.memory() + self.flight.memory()
    }
}
