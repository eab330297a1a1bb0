//! The registration of one server (LwM2M Core 1.1 section 6.2): when to register, update, de-register, and try again.

use std::time::Duration;

use lapwing_coap::{
    Code, ContentFormat,
    peer::{self, Outgoing, RequestId, Transmission},
};

use super::{
    Event, Failure, FlowError, Loss, Reason, Status,
    bootstrap::{Cause, fallback},
    context::{Context, Item},
    session::Session,
};
use crate::{
    account::{BINDING, NEVER_LAPSES, ServerId},
    format,
};

/// Disable Timeout where the resource is not set (LwM2M Core 1.1 Appendix E.2).
const DISABLE_TIMEOUT: Duration = Duration::from_secs(86_400);

/// Where a registration stands.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing happens by itself.
    Stopped,
    /// The next attempt waits for its time.
    Waiting { until: Duration, disabled: bool },
    /// The driver was asked for a flow.
    Opening { since: Duration },
    /// An association is being made, or one of an earlier run is being stored again before it is used.
    Securing { since: Duration },
    /// The Register is under way. `leaving`: the server is left once it has said where the registration is.
    Registering { since: Duration, sent: Duration, request: RequestId, told: Told, leaving: bool },
    /// The server has the registration.
    Registered(Registered),
    /// The De-register is under way.
    Deregistering { request: RequestId, then: Then },
}

#[derive(Debug)]
pub(super) struct Registered {
    /// Path of the registration at the server.
    location: Vec<String>,
    told: Told,
    /// When the next Update is due; never with a lifetime of 0.
    update_at: Option<Duration>,
    updating: Option<Updating>,
    /// An Update is to follow the one that is under way.
    again: bool,
}

#[derive(Debug)]
struct Updating {
    request: RequestId,
    sent: Duration,
    told: Told,
}

/// What the server was told, so that an Update names only what is new.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    lifetime: u32,
    links: Vec<u8>,
}

impl Registered {
    /// One of an earlier run: which objects the server was told of is not known.
    pub(super) fn left(location: Vec<String>, lifetime: u32) -> Registered {
        let told = Told { lifetime, links: Vec::new() };
        Registered { location, told, update_at: None, updating: None, again: false }
    }

    /// Its location and lifetime.
    pub(super) fn to_keep(&self) -> (Vec<String>, u32) {
        (self.location.clone(), self.told.lifetime)
    }
}

/// What follows a De-register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Stop,
    Disable(Duration),
}

/// Time from a registration or update to the next update: half of the lifetime, earlier where the CoAP time-outs are set
/// so long that an Update which is lost twice would then come too late. `None`: it lapses never.
fn update_interval(lifetime: u32, transmission: &Transmission) -> Option<Duration> {
    if lifetime == NEVER_LAPSES {
        return None;
    }
    let lifetime = Duration::from_secs(lifetime.into());
    let half = lifetime / 2;
    if transmission.ack_timeout <= Transmission::default().ack_timeout {
        return Some(half);
    }
    // The second retransmission leaves after one and after another two time-outs (RFC 7252 section 4.2).
    let margin = transmission.longest_ack_timeout() * 3;
    Some(half.min(lifetime.saturating_sub(margin)).max(lifetime / 4))
}

/// How many bytes options with these values take in a message, at most (RFC 7252 section 3.1).
fn options_length(values: &[&str]) -> usize {
    values.iter().map(|value| value.len() + 5).sum()
}

impl Session {
    pub(super) fn status(&self) -> Status {
        match self.state {
            State::Stopped | State::Deregistering { then: Then::Stop, .. } => Status::Stopped,
            State::Waiting { disabled: true, .. } | State::Deregistering { .. } => Status::Disabled,
            State::Waiting { .. } => Status::Waiting,
            State::Opening { .. } | State::Securing { .. } | State::Registering { .. } => Status::Registering,
            State::Registered(_) if self.is_resuming() => Status::Registering,
            State::Registered(_) => Status::Registered,
        }
    }

    pub(super) fn registration_due(&self) -> Option<(Duration, Reason)> {
        match &self.state {
            State::Waiting { until, .. } => Some((*until, Reason::Retry)),
            State::Opening { since } => Some((*since + self.opening_limit(), Reason::Retry)),
            State::Registered(Registered { update_at: Some(due), updating: None, .. }) => {
                Some((*due, Reason::Lifetime))
            }
            _ => None,
        }
    }

    pub(super) fn registration_timeout(&mut self, cx: &mut Context) {
        if self.registration_due().is_none_or(|(due, _)| due > cx.now) {
            return;
        }
        match self.state {
            State::Waiting { .. } => self.attempt(cx),
            State::Opening { .. } => self.attempt_failed(cx, Failure::Flow(FlowError::Unresolved)),
            State::Registered(_) => self.update(cx),
            _ => {}
        }
    }

