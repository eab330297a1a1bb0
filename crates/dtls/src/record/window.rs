use super::MAX_SEQUENCE;

/// Which records have come, so that none acts twice (RFC 6347 section 4.1.2.6).
///
/// The window remembers the newest record and the 63 before it; older ones count as having come. It must be asked before a record
/// is opened and told only afterwards, if the record was authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Window {
    /// One more than the newest record.
    end: u64,
    /// Bit n is set when record `end - 1 - n` has come.
    seen: u64,
}

impl Window {
    /// A window that takes nothing up to and including `sequence`.
    #[must_use]
    pub const fn above(sequence: u64) -> Self {
        Self { end: sequence + 1, seen: u64::MAX }
    }

    /// Whether a record of this number has not come yet, and is not too old to tell.
    #[must_use]
    pub const fn is_new(&self, sequence: u64) -> bool {
        if sequence >= self.end {
            return sequence <= MAX_SEQUENCE;
        }
        let age = self.end - 1 - sequence;
        age < u64::BITS as u64 && self.seen & 1 << age == 0
    }

    /// Notes that an authentic record of this number has come. Gives whether it is the newest.
    pub const fn insert(&mut self, sequence: u64) -> bool {
        if sequence < self.end {
            let age = self.end - 1 - sequence;
            if age < u64::BITS as u64 {
                self.seen |= 1 << age;
            }
            return false;
        }
        let shift = sequence + 1 - self.end;
        self.seen = if shift < u64::BITS as u64 { self.seen << shift } else { 0 } | 1;
        self.end = sequence + 1;
        true
    }

    /// The newest record that has come.
    #[must_use]
    pub const fn newest(&self) -> Option<u64> {
        self.end.checked_sub(1)
    }
}
