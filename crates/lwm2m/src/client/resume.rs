//! A registration that outlives the process, with what its server observes.
//!
//! What a server was told is durable first: the answer that begins an observation waits until the observation is stored, so that none that
//! the server knows of is ever forgotten here. The other way round does no harm: a server refuses notifications that it knows nothing of,
//! and an Update of a registration that it does not have, and then the client registers.
//!
//! It is gone on with where the server can know the client: over an association of the earlier run, or, without DTLS, from the same port.

use std::time::Duration;

use lapwing_coap::{Code, ContentFormat, Token, peer::ExchangeId};

use super::{
    PersistId, StoreError,
    context::Context,
    observation::Observation,
    registration::{Registered, State},
    session::Session,
};
use crate::{
    account::{Record, RecordKey, Saved, checksum},
    connection::fingerprint,
    model::Path,
};

/// First octet of the record; another number is another format.
const VERSION: u8 = 1;
/// A notification is numbered at most so far beyond what is stored, half of it before more is stored; well below the 2^23 beyond which a
/// number counts as older (RFC 7641 section 3.4).
const AHEAD: u32 = 1 << 22;
const NUMBERS: u32 = 0xff_ffff;
/// In place of a content format where none was asked for.
const ANY_FORMAT: u16 = u16::MAX;

/// What is kept beside the registration.
#[derive(Default)]
pub(super) struct Keeping {
    /// What an earlier run left, until it is gone on with or given up.
    left: Option<Left>,
    /// The Update that goes on with it is under way, in an attempt that began then.
    resuming: Option<Duration>,
    /// The number from which notifications go on is not durable yet.
    renumbering: bool,
    /// Observations that have no answer yet.
    wanted: Vec<Wanted>,
    storing: Option<PersistId>,
    /// What is stored is not what it should be.
    stale: bool,
    /// Something may be stored.
    recorded: bool,
    /// The number that was stored last.
    number: u32,
}

/// A registration as it is stored.
#[derive(Debug, PartialEq)]
struct Left {
    /// The local port; 0 with DTLS, where the association decides.
    port: u16,
    lifetime: u32,
    number: u32,
    location: Vec<String>,
    observed: Vec<Observed>,
}

/// An observation as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Observed {
    token: Token,
    path: Path,
    accept: Option<ContentFormat>,
}

struct Wanted {
    exchange: ExchangeId,
    observed: Observed,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Storing,
    /// It is durable, and its content is being read.
    Reading,
}

impl Session {
    /// Takes what an earlier run stored, if it was stored with the account as it is.
    pub(super) fn import_registration(&mut self, cx: &mut Context, saved: &Saved) {
        let content = saved.get(self.registration_key()).unwrap_or_default();
        self.keeping.recorded = !content.is_empty();
        // What is not gone on with is removed.
        self.keeping.stale = self.keeping.recorded;
        if cx.settings.resume {
            self.keeping.left = Left::parse(content, &self.basis(cx));
            self.keeping.stale &= self.keeping.left.is_none();
        }
    }

    fn registration_key(&self) -> RecordKey {
        RecordKey::Registration(self.account.ssid)
    }

    /// What a record stands on: it holds as long as this stays.
    fn basis(&self, cx: &Context) -> Vec<u8> {
        let mut basis = fingerprint(&self.account.security, &self.account.uri).to_vec();
        basis.extend_from_slice(cx.settings.version.version().to_string().as_bytes());
        basis.extend_from_slice(cx.settings.endpoint.as_bytes());
        basis
    }

    /// The local port that a registration without DTLS can be gone on with from.
    pub(super) fn registered_port(&self) -> Option<u16> {
        self.keeping.left.as_ref().map(|left| left.port).filter(|port| *port != 0)
    }

    /// Over a flow, or an association, by which the server may know the client: goes on with its registration, or registers.
    pub(super) fn begin_registration(&mut self, cx: &mut Context, since: Duration) {
        match self.keeping.left.take() {
            Some(left) if left.port == 0 || Some(left.port) == self.local_port() => self.resume(cx, left, since),
            left => {
                self.keeping.stale |= left.is_some();
                self.send_register(cx, since);
            }
        }
    }

    /// The server cannot know the client by what there is now: it registers.
    pub(super) fn begin_anew(&mut self, cx: &mut Context, since: Duration) {
        self.keeping.stale |= self.keeping.left.take().is_some();
        self.send_register(cx, since);
    }

    fn resume(&mut self, cx: &mut Context, left: Left, since: Duration) {
        tracing::debug!(server = self.account.ssid, observations = left.observed.len(), "going on with a registration");
        let peer = self.connection.peer();
        peer.set_silent(false);
        peer.take_up_observations(left.number.wrapping_add(AHEAD));
        self.state = State::Registered(Registered::left(left.location, left.lifetime));
        (self.keeping.resuming, self.keeping.renumbering, self.keeping.stale) = (Some(since), true, true);
        for Observed { token, path, accept } in left.observed {
            let segments: Vec<String> = path.ids().iter().map(u16::to_string).collect();
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            if !self.connection.peer().take_up_observation(cx.now, token, &segments, accept) {
                continue;
            }
            let mut observation = Observation::taken_up(cx.now, token, path, accept, cx.is_numeric(&path));
            observation.set_attributes(&self.effective(&path));
            self.observations.push(observation);
        }
        cx.observed_changed = true;
        self.update(cx);
    }