    /// A driver that resolves a name may wait for long, but not for ever.
    fn opening_limit(&self) -> Duration {
        self.connection.config().transmission.max_transmit_wait()
    }

    /// Begins an attempt to register: with a flow of its own, so that the server's name is resolved anew.
    pub(super) fn attempt(&mut self, cx: &mut Context) {
        self.close_flow(cx);
        tracing::debug!(server = self.account.ssid, uri = %self.account.uri, "registering");
        self.flow = Some(cx.open(ServerId::Server(self.account.ssid), &self.account.uri, self.wanted_port()));
        self.state = State::Opening { since: cx.now };
    }

    fn close_flow(&mut self, cx: &mut Context) {
        if let State::Registering { request, .. } | State::Deregistering { request, .. } = self.state {
            self.connection.peer().cancel(request);
        }
        if let State::Registered(Registered { updating: Some(Updating { request, .. }), .. }) = self.state {
            self.connection.peer().cancel(request);
        }
        self.end_with_flow(cx);
        if let Some(flow) = self.flow.take() {
            cx.outputs.push_back(Item::Close(flow));
        }
    }

    /// Registers at once, unless there is a registration already or one is under way.
    pub(super) fn register(&mut self, cx: &mut Context) {
        match &mut self.state {
            State::Waiting { .. } | State::Stopped => {
                self.backoff.reset();
                self.attempt(cx);
            }
            State::Registering { leaving, .. } => *leaving = false,
            // It follows at once.
            State::Deregistering { then, .. } => *then = Then::Disable(Duration::ZERO),
            _ => {}
        }
    }

    /// The network has changed: what waits for its time, for an answer that may never come, or has given up, tries at once.
    pub(super) fn network_changed(&mut self, cx: &mut Context) {
        let tries = match self.state {
            State::Waiting { disabled, .. } => !disabled,
            State::Opening { .. } | State::Securing { .. } | State::Registering { .. } => true,
            State::Stopped => self.backoff.exhausted(),
            State::Registered(_) | State::Deregistering { .. } => false,
        };
        if tries {
            self.backoff.reset();
            self.attempt(cx);
        }
    }

    pub(super) fn flow_opened(&mut self, cx: &mut Context) {
        if let State::Opening { since } = self.state {
            self.secure_flow(cx, since);
        }
    }

    /// Sends the Register of an attempt that began at `since`.
    pub(super) fn send_register(&mut self, cx: &Context, since: Duration) {
        let told = self.to_tell(cx);
        let settings = &cx.settings;
        let query = [
            format!("ep={}", settings.endpoint),
            format!("lt={}", told.lifetime),
            format!("lwm2m={}", settings.version.version()),
            format!("b={BINDING}"),
        ];
        let query = query.each_ref().map(String::as_str);
        let register = Outgoing::new(Code::POST)
            .path(&["rd"])
            .query(&query)
            .content_format(ContentFormat::LINK_FORMAT)
            .block_size(self.connection.block_size(options_length(&query)))
            .body(&told.links);
        let request = self.connection.peer().request(cx.now, register);
        self.state = State::Registering { since, sent: cx.now, request, told, leaving: false };
    }

    fn to_tell(&self, cx: &Context) -> Told {
        let mut links = Vec::new();
        format::link::emit_registration(&cx.tree, cx.settings.version.version(), FORMATS, &mut links);
        Told { lifetime: self.account.lifetime, links }
    }

    /// The flow starts from elsewhere: with a Connection ID the server learns that from an Update, otherwise it is lost.
    pub(super) fn flow_moved(&mut self, cx: &mut Context) {
        match self.state {
            State::Registered(_) if self.outlives_addresses() => {
                self.presume(cx);
                self.update(cx);
            }
            State::Registering { .. } | State::Deregistering { .. } if self.outlives_addresses() => {}
            _ => self.flow_lost(cx, None),
        }
    }

    /// The flow leads nowhere any more. `error` is what an attempt that needed it failed with; `None` makes a new one at once.
    pub(super) fn flow_lost(&mut self, cx: &mut Context, error: Option<FlowError>) {
        match (&self.state, error) {
            (State::Registered(_), _) => self.lost(cx, Loss::Moved),
            (State::Securing { .. } | State::Registering { leaving: false, .. }, None) => self.attempt(cx),
            (State::Registering { leaving: true, .. }, None) => {
                self.attempt_failed(cx, Failure::Flow(FlowError::Unreachable));
            }
            (State::Registering { .. } | State::Securing { .. } | State::Opening { .. }, Some(error)) => {
                self.attempt_failed(cx, Failure::Flow(error));
            }
            (State::Deregistering { .. }, Some(_)) => self.deregistered(cx),
            _ => {}
        }
    }

