use super::*;
use crate::credentials::CertificateType;
use crate::crypto::ECDSA_SHA256;
use crate::record::{ConnectionId, VERSION};
use crate::wire::Reader;

fn hello(extensions: Extensions<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let suites = List16::new(&[0xc0, 0xa8, 0x00, 0xff]).unwrap();
    ClientHello {
        version: VERSION,
        random: [7; 32],
        session_id: &[],
        cookie: b"cookie",
        suites,
        compression: &[0],
        extensions,
    }
    .put(&mut body);
    body
}

fn all() -> Extensions<'static> {
    Extensions {
        server_name: Some(b"lwm2m.example"),
        groups: List16::new(&[0, 23]),
        uncompressed_points: Some(true),
        signature_schemes: List16::new(&[4, 3]),
        client_certificate_types: Some(&[2, 0]),
        server_certificate_types: Some(&[2]),
        encrypt_then_mac: true,
        extended_master_secret: true,
        session_ticket: Some(b"ticket"),
        connection_id: ConnectionId::new(b"cid"),
        renegotiation_info: Some(&[]),
    }
}

#[test]
fn a_client_hello_comes_back_as_it_was_written() {
    for extensions in [Extensions::default(), all()] {
        let body = hello(extensions);
        let read = ClientHello::parse(&body).unwrap();
        assert_eq!((read.cookie, read.random, read.extensions), (&b"cookie"[..], [7; 32], extensions));
        assert!(read.suites.contains(0xc0a8) && read.suites.contains(EMPTY_RENEGOTIATION_INFO_SCSV));
        assert!((0..body.len()).all(|length| {
            // Without its extensions a hello is whole as well.
            ClientHello::parse(&body[..length]).is_none_or(|hello| hello.extensions == Extensions::default())
        }));
        assert_eq!(ClientHello::parse(&[&body[..], &[0]].concat()), None);
    }
}

#[test]
fn a_server_hello_comes_back_as_it_was_written() {
    let extensions = Extensions {
        server_name: Some(&[]),
        groups: None,
        signature_schemes: None,
        client_certificate_types: Some(&[2]),
        session_ticket: Some(&[]),
        ..all()
    };
    let hello = ServerHello { version: VERSION, random: [9; 32], session_id: b"session", suite: 0xc0a8, extensions };
    let mut body = Vec::new();
    hello.put(&mut body);
    assert_eq!(ServerHello::parse(&body), Some(hello));
    let compression = 2 + 32 + 1 + 7 + 2;
    body[compression] = 1;
    assert_eq!(ServerHello::parse(&body), None, "compression was not offered");
}

#[test]
fn a_connection_id_extension_is_laid_out_as_rfc_9146_section_3_has_it() {
    let extensions = Extensions { connection_id: ConnectionId::new(&[1, 2]), ..Extensions::default() };
    assert!(hello(extensions).ends_with(&[0, 7, 0, 54, 0, 3, 2, 1, 2]));
    let extensions = Extensions { connection_id: Some(ConnectionId::EMPTY), ..Extensions::default() };
    assert!(hello(extensions).ends_with(&[0, 5, 0, 54, 0, 1, 0]));
}

