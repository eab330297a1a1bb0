//! Packages as they should be, and as they must not be.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;
use crate::driver::FileSystem;

const NAME: &str = "lwm2m-python-client";
const CODE: &[u8] = b"#!/bin/sh\nexit 0\n";

/// An entry: name, type, content.
struct Raw<'a>(&'a [u8], EntryType, &'a [u8]);

impl Raw<'_> {
    fn write(&self, archive: &mut Vec<u8>) {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..self.0.len()].copy_from_slice(self.0);
        header.set_size(self.2.len() as u64);
        header.set_entry_type(self.1);
        header.set_mode(0o755);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(self.2);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
}

fn file<'a>(name: &'a str, content: &'a [u8]) -> Raw<'a> {
    Raw(name.as_bytes(), EntryType::Regular, content)
}

fn unfinished(entries: &[Raw<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    entries.iter().for_each(|entry| entry.write(&mut archive));
    archive
}

fn archive(entries: &[Raw<'_>]) -> Vec<u8> {
    let mut archive = unfinished(entries);
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn package(entries: &[Raw<'_>]) -> Vec<u8> {
    gzip(&archive(entries))
}

fn line(name: &str, content: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}  {name}\n")
}

fn good() -> Vec<u8> {
    package(&[file(NAME, CODE), file(CHECKSUMS, line(NAME, CODE).as_bytes())])
}

/// A good package with these entries between its own.
fn with(entries: Vec<Raw<'_>>) -> Vec<u8> {
    let list = line(NAME, CODE);
    let all: Vec<Raw<'_>> =
        [file(CHECKSUMS, list.as_bytes())].into_iter().chain(entries).chain([file(NAME, CODE)]).collect();
    package(&all)
}

/// Unpacks beside an earlier executable, and shows that a refusal leaves nothing else.
fn unpack_with(format: &Format, package: &[u8]) -> Result<Executable, PackageError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAME), "earlier").unwrap();
    let result = format.unpack(package, &FileSystem, folder.path());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [NAME]);
    let content = fs::read(folder.path().join(NAME)).unwrap();
    assert_eq!(content, if result.is_ok() { CODE } else { b"earlier" });
    assert_eq!(format.verify(package).is_ok(), result.is_ok());
    result
}

fn unpack(package: &[u8]) -> Result<Executable, PackageError> {
    unpack_with(&Format::new(NAME), package)
}