    /// The server has taken an Update: when the attempt began, if that was to go on with a registration.
    pub(super) fn resumed(&mut self) -> Option<Duration> {
        self.keeping.resuming.take()
    }

    /// Whether the server has not shown yet that it still has the registration.
    pub(super) fn is_resuming(&self) -> bool {
        self.keeping.resuming.is_some()
    }

    /// Whether notifications have to wait.
    pub(super) fn holds_back(&self) -> bool {
        self.keeping.resuming.is_some() || self.keeping.renumbering
    }

    /// The registration, or what its server observes, is not what is stored any more.
    pub(super) fn outdate_record(&mut self) {
        self.keeping.stale = true;
    }

    /// There is no registration any more.
    pub(super) fn forget_registration(&mut self) {
        (self.keeping.resuming, self.keeping.renumbering, self.keeping.stale) = (None, false, true);
        for wanted in std::mem::take(&mut self.keeping.wanted) {
            self.connection.peer().drop_exchange(wanted.exchange);
        }
    }

    /// The account has gone: nothing is stored of it any more.
    pub(super) fn forget_registration_record(&mut self, cx: &mut Context) {
        self.keeping.left = None;
        if std::mem::take(&mut self.keeping.recorded) {
            cx.persist(Record::new(self.registration_key(), Vec::new()));
        }
    }

    /// How many observations have no answer yet.
    pub(super) fn observations_wanted(&self) -> usize {
        self.keeping.wanted.len()
    }

    /// A server wants to observe: it is stored first, then read and answered.
    pub(super) fn want_observation(
        &mut self,
        exchange: ExchangeId,
        token: Token,
        path: Path,
        accept: Option<ContentFormat>,
    ) {
        let observed = Observed { token, path, accept };
        self.keeping.wanted.push(Wanted { exchange, observed, stage: Stage::Waiting });
        self.keeping.stale = true;
    }

    /// A later request with the same token decides what it observes: earlier ones are answered without beginning an observation.
    pub(super) fn unwant_observation(&mut self, cx: &mut Context, token: Token) {
        let earlier = |wanted: &mut Wanted| wanted.observed.token == token && wanted.stage != Stage::Reading;
        let earlier: Vec<Wanted> = self.keeping.wanted.extract_if(.., earlier).collect();
        for Wanted { exchange, observed, .. } in earlier {
            self.read(cx, exchange, observed.path, observed.accept, None);
        }
    }

    /// Stores what is to outlive the process. Returns whether there was anything to do.
    pub(super) fn keep(&mut self, cx: &mut Context) -> bool {
        self.prune_wanted(cx);
        if self.keeping.storing.is_some() || self.retired {
            return false;
        }
        let number = self.connection.peer().notification_number();
        let used = number.wrapping_sub(self.keeping.number) & NUMBERS;
        let used_up = self.keeping.recorded && !self.observations.is_empty() && used > AHEAD / 2;
        if !std::mem::take(&mut self.keeping.stale) && !used_up {
            return false;
        }
        let content = if cx.settings.resume { self.to_keep(cx, number) } else { None };
        self.keeping.number = number;
        let stores = content.is_some();
        if !stores && !self.keeping.recorded {
            // Nothing can be gone on with, so that nothing is lost by answering.
            self.kept(cx, Ok(()));
            return true;
        }
        self.keeping.recorded = stores;
        self.keeping
            .wanted
            .iter_mut()
            .filter(|wanted| wanted.stage == Stage::Waiting)
            .for_each(|wanted| wanted.stage = Stage::Storing);
        let record = Record::new(self.registration_key(), content.unwrap_or_default());
        self.keeping.storing = Some(cx.persist(record));
        true
    }

    /// Of those that were stored, forgets the ones that have become an observation, or have not.
    fn prune_wanted(&mut self, cx: &Context) {
        if self.keeping.wanted.is_empty() {
            return;
        }
        let index = self.index;
        let ended = |wanted: &mut Wanted| {
            wanted.stage == Stage::Reading && cx.operations.by_exchange(index, wanted.exchange).is_none()
        };
        let ended: Vec<Wanted> = self.keeping.wanted.extract_if(.., ended).collect();
        let observes = |token| self.observations.iter().any(|observation| observation.token == token);
        self.keeping.stale |= ended.iter().any(|wanted| !observes(wanted.observed.token));
    }

