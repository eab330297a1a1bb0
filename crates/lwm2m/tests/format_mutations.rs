//! No text that a stranger sends breaks a reader: every truncation and a million mutations of valid ones. What is accepted
//! can be written and read again. (TLV and link-format themselves have their corpora, see `fuzz_corpus.rs`.)

use lapwing_lwm2m::attributes::Changes;
use lapwing_lwm2m::format::link::{emit_discover, parse_discover, parse_registration};
use lapwing_lwm2m::format::text::{from_text, to_text};
use lapwing_lwm2m::model::{Path, ResourceType, Version};
use sim::Mutator;

const TYPES: [ResourceType; 10] = [
    ResourceType::String,
    ResourceType::Integer,
    ResourceType::Unsigned,
    ResourceType::Float,
    ResourceType::Boolean,
    ResourceType::Opaque,
    ResourceType::Time,
    ResourceType::ObjectLink,
    ResourceType::CoreLink,
    ResourceType::None,
];

const TEXTS: [&str; 12] = [
    "-9223372036854775808",
    "18446744073709551615",
    "-273.15",
    "1.7976931348623157e308",
    "0.000000000000000000000000000001",
    "1",
    "Zm9vYmFyYg==",
    "+//+AAAA",
    "65535:65535",
    "3:0",
    "</3/0>;ver=1.1,</5>;rt=\"a b\"",
    "pmin=10&pmax&gt=-50.5&lt=-100&st=0.25&epmin=1",
];

const LINKS: [&str; 6] = [
    "</>;rt=\"oma.lwm2m\";ct=\"0 42 11542\",</1>;ver=1.1,</1/0>,</3/0>,</3441>",
    "</lwm2m>;rt=\"x oma.lwm2m\";ct=11543,</lwm2m/1/0>,</lwm2m/3>;ver=\"1.1\",</sensors>;if=core",
    "</1/65534>,</65534/0>,</10/0>,</10/10>",
    "</3>;ver=1.2;pmin=10,</3/0>,</3/0/0>,</3/0/7>",
    "</3/0>;pmin=10;pmax=60,</3/0/0>,</3/0/7>;dim=2;gt=50;lt=-42.2;st=0.5",
    "</3/0/7>;dim=2;epmin=1;epmax=2;gt=1e20,</3/0/7/0>,</3/0/7/1>;st=1",
];

fn check_text(kind: ResourceType, bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(value) = from_text(kind, text) else { return };
    assert_eq!(value.kind(), kind);
    let written = to_text(&value).expect("what text can say, it can say again");
    assert_eq!(from_text(kind, &written), Ok(value), "{text:?}");
}

fn check_queries(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(changes) = Changes::parse(text.split('&')) {
        let queries = changes.queries();
        assert_eq!(Changes::parse(queries.iter().map(String::as_str)), Ok(changes), "{text:?}");
    }
}

fn check_path(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(path) = text.parse::<Path>()
    {
        assert_eq!(path.to_string(), text);
    }
}

fn check_links(payload: &[u8]) {
    if let Ok(registration) = parse_registration(payload) {
        let instances: usize = registration.objects.values().map(|object| object.instances.len()).sum();
        assert!(instances.max(registration.objects.len()) <= registration.links.len());
        assert!(registration.links.len() <= payload.len() / 2);
    }
    if let Ok(entries) = parse_discover("", payload) {
        let mut written = Vec::new();
        emit_discover(&entries, Version::V1_1, &mut written);
        assert_eq!(parse_discover("", &written), Ok(entries), "{}", payload.escape_ascii());
    }
}

#[test]
fn every_truncation() {
    for text in TEXTS {
        for length in 0..=text.len() {
            TYPES.iter().for_each(|kind| check_text(*kind, &text.as_bytes()[..length]));
            check_queries(&text.as_bytes()[..length]);
        }
    }
    for links in LINKS {
        (0..=links.len()).for_each(|length| check_links(&links.as_bytes()[..length]));
    }
    for path in ["/65534/65534/65534/65534", "/3/0/6/1", "/"] {
        (0..=path.len()).for_each(|length| check_path(&path.as_bytes()[..length]));
    }
}

#[test]
fn a_million_mutations_of_text() {
    let mut mutator = Mutator::seeded(0, TEXTS.map(|text| text.as_bytes().to_vec()));
    for round in 0..1_000_000 {
        let bytes = mutator.next();
        check_text(TYPES[round % TYPES.len()], bytes);
        check_queries(bytes);
    }
}

#[test]
fn a_million_mutations_of_registrations_and_discoveries() {
    let mut mutator = Mutator::seeded(40, LINKS.map(|links| links.as_bytes().to_vec()));
    (0..1_000_000).for_each(|_| check_links(mutator.next()));
}

#[test]
fn a_million_mutations_of_paths() {
    let paths = ["/65534/65534/65534/65534", "/3/0/6/1", "/3441/0/110", "/"];
    let mut mutator = Mutator::seeded(3, paths.map(|path| path.as_bytes().to_vec()));
    (0..1_000_000).for_each(|_| check_path(mutator.next()));
}