#[test]
fn extensions_that_come_twice_or_are_not_whole_make_a_hello_unreadable() {
    let plain = hello(Extensions::default());
    let with = |extensions: &[u8]| {
        let length = (extensions.len() as u16).to_be_bytes();
        let body = [&plain[..], &length, extensions].concat();
        ClientHello::parse(&body).map(|hello| hello.extensions == Extensions::default())
    };
    assert_eq!(with(&[]), Some(true));
    let unknown = [0x12, 0x34, 0, 1, 7];
    assert_eq!(with(&unknown), Some(true));
    assert_eq!(with(&[unknown, unknown].concat()), None, "twice");
    for bad in [
        &[0, 23, 0, 1, 0][..],        // extended_master_secret with a body
        &[0, 54, 0, 2, 0, 0],         // bytes after the Connection ID
        &[0, 54, 0, 2, 2, 0],         // a Connection ID cut off
        &[0, 10, 0, 3, 0, 1, 0],      // half a group
        &[0, 10, 0, 2, 0, 0],         // no group
        &[0, 0, 0, 0],                // no name
        &[0, 0, 0, 6, 0, 4, 0, 0, 1], // cut off
        &[0, 19, 0, 1, 0],            // no type of certificate
        &[0xff, 0x01, 0, 0],          // no length
    ] {
        assert_eq!(with(bad), None, "{bad:?}");
    }
    let names = [0, 0, 0, 10, 0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b'];
    assert_eq!(with(&names), None, "two names of hosts");
}

#[test]
fn a_hello_verify_request_comes_back_as_it_was_written() {
    let mut body = Vec::new();
    HelloVerifyRequest { version: 0xfeff, cookie: b"abc" }.put(&mut body);
    assert_eq!(body, [0xfe, 0xff, 3, b'a', b'b', b'c']);
    assert_eq!(HelloVerifyRequest::parse(&body).unwrap().cookie, b"abc");
    assert_eq!(HelloVerifyRequest::parse(&body[..5]), None);
}

#[test]
fn certificates_are_a_list_or_a_raw_public_key() {
    let mut body = Vec::new();
    Certificates::put_x509(&mut body, [&b"one"[..], b"two"]);
    let Some(Certificates::X509(chain)) = Certificates::parse(&body, CertificateType::X509) else { panic!() };
    assert_eq!(chain.iter().collect::<Vec<_>>(), [b"one", b"two"]);
    assert_eq!(Certificates::parse(&body[..body.len() - 1], CertificateType::X509), None);
    body.clear();
    Certificates::put_raw_public_key(&mut body, b"key");
    assert_eq!(body, [0, 0, 3, b'k', b'e', b'y']);
    let read = Certificates::parse(&body, CertificateType::RawPublicKey);
    assert_eq!(read, Some(Certificates::RawPublicKey(b"key")));
    assert_eq!(Certificates::parse(&[0, 0, 0], CertificateType::RawPublicKey), None);
    assert_eq!(Certificates::parse(&[0, 0, 3, 0, 0, 0], CertificateType::X509), None, "an empty certificate");
}

#[test]
fn a_certificate_request_and_a_ticket_come_back_as_they_were_written() {
    let mut body = Vec::new();
    CertificateRequest::put(&mut body, &[CertificateRequest::ECDSA_SIGN], &[ECDSA_SHA256]);
    assert_eq!(body, [1, 64, 0, 2, 4, 3, 0, 0]);
    let request = CertificateRequest::parse(&body).unwrap();
    assert!(request.signature_schemes.contains(0x0403) && request.types == [64]);
    assert!((0..body.len()).all(|length| CertificateRequest::parse(&body[..length]).is_none()));
    body.clear();
    let ticket = NewSessionTicket { lifetime_hint: 3600, ticket: b"ticket" };
    ticket.put(&mut body);
    assert_eq!(NewSessionTicket::parse(&body), Some(ticket));
    assert!((0..body.len()).all(|length| NewSessionTicket::parse(&body[..length]).is_none()));
}

fn part(whole: &Complete, offset: usize, length: usize) -> Fragment<'_> {
    let body = &whole.body()[offset..offset + length];
    Fragment { kind: whole.kind, length: whole.body().len(), sequence: whole.sequence, offset, body }
}

fn pop(reassembly: &mut Reassembly) -> Option<Complete> {
    let message = reassembly.complete()?;
    reassembly.accept();
    Some(message)
}

#[test]
fn fragments_are_read_one_after_another_and_a_bad_one_ends_them() {
    let message = Complete::new(HandshakeType::Finished, 3, &[7; 12]);
    let mut record = message.as_bytes().to_vec();
    record.extend(Complete::new(HandshakeType::ServerHelloDone, 4, &[]).as_bytes());
    let fragments: Vec<_> = Fragments::new(&record).collect();
    assert_eq!(fragments.len(), 2);
    assert!(fragments.iter().all(Fragment::is_whole));
    assert_eq!((fragments[0].body, fragments[1].sequence), (&[7; 12][..], 4));
    for (at, byte) in [(0, 99), (3, 11), (8, 1), (11, 0)] {
        let mut bad = record.clone();
        bad[at] = byte;
        assert_eq!(Fragments::new(&bad).count(), 0, "byte {at}");
    }
}

