//! CUBIC (RFC 9438), in bytes, with HyStart++ (RFC 9406) and Veno's test for losses that are no congestion.
//!
//! Recovery is that of RFC 9002 section 7.3.2: one reduction a round trip, for what was sent before the last one counts no more.
//!
//! Veno (Fu and Liew, "TCP Veno", IEEE JSAC 21(2), 2003) looks at the queue when something is lost: where less than three segments
//! of the window wait on the way, the loss is taken for one of the link, and the window is lowered by little.

use std::time::Duration;

use super::{hystart::Hystart, rtt::Rtt};

/// The congestion window of a download: how many bytes of answers may be under way.
#[derive(Clone, Debug)]
pub(super) struct Cubic {
    /// Bytes that the window grows by where a TCP would grow by a segment.
    segment: f64,
    state: State,
    hystart: Hystart,
    queue: Queue,
    /// The share of answers that were lost, smoothed.
    loss: f64,
    /// What was sent up to here does not reduce the window again.
    recovery: Option<Duration>,
    last_answer: Duration,
    undo: Option<Undo>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    window: f64,
    /// ssthresh.
    threshold: f64,
    /// W_max: where the last reduction was made.
    plateau: f64,
    /// cwnd_prior: the window at the last reduction.
    prior: f64,
    /// When congestion avoidance began, and K, the seconds from then to the plateau.
    epoch: Option<(Duration, f64)>,
    /// W_est: what Reno would have, and by how much of a segment a round trip it grows until it has reached `prior`.
    reno: f64,
    alpha: f64,
}

/// The state before a reduction, and how many losses have caused it.
#[derive(Clone, Debug)]
struct Undo {
    state: State,
    lost: u32,
}

impl Cubic {
    /// C, in segments per second cubed (RFC 9438 section 4.1).
    const C: f64 = 0.4;
    /// beta_cubic (RFC 9438 section 4.6).
    const BETA: f64 = 0.7;
    /// alpha_cubic (RFC 9438 section 4.3).
    const ALPHA: f64 = 3.0 * (1.0 - Self::BETA) / (1.0 + Self::BETA);
    /// What is left of the window after a loss that is no congestion. (Veno's own 0.8 is for one-way losses and Reno; here both the
    /// request and the answer can be lost.)
    const BETA_RANDOM: f64 = 0.95;
    /// Where more than this share is lost, it is congestion.
    const CONGESTED: f64 = 0.2;
    /// How much of the share a single answer makes.
    const WEIGHT: f64 = 1.0 / 64.0;
    /// Segments in the first window (RFC 6928 section 2).
    const INITIAL: f64 = 10.0;
    /// Segments in the least one (kMinimumWindow, RFC 9002 section 7.2).
    const MINIMUM: f64 = 2.0;

    pub(super) fn new(segment: usize) -> Self {
        let segment = segment as f64;
        let window = Self::INITIAL * segment;
        let state = State {
            window,
            threshold: f64::INFINITY,
            plateau: 0.0,
            prior: 0.0,
            epoch: None,
            reno: 0.0,
            alpha: Self::ALPHA,
        };
        let (hystart, queue) = (Hystart::new(), Queue::default());
        Self { segment, state, hystart, queue, loss: 0.0, recovery: None, last_answer: Duration::ZERO, undo: None }
    }

    /// The window grows by so many bytes a segment from now on, and has as many segments as before.
    pub(super) fn set_segment(&mut self, segment: usize) {
        let scale = segment as f64 / self.segment;
        self.segment = segment as f64;
        let state = &mut self.state;
        for bytes in [&mut state.window, &mut state.threshold, &mut state.plateau, &mut state.prior, &mut state.reno] {
            *bytes *= scale;
        }
        self.undo = None;
    }

    /// The window in bytes.
    pub(super) fn window(&self) -> usize {
        self.state.window as usize
    }

    pub(super) fn is_slow_start(&self) -> bool {
        self.state.window < self.state.threshold
    }

    /// After a pause the window is at most the first one again (RFC 9438 section 5.8, RFC 5681 section 4.1).
    pub(super) fn resume_after_pause(&mut self) {
        self.state.window = self.state.window.min(Self::INITIAL * self.segment);
        self.state.epoch = None;
    }

