//! Putting fragments together, in the order of the messages, within bounds (RFC 6347 sections 4.2.2 and 4.2.3).

use super::{Fragment, HandshakeType, fragment};

/// A whole handshake message, with the header that it has in the transcript: as if it had come in one fragment
/// (RFC 6347 section 4.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    /// The type.
    pub kind: HandshakeType,
    /// The number.
    pub sequence: u16,
    /// Header and body.
    bytes: Vec<u8>,
}

impl Complete {
    /// A message with this body.
    #[must_use]
    pub fn new(kind: HandshakeType, sequence: u16, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(fragment::HEADER + body.len());
        fragment::put_header(&mut bytes, kind, body.len(), sequence, 0, body.len());
        bytes.extend_from_slice(body);
        Self { kind, sequence, bytes }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[fragment::HEADER..]
    }

    /// Header and body, as in the transcript.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A message of which not all has come.
#[derive(Debug)]
struct Partial {
    kind: HandshakeType,
    sequence: u16,
    bytes: Vec<u8>,
    /// A bit for each byte that has come.
    have: Vec<u64>,
    missing: usize,
}

impl Partial {
    fn new(fragment: &Fragment<'_>) -> Self {
        Self {
            kind: fragment.kind,
            sequence: fragment.sequence,
            bytes: vec![0; fragment.length],
            have: vec![0; fragment.length.div_ceil(64)],
            missing: fragment.length,
        }
    }

    fn belongs(&self, fragment: &Fragment<'_>) -> bool {
        (self.kind, self.bytes.len()) == (fragment.kind, fragment.length)
    }

    /// Bytes that have come stay as they are.
    fn add(&mut self, fragment: &Fragment<'_>) {
        for (at, byte) in (fragment.offset..).zip(fragment.body) {
            let bit = 1 << (at % 64);
            if self.have[at / 64] & bit == 0 {
                self.have[at / 64] |= bit;
                self.bytes[at] = *byte;
                self.missing -= 1;
            }
        }
    }
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was put to the others.
    Kept,
    /// Its message has been handed out before: the other end sends its flight again.
    Old,
    /// Too long, too far ahead, or at odds with what is there.
    Refused,
}

/// The messages on their way in, from the one that comes next to a few after it.
#[derive(Debug)]
pub struct Reassembly {
    next: u16,
    partial: Vec<Partial>,
}

impl Reassembly {
    /// The longest message, in bytes: a chain of a few certificates.
    pub const MAX_MESSAGE: usize = 8 * 1024;
    /// How many messages after the next one are kept. A flight of this profile has five.
    pub const AHEAD: u16 = 8;
    /// The most that all messages on their way in hold, in bytes.
    pub const MAX_TOTAL: usize = 2 * Self::MAX_MESSAGE;

    /// Waits for message `next`.
    #[must_use]
    pub const fn new(next: u16) -> Self {
        Self { next, partial: Vec::new() }
    }

    /// The number of the message that comes next.
    #[must_use]
    pub const fn next_sequence(&self) -> u16 {
        self.next
    }

    /// Takes a fragment.
    pub fn add(&mut self, fragment: &Fragment<'_>) -> Taken {
        let Some(ahead) = fragment.sequence.checked_sub(self.next) else { return Taken::Old };
        if ahead > Self::AHEAD || fragment.length > Self::MAX_MESSAGE {
            return Taken::Refused;
        }
        let existing = self.partial.iter().position(|partial| partial.sequence == fragment.sequence);
        let partial = match existing {
            Some(index) if self.partial[index].belongs(fragment) => &mut self.partial[index],
            // A whole message takes the place of the first part of another that may never be completed.
            Some(index) if fragment.is_whole() && self.partial[index].missing > 0 => {
                self.partial[index] = Partial::new(fragment);
                &mut self.partial[index]
            }
            Some(_) => return Taken::Refused,
            None if ahead > 0 && self.memory() + fragment.length > Self::MAX_TOTAL => return Taken::Refused,
            None => {
                self.make_room(fragment.length);
                self.partial.push(Partial::new(fragment));
                self.partial.last_mut().expect("just pushed")
            }
        };
        partial.add(fragment);
        Taken::Kept
    }

    /// The next message finds room in any case: later ones, which will be sent again, go.
    fn make_room(&mut self, length: usize) {
        while self.memory() + length > Self::MAX_TOTAL {
            let latest = (0..self.partial.len()).max_by_key(|index| self.partial[*index].sequence);
            let Some(latest) = latest else { return };
            self.partial.swap_remove(latest);
        }
    }

    /// The next message, if all of it has come. It stays until [`Reassembly::accept`] or [`Reassembly::refuse`].
    #[must_use]
    pub fn complete(&self) -> Option<Complete> {
        let partial = self.partial.iter().find(|p| p.sequence == self.next && p.missing == 0)?;
        Some(Complete::new(partial.kind, partial.sequence, &partial.bytes))
    }

    /// The next message was taken: the one after it is the next.
    pub fn accept(&mut self) {
        self.refuse();
        self.next = self.next.wrapping_add(1);
    }

    /// The next message was not the right one: whatever comes in its place is taken.
    pub fn refuse(&mut self) {
        self.partial.retain(|partial| partial.sequence != self.next);
    }

    /// How many bytes of messages are held.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.partial.iter().map(|partial| partial.bytes.len()).sum()
    }
}
