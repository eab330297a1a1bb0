//! Flights of handshake messages, and when they are sent again (RFC 6347 section 4.2.4).

use std::time::Duration;

use crate::{
    config::Retransmission,
    handshake::{Complete, HEADER, HandshakeType, put_fragment_header},
    outbox::Outbox,
    protection::Protection,
    record::{self, ContentType},
};

/// A message of a flight.
#[derive(Debug)]
enum Part {
    Clear(Complete),
    ChangeCipherSpec,
    Protected(Complete),
}

/// The messages that one end says in one go.
#[derive(Debug)]
pub(crate) struct Flight {
    parts: Vec<Part>,
    /// The number of the next record in the clear.
    clear: u64,
    /// The number of the next message.
    next: u16,
    sent_at: Duration,
    /// How often the other end has caused it to be sent again.
    repeats: u8,
}

impl Flight {
    /// How often the other end may cause a flight to be sent again, beside our own retransmissions.
    const MOST_REPEATS: u8 = 8;
    /// Two requests to send a flight again within this time are one.
    const PAUSE: Duration = Duration::from_millis(200);
    /// Fragments smaller than this are not worth their headers.
    const LEAST_FRAGMENT: usize = 32;
    /// What sealing adds at most, beside header and Connection ID: explicit IV, padding, MAC, true type.
    const SEALING: usize = 16 + 16 + 32 + 1;

    /// An empty flight, which goes on at these numbers of message and record.
    pub(crate) const fn new(next: u16, clear: u64) -> Self {
        Self { parts: Vec::new(), clear, next, sent_at: Duration::ZERO, repeats: 0 }
    }

    /// Begins the next flight.
    pub(crate) fn begin(&mut self) {
        self.parts.clear();
        self.repeats = 0;
    }

    /// Adds a message in the clear, and gives it for the transcript.
    pub(crate) fn say(&mut self, kind: HandshakeType, body: &[u8]) -> &[u8] {
        let message = Complete::new(kind, self.next, body);
        self.next += 1;
        self.parts.push(Part::Clear(message));
        let Some(Part::Clear(message)) = self.parts.last() else { unreachable!("just pushed") };
        message.as_bytes()
    }

    /// Adds the change of keys and the Finished message, which it gives for the transcript.
    pub(crate) fn finish(&mut self, verify_data: &[u8; 12]) -> &[u8] {
        let message = Complete::new(HandshakeType::Finished, self.next, verify_data);
        self.next += 1;
        self.parts.push(Part::ChangeCipherSpec);
        self.parts.push(Part::Protected(message));
        let Some(Part::Protected(message)) = self.parts.last() else { unreachable!("just pushed") };
        message.as_bytes()
    }

    /// Sends it, in as few datagrams of at most `most` bytes as it needs.
    pub(crate) fn transmit<A: Copy>(
        &mut self,
        now: Duration,
        mut protection: Option<&mut Protection>,
        most: usize,
        to: A,
        outbox: &mut Outbox<A>,
    ) {
        self.sent_at = now;
        let mut datagram = Vec::new();
        for part in &self.parts {
            match part {
                Part::ChangeCipherSpec => {
                    make_room(&mut datagram, record::HEADER + 1, most, to, outbox);
                    record::put_header(&mut datagram, ContentType::ChangeCipherSpec, 0, self.clear, &[], 1);
                    datagram.push(1);
                    self.clear += 1;
                }
                Part::Clear(message) => {
                    let overhead = record::HEADER + HEADER;
                    let mut rest = 0..message.body().len();
                    loop {
                        let length = fragment(&mut datagram, overhead, rest.len(), most, to, outbox);
                        let size = HEADER + length;
                        record::put_header(&mut datagram, ContentType::Handshake, 0, self.clear, &[], size);
                        self.clear += 1;
                        put_fragment(&mut datagram, message, rest.start, length);
                        rest.start += length;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                Part::Protected(message) => {
                    let Some(protection) = protection.as_deref_mut() else { continue };
                    let sealing = Self::SEALING + protection.peer_id().len();
                    make_room(&mut datagram, record::HEADER + sealing + message.as_bytes().len(), most, to, outbox);
                    protection.seal(ContentType::Handshake, message.as_bytes(), &mut datagram);
                }
            }
        }
        flush(&mut datagram, to, outbox);
    }

    /// Sends it again since the other end did not get it, unless that was asked too often.
    pub(crate) fn repeat<A: Copy>(
        &mut self,
        now: Duration,
        protection: Option<&mut Protection>,
        most: usize,
        to: A,
        outbox: &mut Outbox<A>,
    ) {
        if self.repeats < Self::MOST_REPEATS && now >= self.sent_at + Self::PAUSE {
            self.repeats += 1;
            self.transmit(now, protection, most, to, outbox);
        }
    }

    pub(crate) fn memory(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Clear(message) | Part::Protected(message) => message.as_bytes().len(),
            Part::ChangeCipherSpec => 0,
        });
        parts.sum::<usize>() + self.parts.capacity() * size_of::<Part>()
    }

    /// Sends a fatal alert in the clear.
    pub(crate) fn alert<A>(&mut self, alert: crate::alert::Alert, to: A, outbox: &mut Outbox<A>) {
        let sequence = self.clear;
        self.clear += 1;
        outbox.write(to, |buffer| put_alert(buffer, alert, sequence));
    }
}

/// Writes a record with an alert in the clear.
pub(crate) fn put_alert(buffer: &mut Vec<u8>, alert: crate::alert::Alert, sequence: u64) {
    record::put_header(buffer, ContentType::Alert, 0, sequence, &[], 2);
    buffer.extend_from_slice(&alert.encode());
}

fn put_fragment(datagram: &mut Vec<u8>, message: &Complete, offset: usize, length: usize) {
    let body = message.body();
    put_fragment_header(datagram, message.kind, body.len(), message.sequence, offset, length);
    datagram.extend_from_slice(&body[offset..offset + length]);
}

/// How much of `rest` goes into the datagram, or into a new one.
fn fragment<A: Copy>(
    datagram: &mut Vec<u8>,
    overhead: usize,
    rest: usize,
    most: usize,
    to: A,
    outbox: &mut Outbox<A>,
) -> usize {
    make_room(datagram, overhead + rest.min(Flight::LEAST_FRAGMENT), most, to, outbox);
    rest.min(most.saturating_sub(datagram.len() + overhead).max(Flight::LEAST_FRAGMENT))
}

fn make_room<A: Copy>(datagram: &mut Vec<u8>, size: usize, most: usize, to: A, outbox: &mut Outbox<A>) {
    if datagram.len() + size > most {
        flush(datagram, to, outbox);
    }
}

fn flush<A: Copy>(datagram: &mut Vec<u8>, to: A, outbox: &mut Outbox<A>) {
    outbox.write(to, |buffer| buffer.append(datagram));
}

/// When a flight is sent again, and when the handshake is given up (RFC 6347 section 4.2.4.1).
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    wait: Duration,
    deadline: Duration,
    left: u8,
}

impl Backoff {
    /// A flight has just been sent.
    pub(crate) fn start(now: Duration, parameters: &Retransmission) -> Self {
        Self { wait: parameters.first, deadline: now + parameters.first, left: parameters.most }
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The deadline has come: whether to send the flight again. Otherwise it is over.
    pub(crate) fn expire(&mut self, now: Duration, parameters: &Retransmission) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.wait = (self.wait * 2).min(parameters.longest);
        self.deadline = now + self.wait;
        true
    }
}
