use std::{
    collections::{HashMap, HashSet},
    process::Command,
};

use super::*;

const KEY: [u8; 16] = [3; 16];
const MAC_KEY: [u8; 32] = [7; 32];

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wrong {
    Nothing,
    /// A bit of the content.
    Content,
    /// A bit of the MAC, in its first byte.
    Mac,
    /// A bit of the first byte of the padding.
    Padding,
    /// The last byte says that there is more padding than there can be.
    Length,
}

/// A record of `blocks` blocks beside the IV, with so many bytes of padding before the last byte.
fn record(blocks: usize, padding: usize, wrong: Wrong) -> Vec<u8> {
    let length = blocks * BLOCK - MAC - 1 - padding;
    let mut plaintext: Vec<u8> = (0..length).map(|index| index as u8).collect();
    let mac = hmac(&MAC_KEY).chain_update(header().additional(length).as_bytes()).chain_update(&plaintext);
    plaintext.extend_from_slice(&mac.finalize().into_bytes());
    plaintext.resize(blocks * BLOCK, padding as u8);
    match wrong {
        Wrong::Nothing => {}
        Wrong::Content => plaintext[0] ^= 1,
        Wrong::Mac => plaintext[length] ^= 1,
        Wrong::Padding => plaintext[length + MAC] ^= 1,
        Wrong::Length => plaintext[blocks * BLOCK - 1] = 255,
    }
    let iv = [9; BLOCK];
    cbc::Encryptor::<Aes128Enc>::inner_iv_init(Aes128Enc::new(&KEY.into()), &iv.into())
        .encrypt_blocks(as_blocks(&mut plaintext).0);
    [&iv[..], &plaintext].concat()
}

fn header() -> RecordHeader<'static> {
    RecordHeader { content_type: 23, epoch: 1, sequence: 5, cid: &[], encrypt_then_mac: false }
}

/// Every padding that a record of this length can have, with everything that can be wrong with it.
fn cases(blocks: usize) -> impl Iterator<Item = (usize, Wrong)> {
    let most = (blocks * BLOCK - MAC - 1).min(255);
    (0..=most).flat_map(move |padding| {
        [Wrong::Nothing, Wrong::Content, Wrong::Mac, Wrong::Padding, Wrong::Length]
            .into_iter()
            .filter(move |wrong| match wrong {
                Wrong::Content => blocks * BLOCK - MAC - 1 > padding,
                Wrong::Padding => padding > 0,
                Wrong::Length => blocks * BLOCK < MAC + 256,
                _ => true,
            })
            .map(move |wrong| (padding, wrong))
    })
}

#[test]
fn every_padding_opens_and_nothing_wrong_does() {
    let open = CbcOpen::new(&MAC_KEY, &KEY.into());
    for blocks in [3, 4, 17, 18, 19, 24] {
        for (padding, wrong) in cases(blocks) {
            let mut body = record(blocks, padding, wrong);
            let length = blocks * BLOCK - MAC - 1 - padding;
            let expected = if wrong == Wrong::Nothing { Ok(BLOCK..BLOCK + length) } else { Err(Unauthentic) };
            assert_eq!(open.open(&header(), &mut body), expected, "{blocks} blocks, {padding} of padding, {wrong:?}");
        }
    }
}

#[inline(never)]
fn measured_open(open: &CbcOpen, body: &mut [u8]) -> Result<Range<usize>, Unauthentic> {
    open.open(&header(), body)
}

/// Opens one record under callgrind, for the test below.
#[test]
#[ignore = "a part of soak_as_many_instructions_for_every_padding"]
fn one_record() {
    let Ok(case) = std::env::var("CBC_CASE") else { return };
    let case: Vec<usize> = case.split(' ').map(|number| number.parse().unwrap()).collect();
    let (padding, wrong) = cases(case[0]).nth(case[1]).unwrap();
    let open = CbcOpen::new(&MAC_KEY, &KEY.into());
    let result = measured_open(&open, &mut record(case[0], padding, wrong));
    assert_eq!(result.is_ok(), wrong == Wrong::Nothing);
}

fn instructions(blocks: usize, case: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*measured_open*")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "crypto::cbc::tests::one_record", "--ignored", "--test-threads=1"])
        .env("CBC_CASE", format!("{blocks} {case}"))
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split_once("Collected :")).expect("a count").1;
    count.trim().parse().unwrap()
}

/// Lucky Thirteen needs a difference between a wrong MAC and wrong padding, or between paddings. Whether a record is
/// authentic at all may show: the last step says it.
#[test]
#[ignore = "takes minutes, and valgrind"]
fn soak_as_many_instructions_for_every_padding() {
    for blocks in [4, 17, 24] {
        let all: Vec<_> = cases(blocks).collect();
        let mut counts: HashMap<bool, HashSet<u64>> = HashMap::new();
        // A stride that is prime to the number of cases a padding has meets all kinds of them.
        for index in (0..all.len()).step_by((all.len() / 20) | 1) {
            let count = instructions(blocks, index);
            assert!(count > 10_000, "{count} instructions are not those of a record");
            counts.entry(all[index].1 == Wrong::Nothing).or_default().insert(count);
        }
        println!("{blocks} blocks: {counts:?}");
        assert!(counts.len() == 2 && counts.values().all(|counts| counts.len() == 1), "{blocks} blocks: {counts:?}");
    }
}