    /// A request was answered for the first time. `limited` says that the window was what kept more from being sent.
    pub(super) fn on_answer(&mut self, now: Duration, answer: Answered, rtt: &Rtt) {
        let pause = now.saturating_sub(self.last_answer);
        self.last_answer = now;
        self.loss -= self.loss * Self::WEIGHT;
        self.queue.on_answer(now.saturating_sub(answer.sent_at));
        if self.recovery.is_some_and(|start| answer.sent_at <= start) {
            return;
        }
        if !answer.limited {
            // Time in which the window was not used does not let it grow (RFC 9438 section 5.8).
            if let Some((epoch, _)) = &mut self.state.epoch {
                *epoch = (*epoch + pause).min(now);
            }
            return;
        }
        let bytes = answer.bytes as f64;
        if self.is_slow_start() {
            let divisor = self.hystart.on_answer(answer.number, answer.next, now.saturating_sub(answer.sent_at));
            self.state.window += bytes / divisor;
            if self.hystart.is_over() {
                self.state.threshold = self.state.window;
            }
        } else {
            self.avoid(now, bytes, rtt.smoothed());
        }
    }

    /// Congestion avoidance (RFC 9438 sections 4.2 to 4.5).
    fn avoid(&mut self, now: Duration, bytes: f64, rtt: Duration) {
        let (segment, state) = (self.segment, &mut self.state);
        if state.epoch.is_none() && state.plateau <= state.window {
            (state.plateau, state.prior) = (state.window, state.window);
        }
        let (epoch, k) = *state.epoch.get_or_insert_with(|| {
            state.reno = state.window;
            (now, ((state.plateau - state.window) / segment / Self::C).cbrt())
        });
        let t = now.saturating_sub(epoch).as_secs_f64();
        let at = |t: f64| Self::C * (t - k).powi(3) * segment + state.plateau;
        let alpha = if state.reno < state.prior { state.alpha } else { 1.0 };
        state.reno += alpha * segment * bytes / state.window;
        if at(t) < state.reno {
            state.window = state.window.max(state.reno);
        } else {
            let target = at(t + rtt.as_secs_f64()).clamp(state.window, 1.5 * state.window);
            state.window += (target - state.window) * bytes / state.window;
        }
    }

    /// An answer was lost whose request left at `sent_at` (RFC 9438 sections 4.6 and 4.7); if it `follows`, together with another one,
    /// which was told before.
    pub(super) fn on_loss(&mut self, now: Duration, sent_at: Duration, follows: bool) {
        if !follows {
            self.loss += (1.0 - self.loss) * Self::WEIGHT;
        }
        if self.recovery.is_some_and(|start| sent_at <= start) {
            if let Some(undo) = &mut self.undo {
                undo.lost += 1;
            }
            return;
        }
        self.undo = Some(Undo { state: self.state, lost: 1 });
        self.recovery = Some(now);
        let random = self.loss < Self::CONGESTED && !self.queue.is_there(self.state.window / self.segment);
        let state = &mut self.state;
        state.prior = state.window;
        let converging = state.window < state.plateau && !random;
        state.plateau = if converging { state.window * (1.0 + Self::BETA) / 2.0 } else { state.window };
        let beta = if random { Self::BETA_RANDOM } else { Self::BETA };
        state.alpha = if random { 1.0 } else { Self::ALPHA };
        state.threshold = (state.window * beta).max(Self::MINIMUM * self.segment);
        (state.window, state.epoch) = (state.threshold, None);
    }

    /// What had counted as lost came after all. If that is true of all losses of the last reduction, it is taken back (RFC 9438
    /// section 4.9).
    pub(super) fn on_spurious_loss(&mut self) {
        let Some(undo) = &mut self.undo else { return };
        undo.lost = undo.lost.saturating_sub(1);
        if undo.lost == 0 {
            let window = self.state.window;
            self.state = undo.state;
            self.state.window = self.state.window.max(window);
            (self.recovery, self.undo) = (None, None);
        }
    }

    /// All that was sent for a long time was lost (RFC 9002 section 7.6.2).
    pub(super) fn on_persistent_congestion(&mut self) {
        self.state.window = Self::MINIMUM * self.segment;
        self.state.epoch = None;
        (self.recovery, self.undo) = (None, None);
    }
}

/// What waits on the way, as round trips tell.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    /// The shortest round trip of all.
    base: Option<Duration>,
    /// The latest ones.
    latest: [Duration; Self::SAMPLES],
    next: usize,
}

impl Queue {
    /// The shortest of so many counts, so that jitter does not (N_RTT_SAMPLE of RFC 9406).
    const SAMPLES: usize = 8;
    /// Segments of one's own in the queue when there is congestion (beta of Veno).
    const SEGMENTS: f64 = 3.0;

    fn on_answer(&mut self, rtt: Duration) {
        if self.base.is_none() {
            self.latest = [rtt; Self::SAMPLES];
        }
        self.base = Some(self.base.map_or(rtt, |base| base.min(rtt)));
        self.latest[self.next % Self::SAMPLES] = rtt;
        self.next = (self.next + 1) % Self::SAMPLES;
    }

