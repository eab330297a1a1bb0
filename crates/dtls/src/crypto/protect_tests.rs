use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let text = text.trim_start_matches('-');
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn random(first: u8) -> [u8; 32] {
    core::array::from_fn(|index| first + index as u8)
}

fn keys(suite: CipherSuite) -> (RecordKeys, RecordKeys) {
    let master = MasterSecret::from_bytes(&core::array::from_fn(|index| index as u8));
    record_keys(&master, suite, &random(0x40), &random(0x80))
}

/// Every way to protect a record: suite, encrypt-then-MAC.
const WAYS: [(CipherSuite, bool); 4] = [
    (CipherSuite::PskAes128Ccm8, false),
    (CipherSuite::EcdheEcdsaAes128GcmSha256, false),
    (CipherSuite::PskAes128CbcSha256, false),
    (CipherSuite::PskAes128CbcSha256, true),
];

struct Vector {
    suite: CipherSuite,
    side: usize,
    encrypt_then_mac: bool,
    least_padding: bool,
    content_type: u8,
    epoch: u16,
    sequence: u64,
    cid: Vec<u8>,
    content: Vec<u8>,
    body: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let lines = include_str!("../../tests/vectors/records.txt").lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let mut field = line.split(' ');
        let mut next = || field.next().unwrap();
        Vector {
            suite: CipherSuite::from_number(u16::from_str_radix(next(), 16).unwrap()).unwrap(),
            side: next().parse().unwrap(),
            encrypt_then_mac: next() == "1",
            least_padding: next() == "0",
            content_type: next().parse().unwrap(),
            epoch: next().parse().unwrap(),
            sequence: next().parse().unwrap(),
            cid: hex(next()),
            content: hex(next()),
            body: hex(next()),
        }
    };
    lines.map(read).collect()
}

/// Records by an independent implementation (`tests/vectors/records.py`), with and without Connection ID (RFC 9146 section 5).
#[test]
fn records_of_an_independent_implementation() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 2 * 2 * 6 * (1 + 1 + 6));
    for vector in vectors {
        let (client, server) = keys(vector.suite);
        let keys = if vector.side == 0 { client } else { server };
        let header = RecordHeader {
            content_type: vector.content_type,
            epoch: vector.epoch,
            sequence: vector.sequence,
            cid: &vector.cid,
            encrypt_then_mac: vector.encrypt_then_mac,
        };
        let mut body = vector.body.clone();
        let content = keys.open.open(&header, &mut body).unwrap();
        assert_eq!(body[content], vector.content);
        if vector.least_padding {
            let mut sealed = b"header".to_vec();
            keys.seal.seal(&header, &vector.content, &mut sealed);
            assert_eq!(sealed[6..], vector.body);
        }
    }
}

fn header(cid: &[u8], sequence: u64, encrypt_then_mac: bool) -> RecordHeader<'_> {
    let content_type = if cid.is_empty() { 23 } else { TLS12_CID };
    RecordHeader { content_type, epoch: 1, sequence, cid, encrypt_then_mac }
}

#[test]
fn not_a_bit_of_a_record_can_be_changed() {
    for (suite, encrypt_then_mac) in WAYS {
        for cid in [&[][..], &[1, 2, 3]] {
            let (keys, _) = keys(suite);
            let header = header(cid, 5, encrypt_then_mac);
            let mut body = Vec::new();
            keys.seal.seal(&header, b"temperature 21.5", &mut body);
            for bit in 0..body.len() * 8 {
                let mut changed = body.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(keys.open.open(&header, &mut changed), Err(Unauthentic), "{suite}, bit {bit}");
            }
            for length in 0..body.len() {
                assert_eq!(
                    keys.open.open(&header, &mut body.clone()[..length]),
                    Err(Unauthentic),
                    "{suite}, {length} bytes"
                );
            }
            body.push(0);
            assert_eq!(keys.open.open(&header, &mut body), Err(Unauthentic), "{suite}, a byte more");
        }
    }
}

#[test]
fn nothing_of_the_header_can_be_changed() {
    for (suite, encrypt_then_mac) in WAYS {
        let (keys, other) = keys(suite);
        for cid in [&[][..], &[1, 2, 3]] {
            let right = header(cid, 5, encrypt_then_mac);
            let mut body = Vec::new();
            keys.seal.seal(&right, b"content", &mut body);
            let wrong = [
                RecordHeader { sequence: 6, ..right },
                RecordHeader { sequence: 5 | 1 << 47, ..right },
                RecordHeader { epoch: 2, ..right },
                RecordHeader { content_type: if cid.is_empty() { 22 } else { 23 }, ..right },
                RecordHeader { content_type: TLS12_CID, cid: &[1, 2], ..right },
                RecordHeader { content_type: TLS12_CID, cid: &[1, 2, 4], ..right },
            ];
            for header in wrong {
                assert_eq!(keys.open.open(&header, &mut body.clone()), Err(Unauthentic), "{suite}, {header:?}");
            }
            assert_eq!(other.open.open(&right, &mut body.clone()), Err(Unauthentic), "{suite}, the other direction");
            assert!(keys.open.open(&right, &mut body).is_ok());
        }
    }
}

/// The number is the nonce and, for CBC, what the IV is made of.
#[test]
fn the_same_content_is_never_sealed_to_the_same_bytes() {
    for (suite, encrypt_then_mac) in WAYS {
        let (keys, _) = keys(suite);
        let mut seen = std::collections::HashSet::new();
        for sequence in 0..100 {
            let mut body = Vec::new();
            keys.seal.seal(&header(&[], sequence, encrypt_then_mac), &[0; 32], &mut body);
            assert!(seen.insert(body[8..40].to_vec()), "{suite}");
        }
    }
}

#[test]
fn keys_are_not_printed() {
    let (client, _) = keys(CipherSuite::PskAes128Ccm8);
    assert_eq!(format!("{client:?}"), "RecordKeys { seal: Seal(..), open: Open(..) }");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        way in 0..WAYS.len(),
        content in prop::collection::vec(any::<u8>(), 0..1500),
        cid in prop::collection::vec(any::<u8>(), 0..=32),
        sequence in 0..1_u64 << 48,
    ) {
        let (suite, encrypt_then_mac) = WAYS[way];
        let (client, _) = keys(suite);
        let header = header(&cid, sequence, encrypt_then_mac);
        let mut body = Vec::new();
        client.seal.seal(&header, &content, &mut body);
        let range = client.open.open(&header, &mut body).unwrap();
        prop_assert_eq!(&body[range], &content[..]);
    }

    #[test]
    fn nonsense_does_not_open(way in 0..WAYS.len(), mut body in prop::collection::vec(any::<u8>(), 0..400)) {
        let (suite, encrypt_then_mac) = WAYS[way];
        let (client, _) = keys(suite);
        prop_assert_eq!(client.open.open(&header(&[], 0, encrypt_then_mac), &mut body), Err(Unauthentic));
    }
}
