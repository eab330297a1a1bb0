//! An association: what is left of a handshake that was right.

use std::{ops::Range, time::Duration};

use crate::{
    agreed::Finished,
    alert::{Alert, AlertDescription},
    credentials::{CertificateError, PeerIdentity, Verified},
    crypto::{CipherSuite, record_keys},
    event::{Closed, Established, SendError},
    export::{self, Export, State},
    flight::Flight,
    handshake::{Fragments, HandshakeType},
    outbox::Outbox,
    protection::{Protection, Standing},
    record::{self, ConnectionId, ContentType, Record},
    session::{Secrets, Session},
};

/// Which end we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client = 0,
    Server = 1,
}

/// What an authentic record says.
pub(crate) enum Heard {
    Data(Range<usize>),
    /// The other end did not get our last flight.
    Repeat,
    /// The server would like a handshake.
    HelloRequest,
    Closed(Closed),
    Nothing,
}

/// How long the body of a record with this much content is at most.
fn sealed_length(suite: CipherSuite, content: usize) -> usize {
    match suite {
        CipherSuite::PskAes128Ccm8 | CipherSuite::EcdheEcdsaAes128Ccm8 => 8 + content + 8,
        CipherSuite::EcdheEcdsaAes128GcmSha256 => 8 + content + 16,
        // An explicit IV, a MAC, and padding to the next block.
        CipherSuite::PskAes128CbcSha256 | CipherSuite::EcdheEcdsaAes128CbcSha256 => 16 + content + 32 + 16,
    }
}

pub(crate) struct Association {
    role: Role,
    protection: Protection,
    session: Session,
    randoms: ([u8; 32], [u8; 32]),
    /// Whether the session came from an import, where neither id nor ticket is kept.
    imported: bool,
    /// Our last flight, until the other end shows that it got it.
    flight: Option<Flight>,
}

impl Association {
    pub(crate) fn new(role: Role, finished: Finished) -> Self {
        let Finished { protection, session, randoms, flight, .. } = finished;
        Self { role, protection, session, randoms, imported: false, flight }
    }

    pub(crate) fn established(&self, resumed: bool) -> Established {
        let secrets = &self.session.secrets;
        Established {
            suite: secrets.suite,
            resumed,
            extended_master_secret: secrets.extended_master_secret,
            encrypt_then_mac: self.protection.encrypt_then_mac(),
            own_connection_id: self.protection.own_id(),
            peer_connection_id: self.protection.peer_id(),
            peer: secrets.peer.clone(),
            validity_unchecked: secrets.validity_unchecked,
        }
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        Some(&self.session).filter(|_| !self.imported)
    }

    pub(crate) const fn secrets(&self) -> &Secrets {
        &self.session.secrets
    }

    /// Who the other end is.
    pub(crate) const fn peer(&self) -> &PeerIdentity {
        &self.session.secrets.peer
    }

    pub(crate) const fn own_id(&self) -> ConnectionId {
        self.protection.own_id()
    }

    /// Opens a record, its content at the end of `inbox`. `None`, and no change, where it is not authentic.
    pub(crate) fn handle(&mut self, record: &Record<'_>, inbox: &mut Vec<u8>) -> Option<(Heard, Standing, u64)> {
        let start = inbox.len();
        let opened = self.protection.open(record, inbox)?;
        let content = &inbox[opened.content.clone()];
        let heard = match opened.content_type {
            ContentType::ApplicationData => {
                if opened.standing != Standing::Unconfirmed {
                    self.flight = None;
                }
                return Some((Heard::Data(opened.content), opened.standing, opened.sequence));
            }
            // All else could be a replay of something recorded before the import.
            _ if opened.standing == Standing::Unconfirmed => Heard::Nothing,
            ContentType::Handshake => match Fragments::new(content).next().map(|fragment| fragment.kind) {
                Some(HandshakeType::Finished) => Heard::Repeat,
                Some(HandshakeType::HelloRequest) if self.role == Role::Client => Heard::HelloRequest,
                _ => Heard::Nothing,
            },
            ContentType::Alert => match Alert::parse(content) {
                Some(Alert { description: AlertDescription::CLOSE_NOTIFY, .. }) => Heard::Closed(Closed::CloseNotify),
                Some(alert) if alert.fatal => Heard::Closed(Closed::Alert(alert.description)),
                _ => Heard::Nothing,
            },
            ContentType::ChangeCipherSpec | ContentType::Tls12Cid => Heard::Nothing,
        };
        inbox.truncate(start);
        Some((heard, opened.standing, opened.sequence))
    }

