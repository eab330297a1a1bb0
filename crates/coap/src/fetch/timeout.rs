//! Timers of a fetch.

use std::time::Duration;

use super::{
    Failure, Fetch, Pace, State,
    dialect::Dialect,
    flights::{Lost, Request},
};

/// The timers of a fetch, as reasons to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// The one confirmable request was not acknowledged (RFC 7252 section 4.2).
    Retransmission,
    /// A request was overtaken for too long (RFC 9002 section 6.1.2).
    Loss,
    /// Nothing has come of the window (RFC 9002 section 6.2).
    Probe,
    /// The next request is due (RFC 9002 section 7.7).
    Pace,
    /// The other end wanted to be left alone until now.
    Pause,
    /// Nothing new has come for [`Config::patience`](super::Config::patience).
    Patience,
}

impl Fetch {
    /// The longest time between two probes (RFC 6298 section 2.5).
    const LONGEST_PROBE: Duration = Duration::from_secs(60);

    /// When [`Fetch::handle_timeout`] must be called next, and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Duration, Timer)> {
        if self.state != State::Running {
            return None;
        }
        let waits = self.flights.out() > 0 || self.quiet_until.is_some();
        let pace = self.quiet_until.is_none() && self.next().is_some();
        [
            (self.confirmable.as_ref().map(|confirmable| confirmable.due), Timer::Retransmission),
            (self.flights.loss_at(&self.rtt), Timer::Loss),
            (self.probe_at(), Timer::Probe),
            (pace.then(|| self.pacer.ready_at(self.further())), Timer::Pace),
            (self.quiet_until, Timer::Pause),
            (waits.then(|| self.progress + self.config.patience), Timer::Patience),
        ]
        .into_iter()
        .filter_map(|(at, timer)| Some((at?, timer)))
        .min()
    }

    /// Does what is due. To be called at [`Fetch::poll_timeout`]; earlier or later does no harm.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.state != State::Running {
            return;
        }
        if self.quiet_until.is_some_and(|until| until <= now) {
            self.quiet_until = None;
        }
        let waits = self.flights.out() > 0 || self.quiet_until.is_some();
        if waits && self.progress + self.config.patience <= now {
            self.fail(Failure::TimedOut);
            return;
        }
        self.repeat_confirmable(now);
        if self.flights.loss_at(&self.rtt).is_some_and(|at| at <= now) {
            self.detect_losses(now);
        }
        if self.probe_at().is_some_and(|at| at <= now) {
            self.silences += 1;
            if self.pace == Pace::Window {
                self.probe = true;
                self.doubt_q_block2();
            } else {
                for request in self.flights.lose_all() {
                    self.give_up(&request);
                }
            }
        }
    }

    fn repeat_confirmable(&mut self, now: Duration) {
        let Some(confirmable) = self.confirmable.as_mut().filter(|confirmable| confirmable.due <= now) else { return };
        if confirmable.left == 0 {
            self.fail(Failure::TimedOut);
            return;
        }
        confirmable.left -= 1;
        confirmable.timeout *= 2;
        confirmable.due = now + confirmable.timeout;
        confirmable.again = true;
        if let Some(request) = self.flights.get_mut(confirmable.number) {
            request.repeated = true;
        }
    }

    /// When a window from which nothing comes is probed.
    fn probe_at(&self) -> Option<Duration> {
        if self.confirmable.is_some() || self.probe {
            return None;
        }
        let backoff = 2_u32.saturating_pow(self.silences);
        let timeout = self.rtt.probe_timeout().saturating_mul(backoff).min(Self::LONGEST_PROBE);
        Some(self.flights.latest()? + timeout)
    }

    /// Looks for requests that count as lost, and draws the conclusions.
    pub(super) fn detect_losses(&mut self, now: Duration) {
        let losses = self.flights.lose(now, &self.rtt);
        for Lost { number, request, follows } in losses.requests {
            if self.dialect == Dialect::Asking(number) {
                // It may well have been dropped for its option: nothing is known of the path.
                self.forget_q_block2();
                self.body.want(request.block());
                continue;
            }
            self.cubic.on_loss(now, request.sent_at, follows);
            self.give_up(&request);
        }
        if losses.persistent {
            self.cubic.on_persistent_congestion();
        }
    }

    /// A request counts as lost: its block must be asked for again.
    fn give_up(&mut self, request: &Request) {
        self.counters.lost += 1;
        self.body.want(request.block());
    }
}
