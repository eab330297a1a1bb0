use std::time::Duration;

/// How one direction between two nodes treats datagrams. A new one delivers everything at once, whole and in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Cable {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) reordering: f64,
    pub(crate) reordering_delay: Duration,
    pub(crate) mtu: usize,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) queue: usize,
}

impl Default for Cable {
    fn default() -> Self {
        Self::new()
    }
}

impl Cable {
    /// A perfect cable.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            reordering_delay: Duration::ZERO,
            mtu: usize::MAX,
            bandwidth: None,
            queue: usize::MAX,
        }
    }

    /// The least time from one end to the other.
    #[must_use]
    pub const fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// The greatest time that is added to the latency, at random. It does not re-order: a datagram waits for the one before it.
    #[must_use]
    pub const fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// The probability that a datagram is lost, 0 to 1.
    #[must_use]
    pub const fn loss(self, probability: f64) -> Self {
        assert!(probability >= 0.0 && probability <= 1.0, "a probability is from 0 to 1");
        Self { loss: probability, ..self }
    }

    /// The probability that a datagram which is not lost arrives a second time, 0 to 1. The second copy takes its own time: that of
    /// latency, jitter and re-ordering, drawn anew.
    #[must_use]
    pub const fn duplication(self, probability: f64) -> Self {
        assert!(probability >= 0.0 && probability <= 1.0, "a probability is from 0 to 1");
        Self { duplication: probability, ..self }
    }

    /// The probability that a datagram is held back, 0 to 1, and for how long at most: others overtake it meanwhile.
    #[must_use]
    pub const fn reordering(self, probability: f64, delay: Duration) -> Self {
        assert!(probability >= 0.0 && probability <= 1.0, "a probability is from 0 to 1");
        Self { reordering: probability, reordering_delay: delay, ..self }
    }

    /// How many bytes go in per second, at least 1: datagrams queue for their turn before they travel, up to [`Cable::queue`].
    /// Without it all go in at once.
    #[must_use]
    pub const fn bandwidth(self, bytes_per_second: u64) -> Self {
        assert!(bytes_per_second > 0, "nothing goes through a cable without bandwidth");
        Self { bandwidth: Some(bytes_per_second), ..self }
    }

    /// How many bytes may wait for their turn; a datagram beyond is lost, which does not draw on chance. Only with
    /// [`Cable::bandwidth`].
    #[must_use]
    pub const fn queue(self, bytes: usize) -> Self {
        Self { queue: bytes, ..self }
    }

    /// The greatest size of a datagram in bytes; greater ones are lost.
    #[must_use]
    pub const fn mtu(self, bytes: usize) -> Self {
        Self { mtu: bytes, ..self }
    }
}