    /// Whether a queue has built up, for a window of so many segments: by Veno's measure, or by that of HyStart++.
    fn is_there(&self, window: f64) -> bool {
        let (Some(base), Some(latest)) = (self.base, self.latest.into_iter().min()) else { return true };
        let delay = latest.saturating_sub(base);
        let own = window * delay.as_secs_f64() / latest.as_secs_f64().max(f64::MIN_POSITIVE);
        own >= Self::SEGMENTS || delay >= Hystart::margin(base)
    }
}

/// What is told of a request that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// When it was sent.
    pub(super) sent_at: Duration,
    /// How many bytes were asked for.
    pub(super) bytes: usize,
    /// Its number, and that of the next request that will be sent.
    pub(super) number: u32,
    pub(super) next: u32,
    /// Whether the window was full when it was sent, or nearly.
    pub(super) limited: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);
    const SEGMENT: usize = 1000;

    struct Path {
        cubic: Cubic,
        now: Duration,
        rtt: Rtt,
        number: u32,
    }

    impl Path {
        fn new() -> Self {
            Self { cubic: Cubic::new(SEGMENT), now: Duration::from_secs(1), rtt: Rtt::default(), number: 0 }
        }

        /// A round trip of this length in which all of the window is answered.
        fn round(&mut self, rtt: Duration) {
            let (sent_at, segments) = (self.now, self.cubic.window() / SEGMENT);
            self.now += rtt;
            let end = self.number + segments as u32;
            while self.number < end {
                self.rtt.sample(rtt);
                let answer = Answered { sent_at, bytes: SEGMENT, number: self.number, next: end, limited: true };
                self.cubic.on_answer(self.now, answer, &self.rtt);
                self.number += 1;
            }
        }

        fn lose(&mut self) -> f64 {
            let before = self.cubic.state.window;
            self.cubic.on_loss(self.now, self.now, false);
            self.now += Duration::from_micros(1);
            self.cubic.state.window / before
        }
    }

    #[test]
    fn slow_start_doubles_until_round_trips_grow() {
        let mut path = Path::new();
        for expected in [20_000, 40_000, 80_000, 160_000] {
            path.round(RTT);
            assert_eq!(path.cubic.window(), expected);
        }
        for queue in 1..20 {
            path.round(RTT + Duration::from_millis(20 * queue));
        }
        assert!(!path.cubic.is_slow_start());
        assert!(path.cubic.window() < 160_000 * 8, "by a quarter a round, five rounds: {}", path.cubic.window());
    }

    /// RFC 9438 sections 4.2 and 4.6: down to 0.7, and back at the plateau after K seconds.
    #[test]
    fn after_congestion_the_window_comes_back_in_k_seconds() {
        let mut path = Path::new();
        (0..4).for_each(|_| path.round(RTT));
        path.round(RTT * 2);
        path.round(RTT * 2);
        let plateau = path.cubic.state.window;
        assert!((path.lose() - 0.7).abs() < 0.001);
        let k = (plateau * 0.3 / SEGMENT as f64 / 0.4).cbrt();
        let start = path.now;
        path.round(RTT);
        while path.cubic.state.window < plateau - 10.0 {
            path.round(RTT);
        }
        let took = (path.now - start).as_secs_f64();
        assert!((took - k).abs() < 0.6, "{took} s instead of {k} s");
    }

    #[test]
    fn a_loss_without_a_queue_costs_little_and_once_a_round_trip() {
        let mut path = Path::new();
        (0..4).for_each(|_| path.round(RTT));
        assert!((path.lose() - 0.95).abs() < 0.001);
        let sent_before = path.now - RTT;
        let window = path.cubic.window();
        path.cubic.on_loss(path.now, sent_before, false);
        assert_eq!(path.cubic.window(), window);
        (0..20).for_each(|_| path.cubic.on_loss(path.now, sent_before, false));
        assert!((path.lose() - 0.7).abs() < 0.001, "more than a fifth is lost: that is congestion");
    }

    #[test]
    fn losses_that_were_none_are_taken_back() {
        let mut path = Path::new();
        (0..4).for_each(|_| path.round(RTT));
        let window = path.cubic.window();
        path.lose();
        path.cubic.on_loss(path.now, path.now - RTT, false);
        path.cubic.on_spurious_loss();
        assert!(path.cubic.window() < window, "one of the two was true");
        path.cubic.on_spurious_loss();
        assert_eq!(path.cubic.window(), window);
    }
}