    /// Sends the last flight again.
    pub(crate) fn repeat<A: Copy>(&mut self, now: Duration, most: usize, to: A, outbox: &mut Outbox<A>) {
        if let Some(flight) = &mut self.flight {
            flight.repeat(now, Some(&mut self.protection), most, to, outbox);
        }
    }

    /// The size at most of the datagram that carries this much data.
    pub(crate) fn datagram_size(&self, data: usize) -> usize {
        let peer_id = self.protection.peer_id();
        let content = data + usize::from(!peer_id.is_empty());
        record::HEADER + peer_id.len() + sealed_length(self.session.secrets.suite, content)
    }

    /// Sends data in a datagram of at most `most` bytes.
    pub(crate) fn send<A>(&mut self, data: &[u8], most: usize, to: A, outbox: &mut Outbox<A>) -> Result<(), SendError> {
        if self.datagram_size(data.len()) > most {
            return Err(SendError::TooLong(data.len()));
        }
        let sent = outbox.write(to, |buffer| self.protection.seal(ContentType::ApplicationData, data, buffer));
        if sent { Ok(()) } else { Err(SendError::NoNumberLeft) }
    }

    pub(crate) fn alert<A>(&mut self, alert: Alert, to: A, outbox: &mut Outbox<A>) {
        outbox.write(to, |buffer| self.protection.seal(ContentType::Alert, &alert.encode(), buffer));
    }

    pub(crate) fn export(&mut self, ahead: u32) -> Export {
        let next = self.protection.reserve(ahead);
        export::export(&State {
            role: self.role,
            secrets: self.session.secrets.clone(),
            randoms: self.randoms,
            encrypt_then_mac: self.protection.encrypt_then_mac(),
            own_id: self.protection.own_id(),
            peer_id: self.protection.peer_id(),
            next,
        })
    }

    pub(crate) fn exported(&mut self, export: &Export) {
        self.protection.allow(export.next);
    }

    pub(crate) const fn numbers_left(&self) -> u64 {
        self.protection.numbers_left()
    }

    pub(crate) fn import(role: Role, bytes: &[u8]) -> Option<Self> {
        let state = export::import(bytes).filter(|state| state.role == role)?;
        let Secrets { suite, master, .. } = &state.secrets;
        let (client, server) = record_keys(master, *suite, &state.randoms.0, &state.randoms.1);
        let keys = match role {
            Role::Client => (client.seal, server.open),
            Role::Server => (server.seal, client.open),
        };
        let protection = Protection::new(keys, state.encrypt_then_mac, state.own_id, state.peer_id);
        Some(Self {
            role,
            protection: protection.resume_at(state.next),
            session: Session { secrets: state.secrets, id: Vec::new(), ticket: Vec::new() },
            randoms: state.randoms,
            imported: true,
            flight: None,
        })
    }

    pub(crate) fn confirm(&mut self, sequence: u64) {
        self.protection.confirm(sequence);
    }

    pub(crate) const fn is_validity_unchecked(&self) -> bool {
        self.session.secrets.validity_unchecked
    }

    /// Checks the validity of the other end's certificates, if that was left out while the time was not known.
    pub(crate) fn verify_again(
        &mut self,
        verify: impl FnOnce(&[&[u8]]) -> Result<Verified, CertificateError>,
    ) -> Result<(), CertificateError> {
        let secrets = &mut self.session.secrets;
        if secrets.validity_unchecked && !verify(&secrets.peer.parts())?.validity_unchecked {
            secrets.validity_unchecked = false;
            secrets.peer.shorten();
        }
        Ok(())
    }

    pub(crate) fn memory(&self) -> usize {
        let session = &self.session;
        let flight = self.flight.as_ref().map_or(0, Flight::memory);
        size_of::<Self>() + session.secrets.peer.len() + session.id.len() + session.ticket.len() + flight
    }
}