#[track_caller]
fn refused(package: &[u8], result: UpdateResult, why: &str) {
    let error = unpack(package).unwrap_err();
    assert_eq!(error.result(), result, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[track_caller]
fn no_package(package: &[u8], why: &str) {
    refused(package, UpdateResult::PackageType, why);
}

#[track_caller]
fn damaged(package: &[u8], why: &str) {
    refused(package, UpdateResult::Integrity, why);
}

#[test]
fn a_package_is_its_executable() {
    let executable = unpack(&good()).unwrap();
    assert_eq!(executable.length, CODE.len() as u64);
}

#[test]
fn checksums_may_be_written_as_sha256sum_writes_them() {
    let hash = &line("", CODE)[..64];
    let lists = [
        format!("{hash}  ./{NAME}\n"),
        format!("{hash} *{NAME}\r\n"),
        format!("{}  {NAME}", hash.to_uppercase()),
        format!("# made by hand\n\nSHA256 ({NAME}) = {hash}\n"),
    ];
    for list in lists {
        let (top, executable) = (format!("./{CHECKSUMS}"), format!("./{NAME}"));
        let entries = [Raw(b"./", EntryType::Directory, b""), file(&executable, CODE), file(&top, list.as_bytes())];
        unpack(&package(&entries)).unwrap_or_else(|error| panic!("{list}: {error}"));
    }
}

#[test]
fn other_files_must_be_in_order_too_and_are_not_kept() {
    let list = line(NAME, CODE) + &line("doc/readme", b"hello");
    let entries = |readme| {
        package(&[
            Raw(b"doc/", EntryType::Directory, b""),
            file("doc/readme", readme),
            file(NAME, CODE),
            file(CHECKSUMS, list.as_bytes()),
        ])
    };
    unpack(&entries(b"hello")).unwrap();
    damaged(&entries(b"hullo"), "\"doc/readme\" does not have its checksum");
}

#[test]
fn times_in_extension_headers_are_of_no_interest() {
    unpack(&with(vec![
        Raw(b"g", EntryType::XGlobalHeader, b"14 comment=hi\n"),
        Raw(b"x", EntryType::XHeader, b"30 mtime=1799000000.123456789\n"),
    ]))
    .unwrap();
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, why) in [
        ("../evil", "leads out"),
        ("doc/../../evil", "leads out"),
        ("/etc/evil", "absolute"),
        ("..", "leads out"),
        ("a\\b", "not allowed"),
        ("a\nb", "not allowed"),
        ("./", "without a name"),
        ("folder/", "without a name"),
        ("", "without a name"),
    ] {
        no_package(&with(vec![file(name, b"evil")]), why);
    }
    no_package(&with(vec![Raw(b"\xff", EntryType::Regular, b"")]), "UTF-8");
    no_package(&with(vec![Raw(b"../", EntryType::Directory, b"")]), "leads out");
}

#[test]
fn only_files_and_folders_are_taken() {
    for kind in [
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Continuous,
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::GNUSparse,
        EntryType::new(b'V'),
    ] {
        no_package(&with(vec![Raw(b"evil", kind, b"")]), "an entry of the type");
    }
    no_package(&with(vec![Raw(b"folder", EntryType::Directory, b"content")]), "an entry of the type");
}

#[test]
fn an_extension_header_changes_neither_names_nor_lengths() {
    for extension in ["13 path=evil\n", "17 linkpath=evil\n", "10 size=1\n", "22 GNU.sparse.major=1\n"] {
        for kind in [EntryType::XHeader, EntryType::XGlobalHeader] {
            no_package(&with(vec![Raw(b"x", kind, extension.as_bytes())]), "an extension header says");
        }
    }
    no_package(&with(vec![Raw(b"x", EntryType::XHeader, &[b'\n'; 20_000])]), "too long");
    damaged(&with(vec![Raw(b"x", EntryType::XHeader, b"99 mtime=1\n")]), "not in order");
}

#[test]
fn a_name_comes_once() {
    no_package(&with(vec![file(NAME, b"evil")]), "twice");
    no_package(&with(vec![file("./lwm2m-python-client", b"evil")]), "twice");
    no_package(&with(vec![file(CHECKSUMS, b"")]), "twice");
    no_package(&with(vec![file("a", b""), Raw(b"a/", EntryType::Directory, b"")]), "twice");
}

#[test]
fn checksums_must_be_there_and_right() {
    damaged(&package(&[file(NAME, CODE)]), "no checksums.txt");
    let list = |text: &str| package(&[file(NAME, CODE), file(CHECKSUMS, text.as_bytes())]);
    damaged(&list(""), "has no checksum");
    damaged(&list(&line(NAME, b"other")), "does not have its checksum");
    damaged(&list(&(line(NAME, CODE) + &line(NAME, b"other"))), "does not have its checksum");
    damaged(&list(&(line(NAME, CODE) + &line("gone", b""))), "not there");
    damaged(&list(&(line(NAME, CODE) + "hello\n")), "sha256sum does not write");
    damaged(&list(&format!("{} {NAME}", "0".repeat(64))), "sha256sum does not write");
    damaged(&list(&format!("{}  {NAME}", "é".repeat(32))), "sha256sum does not write");
    damaged(&list(&line("/etc/passwd", CODE)), "sha256sum does not write");
    damaged(&with(vec![file("more", b"evil")]), "\"more\" has no checksum");
    let long = "#".repeat(70_000);
    no_package(&list(&long), "longer than");
}

#[test]
fn the_executable_must_be_there() {
    let list = line("other", CODE);
    no_package(&package(&[file("other", CODE), file(CHECKSUMS, list.as_bytes())]), "has no file");
    let list = line(NAME, b"");
    no_package(&package(&[file(NAME, b""), file(CHECKSUMS, list.as_bytes())]), "is empty");
    no_package(&package(&[Raw(NAME.as_bytes(), EntryType::Directory, b"")]), "has no file");
}

/// Of a key that minisign 0.11 has made, and its signatures of the checksums of [`good`].
const KEY: &str = "RWQf1a6H8W8d+m9Av+MeAkkNEqGa+xo+Ka21RLu5uXw1ydZB43U32rgM";
const OTHER_KEY: &str = "untrusted comment: minisign public key A85605E97F07272A
RWQqJwd/6QVWqE4vAkbv5SmKAvh0SkomV0L3ln4Ygc3BBFLpt4b7tKA7
";
const SIGNED: &str = "untrusted comment: signature from minisign secret key
RUQf1a6H8W8d+iH+J74bO/mL5EoLbhMvbEoR0s7A9gY9edqkf/vzHXlgm7NCgxc0xP5tby42hajLSge+ASwjrDT2m08pQQ5iuQI=
trusted comment: kettle 2
mBVyayh0V77wGIeH7DC5qv74/VNWitahOQpPJwHUG04aYTvvSJRGpI+cCmxIZnuwyJvEpwHpErlZbOex+Yr8AA==
";
const SIGNED_BY_OTHER: &str = "untrusted comment: signature from minisign secret key
RUQqJwd/6QVWqKO0IJHr2xGt2Djmunufo8DzqZqknsRthPgRplRBtoOCDuwHrpfQKF0Vse8K4p7BSAPNcRzdGuPZ20d2mKU5kQc=
trusted comment: kettle 2
jxcCNBJeFyDUfzkRFxPGEig5e5D7Cuho7XyadIuFK80RQyI6JhAry+XDPWb9P0kH5m6DYzY9gv2rrsorm6KdDA==
";
/// By `minisign -S -l`.
const SIGNED_IN_THE_OLD_FORM: &str = "untrusted comment: signature from minisign secret key
RWQf1a6H8W8d+rXaL8ZGng8Ii2rKwqAoFwIGJ+rpoCDDeKYD1Io39oxZ4h96sJ6CEm9/nyV6rg3otOpCb4vhuh+DNy/dxfIcygc=
trusted comment: legacy
tdHAHjF7ay5JtMNoduQwRu9Io5gJA0hJysmFMTdSC3eGUTq06KzrRLqsKZLtUH0AlA1aQoDr3hZJMJP/9KD1CA==
";

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

#[test]
fn a_signature_is_demanded_where_there_is_a_key() {
    let signed = |signature: &str| with(vec![file(SIGNATURE, signature.as_bytes())]);
    let format = Format::new(NAME).signed_by([key(KEY)]);
    unpack_with(&format, &signed(SIGNED)).unwrap();
    // Without a key it is no matter, and need not be listed.
    unpack(&signed("hello")).unwrap();
    let both = Format::new(NAME).signed_by([key(OTHER_KEY), key(KEY)]);
    for signature in [SIGNED, SIGNED_BY_OTHER] {
        unpack_with(&both, &signed(signature)).unwrap();
    }

    let refused = |package: &[u8], why: &str| {
        let error = unpack_with(&format, package).unwrap_err();
        assert_eq!(error.result(), UpdateResult::Integrity, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    refused(&good(), "not signed");
    refused(&signed("hello"), "none of minisign");
    refused(&signed(SIGNED_BY_OTHER), "not known here");
    refused(&signed(SIGNED_IN_THE_OLD_FORM), "old form");
    // The key's number is known, and the signature is another's.
    refused(&signed(&SIGNED.replace("iH+J74bO", "iH+J74bP")), "not that of its checksums");
    refused(&signed(&SIGNED.replace("kettle 2", "kettle 3")), "not that of its checksums");
    let (list, evil) = (line(NAME, b"evil"), &b"evil"[..]);
    let entries = [file(NAME, evil), file(CHECKSUMS, list.as_bytes()), file(SIGNATURE, SIGNED.as_bytes())];
    refused(&package(&entries), "not that of its checksums");
    let list = line(NAME, CODE);
    let entries = [file(NAME, evil), file(CHECKSUMS, list.as_bytes()), file(SIGNATURE, SIGNED.as_bytes())];
    refused(&package(&entries), "does not have its checksum");
}

#[test]
fn a_key_is_a_line_or_a_file() {
    assert_eq!(key(&format!("untrusted comment: mine\n{KEY}\n")), key(KEY));
    assert_ne!(key(OTHER_KEY), key(KEY));
    for text in ["", "untrusted comment: mine", "RW", &KEY[1..], "hello"] {
        assert_eq!(text.parse::<PublicKey>(), Err(PublicKeyError), "{text}");
    }
}

#[test]
fn a_package_says_what_it_is_called() {
    let named = |comments: &str| {
        let list = format!("{comments}{}", line(NAME, CODE));
        let executable = unpack(&package(&[file(NAME, CODE), file(CHECKSUMS, list.as_bytes())])).unwrap();
        (executable.name, executable.version)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(named(""), (None, None));
    assert_eq!(named("# name: kettle\n#version: 2 beta\r\n# version: 3\n"), (text("kettle"), text("2 beta")));
    assert_eq!(named("# name:\n# names: x\n# version: \u{1b}[1m\n"), (None, None));
    assert_eq!(named(&format!("# name: {}\n", "x".repeat(256))), (None, None));
}

#[test]
fn all_files_of_a_package_come_into_a_new_folder() {
    use std::os::unix::fs::PermissionsExt;

    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("new");
    let list = line(NAME, CODE) + &line("share/doc/readme", b"hello");
    let entries =
        |readme| package(&[file("share/doc/readme", readme), file(NAME, CODE), file(CHECKSUMS, list.as_bytes())]);
    let format = Format::new(NAME);
    assert!(matches!(format.unpack_all(&entries(b"hullo")[..], &folder), Err(PackageError::Integrity(_))));
    assert!(!folder.exists());
    format.unpack_all(&entries(b"hello")[..], &folder).unwrap();
    assert_eq!(fs::read(folder.join("share/doc/readme")).unwrap(), b"hello");
    assert_eq!(fs::read(folder.join(NAME)).unwrap(), CODE);
    assert_eq!(fs::metadata(folder.join(NAME)).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "the executable and a folder");
    // What is there is not touched.
    assert!(format.unpack_all(&entries(b"hello")[..], &folder).is_err());
    assert!(folder.join(NAME).exists());

    let list = line(NAME, CODE) + &line("a", b"") + &line("a/b", b"");
    let both = package(&[file("a", b""), file("a/b", b""), file(NAME, CODE), file(CHECKSUMS, list.as_bytes())]);
    let error = format.unpack_all(&both[..], &outer.path().join("other")).unwrap_err();
    assert!(error.to_string().contains("both as a file and as a folder"), "{error}");
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_package_at_all_is_told_from_a_damaged_one() {
    no_package(b"#!/bin/sh\necho this is a shell script\n", "no gzip file");
    no_package(&gzip(&[7; 600]), "a header of the archive");
    damaged(b"", "too early");
    damaged(&gzip(b""), "the archive ends too early");
}

#[test]
fn a_package_ends_where_it_should() {
    let list = line(NAME, CODE);
    let entries = [file(NAME, CODE), file(CHECKSUMS, list.as_bytes())];
    damaged(&gzip(&unfinished(&entries)), "the archive ends too early");
    let mut more = archive(&entries);
    more.extend_from_slice(b"more");
    damaged(&gzip(&more), "after the end of the archive");
    for more in [&b"more"[..], &[0; 4], &gzip(b"")] {
        damaged(&[&good(), more].concat(), "after the end of the gzip file");
    }
    let mut wrong_sum = good();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    damaged(&wrong_sum, "not in order");
}

#[test]
fn every_cut_is_noticed_and_no_bit_is_believed() {
    let good = good();
    for length in 0..good.len() {
        assert!(unpack(&good[..length]).is_err(), "cut at {length}");
    }
    // What is taken all the same has its content, as `unpack` sees: gzip has a time and other fields that no checksum covers, and some
    // bits that mean nothing.
    let taken = (0..good.len() * 8).filter(|at| {
        let mut changed = good.clone();
        changed[at / 8] ^= 1 << (at % 8);
        unpack(&changed).is_ok()
    });
    assert!(taken.count() < good.len());
}

#[test]
fn a_bomb_does_not_go_off() {
    let zeros = vec![0; 8 << 20];
    no_package(&with(vec![file("zeros", &zeros)]), "100 times");
    let trailing = gzip(&[archive(&[file(NAME, CODE)]), zeros.clone()].concat());
    no_package(&trailing, "100 times");

    let format = Format::new(NAME).max_size(1 << 20).max_entries(4);
    let refused = |package: &[u8], why: &str| {
        let error = unpack_with(&format, package).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&with(vec![file("zeros", &zeros)]), "more than 1048576 bytes");
    refused(&with(vec![file("a", &zeros[..600_000]), file("b", &zeros[..600_000])]), "more than 1048576 bytes");
    refused(&with(["a", "b", "c"].map(|name| file(name, b"")).into()), "more than 4 files");
    unpack_with(&format, &good()).unwrap();

    // A header that promises an exabyte is not waited for.
    let mut header = Header::new_gnu();
    header.set_size(1 << 60);
    header.set_cksum();
    refused(&gzip(header.as_bytes()), "more than 1048576 bytes");
}

#[test]
fn a_package_that_cannot_be_read_says_so() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken medium"))
        }
    }
    let good = good();
    let error = Format::new(NAME).verify((&good[..60]).chain(Broken)).unwrap_err();
    assert_eq!((error.result(), error.to_string().as_str()), (UpdateResult::Device, "broken medium"));
}