#[test]
fn messages_come_in_order_however_their_fragments_came() {
    let mut random = sim::Random::seeded(6347);
    for _ in 0..200 {
        let messages: Vec<_> = (0..5u16)
            .map(|sequence| {
                let body: Vec<_> = (0..random.below(300)).map(|_| random.next_u64() as u8).collect();
                Complete::new(HandshakeType::Certificate, sequence, &body)
            })
            .collect();
        let mut reassembly = Reassembly::new(0);
        let mut got = Vec::new();
        while got.len() < messages.len() {
            let whole = &messages[random.below(messages.len())];
            let length = whole.body().len();
            let offset = if length == 0 { 0 } else { random.below(length) };
            let size = if length == 0 { 0 } else { 1 + random.below(length - offset) };
            let taken = reassembly.add(&part(whole, offset, size));
            assert_eq!(taken == Taken::Old, usize::from(whole.sequence) < got.len());
            got.extend(core::iter::from_fn(|| pop(&mut reassembly)));
        }
        assert_eq!(got, messages);
        assert_eq!(reassembly.memory(), 0);
    }
}

#[test]
fn reassembly_is_bounded_and_the_next_message_always_finds_room() {
    let mut reassembly = Reassembly::new(0);
    let body = vec![1; Reassembly::MAX_MESSAGE];
    let whole = |sequence| Complete::new(HandshakeType::Certificate, sequence, &body);
    for sequence in 1..=Reassembly::AHEAD + 3 {
        let refused = reassembly.add(&part(&whole(sequence), 0, 1)) == Taken::Refused;
        assert_eq!(refused, sequence > 2, "{sequence}");
        assert!(reassembly.memory() <= Reassembly::MAX_TOTAL);
    }
    let next = whole(0);
    assert_eq!(reassembly.add(&part(&next, 0, body.len())), Taken::Kept);
    assert!(reassembly.memory() <= Reassembly::MAX_TOTAL);
    assert_eq!(pop(&mut reassembly), Some(next));
    let long = Complete::new(HandshakeType::Certificate, 1, &vec![1; Reassembly::MAX_MESSAGE + 1]);
    assert_eq!(reassembly.add(&part(&long, 0, 1)), Taken::Refused);
}

#[test]
fn a_whole_message_takes_the_place_of_a_part_that_contradicts_it() {
    let mut reassembly = Reassembly::new(0);
    let forged = Complete::new(HandshakeType::ServerHello, 0, &[9; 500]);
    let real = Complete::new(HandshakeType::ServerHello, 0, &[1; 80]);
    assert_eq!(reassembly.add(&part(&forged, 0, 10)), Taken::Kept);
    assert_eq!(reassembly.add(&part(&real, 0, 40)), Taken::Refused);
    assert_eq!(reassembly.add(&part(&real, 0, 80)), Taken::Kept);
    assert_eq!(pop(&mut reassembly), Some(real));
}

#[test]
fn a_refused_message_leaves_its_place_to_another() {
    let mut reassembly = Reassembly::new(0);
    let forged = Complete::new(HandshakeType::ServerHello, 0, &[9; 80]);
    let real = Complete::new(HandshakeType::ServerHello, 0, &[1; 80]);
    assert_eq!(reassembly.add(&part(&forged, 0, 80)), Taken::Kept);
    assert_eq!(reassembly.complete(), Some(forged));
    reassembly.refuse();
    assert_eq!(reassembly.add(&part(&real, 0, 80)), Taken::Kept);
    assert_eq!(pop(&mut reassembly), Some(real));
}

#[test]
fn a_connection_id_that_is_too_long_is_left_out_of_a_client_hello_and_spoils_a_server_hello() {
    for (length, expected) in [(32u8, true), (33, false), (255, false)] {
        let mut extension = vec![0, 54, 0, length.wrapping_add(1), length];
        extension.resize(5 + usize::from(length), 7);
        let mut bytes = (extension.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&extension);
        if length == 255 {
            bytes[4..6].copy_from_slice(&256u16.to_be_bytes());
        }
        let of_client = Extensions::parse(&mut Reader(&bytes), false).expect("it can be read");
        assert_eq!(of_client.connection_id.is_some(), expected);
        assert_eq!(Extensions::parse(&mut Reader(&bytes), true).is_some(), expected);
    }
}