    /// Nobody is there, for now. A registration outlives that: its next Update will tell.
    pub(super) fn flow_failed(&mut self, cx: &mut Context, error: FlowError) {
        match self.state {
            State::Opening { .. } | State::Securing { .. } | State::Registering { .. } => {
                self.attempt_failed(cx, Failure::Flow(error));
            }
            State::Deregistering { .. } => self.deregistered(cx),
            _ => {}
        }
    }

    /// A request of the registration interface was answered, or was not.
    pub(super) fn answered(
        &mut self,
        cx: &mut Context,
        request: RequestId,
        answer: Result<(Code, Vec<String>), peer::Failure>,
    ) {
        match &self.state {
            State::Registering { request: own, .. } if *own == request => match answer {
                Ok((Code::CREATED, location)) if !location.is_empty() => self.registered(cx, location),
                Ok((code, _)) if code.is_success() => self.attempt_failed(cx, Failure::Protocol),
                Ok((code, _)) => self.attempt_failed(cx, Failure::Refused(code)),
                Err(peer::Failure::TimedOut) => self.attempt_failed(cx, Failure::TimedOut),
                Err(peer::Failure::Reset) => self.attempt_failed(cx, Failure::Reset),
                Err(_) => self.attempt_failed(cx, Failure::Protocol),
            },
            State::Registered(Registered { updating: Some(updating), .. }) if updating.request == request => {
                match answer {
                    Ok((code, _)) if code.is_success() => self.updated(cx),
                    Ok((Code::NOT_FOUND, _)) => self.lost(cx, Loss::Forgotten),
                    Ok((code, _)) => self.lost(cx, Loss::Refused(code)),
                    Err(peer::Failure::TimedOut) => self.lost(cx, Loss::TimedOut),
                    Err(_) => self.lost(cx, Loss::Protocol),
                }
            }
            // Whatever the answer: the server has been told, or is not there.
            State::Deregistering { request: own, .. } if *own == request => self.deregistered(cx),
            _ => {}
        }
    }

    fn registered(&mut self, cx: &mut Context, location: Vec<String>) {
        let State::Registering { since, sent, told, leaving, .. } = std::mem::replace(&mut self.state, State::Stopped)
        else {
            return;
        };
        let update_at = update_interval(told.lifetime, &cx.settings.coap.transmission).map(|after| sent + after);
        self.state = State::Registered(Registered { location, told, update_at, updating: None, again: false });
        if leaving {
            self.backoff.reset();
            return self.deregister(cx, Then::Stop);
        }
        self.outdate_record();
        self.connection.peer().set_silent(false);
        tracing::debug!(server = self.account.ssid, "registered");
        self.taken(cx);
        cx.event(Event::Registered { server: self.account.ssid, after: cx.now.saturating_sub(since) });
        // What was declared or written while the answer was under way.
        self.update_if_changed(cx);
    }

    /// The server has, or still has, the registration.
    fn taken(&mut self, cx: &mut Context) {
        self.backoff.reset();
        self.failures = 0;
        cx.registered.push(self.account.ssid);
    }

    pub(super) fn attempt_failed(&mut self, cx: &mut Context, reason: Failure) {
        if reason == Failure::TimedOut {
            self.forsake();
        }
        self.close_flow(cx);
        if let State::Registering { leaving: true, .. } = self.state {
            self.backoff.reset();
            self.state = State::Stopped;
            return;
        }
        let retry_in = self.backoff.failed(&self.account.retry, cx.random());
        self.state = match retry_in {
            Some(delay) => State::Waiting { until: cx.now + delay, disabled: false },
            None => State::Stopped,
        };
        tracing::debug!(server = self.account.ssid, %reason, ?retry_in, "not registered");
        self.failures += 1;
        if fallback::is_due(&self.account, self.failures, &reason) {
            self.failures = 0;
            cx.bootstrap_wanted.get_or_insert(Cause::Unregistered(self.account.ssid));
        }
        cx.event(Event::RegistrationFailed { server: self.account.ssid, reason, retry_in });
    }

    /// The registration counts for nothing any more: the client registers anew.
    pub(super) fn lost(&mut self, cx: &mut Context, why: Loss) {
        if matches!(self.state, State::Registered(_)) {
            self.end_registration(cx, why);
            self.attempt(cx);
        }
    }

    /// Tells that the registration has gone, and serves its server no longer.
    pub(super) fn end_registration(&mut self, cx: &mut Context, why: Loss) {
        tracing::debug!(server = self.account.ssid, reason = %why, "registration lost");
        cx.event(Event::ServerLost { server: self.account.ssid, reason: why });
        if matches!(why, Loss::TimedOut | Loss::NotificationTimedOut) {
            self.forsake();
        }
        self.end_service(cx);
    }

