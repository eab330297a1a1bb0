//! A sender as TCP's with selective acknowledgements (RFC 5681, RFC 6675), to share a link with: slow start, one segment more a
//! round trip, half after a loss. Its segments are never repeated: what they carry does not matter here.

use std::{collections::BTreeMap, time::Duration};

pub const SEGMENT: usize = 1460;
const HEADER: usize = 9;
const DATA: u8 = 0;
const ACK: u8 = 1;

pub struct Tcp {
    window: f64,
    threshold: f64,
    next: u64,
    flying: BTreeMap<u64, Duration>,
    recovery: u64,
    heard: Duration,
    rtt: Duration,
    /// Bytes that were acknowledged.
    pub delivered: u64,
}

impl Tcp {
    pub fn new(now: Duration) -> Self {
        let (window, threshold, rtt) = (10.0, f64::INFINITY, Duration::from_secs(1));
        Self { window, threshold, next: 0, flying: BTreeMap::new(), recovery: 0, heard: now, rtt, delivered: 0 }
    }

    pub fn is_its(datagram: &[u8]) -> bool {
        datagram[0] <= ACK
    }

    /// What the receiver of a segment sends back.
    pub fn acknowledge(datagram: &[u8]) -> Option<Vec<u8>> {
        (datagram[0] == DATA).then(|| [&[ACK], &datagram[1..HEADER], &[0; 40 - HEADER]].concat())
    }

    pub fn handle_ack(&mut self, now: Duration, datagram: &[u8]) {
        let number = u64::from_be_bytes(datagram[1..HEADER].try_into().unwrap());
        let Some(sent_at) = self.flying.remove(&number) else { return };
        (self.heard, self.rtt) = (now, now - sent_at);
        self.delivered += SEGMENT as u64;
        while let Some((&lost, _)) = self.flying.first_key_value().filter(|(first, _)| **first + 3 <= number) {
            self.flying.remove(&lost);
            if lost >= self.recovery {
                self.recovery = self.next;
                self.threshold = (self.window / 2.0).max(2.0);
                self.window = self.threshold;
            }
        }
        if number >= self.recovery {
            self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        }
    }

    pub fn due(&self) -> Duration {
        self.heard + (self.rtt * 2).max(Duration::from_secs(1))
    }

    pub fn handle_timeout(&mut self, now: Duration) {
        if self.due() <= now {
            self.flying.clear();
            self.threshold = (self.window / 2.0).max(2.0);
            (self.window, self.recovery, self.heard) = (1.0, self.next, now);
        }
    }

    /// The next segment, if the window has room for it.
    pub fn send(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.flying.len() as f64 >= self.window.floor() {
            return None;
        }
        let mut segment = vec![0; SEGMENT + 40];
        segment[0] = DATA;
        segment[1..HEADER].copy_from_slice(&self.next.to_be_bytes());
        self.flying.insert(self.next, now);
        self.next += 1;
        Some(segment)
    }
}
