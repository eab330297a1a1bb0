use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn record(version: u16, content: &[u8]) -> Record {
    Record { version, content: content.to_vec().into() }
}

#[test]
fn what_is_stored_is_open_to_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(FileSystem, folder.path().join("a/b")).unwrap();
    store.save("accounts", 1, b"a key").unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("a"), mode("a/b"), mode("a/b/accounts")], [0o700, 0o700, 0o600]);
    assert!(!format!("{:?}", store.load("accounts").unwrap()).contains("97"), "the key is not printed");
}

#[test]
fn the_file_system_keeps_records_under_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(FileSystem, folder.path().join("a/b")).unwrap();
    assert_eq!(store.load("server-1").unwrap(), None);
    store.save("server-1", 3, b"one").unwrap();
    store.save("server-1", 4, b"two").unwrap();
    store.save("attributes-1", 4, b"other").unwrap();
    assert_eq!(store.load("server-1").unwrap(), Some(record(4, b"two")));
    store.remove("server-1").unwrap();
    store.remove("server-1").unwrap();
    assert_eq!(store.load("server-1").unwrap(), None);
    assert_eq!(store.load("attributes-1").unwrap().unwrap().content.as_slice(), b"other");
}

#[test]
fn the_layout_of_a_record_stays() {
    let file = encode(1, b"123456789").unwrap();
    assert_eq!(file[..14], *b"lapwing\x01\x00\x01\x00\x00\x00\x09");
    // The check value of CRC-32.
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(file[23..], crc32(&file[..23]).to_be_bytes());
}

proptest! {
    #[test]
    fn damage_is_noticed(content in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
        let file = encode(7, &content).unwrap();
        prop_assert_eq!(decode(&file), Some(record(7, &content)));
        let mut damaged = file.clone();
        damaged[at.index(file.len())] ^= flip;
        prop_assert_eq!(decode(&damaged), None);
        prop_assert_eq!(decode(&file[..at.index(file.len())]), None);
    }
}
