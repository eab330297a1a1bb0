//! Time zone files (RFC 9636, TZif), as far as the offset at one instant needs them.

use super::posix_tz::PosixTz;

/// The offsets from UTC of one zone.
#[derive(Debug)]
pub(super) struct Zone {
    /// Before the first transition, in seconds.
    first: i32,
    /// From this instant on (seconds since 1970), this offset; ascending.
    transitions: Vec<(i64, i32)>,
    /// The rule after the last transition.
    footer: Option<PosixTz>,
}

impl Zone {
    /// Reads a file of any version; `None` when it is not one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Header::parse(bytes)?;
        if header.version == 0 {
            let (zone, _) = header.block(&bytes[Header::LENGTH..], 4)?;
            return Some(zone);
        }
        // From version 2 on the same data follow again with 64-bit times, then the rule for the future (RFC 9636 section 3).
        let second = bytes.get(Header::LENGTH + header.length(4)?..)?;
        let header = Header::parse(second)?;
        let (mut zone, rest) = header.block(&second[Header::LENGTH..], 8)?;
        let text = rest.strip_prefix(b"\n")?;
        let text = &text[..text.iter().position(|byte| *byte == b'\n')?];
        zone.footer = match text {
            [] => None,
            text => Some(PosixTz::parse(std::str::from_utf8(text).ok()?)?),
        };
        Some(zone)
    }

    /// How far local time is ahead of UTC at `unix` (seconds since 1970), in seconds.
    pub(super) fn offset_at(&self, unix: i64) -> i32 {
        let next = self.transitions.partition_point(|(from, _)| *from <= unix);
        match (&self.footer, self.transitions.get(next), next.checked_sub(1)) {
            (Some(rule), None, _) => rule.offset_at(unix),
            (_, _, Some(last)) => self.transitions[last].1,
            (_, _, None) => self.first,
        }
    }
}

/// The counts at the start of each data block (RFC 9636 section 3.1).
struct Header {
    version: u8,
    ut_indicators: usize,
    standard_indicators: usize,
    leap_seconds: usize,
    transitions: usize,
    types: usize,
    characters: usize,
}

impl Header {
    const LENGTH: usize = 44;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::LENGTH)?.strip_prefix(b"TZif")?;
        let version = bytes[0];
        let mut counts = bytes[16..].chunks_exact(4).map(|count| usize::try_from(be_u32(count)).ok());
        let mut next = || counts.next().flatten();
        Some(Self {
            version,
            ut_indicators: next()?,
            standard_indicators: next()?,
            leap_seconds: next()?,
            transitions: next()?,
            types: next()?,
            characters: next()?,
        })
    }

    /// The length of the data block whose times have `time` bytes.
    fn length(&self, time: usize) -> Option<usize> {
        let per_transition = self.transitions.checked_mul(time + 1)?;
        let leap_seconds = self.leap_seconds.checked_mul(time + 4)?;
        [self.types.checked_mul(6)?, self.characters, leap_seconds, self.standard_indicators, self.ut_indicators]
            .into_iter()
            .try_fold(per_transition, usize::checked_add)
    }

    /// The data block at the start of `bytes` and what follows it.
    fn block<'a>(&self, bytes: &'a [u8], time: usize) -> Option<(Zone, &'a [u8])> {
        let rest = bytes.get(self.length(time)?..)?;
        let (times, bytes) = bytes.split_at(self.transitions * time);
        let (indices, bytes) = bytes.split_at(self.transitions);
        let offsets: Vec<i32> =
            bytes[..self.types * 6].chunks_exact(6).map(|kind| be_u32(kind).cast_signed()).collect();
        let times = times.chunks_exact(time).map(|bytes| match time {
            4 => i64::from(be_u32(bytes).cast_signed()),
            _ => (i64::from(be_u32(bytes).cast_signed()) << 32) | i64::from(be_u32(&bytes[4..])),
        });
        let transitions = times
            .zip(indices)
            .map(|(from, index)| Some((from, *offsets.get(usize::from(*index))?)))
            .collect::<Option<Vec<_>>>()?;
        Some((Zone { first: *offsets.first()?, transitions, footer: None }, rest))
    }
}

/// The first four bytes, which the caller has made sure of.
fn be_u32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