    /// `None` where there is nothing that could be gone on with.
    fn to_keep(&self, cx: &Context, number: u32) -> Option<Vec<u8>> {
        let State::Registered(registered) = &self.state else { return None };
        let port = if self.connection.secure().is_some() { 0 } else { self.local_port()? };
        let held = self.observations.iter().map(|observation| Observed {
            token: observation.token,
            path: observation.path,
            accept: observation.accept,
        });
        let wanted = self.keeping.wanted.iter().map(|wanted| wanted.observed);
        let mut observed: Vec<Observed> = held.collect();
        for wanted in wanted {
            observed.retain(|other| other.token != wanted.token);
            observed.push(wanted);
        }
        let (location, lifetime) = registered.to_keep();
        Left { port, lifetime, number, location, observed }.encode(&self.basis(cx))
    }

    /// Whether this session waits for that record.
    pub(super) fn is_keeping(&self, id: PersistId) -> bool {
        self.keeping.storing == Some(id)
    }

    /// The record is durable, or could not be stored.
    pub(super) fn kept(&mut self, cx: &mut Context, result: Result<(), StoreError>) {
        let storing = self.keeping.storing.take();
        self.keeping.renumbering = false;
        if result.is_err() {
            tracing::warn!(server = self.account.ssid, "the registration could not be stored");
        }
        let stage = if storing.is_some() { Stage::Storing } else { Stage::Waiting };
        let mut ready = Vec::new();
        for wanted in self.keeping.wanted.iter_mut().filter(|wanted| wanted.stage == stage) {
            wanted.stage = Stage::Reading;
            ready.push((wanted.exchange, wanted.observed));
        }
        for (exchange, Observed { token, path, accept }) in ready {
            match result {
                Ok(()) => self.read(cx, exchange, path, accept, Some(token)),
                Err(StoreError) => self.respond(cx, exchange, Code::INTERNAL_SERVER_ERROR),
            }
        }
    }
}

impl Left {
    /// Version, what it stands on, port, lifetime, number, location, observations, checksum. `None` where something is too long for its length.
    fn encode(&self, basis: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![VERSION];
        put(&mut out, basis)?;
        out.extend_from_slice(&self.port.to_be_bytes());
        out.extend_from_slice(&self.lifetime.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&u16::try_from(self.location.len()).ok()?.to_be_bytes());
        for segment in &self.location {
            put(&mut out, segment.as_bytes())?;
        }
        for Observed { token, path, accept } in &self.observed {
            put(&mut out, token.as_bytes())?;
            put(&mut out, path.to_string().as_bytes())?;
            out.extend_from_slice(&accept.map_or(ANY_FORMAT, |format| format.0).to_be_bytes());
        }
        let sum = checksum(&out);
        out.extend_from_slice(&sum.to_be_bytes());
        Some(out)
    }

    fn parse(content: &[u8], basis: &[u8]) -> Option<Left> {
        let (content, sum) = content.split_last_chunk()?;
        let mut rest = content.strip_prefix(&[VERSION]).filter(|_| checksum(content).to_be_bytes() == *sum)?;
        if take(&mut rest)? != basis {
            return None;
        }
        let port = u16::from_be_bytes(number(&mut rest)?);
        let (lifetime, sequence) = (u32::from_be_bytes(number(&mut rest)?), u32::from_be_bytes(number(&mut rest)?));
        let segments = u16::from_be_bytes(number(&mut rest)?);
        let mut left = Left { port, lifetime, number: sequence, location: Vec::new(), observed: Vec::new() };
        for _ in 0..segments {
            left.location.push(text(&mut rest)?.to_owned());
        }
        while !rest.is_empty() {
            let token = Token::new(take(&mut rest)?).ok()?;
            let path = text(&mut rest)?.parse().ok()?;
            let accept = u16::from_be_bytes(number(&mut rest)?);
            let accept = (accept != ANY_FORMAT).then_some(ContentFormat(accept));
            left.observed.push(Observed { token, path, accept });
        }
        Some(left)
    }
}

/// Its length, then the bytes.
fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

fn number<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*number)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(number(rest)?);
    let (bytes, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    Some(bytes)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left() -> impl Strategy<Value = Left> {
        let observed = (any::<Vec<u8>>(), any::<[u16; 3]>(), any::<Option<u16>>());
        let observed = observed.prop_map(|(token, [object, instance, resource], accept)| Observed {
            token: Token::new(&token[..token.len().min(8)]).unwrap(),
            path: Path::object(object % 65_000).instance(instance % 65_000).resource(resource % 65_000),
            accept: accept.filter(|format| *format != ANY_FORMAT).map(ContentFormat),
        });
        let observed = prop::collection::vec(observed, 0..4);
        let location = prop::collection::vec(".{0,8}", 1..4);
        (any::<(u16, u32, u32)>(), location, observed).prop_map(|((port, lifetime, number), location, observed)| Left {
            port,
            lifetime,
            number,
            location,
            observed,
        })
    }

    proptest! {
        #[test]
        fn a_registration_survives_its_record(left in left(), basis in any::<Vec<u8>>(), cut in any::<prop::sample::Index>()) {
            let record = left.encode(&basis).unwrap();
            prop_assert_eq!(Left::parse(&record, b"of another account"), None);
            prop_assert_eq!(Left::parse(&record[..cut.index(record.len())], &basis), None);
            prop_assert_eq!(Left::parse(&record, &basis), Some(left));
        }
    }
}
