//! HyStart++ (RFC 9406): leaves slow start when round trips grow longer, before the queue on the way overflows.

use std::time::Duration;

/// Watches the round trips of slow start.
#[derive(Clone, Debug)]
pub(super) struct Hystart {
    /// The round ends with the answer to this request.
    round_end: u32,
    shortest: Option<Duration>,
    shortest_before: Option<Duration>,
    samples: u32,
    conservative: Option<Conservative>,
}

/// Conservative Slow Start, in which the window still grows, slowly.
#[derive(Clone, Copy, Debug)]
struct Conservative {
    baseline: Duration,
    rounds: u32,
}

impl Hystart {
    // The constants of RFC 9406 section 4.3.
    const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
    const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
    const MIN_RTT_DIVISOR: u32 = 8;
    const N_RTT_SAMPLE: u32 = 8;
    const CSS_GROWTH_DIVISOR: f64 = 4.0;
    const CSS_ROUNDS: u32 = 5;

    pub(super) const fn new() -> Self {
        Self { round_end: 0, shortest: None, shortest_before: None, samples: 0, conservative: None }
    }

    /// Slow start is over: the window is the threshold from now on.
    pub(super) fn is_over(&self) -> bool {
        self.conservative.is_some_and(|conservative| conservative.rounds >= Self::CSS_ROUNDS)
    }

    /// Takes in the answer to request `number`, while `next` is the next to be sent. Gives by what the growth is to be divided.
    pub(super) fn on_answer(&mut self, number: u32, next: u32, rtt: Duration) -> f64 {
        if number >= self.round_end {
            self.round_end = next;
            (self.shortest_before, self.shortest, self.samples) = (self.shortest, None, 0);
            if let Some(conservative) = &mut self.conservative {
                conservative.rounds += 1;
            }
        }
        self.samples += 1;
        let shortest = self.shortest.map_or(rtt, |shortest| shortest.min(rtt));
        self.shortest = Some(shortest);
        if self.samples >= Self::N_RTT_SAMPLE {
            self.judge(shortest);
        }
        if self.conservative.is_some() { Self::CSS_GROWTH_DIVISOR } else { 1.0 }
    }

    /// RttThresh: by how much a round trip has grown when there is a queue.
    pub(super) fn margin(rtt: Duration) -> Duration {
        (rtt / Self::MIN_RTT_DIVISOR).clamp(Self::MIN_RTT_THRESH, Self::MAX_RTT_THRESH)
    }

    fn judge(&mut self, shortest: Duration) {
        match (self.conservative, self.shortest_before) {
            (Some(conservative), _) if shortest < conservative.baseline => self.conservative = None,
            (None, Some(before)) if shortest >= before + Self::margin(before) => {
                self.conservative = Some(Conservative { baseline: shortest, rounds: 0 });
            }
            _ => {}
        }
    }
}
