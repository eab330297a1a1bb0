pub(crate) mod coap_server;
#[cfg(feature = "http")]
pub(crate) mod http_server;

use std::time::Duration;

use lapwing::transfer::{Cause, Head, Part, Proxy, Pull, PullConfig, Pulled, Restart};

/// What a pull has brought, and how.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) body: Vec<u8>,
    pub(crate) head: Option<Head>,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) lost: Vec<Cause>,
}

impl Got {
    /// What another pull goes on from.
    pub(crate) fn part(&self) -> Part {
        Part::new(self.body.len() as u64, self.head.as_ref().expect("a head"))
    }

    /// Goes on until it ends, or until so many bytes are there.
    pub(crate) async fn pull(&mut self, pull: &mut Pull, until: usize) -> Result<(), Cause> {
        while self.body.len() < until {
            match pull.next().await {
                Pulled::Head(head) => {
                    assert_eq!(head.offset, self.body.len() as u64, "data that belongs elsewhere");
                    self.head = Some(head);
                }
                Pulled::Data(bytes) => self.body.extend_from_slice(bytes),
                Pulled::Restarted(why) => {
                    self.body.clear();
                    self.restarts.push(why);
                }
                Pulled::Retrying { cause, .. } => self.lost.push(cause),
                Pulled::Done => return Ok(()),
                Pulled::Failed(cause) => return Err(cause),
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }
}

/// The whole pull, from the beginning.
pub(crate) async fn all(mut pull: Pull) -> (Got, Result<(), Cause>) {
    let mut got = Got::default();
    let result = tokio::time::timeout(Duration::from_secs(60), got.pull(&mut pull, usize::MAX)).await;
    (got, result.expect("an end"))
}

/// Impatient, and without anything of this machine.
pub(crate) fn config() -> PullConfig {
    let mut config = PullConfig::default();
    config.give_up = Duration::from_secs(5);
    config.first_pause = Duration::from_millis(1);
    config.longest_pause = Duration::from_millis(20);
    config.read_timeout = Duration::from_millis(500);
    config.proxy = Proxy::Direct;
    config.system_authorities = false;
    config
}

/// A body in which no two blocks are the same.
pub(crate) fn body(length: usize, seed: u32) -> Vec<u8> {
    let word =
        |index: u32| (index ^ seed).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b).to_le_bytes();
    (0..).flat_map(word).take(length).collect()
}

/// A few numbers from a seed (xorshift).
#[cfg(feature = "http")]
pub(crate) struct Dice(pub(crate) u64);

#[cfg(feature = "http")]
impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
