//! The protected epoch: records sealed and opened, each number used once and taken once.

use std::ops::Range;

use crate::crypto::{Open, RecordHeader, Seal};
use crate::record::{self, ConnectionId, ContentType, MAX_SEQUENCE, Record, Window};

/// The only protected epoch: there is no renegotiation, a new handshake begins a new association.
pub(crate) const EPOCH: u16 = 1;

/// How an authentic record stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the newest so far.
    Newest,
    /// A newer one has come.
    Late,
    /// What came before the association was imported is not known: it may be a replay.
    Unconfirmed,
}

/// An authentic record.
pub(crate) struct Opened {
    pub(crate) content_type: ContentType,
    pub(crate) sequence: u64,
    /// Where its content is in the buffer.
    pub(crate) content: Range<usize>,
    pub(crate) standing: Standing,
}

/// Keys and record numbers of both directions.
pub(crate) struct Protection {
    seal: Seal,
    open: Open,
    encrypt_then_mac: bool,
    /// Records to us carry this.
    own_id: ConnectionId,
    /// Records to the other end carry this.
    peer_id: ConnectionId,
    /// The number of the next record.
    next: u64,
    /// No record of this number or above may be sent yet.
    limit: u64,
    /// Where the newest export goes on.
    reserved: u64,
    window: Option<Window>,
    /// The content of a record with Connection ID and its type.
    inner: Vec<u8>,
}

impl Protection {
    pub(crate) fn new(
        (seal, open): (Seal, Open),
        encrypt_then_mac: bool,
        own_id: ConnectionId,
        peer_id: ConnectionId,
    ) -> Self {
        let limit = MAX_SEQUENCE + 1;
        let window = Some(Window::default());
        Self { seal, open, encrypt_then_mac, own_id, peer_id, next: 0, limit, reserved: 0, window, inner: Vec::new() }
    }

    /// Takes up where the numbers of an exported association were reserved to. What has come before is not known. Nothing can be
    /// sent until a further export is stored: the same bytes might be imported again.
    pub(crate) fn resume_at(mut self, next: u64) -> Self {
        (self.next, self.limit, self.reserved) = (next, next, next);
        self.window = None;
        self
    }

    pub(crate) const fn own_id(&self) -> ConnectionId {
        self.own_id
    }

    pub(crate) const fn peer_id(&self) -> ConnectionId {
        self.peer_id
    }

    pub(crate) const fn encrypt_then_mac(&self) -> bool {
        self.encrypt_then_mac
    }

    /// How many records may still be sent.
    pub(crate) const fn numbers_left(&self) -> u64 {
        self.limit.saturating_sub(self.next)
    }

    /// Leaves the next `ahead` numbers to this association, and gives the number that an import goes on at. From now on that state
    /// may be the stored one, so that nothing from that number on may be used.
    pub(crate) fn reserve(&mut self, ahead: u32) -> u64 {
        self.reserved = (self.next + u64::from(ahead)).max(self.reserved).min(MAX_SEQUENCE + 1);
        self.limit = self.limit.min(self.reserved);
        self.reserved
    }

    /// All stored states go on at `limit` or above.
    pub(crate) const fn allow(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Appends one record to `buffer`. Gives whether there was a number left for it.
    pub(crate) fn seal(&mut self, content_type: ContentType, content: &[u8], buffer: &mut Vec<u8>) -> bool {
        if self.numbers_left() == 0 {
            return false;
        }
        let sequence = self.next;
        self.next += 1;
        let (outer, plaintext) = if self.peer_id.is_empty() {
            (content_type, content)
        } else {
            self.inner.clear();
            self.inner.extend_from_slice(content);
            self.inner.push(content_type as u8);
            (ContentType::Tls12Cid, &self.inner[..])
        };
        record::put_header(buffer, outer, EPOCH, sequence, self.peer_id.as_bytes(), 0);
        let start = buffer.len();
        let header = RecordHeader {
            content_type: outer as u8,
            epoch: EPOCH,
            sequence,
            cid: self.peer_id.as_bytes(),
            encrypt_then_mac: self.encrypt_then_mac,
        };
        self.seal.seal(&header, plaintext, buffer);
        let length = u16::try_from(buffer.len() - start).expect("a record of a datagram");
        buffer[start - 2..start].copy_from_slice(&length.to_be_bytes());
        true
    }

    /// Appends the content of `record` to `buffer`, if it is authentic and has not come before. Otherwise nothing changes.
    pub(crate) fn open(&mut self, record: &Record<'_>, buffer: &mut Vec<u8>) -> Option<Opened> {
        let with_id = record.content_type == ContentType::Tls12Cid;
        if record.epoch != EPOCH
            || with_id == self.own_id.is_empty()
            || record.connection_id != self.own_id.as_bytes()
            || self.window.is_some_and(|window| !window.is_new(record.sequence))
        {
            return None;
        }
        let start = buffer.len();
        let opened = self.open_into(record, buffer);
        if opened.is_none() {
            buffer.truncate(start);
        }
        opened
    }

    fn open_into(&mut self, record: &Record<'_>, buffer: &mut Vec<u8>) -> Option<Opened> {
        let start = buffer.len();
        buffer.extend_from_slice(record.body);
        let header = RecordHeader {
            content_type: record.content_type as u8,
            epoch: record.epoch,
            sequence: record.sequence,
            cid: self.own_id.as_bytes(),
            encrypt_then_mac: self.encrypt_then_mac,
        };
        let range = self.open.open(&header, &mut buffer[start..]).ok()?;
        let mut content = start + range.start..start + range.end;
        let mut content_type = record.content_type;
        if content_type == ContentType::Tls12Cid {
            // Zeros may pad the content and its type (RFC 9146 section 4).
            let last = buffer[content.clone()].iter().rposition(|byte| *byte != 0)?;
            content.end = content.start + last;
            content_type = ContentType::from_u8(buffer[content.end]).filter(|kind| *kind != ContentType::Tls12Cid)?;
        }
        buffer.truncate(content.end);
        let standing = match self.window.as_mut().map(|window| window.insert(record.sequence)) {
            None => Standing::Unconfirmed,
            Some(true) => Standing::Newest,
            Some(false) => Standing::Late,
        };
        Some(Opened { content_type, sequence: record.sequence, content, standing })
    }

    /// The record of this number is the answer to something sent since the import: nothing up to it is taken any more.
    pub(crate) fn confirm(&mut self, sequence: u64) {
        if self.window.is_none() && sequence <= MAX_SEQUENCE {
            self.window = Some(Window::above(sequence));
        }
    }
}
