use std::collections::HashSet;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

const KEY: [u8; 32] = [7; 32];

fn by_the_hash_crate(prefix: &[u8], content: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.chain_update(prefix).chain_update(content).finalize().into_bytes().into()
}

/// For every length of a record up to some blocks, every amount of padding: the MAC is that of the hash crate, and what it
/// took depends on the record's length alone.
#[test]
fn as_many_compressions_for_every_secret_length() {
    let data: Vec<u8> = (0..700).map(|index| (index * 31 % 251) as u8).collect();
    let key = MacKey::new(&KEY);
    // Without a Connection ID, and with one of 0, 8 and 32 bytes.
    for prefix in [13, 23, 31, 55].map(|length| vec![0xfe; length]) {
        for most in (0..data.len()).step_by(29) {
            let least = most.saturating_sub(255);
            let mut counts = HashSet::new();
            for length in least..=most {
                let mut count = 0;
                let mac = key.mac_with(&prefix, &data[..most], least, length, |state, block| {
                    count += 1;
                    compress256(state, &[*block]);
                });
                assert_eq!(mac, by_the_hash_crate(&prefix, &data[..length]), "{most} {length}");
                counts.insert(count);
            }
            assert_eq!(counts.len(), 1, "{counts:?} compressions for at most {most} bytes");
        }
    }
}

/// The test above would see a MAC that costs what its content needs.
#[test]
fn the_count_sees_a_shorter_content() {
    let count = |length: usize| {
        let mut count = 0;
        MacKey::new(&KEY).mac_with(&[], &[0; 300][..length], length, length, |_, _| count += 1);
        count
    };
    assert!(count(300) > count(100));
}

#[test]
fn lengths_compare() {
    for left in [0, 1, 63, 64, 16_384] {
        for right in [0, 1, 63, 64, 16_384] {
            assert_eq!(bool::from(less(left, right)), left < right);
        }
    }
}
