//! Tells a request that was lost from an answer that was lost.

use crate::wire::MessageId;

/// What the message IDs of a server's answers tell of those that are missing.
///
/// A server that answers non-confirmable requests with messages of its own counts their IDs up, as RFC 7252 section 4.4 suggests. Then each lost
/// answer leaves a gap, and a request that never arrived leaves none. TCP, too, lowers its rate when data is lost and not when an
/// acknowledgement is. IDs that do not count up one by one tell nothing: then each loss is taken for that of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    latest: Option<MessageId>,
    /// IDs that were passed over and have not been charged to a loss.
    missing: u32,
    /// Answers in a row whose IDs went up by little.
    steady: u32,
    /// The share of requests that were lost on their way there, smoothed.
    share: f64,
}

impl Trail {
    /// Answers in a row after which the IDs are believed.
    const PROOF: u32 = 16;
    /// The widest gap that lost answers leave: a wider one has another cause.
    const WIDEST: i16 = 64;
    /// Above this share of lost requests the way there is itself congested.
    const CONGESTED: f64 = 0.2;
    /// How much of the share a single request makes.
    const WEIGHT: f64 = 1.0 / 64.0;

    /// A first answer came as a message of the server's own with this ID.
    pub(super) fn answered(&mut self, id: MessageId) {
        self.share -= self.share * Self::WEIGHT;
        let Some(latest) = self.latest else {
            self.latest = Some(id);
            return;
        };
        match id.wrapping_sub(latest) as i16 {
            step @ 1..=Self::WIDEST => {
                self.latest = Some(id);
                self.missing += step as u32 - 1;
                self.steady = self.steady.saturating_add(1);
            }
            // Overtaken: what seemed to be missing has come.
            step if (-Self::WIDEST..0).contains(&step) && self.missing > 0 => self.missing -= 1,
            _ => (self.latest, self.missing, self.steady) = (Some(id), 0, 0),
        }
    }

    /// An answer came that tells nothing: piggy-backed.
    pub(super) fn answered_without_id(&mut self) {
        self.share -= self.share * Self::WEIGHT;
    }

    /// A request counts as lost: whether that is a sign of congestion.
    pub(super) fn lost(&mut self) -> bool {
        if self.steady < Self::PROOF {
            return true;
        }
        if self.missing > 0 {
            self.missing -= 1;
            return true;
        }
        self.share += (1.0 - self.share) * Self::WEIGHT;
        self.share > Self::CONGESTED
    }
}
