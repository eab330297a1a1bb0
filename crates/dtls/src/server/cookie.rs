//! Cookies: a client shows that its address is its own before anything is kept of it or much is sent to it
//! (RFC 6347 section 4.2.1).

use std::{net::SocketAddr, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::handshake::ClientHello;

/// Makes and verifies cookies, without keeping any.
pub(super) struct Cookies {
    key: zeroize::Zeroizing<[u8; 32]>,
}

impl Cookies {
    /// A HelloVerifyRequest with a cookie of this length, 44 bytes in all, is shorter than any ClientHello.
    const LENGTH: usize = 16;
    /// A cookie is good for this time at least, and twice as long at most.
    const PERIOD: Duration = Duration::from_secs(120);

    pub(super) fn new(key: zeroize::Zeroizing<[u8; 32]>) -> Self {
        Self { key }
    }

    pub(super) fn make(&self, now: Duration, from: SocketAddr, hello: &ClientHello<'_>) -> [u8; Self::LENGTH] {
        let whole: [u8; 32] = self.mac(period(now), from, hello).finalize().into_bytes().into();
        *whole.first_chunk().expect("16 of 32 bytes")
    }

    pub(super) fn verify(&self, now: Duration, from: SocketAddr, hello: &ClientHello<'_>) -> bool {
        let good = |period| self.mac(period, from, hello).verify_truncated_left(hello.cookie).is_ok();
        let period = period(now);
        hello.cookie.len() == Self::LENGTH && (good(period) || period.checked_sub(1).is_some_and(good))
    }

    fn mac(&self, period: u64, from: SocketAddr, hello: &ClientHello<'_>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("a key of any length");
        mac.update(&period.to_be_bytes());
        match from {
            SocketAddr::V4(from) => mac.update(&from.ip().octets()),
            SocketAddr::V6(from) => mac.update(&from.ip().octets()),
        }
        mac.update(&from.port().to_be_bytes());
        mac.update(&hello.random);
        for part in [hello.session_id, hello.suites.as_bytes(), hello.compression] {
            mac.update(&(part.len() as u16).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

fn period(now: Duration) -> u64 {
    now.as_secs() / Cookies::PERIOD.as_secs()
}