    /// Sends an Update, or another one after the one that is under way.
    pub(super) fn update(&mut self, cx: &mut Context) {
        let now_told = self.to_tell(cx);
        let State::Registered(registered) = &mut self.state else { return };
        if registered.updating.is_some() {
            registered.again = true;
            return;
        }
        let lifetime = format!("lt={}", now_told.lifetime);
        let query = [lifetime.as_str()];
        let path: Vec<&str> = registered.location.iter().map(String::as_str).collect();
        let mut update = Outgoing::new(Code::POST).path(&path);
        if now_told.lifetime != registered.told.lifetime {
            update = update.query(&query);
        }
        if now_told.links != registered.told.links {
            let size = self.connection.block_size(options_length(&path) + options_length(&query));
            update = update.content_format(ContentFormat::LINK_FORMAT).block_size(size).body(&now_told.links);
        }
        let request = self.connection.peer().request(cx.now, update);
        registered.updating = Some(Updating { request, sent: cx.now, told: now_told });
    }

    /// Sends an Update if the server has not been told of everything.
    pub(super) fn update_if_changed(&mut self, cx: &mut Context) {
        let now_told = self.to_tell(cx);
        let State::Registered(registered) = &self.state else { return };
        let told = registered.updating.as_ref().map_or(&registered.told, |updating| &updating.told);
        if *told != now_told {
            self.update(cx);
        }
    }

    fn updated(&mut self, cx: &mut Context) {
        let State::Registered(registered) = &mut self.state else { return };
        let Some(updating) = registered.updating.take() else { return };
        let interval = update_interval(updating.told.lifetime, &cx.settings.coap.transmission);
        registered.update_at = interval.map(|after| updating.sent + after);
        registered.told = updating.told;
        let again = std::mem::take(&mut registered.again);
        let server = self.account.ssid;
        match self.resumed() {
            Some(since) => {
                self.taken(cx);
                cx.event(Event::Resumed { server, after: cx.now.saturating_sub(since) });
                self.end_observations_of_what_has_gone(cx);
            }
            None => cx.event(Event::Updated { server }),
        }
        if again {
            self.update(cx);
        }
    }

    /// Disable (1/x/4): de-register, be silent, register anew.
    pub(super) fn disable(&mut self, cx: &mut Context) {
        let timeout =
            self.account.disable_timeout.map_or(DISABLE_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
        self.deregister(cx, Then::Disable(timeout));
    }

    /// Ends the registration, or whatever was to lead to one.
    pub(super) fn deregister(&mut self, cx: &mut Context, then: Then) {
        match &mut self.state {
            State::Registered(registered) => {
                let path: Vec<&str> = registered.location.iter().map(String::as_str).collect();
                if let Some(updating) = &registered.updating {
                    self.connection.peer().cancel(updating.request);
                }
                let request = self.connection.peer().request(cx.now, Outgoing::new(Code::DELETE).path(&path));
                self.state = State::Deregistering { request, then };
                self.forget_record(cx);
                self.end_service(cx);
            }
            State::Deregistering { then: after, .. } => *after = then,
            // The server may have the registration already, and would keep it until its lifetime ends.
            State::Registering { leaving, .. } => *leaving = true,
            State::Stopped => {}
            _ => {
                self.close_flow(cx);
                self.backoff.reset();
                self.state = State::Stopped;
            }
        }
    }

    pub(super) fn deregistered(&mut self, cx: &mut Context) {
        let State::Deregistering { then, .. } = self.state else { return };
        self.close_association(cx);
        self.close_flow(cx);
        let back_in = match then {
            Then::Stop => None,
            Then::Disable(timeout) => Some(timeout),
        };
        self.backoff.reset();
        self.state =
            back_in.map_or(State::Stopped, |timeout| State::Waiting { until: cx.now + timeout, disabled: true });
        cx.event(Event::Deregistered { server: self.account.ssid, back_in });
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }
}

/// The formats that the root link of a registration names.
const FORMATS: &[ContentFormat] = &[ContentFormat::TEXT, ContentFormat::OPAQUE, ContentFormat::TLV];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_at_half_of_the_lifetime() {
        let standard = Transmission::default();
        for (lifetime, expected) in [(0, None), (1, Some(500)), (20, Some(10_000)), (86_400, Some(43_200_000))] {
            let interval = update_interval(lifetime, &standard).map(|interval| interval.as_millis());
            assert_eq!(interval, expected, "{lifetime}");
        }
    }

    #[test]
    fn updates_earlier_where_coap_takes_long() {
        let mut slow = Transmission::default();
        slow.ack_timeout = Duration::from_secs(30);
        for (lifetime, seconds) in [(86_400, 43_200), (300, 150), (200, 65), (100, 25)] {
            assert_eq!(update_interval(lifetime, &slow), Some(Duration::from_secs(seconds)), "{lifetime}");
        }
    }
}
